package tree

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/frame"
)

// Foreign is a node of a tree that another library learned. A node without children is a leaf.
type Foreign struct {
	Feature     int
	Below       float64 // values below it go left
	Left, Right *Foreign
}

// ForeignTree is a tree that another library learned. A nil Root is a leaf alone.
type ForeignTree struct {
	Root *Foreign
	Rows []uint32 // how often it learned from each row; nil: once from every row
}

// foreignLimit bounds the values that a foreign learner sees, so that means of two of them cannot overflow.
const foreignLimit = 1e300

// FitForeign lets another library learn trees and keeps them in this package's form, as a forest whose prediction is the
// mean of its trees'. Learn gets the features as numbers, a slice for each: categories as ranks of their levels by target
// share, missing values as a number below all others. The class shares of the leaves are those of the rows that the tree
// learned from. Its other arguments are those of FitTree.
func FitForeign(columns []*frame.Column, y []int32, classes int, learn func(features [][]float64) ([]ForeignTree, error)) (*Ensemble, error) {
	o := Options{MaxBins: MaxBins - 1}
	if err := errors.Join(o.check(columns, len(y)), o.checkClasses(y, classes)); err != nil {
		return nil, err
	}
	m := &Ensemble{classes: classes, features: make([]feature, len(columns))}
	b := newBinner(y, classes, o.MaxBins)
	numbers := make([][]float64, len(columns))
	for i, c := range columns {
		m.features[i] = feature{Name: c.Name, Type: c.Type}
		if c.Type.Numeric() {
			numbers[i] = belowAll(c.Num)
			continue
		}
		f := &m.features[i]
		f.Levels, f.Bins = b.order(c)
		for l := range f.Bins {
			f.Bins[l]++ // 0 is left to missing values
		}
		numbers[i] = ranks(f, c)
	}
	learned, err := learn(numbers)
	if err == nil && len(learned) == 0 {
		err = errors.New("no foreign tree was learned")
	}
	if err != nil {
		return nil, err
	}
	for i := range learned {
		if learned[i].Root == nil {
			learned[i].Root = &Foreign{}
		}
		if learned[i].Rows != nil && len(learned[i].Rows) != len(y) {
			return nil, fmt.Errorf("a foreign tree learned from %d rows, want %d", len(learned[i].Rows), len(y))
		}
		if err := m.edgesOf(learned[i].Root); err != nil {
			return nil, err
		}
	}
	encoders, err := m.encoders(columns)
	if err != nil {
		return nil, err
	}
	x := m.encode(encoders, 0, len(y))
	m.trees = make([]grown, len(learned))
	for i := range learned {
		t := &m.trees[i]
		t.addLeaf()
		m.importNode(t, 0, learned[i].Root)
		m.fillShares(t, x, y, learned[i].Rows)
	}
	m.trim()
	return m, nil
}

// belowAll replaces missing values by a number below all others.
func belowAll(v []float64) []float64 {
	least := 0.0
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = max(-foreignLimit, min(foreignLimit, x))
		if x < least {
			least = out[i]
		}
	}
	for i, x := range v {
		if x != x {
			out[i] = least - max(1, math.Abs(least))
		}
	}
	return out
}

func ranks(f *feature, c *frame.Column) []float64 {
	codes := make([]uint16, len(c.Levels))
	f.levelCodes(c.Levels, codes)
	v := make([]float64, len(c.Codes))
	for i, code := range c.Codes {
		if code >= 0 {
			v[i] = float64(codes[code])
		}
	}
	return v
}

// edgesOf makes an edge of every threshold on a number: the largest value that goes left.
func (m *Ensemble) edgesOf(n *Foreign) error {
	if n.Left == nil || n.Right == nil {
		return nil
	}
	if n.Feature < 0 || n.Feature >= len(m.features) || math.IsNaN(n.Below) {
		return errors.New("a foreign tree has a node without a feature")
	}
	if f := &m.features[n.Feature]; f.Type.Numeric() {
		edge := math.Nextafter(n.Below, math.Inf(-1))
		if at, found := slices.BinarySearch(f.Edges, edge); !found {
			f.Edges = slices.Insert(f.Edges, at, edge)
		}
		if len(f.Edges) > MaxBins {
			return errors.New("a foreign tree has too many thresholds on one feature")
		}
	}
	return errors.Join(m.edgesOf(n.Left), m.edgesOf(n.Right))
}

// addLeaf appends a node without children and returns its place.
func (t *grown) addLeaf() int {
	at := len(t.nodes)
	t.nodes = append(t.nodes, walker{left: uint32(at), cut: leafCut})
	t.value = append(t.value, 0)
	return at
}

// importNode appends what lies below a node, in the order of the file format: children are neighbours, behind their parent.
func (m *Ensemble) importNode(t *grown, at int, n *Foreign) {
	if n.Left == nil || n.Right == nil {
		return
	}
	left := t.addLeaf()
	t.addLeaf()
	f := &m.features[n.Feature]
	node := walker{left: uint32(left), column: uint16(2 * n.Feature)}
	if f.Type.Numeric() {
		edge, _ := slices.BinarySearch(f.Edges, math.Nextafter(n.Below, math.Inf(-1)))
		node.cut = uint16(edge)
	} else {
		node.cut = uint16(max(0, min(math.Ceil(n.Below)-1, float64(f.bins()-1))))
	}
	t.nodes[at] = node
	m.importNode(t, left, n.Left)
	m.importNode(t, left+1, n.Right)
}

// fillShares gives the leaves of a tree the class shares of the rows that it learned from.
func (m *Ensemble) fillShares(t *grown, x *matrix, y []int32, rows []uint32) {
	counts := make([]uint32, len(t.nodes)*m.classes)
	for i, class := range y {
		times := uint32(1)
		if rows != nil {
			times = rows[i]
		}
		if times > 0 {
			counts[int(walk(t.nodes, x.codes[i*x.width:(i+1)*x.width]))*m.classes+int(class)] += times
		}
	}
	for i, n := range t.nodes {
		if n.cut != leafCut {
			continue
		}
		c := counts[i*m.classes : (i+1)*m.classes]
		s := make([]uint32, m.classes-1)
		if slices.Max(c) > 0 {
			s = shares(c, nil, 0)
		}
		t.setShares(i, s)
	}
}

// setShares gives a leaf the shares of the classes after the first.
func (t *grown) setShares(leaf int, shares []uint32) {
	if len(shares) == 1 {
		t.value[leaf] = shares[0]
		return
	}
	t.value[leaf] = uint32(len(t.leaves))
	t.leaves = appendPairs(t.leaves, shares)
}
