package csv

import (
	"bytes"
	"hash/maphash"
)

// dict gives texts codes in the order of their first appearance. Texts lie end to end in one slice, so that millions of
// levels cost little more than their bytes and keep no buffer alive.
type dict struct {
	text  []byte
	ends  []int // ends[i] is where level i ends in text
	slots []int32
	last  int32 // the code of the value before: values often repeat
}

func newDict() *dict { return &dict{slots: make([]int32, 64), last: -1} }

func (d *dict) level(code int32) []byte {
	from := 0
	if code > 0 {
		from = d.ends[code-1]
	}
	return d.text[from:d.ends[code]]
}

func (d *dict) code(b []byte) int32 {
	if d.last >= 0 && bytes.Equal(d.level(d.last), b) {
		return d.last
	}
	if 2*len(d.ends) >= len(d.slots) {
		d.grow()
	}
	i := d.find(b)
	if d.slots[i] == 0 {
		d.text = append(d.text, b...)
		d.ends = append(d.ends, len(d.text))
		d.slots[i] = int32(len(d.ends))
	}
	d.last = d.slots[i] - 1
	return d.last
}

// find returns the slot that holds b, or the free one where it belongs. Slots hold codes plus one.
func (d *dict) find(b []byte) uint64 {
	mask := uint64(len(d.slots) - 1)
	i := maphash.Bytes(seed, b) & mask
	for d.slots[i] != 0 && !bytes.Equal(d.level(d.slots[i]-1), b) {
		i = (i + 1) & mask
	}
	return i
}

func (d *dict) grow() {
	d.slots = make([]int32, 4*len(d.slots))
	for code := range d.ends {
		d.slots[d.find(d.level(int32(code)))] = int32(code) + 1
	}
}

// levels returns the texts in the order of their codes, as parts of one string.
func (d *dict) levels() []string {
	all := string(d.text)
	levels := make([]string, len(d.ends))
	from := 0
	for i, to := range d.ends {
		levels[i] = all[from:to]
		from = to
	}
	return levels
}
