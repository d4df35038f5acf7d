package tree

import (
	"math/bits"
	"sync"

	"github.com/hashline/hashline/ml/num"
)

// block is the number of rows from which on a subtree works on a copy of its rows: the codes of all columns then lie
// close together in the cache.
const block = 32 << 10

// parallelRows is the number of rows from which on a node's features are counted by several goroutines.
const parallelRows = 64 << 10

// grower builds one tree after another. Rows, their words and the scratch space are partitioned in place, node by node.
type grower[T uint8 | uint16] struct {
	*data[T]
	rng     *num.RNG
	rows    []int32  // indices into the columns
	words   []uint64 // of the rows: see training
	rowTemp []int32
	wrdTemp []uint64
	hists   []*histogram
	order   []int32 // the features, in an order that every draw goes on shuffling
	cells   [][]T   // scratch for the block copies
	origin  []int32 // of the rows of a block, what they were before they were renumbered
	out     grown
	counts  []uint32 // of many classes: a stack of the counts of the nodes on the way
	costs   []cost   // of each node, where the tree is to be pruned
}

// split is the best cut of one node.
type split struct {
	key     uint64 // of the gain: see keyOf; 0 for none
	feature int
	cut     int
	toLeft  bool   // missing values go left
	left    uint64 // words of the rows on the left, added up; not of many classes
}

// tally is what a node has.
type tally struct {
	words   uint64   // of its rows, added up; of many classes the weight alone
	counts  []uint32 // of many classes
	squares uint64   // the sum of their squares
}

func newGrower[T uint8 | uint16](d *data[T], histograms int) *grower[T] {
	g := &grower[T]{data: d, order: make([]int32, len(d.columns))}
	most := 0
	for _, b := range d.bins {
		most = max(most, b)
	}
	for range histograms {
		g.hists = append(g.hists, newHistogram(most+1, d.classes, d.many))
	}
	n := d.rows()
	g.rowTemp, g.wrdTemp = make([]int32, n), make([]uint64, n)
	g.rows, g.words = make([]int32, n), make([]uint64, n)
	return g
}

// start takes the rows of a tree: weights[i] copies of row i, or one of each.
func (g *grower[T]) start(weights []uint16) {
	for i := range g.order {
		g.order[i] = int32(i)
	}
	g.out.nodes, g.out.value, g.out.leaves = g.out.nodes[:0], g.out.value[:0], g.out.leaves[:0]
	g.counts, g.costs = g.counts[:0], g.costs[:0]
	n := g.data.rows()
	rows, words := g.rows[:n], g.words[:n]
	kept := 0
	for i := range n {
		w := uint64(1)
		if weights != nil {
			w = uint64(weights[i])
		}
		rows[kept], words[kept] = int32(i), g.word(i, w)
		kept += int((w + 1<<16 - 1) >> 16) // a row without copies is written over
	}
	g.rows, g.words = rows[:kept], words[:kept]
}

// grow builds the tree over the rows given to start.
func (g *grower[T]) grow() {
	g.out.addLeaf()
	n := g.tallyOf(0, len(g.rows))
	if g.opts.MaxLeafNodes > 0 {
		g.growBestFirst(n)
	} else {
		g.node(0, 0, len(g.rows), 0, n, g.columns, false)
	}
	if g.opts.CCPAlpha > 0 {
		g.prune(n)
	}
}

// take hands out a copy of the tree and leaves the grower ready for another.
func (g *grower[T]) take() grown {
	t := grown{nodes: append([]walker(nil), g.out.nodes...), value: append([]uint32(nil), g.out.value...)}
	if len(g.out.leaves) > 0 {
		t.leaves = append([]uint64(nil), g.out.leaves...)
	}
	return t
}

// node splits the node of rows [from, to), or leaves it a leaf.
func (g *grower[T]) node(at, from, to, depth int, n tally, columns [][]T, copied bool) {
	g.note(at, n, from, to, copied)
	if g.terminal(n, from, to, depth) {
		g.leaf(at, n, from, to, copied)
		return
	}
	if !copied && to-from <= block && len(g.columns[0]) > 2*block {
		columns = g.copyBlock(from, to, columns)
		copied = true
	}
	s := g.best(from, to, n, columns)
	if s.key == 0 {
		g.leaf(at, n, from, to, copied)
		return
	}
	left := g.branch(at, s)
	if g.classes >= 2 && !g.many {
		l, r := tally{words: s.left}, tally{words: n.words - s.left}
		if g.terminal(l, 0, 0, depth+1) && g.terminal(r, 0, 0, depth+1) { // most nodes: their rows are needed no more
			g.note(left, l, 0, 0, false)
			g.note(left+1, r, 0, 0, false)
			g.leaf(left, l, 0, 0, copied)
			g.leaf(left+1, r, 0, 0, copied)
			return
		}
	}
	mid := g.partition(from, to, columns[s.feature], s)
	depthOfCounts := len(g.counts)
	l, r := g.divide(n, s, from, mid, to)
	g.node(left, from, mid, depth+1, l, columns, copied)
	g.node(left+1, mid, to, depth+1, r, columns, copied)
	g.counts = g.counts[:depthOfCounts]
}

// branch makes a node an inner one and returns the place of its left child.
func (g *grower[T]) branch(at int, s split) int {
	left := g.out.addLeaf()
	g.out.addLeaf()
	side := uint16(1)
	if s.toLeft {
		side = 0
	}
	g.out.nodes[at] = walker{left: uint32(left), cut: uint16(s.cut), column: uint16(s.feature)<<1 | side}
	return left
}

// terminal reports whether a node cannot or may not be split.
func (g *grower[T]) terminal(n tally, from, to, depth int) bool {
	o := &g.opts
	total := n.words & (1<<g.shift - 1)
	if (o.MaxDepth > 0 && depth >= o.MaxDepth) || total < uint64(o.MinSamplesSplit) || total < 2*uint64(o.MinSamplesLeaf) {
		return true
	}
	switch {
	case g.classes == 0:
		return g.sameTargets(from, to)
	case g.many:
		return n.squares == total*total
	}
	for c := 1; c < g.classes; c++ {
		if k := g.field(n.words, c); k > 0 {
			return k == total
		}
	}
	return true
}

// sameTargets reports whether all rows have the target of the first.
func (g *grower[T]) sameTargets(from, to int) bool {
	mask := uint64(1)<<g.shift - 1
	step := func(w uint64) int64 { return int64(w) >> g.shift / int64(w&mask) }
	first := step(g.words[from])
	for _, w := range g.words[from+1 : to] {
		if step(w) != first {
			return false
		}
	}
	return true
}

// tallyOf adds up rows.
func (g *grower[T]) tallyOf(from, to int) tally {
	if !g.many {
		sum := uint64(0)
		for _, w := range g.words[from:to] {
			sum += w
		}
		return tally{words: sum}
	}
	counts := g.pushCounts()
	for _, w := range g.words[from:to] {
		counts[w>>classShift] += uint32(w)
	}
	return tallyOfCounts(counts)
}

// pushCounts returns zeros for the counts of one more node.
func (g *grower[T]) pushCounts() []uint32 {
	begin := len(g.counts)
	for range g.classes {
		g.counts = append(g.counts, 0)
	}
	return g.counts[begin:len(g.counts):len(g.counts)]
}

func tallyOfCounts(counts []uint32) tally {
	n := tally{counts: counts}
	for _, c := range counts {
		n.words += uint64(c)
		n.squares += uint64(c) * uint64(c)
	}
	return n
}

// divide returns what the two sides of a split have.
func (g *grower[T]) divide(n tally, s split, from, mid, to int) (l, r tally) {
	if !g.many {
		return tally{words: s.left}, tally{words: n.words - s.left}
	}
	small, from, to := mid-from <= to-mid, from, to
	if small {
		to = mid
	} else {
		from = mid
	}
	counted := g.tallyOf(from, to)
	others := g.pushCounts()
	for c, k := range counted.counts {
		others[c] = n.counts[c] - k
	}
	if small {
		return counted, tallyOfCounts(others)
	}
	return tallyOfCounts(others), counted
}

// copyBlock copies the codes of the rows of a node side by side and renumbers the rows to match.
func (g *grower[T]) copyBlock(from, to int, columns [][]T) [][]T {
	if g.cells == nil {
		g.cells, g.origin = make([][]T, len(columns)), make([]int32, block)
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
	copy(g.origin, rows)
	for i := range rows {
		rows[i] = int32(i)
	}
	return g.cells
}

// best draws features until enough of them vary in the node, and returns the best cut of these.
func (g *grower[T]) best(from, to int, n tally, columns [][]T) split {
	if g.mtry == len(columns) && !g.opts.random {
		return g.bestOfAll(from, to, n, columns)
	}
	s := g.newScanner(n)
	tried := 0
	for i := 0; i < len(g.order) && tried < g.mtry; i++ {
		j := i + g.rng.Intn(len(g.order)-i)
		g.order[i], g.order[j] = g.order[j], g.order[i]
		f := int(g.order[i])
		if g.feature(&s, g.hists[0], f, from, to, n, columns[f]) {
			tried++
		}
	}
	return s.best
}

// bestOfAll looks at every feature, in parallel where a node is big. Ties go to the first feature.
func (g *grower[T]) bestOfAll(from, to int, n tally, columns [][]T) split {
	if len(g.hists) == 1 || to-from < parallelRows {
		s := g.newScanner(n)
		for f, column := range columns {
			g.feature(&s, g.hists[0], f, from, to, n, column)
		}
		return s.best
	}
	bests := make([]split, len(g.hists))
	var wg sync.WaitGroup
	for w := range g.hists {
		wg.Go(func() {
			s := g.newScanner(n)
			for f := w; f < len(columns); f += len(g.hists) {
				g.feature(&s, g.hists[w], f, from, to, n, columns[f])
			}
			bests[w] = s.best
		})
	}
	wg.Wait()
	best := bests[0]
	for _, c := range bests[1:] {
		if c.key > best.key || c.key == best.key && c.feature < best.feature {
			best = c
		}
	}
	return best
}

// feature offers the best cut of one column of the node, and reports whether the column varies at all.
func (g *grower[T]) feature(s *scanner, h *histogram, f, from, to int, n tally, column []T) bool {
	rows, words, bins := g.rows[from:to], g.words[from:to], g.bins[f]
	s.feature, s.missing = f, 0
	switch {
	case g.opts.random:
		cut, varies := g.drawCut(h, f, rows, words, n, column)
		s.offer(cut)
		return varies
	case g.many && len(rows) < bins:
		fillChains(h, rows, column)
		cut, varies := g.scanChains(h, f, bins, n, words)
		s.offer(cut)
		return varies
	case g.many:
		fillMany(h, g.classes, rows, words, column)
		cut, varies := g.scanMany(h, f, bins, n)
		s.offer(cut)
		return varies
	case len(rows) <= tiny && !g.holes[f]:
		return scanTiny(s, h, rows, words, column)
	case bins < lane && len(rows) >= 4*bins:
		fillLanes(h, bins, rows, words, column)
		return s.scanAll(h, bins)
	case len(rows) < bins*2:
		fillTouched(h, rows, words, column)
		return s.scanTouched(h, bins)
	default:
		fill(h, rows, words, column)
		return s.scanAll(h, bins)
	}
}

// partition moves the rows of the left child to the front, keeping both sides in order, and returns where the right
// child begins.
func (g *grower[T]) partition(from, to int, column []T, s split) int {
	rows, words := g.rows[from:to], g.words[from:to]
	right, rightWords := g.rowTemp[:len(rows)], g.wrdTemp[:len(rows)]
	words = words[:len(rows)]
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
		w := words[i]
		rows[nl], words[nl] = r, w
		right[nr], rightWords[nr] = r, w
		nl += l
		nr += 1 - l
	}
	copy(rows[nl:], right[:nr])
	copy(words[nl:], rightWords[:nr])
	return from + nl
}
