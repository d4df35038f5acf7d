package tree

import "math/bits"

// manyScanner is scanner for more than two classes. It keeps the sums that scores are made of from bin to bin: for the
// counts n of the node and l, r of the sides, (sum l_k^2)/l + (sum r_k^2)/r is largest where Gini impurity is least.
type manyScanner struct {
	best       split
	h          *histogram
	n          tally
	least      float64 // the score without a cut: gains are what is above
	minLeaf    uint64
	rows       uint64 // up to the bin, with a value: l = h.left by class
	absent     uint64 // without one: m = h.missing by class
	used       int    // bins that have rows
	nl, ll     uint64 // sums over the classes of n*l and l*l
	nm, lm, mm uint64 // of n*m, l*m and m*m
	by         *scorer
}

func (g *grower[T]) newManyScanner(h *histogram, f int, n tally) manyScanner {
	clear(h.left)
	clear(h.missing)
	s := manyScanner{best: split{feature: f}, h: h, n: n, least: float64(n.squares) / float64(n.words), minLeaf: uint64(g.opts.MinSamplesLeaf)}
	if g.weights != nil || g.opts.Criterion != Gini {
		all := make([]uint64, len(n.counts))
		for c, k := range n.counts {
			all[c] = uint64(k)
		}
		s.by = newScorer(g.weights, g.opts.Criterion, all...)
	}
	return s
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
	s.try(b, s.rows, s.nl, s.ll, s.absent == 0 && s.rows >= s.n.words-s.rows, false)
	if s.absent > 0 {
		s.try(b, s.rows+s.absent, s.nl+s.nm, s.ll+2*s.lm+s.mm, true, true)
	}
}

// try scores a cut with so many rows on the left, of which nl and ll are the sums.
func (s *manyScanner) try(b int, left, nl, ll uint64, toLeft, missingToo bool) {
	right := s.n.words - left
	if left < s.minLeaf || right < s.minLeaf {
		return
	}
	var gain float64
	if s.by != nil {
		gain = s.gain(missingToo)
	} else {
		rr := s.n.squares + ll - 2*nl // the sum of the squares of n-l
		gain = max(0, float64(ll)/float64(left)+float64(rr)/float64(right)-s.least)
	}
	if key := keyOf(gain); key > s.best.key {
		s.best.key, s.best.cut, s.best.toLeft = key, b, toLeft
	}
}

// gain asks the scorer.
func (s *manyScanner) gain(missingToo bool) float64 {
	if !missingToo {
		return s.by.gainOf(s.h.left)
	}
	left := make([]uint64, len(s.h.left))
	for c, l := range s.h.left {
		left[c] = l + s.h.missing[c]
	}
	return s.by.gainOf(left)
}

func (s *manyScanner) varies() bool { return s.used > 1 || (s.used == 1 && s.absent > 0) }

func (g *grower[T]) scanMany(h *histogram, f, bins int, n tally) (split, bool) {
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

func (g *grower[T]) scanChains(h *histogram, f, bins int, n tally, words []uint64) (split, bool) {
	s := g.newManyScanner(h, f, n)
	for i := h.heads[bins]; i > 0; i = h.next[i-1] {
		s.miss(int(words[i-1]>>classShift), words[i-1]&weightMask)
	}
	h.heads[bins] = 0
	h.touched[bins>>6] &^= 1 << (bins & 63)
	for i, word := range h.touched {
		for ; word != 0; word &= word - 1 {
			b := i<<6 | bits.TrailingZeros64(word)
			for i := h.heads[b]; i > 0; i = h.next[i-1] {
				s.add(int(words[i-1]>>classShift), words[i-1]&weightMask)
			}
			h.heads[b] = 0
			s.cut(b)
		}
		h.touched[i] = 0
	}
	return s.best, s.varies()
}
