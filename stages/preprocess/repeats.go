package preprocess

import (
	"sync"

	"github.com/hashline/hashline/ml/frame"
)

// repeats finds rows that are equal to an earlier one. Two hashes of different keys make 128 bits: no two different rows
// agree by chance.
type repeats struct {
	a, b  *frame.RowHasher
	slots []uint32 // 0: free, else a row + 1
}

func newRepeats(rows int) *repeats {
	size := 64
	for 4*rows > 3*size {
		size *= 2
	}
	return &repeats{a: frame.NewRowHasher(rows, 1), b: frame.NewRowHasher(rows, 2), slots: make([]uint32, size)}
}

// add takes in a column.
func (r *repeats) add(c *frame.Column) {
	var a sync.WaitGroup
	a.Go(func() { r.a.Add(c) })
	r.b.Add(c)
	a.Wait()
}

// repeated reports whether row i is equal to one that it was asked about before.
func (r *repeats) repeated(i int) bool {
	a, b, mask := r.a.Sums(), r.b.Sums(), uint64(len(r.slots)-1)
	at := a[i] & mask
	for ; r.slots[at] != 0; at = (at + 1) & mask {
		if j := r.slots[at] - 1; a[j] == a[i] && b[j] == b[i] {
			return true
		}
	}
	r.slots[at] = uint32(i) + 1
	return false
}
