package leak

import (
	"slices"

	"github.com/hashline/hashline/ml/tree"
)

// stumpBins is the number of bins in which the cut of a stump is looked for.
const stumpBins = 1024

// stump answers one class up to a cut and another above it.
type stump struct {
	binning     *tree.Binning
	counts      []int64 // training rows: (bins+1) x classes, the missing ones last
	cut         int     // bins up to it are on the left; -1: all rows are on the right
	missingLeft bool
	left, right int32 // the answers
	hits        int   // training rows that it gets right
	gini        float64
}

// stump finds the cut that gets most rows right, of equals the purest.
func (p part) stump() stump {
	s := stump{binning: tree.Bin(p.column, p.y, p.classes, stumpBins)}
	k, bins := p.classes, s.binning.Bins()
	s.counts = make([]int64, (bins+1)*k)
	for i, code := range s.binning.Codes(p.column) {
		s.counts[int(code)*k+int(p.y[i])]++
	}
	left, right := make([]int64, k), make([]int64, k)
	for i, n := range s.counts {
		right[i%k] += n
	}
	s.try(-1, false, left, right)
	missing := s.counts[bins*k:]
	met := slices.Max(missing) > 0
	for b := range bins {
		move(right, left, s.counts[b*k:(b+1)*k])
		s.try(b, !met && sum(left) >= sum(right), left, right) // what was never met goes to the heavier side
		if met {
			move(right, left, missing)
			s.try(b, true, left, right)
			move(left, right, missing)
		}
	}
	return s
}

func sum(counts []int64) (all int64) {
	for _, n := range counts {
		all += n
	}
	return all
}

func move(from, to, counts []int64) {
	for c, n := range counts {
		from[c] -= n
		to[c] += n
	}
}

// try takes the cut if it is better.
func (s *stump) try(cut int, missingLeft bool, left, right []int64) {
	l, r := most(left), most(right)
	hits := int(left[l] + right[r])
	gini := purity(left) + purity(right)
	if hits > s.hits || hits == s.hits && gini > s.gini {
		s.cut, s.missingLeft, s.left, s.right, s.hits, s.gini = cut, missingLeft, int32(l), int32(r), hits, gini
	}
}

// most returns the class with the most rows, the first of equals.
func most(counts []int64) int {
	best := 0
	for c, n := range counts {
		if n > counts[best] {
			best = c
		}
	}
	return best
}

// purity is the sum of the squared counts over the count.
func purity(counts []int64) float64 {
	var total, squares uint64
	for _, n := range counts {
		total += uint64(n)
		squares += uint64(n) * uint64(n)
	}
	if total == 0 {
		return 0
	}
	return float64(squares) / float64(total)
}

// count returns the number of rows that the stump gets right.
func (s stump) count(p part) int {
	hits, missing := 0, s.binning.Bins()
	for i, code := range s.binning.Codes(p.column) {
		onLeft := int(code) <= s.cut
		if int(code) == missing {
			onLeft = s.missingLeft
		}
		answer := s.right
		if onLeft {
			answer = s.left
		}
		if answer == p.y[i] {
			hits++
		}
	}
	return hits
}

func (s stump) accuracy(p part) float64 { return float64(s.count(p)) / float64(len(p.y)) }
