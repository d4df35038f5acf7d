package tree

import "math/bits"

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
	s.score(b, s.left+s.missing&weightMask, s.leftOnes+s.missing>>32, true)
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

func (g *grower[T]) newScanner(h *histogram, f, bins int, n *tally) scanner {
	s := scanner{best: split{feature: f}, minLeaf: uint64(max(1, g.opts.MinSamplesLeaf)), total: n.total, ones: uint64(n.counts[1]), missing: h.words[bins]}
	h.words[bins] = 0
	return s
}

func (g *grower[T]) scan(h *histogram, f, bins int, n *tally) (split, bool) {
	s := g.newScanner(h, f, bins, n)
	if s.missing == 0 {
		return s.present(h.words[:bins])
	}
	for b, w := range h.words[:bins] {
		if w == 0 {
			continue
		}
		h.words[b] = 0
		s.left += w & weightMask
		s.leftOnes += w >> 32
		s.try(b)
	}
	return s.best, s.missing&weightMask < s.total
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
		left += w & weightMask
		ones += w >> 32
		right := total - left
		if right == 0 {
			s.best.score, s.best.toLeft = best, at >= total-at
			return s.best, left != w&weightMask
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

func (g *grower[T]) scanTouched(h *histogram, f, bins int, n *tally) (split, bool) {
	s := g.newScanner(h, f, bins, n)
	h.touched[bins>>6] &^= 1 << (bins & 63)
	present := s.missing & weightMask
	varies := false
	for i, word := range h.touched {
		for ; word != 0; word &= word - 1 {
			b := i<<6 | bits.TrailingZeros64(word)
			w := h.words[b]
			h.words[b] = 0
			s.left += w & weightMask
			s.leftOnes += w >> 32
			if s.left == s.total {
				varies = s.left != w&weightMask
				break
			}
			varies = true
			s.try(b)
		}
		h.touched[i] = 0
	}
	return s.best, varies || (present > 0 && present < s.total)
}

// manyScanner is scanner for more than two classes. It keeps the sums that scores are made of from bin to bin.
type manyScanner struct {
	best       split
	h          *histogram
	n          *tally
	minLeaf    uint64
	rows       uint64 // up to the bin, with a value: l = h.left by class
	absent     uint64 // without one: m = h.missing by class
	used       int    // bins that have rows
	nl, ll     uint64 // sums over the classes of n*l and l*l
	nm, lm, mm uint64 // of n*m, l*m and m*m
}

func (g *grower[T]) newManyScanner(h *histogram, f int, n *tally) manyScanner {
	clear(h.left)
	clear(h.missing)
	return manyScanner{best: split{feature: f}, h: h, n: n, minLeaf: uint64(max(1, g.opts.MinSamplesLeaf))}
}

// miss takes in rows without a value.
func (s *manyScanner) miss(class int, w uint64) {
	n, m := uint64(s.n.counts[class]), s.h.missing[class]
	s.absent += w
	s.nm += n * w
	s.mm += w * (2*m + w)
	s.h.missing[class] = m + w
}

// add takes rows to the left.
func (s *manyScanner) add(class int, w uint64) {
	l := s.h.left[class]
	s.rows += w
	s.nl += uint64(s.n.counts[class]) * w
	s.ll += w * (2*l + w)
	s.lm += w * s.h.missing[class]
	s.h.left[class] = l + w
}

// cut scores the cut behind bin b, whose rows have been added.
func (s *manyScanner) cut(b int) {
	s.used++
	s.try(b, s.rows, s.nl, s.ll, s.absent == 0 && s.rows >= s.n.total-s.rows)
	if s.absent > 0 {
		s.try(b, s.rows+s.absent, s.nl+s.nm, s.ll+2*s.lm+s.mm, true)
	}
}

// try scores a cut with so many rows on the left, of which nl and ll are the sums.
func (s *manyScanner) try(b int, left, nl, ll uint64, toLeft bool) {
	right := s.n.total - left
	if left < s.minLeaf || right < s.minLeaf {
		return
	}
	rr := s.n.squares + ll - 2*nl // the sum of the squares of n-l
	if score := float64(ll)/float64(left) + float64(rr)/float64(right); score > s.best.score {
		s.best.score, s.best.cut, s.best.toLeft = score, b, toLeft
	}
}

func (s *manyScanner) varies() bool { return s.used > 1 || (s.used == 1 && s.absent > 0) }

func (g *grower[T]) scanMany(h *histogram, f, bins int, n *tally) (split, bool) {
	s, k := g.newManyScanner(h, f, n), g.classes
	missing := h.words[bins*k : (bins+1)*k]
	for class, w := range missing {
		if w > 0 {
			s.miss(class, w)
		}
	}
	clear(missing)
	for b := range bins {
		words, before := h.words[b*k:(b+1)*k], s.rows
		for class, w := range words {
			if w > 0 {
				s.add(class, w)
				words[class] = 0
			}
		}
		if s.rows > before {
			s.cut(b)
		}
	}
	return s.best, s.varies()
}

func (g *grower[T]) scanChains(h *histogram, f, bins int, n *tally, packed []uint64) (split, bool) {
	s := g.newManyScanner(h, f, n)
	for i := h.heads[bins]; i > 0; i = h.next[i-1] {
		s.miss(int(packed[i-1]>>32), packed[i-1]&weightMask)
	}
	h.heads[bins] = 0
	h.touched[bins>>6] &^= 1 << (bins & 63)
	for i, word := range h.touched {
		for ; word != 0; word &= word - 1 {
			b := i<<6 | bits.TrailingZeros64(word)
			for i := h.heads[b]; i > 0; i = h.next[i-1] {
				s.add(int(packed[i-1]>>32), packed[i-1]&weightMask)
			}
			h.heads[b] = 0
			s.cut(b)
		}
		h.touched[i] = 0
	}
	return s.best, s.varies()
}
