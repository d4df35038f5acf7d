// Package learning measures learning curves: how the score of a model grows with the rows it is trained on, which tells
// whether more rows would help.
package learning

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/num"
)

// DefaultSizes are the shares of the training rows of scikit-learn's learning_curve.
var DefaultSizes = []float64{0.1, 0.325, 0.55, 0.775, 1}

// Point is the scores of models that were trained on so many rows, over the repeats: means and sample standard deviations,
// which of one repeat are null.
type Point struct {
	Rows    int       `json:"rows"`
	Train   num.Float `json:"train"`
	TrainSD num.Float `json:"train_sd"`
	Test    num.Float `json:"test"`
	TestSD  num.Float `json:"test_sd"`
}

// Curve trains and scores on a growing share of n rows. y holds their classes, 0 to classes-1, so that each has its share
// of every subset and at least one row; nil leaves that to chance, for a numeric target. sizes are shares of the rows from
// above 0 to 1.
//
// score trains on the given rows, ascending, and returns the scores on them and on the test part. Subsets of one repeat
// contain each other, and depend on seed, the number of the repeat and n alone. It is called len(sizes) x repeats times,
// one after another; its error ends the curve.
func Curve(n int, y []int32, classes int, sizes []float64, repeats int, seed uint64, score func(rows []int32) (train, test float64, err error)) ([]Point, error) {
	if n < 1 || repeats < 1 || len(sizes) == 0 || (y != nil && len(y) != n) {
		return nil, fmt.Errorf("%d rows, %d classes of rows, %d sizes, %d repeats: nothing to measure", n, len(y), len(sizes), repeats)
	}
	sizes = slices.Sorted(slices.Values(sizes))
	if !(sizes[0] > 0) || !(sizes[len(sizes)-1] <= 1) {
		return nil, errors.New("a size is no share of the rows: want above 0, up to 1")
	}
	groups, err := groupsOf(n, y, classes)
	if err != nil {
		return nil, err
	}
	train, test := make([][]float64, len(sizes)), make([][]float64, len(sizes))
	points := make([]Point, len(sizes))
	for r := range repeats {
		shuffled := shuffle(groups, num.NewRNG(seed, uint64(r)))
		for i, size := range sizes {
			rows := first(shuffled, size)
			a, b, err := score(rows)
			if err != nil {
				return nil, fmt.Errorf("with %d rows: %w", len(rows), err)
			}
			train[i], test[i], points[i].Rows = append(train[i], a), append(test[i], b), len(rows)
		}
	}
	for i := range points {
		points[i].Train, points[i].TrainSD = spread(train[i])
		points[i].Test, points[i].TestSD = spread(test[i])
	}
	return points, nil
}

// groupsOf returns the rows of each class.
func groupsOf(n int, y []int32, classes int) ([][]int32, error) {
	groups := make([][]int32, max(1, classes))
	for i := range n {
		class := int32(0)
		if y != nil {
			class = y[i]
		}
		if class < 0 || int(class) >= len(groups) {
			return nil, errors.New("a class is out of range")
		}
		groups[class] = append(groups[class], int32(i))
	}
	return groups, nil
}

func shuffle(groups [][]int32, rng *num.RNG) [][]int32 {
	shuffled := make([][]int32, len(groups))
	for g, rows := range groups {
		order := make([]int32, len(rows))
		rng.Perm(order)
		for _, i := range order {
			shuffled[g] = append(shuffled[g], rows[i])
		}
	}
	return shuffled
}

// first returns a share of each group, at least one row, ascending.
func first(groups [][]int32, share float64) []int32 {
	var rows []int32
	for _, g := range groups {
		rows = append(rows, g[:int(math.Ceil(share*float64(len(g))))]...)
	}
	slices.Sort(rows)
	return rows
}

func spread(v []float64) (mean, sd num.Float) {
	m := num.Sum(v) / float64(len(v))
	if len(v) < 2 {
		return num.Float(m), num.Float(math.NaN())
	}
	squares := make([]float64, len(v))
	for i, x := range v {
		squares[i] = float64((x - m) * (x - m))
	}
	return num.Float(m), num.Float(math.Sqrt(num.Sum(squares) / float64(len(v)-1)))
}
