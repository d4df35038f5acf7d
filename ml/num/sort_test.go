package num

import (
	"fmt"
	"math"
	"testing"
)

func FuzzFloatKey(f *testing.F) {
	f.Add(0.0, math.Copysign(0, -1))
	f.Add(-1.5, 1e300)
	f.Add(math.Inf(-1), math.Inf(1))
	f.Fuzz(func(t *testing.T, a, b float64) {
		if a == a && b == b && a < b && FloatKey(a) >= FloatKey(b) {
			t.Errorf("%v and %v have the keys %x and %x", a, b, FloatKey(a), FloatKey(b))
		}
	})
}

func BenchmarkSortFloats(b *testing.B) {
	for _, n := range []int{300, 2000, 8000, 200_000} {
		rng, original, v := NewRNG(1), make([]float64, n), make([]float64, n)
		for i := range original {
			original[i] = rng.Float64() * 1000
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				copy(v, original)
				SortFloats(v)
			}
		})
	}
}
