package tree

import (
	"math"
	"math/bits"
	"sync"

	"github.com/hashline/hashline/ml/num"
)

// block is the number of rows from which on a subtree works on a copy of its rows: the codes of all columns then lie
// close together in the cache.
const block = 32 << 10

// parallelRows is the number of rows from which on a node's features are counted by several goroutines.
const parallelRows = 64 << 10

// data is the training set: codes by column, and what every tree shares.
type data[T uint8 | uint16] struct {
	columns [][]T
	bins    []int // codes of each column that are not missing
	classes int
	opts    Options
	mtry    int
}

// node is a node while a tree grows.
type node struct {
	left    int32 // index of the left child, the right one follows; 0 for a leaf
	feature int32
	cut     uint16
	toLeft  bool     // missing values go left
	counts  []uint32 // of a leaf by class
}

// weightMask leaves the weight of a packed row, or of a packed sum of two classes.
const weightMask = 1<<32 - 1

// grower builds one tree. Rows, their packed weights and the scratch space are partitioned in place, node by node.
type grower[T uint8 | uint16] struct {
	*data[T]
	rng     *num.RNG
	rows    []int32  // indices into the columns
	packed  []uint64 // weight | class<<32; for two classes weight | (weight*class)<<32
	rowTemp []int32
	pckTemp []uint64
	hists   []*histogram
	order   []int32
	nodes   []node
	cells   [][]T    // scratch for the block copies
	arena   []uint32 // the class counts of the leaves
}

// split is the best cut of one node.
type split struct {
	score   float64
	feature int
	cut     int
	toLeft  bool
}

func newGrower[T uint8 | uint16](d *data[T], histograms int) *grower[T] {
	g := &grower[T]{data: d, order: make([]int32, len(d.columns))}
	most := 0
	for _, b := range d.bins {
		most = max(most, b)
	}
	for range histograms {
		g.hists = append(g.hists, newHistogram(most+1, d.classes))
	}
	return g
}

// start takes the rows of a tree: weights[i] copies of row i.
func (g *grower[T]) start(y []int32, weights []uint16) {
	g.nodes, g.arena = g.nodes[:0], g.arena[:0]
	if g.rowTemp == nil {
		g.rowTemp, g.pckTemp = make([]int32, len(y)), make([]uint64, len(y))
		g.rows, g.packed = make([]int32, len(y)), make([]uint64, len(y))
	}
	rows, packed := g.rows[:len(y)], g.packed[:len(y)]
	n := 0
	for i, class := range y {
		w := uint64(1)
		if weights != nil {
			w = uint64(weights[i])
		}
		p := w | uint64(class)<<32
		if g.classes == 2 {
			p = w | w*uint64(class)<<32
		}
		rows[n], packed[n] = int32(i), p
		n += int((w + math.MaxUint16) >> 16) // a row without copies is written over
	}
	g.rows, g.packed = rows[:n], packed[:n]
}

// grow builds the tree over the rows given to start.
func (g *grower[T]) grow() {
	g.nodes = append(g.nodes, node{})
	g.node(0, 0, len(g.rows), 0, g.columns, false)
}

// node splits the node of rows [from, to), or leaves it a leaf.
func (g *grower[T]) node(at, from, to, depth int, columns [][]T, copied bool) {
	before := len(g.arena)
	n := newTally(g.count(from, to))
	g.nodes[at].counts = n.counts
	o := &g.opts
	if n.pure() || (o.MaxDepth > 0 && depth >= o.MaxDepth) || n.total < uint64(o.MinSamplesSplit) || n.total < 2*uint64(o.MinSamplesLeaf) {
		return
	}
	if !copied && to-from <= block && len(g.columns[0]) > 2*block {
		columns = g.copyBlock(from, to, columns)
		copied = true
	}
	s := g.best(from, to, &n, columns)
	if s.feature < 0 {
		return
	}
	mid := g.partition(from, to, columns[s.feature], s)
	left := len(g.nodes)
	g.nodes = append(g.nodes, node{}, node{})
	g.nodes[at] = node{left: int32(left), feature: int32(s.feature), cut: uint16(s.cut), toLeft: s.toLeft}
	g.arena = g.arena[:before] // only leaves keep their counts: of many classes they are most of a tree
	g.node(left, from, mid, depth+1, columns, copied)
	g.node(left+1, mid, to, depth+1, columns, copied)
}

// count returns the weight of each class in the node.
func (g *grower[T]) count(from, to int) []uint32 {
	for range g.classes {
		g.arena = append(g.arena, 0)
	}
	counts := g.arena[len(g.arena)-g.classes:]
	if g.classes == 2 {
		sum := uint64(0)
		for _, p := range g.packed[from:to] {
			sum += p
		}
		counts[1] = uint32(sum >> 32)
		counts[0] = uint32(sum) - counts[1]
		return counts
	}
	for _, p := range g.packed[from:to] {
		counts[p>>32] += uint32(p)
	}
	return counts
}

// copyBlock copies the codes of the rows of a node side by side and renumbers the rows to match.
func (g *grower[T]) copyBlock(from, to int, columns [][]T) [][]T {
	if g.cells == nil {
		g.cells = make([][]T, len(columns))
		for i := range g.cells {
			g.cells[i] = make([]T, block)
		}
	}
	rows := g.rows[from:to]
	for c, column := range columns {
		cells := g.cells[c][:len(rows)]
		for i, r := range rows {
			cells[i] = column[r]
		}
	}
	for i := range rows {
		rows[i] = int32(i)
	}
	return g.cells
}

// best draws features until enough of them vary in the node, and returns the best cut of these; feature -1 for none.
func (g *grower[T]) best(from, to int, n *tally, columns [][]T) split {
	best := split{feature: -1, score: n.score()}
	if g.mtry == len(columns) {
		return g.bestOfAll(from, to, n, columns, best)
	}
	order := g.order
	for i := range order {
		order[i] = int32(i)
	}
	tried := 0
	for i := 0; i < len(order) && tried < g.mtry; i++ {
		j := i + g.rng.Intn(len(order)-i)
		order[i], order[j] = order[j], order[i]
		f := int(order[i])
		if s, varies := g.feature(g.hists[0], f, from, to, n, columns[f]); varies {
			tried++
			if s.score > best.score {
				best = s
			}
		}
	}
	return best
}

// bestOfAll looks at every feature, in parallel where a node is big. Ties go to the first feature.
func (g *grower[T]) bestOfAll(from, to int, n *tally, columns [][]T, best split) split {
	splits := make([]split, len(columns))
	workers := len(g.hists)
	if to-from < parallelRows {
		workers = 1
	}
	var wg sync.WaitGroup
	for w := range workers {
		work := func() {
			for f := w; f < len(columns); f += workers {
				splits[f], _ = g.feature(g.hists[w], f, from, to, n, columns[f])
			}
		}
		if workers == 1 {
			work()
			break
		}
		wg.Go(work)
	}
	wg.Wait()
	for _, s := range splits {
		if s.score > best.score {
			best = s
		}
	}
	return best
}

// tally is what a node has of each class, and what follows from it.
type tally struct {
	counts  []uint32
	total   uint64
	squares uint64 // sum of the squares of the counts
}

func newTally(counts []uint32) tally {
	n := tally{counts: counts}
	for _, c := range counts {
		n.total += uint64(c)
		n.squares += uint64(c) * uint64(c)
	}
	return n
}

func (n *tally) pure() bool { return n.squares == n.total*n.total }

// score is what a split must beat: the sum of squared class weights over the weight.
func (n *tally) score() float64 {
	score := float64(n.squares) / float64(n.total)
	return score + max(1e-9, float64(score*0x1p-50)) // a split that gains nothing but rounding is none
}

// feature counts one column of the node and returns its best cut, and whether the column varies at all.
func (g *grower[T]) feature(h *histogram, f, from, to int, n *tally, column []T) (split, bool) {
	bins := g.bins[f]
	rows, packed := g.rows[from:to], g.packed[from:to]
	switch {
	case g.classes > 2 && len(rows) < bins:
		fillChains(h, rows, column)
		return g.scanChains(h, f, bins, n, packed)
	case g.classes > 2:
		fillMany(h, g.classes, rows, packed, column)
		return g.scanMany(h, f, bins, n)
	case bins < lane && len(rows) >= 4*bins:
		fillLanes(h, bins, rows, packed, column)
	case len(rows) < bins:
		fillTouched(h, rows, packed, column)
		return g.scanTouched(h, f, bins, n)
	default:
		fill(h, rows, packed, column)
	}
	return g.scan(h, f, bins, n)
}

// partition moves the rows of the left child to the front, keeping both sides in order, and returns where the right
// child begins.
func (g *grower[T]) partition(from, to int, column []T, s split) int {
	rows, packed := g.rows[from:to], g.packed[from:to]
	right, rightPacked := g.rowTemp[:len(rows)], g.pckTemp[:len(rows)]
	missing := -1
	if s.toLeft {
		missing = g.bins[s.feature]
	}
	nl, nr := 0, 0
	for i, r := range rows {
		code := int(column[r])
		if code == missing {
			code = 0
		}
		// 1 when code <= cut: the sign bit of code-cut-1, so that nothing is left to branch prediction.
		l := int(uint(code-s.cut-1) >> (bits.UintSize - 1))
		p := packed[i]
		rows[nl], packed[nl] = r, p
		right[nr], rightPacked[nr] = r, p
		nl += l
		nr += 1 - l
	}
	copy(rows[nl:], right[:nr])
	copy(packed[nl:], rightPacked[:nr])
	return from + nl
}

// shares returns the class shares of a leaf for the classes after the first, in units of 2^-31, as if it had so many more
// rows of each class.
func shares(counts []uint32, more int) []uint32 {
	total := uint64(more) * uint64(len(counts))
	for _, c := range counts {
		total += uint64(c)
	}
	s := make([]uint32, len(counts)-1)
	for k := range s {
		s[k] = uint32(((uint64(counts[k+1])+uint64(more))<<31 + total/2) / total)
	}
	return s
}

// unit is the share 1.
const unit = 1 << 31

func featuresPerSplit(share float64, features int) int {
	if share <= 0 {
		return max(1, int(math.Sqrt(float64(features))))
	}
	return min(features, max(1, int(float64(share*float64(features)))))
}
