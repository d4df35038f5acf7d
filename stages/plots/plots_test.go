package plots

import (
	"bytes"
	"encoding/json"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/eda"
	shap "github.com/hashline/hashline/ml/explain"
	"github.com/hashline/hashline/ml/importance"
	"github.com/hashline/hashline/ml/leak"
	"github.com/hashline/hashline/ml/learning"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
	stage "github.com/hashline/hashline/stages/eda"
	"github.com/hashline/hashline/stages/evaluate"
	"github.com/hashline/hashline/stages/explain"
	"github.com/hashline/hashline/stages/splitdata"
	"github.com/hashline/hashline/stages/validate"
)

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// inputs are what the other stages write, in their own types, so that a field that is renamed there is missed here.
func inputs(t *testing.T) Inputs {
	t.Helper()
	y := []int32{0, 1, 1, 0, 1, 1}
	e, c, err := metrics.Evaluate([]float64{0.9, 0.1, 0.2, 0.8, 0.6, 0.4, 0.7, 0.3, 0.1, 0.9, 0.5, 0.5}, y, []string{"no", "yes"})
	if err != nil {
		t.Fatal(err)
	}
	table := artifact.DigestOf([]byte("table"))
	info := splitdata.Info{Table: table, Seed: 43, Method: splitdata.Group, Column: "Order ID", TestSize: 0.25, TestRows: 6}
	info.Baseline.Majority = &splitdata.Majority{Class: "yes", Accuracy: 0.6}
	drops := importance.Report{Repeats: 5, Features: []importance.Feature{{Name: "x", Mean: 0.1, SD: 0.01}, {Name: "z", Mean: num.Float(math.NaN())}}}
	judged, found := encode(t, evaluate.Metrics{Model: "m", Evaluation: *e}), encode(t, evaluate.Importance{Model: "m", Report: drops})
	compared := validate.Results{Folds: 2, Method: splitdata.Group, Rows: 18, Scoring: "roc_auc"}
	for i, m := range []string{"first", "second"} {
		score := func(v float64) map[string]num.Float {
			return map[string]num.Float{"roc_auc": num.Float(v), "brier": num.Float(math.NaN())}
		}
		compared.Candidates = append(compared.Candidates, validate.Result{Candidate: validate.Candidate{Name: m, Model: m}, Rank: 2 - i, Mean: score(0.8), SD: score(0.1), ByFold: []map[string]num.Float{score(0.7), score(0.9)}})
	}
	r, errs, err := metrics.EvaluateRegression([]float64{1, 2, 3}, []float64{1, 4, 2})
	if err != nil {
		t.Fatal(err)
	}
	info.Baseline.Mean = &splitdata.Mean{Value: 2, Regression: *r}
	info.Baseline.Cut = &leak.Cut{Feature: "x", Regression: *r}
	numbers := encode(t, evaluate.RegressionMetrics{Model: "m", Metrics: *r})
	learned := encode(t, validate.Curve{Scoring: "roc_auc", Judged: 5, Repeats: 1, Points: []learning.Point{{Rows: 2, Train: 1, Test: 0.5}, {Rows: 4, Train: 1, Test: 0.6}}})
	return Inputs{
		"number metrics": {numbers, numbers}, "number curves": {encode(t, errs), encode(t, errs)},
		"results": {encode(t, compared)}, "curve": {learned, learned},
		"explanation": {encode(t, explain.Explanation{Model: "the model", Of: "yes", Score: true, Rows: 2, Output: 1, Dependence: []shap.Dependence{{Feature: "x", Numbers: []float64{1, 2}, Rows: 2, Means: [][]float64{{0.7, 0.3}, {0.2, 0.8}}}},
			Features: []shap.Contribution{{Feature: "x", Mean: 0.3, Points: []shap.Point{{SHAP: -0.3, Rank: 0}, {SHAP: 0.3, Rank: num.Float(math.NaN())}}}}})},
		"summary": {encode(t, stage.Summary{Table: table, Summary: eda.Summarize(nil, y, []string{"no", "yes"}, 1)})},
		"metrics": {judged, judged}, "curves": {encode(t, c), encode(t, c)}, "importance": {found, found}, "info": {encode(t, info)},
	}
}

func TestRender(t *testing.T) {
	in := inputs(t)
	numbers := Inputs{"metrics": in["number metrics"], "curves": in["number curves"], "importance": in["importance"], "info": in["info"]}
	digest := strings.TrimPrefix(artifact.DigestOf([]byte("table")).String(), "sha256:")[:12]
	ofTest := "n = 6 test rows (25 %), group split by Order ID, seed 43, data " + digest
	for _, c := range []struct {
		stage   pipeline.Stage
		caption string
		says    string
	}{
		{pipeline.Stage{Name: "plot:eda", Kind: "plot_eda"}, "n = 6 rows, data " + digest, ""},
		{pipeline.Stage{Name: "plot:m", Kind: "plot_model", Params: encode(t, ModelParams{Model: "the model"})}, ofTest, "the model"},
		{pipeline.Stage{Name: "plot_learning", Kind: "plot_learning", Params: encode(t, ResultsParams{Models: []string{"a", "b"}})}, "n = 5 rows left out of the training part, seed 43, data " + digest, "ROC AUC"},
		{pipeline.Stage{Name: "plot_explain", Kind: "plot_explain"}, ofTest, "the model"},
		{pipeline.Stage{Name: "plot_cv", Kind: "plot_cv"}, "n = 18 rows to train on, group folds, seed 43, data " + digest, "second first"},
		{pipeline.Stage{Name: "plot:m", Kind: "plot_regression", Params: encode(t, ModelParams{Model: "the model"})}, ofTest, "the model"},
		{pipeline.Stage{Name: "plot_results", Kind: "plot_regression_results", Params: encode(t, ResultsParams{Models: []string{"first", "second"}})}, ofTest, ""},
		{pipeline.Stage{Name: "plot_results", Kind: "plot_results", Params: encode(t, ResultsParams{Models: []string{"first", "second"}})}, ofTest, ""},
	} {
		in := in
		if strings.HasPrefix(c.stage.Kind, "plot_regression") {
			in = numbers
		}
		for _, output := range outputs[c.stage.Kind] {
			svg, err := Render(c.stage, output, "svg", in)
			if err != nil {
				t.Fatalf("%s/%s: %v", c.stage.Name, output, err)
			}
			flat := strings.Join(strings.Fields(text(string(svg))), " ")
			for _, want := range []string{c.caption, c.says} {
				if !strings.Contains(flat, want) {
					t.Errorf("%s/%s does not say %q: %s", c.stage.Name, output, want, flat)
				}
			}
			again, err := Render(c.stage, output, "svg", in)
			if err != nil || !bytes.Equal(svg, again) {
				t.Errorf("%s/%s: another drawing differs (%v)", c.stage.Name, output, err)
			}
			if output != outputs[c.stage.Kind][0] { // a PNG takes a hundred times as long
				continue
			}
			b, err := Render(c.stage, output, "png", in)
			if err != nil {
				t.Fatalf("%s/%s: %v", c.stage.Name, output, err)
			}
			if _, err := png.Decode(bytes.NewReader(b)); err != nil {
				t.Errorf("%s/%s: %v", c.stage.Name, output, err)
			}
		}
	}
}

// text is what stands between the tags.
func text(svg string) string {
	var b strings.Builder
	inside := false
	for _, r := range svg {
		switch r {
		case '<':
			inside = true
			b.WriteByte(' ')
		case '>':
			inside = false
		default:
			if !inside {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}

func TestBaselinesAreDrawn(t *testing.T) {
	svg, err := Render(pipeline.Stage{Name: "plot_results", Kind: "plot_results", Params: encode(t, ResultsParams{Models: []string{"first", "second"}})}, "metrics", "svg", inputs(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"baseline: always yes", "first", "second"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("the metrics do not show %q", want)
		}
	}
	in := inputs(t)
	in["metrics"], in["curves"] = in["number metrics"], in["number curves"]
	svg, err = Render(pipeline.Stage{Name: "plot_results", Kind: "plot_regression_results", Params: encode(t, ResultsParams{Models: []string{"first", "second"}})}, "metrics", "svg", in)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"baseline: always the mean", "baseline: one cut on x", "first", "second"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("the metrics of numbers do not show %q", want)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	in := inputs(t)
	without := Inputs{"metrics": in["metrics"], "curves": in["curves"]}
	broken := Inputs{"summary": {[]byte(`{"rows": "many"}`)}}
	model := encode(t, ModelParams{Model: "m"})
	for _, c := range []struct {
		name, kind, output, format string
		params                     []byte
		in                         Inputs
		want                       string
	}{
		{"another output", "plot_eda", "histogram", "svg", nil, in, `draws no "histogram"`},
		{"another kind", "train", "roc", "svg", nil, in, "draws nothing"},
		{"another format", "plot_eda", "missing", "pdf", nil, in, `"pdf"`},
		{"no input", "plot_model", "roc", "svg", model, without, "inputs info"},
		{"broken input", "plot_eda", "missing", "svg", nil, broken, "input summary"},
		{"broken parameters", "plot_model", "roc", "svg", []byte("{"), in, "parameters"},
		{"fewer models than named", "plot_results", "roc", "svg", encode(t, ResultsParams{Models: []string{"a", "b", "c"}}), in, "inputs metrics"},
	} {
		_, err := Render(pipeline.Stage{Name: c.name, Kind: c.kind, Params: c.params}, c.output, c.format, c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}
