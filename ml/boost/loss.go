package boost

import (
	"math"
	"math/bits"

	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/tree"
)

// pair is what a row adds to a histogram, and what a bin of one holds: the gradient, and the second derivative above the
// number of rows. Both are integers; see scale.
type pair struct {
	g  int64
	hc uint64
}

// scale says what the integers of pairs stand for.
type scale struct {
	count  uint    // bits of a number of rows
	gUnit  float64 // a gradient of 1 is 1/gUnit
	hUnit  float64
	gScale float64
	hScale float64
}

// newScale makes room for the sums of n rows with gradients and second derivatives up to g and h.
func newScale(n int, g, h float64) scale {
	b := bits.Len(uint(n))
	unit := func(most float64, room int) int {
		if !(most > 0) {
			return 0
		}
		_, e := math.Frexp(most)
		return max(-1000, e-room)
	}
	ge, he := unit(g, min(40, 62-b)), unit(h, min(40, 63-2*b))
	return scale{count: uint(b), gUnit: math.Ldexp(1, ge), gScale: math.Ldexp(1, -ge), hUnit: math.Ldexp(1, he), hScale: math.Ldexp(1, -he)}
}

// magic added to a number below 2^51 leaves its nearest integer in the low bits.
const magic = 0x1.8p52

func nearest(x float64) int64 {
	return int64(math.Float64bits(x+magic)) - int64(math.Float64bits(magic))
}

func (s *scale) pair(g, h float64) pair {
	hq := max(1, nearest(float64(h*s.hScale))) // never 0: a leaf divides by the sum
	return pair{nearest(float64(g * s.gScale)), uint64(hq)<<s.count | 1}
}

func (s *scale) rows(p pair) int { return int(p.hc & (1<<s.count - 1)) }

// sums returns those of the gradients and of the second derivatives.
func (s *scale) sums(p pair) (g, h float64) {
	return float64(float64(p.g) * s.gUnit), float64(float64(p.hc>>s.count) * s.hUnit)
}

// loss is what boosting makes small. Scores are integers in units of 2^exponent, one for each row and output, an output
// after the other.
type loss interface {
	outputs() int
	exponent() int
	base() []int64        // the best constant scores
	step(v float64) int64 // the score of minus a gradient over a second derivative
	// pairs computes what the rows [from, to) of n add for one output; into has a place for each of all rows. Outputs are
	// asked for in their order.
	pairs(s *scale, scores []int64, n, output, from, to int, into []pair)
	scaleOf(scores []int64, n int) scale
	// of returns the losses of single rows.
	of(scores []int64, n int, rows []int32) []float64
}

// scoreExponent is that of log odds: leaves reach from -256 to 256.
const scoreExponent = -36

// logistic is the log loss of two classes: g = w(p-y), h = w p(1-p).
type logistic struct {
	y       []int32
	weights [2]float64
	most    float64
}

func newLogistic(y []int32, weights []float64) *logistic {
	l := &logistic{y: y, weights: [2]float64{1, 1}}
	if weights != nil {
		l.weights = [2]float64(weights)
	}
	l.most = max(l.weights[0], l.weights[1])
	return l
}

func (l *logistic) outputs() int  { return 1 }
func (l *logistic) exponent() int { return scoreExponent }

func (l *logistic) step(v float64) int64 { return fixed(v, scoreExponent) }

func (l *logistic) base() []int64 {
	var counts [2]float64
	for _, c := range l.y {
		counts[c]++
	}
	return []int64{fixed(logOf(float64(counts[1]*l.weights[1]))-logOf(float64(counts[0]*l.weights[0])), scoreExponent)}
}

// logOf keeps classes without rows finite.
func logOf(x float64) float64 { return num.Log(max(x, 1e-10)) }

// fixed rounds a score to units of 2^exponent, within what a leaf may hold.
func fixed(v float64, exponent int) int64 {
	const most = 1 << 43
	return int64(math.RoundToEven(max(-most, min(most, math.Ldexp(v, -exponent)))))
}

func (l *logistic) scaleOf(_ []int64, n int) scale { return newScale(n, l.most, l.most/4) }

func (l *logistic) pairs(s *scale, scores []int64, _, _, from, to int, into []pair) {
	unit := math.Ldexp(1, scoreExponent)
	scores, y, into := scores[from:to], l.y[from:to], into[from:to]
	for i, score := range scores {
		p := num.Sigmoid(float64(float64(score) * unit))
		c := y[i] & 1
		w := l.weights[c]
		into[i] = s.pair(float64(w*(p-float64(c))), float64(w*float64(p*(1-p))))
	}
}

func (l *logistic) of(scores []int64, _ int, rows []int32) []float64 {
	out := make([]float64, len(rows))
	for i, r := range rows {
		z := math.Ldexp(float64(scores[r]), scoreExponent)
		if l.y[r] == 1 {
			z = -z
		}
		_, out[i] = num.Logistic(z)
		out[i] = float64(out[i] * l.weights[l.y[r]])
	}
	return out
}

// softmax is the cross entropy of more than two classes: for each, g = w(p-y), h = w p(1-p).
type softmax struct {
	y       []int32
	classes int
	weights []float64
	most    float64
	logSums []float64 // of each row, of this round
}

func newSoftmax(y []int32, classes int, weights []float64) *softmax {
	l := &softmax{y: y, classes: classes, weights: weights, logSums: make([]float64, len(y))}
	if weights == nil {
		l.weights = make([]float64, classes)
		for c := range l.weights {
			l.weights[c] = 1
		}
	}
	for _, w := range l.weights {
		l.most = max(l.most, w)
	}
	return l
}

func (l *softmax) outputs() int  { return l.classes }
func (l *softmax) exponent() int { return scoreExponent }

func (l *softmax) step(v float64) int64 { return fixed(v, scoreExponent) }

func (l *softmax) base() []int64 {
	counts := make([]float64, l.classes)
	for _, c := range l.y {
		counts[c]++
	}
	base := make([]int64, l.classes)
	for c, n := range counts {
		base[c] = fixed(logOf(float64(n*l.weights[c])/float64(len(l.y))), scoreExponent)
	}
	return base
}

func (l *softmax) scaleOf(_ []int64, n int) scale { return newScale(n, l.most, l.most/4) }

// shares fills p with the class shares of a row.
func (l *softmax) shares(scores []int64, n, row int, p []float64) (logSum float64) {
	for c := range p {
		p[c] = math.Ldexp(float64(scores[c*n+row]), scoreExponent)
	}
	return num.Softmax(p)
}

func (l *softmax) pairs(s *scale, scores []int64, n, output, from, to int, into []pair) {
	if output == 0 { // the trees of a round see the scores before it
		p := make([]float64, l.classes)
		for i := from; i < to; i++ {
			l.logSums[i] = l.shares(scores, n, i, p)
		}
	}
	for i := from; i < to; i++ {
		share, truth := min(1, num.Exp(math.Ldexp(float64(scores[output*n+i]), scoreExponent)-l.logSums[i])), 0.0
		if int(l.y[i]) == output {
			truth = 1
		}
		w := l.weights[l.y[i]]
		into[i] = s.pair(float64(w*(share-truth)), float64(w*float64(share*(1-share))))
	}
}

func (l *softmax) of(scores []int64, n int, rows []int32) []float64 {
	out, p := make([]float64, len(rows)), make([]float64, l.classes)
	for i, r := range rows {
		own := math.Ldexp(float64(scores[int(l.y[r])*n+int(r)]), scoreExponent)
		out[i] = float64((l.shares(scores, n, int(r), p) - own) * l.weights[l.y[r]])
	}
	return out
}

// squared is half the squared error: g = score - target, h = 1.
type squared struct {
	target []float64
	e      int
	unit   float64
	mean   int64
}

func newSquared(target []float64) *squared {
	most := 0.0
	for _, v := range target {
		most = max(most, math.Abs(v))
	}
	l := &squared{target: target, e: tree.ExponentFor(most) + 2}
	l.unit = math.Ldexp(1, l.e)
	share := make([]float64, len(target))
	for i, v := range target {
		share[i] = v / float64(len(target))
	}
	l.mean = fixed(num.Sum(share), l.e)
	return l
}

func (l *squared) outputs() int  { return 1 }
func (l *squared) exponent() int { return l.e }
func (l *squared) base() []int64 { return []int64{l.mean} }

func (l *squared) step(v float64) int64 { return fixed(v, 0) }

// distance is the gradient in units of the score, which cannot overflow.
func (l *squared) distance(scores []int64, i int) float64 {
	return float64(scores[i]) - math.Ldexp(l.target[i], -l.e)
}

func (l *squared) scaleOf(scores []int64, n int) scale {
	most := 0.0
	for i := range scores {
		most = max(most, math.Abs(l.distance(scores, i)))
	}
	return newScale(n, most, 1)
}

func (l *squared) pairs(s *scale, scores []int64, _, _, from, to int, into []pair) {
	for i := from; i < to; i++ {
		into[i] = s.pair(l.distance(scores, i), 1)
	}
}

func (l *squared) of(scores []int64, _ int, rows []int32) []float64 {
	out := make([]float64, len(rows))
	for i, r := range rows {
		d := l.distance(scores, int(r))
		out[i] = float64(d * d)
	}
	return out
}
