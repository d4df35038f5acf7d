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
	evaluation, curves, err := metrics.Evaluate(proba, d.Y, d.Classes)
	if err != nil {
		return err
	}
	drops, err := importance.Permutation(m.Estimator(), d.Features, proba, d.Y, len(d.Classes), permuteSeed(c.Seed), p.Repeats, c.Cores)
	if err != nil {
		return err
	}
	return errors.Join(
		tables.Write(c, "predictions", predictions(d, proba)),
		c.WriteJSON("metrics", Metrics{p.Model, m.Kind, m.Engine, *evaluation}),
		c.WriteJSON("curves", curves),
		c.WriteJSON("importance", Importance{p.Model, *drops}))
}

// permuteSeed keeps the permutations apart from other draws of the same seed.
func permuteSeed(seed uint64) uint64 { return num.Mix(seed, 0x706572) }

// predictions is a table of the rows of the test part in their order.
func predictions(d *dataset.Dataset, proba []float64) *frame.Frame {
	k, n := len(d.Classes), len(d.Y)
	labels := make([]int32, n)
	shares := make([][]float64, k)
	for c := range shares {
		shares[c] = make([]float64, n)
	}
	for i := range n {
		row := proba[i*k : (i+1)*k]
		labels[i] = metrics.Label(row)
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
