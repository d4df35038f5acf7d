package csv

import (
	"hash/maphash"
	"strings"
)

// dict gives texts codes in the order of their first appearance. Its levels lie end to end in blocks, so that millions
// of them cost little more than their bytes and keep no buffer alive.
type dict struct {
	levels []string
	slots  []uint64 // 0: free; else the upper half of the hash, then code + 1
	block  strings.Builder
	last   int32 // the code of the value before: values often repeat
}

// seed differs between processes; codes do not depend on it.
var seed = maphash.MakeSeed()

const (
	minBlock = 256
	maxBlock = 64 << 10
)

func newDict() *dict { return &dict{slots: make([]uint64, 64), last: -1} }

// add returns the code of a text, and whether it is new.
func (d *dict) add(b []byte) (code int32, isNew bool) {
	if d.last >= 0 && d.levels[d.last] == string(b) {
		return d.last, false
	}
	hash := maphash.Bytes(seed, b)
	mask := uint64(len(d.slots) - 1)
	i := hash & mask
	for ; d.slots[i] != 0; i = (i + 1) & mask {
		if s := d.slots[i]; s>>32 == hash>>32 && d.levels[uint32(s)-1] == string(b) {
			d.last = int32(uint32(s) - 1)
			return d.last, false
		}
	}
	d.levels = append(d.levels, d.keep(b))
	d.slots[i] = hash>>32<<32 | uint64(len(d.levels))
	if 3*len(d.slots) < 4*len(d.levels) {
		d.grow()
	}
	d.last = int32(len(d.levels) - 1)
	return d.last, true
}

// keep copies a text into the block, or a new one.
func (d *dict) keep(b []byte) string {
	if d.block.Cap()-d.block.Len() < len(b) {
		size := min(max(minBlock, 2*d.block.Cap()), maxBlock)
		d.block = strings.Builder{}
		d.block.Grow(max(size, len(b)))
	}
	from := d.block.Len()
	d.block.Write(b)
	return d.block.String()[from:]
}

func (d *dict) grow() {
	d.slots = make([]uint64, 2*len(d.slots))
	mask := uint64(len(d.slots) - 1)
	for code, level := range d.levels {
		hash := maphash.String(seed, level)
		i := hash & mask
		for d.slots[i] != 0 {
			i = (i + 1) & mask
		}
		d.slots[i] = hash>>32<<32 | uint64(code+1)
	}
}
