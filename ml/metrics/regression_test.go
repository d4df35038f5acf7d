package metrics

import (
	"math"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/num"
)

// Expected values are scikit-learn 1.9.1's, from testdata/reference.py; tolerance 1e-12, the digits that it prints.
func TestRegressionAgainstScikitLearn(t *testing.T) {
	for _, c := range []struct {
		rows int
		size float64
		want [5]float64 // RMSE, MAE, median and largest error, R2
	}{
		{1, 1, [5]float64{40, 40, 40, 40, math.NaN()}},
		{2, 1e-3, [5]float64{0.0286006992921502, 0.023, 0.023, 0.04, 0.995534544501703}},
		{501, 1, [5]float64{102.230152068829, 78.6367265469062, 60, 300, 0.87679754539651}},
		{2000, 1e6, [5]float64{102133329.525674, 78661000, 60000000, 300000000, 0.877187735648441}},
	} {
		actual, predicted := make([]float64, c.rows), make([]float64, c.rows)
		for i := range c.rows {
			a := float64(i*7919%1009) - 300
			actual[i], predicted[i] = c.size*a, c.size*(a+(float64(i*37%101)-40)*float64(1+i%5))
		}
		r, curves, err := EvaluateRegression(predicted, actual)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range []num.Float{r.RMSE, r.MAE, r.MedianAbsolute, r.MaxError, r.R2} {
			if want := c.want[i]; !(math.Abs(float64(got)-want) <= 1e-12*math.Abs(want)) && !(math.IsNaN(want) && !got.Defined()) {
				t.Errorf("%d rows: figure %d is %v, want %v", c.rows, i, got, want)
			}
		}
		if got := R2(predicted, actual); got != float64(r.R2) && r.R2.Defined() {
			t.Errorf("%d rows: R2 alone is %v, want %v", c.rows, got, r.R2)
		}
		checkErrorCurves(t, curves, actual, r)
	}
}

// checkErrorCurves: points ascend from the least to the most, and the bins hold every row once.
func checkErrorCurves(t *testing.T, c *ErrorCurves, actual []float64, r *Regression) {
	t.Helper()
	if len(c.Points) != min(len(actual), MaxErrorPoints) || float64(c.Points[0].Actual) != slices.Min(actual) || float64(c.Points[len(c.Points)-1].Actual) != slices.Max(actual) {
		t.Errorf("%d rows: %d points from %v to %v", len(actual), len(c.Points), c.Points[0], c.Points[len(c.Points)-1])
	}
	if !slices.IsSortedFunc(c.Points, func(a, b ErrorPoint) int { return int(math.Copysign(1, float64(a.Actual-b.Actual))) }) {
		t.Errorf("%d rows: the points are not in order", len(actual))
	}
	rows := 0
	for _, n := range c.Residuals.Counts {
		rows += n
	}
	if rows != len(actual) || c.Residuals.Limit > r.MaxError || (c.Residuals.Beyond > 0) != (c.Residuals.Limit < r.MaxError) || c.Residuals.Beyond > len(actual)/100+1 {
		t.Errorf("%d rows: %d in the bins, %d of them beyond %v, with a largest error of %v", len(actual), rows, c.Residuals.Beyond, c.Residuals.Limit, r.MaxError)
	}
}

// Figures scale with the numbers, however large or small, and what is not defined is null.
func TestRegressionOfAnySize(t *testing.T) {
	for _, c := range []struct {
		name              string
		predicted, actual []float64
		rmse, mae, r2     float64 // infinite where it is null
	}{
		{"huge", []float64{1e308, -1e308}, []float64{1.5e308, -0.5e308}, 0.5e308, 0.5e308, 0.75},
		{"beyond the numbers", []float64{1.7e308, 1.7e308}, []float64{-1.7e308, -1.7e308}, math.Inf(1), math.Inf(1), math.Inf(1)},
		{"tiny", []float64{0, 0}, []float64{0x1p-1070, 0x1p-1069}, 0x1.9p-1070, 0x1.8p-1070, -9},
		{"right", []float64{3, 4, 5}, []float64{3, 4, 5}, 0, 0, 1},
		{"all alike", []float64{3, 5}, []float64{4, 4}, 1, 1, math.Inf(1)},
		{"all zero", []float64{0, 0}, []float64{0, 0}, 0, 0, math.Inf(1)},
		{"the mean of all", []float64{2, 2}, []float64{1, 3}, 1, 1, 0},
	} {
		r, curves, err := EvaluateRegression(c.predicted, c.actual)
		if err != nil {
			t.Fatal(c.name, err)
		}
		for name, pair := range map[string][2]float64{"RMSE": {float64(r.RMSE), c.rmse}, "MAE": {float64(r.MAE), c.mae}, "R2": {float64(r.R2), c.r2}} {
			got, want := num.Float(pair[0]), num.Float(pair[1])
			if got.Defined() != want.Defined() || want.Defined() && math.Abs(float64(got-want)) > 0.02*math.Abs(float64(want)) {
				t.Errorf("%s: %s is %v, want %v", c.name, name, got, want)
			}
		}
		if len(curves.Points) != len(c.actual) {
			t.Errorf("%s: %d points", c.name, len(curves.Points))
		}
	}
	for name, bad := range map[string][2][]float64{"no rows": {}, "a row too many": {{1, 2}, {1}}, "no number": {{math.NaN()}, {1}}, "infinity": {{1}, {math.Inf(-1)}}} {
		if _, _, err := EvaluateRegression(bad[0], bad[1]); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
