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
	toLeft  bool // missing values go left
	counts  []uint32
}

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
	arena   []uint32 // the class counts of all nodes
}

// split is the best cut of one node.
type split struct {
	score   float64
	feature int
	cut     int
	toLeft  bool
}

// histogram counts rows by bin. For two classes a bin is one packed word; otherwise classes words of weights.
type histogram struct {
	words   []uint64
	touched []uint64 // one bit for each bin, kept for small nodes
	lanes   [4][lane]uint64
	left    []uint64
	right   []uint64
}

func newHistogram(bins, classes int) *histogram {
	width := 1
	if classes > 2 {
		width = classes
	}
	return &histogram{words: make([]uint64, (bins+1)*width), touched: make([]uint64, bins/64+1), left: make([]uint64, classes), right: make([]uint64, classes)}
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
	counts := g.count(from, to)
	g.nodes[at].counts = counts
	total, pure := uint64(0), false
	for _, c := range counts {
		total += uint64(c)
	}
	for _, c := range counts {
		pure = pure || uint64(c) == total
	}
	o := &g.opts
	if pure || (o.MaxDepth > 0 && depth >= o.MaxDepth) || total < uint64(o.MinSamplesSplit) || total < 2*uint64(o.MinSamplesLeaf) {
		return
	}
	if !copied && to-from <= block && len(g.columns[0]) > 2*block {
		columns = g.copyBlock(from, to, columns)
		copied = true
	}
	s := g.best(from, to, counts, total, columns)
	if s.feature < 0 {
		return
	}
	mid := g.partition(from, to, columns[s.feature], s)
	left := len(g.nodes)
	g.nodes = append(g.nodes, node{}, node{})
	n := &g.nodes[at]
	n.left, n.feature, n.cut, n.toLeft = int32(left), int32(s.feature), uint16(s.cut), s.toLeft
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
func (g *grower[T]) best(from, to int, counts []uint32, total uint64, columns [][]T) split {
	best := split{feature: -1, score: parentScore(counts, total)}
	if g.mtry == len(columns) {
		return g.bestOfAll(from, to, counts, total, columns, best)
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
		if s, varies := g.feature(g.hists[0], f, from, to, counts, total, columns[f]); varies {
			tried++
			if s.score > best.score {
				best = s
			}
		}
	}
	return best
}

// bestOfAll looks at every feature, in parallel where a node is big. Ties go to the first feature.
func (g *grower[T]) bestOfAll(from, to int, counts []uint32, total uint64, columns [][]T, best split) split {
	splits := make([]split, len(columns))
	workers := len(g.hists)
	if to-from < parallelRows {
		workers = 1
	}
	var wg sync.WaitGroup
	for w := range workers {
		work := func() {
			for f := w; f < len(columns); f += workers {
				splits[f], _ = g.feature(g.hists[w], f, from, to, counts, total, columns[f])
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

// parentScore is what a split must beat: the sum of squared class weights over the weight.
func parentScore(counts []uint32, total uint64) float64 {
	squares := uint64(0)
	for _, c := range counts {
		squares += uint64(c) * uint64(c)
	}
	score := float64(squares) / float64(total)
	return score + max(1e-9, float64(score*0x1p-50)) // a split that gains nothing but rounding is none
}

// feature counts one column of the node and returns its best cut, and whether the column varies at all.
func (g *grower[T]) feature(h *histogram, f, from, to int, counts []uint32, total uint64, column []T) (split, bool) {
	bins := g.bins[f]
	rows, packed := g.rows[from:to], g.packed[from:to]
	switch {
	case g.classes > 2 && len(rows) < bins:
		fillManyTouched(h, g.classes, rows, packed, column)
		return g.scanManyTouched(h, f, bins, counts, total)
	case g.classes > 2:
		fillMany(h, g.classes, rows, packed, column)
		return g.scanMany(h, f, bins, counts, total)
	case bins < lane && len(rows) >= 4*bins:
		fillLanes(h, bins, rows, packed, column)
	case len(rows) < bins:
		fillTouched(h, rows, packed, column)
		return g.scanTouched(h, f, bins, counts, total)
	default:
		fill(h, rows, packed, column)
	}
	return g.scan(h, f, bins, counts, total)
}

func fill[T uint8 | uint16](h *histogram, rows []int32, packed []uint64, column []T) {
	words, packed := h.words, packed[:len(rows)]
	for i, r := range rows {
		words[column[r]] += packed[i]
	}
}

// fillTouched also notes which bins it used.
func fillTouched[T uint8 | uint16](h *histogram, rows []int32, packed []uint64, column []T) {
	words, touched, packed := h.words, h.touched, packed[:len(rows)]
	for i, r := range rows {
		b := column[r]
		words[b] += packed[i]
		touched[b>>6] |= 1 << (b & 63)
	}
}

// lane is the number of codes of a column that is counted in four histograms at once. Where there are few bins, one row
// often falls into the bin of the row before, and a single histogram would wait for its own last sum.
const lane = 64

func fillLanes[T uint8 | uint16](h *histogram, bins int, rows []int32, packed []uint64, column []T) {
	l := &h.lanes
	packed = packed[:len(rows)]
	i := 0
	for ; i+4 <= len(rows); i += 4 {
		r, p := rows[i:i+4:i+4], packed[i:i+4:i+4]
		l[0][column[r[0]]&(lane-1)] += p[0]
		l[1][column[r[1]]&(lane-1)] += p[1]
		l[2][column[r[2]]&(lane-1)] += p[2]
		l[3][column[r[3]]&(lane-1)] += p[3]
	}
	for ; i < len(rows); i++ {
		l[0][column[rows[i]]&(lane-1)] += packed[i]
	}
	for b := range h.words[:bins+1] {
		h.words[b] = l[0][b&(lane-1)] + l[1][b&(lane-1)] + l[2][b&(lane-1)] + l[3][b&(lane-1)]
	}
	for b := range bins + 1 {
		l[0][b], l[1][b], l[2][b], l[3][b] = 0, 0, 0, 0
	}
}

// scanner walks the bins of a histogram in order and keeps the best cut, once with the missing values on the right and
// once on the left.
type scanner struct {
	best           split
	minLeaf        uint64
	total, ones    uint64
	missing        uint64 // packed
	left, leftOnes uint64
}

// try scores the cut behind bin b, with left holding everything up to it.
func (s *scanner) try(b int) {
	if s.missing == 0 {
		s.score(b, s.left, s.leftOnes, s.left >= s.total-s.left)
		return
	}
	s.score(b, s.left, s.leftOnes, false)
	s.score(b, s.left+s.missing&0xffffffff, s.leftOnes+s.missing>>32, true)
}

func (s *scanner) score(b int, left, ones uint64, toLeft bool) {
	right := s.total - left
	if left < s.minLeaf || right < s.minLeaf {
		return
	}
	zeros, rightOnes := left-ones, s.ones-ones
	rightZeros := right - rightOnes
	score := float64(ones*ones+zeros*zeros)/float64(left) + float64(rightOnes*rightOnes+rightZeros*rightZeros)/float64(right)
	if score > s.best.score {
		s.best.score, s.best.cut, s.best.toLeft = score, b, toLeft
	}
}

func (g *grower[T]) newScanner(h *histogram, f, bins int, counts []uint32, total uint64) scanner {
	s := scanner{best: split{feature: f}, minLeaf: uint64(max(1, g.opts.MinSamplesLeaf)), total: total, ones: uint64(counts[1]), missing: h.words[bins]}
	h.words[bins] = 0
	return s
}

func (g *grower[T]) scan(h *histogram, f, bins int, counts []uint32, total uint64) (split, bool) {
	s := g.newScanner(h, f, bins, counts, total)
	if s.missing == 0 {
		return s.present(h.words[:bins])
	}
	for b, w := range h.words[:bins] {
		if w == 0 {
			continue
		}
		h.words[b] = 0
		s.left += w & 0xffffffff
		s.leftOnes += w >> 32
		s.try(b)
	}
	return s.best, s.missing&0xffffffff < s.total
}

// present is the scan of most columns, in which no value is missing, with everything in registers.
func (s *scanner) present(words []uint64) (split, bool) {
	total, minLeaf := s.total, s.minLeaf
	var left, ones, at uint64
	best := s.best.score
	for b, w := range words {
		if w == 0 {
			continue
		}
		words[b] = 0
		left += w & 0xffffffff
		ones += w >> 32
		right := total - left
		if right == 0 {
			s.best.score, s.best.toLeft = best, at >= total-at
			return s.best, left != w&0xffffffff
		}
		if left < minLeaf || right < minLeaf {
			continue
		}
		rightOnes := s.ones - ones
		zeros, rightZeros := left-ones, right-rightOnes
		score := float64(ones*ones+zeros*zeros)/float64(left) + float64(rightOnes*rightOnes+rightZeros*rightZeros)/float64(right)
		if score > best {
			best, at, s.best.cut = score, left, b
		}
	}
	return s.best, false
}

func (g *grower[T]) scanTouched(h *histogram, f, bins int, counts []uint32, total uint64) (split, bool) {
	s := g.newScanner(h, f, bins, counts, total)
	h.touched[bins>>6] &^= 1 << (bins & 63)
	present := s.missing & 0xffffffff
	varies := false
	for i, word := range h.touched {
		for ; word != 0; word &= word - 1 {
			b := i<<6 | bits.TrailingZeros64(word)
			w := h.words[b]
			h.words[b] = 0
			s.left += w & 0xffffffff
			s.leftOnes += w >> 32
			if s.left == s.total {
				varies = s.left != w&0xffffffff
				break
			}
			varies = true
			s.try(b)
		}
		h.touched[i] = 0
	}
	return s.best, varies || (present > 0 && present < s.total)
}

func fillMany[T uint8 | uint16](h *histogram, classes int, rows []int32, packed []uint64, column []T) {
	packed = packed[:len(rows)]
	for i, r := range rows {
		h.words[int(column[r])*classes+int(packed[i]>>32)] += packed[i] & 0xffffffff
	}
}

func fillManyTouched[T uint8 | uint16](h *histogram, classes int, rows []int32, packed []uint64, column []T) {
	packed = packed[:len(rows)]
	for i, r := range rows {
		b := column[r]
		h.words[int(b)*classes+int(packed[i]>>32)] += packed[i] & 0xffffffff
		h.touched[b>>6] |= 1 << (b & 63)
	}
}

// manyScanner is scanner for more than two classes.
type manyScanner struct {
	best    split
	h       *histogram
	counts  []uint32
	missing []uint64
	absent  uint64 // rows of missing
	left    uint64
	total   uint64
	minLeaf uint64
	used    int
}

func (g *grower[T]) newManyScanner(h *histogram, f, bins int, counts []uint32, total uint64) manyScanner {
	k := g.classes
	s := manyScanner{best: split{feature: f}, h: h, counts: counts, missing: h.words[bins*k : (bins+1)*k], total: total, minLeaf: uint64(max(1, g.opts.MinSamplesLeaf))}
	for _, w := range s.missing {
		s.absent += w
	}
	clear(h.left)
	return s
}

// bin takes bin b to the left, clears it, and scores the cut behind it.
func (s *manyScanner) bin(b int) {
	k := len(s.counts)
	here := uint64(0)
	words := s.h.words[b*k : (b+1)*k]
	for c, w := range words {
		s.h.left[c] += w
		here += w
		words[c] = 0
	}
	if here == 0 {
		return
	}
	s.used++
	s.left += here
	s.try(b, s.left, nil, s.absent == 0 && s.left >= s.total-s.left)
	if s.absent > 0 {
		s.try(b, s.left+s.absent, s.missing, true)
	}
}

func (s *manyScanner) try(b int, left uint64, missing []uint64, toLeft bool) {
	right := s.total - left
	if left < s.minLeaf || right < s.minLeaf {
		return
	}
	var l2, r2 uint64
	for c, w := range s.h.left {
		if missing != nil {
			w += missing[c]
		}
		r := uint64(s.counts[c]) - w
		l2 += w * w
		r2 += r * r
	}
	if score := float64(l2)/float64(left) + float64(r2)/float64(right); score > s.best.score {
		s.best.score, s.best.cut, s.best.toLeft = score, b, toLeft
	}
}

func (s *manyScanner) end() (split, bool) {
	clear(s.missing)
	return s.best, s.used > 1 || (s.used == 1 && s.absent > 0)
}

func (g *grower[T]) scanMany(h *histogram, f, bins int, counts []uint32, total uint64) (split, bool) {
	s := g.newManyScanner(h, f, bins, counts, total)
	for b := range bins {
		s.bin(b)
	}
	return s.end()
}

func (g *grower[T]) scanManyTouched(h *histogram, f, bins int, counts []uint32, total uint64) (split, bool) {
	s := g.newManyScanner(h, f, bins, counts, total)
	h.touched[bins>>6] &^= 1 << (bins & 63)
	for i, word := range h.touched {
		for ; word != 0; word &= word - 1 {
			s.bin(i<<6 | bits.TrailingZeros64(word))
		}
		h.touched[i] = 0
	}
	return s.end()
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
