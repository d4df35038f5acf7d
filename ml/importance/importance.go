// Package importance measures what a fitted model owes to each feature.
package importance

import (
	"cmp"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
)

// Model predicts class probabilities of permuted columns; nil stands for those of the columns as they are. See
// tree.Ensemble.PredictPermuted.
type Model interface {
	PredictPermuted(columns []*frame.Column, permutations [][]int32, cores int, visit func(feature, permutation int, proba []float64)) error
}

// Report is the importance of every feature, the largest first.
type Report struct {
	Metric   string    `json:"metric"` // always roc_auc
	Baseline num.Float `json:"baseline"`
	Rows     int       `json:"rows"`
	Repeats  int       `json:"repeats"`
	Features []Feature `json:"features"`
}

// Feature is by how much the metric drops when the feature's values are permuted: mean and standard deviation over the
// repeats.
type Feature struct {
	Name string    `json:"name"`
	Mean num.Float `json:"mean"`
	SD   num.Float `json:"sd"`
}

// MaxRows is the number of rows, evenly spaced, that are looked at when there are more.
const MaxRows = 20_000

// Permutation returns the permutation importance of the features (Breiman: Random Forests, 2001): the drop in ROC AUC,
// with more than two classes the mean over the classes, when one column at a time is shuffled. proba (n x classes) is
// what the model predicts for the columns as they are.
func Permutation(m Model, columns []*frame.Column, proba []float64, y []int32, classes int, seed uint64, repeats, cores int) (*Report, error) {
	columns, proba, y = thin(columns, proba, y, classes)
	permutations := make([][]int32, repeats)
	for r := range permutations {
		permutations[r] = make([]int32, len(y))
		num.NewRNG(seed, uint64(r)).Perm(permutations[r])
	}
	baseline := auc(proba, y, classes)
	drops := make([]float64, len(columns)*repeats)
	err := m.PredictPermuted(columns, permutations, cores, func(feature, r int, proba []float64) {
		after := baseline
		if proba != nil {
			after = auc(proba, y, classes)
		}
		drops[feature*repeats+r] = baseline - after
	})
	if err != nil {
		return nil, err
	}
	report := &Report{Metric: "roc_auc", Baseline: num.Float(baseline), Rows: len(y), Repeats: repeats}
	for i, c := range columns {
		mean, sd := spread(drops[i*repeats : (i+1)*repeats])
		report.Features = append(report.Features, Feature{c.Name, num.Float(mean), num.Float(sd)})
	}
	slices.SortStableFunc(report.Features, func(a, b Feature) int { return cmp.Compare(b.Mean, a.Mean) })
	return report, nil
}

func thin(columns []*frame.Column, proba []float64, y []int32, classes int) ([]*frame.Column, []float64, []int32) {
	n := len(y)
	if n <= MaxRows {
		return columns, proba, y
	}
	rows := make([]int32, MaxRows)
	labels := make([]int32, MaxRows)
	shares := make([]float64, 0, MaxRows*classes)
	for i := range rows {
		r := int(int64(i) * int64(n) / MaxRows)
		rows[i], labels[i] = int32(r), y[r]
		shares = append(shares, proba[r*classes:(r+1)*classes]...)
	}
	taken := make([]*frame.Column, len(columns))
	for i, c := range columns {
		taken[i] = c.Take(rows)
	}
	return taken, shares, labels
}

// auc is the area under the curve of the second of two classes, or the mean over the classes that some rows have.
func auc(proba []float64, y []int32, classes int) float64 {
	scores := make([]float64, len(y))
	return metrics.MeanOver(classes, func(class int) float64 {
		for i := range scores {
			scores[i] = proba[i*classes+class]
		}
		return metrics.AUC(scores, y, class)
	})
}

// spread returns the mean and the sample standard deviation.
func spread(v []float64) (mean, sd float64) {
	for _, x := range v {
		mean += x
	}
	mean /= float64(len(v))
	if len(v) < 2 {
		return mean, math.NaN()
	}
	for _, x := range v {
		d := x - mean
		sd += float64(d * d)
	}
	return mean, math.Sqrt(sd / float64(len(v)-1))
}
