package validate

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashline/hashline/ml/calibrate"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/split"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/splitdata"
	"github.com/hashline/hashline/stages/tables"
	"github.com/hashline/hashline/stages/train"
)

// Options are what is learned besides a model: from what it predicts of rows when it is trained without them.
type Options struct {
	Calibration string `json:"calibration,omitempty"` // sigmoid or isotonic; empty: none
	Threshold   *Costs `json:"threshold,omitempty"`   // nil: the larger probability decides
	Method      string `json:"method,omitempty"`      // of splitdata, by which the rows are divided; empty: stratified
}

// Costs of a wrong answer, of two classes; the second is the positive one.
type Costs struct {
	FalsePositive float64 `json:"cost_false_positive" yaml:"cost_false_positive"`
	FalseNegative float64 `json:"cost_false_negative" yaml:"cost_false_negative"`
}

// IsZero reports whether there is nothing to learn.
func (o Options) IsZero() bool { return o.Calibration == "" && o.Threshold == nil }

// Validate implements pipeline's check of parameters.
func (o Options) Validate() error {
	if o.Calibration != "" && o.Calibration != calibrate.Sigmoid && o.Calibration != calibrate.Isotonic {
		return fmt.Errorf("calibration is %.40q, want sigmoid or isotonic", o.Calibration)
	}
	if t := o.Threshold; t != nil {
		const most = 1e12
		if !(t.FalsePositive >= 0 && t.FalsePositive <= most && t.FalseNegative >= 0 && t.FalseNegative <= most && t.FalsePositive+t.FalseNegative > 0) {
			return fmt.Errorf("threshold: the costs are %v and %v, want cost_false_positive and cost_false_negative of 0 or more, not both 0", t.FalsePositive, t.FalseNegative)
		}
	}
	return nil
}

// optionFolds is the number of trainings besides the model's own.
const optionFolds = 5

// saltOptions makes the seed of these folds another one than that of those that judge.
const saltOptions = 0x6f707473

// fit trains a model and learns the options. The calibration is fitted on the predictions of rows by what was trained without
// them, as scikit-learn's CalibratedClassifierCV(ensemble=False) does, and the threshold chosen on the same, calibrated.
func (o Options) fit(c *pipeline.Call, t train.Trainer, params any, d *dataset.Dataset) (*model.Model, error) {
	if err := o.fits(d); err != nil { // before a training that may take long
		return nil, err
	}
	m, err := t.Fit(c, params, d)
	if err != nil || o.IsZero() {
		return m, err
	}
	proba, y, err := o.outside(c, t, params, d)
	if err != nil {
		return nil, err
	}
	if o.Calibration != "" {
		if m.Calibration, err = calibrate.Fit(o.Calibration, proba, y, len(d.Classes)); err != nil {
			return nil, fmt.Errorf("calibration: %w", err)
		}
		proba = m.Calibration.Apply(proba)
	}
	if o.Threshold != nil {
		second, positive := make([]float64, len(y)), make([]bool, len(y))
		for i, class := range y {
			second[i], positive[i] = proba[2*i+1], class == 1
		}
		chosen, err := calibrate.Threshold(second, positive, calibrate.Costs{FalsePositive: o.Threshold.FalsePositive, FalseNegative: o.Threshold.FalseNegative})
		if err != nil {
			return nil, fmt.Errorf("threshold: %w", err)
		}
		m.Decision = &model.Decision{Threshold: chosen.Threshold, FalsePositive: o.Threshold.FalsePositive, FalseNegative: o.Threshold.FalseNegative}
	}
	return m, nil
}

// fits holds the options to the target.
func (o Options) fits(d *dataset.Dataset) error {
	if d.Numeric() && !o.IsZero() {
		return pipeline.BadInput("calibration and thresholds are for classes, and the target is a number").WithHint("leave them out")
	}
	if o.Threshold != nil && len(d.Classes) != 2 {
		return pipeline.BadInput("a threshold decides between two classes, and the target has %d", len(d.Classes)).WithHint("leave it out, or take a target such as COLUMN == TEXT")
	}
	return nil
}

// outside returns what is predicted of rows by what was trained without them, and their classes; of a split by time that of
// all but the earliest rows.
func (o Options) outside(c *pipeline.Call, t train.Trainer, params any, d *dataset.Dataset) (proba []float64, y []int32, err error) {
	method := o.Method
	if method == "" {
		method = splitdata.Stratified
	}
	folds, err := foldsOf(d, &Params{Folds: optionFolds, Method: method}, num.Mix(c.Seed, saltOptions))
	if err != nil {
		return nil, nil, pipeline.BadInput("calibration and threshold: %v", err).WithHint("leave them out, or train on more rows")
	}
	for f := range optionFolds {
		parts := split.Fold(folds, f, method == splitdata.Time)
		learn, judge := d.Take(parts.Train), d.Take(parts.Test)
		if err := learnable(learn, f+1); err != nil {
			return nil, nil, err
		}
		m, err := t.Fit(c, params, learn)
		if err != nil {
			return nil, nil, err
		}
		p, err := m.Estimator().Predict(judge.Features, c.Cores)
		if err != nil {
			return nil, nil, err
		}
		proba, y = append(proba, p...), append(y, judge.Y...)
	}
	return proba, y, nil
}

// CalibrateParams are the parameters of a stage that trains a model with options.
type CalibrateParams struct {
	Options Options `json:"options"`
	Params  any     `json:"params"`
}

// Validate implements pipeline's check of parameters.
func (p *CalibrateParams) Validate() error {
	return errors.Join(p.Options.Validate(), checkParams(p.Params))
}

// CalibrateKindOf names the kind of stage that trains by the named kind, with options.
func CalibrateKindOf(trainer string) string { return "calibrate_" + trainer }

// CalibrateKind describes the stage that trains by t and learns a calibration and a threshold. Its inputs and its output are
// those of t.
func CalibrateKind(t train.Trainer) pipeline.Kind {
	k := pipeline.Kind{
		Name: CalibrateKindOf(t.Name), Doc: t.Doc + ", a calibration and a threshold", Seeded: true, Native: t.Native, Inputs: t.Inputs, Outputs: t.Outputs,
		Params: func() any { return &CalibrateParams{Params: paramsOf(t)} },
	}
	k.Package, k.Uses = codeOf(t)
	k.Run = func(_ context.Context, c *pipeline.Call) error {
		p := c.Params.(*CalibrateParams)
		d, err := tables.ReadDataset(c, "train")
		if err != nil {
			return err
		}
		params, err := t.Settings(c, p.Params)
		if err != nil {
			return err
		}
		m, err := p.Options.fit(c, t, params, d)
		if err != nil {
			return err
		}
		return c.WriteJSON("model", m)
	}
	return k
}
