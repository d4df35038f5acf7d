package onnx

import (
	"github.com/hashline/hashline/ml/linear"
	"github.com/hashline/hashline/ml/num"
)

// terms is what the features of one kind add to the scores.
type terms struct {
	values             []string
	unit, mean, scale  []float64
	weights, ofMissing []float64 // features x functions
}

// slack is how much scores may differ because they are added up in another order.
const slack = 1e-10

// linear reckons what a linear model gives.
func (g *graph) linear(m *linear.Model, values []string) *outcome {
	scores := g.scores(m, values)
	switch m.Classes {
	case 0:
		return &outcome{results: scores}
	case 2:
		return &outcome{results: g.probabilities(m, scores), score: scores, ofScore: num.Sigmoid, slack: slack}
	}
	return &outcome{results: g.probabilities(m, scores)}
}

// scores are rows x functions.
func (g *graph) scores(m *linear.Model, values []string) string {
	functions := 1
	if m.Classes > 2 {
		functions = m.Classes
	}
	params := len(m.Weights) / functions
	weight := func(i int) []float64 { // of parameter i, one for each function
		w := make([]float64, functions)
		for f := range w {
			w[f] = m.Weights[f*params+i]
		}
		return w
	}
	var numbers terms
	next := 0
	for i, t := range m.Terms {
		if !t.Type.Numeric() {
			continue
		}
		numbers.values = append(numbers.values, values[i])
		numbers.unit, numbers.mean, numbers.scale = append(numbers.unit, t.Unit), append(numbers.mean, t.Mean), append(numbers.scale, t.Scale)
		numbers.weights = append(numbers.weights, weight(next)...)
		next++
		absent := make([]float64, functions)
		if t.Absent {
			absent = weight(next)
			next++
		}
		numbers.ofMissing = append(numbers.ofMissing, absent...)
	}
	score := g.constant(doubles(weight(next), 1, int64(functions))) // the intercept
	next++
	if len(numbers.values) > 0 {
		score = g.binary("Add", g.numbers(&numbers, functions), score)
	}
	for i, t := range m.Terms {
		if t.Type.Numeric() {
			continue
		}
		var table []float64
		for range len(t.Levels) + 1 {
			table = append(table, weight(next)...)
			next++
		}
		score = g.binary("Add", score, g.lookUp(values[i], t.Levels, table, functions))
	}
	return score
}

// numbers standardises the columns of numbers and adds them up with their weights. A missing one is the mean, which is 0,
// and has a weight of its own.
func (g *graph) numbers(t *terms, functions int) string {
	n := int64(len(t.values))
	x := g.add("Concat", t.values, attribute{"axis", int64(1)})
	z := g.binary("Div", x, g.constant(doubles(t.unit, 1, n)))
	z = g.binary("Div", g.binary("Sub", z, g.constant(doubles(t.mean, 1, n))), g.constant(doubles(t.scale, 1, n)))
	z = g.binary("Min", g.binary("Max", z, g.number(-linear.Clip)), g.number(linear.Clip))
	missing := g.add("IsNaN", []string{x})
	z = g.add("Where", []string{missing, g.number(0), z})
	score := g.binary("MatMul", z, g.constant(doubles(t.weights, n, int64(functions))))
	return g.binary("Add", score, g.binary("MatMul", g.cast(missing, typeDouble), g.constant(doubles(t.ofMissing, n, int64(functions)))))
}

// lookUp gives each text the weights of its level: rows x functions. The last row of the table is that of all others.
func (g *graph) lookUp(v string, levels []string, table []float64, functions int) string {
	numbers := make([]float32, len(levels))
	for i := range numbers {
		numbers[i] = float32(i)
	}
	others := float32(len(levels))
	if len(levels) == 0 {
		levels, numbers = []string{""}, []float32{0} // the operator wants some
	}
	at := g.cast(g.encode(v, levels, numbers, others), typeInt64)
	at = g.binary("Reshape", at, g.whole(-1))
	return g.add("Gather", []string{g.constant(doubles(table, int64(len(table)/functions), int64(functions))), at}, attribute{"axis", int64(0)})
}

// probabilities turns the scores of classes into shares.
func (g *graph) probabilities(m *linear.Model, scores string) string {
	if m.Classes == 2 { // the first class has the score 0
		scores = g.add("Concat", []string{g.binary("Sub", scores, scores), scores}, attribute{"axis", int64(1)})
	}
	return g.add("Softmax", []string{scores}, attribute{"axis", int64(1)})
}
