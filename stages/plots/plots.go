// Package plots holds the stages that draw: they read the numbers of other stages and fit nothing.
package plots

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hashline/hashline/ml/chart"
	"github.com/hashline/hashline/ml/eda"
	"github.com/hashline/hashline/ml/importance"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/pipeline"
)

// ModelParams are the parameters of plot_model.
type ModelParams struct {
	Model string `json:"model"` // its name, for the titles
}

// ResultsParams are the parameters of plot_results.
type ResultsParams struct {
	Models []string `json:"models"` // names in the order of the inputs
}

const mediaType = "image/svg+xml"

// plots of each kind, in the order of the outputs.
var outputs = map[string][]string{
	"plot_eda":     {"target_balance", "missing", "histograms", "categories", "correlation"},
	"plot_model":   {"confusion", "roc", "precision_recall", "calibration"},
	"plot_results": {"roc", "metrics", "importance"},
}

// Kinds describes the stages.
func Kinds() []pipeline.Kind {
	return []pipeline.Kind{
		kind("plot_eda", "draws the exploratory data analysis", nil, pipeline.InputSpec{Role: "summary"}),
		kind("plot_model", "draws the evaluation of a model", func() any { return &ModelParams{} }, pipeline.InputSpec{Role: "metrics"}, pipeline.InputSpec{Role: "curves"}),
		kind("plot_results", "draws the comparison of the models", func() any { return &ResultsParams{} }, pipeline.InputSpec{Role: "metrics", Many: true},
			pipeline.InputSpec{Role: "curves", Many: true}, pipeline.InputSpec{Role: "importance", Many: true}),
	}
}

func kind(name, doc string, params func() any, inputs ...pipeline.InputSpec) pipeline.Kind {
	k := pipeline.Kind{Name: name, Doc: doc, Package: "stages/plots", Inputs: inputs, Params: params}
	for _, o := range outputs[name] {
		k.Outputs = append(k.Outputs, pipeline.OutputSpec{Name: o, Class: pipeline.View, MediaType: mediaType})
	}
	k.Run = func(_ context.Context, c *pipeline.Call) error {
		given := Inputs{}
		for _, i := range inputs {
			blobs, err := c.Inputs(i.Role)
			if err != nil {
				return err
			}
			for _, b := range blobs {
				text, err := io.ReadAll(b)
				if err != nil {
					return fmt.Errorf("input %s: %w", i.Role, err)
				}
				given[i.Role] = append(given[i.Role], text)
			}
		}
		figures, err := figures(name, c.Params, given)
		if err != nil {
			return err
		}
		for _, o := range outputs[name] {
			w, err := c.Create(o)
			if err != nil {
				return err
			}
			if err := chart.Render(w, figures[o], chart.SVG); err != nil {
				return fmt.Errorf("output %s: %w", o, err)
			}
		}
		return nil
	}
	return k
}

// Inputs are the contents of a stage's inputs by role, in the plan's order.
type Inputs map[string][][]byte

// Render draws an output of a plotting stage again from the stage's inputs, in another format.
func Render(stage pipeline.Stage, output, format string, in Inputs) ([]byte, error) {
	var params any
	switch stage.Kind {
	case "plot_model":
		params = &ModelParams{}
	case "plot_results":
		params = &ResultsParams{}
	}
	if params != nil {
		if err := json.Unmarshal(stage.Params, params); err != nil {
			return nil, fmt.Errorf("parameters of %s: %w", stage.Name, err)
		}
	}
	figures, err := figures(stage.Kind, params, in)
	if err != nil {
		return nil, err
	}
	f, ok := figures[output]
	if !ok {
		return nil, fmt.Errorf("stage %s draws no %.40q", stage.Name, output)
	}
	var b bytes.Buffer
	err = chart.Render(&b, f, format)
	return b.Bytes(), err
}

// evaluation is what this package reads of an evaluation's metrics.
type evaluation struct {
	Metrics   metrics.Metrics   `json:"metrics"`
	Confusion metrics.Confusion `json:"confusion"`
}

func figures(kind string, params any, in Inputs) (map[string]chart.Figure, error) {
	switch kind {
	case "plot_eda":
		var s eda.Summary
		if err := one(in, "summary", &s); err != nil {
			return nil, err
		}
		return map[string]chart.Figure{"target_balance": chart.TargetBalance(&s), "missing": chart.Missing(&s), "histograms": chart.Histograms(&s),
			"categories": chart.Categories(&s), "correlation": chart.Correlation(&s)}, nil
	case "plot_model":
		var e evaluation
		var c metrics.Curves
		if err := errors.Join(one(in, "metrics", &e), one(in, "curves", &c)); err != nil {
			return nil, err
		}
		name := params.(*ModelParams).Model
		return map[string]chart.Figure{"confusion": chart.Confusion(name, e.Confusion), "roc": chart.ROC(name, &c),
			"precision_recall": chart.PrecisionRecall(name, &c), "calibration": chart.Calibration(name, &c)}, nil
	case "plot_results":
		return results(params.(*ResultsParams).Models, in)
	}
	return nil, fmt.Errorf("kind %.40q draws nothing", kind)
}

func results(models []string, in Inputs) (map[string]chart.Figure, error) {
	var m []chart.ModelMetrics
	var c []chart.ModelCurves
	var d []chart.ModelImportance
	for i, name := range models {
		var e evaluation
		var curves metrics.Curves
		var drops importance.Report
		if err := errors.Join(nth(in, "metrics", i, &e), nth(in, "curves", i, &curves), nth(in, "importance", i, &drops)); err != nil {
			return nil, err
		}
		m, c, d = append(m, chart.ModelMetrics{Model: name, Metrics: e.Metrics}), append(c, chart.ModelCurves{Model: name, Curves: &curves}), append(d, chart.ModelImportance{Model: name, Report: &drops})
	}
	return map[string]chart.Figure{"roc": chart.ROCOfModels(c), "metrics": chart.Metrics(m), "importance": chart.Importance(d)}, nil
}

func one(in Inputs, role string, v any) error { return nth(in, role, 0, v) }

func nth(in Inputs, role string, i int, v any) error {
	if i >= len(in[role]) {
		return fmt.Errorf("there are %d inputs %s, want more", len(in[role]), role)
	}
	if err := json.Unmarshal(in[role][i], v); err != nil {
		return fmt.Errorf("input %s: %w", role, err)
	}
	return nil
}
