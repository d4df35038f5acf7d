package onnx

import (
	"math"
	"slices"

	"github.com/hashline/hashline/ml/calibrate"
	"github.com/hashline/hashline/ml/model"
)

// outcome is what an estimator gives.
type outcome struct {
	results string // probabilities, rows x classes, or numbers, rows x 1

	// Of two classes: the value that the probability of the second rises with, rows x 1, and how it comes of it.
	score   string
	ofScore func(score float64) float64
	slack   float64 // by how much of its size, or of 1, the score may differ from Predict's
}

// calibrated is calibrate.Calibrator.Apply: class by class, so that equal probabilities stay equal in all places, and with
// the same operations in the same order, which are exact but for logarithm and exponential.
func (g *graph) calibrated(c *calibrate.Calibrator, probabilities string) string {
	column := func(class, curve int) string {
		return g.curve(c.Method, &c.Curves[curve], g.column(probabilities, class))
	}
	var columns []string
	if c.Classes == 2 {
		p := column(1, 0)
		columns = []string{g.binary("Sub", g.number(1), p), p}
	} else {
		sum := ""
		for class := range c.Classes {
			p := column(class, class)
			columns = append(columns, p)
			if class == 0 {
				sum = p
			} else {
				sum = g.binary("Add", sum, p)
			}
		}
		possible := g.binary("Greater", sum, g.number(0))
		for class, p := range columns {
			columns[class] = g.add("Where", []string{possible, g.binary("Div", p, sum), g.number(1 / float64(c.Classes))})
		}
	}
	return g.add("Concat", columns, attribute{"axis", int64(1)})
}

// column is one column of several, rows x 1.
func (g *graph) column(v string, i int) string {
	return g.add("Gather", []string{v, g.whole(int64(i))}, attribute{"axis", int64(1)})
}

func (g *graph) curve(method string, c *calibrate.Curve, p string) string {
	if method == calibrate.Isotonic {
		return g.line(c.X, c.Y, p)
	}
	const edge = 0x1p-52
	p = g.binary("Max", g.number(edge), g.binary("Min", g.number(1-edge), p))
	logOdds := g.add("Log", []string{g.binary("Div", p, g.binary("Sub", g.number(1), p))})
	v := g.binary("Add", g.binary("Mul", g.number(float64(c.A)), logOdds), g.number(float64(c.B)))
	return g.sigmoid(g.add("Neg", []string{v}))
}

// sigmoid is num.Sigmoid. The operator Sigmoid loses small probabilities in rounding, on which log odds depend.
func (g *graph) sigmoid(x string) string {
	e := g.add("Exp", []string{g.add("Neg", []string{g.add("Abs", []string{x})})})
	above := g.add("Where", []string{g.binary("GreaterOrEqual", x, g.number(0)), g.number(1), e})
	return g.binary("Div", above, g.binary("Add", g.number(1), e))
}

// line runs straight from point to point: a tree finds which two a probability lies between, and tables have what is reckoned
// from them.
func (g *graph) line(x, y []float64, p string) string {
	at := g.cast(g.addOf(learning, "TreeEnsemble", []string{p}, steps(x).attributes(1)...), typeInt64)
	of := func(table []float64) string {
		return g.add("Gather", []string{g.constant(doubles(table)), at}, attribute{"axis", int64(0)})
	}
	n := len(x)
	start, width := slices.Concat(x[:1], x), slices.Repeat([]float64{1}, n+1)
	low, rise := slices.Concat(y[:1], y), make([]float64, n+1) // flat before the first point and behind the last
	for i := 1; i < n; i++ {
		width[i], rise[i] = x[i]-x[i-1], y[i]-y[i-1]
	}
	share := g.binary("Div", g.binary("Sub", p, of(start)), of(width))
	between := g.binary("Add", of(low), g.binary("Mul", share, of(rise)))
	atPoint := g.binary("Equal", p, of(slices.Concat(x, x[n-1:])))
	return g.add("Where", []string{atPoint, of(slices.Concat(y, y[n-1:])), between})
}

// steps is a tree that gives each number how many of the ascending x are below it.
func steps(x []float64) *ensemble {
	e := &ensemble{roots: []int64{0}}
	var grow func(from, to int) (at int64, leaf int64) // the subtree whose leaves are from up to to
	grow = func(from, to int) (int64, int64) {
		if from == to {
			return e.leaf(0, float64(from)), 1
		}
		middle := from + (to-from)/2
		at := e.node(0, x[middle], false)
		yes, yesLeaf := grow(from, middle)
		no, noLeaf := grow(middle+1, to)
		e.yes[at], e.yesLeaf[at], e.no[at], e.noLeaf[at] = yes, yesLeaf, no, noLeaf
		return int64(at), 0
	}
	grow(0, len(x))
	return e
}

// second reports of each row whether it is taken for the second of two classes. A threshold is the probability of a row, and
// many rows may have it, so the last bit counts: compared is not the probability but the score that it is reckoned from.
func (g *graph) second(m *model.Model, o *outcome) string {
	taken := func(score float64) bool {
		proba := []float64{0, o.ofScore(score)}
		proba[0] = 1 - proba[1]
		if m.Calibration != nil {
			proba = m.Calibration.Apply(proba)
		}
		return m.Label(proba) == 1
	}
	score := o.score
	if taken(-scoreLimit) && !taken(scoreLimit) { // a calibration that falls
		score = g.add("Neg", []string{score})
		rising := taken
		taken = func(s float64) bool { return rising(-s) }
	}
	from := lowest(taken)
	if !math.IsInf(from, 0) {
		from -= o.slack * max(1, math.Abs(from))
	}
	return g.binary("GreaterOrEqual", score, g.number(from))
}

// scoreLimit is a score beyond which probabilities do not change.
const scoreLimit = 1e4

// lowest returns the least score that a rising condition holds for: minus or plus infinity where it holds for all or none.
// Where rounding lets it rise unevenly, that is the least of the scores next to where it changes.
func lowest(holds func(float64) bool) float64 {
	if holds(-scoreLimit) {
		return math.Inf(-1)
	}
	if !holds(scoreLimit) {
		return math.Inf(1)
	}
	low, high := ordered(-scoreLimit), ordered(scoreLimit)
	if holds(0) { // so that their difference is no overflow
		high = 0
	} else {
		low = 0
	}
	for high-low > 1 {
		if middle := low + (high-low)/2; holds(unordered(middle)) {
			high = middle
		} else {
			low = middle
		}
	}
	least := high
	for near := high - 1; near > high-1000; near-- {
		if holds(unordered(near)) {
			least = near
		}
	}
	return unordered(least)
}

// ordered numbers the doubles in their order, 0 being 0.
func ordered(v float64) int64 {
	if v < 0 {
		return -int64(math.Float64bits(-v))
	}
	return int64(math.Float64bits(v))
}

func unordered(i int64) float64 {
	if i < 0 {
		return -math.Float64frombits(uint64(-i))
	}
	return math.Float64frombits(uint64(i))
}
