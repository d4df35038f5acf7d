package model

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/ml/calibrate"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// echo is an estimator that gives the same probabilities, and for the one permutation none.
type echo struct{ proba []float64 }

func (e echo) Predict([]*frame.Column, int) ([]float64, error) { return slices.Clone(e.proba), nil }

func (e echo) PredictPermuted(_ []*frame.Column, _ [][]int32, _ int, visit func(int, int, []float64)) error {
	visit(0, 0, e.proba)
	visit(0, 1, nil)
	return nil
}

func TestCalibratedEstimator(t *testing.T) {
	by := &calibrate.Calibrator{Method: calibrate.Isotonic, Classes: 2, Curves: []calibrate.Curve{{X: []float64{0, 1}, Y: []float64{0.25, 0.75}}}}
	c := calibrated{echo{[]float64{0.5, 0.5, 1, 0}}, by}
	want := []float64{0.5, 0.5, 0.75, 0.25}
	if got, err := c.Predict(nil, 1); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	var seen [][]float64
	if err := c.PredictPermuted(nil, nil, 1, func(_, _ int, p []float64) { seen = append(seen, p) }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || !slices.Equal(seen[0], want) || seen[1] != nil {
		t.Errorf("%v", seen)
	}
}

func TestLabel(t *testing.T) {
	m := &Model{Classes: []string{"no", "yes"}}
	if m.Label([]float64{0.7, 0.3}) != 0 || m.Label([]float64{0.5, 0.5}) != 1 {
		t.Error("without a decision")
	}
	m.Decision = &Decision{Threshold: 0.3}
	if m.Label([]float64{0.7, 0.3}) != 1 || m.Label([]float64{0.71, 0.29}) != 0 {
		t.Error("from 0.3 on")
	}
	m.Decision.Threshold = num.Float(math.Nextafter(1, 2))
	if m.Label([]float64{0, 1}) != 0 {
		t.Error("no row is taken")
	}
}

// A calibration or threshold that does not go with the model is an error, and no panic later.
func TestParseRefusesDecisions(t *testing.T) {
	for name, c := range map[string]struct{ field, want string }{
		"no curves":           {`"calibration":{"method":"isotonic","classes":2,"curves":[]}`, "calibration"},
		"other classes":       {`"calibration":{"method":"sigmoid","classes":3,"curves":[{"a":1,"b":1},{"a":1,"b":1},{"a":1,"b":1}]}`, "other classes"},
		"a line that falls":   {`"calibration":{"method":"isotonic","classes":2,"curves":[{"x":[1,0],"y":[0,1]}]}`, "rising"},
		"no threshold":        {`"decision":{"threshold":null}`, "threshold"},
		"a threshold below 0": {`"decision":{"threshold":-1}`, "threshold"},
	} {
		b := []byte(`{"schema":"hashline.model/1","classes":["a","b"],` + c.field + `}`)
		if !json.Valid(b) {
			t.Fatal(name)
		}
		if _, err := Parse(b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Parse([]byte(`{"schema":"hashline.model/1","classes":["a","b","c"],"decision":{"threshold":0.5}}`)); err == nil || !strings.Contains(err.Error(), "two classes") {
		t.Errorf("three classes: %v", err)
	}
}
