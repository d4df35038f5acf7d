package num

import (
	"math"
	"slices"
)

// radixLen is the length from which on sorting by digits is faster than by comparisons.
const radixLen = 256

// Digits of the radix sort: six of them make 64 bits.
const (
	digitBits = 11
	digits    = (64 + digitBits - 1) / digitBits
	buckets   = 1 << digitBits
)

// SortFloats sorts v ascending, NaN last. 0 and -0 are neighbours.
func SortFloats(v []float64) {
	keys := make([]uint64, len(v))
	for i, x := range v {
		keys[i] = FloatKey(x)
		if x != x {
			keys[i] = math.MaxUint64
		}
	}
	SortUint64s(keys)
	for i, k := range keys {
		v[i] = math.Float64frombits(k ^ (^uint64(int64(k)>>63) | 1<<63))
	}
}

// FloatKey maps numbers, none of them NaN, to integers that order like them, -0 below 0. Negative numbers have all bits
// turned, others the sign alone.
func FloatKey(x float64) uint64 {
	b := math.Float64bits(x)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// SortUint64s sorts v ascending.
func SortUint64s(v []uint64) {
	if len(v) < radixLen {
		slices.Sort(v)
		return
	}
	radix(v, make([]uint64, len(v)))
}

// radix sorts v by its digits from the lowest up; a digit that all elements share, as most of those of whole numbers, is
// skipped. other is of v's length.
func radix(v, other []uint64) {
	var counts [digits][buckets]uint32
	for _, x := range v {
		for d := range digits {
			counts[d][x>>(d*digitBits)%buckets]++
		}
	}
	from, to := v, other
	for d := range digits {
		count, shift := &counts[d], d*digitBits
		if int(count[v[0]>>shift%buckets]) == len(v) {
			continue
		}
		at := uint32(0)
		for i, n := range count {
			count[i] = at
			at += n
		}
		for _, x := range from {
			digit := x >> shift % buckets
			to[count[digit]] = x
			count[digit]++
		}
		from, to = to, from
	}
	if &from[0] != &v[0] {
		copy(v, from)
	}
}
