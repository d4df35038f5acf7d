// Package plots holds the stages that draw: they read the numbers of other stages and fit nothing.
package plots

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/chart"
	"github.com/hashline/hashline/ml/eda"
	"github.com/hashline/hashline/ml/explain"
	"github.com/hashline/hashline/ml/importance"
	"github.com/hashline/hashline/ml/learning"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
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
	"plot_cv":      {"cross_validation"},
	"plot_explain": {"shap", "dependence"},

	"plot_learning":           {"learning"},
	"plot_regression":         {"predicted", "residuals", "distribution"},
	"plot_regression_results": {"errors", "metrics", "importance"},
}

// Kinds describes the stages.
func Kinds() []pipeline.Kind {
	ofModel := []pipeline.InputSpec{{Role: "metrics"}, {Role: "curves"}, {Role: "info"}}
	ofModels := []pipeline.InputSpec{{Role: "metrics", Many: true}, {Role: "curves", Many: true}, {Role: "importance", Many: true}, {Role: "info"}}
	return []pipeline.Kind{
		kind("plot_eda", "draws the exploratory data analysis", nil, pipeline.InputSpec{Role: "summary"}),
		kind("plot_model", "draws the evaluation of a model", func() any { return &ModelParams{} }, ofModel...),
		kind("plot_results", "draws the comparison of the models", func() any { return &ResultsParams{} }, ofModels...),
		kind("plot_regression", "draws the evaluation of a model of a numeric target", func() any { return &ModelParams{} }, ofModel...),
		kind("plot_regression_results", "draws the comparison of models of a numeric target", func() any { return &ResultsParams{} }, ofModels...),
		kind("plot_learning", "draws learning curves", func() any { return &ResultsParams{} }, pipeline.InputSpec{Role: "curve", Many: true}, pipeline.InputSpec{Role: "info"}),
		kind("plot_explain", "draws why a model predicts what it does", nil, pipeline.InputSpec{Role: "explanation"}, pipeline.InputSpec{Role: "info"}),
		kind("plot_cv", "draws the scores of cross-validation", nil, pipeline.InputSpec{Role: "results"}, pipeline.InputSpec{Role: "info"}),
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
	case "plot_model", "plot_regression":
		params = &ModelParams{}
	case "plot_results", "plot_regression_results", "plot_learning":
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

// summary, evaluation and info are what this package reads of the outputs of other stages. It does not import them: a
// change in how a model is judged must not redraw the plots of the same figures.
type summary struct {
	Table artifact.Digest `json:"table"`
	eda.Summary
}

type evaluation struct {
	Calibration string            `json:"calibration"`
	Metrics     metrics.Metrics   `json:"metrics"`
	Confusion   metrics.Confusion `json:"confusion"`
}

type info struct {
	Table    artifact.Digest `json:"table"`
	Seed     uint64          `json:"seed"`
	Method   string          `json:"method"`
	Column   string          `json:"column"`
	TestSize float64         `json:"test_size"`
	TestRows int             `json:"test_rows"`
	Baseline struct {
		Majority struct {
			Class    string    `json:"class"`
			Accuracy num.Float `json:"accuracy"`
		} `json:"majority"`
		Stump *struct {
			Feature  string    `json:"feature"`
			Accuracy num.Float `json:"accuracy"`
			ROCAUC   num.Float `json:"roc_auc"`
		} `json:"stump"`
		Mean struct {
			Value num.Float `json:"value"`
			metrics.Regression
		} `json:"mean"`
		Cut *struct {
			Feature string `json:"feature"`
			metrics.Regression
		} `json:"cut"`
	} `json:"baseline"`
}

type results struct {
	Folds      int         `json:"folds"`
	Method     string      `json:"method"`
	Rows       int         `json:"rows"`
	Scoring    string      `json:"scoring"`
	Candidates []candidate `json:"candidates"`
}

type explanation struct {
	Model      string                 `json:"model"`
	Of         string                 `json:"of"`
	Score      bool                   `json:"score"`
	Rows       int                    `json:"rows"`
	Features   []explain.Contribution `json:"features"`
	Dependence []explain.Dependence   `json:"dependence"`
	Output     int                    `json:"output"`
}

type curve struct {
	Scoring string           `json:"scoring"`
	Judged  int              `json:"judged"`
	Repeats int              `json:"repeats"`
	Points  []learning.Point `json:"points"`
}

type candidate struct {
	Name   string                 `json:"name"`
	Rank   int                    `json:"rank"`
	Mean   map[string]num.Float   `json:"mean"`
	SD     map[string]num.Float   `json:"sd"`
	ByFold []map[string]num.Float `json:"by_fold"`
}

// digest is enough of one to tell it from others.
func digest(d artifact.Digest) string {
	return "data " + strings.TrimPrefix(d.String(), "sha256:")[:12]
}

// caption says what a figure of the test part was made of.
func (i *info) caption() string {
	split := i.Method + " split"
	if i.Column != "" {
		split += " by " + i.Column
	}
	return fmt.Sprintf("n = %d test rows (%.3g %%), %s, seed %d, %s", i.TestRows, 100*i.TestSize, split, i.Seed, digest(i.Table))
}

// baselines are what the models have to beat.
func (i *info) baselines() []chart.ModelMetrics {
	majority := metrics.Undefined()
	majority.Accuracy = i.Baseline.Majority.Accuracy
	list := []chart.ModelMetrics{{Model: "baseline: always " + i.Baseline.Majority.Class, Metrics: majority, Baseline: true}}
	if s := i.Baseline.Stump; s != nil {
		stump := metrics.Undefined()
		stump.Accuracy, stump.ROCAUC = s.Accuracy, s.ROCAUC
		list = append(list, chart.ModelMetrics{Model: "baseline: stump on " + s.Feature, Metrics: stump, Baseline: true})
	}
	return list
}

func figures(kind string, params any, in Inputs) (map[string]chart.Figure, error) {
	switch kind {
	case "plot_eda":
		return explored(in)
	case "plot_model":
		return judged(params.(*ModelParams).Model, in)
	case "plot_results":
		return compared(params.(*ResultsParams).Models, in)
	case "plot_regression":
		return judgedNumbers(params.(*ModelParams).Model, in)
	case "plot_regression_results":
		return comparedNumbers(params.(*ResultsParams).Models, in)
	case "plot_cv":
		return validated(in)
	case "plot_learning":
		return learned(params.(*ResultsParams).Models, in)
	case "plot_explain":
		return explained(in)
	}
	return nil, fmt.Errorf("kind %.40q draws nothing", kind)
}

func captioned(caption string, figures map[string]chart.Figure) map[string]chart.Figure {
	for name, f := range figures {
		figures[name] = f.Captioned(caption)
	}
	return figures
}

func explored(in Inputs) (map[string]chart.Figure, error) {
	var s summary
	if err := one(in, "summary", &s); err != nil {
		return nil, err
	}
	return captioned(fmt.Sprintf("n = %d rows, %s", s.Rows, digest(s.Table)), map[string]chart.Figure{
		"target_balance": chart.TargetBalance(&s.Summary), "missing": chart.Missing(&s.Summary), "histograms": chart.Histograms(&s.Summary),
		"categories": chart.Categories(&s.Summary), "correlation": chart.Correlation(&s.Summary)}), nil
}

func judged(model string, in Inputs) (map[string]chart.Figure, error) {
	var e evaluation
	var c metrics.Curves
	var i info
	if err := errors.Join(one(in, "metrics", &e), one(in, "curves", &c), one(in, "info", &i)); err != nil {
		return nil, err
	}
	return captioned(i.caption(), map[string]chart.Figure{"confusion": chart.Confusion(model, e.Confusion), "roc": chart.ROC(model, &c),
		"precision_recall": chart.PrecisionRecall(model, &c), "calibration": chart.Calibration(model, e.Calibration, &c, e.Metrics.Brier)}), nil
}

func compared(models []string, in Inputs) (map[string]chart.Figure, error) {
	var m []chart.ModelMetrics
	var c []chart.ModelCurves
	var d []chart.ModelImportance
	var split info
	if err := one(in, "info", &split); err != nil {
		return nil, err
	}
	for i, name := range models {
		var e evaluation
		var curves metrics.Curves
		var drops importance.Report
		if err := errors.Join(nth(in, "metrics", i, &e), nth(in, "curves", i, &curves), nth(in, "importance", i, &drops)); err != nil {
			return nil, err
		}
		m, c, d = append(m, chart.ModelMetrics{Model: name, Metrics: e.Metrics}), append(c, chart.ModelCurves{Model: name, Curves: &curves}), append(d, chart.ModelImportance{Model: name, Report: &drops})
	}
	return captioned(split.caption(), map[string]chart.Figure{"roc": chart.ROCOfModels(c), "metrics": chart.Metrics(append(m, split.baselines()...)), "importance": chart.Importance(d)}), nil
}

// regression is what this package reads of the metrics of a numeric target.
type regression struct {
	Metrics metrics.Regression `json:"metrics"`
}

func judgedNumbers(model string, in Inputs) (map[string]chart.Figure, error) {
	var e regression
	var c metrics.ErrorCurves
	var i info
	if err := errors.Join(one(in, "metrics", &e), one(in, "curves", &c), one(in, "info", &i)); err != nil {
		return nil, err
	}
	return captioned(i.caption(), map[string]chart.Figure{"predicted": chart.Predicted(model, &c, e.Metrics.R2),
		"residuals": chart.ResidualsByPrediction(model, &c, e.Metrics.RMSE), "distribution": chart.ResidualHistogram(model, &c, e.Metrics.MAE)}), nil
}

func comparedNumbers(models []string, in Inputs) (map[string]chart.Figure, error) {
	var m []chart.ModelRegression
	var c []chart.ModelErrors
	var d []chart.ModelImportance
	var split info
	if err := one(in, "info", &split); err != nil {
		return nil, err
	}
	for i, name := range models {
		var e regression
		var curves metrics.ErrorCurves
		var drops importance.Report
		if err := errors.Join(nth(in, "metrics", i, &e), nth(in, "curves", i, &curves), nth(in, "importance", i, &drops)); err != nil {
			return nil, err
		}
		m, c, d = append(m, chart.ModelRegression{Model: name, Metrics: e.Metrics}), append(c, chart.ModelErrors{Model: name, Curves: &curves}), append(d, chart.ModelImportance{Model: name, Report: &drops})
	}
	mean := split.Baseline.Mean
	m = append(m, chart.ModelRegression{Model: "baseline: always the mean", Metrics: mean.Regression, Baseline: true})
	if cut := split.Baseline.Cut; cut != nil {
		m = append(m, chart.ModelRegression{Model: "baseline: one cut on " + cut.Feature, Metrics: cut.Regression, Baseline: true})
	}
	return captioned(split.caption(), map[string]chart.Figure{"errors": chart.ErrorsOfModels(c), "metrics": chart.RegressionMetrics(m, mean.Regression), "importance": chart.Importance(d)}), nil
}

func validated(in Inputs) (map[string]chart.Figure, error) {
	var r results
	var i info
	if err := errors.Join(one(in, "results", &r), one(in, "info", &i)); err != nil {
		return nil, err
	}
	slices.SortFunc(r.Candidates, func(a, b candidate) int { return cmp.Compare(a.Rank, b.Rank) })
	var list []chart.Validated
	for _, c := range r.Candidates {
		v := chart.Validated{Name: c.Name, Mean: c.Mean[r.Scoring], SD: c.SD[r.Scoring]}
		for _, scores := range c.ByFold {
			v.ByFold = append(v.ByFold, scores[r.Scoring])
		}
		list = append(list, v)
	}
	scoring, _ := metrics.FigureNamed(r.Scoring)
	figure := chart.CrossValidation(scoring, r.Folds, list)
	caption := fmt.Sprintf("n = %d rows to train on, %s folds, seed %d, %s", r.Rows, r.Method, i.Seed, digest(i.Table))
	return captioned(caption, map[string]chart.Figure{"cross_validation": figure}), nil
}

func explained(in Inputs) (map[string]chart.Figure, error) {
	var e explanation
	var i info
	if err := errors.Join(one(in, "explanation", &e), one(in, "info", &i)); err != nil {
		return nil, err
	}
	predicted, added := "the prediction", "the prediction"
	if e.Of != "" {
		predicted = "the probability of " + e.Of
		if added = predicted; e.Score {
			added = "the score of " + e.Of + ", which is the logarithm of its odds"
		}
	}
	return captioned(i.caption(), map[string]chart.Figure{"shap": chart.SHAP(e.Model, added, e.Rows, e.Features), "dependence": chart.Dependence(e.Model, predicted, e.Output, e.Dependence)}), nil
}

func learned(models []string, in Inputs) (map[string]chart.Figure, error) {
	var i info
	if err := one(in, "info", &i); err != nil {
		return nil, err
	}
	var c curve
	var list []chart.Learned
	for m, name := range models {
		if err := nth(in, "curve", m, &c); err != nil {
			return nil, err
		}
		list = append(list, chart.Learned{Model: name, Points: slices.Clone(c.Points)})
	}
	scoring, _ := metrics.FigureNamed(c.Scoring)
	caption := fmt.Sprintf("n = %d rows left out of the training part, seed %d, %s", c.Judged, i.Seed, digest(i.Table))
	return captioned(caption, map[string]chart.Figure{"learning": chart.Learning(scoring, c.Repeats, list)}), nil
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
