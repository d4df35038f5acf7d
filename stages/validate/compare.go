package validate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
)

// defaults are the scorings of candidates that name none: the first that their task has.
var defaults = []string{"roc_auc", "rmse"}

// CompareParams are the parameters of the stage that compares.
type CompareParams struct {
	Scoring string `json:"scoring"` // empty: the area under the ROC curve, or of numbers the RMSE
}

// Validate implements pipeline's check of parameters.
func (p *CompareParams) Validate() error { return CheckScoring(p.Scoring) }

// CheckScoring refuses a scoring that there is not. The empty one stands for the default.
func CheckScoring(name string) error {
	if _, ok := metrics.FigureNamed(name); ok || name == "" {
		return nil
	}
	var names []string
	for _, f := range metrics.Figures {
		names = append(names, f.Name)
	}
	return fmt.Errorf("scoring is %.40q, want one of %s", name, strings.Join(names, ", "))
}

// Results is the output of that name.
type Results struct {
	Folds      int      `json:"folds"`
	Method     string   `json:"method"`
	Column     string   `json:"column"`
	Rows       int      `json:"rows"`
	FoldRows   []int    `json:"fold_rows"`
	Scoring    string   `json:"scoring"`
	Candidates []Result `json:"candidates"` // in the order of the plan
}

// Result is what one candidate reached: means and sample standard deviations over the folds on which a figure is defined,
// null where there is none, or of a single one no deviation.
type Result struct {
	Candidate
	Rank   int                    `json:"rank"` // by the scoring; of equals the first of the plan is ahead
	Mean   map[string]num.Float   `json:"mean"`
	SD     map[string]num.Float   `json:"sd"`
	ByFold []map[string]num.Float `json:"by_fold"`
}

// Compare describes the stage that compares candidates: its output results is a Results.
func Compare() pipeline.Kind {
	return pipeline.Kind{
		Name: "compare_candidates", Doc: "compares candidates by their scores over the folds", Package: "stages/validate",
		Inputs:  []pipeline.InputSpec{{Role: "design"}, {Role: "scores", Many: true}},
		Outputs: []pipeline.OutputSpec{{Name: "results", Class: pipeline.Result, MediaType: "application/json"}},
		Params:  func() any { return &CompareParams{} },
		Run:     compare,
	}
}

func compare(_ context.Context, c *pipeline.Call) error {
	p := c.Params.(*CompareParams)
	var d Design
	if err := c.ReadJSON("design", &d); err != nil {
		return err
	}
	blobs, err := c.Inputs("scores")
	if err != nil {
		return err
	}
	if d.Folds < 1 || len(blobs) != len(d.Candidates)*d.Folds {
		return fmt.Errorf("%d scores of %d candidates in %d folds", len(blobs), len(d.Candidates), d.Folds)
	}
	r := Results{Folds: d.Folds, Method: d.Method, Column: d.Column, Rows: d.Rows, FoldRows: d.FoldRows, Scoring: p.Scoring}
	for i, candidate := range d.Candidates {
		result := Result{Candidate: candidate}
		for _, b := range blobs[i*d.Folds : (i+1)*d.Folds] {
			var s Scores
			if err := json.NewDecoder(b).Decode(&s); err != nil {
				return fmt.Errorf("input scores: %w", err)
			}
			result.ByFold = append(result.ByFold, s.Scores)
		}
		result.summarize()
		r.Candidates = append(r.Candidates, result)
	}
	if err := r.rank(); err != nil {
		return err
	}
	return c.WriteJSON("results", r)
}

func (r *Result) summarize() {
	r.Mean, r.SD = map[string]num.Float{}, map[string]num.Float{}
	for name := range r.ByFold[0] {
		var defined []float64
		for _, scores := range r.ByFold {
			if v := scores[name]; v.Defined() {
				defined = append(defined, float64(v))
			}
		}
		r.Mean[name], r.SD[name] = spread(defined)
	}
}

// spread returns the mean and the sample standard deviation.
func spread(v []float64) (mean, sd num.Float) {
	n := float64(len(v))
	m := num.Sum(v) / n
	squares := make([]float64, len(v))
	for i, x := range v {
		squares[i] = float64((x - m) * (x - m))
	}
	if len(v) < 2 {
		return num.Float(m), num.Float(math.NaN())
	}
	return num.Float(m), num.Float(math.Sqrt(num.Sum(squares) / (n - 1)))
}

// rank orders the candidates by their mean of the scoring, those without one last.
func (r *Results) rank() error {
	has := r.Candidates[0].Mean
	var err error
	if r.Scoring, err = scoringOf(r.Scoring, has); err != nil {
		return err
	}
	for at, i := range r.Ranked() {
		r.Candidates[i].Rank = at + 1
	}
	return nil
}

// scoringOf returns the name of the figure to compare by, which the scores must have; the empty one stands for the default of
// their task.
func scoringOf(name string, scores map[string]num.Float) (string, error) {
	if name == "" {
		for _, d := range defaults {
			if _, ok := scores[d]; ok {
				return d, nil
			}
		}
	}
	if _, ok := scores[name]; !ok {
		return "", pipeline.BadInput("a target of this kind has no %s to compare by", name).WithHint("want one of %s", strings.Join(slices.Sorted(maps.Keys(scores)), ", "))
	}
	return name, nil
}

// Ranked returns the indices of the candidates, the best first.
func (r *Results) Ranked() []int {
	scoring, _ := metrics.FigureNamed(r.Scoring)
	order := make([]int, len(r.Candidates))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := r.Candidates[a].Mean[r.Scoring], r.Candidates[b].Mean[r.Scoring]
		switch {
		case !x.Defined() || !y.Defined():
			return cmp.Compare(boolInt(y.Defined()), boolInt(x.Defined()))
		case scoring.Smaller:
			return cmp.Compare(x, y)
		}
		return cmp.Compare(y, x)
	})
	return order
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Best returns the candidate that ranks first of a model; nil when it has none.
func (r *Results) Best(model string) *Result {
	for _, i := range r.Ranked() {
		if r.Candidates[i].Model == model {
			return &r.Candidates[i]
		}
	}
	return nil
}

// ChooseParams are the parameters of the stage that chooses.
type ChooseParams struct {
	Model string `json:"model"`
}

// Choose describes the stage that hands on the settings of a model's best candidate: its output settings are the parameters
// of its training. Where they are the same as before, the model is not trained again.
func Choose() pipeline.Kind {
	return pipeline.Kind{
		Name: "choose_settings", Doc: "takes the settings that were best in cross-validation", Package: "stages/validate",
		Inputs:  []pipeline.InputSpec{{Role: "results"}},
		Outputs: []pipeline.OutputSpec{{Name: "settings", Class: pipeline.Result, MediaType: "application/json"}},
		Params:  func() any { return &ChooseParams{} },
		Run: func(_ context.Context, c *pipeline.Call) error {
			var r Results
			if err := c.ReadJSON("results", &r); err != nil {
				return err
			}
			best := r.Best(c.Params.(*ChooseParams).Model)
			if best == nil {
				return errors.New("the model has no candidate")
			}
			return c.WriteJSON("settings", best.Params)
		},
	}
}
