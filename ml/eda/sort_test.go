package eda

import (
	"math"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/num"
)

func TestSortFloats(t *testing.T) {
	rng := num.NewRNG(4)
	many := func(n int, of func(i int) float64) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = of(i)
		}
		return v
	}
	for name, v := range map[string][]float64{
		"none": {}, "one": {1}, "few": {3, -1, 2},
		"whole numbers": many(3000, func(int) float64 { return math.Floor(rng.Float64() * 14) }),
		"of all sizes": many(5000, func(i int) float64 {
			return math.Ldexp(rng.Float64()-0.5, int(rng.Float64()*2000)-1000)
		}),
		"equal":      many(1000, func(int) float64 { return 7 }),
		"descending": many(1000, func(i int) float64 { return -float64(i) }),
		"special":    many(1000, func(i int) float64 { return []float64{0, math.Inf(1), math.Inf(-1), math.MaxFloat64, -5e-324}[i%5] }),
	} {
		want := slices.Clone(v)
		slices.Sort(want)
		sortFloats(v)
		if !slices.Equal(v, want) {
			t.Errorf("%s: not in order", name)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add(0.0, math.Copysign(0, -1))
	f.Add(-1.5, 1e300)
	f.Fuzz(func(t *testing.T, a, b float64) {
		if a != a || b != b {
			return
		}
		if a < b && key(a) >= key(b) || fromKey(key(a)) != a {
			t.Errorf("%v and %v have the keys %x and %x", a, b, key(a), key(b))
		}
	})
}
