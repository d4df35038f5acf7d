package csv

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
)

// Codes are those of a map, for texts of every length around the borders of what a key holds, long ones that begin like
// short ones, white space around them, and alike but for a byte.
func TestDictIsAMap(t *testing.T) {
	missing := newMissingTexts(nil)
	d, want := newDict(missing.short), map[string]int32{}
	rng := rand.New(rand.NewPCG(1, 2))
	lengths := []int{0, 1, 2, 7, 8, 9, 14, 15, 16, 17, 31, 32, 40, 256, 256 + 15, 4096 + 7}
	for range 2000 {
		var texts [][]byte
		b := &batch{width: 1}
		for range 1 + rng.IntN(blockRows) {
			text := make([]byte, lengths[rng.IntN(len(lengths))])
			for i := range text {
				text[i] = '!'
				if i >= 3 && i < 12 {
					text[i] += byte(rng.IntN(2))
				}
			}
			switch rng.IntN(10) {
			case 0:
				text = []byte("NA")
			case 1:
				text = fmt.Appendf(nil, " %s\t", text)
			}
			b.spans = append(b.spans, span{uint32(len(b.buf)), uint32(len(b.buf) + len(text))})
			b.buf = append(append(b.buf, text...), ',')
			texts = append(texts, text)
		}
		b.buf = append(b.buf, make([]byte, lookAhead)...)
		var w lookUps
		codes := w.codes[:len(texts)]
		for _, i := range d.lookUp(b, 0, 0, codes, &w) {
			f := b.field(int(i), 0)
			code, known := d.find(f)
			if !known {
				code = d.add(f)
			}
			codes[i] = code
		}
		for i, text := range texts {
			text = bytes.TrimSpace(text)
			code, known := want[string(text)]
			if missing.has(text) {
				code, known = frame.MissingCode, true
			}
			if !known {
				code = int32(len(want))
				want[string(text)] = code
			}
			if codes[i] != code {
				t.Fatalf("%q: code %d, want %d", text, codes[i], code)
			}
		}
	}
	for text, code := range want {
		if d.levels[code] != text {
			t.Fatalf("level %d is %q, want %q", code, d.levels[code], text)
		}
	}
}

// A list has the codes that were added to it, whatever widths they had.
func TestCodeList(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, most := range []int{1, 254, 255, 256, 65_534, 65_535, 65_536, 100_000} {
		var c, same codeList
		var want []int32
		var values []string
		for level := -1; level < most; level++ {
			values = append(values, fmt.Sprint(level))
		}
		for levels := 0; levels < most; {
			codes := make([]int32, 1+rng.IntN(blockRows))
			for i := range codes {
				if levels < most && rng.IntN(2) == 0 {
					levels++
				}
				codes[i] = int32(rng.IntN(levels+1)) - 1
			}
			codes[0] = int32(levels) - 1
			c.add(codes, levels)
			same.add(codes, levels)
			want = append(want, codes...)
		}
		if got := c.take(); !slices.Equal(got, want) {
			t.Errorf("up to %d levels: codes differ", most)
		}
		for i, got := range spread(&same, values) {
			if got != fmt.Sprint(want[i]) {
				t.Fatalf("up to %d levels: value %d is %s, want %d", most, i, got, want[i])
			}
		}
	}
}

func BenchmarkDict(b *testing.B) {
	var texts [][]byte
	for i := range 5000 {
		texts = append(texts, fmt.Appendf(nil, "CA-2016-%d", 100_000+i))
	}
	d := newDict(nil)
	for b.Loop() {
		for _, t := range texts {
			if _, known := d.find(t); !known {
				d.add(t)
			}
		}
	}
}
