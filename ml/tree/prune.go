package tree

import (
	"math"
	"slices"
)

// cost is what minimal cost-complexity pruning needs of a node.
type cost struct {
	n        tally
	impurity float64 // times the weight
	mean     int64   // of numbers: what the node would answer as a leaf
}

// note keeps a node's cost where the tree is to be pruned.
func (g *grower[T]) note(at int, n tally, from, to int, copied bool) {
	if g.opts.CCPAlpha == 0 {
		return
	}
	for len(g.costs) <= at {
		g.costs = append(g.costs, cost{})
	}
	n.counts = slices.Clone(n.counts)
	c := cost{n: n}
	if g.classes == 0 {
		c.mean = g.meanOf(from, to, copied)
		c.impurity = g.squaredError(from, to, math.Ldexp(float64(c.mean), g.exponent), copied)
	} else {
		s := scorer{criterion: g.opts.Criterion, weights: g.weights, all: g.classCounts(n)}
		c.impurity = s.impurity(func(c int) uint64 { return s.all[c] })
	}
	g.costs[at] = c
}

func (g *grower[T]) classCounts(n tally) []uint64 {
	all := make([]uint64, g.classes)
	if g.many {
		for c, k := range n.counts {
			all[c] = uint64(k)
		}
		return all
	}
	all[0] = n.words & (1<<g.shift - 1)
	for c := 1; c < g.classes; c++ {
		all[c] = g.field(n.words, c)
		all[0] -= all[c]
	}
	return all
}

// squaredError adds up squared distances from the mean, row by row.
func (g *grower[T]) squaredError(from, to int, mean float64, copied bool) float64 {
	sum := 0.0
	mask := uint64(1)<<g.shift - 1
	for i, r := range g.rows[from:to] {
		if copied {
			r = g.origin[r]
		}
		d := g.target[r] - mean
		sum += float64(float64(d*d) * float64(g.words[from+i]&mask))
	}
	return sum
}

// weightOf is the weight of a node, that of its classes included.
func (g *grower[T]) weightOf(n tally) float64 {
	if g.classes == 0 {
		return float64(n.words & (1<<g.shift - 1))
	}
	total := 0.0
	for c, k := range g.classCounts(n) {
		w := float64(k)
		if g.weights != nil {
			w = float64(w * g.weights[c])
		}
		total += w
	}
	return total
}

// prune leaves the smallest subtree that minimises R(T) + alpha |T|, where R is the impurity of the leaves weighted by their
// shares of the rows and |T| their number (Breiman et al., 1984, section 3.3). It works from the leaves up.
func (g *grower[T]) prune(root tally) {
	old := grown{nodes: slices.Clone(g.out.nodes), value: slices.Clone(g.out.value), leaves: g.out.leaves}
	whole := g.weightOf(root)
	keep := make([]float64, len(old.nodes)) // the cost of the best subtree below
	cut := make([]bool, len(old.nodes))
	for at := len(old.nodes) - 1; at >= 0; at-- { // children stand behind their parents
		own := g.costs[at].impurity/whole + g.opts.CCPAlpha
		keep[at] = own
		if n := old.nodes[at]; n.cut != leafCut {
			if below := keep[n.left] + keep[n.left+1]; below < own {
				keep[at] = below
			} else {
				cut[at] = true
			}
		}
	}
	g.out.nodes, g.out.value, g.out.leaves = g.out.nodes[:0], g.out.value[:0], nil
	g.out.addLeaf()
	g.copyPruned(&old, cut, 0, 0)
}

// copyPruned copies the subtree of node from of old to node at.
func (g *grower[T]) copyPruned(old *grown, cut []bool, at, from int) {
	n := old.nodes[from]
	if n.cut == leafCut || cut[from] {
		g.leafOf(at, &g.costs[from])
		return
	}
	left := g.out.addLeaf()
	g.out.addLeaf()
	g.out.nodes[at] = walker{left: uint32(left), cut: n.cut, column: n.column}
	g.copyPruned(old, cut, left, int(n.left))
	g.copyPruned(old, cut, left+1, int(n.left)+1)
}

func (g *grower[T]) leafOf(at int, c *cost) {
	if g.classes > 0 {
		g.leaf(at, c.n, 0, 0, false)
		return
	}
	g.out.value[at] = uint32(len(g.out.leaves))
	g.out.leaves = append(g.out.leaves, uint64(c.mean))
}
