package linear

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// Options of a fit. Names and meanings are scikit-learn's.
type Options struct {
	C            float64   // inverse strength of the penalty; 0 means 1
	L1Ratio      float64   // share of the penalty that is on absolute values: 0 is ridge, 1 lasso, in between an elastic net
	ClassWeights []float64 // of the rows of each class; nil means 1 for all. Unused in a regression
	MaxIter      int       // steps of the solver; 0 means 100 for Newton's methods, 1000 for L-BFGS
	Tolerance    float64   // relative accuracy of the objective at which to stop; 0 means 1e-10
	Cores        int       // goroutines; never changes the result
}

func (o *Options) limit(usual int) int {
	if o.MaxIter > 0 {
		return o.MaxIter
	}
	return usual
}

func (o *Options) check() error {
	if o.C == 0 {
		o.C = 1
	}
	if !(o.C > 0) || math.IsInf(o.C, 0) {
		return fmt.Errorf("the inverse penalty C is %v, want a positive number", o.C)
	}
	if !(o.L1Ratio >= 0 && o.L1Ratio <= 1) {
		return fmt.Errorf("the share of the penalty on absolute values is %v, want 0 to 1", o.L1Ratio)
	}
	if o.Tolerance == 0 {
		o.Tolerance = 1e-10
	}
	o.Cores = max(1, o.Cores)
	return nil
}

// Fit learns a logistic regression. It minimises
//
//	C x sum of weight x log loss + L1Ratio x sum of |w| + (1 - L1Ratio)/2 x sum of w^2
//
// over the weights w of the standardised features, the intercept free, which is scikit-learn's objective. More than two
// classes share one softmax.
//
// columns are the features: numbers and categories, each with n rows. y holds the classes of the rows, 0 to classes-1.
// Nothing is changed or kept of either. A step costs n x (numbers + categories)^2 for each pair of classes, and what
// curvature says.
func Fit(columns []*frame.Column, y []int32, classes int, o Options) (*Model, error) {
	if len(columns) == 0 || len(y) == 0 || classes < 2 || classes > maxClasses {
		return nil, fmt.Errorf("%d features, %d rows, %d classes: nothing to learn", len(columns), len(y), classes)
	}
	for _, class := range y {
		if class < 0 || int(class) >= classes {
			return nil, errors.New("a class is out of range")
		}
	}
	weights, err := classWeights(o.ClassWeights, classes)
	if err != nil {
		return nil, err
	}
	var l losses = &softmax{y, weights, classes}
	if classes == 2 {
		l = &logistic{y, weights}
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	m, err := fit(columns, len(y), &problem{losses: l, l1: o.L1Ratio / o.C, l2: (1 - o.L1Ratio) / o.C}, o)
	if err != nil {
		return nil, err
	}
	m.Classes, m.Objective = classes, num.Float(o.C*float64(m.Objective))
	return m, nil
}

func classWeights(given []float64, classes int) ([]float64, error) {
	weights := make([]float64, classes)
	for i := range weights {
		weights[i] = 1
	}
	if given == nil {
		return weights, nil
	}
	if len(given) != classes {
		return nil, fmt.Errorf("%d weights for %d classes", len(given), classes)
	}
	for i, w := range given {
		if !(w >= 0 && w <= maxClassWeight) {
			return nil, fmt.Errorf("the weight of class %d is %v, want 0 to %v", i, w, float64(maxClassWeight))
		}
		weights[i] = w
	}
	return weights, nil
}

// fit learns the terms, writes the rows in numbers, and minimises. p has its losses and penalties.
func fit(columns []*frame.Column, n int, p *problem, o Options) (*Model, error) {
	terms, err := learnTerms(columns, n, o.Cores)
	if err != nil {
		return nil, err
	}
	d, params := placeLast(terms, widest(terms))
	p.design, p.k, p.cores = newDesign(terms, columns, d, params, o.Cores), p.functions(), o.Cores
	s := p.minimise(o)
	for _, w := range s.w {
		if !(math.Abs(w) <= maxWeight) {
			s.objective = math.NaN()
		}
	}
	if math.IsNaN(s.objective) || math.IsInf(s.objective, 0) {
		return nil, errors.New("the objective is not a number: the features are out of range")
	}
	m := &Model{Terms: terms, Solver: s.solver, Iterations: s.iterations, Converged: s.converged, Objective: num.Float(s.objective),
		Weights: inOrder(terms, s.w, params), d: d, params: params}
	return m, nil
}

// inOrder places the weights in the order of the terms.
func inOrder(terms []term, w []float64, params int) []float64 {
	from := make([]int, len(terms))
	for i, t := range terms {
		from[i] = t.at
	}
	ordered := append([]float64(nil), w...)
	place(terms)
	for i, t := range terms {
		for f := 0; f < len(w); f += params {
			copy(ordered[f+t.at:f+t.at+t.width()], w[f+from[i]:])
		}
	}
	return ordered
}

func learnTerms(columns []*frame.Column, n, cores int) ([]term, error) {
	for _, c := range columns {
		if c.Len() != n {
			return nil, fmt.Errorf("column %q has %d rows, want %d", c.Name, c.Len(), n)
		}
		if !c.Type.Numeric() && c.Type != frame.Category {
			return nil, fmt.Errorf("column %q is of type %v: a feature is a number or a category", c.Name, c.Type)
		}
	}
	terms := make([]term, len(columns))
	var g errgroup.Group
	g.SetLimit(cores)
	for i, c := range columns {
		g.Go(func() error {
			terms[i] = newTerm(c)
			return nil
		})
	}
	return terms, g.Wait()
}
