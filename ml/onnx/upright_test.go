package onnx_test

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/ml/calibrate"
	"github.com/hashline/hashline/ml/linear"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/onnx"
)

// Where an isotonic calibration is nearly upright, ONNX Runtime's probabilities differ by no more than its slope times what those
// of a linear model differ by before it: a unit or two of the last place.
func TestUprightCalibration(t *testing.T) {
	python := needs.Python(t, "onnxruntime")
	train, test := superstore(t)
	r := recipe(train)
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	y, names, _ := targets(train, 2)
	features, err := r.Apply(train)
	if err != nil {
		t.Fatal(err)
	}
	m := &model.Model{Schema: model.Schema, Kind: "logistic_regression", Classes: names, Recipe: text}
	for _, f := range r.Features {
		m.Columns = append(m.Columns, f.Name)
	}
	if m.Linear, err = linear.Fit(features, y, 2, linear.Options{Cores: 2}); err != nil {
		t.Fatal(err)
	}
	var seconds []float64
	for i, p := range predict(t, m, test) {
		if i%2 == 1 {
			seconds = append(seconds, p)
		}
	}
	slices.Sort(seconds)
	const width, rise, apart = 1e-12, 0.002, 3e-3 // the steps stand around probabilities that rows have
	c := calibrate.Curve{}
	for last, at := 0.0, 0.01; len(seconds) > 0; seconds = seconds[1:] {
		if p := seconds[0]; p-last > apart && p+width < 1 {
			c.X, c.Y = append(c.X, p-width/2, p+width/2), append(c.Y, at, at+rise)
			last, at = p, at+rise
		}
	}
	m.Calibration = &calibrate.Calibrator{Method: calibrate.Isotonic, Classes: 2, Curves: []calibrate.Curve{c}}
	want := predict(t, m, test)

	dir := t.TempDir()
	file, err := onnx.Export(m)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "rows.json"), rows(test))
	write(t, filepath.Join(dir, "m.onnx"), file)
	if out, err := exec.Command(python, "testdata/judge.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got struct{ Probabilities [][]float64 }
	b, err := os.ReadFile(filepath.Join(dir, "m.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	most := 0.0
	for i, p := range got.Probabilities {
		most = max(most, math.Abs(p[1]-want[2*i+1]))
	}
	t.Logf("%d steps of a slope of %g: probabilities differ by up to %g", len(c.X)/2, rise/width, most)
	if limit := rise / width * 0x1p-51; !(most <= limit) || len(c.X) < 200 || len(got.Probabilities) != test.Rows {
		t.Errorf("%d steps, %d rows: probabilities differ by up to %g, want at most %g", len(c.X)/2, len(got.Probabilities), most, limit)
	}
}
