package csv

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Codes are those of a map, for texts of every length around the borders of what a slot holds, and alike but for a byte.
func TestDictIsAMap(t *testing.T) {
	d, want := newDict(), map[string]int32{}
	rng := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 40)
	for range 200_000 {
		b := buf[:rng.IntN(len(buf)+1)]
		for i := range b {
			b[i] = byte(rng.IntN(2)) // zero bytes too, which an empty place in a word has
		}
		code, known := want[string(b)]
		if !known {
			code = int32(len(want))
			want[string(b)] = code
		}
		if got, isNew := d.add(b); got != code || isNew == known {
			t.Fatalf("%q: code %d, new %v, want %d, %v", b, got, isNew, code, !known)
		}
	}
	for text, code := range want {
		if d.levels[code] != text {
			t.Fatalf("level %d is %q, want %q", code, d.levels[code], text)
		}
	}
}

func BenchmarkDict(b *testing.B) {
	var texts [][]byte
	for i := range 5000 {
		texts = append(texts, fmt.Appendf(nil, "CA-2016-%d", 100_000+i))
	}
	d := newDict()
	for b.Loop() {
		for _, t := range texts {
			d.add(t)
		}
	}
}
