package frame

import (
	"math"

	"github.com/hashline/hashline/ml/num"
)

// RowHashes returns a 64-bit hash of every row's content over the columns: equal rows hash alike on any machine and
// whatever codes their levels have. The hash is keyed by seed. All missing values of a column are equal, and so are 0
// and -0. It is no defence against data made to collide; two hashes of different seeds are as good as 128 bits.
func RowHashes(columns []*Column, rows int, seed uint64) []uint64 {
	h := NewRowHasher(rows, seed)
	for _, c := range columns {
		h.Add(c)
	}
	return h.Sums()
}

// RowHasher makes the hashes of RowHashes from one column after the other, so that the columns need not be in memory
// together. The order of the columns counts.
type RowHasher struct {
	seed uint64
	sums []uint64
}

// NewRowHasher starts the hashes of rows rows.
func NewRowHasher(rows int, seed uint64) *RowHasher {
	h := &RowHasher{seed: seed, sums: make([]uint64, rows)}
	for i := range h.sums {
		h.sums[i] = num.Scramble(seed)
	}
	return h
}

// Sums returns the hashes of the rows over the columns added so far. The hasher owns the slice.
func (h *RowHasher) Sums() []uint64 { return h.sums }

// Add takes in the values of a column, which must have as many rows.
func (h *RowHasher) Add(c *Column) {
	name, sums := num.HashString(h.seed, c.Name), h.sums
	switch {
	case c.Type.Numeric():
		for i, v := range c.Num {
			sums[i] = num.Scramble(sums[i] ^ num.Scramble(name^numberBits(v)))
		}
	case c.Type == Date:
		for i, d := range c.Days {
			sums[i] = num.Scramble(sums[i] ^ num.Scramble(name^uint64(uint32(d))))
		}
	default:
		levels := make([]uint64, len(c.Levels))
		for l, text := range c.Levels {
			levels[l] = num.Scramble(name ^ num.HashString(h.seed, text))
		}
		missing := num.Scramble(name ^ 0x5bd1e995)
		for i, code := range c.Codes {
			v := missing
			if code >= 0 {
				v = levels[code]
			}
			sums[i] = num.Scramble(sums[i] ^ v)
		}
	}
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
