package tree

import (
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
)

// rowBlock is the number of rows that are encoded and walked together.
const rowBlock = 1 << 10

// walker is one node as the walk reads it: eight bytes.
type walker struct {
	left   uint32
	cut    uint16
	column uint16
}

// matrix holds rows as codes, two for each feature, ready to be walked; what the two are, Ensemble says.
type matrix struct {
	rows  int
	width int
	codes []uint16 // row-major
}

// Predict returns the class shares of every row: n x classes, row-major, each row adding up to 1. columns are matched to
// the model's features by position, and must have their names and kinds of types.
func (m *Ensemble) Predict(columns []*frame.Column, cores int) ([]float64, error) {
	encoders, err := m.encoders(columns)
	if err != nil {
		return nil, err
	}
	rows := columns[0].Len()
	nodes := m.walkers()
	proba := make([]float64, rows*m.classes)
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for from := 0; from < rows; from += rowBlock {
		to := min(from+rowBlock, rows)
		g.Go(func() error {
			x := m.encode(encoders, from, to)
			sums := make([]uint64, (to-from)*(m.classes-1))
			for _, root := range m.roots {
				m.walkTree(nodes, root, x, sums, nil)
			}
			m.finish(sums, proba[from*m.classes:to*m.classes])
			return nil
		})
	}
	return proba, g.Wait()
}

// finish turns sums of shares into shares of the whole. All are exact integers below 2^53 for up to 2^22 trees.
func (m *Ensemble) finish(sums []uint64, proba []float64) {
	k := m.classes
	whole := float64(uint64(len(m.roots)) * unit)
	for i := range len(proba) / k {
		rest := uint64(len(m.roots)) * unit
		for c, s := range sums[i*(k-1) : (i+1)*(k-1)] {
			s = min(s, rest) // rounding of many shares may pass the whole by a few units
			rest -= s
			proba[i*k+c+1] = float64(s) / whole
		}
		proba[i*k] = float64(rest) / whole
	}
}

func (m *Ensemble) walkers() []walker {
	nodes := make([]walker, len(m.left))
	for i := range nodes {
		nodes[i] = walker{m.left[i], m.cut[i], m.column[i]}
	}
	return nodes
}

// walkTree adds the leaf shares of one tree for every row of x, and writes the leaves unless they are nil. Four rows walk
// side by side, so that the processor waits for four loads at once instead of one.
func (m *Ensemble) walkTree(nodes []walker, root uint32, x *matrix, sums []uint64, leaves []uint32) {
	i := 0
	for ; i+4 <= x.rows; i += 4 {
		a := x.codes[i*x.width : (i+1)*x.width]
		b := x.codes[(i+1)*x.width : (i+2)*x.width]
		c := x.codes[(i+2)*x.width : (i+3)*x.width]
		d := x.codes[(i+3)*x.width : (i+4)*x.width]
		p, q, r, s := root, root, root, root
		for {
			p1, q1, r1, s1 := step(nodes, p, a), step(nodes, q, b), step(nodes, r, c), step(nodes, s, d)
			if p1 == p && q1 == q && r1 == r && s1 == s {
				break
			}
			p, q, r, s = p1, q1, r1, s1
		}
		m.addLeaf(sums, i, p)
		m.addLeaf(sums, i+1, q)
		m.addLeaf(sums, i+2, r)
		m.addLeaf(sums, i+3, s)
		if leaves != nil {
			leaves[i], leaves[i+1], leaves[i+2], leaves[i+3] = p, q, r, s
		}
	}
	for ; i < x.rows; i++ {
		leaf := walk(nodes, root, x.codes[i*x.width:(i+1)*x.width])
		m.addLeaf(sums, i, leaf)
		if leaves != nil {
			leaves[i] = leaf
		}
	}
}

// step returns the child that a row goes to, which of a leaf is the leaf itself.
func step(nodes []walker, at uint32, row []uint16) uint32 {
	n := nodes[at]
	// 1 when the code is above the cut: the sign bit of the difference.
	return n.left + uint32(int32(n.cut)-int32(row[n.column]))>>31
}

func walk(nodes []walker, at uint32, row []uint16) uint32 {
	for {
		next := step(nodes, at, row)
		if next == at {
			return at
		}
		at = next
	}
}

func (m *Ensemble) addLeaf(sums []uint64, row int, leaf uint32) {
	if m.classes == 2 {
		sums[row] += uint64(m.value[leaf])
		return
	}
	k := m.classes - 1
	for c, v := range m.value[int(leaf)*k : (int(leaf)+1)*k] {
		sums[row*k+c] += uint64(v)
	}
}

// encoder writes the codes of one column.
type encoder struct {
	feature *feature
	column  *frame.Column
	cuts    cutter   // number
	levels  []uint16 // category: code of each level of the column
}

// missingHigh is the code of a missing value where it lies above every cut.
const missingHigh = 1<<16 - 1

func (m *Ensemble) encoders(columns []*frame.Column) ([]encoder, error) {
	if len(columns) != len(m.features) {
		return nil, fmt.Errorf("%d columns, want %d", len(columns), len(m.features))
	}
	encoders := make([]encoder, len(columns))
	for i, c := range columns {
		f := &m.features[i]
		if c.Name != f.Name || c.Type.Numeric() != f.Type.Numeric() || (!c.Type.Numeric() && !c.Type.Textual()) {
			return nil, fmt.Errorf("column %q of type %v, want %q of type %v", c.Name, c.Type, f.Name, f.Type)
		}
		if c.Len() != columns[0].Len() {
			return nil, fmt.Errorf("column %q has %d rows, want %d", c.Name, c.Len(), columns[0].Len())
		}
		encoders[i] = encoder{feature: f, column: c}
		if f.Type.Numeric() {
			encoders[i].cuts = newCutter(f.Edges)
		} else {
			encoders[i].levels = make([]uint16, len(c.Levels))
			f.levelCodes(c.Levels, encoders[i].levels)
		}
	}
	return encoders, nil
}

func (m *Ensemble) encode(encoders []encoder, from, to int) *matrix {
	x := &matrix{rows: to - from, width: 2 * len(encoders)}
	x.codes = make([]uint16, x.rows*x.width)
	for f := range encoders {
		encoders[f].write(x, f, from, to)
	}
	return x
}

// write fills the two codes of feature f for rows [from, to) of the column.
func (e *encoder) write(x *matrix, f, from, to int) {
	at := 2 * f
	put := func(code uint16, missing bool) {
		x.codes[at], x.codes[at+1] = code, code
		if missing {
			x.codes[at], x.codes[at+1] = 0, missingHigh
		}
		at += x.width
	}
	if e.feature.Type.Numeric() {
		for _, v := range e.column.Num[from:to] {
			if v == v {
				put(uint16(e.cuts.code(v)), false)
			} else {
				put(0, true)
			}
		}
		return
	}
	for _, code := range e.column.Codes[from:to] {
		if code < 0 || e.levels[code] == missingHigh {
			put(0, true)
		} else {
			put(e.levels[code], false)
		}
	}
}

// levelCodes writes the code of every level, missingHigh for one that the training rows did not have.
func (f *feature) levelCodes(levels []string, codes []uint16) {
	known := make(map[string]uint16, len(f.Levels))
	for i, l := range f.Levels {
		known[l] = f.Bins[i]
	}
	for i, l := range levels {
		code, ok := known[l]
		if !ok {
			code = missingHigh
		}
		codes[i] = code
	}
}
