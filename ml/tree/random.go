package tree

import (
	"math"
	"math/bits"
)

// drawCut draws a cut of one column between the least and the greatest value that it has in the node, and on which side
// missing values go, and scores it. It reports whether the column varies.
func (g *grower[T]) drawCut(h *histogram, f int, rows []int32, words []uint64, n tally, column []T) (split, bool) {
	bins := g.bins[f]
	low, high, missing := bins, -1, 0
	for _, r := range rows {
		code := int(column[r])
		if code == bins {
			missing++
			continue
		}
		low, high = min(low, code), max(high, code)
	}
	if high < 0 || low == high && missing == 0 {
		return split{}, false
	}
	s := split{feature: f, cut: g.drawBetween(f, low, high)}
	if missing > 0 {
		s.toLeft = g.rng.Uint64()&1 == 1
		if low == high {
			s.toLeft = false // the values on one side, the missing ones on the other
		}
	}
	if !g.many {
		g.scoreWords(&s, rows, words, n, column, missing > 0)
	} else {
		g.scoreCounts(&s, h, rows, words, n, column, missing > 0)
	}
	return s, true
}

// drawBetween returns a bin from low up to the one before high, or low where they are the same.
func (g *grower[T]) drawBetween(f, low, high int) int {
	if low == high {
		return low
	}
	places := g.places[f]
	u := g.rng.Float64()
	at := places[low] + float64(u*(places[high]-places[low]))
	if math.IsInf(places[high]-places[low], 0) {
		at = float64(places[low]*(1-u)) + float64(places[high]*u)
	}
	from, to := low, high-1 // the last bin whose place is not above
	for from < to {
		if middle := (from + to + 1) / 2; places[middle] <= at {
			from = middle
		} else {
			to = middle - 1
		}
	}
	return from
}

func goesLeft(code, missing int, s *split) bool {
	if code == missing {
		return s.toLeft
	}
	return code <= s.cut
}

func (g *grower[T]) scoreWords(s *split, rows []int32, words []uint64, n tally, column []T, met bool) {
	left, words := uint64(0), words[:len(rows)]
	missing, above := -1, s.cut+1
	if s.toLeft {
		missing = g.bins[s.feature]
	}
	for i, r := range rows {
		code := int(column[r])
		if code == missing {
			code = 0
		}
		left += words[i] & uint64((code-above)>>(bits.UintSize-1)) // no branch for the data to mislead
	}
	by := g.newScanner(n)
	s.key, s.left = by.key(left), left
	if !met {
		l := left & (1<<g.shift - 1)
		s.toLeft = l >= by.total-l
	}
}

func (g *grower[T]) scoreCounts(s *split, h *histogram, rows []int32, words []uint64, n tally, column []T, met bool) {
	by := g.newManyScanner(h, s.feature, n)
	for i, r := range rows {
		if goesLeft(int(column[r]), g.bins[s.feature], s) {
			by.add(int(words[i]>>classShift), words[i]&weightMask)
		}
	}
	toLeft := s.toLeft
	if !met {
		toLeft = by.rows >= n.words-by.rows
	}
	by.try(s.cut, by.rows, by.nl, by.ll, toLeft, false)
	s.key, s.toLeft = by.best.key, toLeft
}
