package tree

import "github.com/hashline/hashline/ml/num"

// scorer gives the gain of a cut by any criterion, with weighted classes: by how much it lowers the impurity, times the
// weight of the node. It costs O(classes) a cut, where the usual criterion without weights is updated from bin to bin.
type scorer struct {
	criterion Criterion
	weights   []float64 // nil: 1
	all       []uint64  // rows of each class in the node
	before    float64   // impurity times weight
	left      []uint64  // scratch
}

func newScorer(weights []float64, c Criterion, all ...uint64) *scorer {
	s := &scorer{criterion: c, weights: weights, all: all}
	s.before = s.impurity(func(c int) uint64 { return all[c] })
	return s
}

// countsOf takes a word apart into the rows of each class. The list is good until the next call.
func (s *scorer) countsOf(word uint64, shift uint) []uint64 {
	s.left = append(s.left[:0], word&(1<<shift-1))
	for c := 1; c < len(s.all); c++ {
		k := word >> (uint(c) * shift) & (1<<shift - 1)
		s.left = append(s.left, k)
		s.left[0] -= k
	}
	return s.left
}

// gainOf takes the rows of each class on the left. The gain is not negative.
func (s *scorer) gainOf(left []uint64) float64 {
	l := s.impurity(func(c int) uint64 { return left[c] })
	r := s.impurity(func(c int) uint64 { return s.all[c] - left[c] })
	return max(0, s.before-l-r)
}

// impurity is that of a node times its weight: W - (sum of w_c^2)/W, or W log W - (sum of w_c log w_c).
func (s *scorer) impurity(count func(c int) uint64) float64 {
	total, sum := 0.0, 0.0
	for c := range s.all {
		w := float64(count(c))
		if s.weights != nil {
			w = float64(w * s.weights[c])
		}
		total += w
		if s.criterion == Entropy {
			sum += xlogx(w)
		} else {
			sum += float64(w * w)
		}
	}
	if total == 0 {
		return 0
	}
	if s.criterion == Entropy {
		return xlogx(total) - sum
	}
	return total - sum/total
}

func xlogx(x float64) float64 {
	if x <= 0 {
		return 0
	}
	return float64(x * num.Log(x))
}
