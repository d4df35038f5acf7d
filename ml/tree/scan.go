package tree

import (
	"math"
	"math/bits"
)

// keyOf makes a gain, which is not negative, an integer that orders like it. 0 is left to "no cut": a cut that gains
// nothing still is one, as scikit-learn has it, since its sides may be worth cutting.
func keyOf(gain float64) uint64 { return math.Float64bits(gain) + 1 }

// scanner looks for the best cut of a node for two classes, a few more or numbers, in one column after the other.
//
// For the weight N and the sum S of the node, and l, s of the left side, the gain of a cut is proportional to
// (sN - lS)^2 / (l(N-l)): of two classes the decrease of Gini impurity, of numbers that of the squared error. Nothing in
// it is a sum of products, and with two classes a product is exact up to 2^26 rows.
type scanner struct {
	best    split  // of the columns so far
	feature int    // the column at hand
	all     uint64 // words of the node, added up
	missing uint64 // of those without a value
	total   uint64
	n, sum  float64
	minLeaf uint64
	shift   uint
	classes int     // of more than two, Gini impurity as of manyScanner
	by      *scorer // another criterion; nil for this one
}

// newScanner is for one node. Of many classes, and for cuts by chance, it only keeps the best cut.
func (g *grower[T]) newScanner(n tally) scanner {
	total := n.words & (1<<g.shift - 1)
	s := scanner{all: n.words, total: total, minLeaf: uint64(g.opts.MinSamplesLeaf), shift: g.shift,
		n: float64(total), sum: float64(int64(n.words) >> g.shift)}
	if g.classes > 2 {
		s.classes = g.classes
	}
	if !g.many && g.classes >= 2 && (g.weights != nil || g.opts.Criterion != Gini) {
		s.by = newScorer(g.weights, g.opts.Criterion, g.classCounts(n)...)
	}
	return s
}

// try scores the cut behind bin b, with left holding everything up to it.
func (s *scanner) try(b int, left uint64, toLeft bool) {
	s.offer(split{key: s.key(left), feature: s.feature, cut: b, left: left, toLeft: toLeft})
}

// offer keeps a cut that is better than the best so far.
func (s *scanner) offer(c split) {
	if c.key > s.best.key {
		s.best = c
	}
}

// key is that of the gain, 0 where a side is too small. It has no branches for the data to mislead.
func (s *scanner) key(left uint64) uint64 {
	l := left & (1<<s.shift - 1)
	r := s.total - l
	allowed := ((l-s.minLeaf)|(r-s.minLeaf))>>63 - 1 // all bits unless a difference is below 0
	switch {
	case s.plain():
	case allowed == 0:
		return 0
	case s.by != nil:
		return keyOf(s.by.gainOf(s.by.countsOf(left, s.shift)))
	default:
		return keyOf(float64(s.squares(left))/float64(l) + float64(s.squares(s.all-left))/float64(r))
	}
	rows, sum := float64(int64(l)), float64(int64(left)>>s.shift)
	d := float64(sum*s.n) - float64(rows*s.sum)
	return keyOf(float64(d*d)/float64(rows*float64(int64(r)))) & allowed
}

// plain reports whether the gain is that of two classes or numbers.
func (s *scanner) plain() bool { return s.by == nil && s.classes == 0 }

// squares adds up the squares of the weights of the classes in a word.
func (s *scanner) squares(word uint64) uint64 {
	mask := uint64(1)<<s.shift - 1
	rest, sum := word&mask, uint64(0)
	for c := 1; c < s.classes; c++ {
		word >>= s.shift & 63
		k := word & mask
		rest -= k
		sum += k * k
	}
	return sum + rest*rest
}

// absent takes the bin of the missing values out of the histogram.
func (s *scanner) absent(h *histogram, bins int) {
	s.missing = h.words[bins]
	h.words[bins] = 0
}

// met decides where values of the column at hand go that the node never met: with the heavier side.
func (s *scanner) met() {
	if s.missing == 0 && s.best.feature == s.feature {
		l := s.best.left & (1<<s.shift - 1)
		s.best.toLeft = l >= s.total-l
	}
}

// scanAll goes over all bins of a histogram and empties it. It reports whether the column varies.
func (s *scanner) scanAll(h *histogram, bins int) bool {
	s.absent(h, bins)
	words := h.words[:bins]
	if !s.plain() {
		return s.scanSlowly(words)
	}
	last := s.walk(words, 0, false)
	if s.missing != 0 {
		s.walk(words, s.missing, true)
	}
	clear(words)
	s.met()
	return last
}

// walk scores the cuts behind all bins, and reports whether more than one bin, the missing one among them, has rows.
func (s *scanner) walk(words []uint64, left uint64, toLeft bool) bool {
	mask, minLeaf, total, shift := uint64(1)<<s.shift-1, s.minLeaf, s.total, s.shift&63
	n, all := s.n, s.sum
	best, at, bestLeft := s.best.key, -1, uint64(0)
	used := uint64(0)
	if s.missing != 0 {
		used = 1
	}
	for b, w := range words {
		used += (w | -w) >> 63
		left += w
		l := left & mask
		r := total - l
		allowed := ((l-minLeaf)|(r-minLeaf))>>63 - 1
		rows, sum := float64(int64(l)), float64(int64(left)>>shift)
		d := float64(sum*n) - float64(rows*all)
		key := (math.Float64bits(float64(d*d)/float64(rows*float64(int64(r)))) + 1) & allowed
		if key > best {
			best = key
			at = b
			bestLeft = left
		}
	}
	if at >= 0 {
		s.best = split{key: best, feature: s.feature, cut: at, left: bestLeft, toLeft: toLeft}
	}
	return used > 1
}

// scanSlowly is scanAll for more classes and other criteria.
func (s *scanner) scanSlowly(words []uint64) bool {
	left, used := uint64(0), 0
	if s.missing != 0 {
		used = 1
	}
	for b, w := range words {
		if w == 0 {
			continue
		}
		words[b] = 0
		used++
		left += w
		s.try(b, left, false)
		if s.missing != 0 {
			s.try(b, left+s.missing, true)
		}
	}
	s.met()
	return used > 1
}

// scanTouched goes over the bins that are noted, and empties them.
func (s *scanner) scanTouched(h *histogram, bins int) bool {
	s.absent(h, bins)
	h.touched[bins>>6] &^= 1 << (bins & 63)
	if s.missing == 0 && s.plain() {
		return s.walkTouched(h)
	}
	left, used := uint64(0), 0
	if s.missing != 0 {
		used = 1
	}
	for i, word := range h.touched {
		h.touched[i] = 0
		for ; word != 0; word &= word - 1 {
			b := i<<6 | bits.TrailingZeros64(word)
			left += h.words[b]
			h.words[b] = 0
			used++
			s.try(b, left, false)
			if s.missing != 0 {
				s.try(b, left+s.missing, true)
			}
		}
	}
	s.met()
	return used > 1
}

// walkTouched is scanTouched of most columns, with everything in registers.
func (s *scanner) walkTouched(h *histogram) bool {
	mask, minLeaf, total, shift := uint64(1)<<s.shift-1, s.minLeaf, s.total, s.shift&63
	n, all := s.n, s.sum
	best, bestLeft, left := s.best.key, uint64(0), uint64(0)
	at, used := -1, 0
	words := h.words
	for i, word := range h.touched {
		if word == 0 {
			continue
		}
		h.touched[i] = 0
		for ; word != 0; word &= word - 1 {
			b := i<<6 | bits.TrailingZeros64(word)
			left += words[b]
			words[b] = 0
			used++
			l := left & mask
			r := total - l
			allowed := ((l-minLeaf)|(r-minLeaf))>>63 - 1
			rows, sum := float64(int64(l)), float64(int64(left)>>shift)
			d := float64(sum*n) - float64(rows*all)
			key := (math.Float64bits(float64(d*d)/float64(rows*float64(int64(r)))) + 1) & allowed
			if key > best {
				best = key
				at = b
				bestLeft = left
			}
		}
	}
	if at >= 0 {
		s.best = split{key: best, feature: s.feature, cut: at, left: bestLeft}
		s.met()
	}
	return used > 1
}

// tiny is the number of rows up to which a node is scanned without a histogram: the left side of the cut behind each row
// is added up from all rows, which takes fewer steps than to sort them.
const tiny = 12

// scanTiny scores the cut behind the code of every row, of a column in which no value is missing.
func scanTiny[T uint8 | uint16](s *scanner, h *histogram, rows []int32, words []uint64, column []T) bool {
	codes := &h.tiny
	n := len(rows)
	words = words[:n]
	first, varies := int64(column[rows[0]]), int64(0)
	for i, r := range rows {
		code := int64(column[r])
		codes[i&15] = code
		varies |= code ^ first
	}
	if varies == 0 {
		return false
	}
	if !s.plain() {
		s.tinySlowly(codes, words)
		return true
	}
	mask, minLeaf, total, shift := uint64(1)<<s.shift-1, s.minLeaf, s.total, s.shift&63
	all, whole := s.sum, s.n
	best, bestLeft := s.best.key, uint64(0)
	at := int64(-1)
	for i := range n {
		code := codes[i&15] + 1
		left := uint64(0)
		for j, w := range words {
			left += w & uint64((codes[j&15]-code)>>63)
		}
		l := left & mask
		r := total - l
		allowed := ((l-minLeaf)|(r-minLeaf))>>63 - 1
		count, sum := float64(int64(l)), float64(int64(left)>>shift)
		d := float64(sum*whole) - float64(count*all)
		key := (math.Float64bits(float64(d*d)/float64(count*float64(int64(r)))) + 1) & allowed
		if key > best {
			best = key
			at = code
			bestLeft = left
		}
	}
	if at >= 0 {
		s.best = split{key: best, feature: s.feature, cut: int(at - 1), left: bestLeft}
		s.met()
	}
	return true
}

// tinySlowly is scanTiny for more classes and other criteria.
func (s *scanner) tinySlowly(codes *[16]int64, words []uint64) {
	for i := range words {
		code := codes[i&15] + 1
		left := uint64(0)
		for j, w := range words {
			left += w & uint64((codes[j&15]-code)>>63)
		}
		s.try(int(code-1), left, false)
	}
	s.met()
}
