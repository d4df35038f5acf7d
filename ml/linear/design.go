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
}

// minLevelRows is the number of training rows below which a level shares the pooled weight.
const minLevelRows = 5

// maxLevels bounds the weights of one category; the most frequent levels have one each.
const maxLevels = 1000

// clip bounds standardised numbers. No training row reaches it, and no later row can overflow.
const clip = 1e6

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
	t.Unit, t.Scale = 1, 1
	if largest > 0 {
		_, e := math.Frexp(largest)
		t.Unit = math.Ldexp(1, max(min(e, 1023), -1021))
	}
	if len(values) > 0 {
		t.standardise(values, constant)
	}
	return t
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
	return max(-clip, min(clip, (v/t.Unit-t.Mean)/t.Scale))
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

// design is the rows in numbers, without ever spelling out the zeros of a category: n x d numbers, then the intercept's
// 1, then one weight index for each category.
type design struct {
	n, d   int // rows, numbers a row
	cats   int // categories
	params int // weights and the intercept
	x      []float64
	c      []int32
}

// place numbers the weights: those of numbers first, then the intercept, then those of categories.
func place(terms []term) (d, params int) {
	for i := range terms {
		if terms[i].Type.Numeric() {
			terms[i].at = d
			d += terms[i].width()
		}
	}
	params = d + 1
	for i := range terms {
		if !terms[i].Type.Numeric() {
			terms[i].at = params
			params += terms[i].width()
		}
	}
	return d, params
}

// newDesign writes the rows of columns in numbers.
func newDesign(terms []term, columns []*frame.Column, d, params int) *design {
	m := &design{n: columns[0].Len(), d: d, params: params}
	for i := range terms {
		if !terms[i].Type.Numeric() {
			m.cats++
		}
	}
	m.x = make([]float64, m.n*d)
	m.c = make([]int32, m.n*m.cats)
	cat := 0
	for i, column := range columns {
		t := &terms[i]
		if t.Type.Numeric() {
			m.numbers(t, column)
			continue
		}
		at := t.weights(column.Levels)
		pooled := int32(t.at + len(t.Levels))
		for r, code := range column.Codes {
			w := pooled
			if code >= 0 {
				w = at[code]
			}
			m.c[r*m.cats+cat] = w
		}
		cat++
	}
	return m
}

func (m *design) numbers(t *term, column *frame.Column) {
	for r, v := range column.Num {
		switch {
		case v == v:
			m.x[r*m.d+t.at] = t.standard(v)
		case t.Absent:
			m.x[r*m.d+t.at+1] = 1
		}
	}
}

// score returns the linear combination of row r with the weights w.
func (m *design) score(r int, w []float64) float64 {
	s := w[m.d]
	for j, x := range m.x[r*m.d : (r+1)*m.d] {
		s += float64(x * w[j])
	}
	for _, c := range m.c[r*m.cats : (r+1)*m.cats] {
		s += w[c]
	}
	return s
}

// addGradient adds g times row r to the gradient.
func (m *design) addGradient(r int, g float64, gradient []float64) {
	for j, x := range m.x[r*m.d : (r+1)*m.d] {
		gradient[j] += float64(g * x)
	}
	gradient[m.d] += g
	for _, c := range m.c[r*m.cats : (r+1)*m.cats] {
		gradient[c] += g
	}
}

// addHessian adds h times the outer product of row r with itself to the lower triangle of a params x params matrix.
// Weights of later categories have larger indices, so row index >= column index throughout. scratch has d+1 elements.
func (m *design) addHessian(r int, h float64, hessian, scratch []float64) {
	p := m.params
	x := m.x[r*m.d : (r+1)*m.d]
	hx := scratch[:len(x)+1] // h times the numbers and the intercept's 1
	for j, v := range x {
		hx[j] = float64(h * v)
	}
	hx[len(x)] = h
	for j, hv := range hx[:len(x)] {
		row := hessian[j*p : j*p+j+1]
		for k, v := range x[:len(row)] {
			row[k] += float64(hv * v)
		}
	}
	addTo(hessian[m.d*p:m.d*p+len(hx)], hx)
	cats := m.c[r*m.cats : (r+1)*m.cats]
	for i, c := range cats {
		row := hessian[int(c)*p : int(c)*p+int(c)+1]
		addTo(row[:len(hx)], hx)
		for _, other := range cats[:i+1] {
			row[other] += h
		}
	}
}

func addTo(to, from []float64) {
	to = to[:len(from)]
	for k, v := range from {
		to[k] += v
	}
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
