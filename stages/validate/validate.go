// Package validate holds the stages of cross-validation: one divides the training part into folds and returns a stage for
// each candidate and fold, which trains without the fold and judges on it; one compares the candidates; one hands the
// best settings of a model to its training. Others train in the same way: for a calibration and a threshold, and for a
// learning curve.
//
// A candidate is a model with settings: one for each model of a plain cross-validation, many for each in a search. All
// that is fitted, preprocessing included, is fitted on the rows outside of the fold, and the test part takes no part.
package validate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/split"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
	"github.com/hashline/hashline/stages/train"
)

// FoldParams are the parameters of a stage that trains without a fold and judges on it.
type FoldParams struct {
	Fold   int  `json:"fold"` // from 1
	Past   bool `json:"past"` // train on earlier folds alone
	Params any  `json:"params"`

	Options Options `json:"options,omitzero"`
}

// Validate implements pipeline's check of parameters.
func (p *FoldParams) Validate() error {
	if p.Fold < 1 || p.Fold > split.MaxFolds {
		return fmt.Errorf("fold is %d, want 1 to %d", p.Fold, split.MaxFolds)
	}
	return errors.Join(p.Options.Validate(), checkParams(p.Params))
}

// checkParams checks the parameters of a trainer.
func checkParams(params any) error {
	if params == nil {
		return errors.New("params are null")
	}
	if v, ok := params.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// paramsOf returns the parameters of a trainer with their defaults.
func paramsOf(t train.Trainer) any {
	if t.Params == nil {
		return &struct{}{}
	}
	return t.Params()
}

// codeOf says what a stage that trains by t is built from; nobody knows where that is not known of t.
func codeOf(t train.Trainer) (pkg string, uses []string) {
	if t.Package == "" {
		return "", nil
	}
	return "stages/validate", []string{t.Package}
}

// Scores are what a model reached on a fold.
type Scores struct {
	Rows   int                  `json:"rows"` // of the fold
	Scores map[string]num.Float `json:"scores"`
}

// KindOf names the kind of stage that trains by the named kind and judges on a fold.
func KindOf(trainer string) string { return "validate_" + trainer }

// Kind describes the stage that trains by t without a fold and judges on it: its output scores is Scores. The model is not
// kept.
func Kind(t train.Trainer) pipeline.Kind {
	k := pipeline.Kind{
		Name: KindOf(t.Name), Doc: t.Doc + " without a fold and judges it on the fold", Seeded: true, Native: t.Native, Inline: true,
		Inputs:  []pipeline.InputSpec{{Role: "train"}, {Role: "folds"}},
		Outputs: []pipeline.OutputSpec{{Name: "scores", Class: pipeline.Result, MediaType: "application/json"}},
		Params:  func() any { return &FoldParams{Params: paramsOf(t)} },
	}
	k.Package, k.Uses = codeOf(t)
	k.Run = func(_ context.Context, c *pipeline.Call) error {
		p := c.Params.(*FoldParams)
		d, err := tables.ReadDataset(c, "train")
		if err != nil {
			return err
		}
		folds, err := readFolds(c, d.Rows())
		if err != nil {
			return err
		}
		parts := split.Fold(folds, p.Fold-1, p.Past)
		if len(parts.Train) == 0 || len(parts.Test) == 0 {
			return fmt.Errorf("there is no fold %d", p.Fold)
		}
		learn, judge := d.Take(parts.Train), d.Take(parts.Test)
		if err := learnable(learn, p.Fold); err != nil {
			return err
		}
		m, err := p.Options.fit(c, t, p.Params, learn)
		if err != nil {
			return err
		}
		s := Scores{Rows: judge.Rows()}
		if s.Scores, err = score(m, judge, c.Cores); err != nil {
			return err
		}
		return c.WriteJSON("scores", s)
	}
	return k
}

// score judges a model on a fold.
func score(m *model.Model, d *dataset.Dataset, cores int) (map[string]num.Float, error) {
	predicted, err := m.Estimator().Predict(d.Features, cores)
	if err != nil {
		return nil, err
	}
	if d.Numeric() {
		e, _, err := metrics.EvaluateRegression(predicted, d.Target)
		if err != nil {
			return nil, err
		}
		return figures(e)
	}
	e, _, err := metrics.EvaluateLabels(predicted, d.Y, d.Classes, m.Label)
	if err != nil {
		return nil, err
	}
	return figures(e.Metrics)
}

// learnable wants two classes in what is trained on. Of numbers one is enough.
func learnable(d *dataset.Dataset, fold int) error {
	if d.Numeric() {
		return nil
	}
	present := 0
	for _, n := range d.Counts() {
		if n > 0 {
			present++
		}
	}
	if present < 2 {
		return pipeline.BadInput("without fold %d there is only one class of %q to learn from", fold, d.Expression).WithHint("choose another number of folds with --cv, or another split")
	}
	return nil
}

// figures returns the figures of an evaluation by name, whatever kind of task it is of.
func figures(evaluation any) (map[string]num.Float, error) {
	b, err := json.Marshal(evaluation)
	if err != nil {
		return nil, err
	}
	var by map[string]num.Float
	return by, json.Unmarshal(b, &by)
}

// readFolds reads the fold of each row.
func readFolds(c *pipeline.Call, rows int) ([]int32, error) {
	f, err := tables.Read(c, "folds")
	if err != nil {
		return nil, err
	}
	column := f.Column("fold")
	if column == nil || column.Num == nil || f.Rows != rows {
		return nil, errors.New("input folds: it does not have a fold for each row")
	}
	folds := make([]int32, rows)
	for i, v := range column.Num {
		folds[i] = int32(v) - 1
	}
	return folds, nil
}
