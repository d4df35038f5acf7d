package num

import (
	"math"
	"math/big"
	"testing"
)

// precision is that of the reference values, in bits.
const precision = 200

// expBig returns e**x: the Taylor series of x/2**20, squared 20 times.
func expBig(x float64) *big.Float {
	r := new(big.Float).SetPrec(precision).SetMantExp(big.NewFloat(x), -20)
	sum, power := big.NewFloat(1).SetPrec(precision), big.NewFloat(1).SetPrec(precision)
	for n := range 30 {
		power.Mul(power, r)
		power.Quo(power, big.NewFloat(float64(n+1)))
		sum.Add(sum, power)
	}
	for range 20 {
		sum.Mul(sum, sum)
	}
	return sum
}

// unit is the distance from x to the next float.
func unit(x float64) float64 { return math.Nextafter(math.Abs(x), math.Inf(1)) - math.Abs(x) }

// sampleOf calls f with values between two, and with floats of any size that lie between them.
func sampleOf(low, high float64, f func(x float64)) {
	rng := NewRNG(7)
	for range 2000 {
		f(low + float64(rng.Float64()*(high-low)))
		if x := math.Float64frombits(rng.Uint64()); x >= low && x <= high {
			f(x)
		}
	}
}

// math.Exp and math.Log cannot be the reference: on amd64 one overflows early, and the other errs below 2**-1022.
func TestExpWithinOneUnit(t *testing.T) {
	worst := 0.0
	sampleOf(-744, 709.78, func(x float64) {
		got, want := Exp(x), expBig(x)
		diff, _ := new(big.Float).Sub(big.NewFloat(got).SetPrec(precision), want).Float64()
		worst = max(worst, math.Abs(diff)/unit(got))
		if math.Abs(diff) > unit(got) {
			t.Errorf("Exp(%v) = %v, want %v within one unit in the last place", x, got, want.Text('g', 20))
		}
	})
	t.Logf("largest error: %.3f units", worst)
}

func TestLogWithinOneUnit(t *testing.T) {
	worst := 0.0
	check := func(x float64) {
		got := Log(x)
		// The error of y = log x is that of e**y, relatively: e**(y+d) = e**y (1+d).
		ratio := new(big.Float).Quo(expBig(got), big.NewFloat(x).SetPrec(precision))
		diff, _ := ratio.Sub(ratio, big.NewFloat(1)).Float64()
		worst = max(worst, math.Abs(diff)/unit(got))
		if math.Abs(diff) > unit(got) {
			t.Errorf("Log(%v) = %v is off by %v", x, got, diff)
		}
	}
	sampleOf(5e-324, 2, check)
	sampleOf(0.5, 2, check)
	sampleOf(1, math.MaxFloat64, check)
	for _, x := range []float64{5e-324, 1e-310, 0x1p-1022, math.Nextafter(1, 0), math.Nextafter(1, 2), math.MaxFloat64} {
		check(x)
	}
	t.Logf("largest error: %.3f units", worst)
}

func equal(a, b float64) bool { return a == b || a != a && b != b }

func TestLog1pNearMath(t *testing.T) {
	sampleOf(-0.999999, 1e300, func(x float64) {
		got, want := Log1p(x), math.Log1p(x)
		if diff := math.Abs(got - want); diff > 4e-16*math.Abs(want) {
			t.Errorf("Log1p(%v) = %v, want %v", x, got, want)
		}
	})
}

func TestSpecialValues(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"Exp(0)", Exp(0), 1},
		{"Exp(-0)", Exp(math.Copysign(0, -1)), 1},
		{"Exp(Inf)", Exp(inf), inf},
		{"Exp(-Inf)", Exp(-inf), 0},
		{"Exp(NaN)", Exp(nan), nan},
		{"Exp(709.9)", Exp(709.9), inf},
		{"Exp(-746)", Exp(-746), 0},
		{"Exp of the smallest result", Exp(-745), 5e-324},
		{"Log1p(1e308)", Log1p(1e308), Log(1e308)},
		{"Log(0)", Log(0), -inf},
		{"Log(-1)", Log(-1), nan},
		{"Log(1)", Log(1), 0},
		{"Log(Inf)", Log(inf), inf},
		{"Log(NaN)", Log(nan), nan},
		{"Log1p(-1)", Log1p(-1), -inf},
		{"Log1p(-2)", Log1p(-2), nan},
		{"Log1p(1e-300)", Log1p(1e-300), 1e-300},
		{"Sigmoid(-1e308)", Sigmoid(-1e308), 0},
		{"Sigmoid(1e308)", Sigmoid(1e308), 1},
		{"Sigmoid(0)", Sigmoid(0), 0.5},
	} {
		if !equal(c.got, c.want) {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestLogistic(t *testing.T) {
	for _, x := range []float64{-1e308, -800, -40, -1, -1e-20, 0, 1e-20, 1, 40, 800, 1e308} {
		p, loss := Logistic(x)
		if p != Sigmoid(x) {
			t.Errorf("Logistic(%v) = %v, want Sigmoid's %v", x, p, Sigmoid(x))
		}
		want := math.Log1p(math.Exp(x))
		if x > 30 {
			want = x
		}
		if math.Abs(loss-want) > 1e-12*math.Max(1, math.Abs(want)) {
			t.Errorf("log(1+exp(%v)) = %v, want %v", x, loss, want)
		}
	}
}

func TestSoftmax(t *testing.T) {
	for _, c := range []struct {
		name    string
		scores  []float64
		want    []float64
		wantLog float64
	}{
		{"one", []float64{3}, []float64{1}, 3},
		{"equal", []float64{5, 5}, []float64{0.5, 0.5}, 5 + math.Ln2},
		{"huge", []float64{1e300, 0, -1e300}, []float64{1, 0, 0}, 1e300},
		{"logs of shares", []float64{math.Log(1), math.Log(2), math.Log(5)}, []float64{0.125, 0.25, 0.625}, math.Log(8)},
	} {
		log := Softmax(c.scores)
		for i := range c.scores {
			if math.Abs(c.scores[i]-c.want[i]) > 1e-15 {
				t.Errorf("%s: shares %v, want %v", c.name, c.scores, c.want)
				break
			}
		}
		if math.Abs(log-c.wantLog) > 1e-15*math.Max(1, math.Abs(c.wantLog)) {
			t.Errorf("%s: logarithm of the sum %v, want %v", c.name, log, c.wantLog)
		}
	}
}

func BenchmarkExp(b *testing.B) {
	x := 0.0
	for b.Loop() {
		x += Exp(-x * 1e-3)
	}
}
