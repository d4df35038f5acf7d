package tree

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// Options of a fit. Their names and meanings are scikit-learn's.
type Options struct {
	Trees           int     // of a forest
	MaxDepth        int     // 0: no limit
	MinSamplesSplit int     // rows, with their bootstrap counts, that a node needs to be split; at least 2
	MinSamplesLeaf  int     // rows, with their bootstrap counts, on each side of a split; at least 1
	MaxFeatures     float64 // share of the features that a split of a forest looks at; 0: their square root
	MaxBins         int     // of a column; 0: 256 for forests, 1024 for a single tree
	Seed            uint64  // of a forest
	Laplace         int     // rows of each class that a leaf counts more than it has, so that pure small leaves are not sure of themselves
	Cores           int     // goroutines; never changes the result
}

// Limits of a model.
const (
	MaxFeatures = 1<<15 - 1
	MaxBins     = 1 << 15 // of a column

	maxLaplace = 1 << 20
	maxClasses = 1 << 10
	maxTrees   = 1 << 20
)

// Ensemble is a tree or a forest. It is immutable and safe for concurrent use.
//
// All nodes lie in one list, each tree's behind those of the tree before. The children of a node are neighbours; a leaf
// is its own left child. column says which code of a row the node compares: 2f is feature f with missing values below
// every cut, 2f+1 with missing values above.
type Ensemble struct {
	classes  int
	features []feature
	roots    []uint32
	left     []uint32 // index of the left child among all nodes
	cut      []uint16 // codes up to it go left
	column   []uint16
	value    []uint32 // classes-1 shares of each node, in units of 2^-31; 0 in inner nodes
}

// leafCut is the cut of a leaf: no code is above it, so that a leaf leads to itself.
const leafCut = math.MaxUint16

// Trees returns the number of trees, Nodes that of all nodes together.
func (m *Ensemble) Trees() int { return len(m.roots) }

// Nodes returns the number of nodes of all trees.
func (m *Ensemble) Nodes() int { return len(m.left) }

// Features returns the names of the features in their order.
func (m *Ensemble) Features() []string {
	names := make([]string, len(m.features))
	for i, f := range m.features {
		names[i] = f.Name
	}
	return names
}

// FitTree grows one tree on all rows, looking at every feature at every split.
//
// columns are the features: numbers (Integer, Float, Boolean) and categories, each with n rows. y holds the classes of
// the rows, 0 to classes-1. Nothing is changed or kept of either.
func FitTree(columns []*frame.Column, y []int32, classes int, o Options) (*Ensemble, error) {
	if o.MaxBins == 0 {
		o.MaxBins = 1024
	}
	o.Trees = 1
	return fit[uint16](columns, y, classes, o, false)
}

// FitForest grows Options.Trees trees, each on a bootstrap sample, with a random choice of features at every split. Its
// arguments are those of FitTree.
func FitForest(columns []*frame.Column, y []int32, classes int, o Options) (*Ensemble, error) {
	if o.MaxBins == 0 {
		o.MaxBins = 255 // and one code for missing values
	}
	if o.Trees < 1 {
		return nil, fmt.Errorf("a forest of %d trees", o.Trees)
	}
	if o.MaxBins <= 255 {
		return fit[uint8](columns, y, classes, o, true)
	}
	return fit[uint16](columns, y, classes, o, true)
}

func check(columns []*frame.Column, y []int32, classes int, o *Options) error {
	if len(columns) == 0 || len(columns) > MaxFeatures {
		return fmt.Errorf("%d features, want 1 to %d", len(columns), MaxFeatures)
	}
	if classes < 2 || classes > maxClasses {
		return fmt.Errorf("%d classes, want 2 to %d", classes, maxClasses)
	}
	if len(y) == 0 || len(y) > math.MaxInt32 {
		return fmt.Errorf("%d rows", len(y))
	}
	for _, c := range columns {
		if c.Len() != len(y) {
			return fmt.Errorf("column %q has %d rows, want %d", c.Name, c.Len(), len(y))
		}
		if !c.Type.Numeric() && c.Type != frame.Category {
			return fmt.Errorf("column %q is of type %v: a feature is a number or a category", c.Name, c.Type)
		}
	}
	for _, class := range y {
		if class < 0 || int(class) >= classes {
			return errors.New("a class is out of range")
		}
	}
	if o.MaxBins < 2 || o.MaxBins > MaxBins {
		return fmt.Errorf("%d bins, want 2 to %d", o.MaxBins, MaxBins)
	}
	if o.Laplace < 0 || o.Laplace > maxLaplace {
		return fmt.Errorf("%d rows more in each leaf, want 0 to %d", o.Laplace, maxLaplace)
	}
	o.MinSamplesLeaf, o.MinSamplesSplit, o.Cores = max(1, o.MinSamplesLeaf), max(2, o.MinSamplesSplit), max(1, o.Cores)
	return nil
}

func fit[T uint8 | uint16](columns []*frame.Column, y []int32, classes int, o Options, forest bool) (*Ensemble, error) {
	if err := check(columns, y, classes, &o); err != nil {
		return nil, err
	}
	b := binner{y: y, classes: classes, maxBins: o.MaxBins}
	features := b.features(columns, o.Cores)
	d := &data[T]{columns: make([][]T, len(columns)), bins: make([]int, len(columns)), classes: classes, opts: o, mtry: len(columns)}
	var g errgroup.Group
	g.SetLimit(o.Cores)
	for i, c := range columns {
		g.Go(func() error {
			d.bins[i] = features[i].bins()
			d.columns[i] = make([]T, len(y))
			encode(&features[i], c, T(d.bins[i]), d.columns[i])
			return nil
		})
	}
	_ = g.Wait()
	m := &Ensemble{classes: classes, features: features}
	if !forest {
		grower := newGrower(d, o.Cores)
		grower.start(y, nil)
		grower.grow()
		m.add(grower.nodes, o.Laplace)
		return m, nil
	}
	d.mtry = featuresPerSplit(o.MaxFeatures, len(columns))
	trees := growForest(d, y)
	m.makeRoom(trees)
	for t, nodes := range trees {
		m.add(nodes, o.Laplace)
		trees[t] = nil // its memory is free for those that follow
	}
	return m, nil
}

// makeRoom makes room for trees: lists that grow would be held twice.
func (m *Ensemble) makeRoom(trees [][]node) {
	n := 0
	for _, nodes := range trees {
		n += len(nodes)
	}
	m.roots, m.left = make([]uint32, 0, len(trees)), make([]uint32, 0, n)
	m.cut, m.column = make([]uint16, 0, n), make([]uint16, 0, n)
	m.value = make([]uint32, 0, n*(m.classes-1))
}

// growForest grows the trees in parallel, a goroutine each, and returns them in the order of their numbers.
func growForest[T uint8 | uint16](d *data[T], y []int32) [][]node {
	trees := make([][]node, d.opts.Trees)
	next := make(chan int, d.opts.Trees)
	for t := range trees {
		next <- t
	}
	close(next)
	var g errgroup.Group
	for range min(d.opts.Cores, len(trees)) {
		g.Go(func() error {
			grower := newGrower(d, 1)
			weights := make([]uint16, len(y))
			for t := range next {
				grower.rng = num.NewRNG(d.opts.Seed, uint64(t))
				bootstrap(grower.rng, weights)
				grower.start(y, weights)
				grower.grow()
				trees[t] = grower.take()
			}
			return nil
		})
	}
	_ = g.Wait()
	return trees
}

// bootstrap draws as many rows as there are, with replacement, as counts.
func bootstrap(rng *num.RNG, weights []uint16) {
	clear(weights)
	for range weights {
		if i := rng.Intn(len(weights)); weights[i] < math.MaxUint16 {
			weights[i]++
		}
	}
}

// take hands out the nodes and leaves the grower ready for another tree.
func (g *grower[T]) take() []node {
	nodes := g.nodes
	g.nodes, g.arena = make([]node, 0, len(nodes)), make([]uint32, 0, len(g.arena))
	return nodes
}

// add appends a tree.
func (m *Ensemble) add(nodes []node, laplace int) {
	base := uint32(len(m.left))
	m.roots = append(m.roots, base)
	for i, n := range nodes {
		if n.left == 0 {
			m.left = append(m.left, base+uint32(i))
			m.cut = append(m.cut, leafCut)
			m.column = append(m.column, 0)
			m.value = append(m.value, shares(n.counts, laplace)...)
			continue
		}
		side := uint16(1)
		if n.toLeft {
			side = 0
		}
		m.left = append(m.left, base+uint32(n.left))
		m.cut = append(m.cut, n.cut)
		m.column = append(m.column, uint16(n.feature)<<1|side)
		m.value = append(m.value, make([]uint32, m.classes-1)...)
	}
}

// Classes returns the number of classes.
func (m *Ensemble) Classes() int { return m.classes }
