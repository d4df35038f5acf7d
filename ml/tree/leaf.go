package tree

import "math/bits"

// leaf gives a leaf its value. Rows [from, to) are only looked at where the target is a number.
func (g *grower[T]) leaf(at int, n tally, from, to int, copied bool) {
	switch {
	case g.classes == 0:
		g.out.value[at] = uint32(len(g.out.leaves))
		g.out.leaves = append(g.out.leaves, uint64(g.meanOf(from, to, copied)))
	case g.many:
		g.out.setShares(at, shares(n.counts, g.weights, g.opts.Laplace))
	default:
		var scratch [8]uint32
		counts := scratch[:1]
		rest := uint32(n.words & (1<<g.shift - 1))
		for c := 1; c < g.classes; c++ {
			k := uint32(g.field(n.words, c))
			counts = append(counts, k)
			rest -= k
		}
		counts[0] = rest
		g.out.setShares(at, shares(counts, g.weights, g.opts.Laplace))
	}
}

// meanOf returns the mean of the targets of rows in units of 2^exponent, rounded to the nearest, halves up.
func (g *grower[T]) meanOf(from, to int, copied bool) int64 {
	sum, total := int64(0), int64(0)
	mask := uint64(1)<<g.shift - 1
	for i, r := range g.rows[from:to] {
		if copied {
			r = g.origin[r]
		}
		w := int64(g.words[from+i] & mask)
		sum += g.fixed[r] * w
		total += w
	}
	// Go rounds quotients to zero; this one is to be rounded down after half a unit is added.
	q, r := sum/total, sum%total
	if r < 0 {
		q, r = q-1, r+total
	}
	if 2*r >= total {
		q++
	}
	return q
}

// shares returns the class shares of a leaf for the classes after the first, in units of 2^-31, as if it had so many more
// rows of each class. weights are those of the classes, nil for 1.
func shares(counts []uint32, weights []float64, more int) []uint32 {
	weight := integerWeights(weights)
	total := uint64(0)
	of := func(c int) uint64 {
		k := uint64(counts[c]) + uint64(more)
		if weight != nil {
			k *= weight[c]
		}
		return k
	}
	for c := range counts {
		total += of(c)
	}
	s := make([]uint32, len(counts)-1)
	for k := range s {
		hi, lo := bits.Mul64(of(k+1), unit)
		lo, carry := bits.Add64(lo, total/2, 0)
		q, _ := bits.Div64(hi+carry, lo, total)
		s[k] = uint32(q)
	}
	return s
}

// integerWeights scales weights so that the largest is 2^20: then the sums of shares are exact.
func integerWeights(weights []float64) []uint64 {
	if weights == nil {
		return nil
	}
	most := 0.0
	for _, w := range weights {
		most = max(most, w)
	}
	scaled := make([]uint64, len(weights))
	for c, w := range weights {
		scaled[c] = max(1, uint64(w/most*(1<<20)))
	}
	return scaled
}
