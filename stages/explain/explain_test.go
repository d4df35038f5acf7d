package explain

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/boost"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/linear"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/parquet"
	"github.com/hashline/hashline/ml/tree"
	"github.com/hashline/hashline/pipeline"
)

// rows is a dataset whose target follows the feature x, and a little the category.
func rows(n, classes int, seed uint64) *dataset.Dataset {
	rng := num.NewRNG(seed)
	d := &dataset.Dataset{Expression: "y", Recipe: json.RawMessage("{}")}
	x, noise := &frame.Column{Name: "x", Type: frame.Float}, &frame.Column{Name: "noise", Type: frame.Float}
	kind := &frame.Column{Name: "kind", Type: frame.Category, Levels: []string{"a", "b"}}
	for c := range classes {
		d.Classes = append(d.Classes, fmt.Sprint("class ", c))
	}
	for range n {
		v, k := rng.Float64(), int32(rng.Intn(2))
		x.Num, noise.Num, kind.Codes = append(x.Num, v), append(noise.Num, rng.Float64()), append(kind.Codes, k)
		y := v + 0.1*float64(k)
		if classes == 0 {
			d.Target = append(d.Target, 100*y)
			continue
		}
		d.Y = append(d.Y, int32(min(float64(classes-1), y*float64(classes))))
	}
	d.Features = []*frame.Column{x, noise, kind}
	return d
}

type input struct {
	role    string
	content []byte
}

// runOn executes the stage.
func runOn(t *testing.T, names []string, inputs ...input) (*Explanation, []artifact.Warning) {
	t.Helper()
	store, err := artifact.Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	registry, err := pipeline.NewRegistry(nil, Kind())
	if err != nil {
		t.Fatal(err)
	}
	var in []pipeline.Input
	for _, i := range inputs {
		ref, err := store.PutBytes(context.Background(), i.content)
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, pipeline.Input{Role: i.role, Ref: ref})
	}
	x := &pipeline.Executor{Store: store, Registry: registry, Worker: "w", Cores: 2}
	out, err := x.Execute(context.Background(), pipeline.Stage{Name: "explain", Kind: "explain", Params: text(t, Params{Models: names, Rows: 50})}, 1, in)
	if err != nil {
		t.Fatal(err)
	}
	b, err := store.ReadOutput(context.Background(), out.Outputs[0])
	if err != nil {
		t.Fatal(err)
	}
	var e Explanation
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return &e, out.Warnings
}

func text(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func table(t *testing.T, d *dataset.Dataset) []byte {
	t.Helper()
	f, err := d.Frame()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := parquet.Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func fileOf(t *testing.T, d *dataset.Dataset, kind string, e *tree.Ensemble, l *linear.Model, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return text(t, model.Model{Schema: model.Schema, Kind: kind, Engine: "native", Target: d.Expression, Classes: d.Classes, Recipe: d.Recipe, Tree: e, Linear: l, Columns: d.Names()})
}

// The best model of trees is explained; base and values add up to what it predicts, and what matters comes first.
func TestTheBestModelOfTreesIsExplained(t *testing.T) {
	for _, classes := range []int{0, 2, 3} {
		train, test := rows(600, classes, 1), rows(90, classes, 2)
		var stump, forest *tree.Ensemble
		var err, err2 error
		var boosted *tree.Ensemble
		if classes == 0 {
			stump, err = tree.FitTreeRegressor(train.Features, train.Target, tree.Options{MaxDepth: 1})
			forest, err2 = tree.FitForestRegressor(train.Features, train.Target, tree.Options{Trees: 9, Seed: 1, MinSamplesLeaf: 3})
		} else {
			stump, err = tree.FitTree(train.Features, train.Y, classes, tree.Options{MaxDepth: 1})
			forest, err2 = tree.FitForest(train.Features, train.Y, classes, tree.Options{Trees: 9, Seed: 1, MinSamplesLeaf: 3})
			var err3 error
			if boosted, err3 = boost.FitClassifier(train.Features, train.Y, classes, boost.Options{Iterations: 5}); err3 != nil {
				t.Fatal(err3)
			}
		}
		figure := func(v float64) []byte {
			if classes == 0 {
				return fmt.Appendf(nil, `{"metrics":{"rmse":%v}}`, 1/v)
			}
			return fmt.Appendf(nil, `{"metrics":{"roc_auc":%v}}`, v)
		}
		parts := []input{{"train", table(t, train)}, {"test", table(t, test)}}
		e, _ := runOn(t, []string{"stump", "forest"}, append([]input{{"model", fileOf(t, train, "decision_tree", stump, nil, err)}, {"model", fileOf(t, train, "random_forest", forest, nil, err2)},
			{"metrics", figure(0.7)}, {"metrics", figure(0.9)}}, parts...)...)
		if e.Model != "forest" || e.Kind != "random_forest" || e.Rows != 50 || e.Score || len(e.Features) != 3 || e.Features[0].Feature != "x" {
			t.Fatalf("%d classes: %+v", classes, e)
		}
		if want := map[int]string{0: "", 2: "class 1", 3: "class 1"}[classes]; e.Of != want && classes != 3 {
			t.Errorf("of %q, want %q", e.Of, want)
		}
		proba, err := forest.Predict(spaced(test.Features, 50), 1)
		if err != nil {
			t.Fatal(err)
		}
		for r := range 50 {
			sum := float64(e.Base)
			for _, f := range e.Features {
				sum += float64(f.Points[r].SHAP)
			}
			if want := proba[r*max(1, classes)+e.Output]; math.Abs(sum-want) > 1e-6*max(1, math.Abs(want)) {
				t.Fatalf("%d classes, row %d: base and values are %v, the prediction %v", classes, r, sum, want)
			}
		}
		if d := e.Dependence[0]; d.Feature != "x" || len(d.Numbers) != 20 || classes < 3 && !(d.Means[19][e.Output] > d.Means[0][e.Output]+0.5) {
			t.Errorf("dependence %+v", d)
		}
		if classes == 0 {
			continue
		}
		// Boosting is explained by its score.
		e, _ = runOn(t, []string{"boosting"}, append([]input{{"model", fileOf(t, train, "gradient_boosting", boosted, nil, nil)}, {"metrics", figure(0.7)}}, parts...)...)
		if !e.Score || e.Features[0].Feature != "x" {
			t.Errorf("%+v", e)
		}
	}
}

func TestNothingToExplain(t *testing.T) {
	d := rows(100, 2, 1)
	l, err := linear.Fit(d.Features, d.Y, 2, linear.Options{})
	e, warnings := runOn(t, []string{"linear"}, input{"model", fileOf(t, d, "logistic_regression", nil, l, err)}, input{"metrics", []byte(`{"metrics":{"roc_auc":null}}`)},
		input{"train", table(t, d)}, input{"test", table(t, d)})
	if e.Model != "" || len(e.Features) != 0 || len(warnings) != 1 || !strings.Contains(warnings[0].Message, "no model of trees") {
		t.Errorf("%+v, %v", e, warnings)
	}
}
