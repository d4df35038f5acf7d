package csv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// nearest holds a plain number to strconv, bit for bit.
func nearest(t *testing.T, text string) {
	t.Helper()
	v, _, ok := parsePlain([]byte(text))
	if !ok || math.IsInf(v, 0) {
		return
	}
	want, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Float64bits(v) != math.Float64bits(want) {
		t.Fatalf("%s is %v (%x), want %v (%x), error %v", text, v, math.Float64bits(v), want, math.Float64bits(want), err)
	}
}

func TestNearest(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, text := range []string{"0.0000000000000000", "-0.00000000000000000", "9007199254740993", "9007199254740993.0", "18446744073709551615", "9999999999999999999", "0.9999999999999999999",
		"4503599627370497.5", "4503599627370496.5", "9007199254740991.5", "0.5000000000000000000", "1234567890123456.", ".12345678901234567", "0.00000000000000001"} {
		nearest(t, text)
	}
	for range 200_000 {
		digits := fmt.Sprint(rng.Uint64() >> rng.IntN(20))
		point := rng.IntN(len(digits) + 1)
		nearest(t, digits[:point]+"."+digits[point:])
		nearest(t, "-0."+strings.Repeat("0", rng.IntN(4))+digits)
		nearest(t, strconv.FormatFloat(rng.NormFloat64(), 'f', -1, 64))
		// Half way between two neighbours, and next to it.
		half := 1<<53 + rng.Uint64()>>11
		nearest(t, fmt.Sprintf("%d", half))
		nearest(t, fmt.Sprintf("%d.5", half>>1))
		nearest(t, fmt.Sprintf("%d.25", half>>2))
	}
}

func FuzzNearest(f *testing.F) {
	for _, seed := range []string{"1234567890.123456789", "-0.1", "9007199254740993", "1e5", "0.30000000000000004"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text != "" {
			nearest(t, text)
		}
	})
}
