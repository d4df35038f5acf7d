package calibrate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/num"
)

// Costs of a decision between two classes, for one row; a gain is below 0.
type Costs struct {
	TruePositive  float64 `json:"true_positive"`
	FalsePositive float64 `json:"false_positive"`
	TrueNegative  float64 `json:"true_negative"`
	FalseNegative float64 `json:"false_negative"`
}

// Decision is the threshold that costs least on the rows that it was chosen on.
type Decision struct {
	Threshold num.Float `json:"threshold"` // rows with at least this probability are taken for positive; above 1: none is
	Cost      num.Float `json:"cost"`      // mean of a row
	AtHalf    num.Float `json:"at_half"`   // that of the threshold 0.5
	// Ideal is the threshold that would cost least if the probabilities were true (Elkan: The Foundations of Cost-Sensitive
	// Learning, 2001); null where one decision is never worse than the other.
	Ideal     num.Float `json:"ideal"`
	Positives int       `json:"positives"` // rows that are taken for positive
	Rows      int       `json:"rows"`
}

// Threshold chooses the threshold on the probability of the positive class that costs least over the rows: each probability
// that occurs is tried, and taking no row for positive. Of equal ones it takes that nearest to 0.5, then the smaller. The
// cost is n log n; counts are whole, so that it is exact but for the last product and the same on every machine.
func Threshold(proba []float64, positive []bool, c Costs) (*Decision, error) {
	if len(proba) == 0 || len(proba) != len(positive) {
		return nil, fmt.Errorf("%d probabilities of %d rows", len(proba), len(positive))
	}
	for _, v := range []float64{c.TruePositive, c.FalsePositive, c.TrueNegative, c.FalseNegative} {
		if math.IsNaN(v) || math.Abs(v) > 1e100 {
			return nil, errors.New("a cost is no number")
		}
	}
	order := make([]int, len(proba))
	all := 0
	for i, p := range proba {
		if !(p >= 0 && p <= 1) {
			return nil, fmt.Errorf("a probability of %v", p)
		}
		order[i] = i
		if positive[i] {
			all++
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(proba[b], proba[a]) })
	n := len(order)
	cost := func(hits, alarms int) float64 {
		return (float64(float64(hits)*c.TruePositive) + float64(float64(alarms)*c.FalsePositive) +
			float64(float64(all-hits)*c.FalseNegative) + float64(float64(n-all-alarms)*c.TrueNegative)) / float64(n)
	}
	none := math.Nextafter(1, 2)
	best := &Decision{Threshold: num.Float(none), Cost: num.Float(cost(0, 0)), AtHalf: num.Float(cost(0, 0)), Ideal: ideal(c), Rows: n}
	hits, alarms := 0, 0
	for at := 0; at < n; {
		p := proba[order[at]]
		for ; at < n && proba[order[at]] == p; at++ {
			if positive[order[at]] {
				hits++
			} else {
				alarms++
			}
		}
		now := num.Float(cost(hits, alarms))
		if p >= 0.5 {
			best.AtHalf = now
		}
		if now < best.Cost || (now == best.Cost && math.Abs(p-0.5) <= math.Abs(float64(best.Threshold)-0.5)) {
			best.Threshold, best.Cost, best.Positives = num.Float(p), now, hits+alarms
		}
	}
	return best, nil
}

func ideal(c Costs) num.Float {
	alarm, miss := c.FalsePositive-c.TrueNegative, c.FalseNegative-c.TruePositive
	if !(alarm > 0 && miss > 0) {
		return num.Float(math.NaN())
	}
	return num.Float(alarm / (alarm + miss))
}
