package tree

import (
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
)

// rowBlock is the number of rows that are encoded and walked together.
const rowBlock = 1 << 10

// matrix holds rows as codes, two for each feature, ready to be walked; what the two are, Ensemble says.
type matrix struct {
	rows  int
	width int
	codes []uint16 // row-major
}

// Predict returns the class shares of every row: n x classes, row-major, each row adding up to 1; of a model of a numeric
// target one value for each row. columns are matched to the model's features by position, and must have their names and
// kinds of types.
func (m *Ensemble) Predict(columns []*frame.Column, cores int) ([]float64, error) {
	encoders, err := m.encoders(columns)
	if err != nil {
		return nil, err
	}
	rows, w, k := columns[0].Len(), m.width(), m.outputs()
	out := make([]float64, rows*k)
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for from := 0; from < rows; from += rowBlock {
		to := min(from+rowBlock, rows)
		g.Go(func() error {
			x := m.encode(encoders, from, to)
			total := make([]uint64, (to-from)*w)
			for t := range m.trees {
				m.walkTree(t, x, total, nil)
			}
			m.finish(total, out[from*k:to*k])
			return nil
		})
	}
	return out, g.Wait()
}

// together is the number of rows that walk a tree side by side, so that the processor waits for as many loads at once
// instead of one.
const together = 8

// walkTree adds the leaves of tree t for every row of x, and writes where the rows end unless leaves is nil.
func (m *Ensemble) walkTree(t int, x *matrix, total []uint64, leaves []uint32) {
	nodes, width := m.trees[t].nodes, x.width
	i := 0
	for ; i+together <= x.rows; i += together {
		at := walkTogether(nodes, x.codes[i*width:(i+together)*width], width)
		m.addLeaves(t, at[:], i, total)
		if leaves != nil {
			copy(leaves[i:], at[:])
		}
	}
	for ; i < x.rows; i++ {
		at := [1]uint32{walk(nodes, x.codes[i*width:(i+1)*width])}
		m.addLeaves(t, at[:], i, total)
		if leaves != nil {
			leaves[i] = at[0]
		}
	}
}

func (m *Ensemble) addLeaves(t int, at []uint32, first int, total []uint64) {
	if m.task == votes && m.classes == 2 {
		value, total := m.trees[t].value, total[first:]
		for i, leaf := range at {
			total[i] += uint64(value[leaf])
		}
		return
	}
	w := m.width()
	for i, leaf := range at {
		m.addLeaf(t, leaf, total[(first+i)*w:(first+i+1)*w], 1)
	}
}

// walkTogether takes rows from the root to their leaves, with everything in registers.
func walkTogether(nodes []walker, codes []uint16, width int) [together]uint32 {
	var a, b, c, d, e, f, g, h uint32
	r0, r1, r2, r3 := codes[:width], codes[width:2*width], codes[2*width:3*width], codes[3*width:4*width]
	r4, r5, r6, r7 := codes[4*width:5*width], codes[5*width:6*width], codes[6*width:7*width], codes[7*width:8*width]
	for {
		moved := uint32(0)
		next := step(nodes, a, r0)
		moved, a = next^a, next
		next = step(nodes, b, r1)
		moved, b = moved|(next^b), next
		next = step(nodes, c, r2)
		moved, c = moved|(next^c), next
		next = step(nodes, d, r3)
		moved, d = moved|(next^d), next
		next = step(nodes, e, r4)
		moved, e = moved|(next^e), next
		next = step(nodes, f, r5)
		moved, f = moved|(next^f), next
		next = step(nodes, g, r6)
		moved, g = moved|(next^g), next
		next = step(nodes, h, r7)
		moved, h = moved|(next^h), next
		if moved == 0 {
			return [together]uint32{a, b, c, d, e, f, g, h}
		}
	}
}

// step returns the child that a row goes to, which of a leaf is the leaf itself.
func step(nodes []walker, at uint32, row []uint16) uint32 {
	n := nodes[at]
	// 1 when the code is above the cut: the sign bit of the difference.
	return n.left + uint32(int32(n.cut)-int32(row[n.column]))>>31
}

// walk takes one row from the root to its leaf.
func walk(nodes []walker, row []uint16) uint32 {
	at := uint32(0)
	for {
		next := step(nodes, at, row)
		if next == at {
			return at
		}
		at = next
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
