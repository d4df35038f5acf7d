package num

import "math"

// Constants of Exp and Log: ln 2 in two parts whose sum is exact to more than 64 bits.
const (
	ln2Hi = 6.93147180369123816490e-01
	ln2Lo = 1.90821492927058770002e-10
	log2e = 1.44269504088896338700e+00
)

// Exp returns e**x to within one unit in the last place. The reduction and the polynomial are those of FreeBSD's
// e_exp.c (fdlibm, Sun Microsystems 1993): x = k ln2 + r with |r| <= ln2/2, then a rational approximation in r.
func Exp(x float64) float64 {
	switch {
	case math.IsNaN(x):
		return x
	case x > 7.09782712893383973096e+02:
		return math.Inf(1)
	case x < -7.45133219101941108420e+02:
		return 0
	case -0x1p-28 < x && x < 0x1p-28:
		return 1 + x
	}
	k := 0
	if x < 0 {
		k = int(float64(log2e*x) - 0.5)
	} else if x > 0 {
		k = int(float64(log2e*x) + 0.5)
	}
	hi := x - float64(float64(k)*ln2Hi)
	lo := float64(float64(k) * ln2Lo)
	return expReduced(hi, lo, k)
}

func expReduced(hi, lo float64, k int) float64 {
	const (
		p1 = 1.66666666666666657415e-01
		p2 = -2.77777777770155933842e-03
		p3 = 6.61375632143793436117e-05
		p4 = -1.65339022054652515390e-06
		p5 = 4.13813679705723846039e-08
	)
	r := hi - lo
	t := float64(r * r)
	p := p4 + float64(t*p5)
	p = p3 + float64(t*p)
	p = p2 + float64(t*p)
	p = p1 + float64(t*p)
	c := r - float64(t*p)
	y := 1 - ((lo - float64(r*c)/(2-c)) - hi)
	if -1022 < k && k < 1023 { // 2**k is a normal number, and y is near 1
		return y * math.Float64frombits(uint64(k+1023)<<52)
	}
	return math.Ldexp(y, k)
}

// Log returns the natural logarithm to within one unit in the last place, after FreeBSD's e_log.c (fdlibm): x = 2**k (1+f)
// with sqrt(2)/2 < 1+f < sqrt(2), then log(1+f) = f - s (f - R) in s = f/(2+f).
func Log(x float64) float64 {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 1):
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	f1, ki := math.Frexp(x)
	if f1 < math.Sqrt2/2 {
		f1 *= 2
		ki--
	}
	f := f1 - 1
	k := float64(ki)
	s := f / (2 + f)
	hfsq := float64(float64(0.5*f) * f)
	r := logSeries(s)
	return float64(k*ln2Hi) - ((hfsq - (float64(s*(hfsq+r)) + float64(k*ln2Lo))) - f)
}

// logSeries returns R(s), the even part of log((1+s)/(1-s)) beyond 2s.
func logSeries(s float64) float64 {
	const (
		l1 = 6.666666666666735130e-01
		l2 = 3.999999999940941908e-01
		l3 = 2.857142874366239149e-01
		l4 = 2.222219843214978396e-01
		l5 = 1.818357216161805012e-01
		l6 = 1.531383769920937332e-01
		l7 = 1.479819860511658591e-01
	)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	odd := l5 + float64(s4*l7)
	odd = l3 + float64(s4*odd)
	odd = l1 + float64(s4*odd)
	even := l4 + float64(s4*l6)
	even = l2 + float64(s4*even)
	return float64(s2*odd) + float64(s4*even)
}

// Log1p returns log(1+x) with a small relative error also where x is small: log(u) x/(u-1) for u = 1+x, after Kahan (as
// told in Goldberg, What Every Computer Scientist Should Know About Floating-Point Arithmetic, 1991, theorem 4).
func Log1p(x float64) float64 {
	u := 1 + x
	if u == 1 {
		return x
	}
	if u == x || u <= 0 { // so large that 1 is lost, or without a logarithm
		return Log(u)
	}
	return float64(Log(u)*x) / (u - 1)
}

// Sigmoid returns 1/(1+e**-x), without overflow.
func Sigmoid(x float64) float64 {
	e := Exp(-math.Abs(x))
	// 1 of x >= 0, otherwise e: without a branch, which scores near 0 would mislead.
	negative := uint64(int64(math.Float64bits(x)) >> 63)
	top := math.Float64bits(1)&^negative | math.Float64bits(e)&negative
	return math.Float64frombits(top) / (1 + e)
}

// Logistic returns Sigmoid(x) and log(1+e**x), without overflow.
func Logistic(x float64) (sigmoid, logOnePlusExp float64) {
	if x >= 0 {
		e := Exp(-x)
		return 1 / (1 + e), x + Log1p(e)
	}
	e := Exp(x)
	return e / (1 + e), Log1p(e)
}

// Softmax replaces the scores by e**score divided by their sum, without overflow, and returns the logarithm of the sum
// of e**score.
func Softmax(scores []float64) (logSum float64) {
	top := scores[0]
	for _, s := range scores[1:] {
		top = max(top, s)
	}
	sum := 0.0
	for i, s := range scores {
		scores[i] = Exp(s - top)
		sum += scores[i]
	}
	for i := range scores {
		scores[i] /= sum
	}
	return top + Log(sum)
}
