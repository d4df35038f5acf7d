package linear

import (
	"fmt"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// term is what a model knows of one column: which of the weights are its own, and how a value becomes numbers.
//
// A numeric column has one weight, for (x/Unit - Mean)/Scale, and a second, for being missing, if that happens in the
// training rows; a missing value is otherwise the mean. A category has a weight for each of Levels, and one more for
// all levels that are rare in the training rows, missing values among them.
type term struct {
	Name   string     `json:"name"`
	Type   frame.Type `json:"-"`
	Kind   string     `json:"type"`
	Unit   float64    `json:"unit,omitempty"` // a power of two near the largest value, so that nothing overflows
	Mean   float64    `json:"mean,omitempty"`
	Scale  float64    `json:"scale,omitempty"`
	Absent bool       `json:"absent,omitempty"` // there is a weight for missing values
	Levels []string   `json:"levels,omitempty"` // sorted; the pooled weight follows theirs
	at     int        // index of the first weight
	slot   int        // of a category: its place among the categories of a row
}

// minLevelRows is the number of training rows below which a level shares the pooled weight.
const minLevelRows = 5

// maxLevels bounds the weights of one category; the most frequent levels have one each.
const maxLevels = 1000

// Clip bounds standardised numbers. No training row reaches it, and no later row can overflow.
const Clip = 1e6

func (t *term) width() int {
	if !t.Type.Numeric() {
		return len(t.Levels) + 1
	}
	if t.Absent {
		return 2
	}
	return 1
}

// newTerm learns a column.
func newTerm(c *frame.Column) term {
	t := term{Name: c.Name, Type: c.Type, Kind: c.Type.String()}
	if !c.Type.Numeric() {
		t.Levels = frequentLevels(c)
		return t
	}
	values := make([]float64, 0, len(c.Num))
	largest, constant := 0.0, true
	for _, v := range c.Num {
		if v == v {
			v = max(-math.MaxFloat64, min(math.MaxFloat64, v))
			values = append(values, v)
			largest = max(largest, math.Abs(v))
			constant = constant && v == values[0]
		}
	}
	t.Absent = len(values) < len(c.Num)
	t.Unit, t.Scale = unitOf(largest), 1
	if len(values) > 0 {
		t.standardise(values, constant)
	}
	return t
}

// unitOf returns a power of two near largest, or 1 for 0.
func unitOf(largest float64) float64 {
	if largest == 0 {
		return 1
	}
	_, e := math.Frexp(largest)
	return math.Ldexp(1, max(min(e, 1023), -1021))
}

// standardise learns mean and scale of values, which it overwrites. A constant has no scale of its own, though the
// rounding of its mean would give it one.
func (t *term) standardise(values []float64, constant bool) {
	for i := range values {
		values[i] /= t.Unit
	}
	if constant {
		t.Mean = values[0]
		return
	}
	t.Mean = num.Sum(values) / float64(len(values))
	for i, v := range values {
		d := v - t.Mean
		values[i] = float64(d * d)
	}
	if sd := math.Sqrt(num.Sum(values) / float64(len(values))); sd > 0 {
		t.Scale = sd
	}
}

// frequentLevels returns the levels with a weight of their own.
func frequentLevels(c *frame.Column) []string {
	rows := make([]int, len(c.Levels))
	for _, code := range c.Codes {
		if code >= 0 {
			rows[code]++
		}
	}
	var codes []int
	for l, n := range rows {
		if n >= minLevelRows {
			codes = append(codes, l)
		}
	}
	slices.SortFunc(codes, func(a, b int) int {
		if rows[a] != rows[b] {
			return rows[b] - rows[a]
		}
		if c.Levels[a] < c.Levels[b] {
			return -1
		}
		return 1
	})
	codes = codes[:min(len(codes), maxLevels)]
	levels := make([]string, len(codes))
	for i, l := range codes {
		levels[i] = c.Levels[l]
	}
	slices.Sort(levels)
	return levels
}

// standard returns the number that stands for v, which is not missing.
func (t *term) standard(v float64) float64 {
	return max(-Clip, min(Clip, (v/t.Unit-t.Mean)/t.Scale))
}

// weights returns, for each level of the column, the index of its weight.
func (t *term) weights(levels []string) []int32 {
	at := make([]int32, len(levels))
	for i, l := range levels {
		at[i] = int32(t.at + len(t.Levels))
		if j, ok := slices.BinarySearch(t.Levels, l); ok {
			at[i] = int32(t.at + j)
		}
	}
	return at
}

func checkColumns(columns []*frame.Column, terms []term) error {
	if len(columns) != len(terms) {
		return fmt.Errorf("%d columns, want %d", len(columns), len(terms))
	}
	for i, c := range columns {
		t := &terms[i]
		if c.Name != t.Name || c.Type.Numeric() != t.Type.Numeric() || (!c.Type.Numeric() && !c.Type.Textual()) {
			return fmt.Errorf("column %q of type %v, want %q of type %v", c.Name, c.Type, t.Name, t.Type)
		}
		if c.Len() != columns[0].Len() {
			return fmt.Errorf("column %q has %d rows, want %d", c.Name, c.Len(), columns[0].Len())
		}
	}
	return nil
}
