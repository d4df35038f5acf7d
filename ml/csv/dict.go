package csv

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"strings"
)

// dict gives texts codes in the order of their first appearance. Its levels lie end to end in blocks, so that millions
// of them cost little more than their bytes and keep no buffer alive.
type dict struct {
	levels []string
	slots  []slot
	shift  uint // 64 - log2 of the slots: the upper bits of a hash choose one
	block  strings.Builder
	last   int32 // the code of the value before: long values often repeat
}

// slot is a place of the hash table. A text of up to shortText bytes is its own key, so that one look at the memory tells
// whether it is known; of a longer one the hash is, and the texts decide.
type slot struct {
	key  key
	code uint32 // + 1; 0: free
}

// key of a text: its bytes and, in the last, its length, or isLong.
type key struct{ lo, hi uint64 }

const (
	shortText = 15
	isLong    = 0xff << 56
)

// seed differs between processes, so that no file can know which texts collide; codes do not depend on it.
var seed = maphash.MakeSeed()
var scramble = maphash.Bytes(seed, nil) | 1

const (
	minBlock = 256
	maxBlock = 64 << 10
	minSlots = 64
)

func newDict() *dict {
	return &dict{slots: make([]slot, minSlots), shift: uint(64 - bits.TrailingZeros(minSlots)), last: -1}
}

// keyOf returns the key of a text of up to shortText bytes. Where two words overlap they agree.
func keyOf(b []byte) key {
	n := len(b)
	k := key{hi: uint64(n) << 56}
	switch {
	case n >= 8:
		k.lo = binary.LittleEndian.Uint64(b)
		k.hi |= binary.LittleEndian.Uint64(b[n-8:]) >> (8 * (16 - n))
	case n >= 4:
		k.lo = uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<(8*(n-4))
	case n > 0:
		k.lo = uint64(b[0]) | uint64(b[n>>1])<<(8*(n>>1)) | uint64(b[n-1])<<(8*(n-1))
	}
	return k
}

// home returns the slot where the search for a key begins: the two words folded by a product of 128 bits, as in wyhash.
func (d *dict) home(k key) uint64 {
	hi, lo := bits.Mul64(k.lo^scramble, k.hi^0xa0761d6478bd642f)
	return (hi ^ lo) * 0x9e3779b97f4a7c15 >> d.shift
}

// add returns the code of a text, and whether it is new.
func (d *dict) add(b []byte) (code int32, isNew bool) {
	if len(b) > shortText {
		return d.addLong(b)
	}
	k := keyOf(b)
	mask := uint64(len(d.slots) - 1)
	for i := d.home(k); ; i = (i + 1) & mask {
		switch s := &d.slots[i]; {
		case s.code == 0:
			return d.insert(i, k, b), true
		case s.key == k:
			return int32(s.code - 1), false
		}
	}
}

func (d *dict) addLong(b []byte) (code int32, isNew bool) {
	if d.last >= 0 && d.levels[d.last] == string(b) {
		return d.last, false
	}
	k := key{maphash.Bytes(seed, b), isLong}
	mask := uint64(len(d.slots) - 1)
	for i := d.home(k); ; i = (i + 1) & mask {
		switch s := &d.slots[i]; {
		case s.code == 0:
			d.last = d.insert(i, k, b)
			return d.last, true
		case s.key == k && d.levels[s.code-1] == string(b):
			d.last = int32(s.code - 1)
			return d.last, false
		}
	}
}

// insert gives a new text its code, in a free slot.
func (d *dict) insert(i uint64, k key, b []byte) int32 {
	d.levels = append(d.levels, d.keep(b))
	d.slots[i] = slot{k, uint32(len(d.levels))}
	if 4*len(d.levels) > 3*len(d.slots) {
		d.grow()
	}
	return int32(len(d.levels) - 1)
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
	old := d.slots
	d.slots = make([]slot, 2*len(old))
	d.shift--
	mask := uint64(len(d.slots) - 1)
	for _, s := range old {
		if s.code == 0 {
			continue
		}
		i := d.home(s.key)
		for d.slots[i].code != 0 {
			i = (i + 1) & mask
		}
		d.slots[i] = s
	}
}
