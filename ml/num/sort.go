package num

import (
	"math"
	"slices"
)

// radixLen is the length from which on sorting by bytes is faster than by comparisons.
const radixLen = 256

// SortFloats sorts v ascending, NaN last. 0 and -0 are neighbours.
func SortFloats(v []float64) {
	keys := make([]uint64, len(v))
	for i, x := range v {
		keys[i] = floatKey(x)
	}
	SortUint64s(keys)
	for i, k := range keys {
		v[i] = keyFloat(k)
	}
}

// SortUint64s sorts v ascending.
func SortUint64s(v []uint64) {
	if len(v) < radixLen {
		slices.Sort(v)
		return
	}
	radix(v, make([]uint64, len(v)))
}

// floatKey maps floats to integers that order like them.
func floatKey(x float64) uint64 {
	if x != x {
		return math.MaxUint64
	}
	bits := math.Float64bits(x)
	if bits>>63 == 1 {
		return ^bits
	}
	return bits | 1<<63
}

func keyFloat(k uint64) float64 {
	if k>>63 == 1 {
		if k == math.MaxUint64 {
			return math.NaN()
		}
		return math.Float64frombits(k &^ (1 << 63))
	}
	return math.Float64frombits(^k)
}

// radix sorts v by its bytes from the lowest up; a byte that all elements share is skipped. other is of v's length.
func radix(v, other []uint64) {
	var counts [8][256]uint32
	for _, x := range v {
		for b := range 8 {
			counts[b][uint8(x>>(8*b))]++
		}
	}
	from, to := v, other
	for b := range 8 {
		count := &counts[b]
		shift := 8 * b
		if int(count[uint8(v[0]>>shift)]) == len(v) {
			continue
		}
		at := uint32(0)
		for i, n := range count {
			count[i] = at
			at += n
		}
		for _, x := range from {
			d := uint8(x >> shift)
			to[count[d]] = x
			count[d]++
		}
		from, to = to, from
	}
	if &from[0] != &v[0] {
		copy(v, from)
	}
}
