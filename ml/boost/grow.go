package boost

import (
	"cmp"
	"container/heap"

	"github.com/hashline/hashline/ml/tree"
)

// grower grows one tree after another, leaf by leaf.
type grower struct {
	*fitter
	scale
	offsets []int    // where the bins of each feature begin in a histogram, its missing bin among them
	rows    []int32  // of the tree, those of a node side by side and ascending
	temp    []int32  // scratch of the partition
	gather  []pair   // the pairs of the rows of a node, side by side
	pool    [][]pair // histograms that are free
	splits  []split  // scratch: the best split of each feature, of two nodes
}

// split is the best cut of one node.
type split struct {
	gain        float64 // 0: there is none
	feature     int
	cut         int
	missingLeft bool
	left        pair // the sums of the left side
}

// leaf is a leaf that may be split.
type leaf struct {
	at, from, to, depth int
	sum                 pair
	histogram           []pair
	best                split
}

// leaves is a heap: the split that gains most first, of equals that of the leaf that was made first.
type leaves []*leaf

func (l leaves) Len() int { return len(l) }
func (l leaves) Less(i, j int) bool {
	return cmp.Or(-cmp.Compare(l[i].best.gain, l[j].best.gain), l[i].at-l[j].at) < 0
}
func (l leaves) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l *leaves) Push(x any)   { *l = append(*l, x.(*leaf)) }
func (l *leaves) Pop() any {
	last := len(*l) - 1
	x := (*l)[last]
	*l = (*l)[:last]
	return x
}

func newGrower(f *fitter) *grower {
	g := &grower{fitter: f, offsets: make([]int, len(f.b.Columns)+1), splits: make([]split, 2*len(f.b.Columns))}
	for i, bins := range f.b.Bins {
		g.offsets[i+1] = g.offsets[i] + bins + 1
	}
	g.rows, g.temp, g.gather = make([]int32, len(f.train)), make([]int32, len(f.train)), make([]pair, len(f.train))
	return g
}

// grow grows a tree for the pairs of the fitter.
func (g *grower) grow(s scale) []tree.SumNode {
	g.scale = s
	copy(g.rows, g.train)
	nodes := make([]tree.SumNode, 1, 2*g.MaxLeafNodes)
	root := &leaf{to: len(g.rows), histogram: g.histogram()}
	for _, r := range g.rows {
		root.sum.g += g.pairs[r].g
		root.sum.hc += g.pairs[r].hc
	}
	g.search(root, nil)
	var open leaves
	var done []*leaf
	for push(&open, &done, root); open.Len() > 0 && open.Len()+len(done) < g.MaxLeafNodes; {
		l := heap.Pop(&open).(*leaf)
		left, right := g.split(l, len(nodes))
		nodes[l.at] = tree.SumNode{Left: left.at, Feature: l.best.feature, Cut: l.best.cut, MissingLeft: l.best.missingLeft}
		nodes = append(nodes, tree.SumNode{}, tree.SumNode{})
		push(&open, &done, left)
		push(&open, &done, right)
	}
	for _, l := range append(done, open...) {
		nodes[l.at] = tree.SumNode{Feature: l.from, Cut: l.to, Value: g.answer(l.sum)} // the range is for addLeaves
		g.release(l)
	}
	return nodes
}

// push files a leaf by whether it can be split.
func push(open *leaves, done *[]*leaf, l *leaf) {
	if l.best.gain > 0 {
		heap.Push(open, l)
	} else {
		*done = append(*done, l)
	}
}

// answer is what a leaf adds to the scores of its rows.
func (g *grower) answer(sum pair) int64 {
	gradient, h := g.sums(sum)
	return g.l.step(float64(-gradient / (h + g.L2) * g.LearningRate))
}

// split divides the rows of a leaf, which hands its histogram on.
func (g *grower) split(l *leaf, at int) (left, right *leaf) {
	mid := g.partition(l)
	left = &leaf{at: at, from: l.from, to: mid, depth: l.depth + 1, sum: l.best.left}
	right = &leaf{at: at + 1, from: mid, to: l.to, depth: l.depth + 1, sum: pair{l.sum.g - l.best.left.g, l.sum.hc - l.best.left.hc}}
	small, large := left, right
	if right.to-right.from < left.to-left.from {
		small, large = right, left
	}
	if !g.splittable(small) && !g.splittable(large) {
		g.release(l)
		return left, right
	}
	small.histogram, large.histogram, l.histogram = g.histogram(), l.histogram, nil
	g.search(small, large)
	return left, right
}

func (g *grower) splittable(l *leaf) bool {
	return l.to-l.from >= 2*g.MinSamplesLeaf && (g.MaxDepth == 0 || l.depth < g.MaxDepth)
}

// histogram returns an empty one.
func (g *grower) histogram() []pair {
	if last := len(g.pool) - 1; last >= 0 {
		h := g.pool[last]
		g.pool = g.pool[:last]
		clear(h)
		return h
	}
	return make([]pair, g.offsets[len(g.offsets)-1])
}

func (g *grower) release(l *leaf) {
	if l.histogram != nil {
		g.pool = append(g.pool, l.histogram)
		l.histogram = nil
	}
}

// addLeaves adds a tree's answers to the scores: of the rows it was grown on by the leaves where they lie, of rows held
// back by a walk. The leaves lose what grow has noted in them.
func (g *grower) addLeaves(nodes []tree.SumNode, scores []int64) {
	g.each(len(nodes), len(g.rows), func(at int) {
		if n := &nodes[at]; n.Left == 0 {
			for _, r := range g.rows[n.Feature:n.Cut] {
				scores[r] += n.Value
			}
			n.Feature, n.Cut = 0, 0
		}
	})
	for _, r := range g.held {
		at := 0
		for nodes[at].Left > 0 {
			n := &nodes[at]
			code, missing := int(g.b.Columns[n.Feature][r]), g.b.Bins[n.Feature]
			at = n.Left
			if code == missing && !n.MissingLeft || code != missing && code > n.Cut {
				at++
			}
		}
		scores[r] += nodes[at].Value
	}
}
