package evaluate

import (
	"context"
	"errors"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/importance"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
)

// RegressionMetrics is the output metrics of evaluate_regression.
type RegressionMetrics struct {
	Model   string             `json:"model"`
	Kind    string             `json:"kind"`
	Engine  string             `json:"engine"`
	Rows    int                `json:"rows"`
	Metrics metrics.Regression `json:"metrics"`
}

// Regression describes the stage that judges a model of a numeric target. Output predictions is a table with the actual and
// the predicted number of every row; metrics is a RegressionMetrics, curves a metrics.ErrorCurves, importance an Importance.
func Regression() pipeline.Kind {
	k := Kind()
	k.Name, k.Doc, k.Run = "evaluate_regression", "judges a model of a numeric target on the test part", runRegression
	return k
}

func runRegression(_ context.Context, c *pipeline.Call) error {
	p := c.Params.(*Params)
	m, d, predicted, err := inputs(c)
	if err != nil {
		return err
	}
	if !d.Numeric() {
		return errors.New("the target has classes: its models are judged by evaluate")
	}
	figures, curves, err := metrics.EvaluateRegression(predicted, d.Target)
	if err != nil {
		return err
	}
	drops, err := importance.PermutationR2(m.Estimator(), d.Features, predicted, d.Target, permuteSeed(c.Seed), p.Repeats, c.Cores)
	if err != nil {
		return err
	}
	table := &frame.Frame{Rows: d.Rows(), Columns: []*frame.Column{{Name: "actual", Type: frame.Float, Num: d.Target}, {Name: "predicted", Type: frame.Float, Num: predicted}}}
	return errors.Join(
		tables.Write(c, "predictions", table),
		c.WriteJSON("metrics", RegressionMetrics{p.Model, m.Kind, m.Engine, d.Rows(), *figures}),
		c.WriteJSON("curves", curves),
		c.WriteJSON("importance", Importance{p.Model, *drops}))
}
