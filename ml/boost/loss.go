package boost

import (
	"math"
	"math/bits"

	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/tree"
)

// pair is what a bin of a histogram holds: the gradients added up, and the second derivatives added up above the number of
// rows. Both are integers; see scale.
type pair struct {
	g  int64
	hc uint64
}

// A row goes through growth as one word, a gradient above a second derivative above the number 1, with room for the sums of
// blockRows rows in each of the three. So a block of rows is counted with one addition for a row and feature.
const (
	blockBits = 11
	blockRows = 1 << blockBits
	countBits = blockBits + 1 // of a word
	hBits     = 12            // of a second derivative
	gBits     = 64 - 1 - 3*(blockBits+1) - hBits
	flatBits  = 64 - 1 - 2*(blockBits+1) // of a gradient where second derivatives are all 1 and have no place of their own
)

// ditherBits are the places behind the point that decide whether a number is rounded up.
const ditherBits = 20

// scale says what the integers of words and pairs stand for.
type scale struct {
	gScale float64 // what a gradient is multiplied by
	hScale float64
	gUnit  float64 // what an integer gradient stands for
	hUnit  float64
	count  uint   // bits of a number of rows in a pair
	gShift uint   // where the gradient of a word begins
	hShift uint   // where the second derivative of a word begins
	hMask  uint64 // its bits
	turn   uint64
}

// newScale makes room for the sums of n rows with gradients and second derivatives up to g and h. Rounding differs from one
// turn to another.
func newScale(n int, g, h float64, turn int) scale {
	b := bits.Len(uint(n))
	ge, he := exponentOf(g)-gBits, exponentOf(h)-min(hBits, 63-2*b)
	return scale{count: uint(b), gShift: 2*countBits + hBits, hShift: countBits, hMask: 1<<(countBits+hBits) - 1, turn: uint64(turn) << 32,
		gUnit: math.Ldexp(1, ge), gScale: math.Ldexp(1, ditherBits-ge), hUnit: math.Ldexp(1, he), hScale: math.Ldexp(1, ditherBits-he)}
}

// newFlatScale is newScale for second derivatives that are all 1, as many as rows.
func newFlatScale(n int, g float64) scale {
	ge := exponentOf(g) - flatBits
	return scale{count: uint(bits.Len(uint(n))), gShift: countBits, hMask: 1<<countBits - 1, gUnit: math.Ldexp(1, ge), gScale: math.Ldexp(1, -ge), hUnit: 1}
}

// exponentOf returns the least e for which most is not above 2^e, within what a scale can be.
func exponentOf(most float64) int {
	if !(most > 0) {
		return 0
	}
	f, e := math.Frexp(most)
	if f == 0.5 {
		e--
	}
	return max(-900, e)
}

// magic added to a number below 2^51 leaves its nearest integer in the low bits.
const magic = 0x1.8p52

func nearest(x float64) int64 {
	return int64(math.Float64bits(x+magic)) - int64(math.Float64bits(magic))
}

// word is that of a row. Both numbers are rounded up or down by chance, in proportion to what is behind the point (as Shi et
// al.: Quantized Training of Gradient Boosting Decision Trees, 2022), so that the errors of rows with equal scores do not
// add up. Chance is a sequence of the multiples of the golden ratio, which spreads evenly over rows that follow each other.
func (s *scale) word(row int, g, h float64) uint64 {
	const mask = 1<<ditherBits - 1
	chance := (uint64(row) + s.turn) * 0x9e3779b97f4a7c15
	gq := (nearest(float64(g*s.gScale)) + int64(chance>>(64-ditherBits))) >> ditherBits
	hq := (nearest(float64(h*s.hScale)) + int64(chance>>20&mask)) >> ditherBits
	return uint64(gq)<<s.gShift | uint64(max(1, hq))<<countBits | 1 // h is never 0: a leaf divides by the sum
}

// flatWord is that of a row whose second derivative is 1.
func (s *scale) flatWord(g float64) uint64 {
	return uint64(nearest(float64(g*s.gScale)))<<countBits | 1
}

// pair takes a sum of words apart.
func (s *scale) pair(word uint64) pair {
	rows := word & (1<<countBits - 1)
	h := word >> (s.hShift & 63) & s.hMask
	return pair{int64(word) >> (s.gShift & 63), h<<(s.count&63) | rows}
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
	// words computes those of the rows [from, to) of n for one output; into has a place for each of all rows. Outputs are
	// asked for in their order. Calls for different rows may be concurrent.
	words(s *scale, scores []int64, n, output, from, to int, into []uint64)
	// scaleOf returns that of the tree to come, which is grown on n rows.
	scaleOf(scores []int64, n, tree int) scale
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

func (l *logistic) scaleOf(_ []int64, n, tree int) scale { return newScale(n, l.most, l.most/4, tree) }

func (l *logistic) words(s *scale, scores []int64, _, _, from, to int, into []uint64) {
	unit := math.Ldexp(1, scoreExponent)
	scores, y, into := scores[from:to], l.y[from:to], into[from:to]
	for i, score := range scores {
		p := num.Sigmoid(float64(float64(score) * unit))
		c := y[i] & 1
		w := l.weights[c]
		into[i] = s.word(from+i, float64(w*(p-float64(c))), float64(w*float64(p*(1-p))))
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

func (l *softmax) scaleOf(_ []int64, n, tree int) scale { return newScale(n, l.most, l.most/4, tree) }

// shares fills p with the class shares of a row.
func (l *softmax) shares(scores []int64, n, row int, p []float64) (logSum float64) {
	for c := range p {
		p[c] = math.Ldexp(float64(scores[c*n+row]), scoreExponent)
	}
	return num.Softmax(p)
}

func (l *softmax) words(s *scale, scores []int64, n, output, from, to int, into []uint64) {
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
		into[i] = s.word(i, float64(w*(share-truth)), float64(w*float64(share*(1-share))))
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
	target []float64 // in units of the score, which cannot overflow
	e      int
	mean   int64
}

func newSquared(target []float64) *squared {
	most := 0.0
	for _, v := range target {
		most = max(most, math.Abs(v))
	}
	l := &squared{target: make([]float64, len(target)), e: tree.ExponentFor(most) + 2}
	share := make([]float64, len(target))
	for i, v := range target {
		l.target[i] = math.Ldexp(v, -l.e)
		share[i] = v / float64(len(target))
	}
	l.mean = fixed(num.Sum(share), l.e)
	return l
}

func (l *squared) outputs() int  { return 1 }
func (l *squared) exponent() int { return l.e }
func (l *squared) base() []int64 { return []int64{l.mean} }

func (l *squared) step(v float64) int64 { return fixed(v, 0) }

// distance is the gradient in units of the score.
func (l *squared) distance(scores []int64, i int) float64 { return float64(scores[i]) - l.target[i] }

func (l *squared) scaleOf(scores []int64, n, _ int) scale {
	most := 0.0
	for i := range scores {
		most = max(most, math.Abs(l.distance(scores, i)))
	}
	return newFlatScale(n, most)
}

func (l *squared) words(s *scale, scores []int64, _, _, from, to int, into []uint64) {
	for i := from; i < to; i++ {
		into[i] = s.flatWord(l.distance(scores, i))
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
