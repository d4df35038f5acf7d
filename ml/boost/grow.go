package boost

import (
	"cmp"
	"container/heap"
	"runtime"

	"github.com/hashline/hashline/ml/tree"
)

// grower grows one tree after another, leaf by leaf.
type grower struct {
	*fitter
	scale
	offsets  []int // where the bins of each feature begin in a histogram, its missing bin among them
	segments []segment
	leaves   []*leaf  // of the tree that was grown last
	pool     [][]pair // histograms that are free
	splits   []split  // scratch: the best split of each feature, of two nodes
	crew     *crew
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
	at, depth int
	parts     []span // of the rows of each segment
	sum       pair
	histogram []pair
	best      split
}

// span is the places [from, to).
type span struct{ from, to int }

func (s span) rows() int { return s.to - s.from }

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
	g := &grower{fitter: f, offsets: make([]int, len(f.b.Columns)+1), splits: make([]split, 2*len(f.b.Columns)), crew: newCrew(min(f.Cores, runtime.GOMAXPROCS(0)))}
	for i, bins := range f.b.Bins {
		g.offsets[i+1] = g.offsets[i] + bins + 1
	}
	n := len(f.train)
	g.segments = make([]segment, max(1, min(f.Cores, n/segmentRows)))
	for i := range g.segments {
		g.segments[i] = newSegment(f.train[n*i/len(g.segments):n*(i+1)/len(g.segments)], g.offsets[len(f.b.Columns)])
	}
	return g
}

// grow grows the next tree, which adds to one output.
func (g *grower) grow(output int) []tree.SumNode {
	g.scale = g.l.scaleOf(g.scores, len(g.train), len(g.trees))
	nodes := make([]tree.SumNode, 1, 2*g.MaxLeafNodes)
	root := &leaf{histogram: g.histogram(), parts: make([]span, len(g.segments))}
	g.parallel(len(g.train), func(i int, s *segment) {
		copy(s.rows, s.train)
		first, last := s.train[0], s.train[len(s.train)-1]
		g.l.words(&g.scale, g.scores, g.n, output, int(first), int(last)+1, g.words)
		root.parts[i] = span{0, len(s.rows)}
		g.count(s, root.parts[i])
	})
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
	g.leaves = append(done, open...)
	for _, l := range g.leaves {
		nodes[l.at] = tree.SumNode{Value: g.answer(l.sum)}
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

// split divides the rows of a leaf, which hands its histogram on, and finds the best splits of both sides.
func (g *grower) split(l *leaf, at int) (left, right *leaf) {
	spans := make([]span, 2*len(g.segments))
	left = &leaf{at: at, parts: spans[:len(g.segments)], depth: l.depth + 1, sum: l.best.left}
	right = &leaf{at: at + 1, parts: spans[len(g.segments):], depth: l.depth + 1, sum: pair{l.sum.g - l.best.left.g, l.sum.hc - l.best.left.hc}}
	small, large := left, right
	if g.scale.rows(right.sum) < g.scale.rows(left.sum) {
		small, large = right, left
	}
	ends := !g.splittable(small) && !g.splittable(large)
	g.parallel(g.scale.rows(l.sum), func(i int, s *segment) {
		p := l.parts[i]
		mid := p.from + g.part(s, p, &l.best)
		left.parts[i], right.parts[i] = span{p.from, mid}, span{mid, p.to}
		if !ends {
			g.count(s, small.parts[i])
		}
	})
	if ends {
		g.release(l)
		return left, right
	}
	small.histogram, large.histogram, l.histogram = g.histogram(), l.histogram, nil
	g.search(small, large)
	return left, right
}

func (g *grower) splittable(l *leaf) bool {
	return g.scale.rows(l.sum) >= 2*g.MinSamplesLeaf && (g.MaxDepth == 0 || l.depth < g.MaxDepth)
}

// histogram returns one, with whatever is in it.
func (g *grower) histogram() []pair {
	if last := len(g.pool) - 1; last >= 0 {
		h := g.pool[last]
		g.pool = g.pool[:last]
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

// addLeaves adds the answers of the tree that was grown last to the scores: of the rows it was grown on by the leaves where
// they lie, of rows held back by a walk.
func (g *grower) addLeaves(nodes []tree.SumNode, scores []int64) {
	g.parallel(len(g.train)/len(g.b.Columns), func(i int, s *segment) {
		for _, l := range g.leaves {
			value, p := nodes[l.at].Value, l.parts[i]
			for _, r := range s.rows[p.from:p.to] {
				scores[r] += value
			}
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
