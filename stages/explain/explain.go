// Package explain is the stage that tells why the best model of trees predicts what it does: SHAP values of rows of the test
// part, and how predictions depend on the features that matter most.
package explain

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/explain"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
)

// Params of the stage.
type Params struct {
	Models []string `json:"models"` // names in the order of the inputs
	Rows   int      `json:"rows"`   // of the test part that SHAP values are computed of
}

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error {
	if p.Rows < 1 || p.Rows > 10_000 {
		return fmt.Errorf("rows is %d, want 1 to 10000", p.Rows)
	}
	return nil
}

// DefaultRows are as many as a picture can show.
const DefaultRows = 200

// Bounds of what is looked at.
const (
	backgroundRows = 1000 // of the training part, by whose shares unknown features go down both sides of a split
	dependences    = 6    // features
	gridPoints     = 20   // of a number
)

// Explanation is the output of that name. Without a model of trees there is none, and Model is empty.
type Explanation struct {
	Model      string                 `json:"model"`
	Kind       string                 `json:"kind"`
	Of         string                 `json:"of"`    // the class whose share or score is explained; empty of a number
	Score      bool                   `json:"score"` // SHAP values are of boosting's score, and not of a share or number
	Rows       int                    `json:"rows"`  // of the test part
	Base       num.Float              `json:"base"`  // what SHAP values add to
	Features   []explain.Contribution `json:"features"`
	Dependence []explain.Dependence   `json:"dependence"` // of the first features; means are of Output
	Output     int                    `json:"output"`     // among the means of Dependence
}

// Kind describes the stage. Inputs model and metrics are of the same models in the same order.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name: "explain", Doc: "explains the best model of trees", Package: "stages/explain",
		Inputs:  []pipeline.InputSpec{{Role: "model", Many: true}, {Role: "metrics", Many: true}, {Role: "train"}, {Role: "test"}},
		Outputs: []pipeline.OutputSpec{{Name: "explanation", Class: pipeline.Result, MediaType: "application/json"}},
		Params:  func() any { return &Params{Rows: DefaultRows} },
		Run:     run,
	}
}

func run(_ context.Context, c *pipeline.Call) error {
	p := c.Params.(*Params)
	m, name, err := best(c, p.Models)
	if err != nil {
		return err
	}
	if m == nil {
		c.Warn("NOTHING_TO_EXPLAIN", "there is no model of trees to explain", "")
		return c.WriteJSON("explanation", Explanation{Features: []explain.Contribution{}, Dependence: []explain.Dependence{}})
	}
	train, err := tables.ReadDataset(c, "train")
	if err != nil {
		return err
	}
	test, err := tables.ReadDataset(c, "test")
	if err != nil {
		return err
	}
	e, err := explained(m, train, test, p.Rows, c.Cores)
	if err != nil {
		return err
	}
	e.Model = name
	return c.WriteJSON("explanation", e)
}

// best returns the model of trees with the largest area under the ROC curve, or the least RMSE, the first of equals; nil when
// there is none.
func best(c *pipeline.Call, names []string) (*model.Model, string, error) {
	models, err := c.Inputs("model")
	if err != nil {
		return nil, "", err
	}
	judged, err := c.Inputs("metrics")
	if err != nil {
		return nil, "", err
	}
	if len(models) != len(names) || len(judged) != len(names) {
		return nil, "", fmt.Errorf("%d models and %d metrics of %d models", len(models), len(judged), len(names))
	}
	var found *model.Model
	var foundName string
	var most num.Float
	for i, name := range names {
		b, err := io.ReadAll(models[i])
		if err != nil {
			return nil, "", fmt.Errorf("input model: %w", err)
		}
		m, err := model.Parse(b)
		if err != nil {
			return nil, "", fmt.Errorf("model %s: %w", name, err)
		}
		var e struct {
			Metrics struct {
				ROCAUC num.Float  `json:"roc_auc"`
				RMSE   *num.Float `json:"rmse"`
			} `json:"metrics"`
		}
		if err := json.NewDecoder(judged[i]).Decode(&e); err != nil {
			return nil, "", fmt.Errorf("input metrics: %w", err)
		}
		score := e.Metrics.ROCAUC
		if e.Metrics.RMSE != nil {
			score = -*e.Metrics.RMSE
		}
		if m.Tree != nil && (found == nil || score > most || score.Defined() && !most.Defined()) {
			found, foundName, most = m, name, score
		}
	}
	return found, foundName, nil
}

// explained explains a model of trees.
func explained(m *model.Model, train, test *dataset.Dataset, rows, cores int) (*Explanation, error) {
	looked := spaced(test.Features, rows)
	values, err := explain.Trees(m.Tree, spaced(train.Features, backgroundRows), looked, cores)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Kind: m.Kind, Rows: looked[0].Len(), Score: m.Tree.Boosted() && !test.Numeric()}
	output := 0 // of SHAP values
	if !test.Numeric() {
		e.Output = shown(test)
		e.Of = m.Classes[e.Output]
		if output = e.Output; values.Outputs < len(m.Classes) { // the first class is what is left
			output--
		}
	}
	e.Base, e.Features = num.Float(values.Base[output]), explain.Contributions(values, looked, output)
	for _, f := range e.Features[:min(dependences, len(e.Features))] {
		at := slices.Index(m.Columns, f.Feature)
		if !anyValue(test.Features[at]) {
			continue
		}
		d, err := explain.Partial(m.Estimator(), test.Features, at, gridPoints, cores)
		if err != nil {
			return nil, err
		}
		e.Dependence = append(e.Dependence, *d)
	}
	return e, nil
}

// shown is the class that is explained: the second of two, of more the one with the most rows after the first.
func shown(d *dataset.Dataset) int {
	best := 1
	for c, n := range d.Counts() {
		if c > 1 && n > d.Counts()[best] {
			best = c
		}
	}
	return best
}

func anyValue(c *frame.Column) bool {
	for i := range c.Len() {
		if !c.Missing(i) {
			return true
		}
	}
	return false
}

// spaced returns at most n rows, evenly spaced.
func spaced(columns []*frame.Column, n int) []*frame.Column {
	total := columns[0].Len()
	rows := make([]int32, min(n, total))
	for i := range rows {
		rows[i] = int32(int64(i) * int64(total) / int64(len(rows)))
	}
	taken := make([]*frame.Column, len(columns))
	for i, c := range columns {
		taken[i] = c.Take(rows)
	}
	return taken
}
