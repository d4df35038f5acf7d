package linear

import (
	"errors"
	"fmt"
	"math"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// ErrTooLarge is the error of a target whose weights are beyond 1e200.
var ErrTooLarge = errors.New("the target is out of range: divide it by a constant")

// RegressionOptions of a fit. Names and meanings are scikit-learn's.
type RegressionOptions struct {
	Alpha     float64 // strength of the penalty; 0 means 1
	L1Ratio   float64 // share of the penalty that is on absolute values: 0 is ridge, 1 lasso, in between an elastic net
	MaxIter   int     // steps of the solver; 0 means 100, 1000 for L-BFGS
	Tolerance float64 // relative accuracy of the objective at which to stop; 0 means 1e-10
	Cores     int     // goroutines; never changes the result
}

// FitRegression learns a linear regression. It minimises
//
//	1/2 x sum of (y - prediction)^2 + Alpha x (L1Ratio x sum of |w| + (1 - L1Ratio)/2 x sum of w^2)
//
// over the weights w of the standardised features, the intercept free. With the L1Ratio 0 the minimum is that of
// scikit-learn's Ridge(alpha), and is found in closed form: the normal equations, by the decomposition of curvature, with
// one step of refinement. Otherwise it is that of ElasticNet(alpha/n, l1_ratio).
//
// columns are as those of Fit, y their n numbers. Nothing is changed or kept of either. The model's Predict gives n
// predictions.
func FitRegression(columns []*frame.Column, y []float64, o RegressionOptions) (*Model, error) {
	if len(columns) == 0 || len(y) == 0 {
		return nil, fmt.Errorf("%d features, %d rows: nothing to learn", len(columns), len(y))
	}
	for i, v := range y {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("the target of row %d is %v, want a number", i, v)
		}
	}
	if o.Alpha == 0 {
		o.Alpha = 1
	}
	if !(o.Alpha > 0) || math.IsInf(o.Alpha, 0) {
		return nil, fmt.Errorf("the penalty alpha is %v, want a positive number", o.Alpha)
	}
	common := Options{C: 1, L1Ratio: o.L1Ratio, MaxIter: o.MaxIter, Tolerance: o.Tolerance, Cores: o.Cores}
	if err := common.check(); err != nil {
		return nil, err
	}
	scaled, unit, mean := scaleTarget(y)
	m, err := fit(columns, len(y), &problem{losses: &squares{scaled}, l1: o.Alpha * o.L1Ratio / unit, l2: o.Alpha * (1 - o.L1Ratio)}, common)
	if err != nil {
		return nil, err
	}
	for i := range m.Weights {
		m.Weights[i] *= unit
		if i == m.d {
			m.Weights[i] += float64(mean * unit)
		}
		if math.Abs(m.Weights[i]) > maxWeight {
			return nil, ErrTooLarge
		}
	}
	m.Classes, m.Objective = 0, num.Float(float64(m.Objective)*unit*unit)
	return m, nil
}

// scaleTarget returns y/unit - mean, with a power of two for a unit, so that sums of squares stay in range.
func scaleTarget(y []float64) (scaled []float64, unit, mean float64) {
	largest := 0.0
	for _, v := range y {
		largest = max(largest, math.Abs(v))
	}
	unit = unitOf(largest)
	scaled = make([]float64, len(y))
	for i, v := range y {
		scaled[i] = v / unit
	}
	mean = num.Sum(scaled) / float64(len(y))
	for i := range scaled {
		scaled[i] -= mean
	}
	return scaled, unit, mean
}
