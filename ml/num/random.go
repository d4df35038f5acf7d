package num

import "math/bits"

// Mix hashes words into one: the finaliser of splitmix64 after each. Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, OOPSLA 2014.
func Mix(words ...uint64) uint64 {
	var h uint64 = 0x243f6a8885a308d3 // the first fractional bits of pi
	for _, w := range words {
		h = Scramble(h ^ w)
	}
	return h
}

// Scramble is the finaliser of splitmix64: a bijection that spreads every bit over all others.
func Scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// HashString returns a 64-bit hash of s keyed by seed: FNV-1a, finalised. It is no defence against chosen collisions.
func HashString(seed uint64, s string) uint64 {
	h := 0xcbf29ce484222325 ^ Scramble(seed) // scrambled: a seed must not undo what a first letter does
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return Scramble(h)
}

// RNG is a counter-based generator (splitmix64): its n-th number is a function of the key and n alone, so streams with
// different keys are independent of who draws from them, and when. Copying it copies its place in the stream.
type RNG struct{ state uint64 }

// NewRNG returns the stream of a seed and further keys, such as the number of a tree.
func NewRNG(seed uint64, keys ...uint64) *RNG {
	h := Mix(seed)
	for _, k := range keys {
		h = Scramble(h ^ k)
	}
	return &RNG{state: h}
}

// Uint64 returns 64 random bits.
func (r *RNG) Uint64() uint64 {
	r.state += 0x9e3779b97f4a7c15
	x := r.state
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Intn returns an unbiased number in [0, n); n must be positive. Lemire: Fast Random Integer Generation in an Interval,
// ACM TOMACS 2019.
func (r *RNG) Intn(n int) int {
	bound := uint64(n)
	hi, lo := bits.Mul64(r.Uint64(), bound)
	if lo < bound {
		for threshold := -bound % bound; lo < threshold; {
			hi, lo = bits.Mul64(r.Uint64(), bound)
		}
	}
	return int(hi)
}

// Float64 returns a multiple of 2**-53 in [0, 1).
func (r *RNG) Float64() float64 { return float64(float64(r.Uint64()>>11) * 0x1p-53) }

// Perm fills p with a random permutation of 0..len(p)-1 (Fisher and Yates).
func (r *RNG) Perm(p []int32) {
	for i := range p {
		j := r.Intn(i + 1)
		p[i] = p[j]
		p[j] = int32(i)
	}
}
