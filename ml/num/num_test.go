package num

import (
	"encoding/json"
	"math"
	"math/big"
	"slices"
	"testing"
)

// A mean is finite though the sum is not.
func TestMean(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		want float64
	}{{[]float64{1, 2, 6}, 3}, {[]float64{-5}, -5}, {[]float64{1.5e308, 1.5e308, 1.5e308}, 1.5e308}, {[]float64{-1.7e308, -1.7e308, 1.7e308, 1.7e308}, 0}} {
		if got := Mean(c.v); math.Abs(got-c.want) > 1e-15*math.Abs(c.want) {
			t.Errorf("the mean of %v is %v, want %v", c.v, got, c.want)
		}
	}
}

func TestSumAndDot(t *testing.T) {
	rng := NewRNG(3)
	for _, n := range []int{0, 1, 63, 64, 65, 1000} {
		a, b := make([]float64, n), make([]float64, n)
		sum, dot := new(big.Float).SetPrec(200), new(big.Float).SetPrec(200)
		for i := range a {
			a[i], b[i] = rng.Float64()-0.5, rng.Float64()
			sum.Add(sum, big.NewFloat(a[i]))
			dot.Add(dot, new(big.Float).SetPrec(200).Mul(big.NewFloat(a[i]), big.NewFloat(b[i])))
		}
		wantSum, _ := sum.Float64()
		wantDot, _ := dot.Float64()
		if got := Sum(a); math.Abs(got-wantSum) > 1e-13 {
			t.Errorf("Sum of %d = %v, want %v", n, got, wantSum)
		}
		if got := Dot(a, b); math.Abs(got-wantDot) > 1e-13 {
			t.Errorf("Dot of %d = %v, want %v", n, got, wantDot)
		}
	}
}

func TestSort(t *testing.T) {
	rng := NewRNG(5)
	for _, n := range []int{0, 1, 2, radixLen - 1, radixLen, 5000} {
		for name, value := range map[string]func() float64{
			"bits":  func() float64 { return math.Float64frombits(rng.Uint64()) },
			"few":   func() float64 { return float64(rng.Intn(5)) - 2 },
			"equal": func() float64 { return 42 },
			"special": func() float64 {
				return []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, 1e308, -5e-324}[rng.Intn(6)]
			},
		} {
			v, keys := make([]float64, n), make([]uint64, n)
			for i := range v {
				v[i], keys[i] = value(), rng.Uint64()>>rng.Intn(64)
			}
			want, wantKeys := slices.Clone(v), slices.Clone(keys)
			slices.SortFunc(want, func(a, b float64) int { // NaN last
				switch {
				case a < b || b != b && a == a:
					return -1
				case a > b || a != a && b == b:
					return 1
				}
				return 0
			})
			slices.Sort(wantKeys)
			SortFloats(v)
			SortUint64s(keys)
			if !slices.EqualFunc(v, want, func(a, b float64) bool { return a == b || a != a && b != b }) {
				t.Errorf("%d floats, %s: not sorted", n, name)
			}
			if !slices.Equal(keys, wantKeys) {
				t.Errorf("%d integers, %s: not sorted", n, name)
			}
		}
	}
}

func TestFloatJSON(t *testing.T) {
	for _, c := range []struct {
		value float64
		text  string
	}{
		{0, "0"}, {0.1, "0.1"}, {1e308, "1e+308"}, {5e-324, "5e-324"}, {-1.5, "-1.5"}, {1e21, "1e+21"},
		{math.NaN(), "null"}, {math.Inf(1), "null"}, {math.Inf(-1), "null"},
	} {
		b, err := json.Marshal(Float(c.value))
		if err != nil || string(b) != c.text {
			t.Errorf("Marshal(%v) = %s, %v, want %s", c.value, b, err, c.text)
		}
		var back Float
		if err := json.Unmarshal([]byte(c.text), &back); err != nil {
			t.Errorf("Unmarshal(%s): %v", c.text, err)
		}
		if back.Defined() != Float(c.value).Defined() || back.Defined() && float64(back) != c.value {
			t.Errorf("Unmarshal(%s) = %v, want %v", c.text, back, c.value)
		}
	}
	var f Float
	if err := json.Unmarshal([]byte(`"x"`), &f); err == nil {
		t.Error("Unmarshal of a text: no error")
	}
}

// The first numbers of splitmix64 from the state 1234567, as in the reference implementation's published test vector.
func TestRNGIsSplitmix64(t *testing.T) {
	r := RNG{state: 1234567}
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821} {
		if got := r.Uint64(); got != want {
			t.Errorf("number %d = %d, want %d", i, got, want)
		}
	}
}

func TestRNGStreams(t *testing.T) {
	first := func(r *RNG) uint64 { return r.Uint64() }
	one, same := NewRNG(1, 2), NewRNG(1, 2)
	if first(one) != first(same) {
		t.Error("the same keys give different streams")
	}
	seen := map[uint64]bool{}
	for seed := range uint64(50) {
		for key := range uint64(50) {
			seen[first(NewRNG(seed, key))] = true
		}
	}
	if len(seen) != 2500 {
		t.Errorf("2500 keys give %d streams", len(seen))
	}
}

func TestIntn(t *testing.T) {
	rng := NewRNG(9)
	counts := make([]int, 7)
	for range 70_000 {
		counts[rng.Intn(7)]++
	}
	for v, n := range counts {
		if n < 9_500 || n > 10_500 { // more than five standard deviations of 92
			t.Errorf("%d came %d times in 70000, want about 10000", v, n)
		}
	}
	if rng.Intn(1) != 0 {
		t.Error("Intn(1) is not 0")
	}
}

func TestFloat64AndPerm(t *testing.T) {
	rng := NewRNG(11)
	for range 1000 {
		if v := rng.Float64(); v < 0 || v >= 1 {
			t.Fatalf("Float64() = %v", v)
		}
	}
	p := make([]int32, 1000)
	rng.Perm(p)
	sorted := slices.Sorted(slices.Values(p))
	for i, v := range sorted {
		if int(v) != i {
			t.Fatalf("Perm is no permutation: %d at %d", v, i)
		}
	}
	if slices.Equal(p, sorted) {
		t.Error("Perm left everything in place")
	}
}

func TestHashString(t *testing.T) {
	seen := map[uint64]string{}
	for _, s := range []string{"", "a", "b", "ab", "ba", "a\x00", "\x00a", "ä"} {
		for seed := range uint64(3) {
			h := HashString(seed, s)
			if other, ok := seen[h]; ok {
				t.Errorf("%q and %q have the same hash", s, other)
			}
			seen[h] = s
		}
	}
}
