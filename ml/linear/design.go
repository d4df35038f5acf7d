package linear

import (
	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
)

// design is the rows in numbers, without ever spelling out the zeros of a category: n x (d+1) numbers, the last of them
// the intercept's 1, and n x cats weight indices, one for each category.
//
// The weights are those of the numbers, the intercept, then those of the categories; the category of the most weights
// comes last. No row has two weights of one category, so the part of a Hessian that belongs to the last one is diagonal:
// see curvature. core is the number of weights before that category.
type design struct {
	n, d, cats   int
	core, params int
	x            []float64
	c            []int32
}

// place numbers the weights in the order of terms: those of numbers, the intercept, those of categories.
func place(terms []term) (d, params int) {
	return placeLast(terms, -1)
}

// placeLast is place with the weights of the category last behind all others.
func placeLast(terms []term, last int) (d, params int) {
	for i := range terms {
		if terms[i].Type.Numeric() {
			terms[i].at = d
			d += terms[i].width()
		}
	}
	params = d + 1
	slot := 0
	put := func(t *term) {
		t.at, t.slot = params, slot
		params += t.width()
		slot++
	}
	for i := range terms {
		if !terms[i].Type.Numeric() && i != last {
			put(&terms[i])
		}
	}
	if last >= 0 {
		put(&terms[last])
	}
	return d, params
}

// widest returns the index of the category with the most weights, or -1.
func widest(terms []term) int {
	best := -1
	for i := range terms {
		if !terms[i].Type.Numeric() && (best < 0 || terms[i].width() > terms[best].width()) {
			best = i
		}
	}
	return best
}

// lastCategory returns the index of the category whose weights come last, or -1.
func lastCategory(terms []term) int {
	last := -1
	for i := range terms {
		if !terms[i].Type.Numeric() && (last < 0 || terms[i].at > terms[last].at) {
			last = i
		}
	}
	return last
}

// newDesign writes the rows of columns in numbers. Its weights are those that place or placeLast gave the terms.
func newDesign(terms []term, columns []*frame.Column, d, params, cores int) *design {
	m := &design{n: columns[0].Len(), d: d, core: params, params: params}
	if w := lastCategory(terms); w >= 0 {
		m.core = terms[w].at
	}
	for i := range terms {
		if !terms[i].Type.Numeric() {
			m.cats++
		}
	}
	m.x = make([]float64, m.n*(d+1))
	m.c = make([]int32, m.n*m.cats)
	m.ones()
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for i, column := range columns {
		g.Go(func() error {
			if terms[i].Type.Numeric() {
				m.numbers(&terms[i], column)
			} else {
				m.category(&terms[i], column)
			}
			return nil
		})
	}
	_ = g.Wait()
	return m
}

func (m *design) ones() {
	q := m.d + 1
	for at := m.d; at < len(m.x); at += q {
		m.x[at] = 1
	}
}

func (m *design) numbers(t *term, column *frame.Column) {
	q := m.d + 1
	for r, v := range column.Num {
		switch {
		case v == v:
			m.x[r*q+t.at] = t.standard(v)
		case t.Absent:
			m.x[r*q+t.at+1] = 1
		}
	}
}

func (m *design) category(t *term, column *frame.Column) {
	at := t.weights(column.Levels)
	pooled := int32(t.at + len(t.Levels))
	for r, code := range column.Codes {
		w := pooled
		if code >= 0 {
			w = at[code]
		}
		m.c[r*m.cats+t.slot] = w
	}
}

// row returns the numbers and the weight indices of row r.
func (m *design) row(r int) (x []float64, c []int32) {
	q := m.d + 1
	return m.x[r*q : r*q+q : r*q+q], m.c[r*m.cats : (r+1)*m.cats : (r+1)*m.cats]
}

// score returns the linear combination of row r with the weights w.
func (m *design) score(r int, w []float64) float64 {
	x, c := m.row(r)
	s := 0.0
	for j, v := range w[:len(x)] {
		s += float64(x[j] * v)
	}
	for _, i := range c {
		s += w[i]
	}
	return s
}

// addGradient adds g times row r to the gradient.
func (m *design) addGradient(r int, g float64, gradient []float64) {
	x, c := m.row(r)
	for j, v := range x {
		gradient[j] += float64(g * v)
	}
	for _, i := range c {
		gradient[i] += g
	}
}

// thin returns every stride-th row.
func (m *design) thin(stride int) *design {
	t := *m
	t.n = (m.n + stride - 1) / stride
	t.x, t.c = make([]float64, 0, t.n*(m.d+1)), make([]int32, 0, t.n*m.cats)
	for r := 0; r < m.n; r += stride {
		x, c := m.row(r)
		t.x, t.c = append(t.x, x...), append(t.c, c...)
	}
	return &t
}

func addTo(to, from []float64) {
	to = to[:len(from)]
	for k, v := range from {
		to[k] += v
	}
}
