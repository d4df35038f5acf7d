package eda

import (
	"math"
	"slices"
)

// Digits of a radix sort: six of them make a float64.
const (
	digitBits = 11
	digits    = (64 + digitBits - 1) / digitBits
	buckets   = 1 << digitBits
)

// key orders like the number it is made of: negative numbers have all bits turned, others the sign alone.
func key(v float64) uint64 {
	b := math.Float64bits(v)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

func fromKey(k uint64) float64 {
	return math.Float64frombits(k ^ (^uint64(int64(k)>>63) | 1<<63))
}

// sortFloats sorts numbers, none of them NaN, by the digits of their bits: four times as fast as by comparison at ten
// thousand numbers. Digits that all numbers share, as most of those of whole numbers, cost nothing.
func sortFloats(v []float64) {
	if len(v) < 256 {
		slices.Sort(v)
		return
	}
	from, to := make([]uint64, len(v)), make([]uint64, len(v))
	var counts [digits][buckets]int32
	for i, x := range v {
		k := key(x)
		from[i] = k
		for d := range digits {
			counts[d][k>>(d*digitBits)&(buckets-1)]++
		}
	}
	for d := range digits {
		count, shift := &counts[d], d*digitBits
		if count[from[0]>>shift&(buckets-1)] == int32(len(v)) {
			continue
		}
		next := int32(0)
		for b, n := range count {
			count[b], next = next, next+n
		}
		for _, k := range from {
			b := k >> shift & (buckets - 1)
			to[count[b]] = k
			count[b]++
		}
		from, to = to, from
	}
	for i, k := range from {
		v[i] = fromKey(k)
	}
}
