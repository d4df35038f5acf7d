package tree

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
)

// candidate is a node that may be split, and its best split.
type candidate struct {
	at, from, to, depth int
	n                   tally
	s                   split
}

// candidates is a heap: the split that gains most first, of equals that of the node that was made first.
type candidates struct {
	list  []candidate
	gains []float64
}

func (c *candidates) Len() int { return len(c.list) }

func (c *candidates) Less(i, j int) bool {
	return cmp.Or(-cmp.Compare(c.gains[i], c.gains[j]), c.list[i].at-c.list[j].at) < 0
}

func (c *candidates) Swap(i, j int) {
	c.list[i], c.list[j] = c.list[j], c.list[i]
	c.gains[i], c.gains[j] = c.gains[j], c.gains[i]
}

func (c *candidates) Push(x any) { c.list = append(c.list, x.(candidate)) }

func (c *candidates) Pop() any {
	last := len(c.list) - 1
	x := c.list[last]
	c.list, c.gains = c.list[:last], c.gains[:last]
	return x
}

// growBestFirst grows the tree until it has Options.MaxLeafNodes leaves (Shi: Best-first Decision Tree Learning, 2007).
func (g *grower[T]) growBestFirst(n tally) {
	var open candidates
	g.propose(&open, candidate{at: 0, from: 0, to: len(g.rows), n: n})
	for leaves := 1; open.Len() > 0 && leaves < g.opts.MaxLeafNodes; leaves++ {
		c := heap.Pop(&open).(candidate)
		left := g.branch(c.at, c.s)
		mid := g.partition(c.from, c.to, g.columns[c.s.feature], c.s)
		l, r := g.divide(c.n, c.s, c.from, mid, c.to)
		g.propose(&open, candidate{at: left, from: c.from, to: mid, depth: c.depth + 1, n: l})
		g.propose(&open, candidate{at: left + 1, from: mid, to: c.to, depth: c.depth + 1, n: r})
	}
	for _, c := range open.list {
		g.leaf(c.at, c.n, c.from, c.to, false)
	}
	g.renumber()
}

// propose makes a node a leaf, or a candidate with its best split.
func (g *grower[T]) propose(open *candidates, c candidate) {
	c.n.counts = slices.Clone(c.n.counts)
	g.note(c.at, c.n, c.from, c.to, false)
	if !g.terminal(c.n, c.from, c.to, c.depth) {
		c.s = g.best(c.from, c.to, c.n, g.columns)
	}
	if c.s.key == 0 {
		g.leaf(c.at, c.n, c.from, c.to, false)
		return
	}
	gain := math.Float64frombits(c.s.key - 1)
	if !g.many && g.weights == nil && g.opts.Criterion == Gini {
		total := float64(c.n.words & (1<<g.shift - 1))
		if s := g.newScanner(c.n); s.plain() {
			gain /= total // it is the gain times the weight of the node
		} else {
			gain = max(0, gain-float64(s.squares(c.n.words))/total) // it is the score of the sides
		}
	}
	open.gains = append(open.gains, gain)
	heap.Push(open, c)
}

// renumber brings the nodes into the order of the file format, in which growth by depth makes them.
func (g *grower[T]) renumber() {
	old := grown{nodes: slices.Clone(g.out.nodes), value: slices.Clone(g.out.value), leaves: g.out.leaves}
	costs := slices.Clone(g.costs)
	g.out.nodes, g.out.value = g.out.nodes[:0], g.out.value[:0]
	g.out.addLeaf()
	var place func(at, from int)
	place = func(at, from int) {
		n := old.nodes[from]
		g.out.value[at] = old.value[from]
		if len(costs) > 0 {
			g.costs[at] = costs[from]
		}
		if n.cut == leafCut {
			return
		}
		left := g.out.addLeaf()
		g.out.addLeaf()
		g.out.nodes[at] = walker{left: uint32(left), cut: n.cut, column: n.column}
		place(left, int(n.left))
		place(left+1, int(n.left)+1)
	}
	place(0, 0)
}
