package tree

import (
	"errors"
	"math"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
)

// Binned is a training set as codes, for learners that grow trees by themselves. A column's codes are below Bins; Bins
// itself is a missing value.
type Binned struct {
	Columns [][]uint8 // codes, a slice for each feature
	Bins    []int     // of each feature

	features []feature
	classes  int
}

// BinClasses learns the bins of columns, which are those of FitTree, and encodes them. maxBins is 2 to 255.
func BinClasses(columns []*frame.Column, y []int32, classes, maxBins, cores int) (*Binned, error) {
	o := Options{MaxBins: maxBins, Cores: cores}
	if err := errors.Join(o.check(columns, len(y)), o.checkClasses(y, classes)); err != nil {
		return nil, err
	}
	return bin(columns, newBinner(y, classes, maxBins), o)
}

// BinNumbers is BinClasses for a numeric target, which must be finite.
func BinNumbers(columns []*frame.Column, target []float64, maxBins, cores int) (*Binned, error) {
	o := Options{MaxBins: maxBins, Cores: cores}
	if err := errors.Join(o.check(columns, len(target)), checkTarget(target)); err != nil {
		return nil, err
	}
	return bin(columns, newTargetBinner(target, maxBins), o)
}

func bin(columns []*frame.Column, b *binner, o Options) (*Binned, error) {
	if o.MaxBins > 255 {
		return nil, errors.New("more than 255 bins do not fit into codes of a byte")
	}
	d := &Binned{Columns: make([][]uint8, len(columns)), Bins: make([]int, len(columns)), features: b.features(columns, o.Cores), classes: b.classes}
	var g errgroup.Group
	g.SetLimit(o.Cores)
	for i, c := range columns {
		g.Go(func() error {
			d.Bins[i], d.Columns[i] = d.features[i].bins(), make([]uint8, c.Len())
			_ = encode(&d.features[i], c, uint8(d.Bins[i]), d.Columns[i])
			return nil
		})
	}
	return d, g.Wait()
}

// SumNode is a node of a tree that was grown on a Binned. The list of a tree begins with its root; the children of a node are
// neighbours behind it.
type SumNode struct {
	Left        int // index of the left child, the right one follows; 0: a leaf
	Feature     int
	Cut         int   // codes up to it go left
	MissingLeft bool  // where missing values go
	Value       int64 // of a leaf, in units of the sum; from -2^44 to 2^44
}

// Sum makes an ensemble whose leaves are added up, in units of 2^exponent, on top of base: one number for two classes, whose
// sum is the log odds of the second, and for a numeric target; a number for each of more classes, and tree t adds to that
// of class t modulo classes.
func (b *Binned) Sum(base []int64, exponent int, trees [][]SumNode) (*Ensemble, error) {
	m := &Ensemble{task: sums, classes: b.classes, exponent: exponent, base: base, features: b.features}
	if len(base) != m.width() || len(trees) == 0 {
		return nil, errors.New("a sum of no trees, or without its base")
	}
	for _, nodes := range trees {
		var t grown
		t.addLeaf()
		t.place(nodes, 0, 0)
		m.trees = append(m.trees, t)
	}
	m.trim()
	return m, nil
}

// place copies the subtree of node from to node at, in the order of the file format.
func (t *grown) place(nodes []SumNode, at, from int) {
	n := nodes[from]
	if n.Left == 0 {
		t.value[at] = uint32(len(t.leaves))
		t.leaves = append(t.leaves, uint64(max(-maxLeaf, min(maxLeaf, n.Value))))
		return
	}
	left := t.addLeaf()
	t.addLeaf()
	side := uint16(1)
	if n.MissingLeft {
		side = 0
	}
	t.nodes[at] = walker{left: uint32(left), cut: uint16(n.Cut), column: uint16(n.Feature)<<1 | side}
	t.place(nodes, left, n.Left)
	t.place(nodes, left+1, n.Left+1)
}

// ExponentFor returns the exponent of a sum whose leaves are at most size away from 0.
func ExponentFor(size float64) int { return exponentFor(size) }

func checkTarget(target []float64) error {
	for _, v := range target {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("a target is missing or infinite")
		}
	}
	return nil
}
