package num

import (
	"math"
	"slices"
)

// radixLen is the length from which on sorting by bytes is faster than by comparisons.
const radixLen = 256

// SortFloats sorts v ascending, NaN last, 0 and -0 as equals in any order. scratch is overwritten; it may be nil, or be
// kept for the next call by the caller, who gets it back.
func SortFloats(v []float64, scratch []uint64) []uint64 {
	if len(v) < radixLen {
		slices.SortFunc(v, func(a, b float64) int { return compareKeys(floatKey(a), floatKey(b)) })
		return scratch
	}
	if cap(scratch) < 2*len(v) {
		scratch = make([]uint64, 2*len(v))
	}
	keys := scratch[:len(v)]
	for i, x := range v {
		keys[i] = floatKey(x)
	}
	radix(keys, scratch[len(v):2*len(v)])
	for i, k := range keys {
		v[i] = keyFloat(k)
	}
	return scratch
}

// SortUint64s sorts v ascending.
func SortUint64s(v []uint64) {
	if len(v) < radixLen {
		slices.Sort(v)
		return
	}
	radix(v, make([]uint64, len(v)))
}

func compareKeys(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
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
