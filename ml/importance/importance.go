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

// Model predicts class probabilities, or numbers, of permuted columns; nil stands for those of the columns as they are.
// See tree.Ensemble.PredictPermuted.
type Model interface {
	PredictPermuted(columns []*frame.Column, permutations [][]int32, cores int, visit func(feature, permutation int, predicted []float64)) error
}

// Report is the importance of every feature, the largest first.
type Report struct {
	Metric   string    `json:"metric"` // roc_auc of classes, r2 of numbers
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
	rows := chosen(len(y))
	columns, proba, y = takeColumns(columns, rows), take(proba, rows, classes), take(y, rows, 1)
	return permute(m, columns, len(y), "roc_auc", auc(proba, y, classes), func(proba []float64) float64 { return auc(proba, y, classes) }, seed, repeats, cores)
}

// PermutationR2 is Permutation for a model of a numeric target: the drop in R2. predicted (n) is what the model predicts
// for the columns as they are. Where R2 is not defined, as of a target (n) of one value, drops are not either.
func PermutationR2(m Model, columns []*frame.Column, predicted, target []float64, seed uint64, repeats, cores int) (*Report, error) {
	rows := chosen(len(target))
	columns, predicted, target = takeColumns(columns, rows), take(predicted, rows, 1), take(target, rows, 1)
	return permute(m, columns, len(target), "r2", metrics.R2(predicted, target), func(p []float64) float64 { return metrics.R2(p, target) }, seed, repeats, cores)
}

// permute measures by how much a score drops from the baseline.
func permute(m Model, columns []*frame.Column, rows int, metric string, baseline float64, score func(predicted []float64) float64, seed uint64, repeats, cores int) (*Report, error) {
	permutations := make([][]int32, repeats)
	for r := range permutations {
		permutations[r] = make([]int32, rows)
		num.NewRNG(seed, uint64(r)).Perm(permutations[r])
	}
	drops := make([]float64, len(columns)*repeats)
	err := m.PredictPermuted(columns, permutations, cores, func(feature, r int, predicted []float64) {
		after := baseline
		if predicted != nil {
			after = score(predicted)
		}
		drops[feature*repeats+r] = baseline - after
	})
	if err != nil {
		return nil, err
	}
	report := &Report{Metric: metric, Baseline: num.Float(baseline), Rows: rows, Repeats: repeats}
	for i, c := range columns {
		mean, sd := spread(drops[i*repeats : (i+1)*repeats])
		report.Features = append(report.Features, Feature{c.Name, num.Float(mean), num.Float(sd)})
	}
	slices.SortStableFunc(report.Features, func(a, b Feature) int { return cmp.Compare(b.Mean, a.Mean) })
	return report, nil
}

// chosen returns the rows of n that are looked at, nil for all.
func chosen(n int) []int32 {
	if n <= MaxRows {
		return nil
	}
	rows := make([]int32, MaxRows)
	for i := range rows {
		rows[i] = int32(int64(i) * int64(n) / MaxRows)
	}
	return rows
}

// take returns the given rows of a matrix of some width, all for nil.
func take[T any](v []T, rows []int32, width int) []T {
	if rows == nil {
		return v
	}
	taken := make([]T, 0, len(rows)*width)
	for _, r := range rows {
		taken = append(taken, v[int(r)*width:(int(r)+1)*width]...)
	}
	return taken
}

func takeColumns(columns []*frame.Column, rows []int32) []*frame.Column {
	if rows == nil {
		return columns
	}
	taken := make([]*frame.Column, len(columns))
	for i, c := range columns {
		taken[i] = c.Take(rows)
	}
	return taken
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
