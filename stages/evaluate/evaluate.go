// Package evaluate is the stage that judges a model on the test part.
package evaluate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/importance"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
)

// Params of the stage.
type Params struct {
	Model   string `json:"model"`   // its name, for the documents
	Repeats int    `json:"repeats"` // permutations of every feature
}

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error {
	if p.Repeats < 1 || p.Repeats > 100 {
		return fmt.Errorf("repeats is %d, want 1 to 100", p.Repeats)
	}
	return nil
}

// Metrics is the output of that name.
type Metrics struct {
	Model  string `json:"model"`
	Kind   string `json:"kind"`
	Engine string `json:"engine"`
	metrics.Evaluation

	Calibration string    `json:"calibration,omitempty"` // its method
	Decision    *Decision `json:"decision,omitempty"`
}

// Decision is a threshold that was chosen by cost, and what it costs on the test part: the mean of a row.
type Decision struct {
	model.Decision
	Cost   num.Float `json:"cost"`
	AtHalf num.Float `json:"cost_at_half"` // had the threshold been 0.5
}

// decision tells what the threshold of a model costs.
func decision(m *model.Model, proba []float64, y []int32) *Decision {
	if m.Decision == nil {
		return nil
	}
	costs := func(label func([]float64) int32) num.Float {
		alarms, misses := 0, 0
		for i, truth := range y {
			switch l := label(proba[2*i : 2*i+2]); {
			case l > truth:
				alarms++
			case l < truth:
				misses++
			}
		}
		return num.Float((float64(m.Decision.FalsePositive*float64(alarms)) + float64(m.Decision.FalseNegative*float64(misses))) / float64(len(y)))
	}
	return &Decision{*m.Decision, costs(m.Label), costs(metrics.Label)}
}

// Importance is the output of that name.
type Importance struct {
	Model string `json:"model"`
	importance.Report
}

// Kind describes the stage. Output predictions is a table with the true class, the label and the probability of every
// class; metrics is a Metrics, curves a metrics.Curves, importance an Importance.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name: "evaluate", Doc: "judges a model on the test part", Package: "stages/evaluate", Seeded: true,
		Inputs: []pipeline.InputSpec{{Role: "model"}, {Role: "test"}},
		Outputs: []pipeline.OutputSpec{{Name: "predictions", Class: pipeline.Result, MediaType: tables.MediaType},
			{Name: "metrics", Class: pipeline.Result, MediaType: "application/json"},
			{Name: "curves", Class: pipeline.Result, MediaType: "application/json"},
			{Name: "importance", Class: pipeline.Result, MediaType: "application/json"}},
		Params: func() any { return &Params{Repeats: 5} },
		Run:    run,
	}
}

// inputs reads the model and the test part, and lets the one predict the other.
func inputs(c *pipeline.Call) (m *model.Model, d *dataset.Dataset, predicted []float64, err error) {
	blob, err := c.Input("model")
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := io.ReadAll(blob)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("input model: %w", err)
	}
	if m, err = model.Parse(b); err != nil {
		return nil, nil, nil, err
	}
	if d, err = tables.ReadDataset(c, "test"); err != nil {
		return nil, nil, nil, err
	}
	if !slices.Equal(d.Names(), m.Columns) || !slices.Equal(d.Classes, m.Classes) {
		return nil, nil, nil, errors.New("the model and the test part do not have the same features and classes")
	}
	predicted, err = m.Estimator().Predict(d.Features, c.Cores)
	return m, d, predicted, err
}

func run(_ context.Context, c *pipeline.Call) error {
	p := c.Params.(*Params)
	m, d, proba, err := inputs(c)
	if err != nil {
		return err
	}
	if d.Numeric() {
		return errors.New("the target is a number: its models are judged by evaluate_regression")
	}
	evaluation, curves, err := metrics.EvaluateLabels(proba, d.Y, d.Classes, m.Label)
	if err != nil {
		return err
	}
	drops, err := importance.Permutation(m.Estimator(), d.Features, proba, d.Y, len(d.Classes), permuteSeed(c.Seed), p.Repeats, c.Cores)
	if err != nil {
		return err
	}
	judged := Metrics{Model: p.Model, Kind: m.Kind, Engine: m.Engine, Evaluation: *evaluation, Decision: decision(m, proba, d.Y)}
	if m.Calibration != nil {
		judged.Calibration = m.Calibration.Method
	}
	return errors.Join(
		tables.Write(c, "predictions", predictions(d, proba, m.Label)),
		c.WriteJSON("metrics", judged),
		c.WriteJSON("curves", curves),
		c.WriteJSON("importance", Importance{p.Model, *drops}))
}

// permuteSeed keeps the permutations apart from other draws of the same seed.
func permuteSeed(seed uint64) uint64 { return num.Mix(seed, 0x706572) }

// predictions is a table of the rows of the test part in their order.
func predictions(d *dataset.Dataset, proba []float64, label func([]float64) int32) *frame.Frame {
	k, n := len(d.Classes), len(d.Y)
	labels := make([]int32, n)
	shares := make([][]float64, k)
	for c := range shares {
		shares[c] = make([]float64, n)
	}
	for i := range n {
		row := proba[i*k : (i+1)*k]
		labels[i] = label(row)
		for c, p := range row {
			shares[c][i] = p
		}
	}
	f := &frame.Frame{Rows: n, Columns: []*frame.Column{
		{Name: "class", Type: frame.Category, Codes: d.Y, Levels: d.Classes},
		{Name: "label", Type: frame.Category, Codes: labels, Levels: d.Classes}}}
	for c, name := range d.Classes {
		f.Columns = append(f.Columns, &frame.Column{Name: "probability of " + name, Type: frame.Float, Num: shares[c]})
	}
	return f
}
