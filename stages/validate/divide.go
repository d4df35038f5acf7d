package validate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/split"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/splitdata"
	"github.com/hashline/hashline/stages/tables"
)

// Limits of a cross-validation.
const (
	MaxCandidates = 1000
	MaxTrainings  = 10_000 // candidates x folds
)

// Candidate is a model with settings.
type Candidate struct {
	Name    string          `json:"name"`  // part of a stage's name: the model's, in a search with a number after a dot
	Model   string          `json:"model"` // whose settings they may become
	Trainer string          `json:"trainer"`
	Params  json.RawMessage `json:"params"` // of the trainer

	Options Options `json:"options,omitzero"`
}

// Params are the parameters of the stage that divides.
type Params struct {
	Folds      int         `json:"folds"`
	Method     string      `json:"method"` // of splitdata
	Train      string      `json:"train"`  // the stage whose output of that name is the training part
	Candidates []Candidate `json:"candidates"`
}

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error {
	if p.Folds < 2 || p.Folds > split.MaxFolds {
		return fmt.Errorf("folds is %d, want 2 to %d", p.Folds, split.MaxFolds)
	}
	if !slices.Contains(splitdata.Methods, p.Method) {
		return fmt.Errorf("method %.40q is none of %s", p.Method, strings.Join(splitdata.Methods, ", "))
	}
	return CheckSize(len(p.Candidates), p.Folds)
}

// CheckSize refuses a cross-validation of too many candidates, or of none.
func CheckSize(candidates, folds int) error {
	switch {
	case candidates < 1:
		return errors.New("there are no candidates")
	case candidates > MaxCandidates:
		return fmt.Errorf("there are %d candidates, more than %d", candidates, MaxCandidates)
	case candidates*folds > MaxTrainings:
		return fmt.Errorf("%d candidates in %d folds are %d trainings, more than %d", candidates, folds, candidates*folds, MaxTrainings)
	}
	return nil
}

// Design says what is compared on what.
type Design struct {
	Folds      int         `json:"folds"`
	Method     string      `json:"method"`
	Column     string      `json:"column"` // of a group or time split
	Rows       int         `json:"rows"`   // of the training part
	FoldRows   []int       `json:"fold_rows"`
	Candidates []Candidate `json:"candidates"`
}

// salt makes the seed of the folds another one than that of the split.
const salt = 0x666f6c64

// Divide describes the stage that divides the training part. Its output folds is a table with the fold of each row, from
// 1, and 0 for rows that are only trained on; design is a Design. It returns a stage for each candidate and fold, named
// by the stage, the candidate and the fold, the folds of a candidate one after the other.
func Divide() pipeline.Kind {
	return pipeline.Kind{
		Name: "cross_validate", Doc: "divides the training part into folds and trains candidates on them", Package: "stages/validate", Seeded: true, Expands: true,
		Inputs: []pipeline.InputSpec{{Role: "train"}},
		Outputs: []pipeline.OutputSpec{{Name: "folds", Class: pipeline.Result, MediaType: tables.MediaType},
			{Name: "design", Class: pipeline.Result, MediaType: "application/json"}},
		Params: func() any { return &Params{Folds: 5, Method: splitdata.Stratified, Train: "split_data"} },
		Run:    divide,
	}
}

func divide(_ context.Context, c *pipeline.Call) error {
	p := c.Params.(*Params)
	d, err := tables.ReadDataset(c, "train")
	if err != nil {
		return err
	}
	folds, err := foldsOf(d, p, num.Mix(c.Seed, salt))
	if err != nil {
		return pipeline.BadInput("cross-validation: %v", err).WithHint("choose another number of folds with --cv")
	}
	warnRare(c, d, p)
	column := &frame.Column{Name: "fold", Type: frame.Integer, Num: make([]float64, len(folds))}
	design := Design{Folds: p.Folds, Method: p.Method, Rows: len(folds), FoldRows: make([]int, p.Folds), Candidates: p.Candidates}
	if splitdata.ByColumn(p.Method) {
		design.Column = d.Split.Name
	}
	for i, f := range folds {
		column.Num[i] = float64(f + 1)
		if f >= 0 {
			design.FoldRows[f]++
		}
	}
	if err := tables.Write(c, "folds", &frame.Frame{Rows: len(folds), Columns: []*frame.Column{column}}); err != nil {
		return err
	}
	if err := c.WriteJSON("design", design); err != nil {
		return err
	}
	for _, candidate := range p.Candidates {
		for f := range p.Folds {
			params, err := json.Marshal(FoldParams{f + 1, p.Method == splitdata.Time, candidate.Params, candidate.Options})
			if err != nil {
				return err
			}
			s := pipeline.Stage{Name: fmt.Sprintf("%s:%s:%d", c.Stage, candidate.Name, f+1), Kind: KindOf(candidate.Trainer), Params: params,
				Needs: []pipeline.Need{{Role: "train", Stage: p.Train, Output: "train"}, {Role: "folds", Stage: c.Stage, Output: "folds"}}}
			if err := c.Expand(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func foldsOf(d *dataset.Dataset, p *Params, seed uint64) ([]int32, error) {
	if splitdata.ByColumn(p.Method) && d.Split == nil {
		return nil, fmt.Errorf("folds by %s need a column to go by", p.Method)
	}
	if p.Method == splitdata.Time {
		return split.TimeFolds(d.Split, p.Folds)
	}
	keys := splitdata.Keys(d, seed)
	switch {
	case p.Method == splitdata.Group:
		return split.GroupFolds(d.Split, keys, p.Folds, seed)
	case p.Method == splitdata.Random: // as if all rows were of one class
		return split.Folds(make([]int32, d.Rows()), 1, keys, p.Folds)
	case d.Numeric():
		return nil, errors.New("stratified folds need classes, and the target is a number")
	}
	return split.Folds(d.Y, len(d.Classes), keys, p.Folds)
}

// warnRare tells of classes that some folds do not have.
func warnRare(c *pipeline.Call, d *dataset.Dataset, p *Params) {
	for class, n := range d.Counts() {
		if p.Method == splitdata.Stratified && n > 0 && n < p.Folds {
			c.Warn("RARE_CLASS", rare(d.Classes[class], n, p.Folds), "")
		}
	}
}

func rare(class string, n, folds int) string {
	rows := "rows"
	if n == 1 {
		rows = "row"
	}
	return fmt.Sprintf("the class %s has %d %s to train on, fewer than the %d folds: some folds do not have it", csv.Quote(class), n, rows, folds)
}
