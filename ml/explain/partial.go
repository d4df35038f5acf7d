package explain

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// Model predicts n x k outputs for n rows, row-major.
type Model interface {
	Predict(columns []*frame.Column, cores int) ([]float64, error)
}

// Dependence is how a model's outputs go with one feature, all else as it is in the rows.
type Dependence struct {
	Feature string      `json:"feature"`
	Numbers []float64   `json:"numbers,omitempty"` // the values of a number, ascending
	Levels  []string    `json:"levels,omitempty"`  // those of a category, the most frequent first
	Rows    int         `json:"rows"`              // that the means are over
	Means   [][]float64 `json:"means"`             // for each value, those of the outputs
}

// Limits of Partial.
const (
	// PartialRows is the number of rows, evenly spaced, that are looked at when there are more.
	PartialRows = 2000
	maxLevels   = 50
	maxNumbers  = 200
)

// Partial returns the partial dependence of a model on a feature (Friedman: Greedy Function Approximation, 2001): for each
// value of a grid the mean prediction of the rows, had all of them that value. The grid of a number is its quantiles, points
// of them (2 to 200), less those that are equal; that of a category its levels. Missing values are no part of it.
//
// columns are features as Predict takes them, and stay as they are. It costs a prediction of min(n, PartialRows) rows for
// each value; sums have a fixed order, so that it is the same on every machine and for any number of cores.
func Partial(m Model, columns []*frame.Column, feature, points, cores int) (*Dependence, error) {
	if feature < 0 || feature >= len(columns) {
		return nil, fmt.Errorf("there is no feature %d among %d", feature, len(columns))
	}
	if points < 2 || points > maxNumbers {
		return nil, fmt.Errorf("a grid of %d points, want 2 to %d", points, maxNumbers)
	}
	c := columns[feature]
	d := &Dependence{Feature: c.Name}
	var values []*frame.Column // of one row
	if c.Type.Numeric() {
		d.Numbers = quantiles(c.Num, points)
		for _, v := range d.Numbers {
			values = append(values, &frame.Column{Name: c.Name, Type: c.Type, Num: []float64{v}})
		}
	} else {
		for _, code := range frequent(c) {
			d.Levels = append(d.Levels, c.Levels[code])
			values = append(values, &frame.Column{Name: c.Name, Type: c.Type, Levels: c.Levels, Codes: []int32{code}})
		}
	}
	if len(values) == 0 {
		return nil, errors.New("the feature " + c.Name + " has no value in these rows")
	}
	rows := spaced(c.Len())
	d.Rows = len(rows)
	taken := make([]*frame.Column, len(columns))
	for i, column := range columns {
		taken[i] = column.Take(rows)
	}
	same := make([]int32, len(rows)) // every row takes the one value
	for _, v := range values {
		taken[feature] = v.Take(same)
		p, err := m.Predict(taken, cores)
		if err != nil {
			return nil, err
		}
		d.Means = append(d.Means, means(p, len(rows)))
	}
	return d, nil
}

func means(p []float64, rows int) []float64 {
	k := len(p) / rows
	m := make([]float64, k)
	column := make([]float64, rows)
	for o := range m {
		for i := range column {
			column[i] = p[i*k+o]
		}
		m[o] = num.Sum(column) / float64(rows)
	}
	return m
}

// quantiles returns points values of v at even distances of rank, each once.
func quantiles(v []float64, points int) []float64 {
	var sorted []float64
	for _, x := range v {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			sorted = append(sorted, x)
		}
	}
	if len(sorted) == 0 {
		return nil
	}
	slices.Sort(sorted)
	var grid []float64
	for i := range points {
		grid = append(grid, sorted[i*(len(sorted)-1)/(points-1)])
	}
	return slices.Compact(grid)
}

// frequent returns the codes that rows have, the most frequent first, of equals the one that appeared first.
func frequent(c *frame.Column) []int32 {
	rows := make([]int, len(c.Levels))
	for _, code := range c.Codes {
		if code >= 0 {
			rows[code]++
		}
	}
	var codes []int32
	for code, n := range rows {
		if n > 0 {
			codes = append(codes, int32(code))
		}
	}
	slices.SortStableFunc(codes, func(a, b int32) int { return cmp.Compare(rows[b], rows[a]) })
	return codes[:min(len(codes), maxLevels)]
}

// spaced returns the rows that are looked at.
func spaced(n int) []int32 {
	rows := make([]int32, min(n, PartialRows))
	for i := range rows {
		rows[i] = int32(int64(i) * int64(n) / int64(len(rows)))
	}
	return rows
}
