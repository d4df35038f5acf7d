package boost

import (
	"math"
	"testing"

	"github.com/hashline/hashline/ml/num"
)

// A block of words added up has room for the largest numbers there are, of either sign.
func TestWordsHaveRoom(t *testing.T) {
	for _, most := range []float64{1, 0.75, 1000, 1e-200} {
		for _, g := range []float64{most, -most, 0} {
			s := newScale(1<<20, most, most/4, 3)
			flat := newFlatScale(1<<20, most)
			var words, flats uint64
			for i := range blockRows {
				words += s.word(i, g, most/4)
				flats += flat.flatWord(g)
			}
			for name, sum := range map[string]struct {
				p pair
				s scale
				h float64
			}{"words": {s.pair(words), s, most / 4}, "flat words": {flat.pair(flats), flat, 1}} {
				gSum, hSum := sum.s.sums(sum.p)
				if rows := sum.s.rows(sum.p); rows != blockRows || math.Abs(gSum-blockRows*g) > 1e-6*blockRows*most || math.Abs(hSum-blockRows*sum.h) > 1e-3*blockRows*sum.h {
					t.Errorf("%s, largest %v: %d rows, gradients %v, second derivatives %v, want %d, %v, %v", name, most, rows, gSum, hSum, blockRows, blockRows*g, blockRows*sum.h)
				}
			}
		}
	}
}

// Rounding by chance keeps the sum of many equal numbers, which rounding to the nearest would lose.
func TestRoundingKeepsSums(t *testing.T) {
	rng := num.NewRNG(5)
	for range 100 {
		n, g := 100_000, float64((rng.Float64()-0.5)*0x1p-13)
		s := newScale(n, 1, 0.25, rng.Intn(1000))
		var total pair
		for i := range n {
			p := s.pair(s.word(i, g, 0.2))
			total.g += p.g
			total.hc += p.hc
		}
		// A rounding is off by less than a unit of 2^-15; of n multiples of the golden ratio far less than one in a thousand
		// is off in total.
		gSum, hSum := s.sums(total)
		if math.Abs(gSum-float64(n)*g) > float64(n)*0x1p-15*1e-3 || math.Abs(hSum-0.2*float64(n)) > float64(n)*0x1p-14*1e-3 {
			t.Errorf("%d times %v: %v, want %v; second derivatives %v, want %v", n, g, gSum, float64(n)*g, hSum, 0.2*float64(n))
		}
	}
}
