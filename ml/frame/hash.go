package frame

import (
	"math"

	"github.com/hashline/hashline/ml/num"
)

// RowHashes returns a 64-bit hash of every row's content over the columns: equal rows hash alike on any machine and
// whatever codes their levels have. The hash is keyed by seed. All missing values of a column are equal, and so are 0
// and -0. It is no defence against data made to collide; two hashes of different seeds are as good as 128 bits.
func RowHashes(columns []*Column, rows int, seed uint64) []uint64 {
	h := make([]uint64, rows)
	for i := range h {
		h[i] = num.Scramble(seed)
	}
	for _, c := range columns {
		name := num.HashString(seed, c.Name)
		switch {
		case c.Type.Numeric():
			for i, v := range c.Num {
				h[i] = num.Scramble(h[i] ^ num.Scramble(name^numberBits(v)))
			}
		case c.Type == Date:
			for i, d := range c.Days {
				h[i] = num.Scramble(h[i] ^ num.Scramble(name^uint64(uint32(d))))
			}
		default:
			levels := make([]uint64, len(c.Levels))
			for l, text := range c.Levels {
				levels[l] = num.Scramble(name ^ num.HashString(seed, text))
			}
			missing := num.Scramble(name ^ 0x5bd1e995)
			for i, code := range c.Codes {
				v := missing
				if code >= 0 {
					v = levels[code]
				}
				h[i] = num.Scramble(h[i] ^ v)
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
