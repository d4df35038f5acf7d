package frame

import (
	"math"
)

// RowHashes returns a 64-bit hash of every row's content over the columns: equal rows hash alike on any machine and
// whatever codes their levels have. The hash is keyed by seed. All missing values of a column are equal, and so are 0
// and -0. It is no defence against data made to collide; two hashes of different seeds are as good as 128 bits.
func RowHashes(columns []*Column, rows int, seed uint64) []uint64 {
	h := make([]uint64, rows)
	for i := range h {
		h[i] = mix(seed)
	}
	for _, c := range columns {
		name := hashText(seed, c.Name)
		switch {
		case c.Type.Numeric():
			for i, v := range c.Num {
				h[i] = mix(h[i] ^ mix(name^numberBits(v)))
			}
		case c.Type == Date:
			for i, d := range c.Days {
				h[i] = mix(h[i] ^ mix(name^uint64(uint32(d))))
			}
		default:
			levels := make([]uint64, len(c.Levels))
			for l, text := range c.Levels {
				levels[l] = mix(name ^ hashText(seed, text))
			}
			missing := mix(name ^ 0x5bd1e995)
			for i, code := range c.Codes {
				v := missing
				if code >= 0 {
					v = levels[code]
				}
				h[i] = mix(h[i] ^ v)
			}
		}
	}
	return h
}

func numberBits(v float64) uint64 {
	switch {
	case v == 0:
		return 0 // -0 too
	case math.IsNaN(v):
		return math.Float64bits(math.NaN())
	}
	return math.Float64bits(v)
}

// mix is the finaliser of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hashText is FNV-1a over the bytes, keyed and finalised.
func hashText(seed uint64, s string) uint64 {
	h := 0xcbf29ce484222325 ^ seed
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return mix(h)
}
