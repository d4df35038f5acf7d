package tree

import (
	"errors"
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

// foreignLimit bounds the values that a foreign learner sees, so that means of two of them cannot overflow.
const foreignLimit = 1e300

// FitForeign lets another library learn one tree and keeps it in this package's form. Learn gets the features as numbers,
// a slice for each: categories as ranks of their levels by target share, missing values as a number below all others. The
// class shares of the leaves are those of the training rows. Its other arguments are those of FitTree.
func FitForeign(columns []*frame.Column, y []int32, classes int, learn func(features [][]float64) (*Foreign, error)) (*Ensemble, error) {
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
	root, err := learn(numbers)
	if err != nil {
		return nil, err
	}
	if root == nil {
		root = &Foreign{}
	}
	if err := m.edgesOf(root); err != nil {
		return nil, err
	}
	m.trees = make([]grown, 1)
	m.importNodes(root)
	if err := m.fillShares(columns, y); err != nil {
		return nil, err
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

// importNodes appends the nodes in the order of the file format: children are neighbours, behind their parent.
func (m *Ensemble) importNodes(root *Foreign) {
	m.trees[0].addLeaf()
	m.importNode(0, root)
}

// addLeaf appends a node without children and returns its place.
func (t *grown) addLeaf() int {
	at := len(t.nodes)
	t.nodes = append(t.nodes, walker{left: uint32(at), cut: leafCut})
	t.value = append(t.value, 0)
	return at
}

func (m *Ensemble) importNode(at int, n *Foreign) {
	if n.Left == nil || n.Right == nil {
		return
	}
	t := &m.trees[0]
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
	m.importNode(left, n.Left)
	m.importNode(left+1, n.Right)
}

// fillShares gives the leaves the class shares of the training rows.
func (m *Ensemble) fillShares(columns []*frame.Column, y []int32) error {
	encoders, err := m.encoders(columns)
	if err != nil {
		return err
	}
	x, t := m.encode(encoders, 0, len(y)), &m.trees[0]
	counts := make([]uint32, len(t.nodes)*m.classes)
	for i, class := range y {
		counts[int(walk(t.nodes, x.codes[i*x.width:(i+1)*x.width]))*m.classes+int(class)]++
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
	return nil
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
