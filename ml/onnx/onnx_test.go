package onnx_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/ml/boost"
	"github.com/hashline/hashline/ml/calibrate"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/linear"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/onnx"
	"github.com/hashline/hashline/ml/tree"
	"github.com/hashline/hashline/sample"
)

// superstore returns the raw rows for training and for the test.
func superstore(t *testing.T) (train, test *frame.Frame) {
	t.Helper()
	data, err := sample.Superstore()
	if err != nil {
		t.Fatal(err)
	}
	src := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	f, _, err := csv.Read(context.Background(), src, csv.Options{Cores: 2})
	if err != nil {
		t.Fatal(err)
	}
	var a, b []int32
	for i := range f.Rows {
		if i%5 == 0 {
			b = append(b, int32(i))
		} else {
			a = append(a, int32(i))
		}
	}
	return f.Take(a), f.Take(b)
}

func recipe(f *frame.Frame) *feature.Recipe {
	r := &feature.Recipe{Schema: feature.RecipeSchema}
	add := func(name, op string, inputs ...string) {
		for _, in := range inputs {
			if !slices.ContainsFunc(r.Columns, func(s feature.Source) bool { return s.Name == in }) {
				r.Columns = append(r.Columns, feature.Source{Name: in, Type: f.Column(in).Type.String()})
			}
		}
		r.Features = append(r.Features, feature.Feature{Name: name, Op: op, Inputs: inputs})
	}
	for _, c := range []string{"Sales", "Quantity", "Discount", "Ship Mode", "Segment", "Region", "State", "Category", "Sub-Category", "City"} {
		add(c, feature.OpColumn, c)
	}
	add("ship_days", feature.OpDaysBetween, "Order Date", "Ship Date")
	add("per discount", feature.OpRatio, "Sales", "Discount")
	for _, part := range feature.DateParts {
		add(part, part, "Order Date")
	}
	return r
}

// blemish takes values away and puts in some that training never saw.
func blemish(f *frame.Frame, unseen bool) {
	for k, c := range f.Columns {
		for i := k; i < f.Rows; i += 17 + k {
			switch {
			case c.Type.Numeric():
				c.Num[i] = math.NaN()
			case c.Type == frame.Date:
				c.Days[i] = frame.MissingDay
			default:
				c.Codes[i] = frame.MissingCode
				if unseen && i%2 == 0 {
					c.Codes[i] = int32(len(c.Levels))
				}
			}
		}
		if !c.Type.Numeric() && c.Type != frame.Date {
			c.Levels = append(slices.Clone(c.Levels), "never seen")
		}
		if unseen && c.Type == frame.Date {
			c.Days[1], c.Days[2], c.Days[3] = -25_567, 11_016, 47_541 // 1900-01-01, 2000-02-29, 2100-03-01
		}
	}
}

// targets returns the classes of the rows for so many, and the margin.
func targets(f *frame.Frame, classes int) (y []int32, names []string, numbers []float64) {
	sales, profit := f.Column("Sales").Num, f.Column("Profit").Num
	for i, p := range profit {
		margin := p / sales[i]
		class := 0
		for margin > float64(class)*0.25 && class < classes-1 {
			class++
		}
		y, numbers = append(y, int32(class)), append(numbers, margin)
	}
	for c := range classes {
		names = append(names, fmt.Sprintf("class \"%d\", é", c))
	}
	return y, names, numbers
}

// models trains every kind.
func models(t *testing.T, train *frame.Frame) map[string]*model.Model {
	t.Helper()
	r := recipe(train)
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*model.Model{}
	for _, classes := range []int{0, 2, 3} {
		y, names, numbers := targets(train, classes)
		clean := *train
		clean.Columns = slices.Clone(train.Columns)
		features, err := r.Apply(&clean)
		if err != nil {
			t.Fatal(err)
		}
		add := func(kind string, fit func(m *model.Model) error) {
			m := &model.Model{Schema: model.Schema, Kind: kind, Target: "margin", Classes: names, Recipe: b}
			for _, f := range r.Features {
				m.Columns = append(m.Columns, f.Name)
			}
			if err := fit(m); err != nil {
				t.Fatal(kind, err)
			}
			all[fmt.Sprintf("%s %d", kind, classes)] = m
		}
		if classes == 0 {
			for i, v := range numbers {
				if math.IsNaN(v) {
					numbers[i] = 0
				}
			}
			add("ridge", func(m *model.Model) (err error) {
				m.Linear, err = linear.FitRegression(features, numbers, linear.RegressionOptions{})
				return err
			})
			add("tree_regressor", func(m *model.Model) (err error) {
				m.Tree, err = tree.FitTreeRegressor(features, numbers, tree.Options{})
				return err
			})
			add("forest_regressor", func(m *model.Model) (err error) {
				m.Tree, err = tree.FitForestRegressor(features, numbers, tree.Options{Trees: 20, Seed: 1, Cores: 2})
				return err
			})
			add("boosting_regressor", func(m *model.Model) (err error) {
				m.Tree, err = boost.FitRegressor(features, numbers, boost.Options{Iterations: 20, Cores: 2})
				return err
			})
			continue
		}
		add("gradient_boosting", func(m *model.Model) (err error) {
			m.Tree, err = boost.FitClassifier(features, y, classes, boost.Options{Iterations: 20, Cores: 2})
			return err
		})
		add("extra_trees", func(m *model.Model) (err error) {
			m.Tree, err = tree.FitExtraTrees(features, y, classes, tree.Options{Trees: 10, Seed: 1, Cores: 2})
			return err
		})
		add("decision_tree", func(m *model.Model) (err error) {
			m.Tree, err = tree.FitTree(features, y, classes, tree.Options{MinSamplesLeaf: 1})
			return err
		})
		add("random_forest", func(m *model.Model) (err error) {
			m.Tree, err = tree.FitForest(features, y, classes, tree.Options{Trees: 20, MaxFeatures: 0.5, Seed: 1, Cores: 2})
			return err
		})
		add("stump", func(m *model.Model) (err error) {
			m.Tree, err = tree.FitTree(features, y, classes, tree.Options{MinSamplesLeaf: len(y)})
			return err
		})
		add("logistic_regression", func(m *model.Model) (err error) {
			m.Linear, err = linear.Fit(features, y, classes, linear.Options{Cores: 2})
			return err
		})
	}
	return all
}

// decided gives every model of classes calibrations and thresholds, learned from every other row: the rest are rows that neither
// has seen, while those have the probabilities where lines bend and labels change.
func decided(t *testing.T, all map[string]*model.Model, test *frame.Frame) map[string]*model.Model {
	t.Helper()
	var half []int32
	for i := 0; i < test.Rows; i += 2 {
		half = append(half, int32(i))
	}
	part := test.Take(half)
	more := map[string]*model.Model{}
	for name, m := range all {
		k := len(m.Classes)
		if k == 0 {
			continue
		}
		y, _, _ := targets(part, k)
		for _, method := range []string{"", calibrate.Sigmoid, calibrate.Isotonic, "falling"} {
			c := *m
			switch proba := predict(t, m, part); {
			case method == "falling" && k == 2:
				c.Calibration = &calibrate.Calibrator{Method: calibrate.Sigmoid, Classes: 2, Curves: []calibrate.Curve{{A: 0.5, B: -0.1}}}
			case method == "falling":
				continue
			case method != "":
				var err error
				if c.Calibration, err = calibrate.Fit(method, proba, y, k); err != nil {
					t.Fatal(name, method, err)
				}
			}
			if method != "" {
				more[name+" "+method] = &c
			}
			if k > 2 {
				continue
			}
			var of []float64
			var is []bool
			proba := predict(t, &c, part)
			for i, class := range y {
				of, is = append(of, proba[2*i+1]), append(is, class == 1)
			}
			d, err := calibrate.Threshold(of, is, calibrate.Costs{FalsePositive: 2.5, FalseNegative: 1})
			if err != nil {
				t.Fatal(name, method, err)
			}
			weighed := c
			weighed.Decision = &model.Decision{Threshold: d.Threshold}
			more[name+" "+method+" threshold"] = &weighed
		}
	}
	return more
}

func predict(t *testing.T, m *model.Model, rows *frame.Frame) []float64 {
	t.Helper()
	r, err := feature.ParseRecipe(m.Recipe)
	if err != nil {
		t.Fatal(err)
	}
	features, err := r.Apply(rows)
	if err != nil {
		t.Fatal(err)
	}
	proba, err := m.Estimator().Predict(features, 2)
	if err != nil {
		t.Fatal(err)
	}
	return proba
}

// rows writes raw rows as the judge reads them.
func rows(f *frame.Frame) map[string]any {
	columns := map[string]any{}
	for _, c := range f.Columns {
		var list []any
		for i := range f.Rows {
			switch {
			case c.Type.Numeric() && c.Missing(i):
				list = append(list, nil)
			case c.Type.Numeric():
				list = append(list, c.Num[i])
			case c.Missing(i):
				list = append(list, "")
			case c.Type == frame.Date:
				list = append(list, time.Unix(int64(c.Days[i])*86400, 0).UTC().Format(time.DateOnly))
			default:
				list = append(list, c.Levels[c.Codes[i]])
			}
		}
		columns[c.Name] = list
	}
	return columns
}

func write(t *testing.T, path string, v any) {
	t.Helper()
	b, ok := v.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// ONNX Runtime gives every kind of model's answers to raw rows that the training did not have, missing values and unseen
// levels among them: no label differs, probabilities of trees not at all, of linear models by less than 1e-12.
func TestRuntimeAgrees(t *testing.T) {
	python := needs.Python(t, "onnxruntime")
	train, test := superstore(t)
	for _, dirty := range []bool{false, true} {
		if dirty {
			blemish(train, false)
			blemish(test, true)
		}
		all := models(t, train)
		maps.Copy(all, decided(t, all, test))
		dir := t.TempDir()
		write(t, filepath.Join(dir, "rows.json"), rows(test))
		for name, m := range all {
			b, err := onnx.Export(m)
			if err != nil {
				t.Fatal(name, err)
			}
			if again, err := onnx.Export(m); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%s: other bytes the second time, %v", name, err)
			}
			write(t, filepath.Join(dir, name+".onnx"), b)
		}
		if out, err := exec.Command(python, "testdata/judge.py", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for name, m := range all {
			compare(t, fmt.Sprintf("%s, dirty %v", name, dirty), m, test, filepath.Join(dir, name+".json"))
		}
	}
}

func compare(t *testing.T, name string, m *model.Model, test *frame.Frame, path string) {
	t.Helper()
	want := predict(t, m, test)
	var got struct {
		Label         []string
		Probabilities [][]float64
		Prediction    []float64
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	most, labels, k := 0.0, 0, len(m.Classes)
	for i := range test.Rows {
		if k == 0 {
			most = max(most, math.Abs(got.Prediction[i]-want[i]))
			continue
		}
		for c, v := range got.Probabilities[i] {
			most = max(most, math.Abs(v-want[i*k+c]))
		}
		if got.Label[i] != m.Classes[m.Label(want[i*k:(i+1)*k])] {
			labels++
		}
	}
	limit := 1e-12
	isotonic := m.Calibration != nil && m.Calibration.Method == calibrate.Isotonic
	switch exact := m.Tree != nil && !(m.Tree.Boosted() && k > 1); { // boosting ends in a logistic function
	case exact && (m.Calibration == nil || isotonic):
		limit = 0
	case isotonic: // its line is nearly upright where two points are close
		limit = 1e-6
	}
	t.Logf("%s: probabilities differ by up to %v, %d labels of %d", name, most, labels, test.Rows)
	if labels > 0 || !(most <= limit) {
		t.Errorf("%s: probabilities differ by up to %v, want at most %v; %d labels differ, want none", name, most, limit, labels)
	}
}

func TestExportRefuses(t *testing.T) {
	x := &frame.Column{Name: "label", Type: frame.Float, Num: []float64{1, 2}}
	lin, err := linear.Fit([]*frame.Column{x}, []int32{0, 1}, 2, linear.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recipe := `{"schema":"` + feature.RecipeSchema + `","columns":[{"name":"label","type":"float"}],"features":[{"name":"label","op":"column","inputs":["label"]}]}`
	for name, m := range map[string]*model.Model{
		"a column named like an output": {Linear: lin, Classes: []string{"a", "b"}, Columns: []string{"label"}, Recipe: json.RawMessage(recipe)},
		"another type":                  {Linear: lin, Classes: []string{"a", "b"}, Columns: []string{"y"}, Recipe: json.RawMessage(bytes.ReplaceAll(bytes.ReplaceAll([]byte(recipe), []byte(`"label"`), []byte(`"y"`)), []byte("float"), []byte("category")))},
		"no recipe":                     {Linear: lin, Classes: []string{"a", "b"}, Columns: []string{"label"}},
		"other features":                {Linear: lin, Classes: []string{"a", "b"}, Columns: []string{"x"}, Recipe: json.RawMessage(bytes.ReplaceAll([]byte(recipe), []byte(`"label"`), []byte(`"y"`)))},
	} {
		if _, err := onnx.Export(m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
