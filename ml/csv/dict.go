package csv

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"

	"github.com/hashline/hashline/ml/frame"
)

// dict gives texts codes in the order of their first appearance. Its levels lie end to end in blocks, so that millions
// of them cost little more than their bytes and keep no buffer alive. The texts that stand for a missing value are in it
// from the start, so that one look tells all about a field; they are no levels.
type dict struct {
	levels []string
	keys   []key    // a zero key, those of the texts that stand for a missing value, and those of the levels
	first  int32    // which of them is that of the first level
	slots  []uint32 // hash table of indices of keys; 0: free
	shift  uint     // 64 - log2 of the slots: the upper bits of a hash choose one
	block  strings.Builder
	last   int32 // the code of the long value before: long values often repeat
}

// key of a text: its bytes and, in the last, one more than its length. A text of up to shortText bytes is its own key; of
// a longer one it is the hash and isLong, and the texts decide.
type key struct{ lo, hi uint64 }

const (
	shortText = 15
	isLong    = 0xff << 56
	tooLong   = 0x80 << 56 // in no key
)

// keyMasks are by the length of a text: which bits of the words at its beginning are its own, and the last byte of its key.
var keyMasks = func() (masks [shortText + 1]struct{ lo, hi, last uint64 }) {
	for n := range masks {
		masks[n].lo = 1<<(8*min(n, 8)) - 1
		masks[n].hi = 1<<(8*max(n-8, 0)) - 1
		masks[n].last = uint64(n+1) << 56
	}
	return masks
}()

// seed differs between processes, so that no file can know which texts collide; codes do not depend on it.
var seed = maphash.MakeSeed()
var scramble = maphash.Bytes(seed, nil) | 1

const (
	minBlock = 256
	maxBlock = 64 << 10
	minSlots = 64
)

// lookUps is room for the looks at the texts of one column in some rows. A pool keeps it from batch to batch.
type lookUps struct {
	codes [blockRows]int32
	keys  [blockRows]key
	homes [blockRows]uint32
	left  [blockRows]uint16
}

var lookUpsPool = sync.Pool{New: func() any { return new(lookUps) }}

// blockRows are looked up together.
const blockRows = 256

// newDict makes a dict without levels; missing are short texts that stand for a missing value.
func newDict(missing [][]byte) *dict {
	d := &dict{keys: make([]key, 1), slots: make([]uint32, minSlots), shift: uint(64 - bits.TrailingZeros(minSlots)), last: -1}
	for _, text := range missing {
		d.insert(shortKey(text))
	}
	d.first = int32(len(d.keys))
	return d
}

// keyOf returns the key of a text of n bytes, up to shortText, that b begins with; b has 16 bytes or more.
func keyOf(b []byte, n uint32) key {
	m := &keyMasks[n&shortText]
	_ = b[lookAhead-1]
	return key{binary.LittleEndian.Uint64(b) & m.lo, binary.LittleEndian.Uint64(b[8:])&m.hi | m.last}
}

// home returns the slot where the search for a key begins: the two words folded by a product of 128 bits, as in wyhash.
func home(k key, shift uint) uint64 {
	hi, lo := bits.Mul64(k.lo^scramble, k.hi^0xa0761d6478bd642f)
	return (hi ^ lo) >> (shift & 63)
}

// lookUp writes the codes of column's texts from row on into codes, and returns which it did not find, as indices of codes:
// new texts, those with white space around them, and all long ones. Most texts are where they are looked for first, and up
// to there no branch depends on a text, so that many looks at the memory go on at once.
func (d *dict) lookUp(b *batch, column, row int, codes []int32, w *lookUps) []uint16 {
	keys, homes := w.keys[:len(codes)], w.homes[:len(codes)]
	at, shift := row*b.width+column, d.shift
	for i := range keys {
		sp := b.spans[at]
		at += b.width
		length := sp.to - sp.from
		k := keyOf(b.buf[sp.from:sp.from+lookAhead], length)
		k.hi |= (shortText - uint64(length)) & tooLong
		keys[i], homes[i] = k, uint32(home(k, shift))
	}
	slots, known, first, n := d.slots, d.keys, d.first, 0
	mask := uint32(len(slots) - 1)
	for i, k := range keys {
		e := slots[homes[i]&mask]
		codes[i] = max(int32(e)-first, frame.MissingCode)
		other := (known[e].lo ^ k.lo) | (known[e].hi ^ k.hi)
		w.left[n&(blockRows-1)] = uint16(i)
		n += int((other | -other) >> 63)
	}
	left := w.left[:0]
	for _, i := range w.left[:n] {
		k, at := keys[i], homes[i]
		e := slots[at&mask]
		for e != 0 && known[e] != k {
			at++
			e = slots[at&mask]
		}
		if e != 0 {
			codes[i] = max(int32(e)-first, frame.MissingCode)
		} else {
			left = append(left, i)
		}
	}
	return left
}

// find returns the code of a text, if it was met before. A text that stands for a missing value is always met, but for
// long ones.
func (d *dict) find(b []byte) (code int32, known bool) {
	if len(b) <= shortText {
		e := d.slots[d.place(shortKey(b), b)]
		return max(int32(e)-d.first, frame.MissingCode), e > 0
	}
	if d.last >= 0 && d.levels[d.last] == string(b) {
		return d.last, true
	}
	e := d.slots[d.place(longKey(b), b)]
	if e > 0 {
		d.last = int32(e) - d.first
	}
	return d.last, e > 0
}

// place returns the slot of a text, or the free one where it belongs.
func (d *dict) place(k key, b []byte) uint64 {
	mask := uint64(len(d.slots) - 1)
	for i := home(k, d.shift) & mask; ; i = (i + 1) & mask {
		e := d.slots[i]
		if e == 0 || (d.keys[e] == k && (len(b) <= shortText || d.levels[int32(e)-d.first] == string(b))) {
			return i
		}
	}
}

func shortKey(b []byte) key {
	if cap(b) >= lookAhead { // as a field of a batch has
		return keyOf(b[:lookAhead], uint32(len(b)))
	}
	var text [lookAhead]byte
	copy(text[:], b)
	return keyOf(text[:], uint32(len(b)))
}

func longKey(b []byte) key { return key{maphash.Bytes(seed, b), isLong} }

// add gives a text that was not met before its code.
func (d *dict) add(b []byte) int32 {
	d.levels = append(d.levels, d.keep(b))
	code := int32(len(d.levels) - 1)
	if len(b) <= shortText {
		d.insert(shortKey(b))
	} else {
		d.last = code
		d.insert(longKey(b))
	}
	return code
}

// insert gives a new key its slot. Half of the slots are free, so that most texts are in the first that is looked at.
func (d *dict) insert(k key) {
	d.keys = append(d.keys, k)
	if 2*len(d.keys) > len(d.slots) {
		d.slots = make([]uint32, 2*len(d.slots))
		d.shift--
		for e := 1; e < len(d.keys)-1; e++ {
			d.link(uint32(e))
		}
	}
	d.link(uint32(len(d.keys) - 1))
}

// link puts a key, by its index, into the first free slot from its home on.
func (d *dict) link(e uint32) {
	mask := uint64(len(d.slots) - 1)
	i := home(d.keys[e], d.shift) & mask
	for d.slots[i] != 0 {
		i = (i + 1) & mask
	}
	d.slots[i] = e
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
