package metrics

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/num"
)

// Regression are the figures of a model of a numeric target on n rows. Names and definitions are scikit-learn's; all but
// R2 are in the target's unit, and better when smaller. A figure beyond the largest float64 is null.
type Regression struct {
	RMSE           num.Float `json:"rmse"`                  // root of the mean squared error
	MAE            num.Float `json:"mae"`                   // mean absolute error
	MedianAbsolute num.Float `json:"median_absolute_error"` // half of the rows are closer
	MaxError       num.Float `json:"max_error"`
	R2             num.Float `json:"r2"` // 1 - squared error / squared distance from the rows' mean; null where they are all alike
}

// ErrorCurves holds what the plots of one model of a numeric target draw.
type ErrorCurves struct {
	Rows      int          `json:"rows"`
	Points    []ErrorPoint `json:"points"` // of at most MaxErrorPoints rows, ascending: evenly spaced by rank of the truth
	Residuals Residuals    `json:"residuals"`
	Quantiles []num.Float  `json:"error_quantiles"` // of the distances, by hundredths: 101 order statistics from the least to the most
}

// ErrorPoint is one row.
type ErrorPoint struct {
	Actual    num.Float `json:"actual"`
	Predicted num.Float `json:"predicted"`
}

// MaxErrorPoints is the largest number of rows that are drawn one by one.
const MaxErrorPoints = 500

// Residuals counts what the truth is more than the prediction, in bins of equal width from -Limit to Limit. The outer bins
// also hold what lies beyond, which may be one row in a hundred.
type Residuals struct {
	Limit  num.Float `json:"limit"`
	Counts []int     `json:"counts"`
	Beyond int       `json:"beyond"`
}

// residualBins is odd, so that one bin holds what is nearly right.
const residualBins = 31

// EvaluateRegression compares predictions with the truth, a finite number for each of n rows, and also gives what plots
// draw. It costs O(n log n).
//
// Squares are summed in units of a power of two, so that they neither overflow nor vanish.
func EvaluateRegression(predicted, actual []float64) (*Regression, *ErrorCurves, error) {
	if len(actual) == 0 || len(predicted) != len(actual) {
		return nil, nil, fmt.Errorf("%d predictions for %d rows", len(predicted), len(actual))
	}
	scaled, exponent, err := sameScale(predicted, actual)
	if err != nil {
		return nil, nil, err
	}
	p, a := scaled[:len(actual)], scaled[len(actual):]
	residuals, distances := make([]float64, len(a)), make([]float64, len(a))
	for i := range a {
		residuals[i] = a[i] - p[i]
		distances[i] = math.Abs(residuals[i])
	}
	num.SortFloats(distances)
	back := func(v float64) num.Float { return num.Float(math.Ldexp(v, exponent)) }
	r := &Regression{RMSE: back(math.Sqrt(squares(residuals) / float64(len(a)))), MAE: back(num.Sum(distances) / float64(len(a))),
		MedianAbsolute: back(middle(distances)), MaxError: back(distances[len(a)-1]), R2: num.Float(determination(residuals, a))}
	return r, &ErrorCurves{Rows: len(a), Points: errorPoints(predicted, actual), Residuals: histogram(residuals, distances, exponent),
		Quantiles: quantiles(distances, exponent)}, nil
}

// R2 is the coefficient of determination of predictions of finite numbers, NaN where these are all alike.
func R2(predicted, actual []float64) float64 {
	scaled, _, err := sameScale(predicted, actual)
	if err != nil {
		return math.NaN()
	}
	p, a := scaled[:len(actual)], scaled[len(actual):]
	residuals := make([]float64, len(a))
	for i := range a {
		residuals[i] = a[i] - p[i]
	}
	return determination(residuals, a)
}

// sameScale returns both lists, one after the other, divided by 2^exponent so that the largest is near 1.
func sameScale(predicted, actual []float64) (scaled []float64, exponent int, err error) {
	largest := 0.0
	for _, list := range [][]float64{predicted, actual} {
		for _, v := range list {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, 0, errors.New("a prediction or its truth is not finite")
			}
			largest = max(largest, math.Abs(v))
		}
	}
	if largest > 0 {
		_, exponent = math.Frexp(largest)
	}
	scaled = make([]float64, 0, len(predicted)+len(actual))
	for _, list := range [][]float64{predicted, actual} {
		for _, v := range list {
			scaled = append(scaled, math.Ldexp(v, -exponent))
		}
	}
	return scaled, exponent, nil
}

func squares(v []float64) float64 { return num.Dot(v, v) }

func determination(residuals, actual []float64) float64 {
	if slices.Min(actual) == slices.Max(actual) {
		return math.NaN()
	}
	mean := num.Sum(actual) / float64(len(actual))
	around := make([]float64, len(actual))
	for i, v := range actual {
		around[i] = v - mean
	}
	return 1 - squares(residuals)/squares(around)
}

// middle is the median of an ascending list.
func middle(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func errorPoints(predicted, actual []float64) []ErrorPoint {
	points := make([]ErrorPoint, len(actual))
	for i := range actual {
		points[i] = ErrorPoint{num.Float(actual[i]), num.Float(predicted[i])}
	}
	slices.SortFunc(points, func(a, b ErrorPoint) int {
		return cmp.Or(cmp.Compare(a.Actual, b.Actual), cmp.Compare(a.Predicted, b.Predicted))
	})
	if len(points) <= MaxErrorPoints {
		return points
	}
	kept := make([]ErrorPoint, MaxErrorPoints)
	for i := range kept {
		kept[i] = points[int64(i)*int64(len(points)-1)/(MaxErrorPoints-1)]
	}
	return kept
}

func quantiles(sorted []float64, exponent int) []num.Float {
	q := make([]num.Float, 101)
	for i := range q {
		q[i] = num.Float(math.Ldexp(sorted[(len(sorted)-1)*i/100], exponent))
	}
	return q
}

// histogram leaves the farthest hundredth of the rows to the outer bins where they would take most of the width.
func histogram(residuals, distances []float64, exponent int) Residuals {
	limit := distances[len(distances)-1]
	if most := distances[(len(distances)-1)*99/100]; most*2 < limit && most > 0 {
		limit = most
	}
	h := Residuals{Limit: num.Float(math.Ldexp(limit, exponent)), Counts: make([]int, residualBins)}
	for _, v := range residuals {
		bin := residualBins / 2
		if limit > 0 {
			bin = int(min(residualBins-1, (float64(max(-limit, min(limit, v))/limit)+1)/2*residualBins))
		}
		h.Counts[bin]++
		if math.Abs(v) > limit {
			h.Beyond++
		}
	}
	return h
}
