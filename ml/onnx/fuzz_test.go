package onnx_test

import (
	"encoding/json"
	"testing"

	"github.com/hashline/hashline/ml/calibrate"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/linear"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/onnx"
	"github.com/hashline/hashline/ml/tree"
)

func parse(t testing.TB, b []byte) *model.Model {
	t.Helper()
	m, err := model.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// FuzzExport: whatever a model file holds, exporting it gives an error or a file, and the same bytes again.
func FuzzExport(f *testing.F) {
	x := &frame.Column{Name: "x", Type: frame.Float, Num: []float64{1, 2, 3, 4, 5, 6}}
	c := &frame.Column{Name: "c", Type: frame.Category, Levels: []string{"a", "b"}, Codes: []int32{0, 1, 0, 1, 0, -1}}
	recipe := `{"schema":"` + feature.RecipeSchema + `","columns":[{"name":"x","type":"float"},{"name":"c","type":"category"}],` +
		`"features":[{"name":"x","op":"column","inputs":["x"]},{"name":"c","op":"column","inputs":["c"]}]}`
	m := model.Model{Schema: model.Schema, Classes: []string{"n", "y"}, Columns: []string{"x", "c"}, Recipe: json.RawMessage(recipe)}
	columns, y := []*frame.Column{x, c}, []int32{0, 0, 1, 1, 0, 1}
	var err error
	if m.Tree, err = tree.FitTree(columns, y, 2, tree.Options{}); err != nil {
		f.Fatal(err)
	}
	for _, linearly := range []bool{false, true} {
		if linearly {
			m.Tree = nil
			if m.Linear, err = linear.Fit(columns, y, 2, linear.Options{}); err != nil {
				f.Fatal(err)
			}
		}
		for _, method := range []string{"", calibrate.Sigmoid, calibrate.Isotonic} {
			seed := m
			if method != "" {
				if seed.Calibration, err = calibrate.Fit(method, []float64{0.8, 0.2, 0.6, 0.4, 0.3, 0.7, 0.7, 0.3, 0.9, 0.1, 0.1, 0.9}, y, 2); err != nil {
					f.Fatal(err)
				}
			}
			for _, decision := range []*model.Decision{nil, {Threshold: 0.4, FalsePositive: 2, FalseNegative: 3}} {
				seed.Decision = decision
				b, err := json.Marshal(seed)
				if err != nil {
					f.Fatal(err)
				}
				if _, err := onnx.Export(parse(f, b)); err != nil {
					f.Fatalf("a seed that is exported to nothing: %v", err)
				}
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := model.Parse(b)
		if err != nil {
			return
		}
		file, err := onnx.Export(m)
		if err != nil {
			return
		}
		if again, err := onnx.Export(m); err != nil || string(again) != string(file) {
			t.Fatalf("other bytes the second time, %v", err)
		}
	})
}
