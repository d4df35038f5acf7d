package calibrate

import (
	"cmp"
	"slices"
)

// block is a run of probabilities that share one calibrated value.
type block struct {
	from, to   float64 // the first and the last of them
	ones, rows int
}

// fitIsotonic finds the rising function with the least squared error: the pool-adjacent-violators algorithm (Ayer and
// others, 1955) on counts, so that it is exact. Rows of one probability are one point; a block that was pooled keeps its
// first and last, between which the function is flat.
func fitIsotonic(p []float64, is []bool) Curve {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	var blocks []block
	for at := 0; at < len(order); {
		b := block{from: p[order[at]], to: p[order[at]]}
		for ; at < len(order) && p[order[at]] == b.to; at++ {
			b.rows++
			if is[order[at]] {
				b.ones++
			}
		}
		for len(blocks) > 0 {
			last := blocks[len(blocks)-1]
			if last.ones*b.rows < b.ones*last.rows { // its mean is below
				break
			}
			b = block{last.from, b.to, last.ones + b.ones, last.rows + b.rows}
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	var c Curve
	for _, b := range blocks {
		mean := float64(b.ones) / float64(b.rows)
		c.X, c.Y = append(c.X, b.from), append(c.Y, mean)
		if b.to > b.from {
			c.X, c.Y = append(c.X, b.to), append(c.Y, mean)
		}
	}
	return c
}
