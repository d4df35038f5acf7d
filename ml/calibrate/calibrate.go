// Package calibrate makes probabilities honest and turns them into decisions: calibration by a sigmoid or an isotonic step
// function, and the threshold that costs least.
//
// A calibrator is fitted on rows that the model was not trained on: a validation part, or out-of-fold predictions.
package calibrate

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/num"
)

// Methods of calibration.
const (
	Sigmoid  = "sigmoid"  // needs few rows; fits models that are over- or underconfident evenly
	Isotonic = "isotonic" // any rising function; needs a thousand rows or more
)

// Calibrator maps a model's class probabilities to calibrated ones. With more than two classes each is calibrated against
// all others, and the results are divided by their sum, as scikit-learn's CalibratedClassifierCV does. It is immutable.
type Calibrator struct {
	Method  string  `json:"method"`
	Classes int     `json:"classes"`
	Curves  []Curve `json:"curves"` // of the second of two classes alone, or of each
}

// Curve is the calibration of one class.
type Curve struct {
	// Sigmoid: the probability is 1/(1+e^(A s + B)) for the log odds s of the model's.
	A num.Float `json:"a"`
	B num.Float `json:"b"`
	// Isotonic: the probability runs straight from point to point, and is that of the first or last beyond them.
	X []float64 `json:"x,omitempty"`
	Y []float64 `json:"y,omitempty"`
}

// Fit learns a calibrator from a model's probabilities (n x classes, row-major) and the true classes y. It is the same on
// every machine. The cost is n log n.
func Fit(method string, proba []float64, y []int32, classes int) (*Calibrator, error) {
	if classes < 2 || len(y) == 0 || len(proba) != len(y)*classes {
		return nil, fmt.Errorf("%d probabilities for %d rows of %d classes", len(proba), len(y), classes)
	}
	for _, p := range proba {
		if !(p >= 0 && p <= 1) {
			return nil, fmt.Errorf("a probability of %v", p)
		}
	}
	for _, c := range y {
		if c < 0 || int(c) >= classes {
			return nil, errors.New("a class is out of range")
		}
	}
	c := &Calibrator{Method: method, Classes: classes}
	for class := range classes {
		if classes == 2 && class == 0 {
			continue
		}
		p, is := make([]float64, len(y)), make([]bool, len(y))
		for i := range y {
			p[i], is[i] = proba[i*classes+class], int(y[i]) == class
		}
		switch method {
		case Sigmoid:
			c.Curves = append(c.Curves, fitSigmoid(p, is))
		case Isotonic:
			c.Curves = append(c.Curves, fitIsotonic(p, is))
		default:
			return nil, fmt.Errorf("there is no calibration %.40q; want %s or %s", method, Sigmoid, Isotonic)
		}
	}
	return c, nil
}

// Apply returns the calibrated probabilities, n x classes.
func (c *Calibrator) Apply(proba []float64) []float64 {
	out := make([]float64, len(proba))
	k := c.Classes
	for at := 0; at+k <= len(proba); at += k {
		row := out[at : at+k]
		if k == 2 {
			row[1] = c.Curves[0].apply(c.Method, proba[at+1])
			row[0] = 1 - row[1]
			continue
		}
		sum := 0.0
		for class := range row {
			row[class] = c.Curves[class].apply(c.Method, proba[at+class])
			sum += row[class]
		}
		for class := range row {
			if sum > 0 {
				row[class] /= sum
			} else { // every class is ruled out: none is likelier than another
				row[class] = 1 / float64(k)
			}
		}
	}
	return out
}

func (c *Curve) apply(method string, p float64) float64 {
	if method == Sigmoid {
		return num.Sigmoid(-(float64(float64(c.A)*logOdds(p)) + float64(c.B)))
	}
	i, exact := slices.BinarySearch(c.X, p)
	switch {
	case exact || i == 0:
		return c.Y[i]
	case i == len(c.X):
		return c.Y[i-1]
	}
	share := (p - c.X[i-1]) / (c.X[i] - c.X[i-1])
	return c.Y[i-1] + float64(share*(c.Y[i]-c.Y[i-1]))
}

// Check refuses a calibrator from a file that could not be applied.
func (c *Calibrator) Check() error {
	want := c.Classes
	if c.Classes == 2 {
		want = 1
	}
	if c.Classes < 2 || len(c.Curves) != want || (c.Method != Sigmoid && c.Method != Isotonic) {
		return fmt.Errorf("calibration: %d curves of %d classes by %.40q", len(c.Curves), c.Classes, c.Method)
	}
	for _, curve := range c.Curves {
		if c.Method == Sigmoid && !(curve.A.Defined() && curve.B.Defined()) {
			return errors.New("calibration: a curve without numbers")
		}
		if c.Method == Isotonic && (len(curve.X) == 0 || len(curve.X) != len(curve.Y) || !rising(curve.X) || !shares(curve.Y)) {
			return errors.New("calibration: a curve that is no rising line")
		}
	}
	return nil
}

func rising(x []float64) bool {
	for i := 1; i < len(x); i++ {
		if !(x[i] > x[i-1]) {
			return false
		}
	}
	return !math.IsNaN(x[0])
}

func shares(y []float64) bool {
	return !slices.ContainsFunc(y, func(v float64) bool { return !(v >= 0 && v <= 1) })
}

// logOdds of a probability; those of 0 and 1 are as far out as a double tells from them.
func logOdds(p float64) float64 {
	const edge = 0x1p-52
	p = max(edge, min(1-edge, p))
	return num.Log(p / (1 - p))
}
