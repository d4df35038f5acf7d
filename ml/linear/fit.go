package linear

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// Options of a fit.
type Options struct {
	C         float64 // inverse strength of the penalty, as scikit-learn's; 0 means 1
	MaxIter   int     // steps of the solver; 0 means 100 for Newton's, 1000 for L-BFGS
	Tolerance float64 // relative accuracy of the objective at which to stop; 0 means 1e-9
	Cores     int     // goroutines; never changes the result
}

// newtonParams is the number of parameters up to which Newton's method is used: three to four times faster there than
// L-BFGS, and it reaches the optimum itself.
const newtonParams = 600

// intercepts are penalised by this much, which leaves them free but picks one of the equal solutions of several classes.
const interceptPenalty = 1e-8

// chunks is the number of partial sums over rows. It is a constant of the format of results: another number, other bits.
const chunks = 16

// problem is one fit: k linear functions (one for two classes) of the rows of a design.
type problem struct {
	*design
	y       []int32
	classes int
	k       int
	c       float64
	cores   int
}

// Fit learns a logistic regression: it minimises C times the sum of the log losses plus half the squared weights of the
// standardised features, the intercept free, which is scikit-learn's objective. More than two classes share one softmax.
//
// columns are the features: numbers and categories, each with n rows. y holds the classes of the rows, 0 to classes-1.
// Nothing is changed or kept of either.
func Fit(columns []*frame.Column, y []int32, classes int, o Options) (*Model, error) {
	if len(columns) == 0 || len(y) == 0 || classes < 2 || classes > maxClasses {
		return nil, fmt.Errorf("%d features, %d rows, %d classes: nothing to learn", len(columns), len(y), classes)
	}
	terms := make([]term, len(columns))
	var g errgroup.Group
	g.SetLimit(max(1, o.Cores))
	for i, c := range columns {
		if c.Len() != len(y) {
			return nil, fmt.Errorf("column %q has %d rows, want %d", c.Name, c.Len(), len(y))
		}
		if !c.Type.Numeric() && c.Type != frame.Category {
			return nil, fmt.Errorf("column %q is of type %v: a feature is a number or a category", c.Name, c.Type)
		}
		g.Go(func() error {
			terms[i] = newTerm(c)
			return nil
		})
	}
	_ = g.Wait()
	for _, class := range y {
		if class < 0 || int(class) >= classes {
			return nil, errors.New("a class is out of range")
		}
	}
	d, params := place(terms)
	p := &problem{design: newDesign(terms, columns, d, params), y: y, classes: classes, k: classes, c: o.C, cores: max(1, o.Cores)}
	if classes == 2 {
		p.k = 1
	}
	if p.c == 0 {
		p.c = 1
	}
	if !(p.c > 0) || math.IsInf(p.c, 0) {
		return nil, fmt.Errorf("the inverse penalty C is %v, want a positive number", p.c)
	}
	if o.Tolerance == 0 {
		o.Tolerance = 1e-9
	}
	var s solution
	if p.k*p.params <= newtonParams {
		s = p.newton(o)
	} else {
		s = p.lbfgs(o)
	}
	if math.IsNaN(s.objective) || math.IsInf(s.objective, 0) {
		return nil, errors.New("the objective is not a number: the features are out of range")
	}
	return &Model{Classes: classes, Terms: terms, Weights: s.w, Solver: s.solver, Iterations: s.iterations, Converged: s.converged,
		Objective: num.Float(s.objective), d: d, params: params}, nil
}

// solution is what a solver ends with.
type solution struct {
	w          []float64 // k x params
	solver     string
	iterations int
	converged  bool
	objective  float64
}

// sums is what one pass over the rows gives.
type sums struct {
	loss     float64
	gradient []float64 // k x params
	hessian  []float64 // lower triangles of the k(k+1)/2 blocks; nil unless asked for
	scratch  []float64
}

// pass goes over all rows in chunks that depend on their number alone, and adds the chunks in order.
func (p *problem) pass(w []float64, gradient, hessian bool) sums {
	parts := make([]sums, chunks)
	var g errgroup.Group
	g.SetLimit(p.cores)
	for i := range parts {
		g.Go(func() error {
			parts[i] = p.chunk(w, p.n*i/chunks, p.n*(i+1)/chunks, gradient, hessian)
			return nil
		})
	}
	_ = g.Wait()
	total := parts[0]
	for _, s := range parts[1:] {
		total.loss += s.loss
		addTo(total.gradient, s.gradient)
		addTo(total.hessian, s.hessian)
	}
	p.penalise(w, &total)
	return total
}

func (p *problem) chunk(w []float64, from, to int, gradient, hessian bool) sums {
	var s sums
	if gradient {
		s.gradient = make([]float64, p.k*p.params)
	}
	if hessian {
		s.hessian = make([]float64, p.k*(p.k+1)/2*p.params*p.params)
		s.scratch = make([]float64, p.d+1)
	}
	scores := make([]float64, p.k)
	for r := from; r < to; r++ {
		for c := range p.k {
			scores[c] = p.score(r, w[c*p.params:(c+1)*p.params])
		}
		if p.k == 1 {
			p.binaryRow(r, scores[0], &s)
		} else {
			p.manyRow(r, scores, &s)
		}
	}
	return s
}

func (p *problem) binaryRow(r int, score float64, s *sums) {
	target := float64(p.y[r])
	prob, loss := num.Logistic(score)
	// log(1+e^s) - y s, written so that neither overflows nor cancels.
	s.loss += loss - float64(target*score)
	if s.gradient == nil {
		return
	}
	p.addGradient(r, prob-target, s.gradient)
	if s.hessian != nil {
		p.addHessian(r, float64(prob*(1-prob)), s.hessian, s.scratch)
	}
}

func (p *problem) manyRow(r int, scores []float64, s *sums) {
	own := scores[p.y[r]]
	s.loss += num.Softmax(scores) - own
	if s.gradient == nil {
		return
	}
	block := p.params * p.params
	at := 0
	for a, pa := range scores {
		g := pa
		if int(p.y[r]) == a {
			g = pa - 1
		}
		p.addGradient(r, g, s.gradient[a*p.params:(a+1)*p.params])
		if s.hessian == nil {
			continue
		}
		for b, pb := range scores[:a+1] {
			h := -float64(pa * pb)
			if a == b {
				h = float64(pa * (1 - pa))
			}
			p.addHessian(r, h, s.hessian[at:at+block], s.scratch)
			at += block
		}
	}
}

// penalty returns the penalty on parameter j of each class, relative to the loss: the objective is divided by C.
func (p *problem) penalty(j int) float64 {
	if j == p.d {
		return interceptPenalty
	}
	return 1 / p.c
}

func (p *problem) penalise(w []float64, s *sums) {
	half := 0.0
	for i, v := range w {
		lambda := p.penalty(i % p.params)
		half += float64(float64(0.5*lambda) * float64(v*v))
		if s.gradient != nil {
			s.gradient[i] += float64(lambda * v)
		}
	}
	s.loss += half
}

// newton is Newton's method with step halving.
func (p *problem) newton(o Options) solution {
	s := solution{w: make([]float64, p.k*p.params), solver: "newton"}
	limit := o.MaxIter
	if limit == 0 {
		limit = 100
	}
	now := p.pass(s.w, true, true)
	for s.iterations < limit {
		step, ok := p.newtonStep(now)
		if !ok {
			break
		}
		decrease := 0.0
		for i, g := range now.gradient {
			decrease += float64(g * step[i])
		}
		if decrease/2 <= float64(o.Tolerance*(1+math.Abs(now.loss))) {
			s.converged = true
			break
		}
		next, after, ok := p.search(s.w, step, now.loss, decrease, true)
		if !ok {
			s.converged = true // no representable progress is left
			break
		}
		s.w, now = next, after
		s.iterations++
	}
	s.objective = float64(now.loss * p.c)
	return s
}

// search halves the step until the objective falls by a fair part of what its slope promises (Armijo). It returns the
// point and the sums there, with the Hessian if asked for. The whole step is nearly always taken, so its sums are made at
// once.
func (p *problem) search(w, step []float64, loss, decrease float64, hessian bool) ([]float64, sums, bool) {
	next := make([]float64, len(w))
	for t := 1.0; t > 1e-10; t /= 2 {
		for i := range w {
			next[i] = w[i] - float64(t*step[i])
		}
		s := p.pass(next, t == 1, t == 1 && hessian)
		if s.loss <= loss-float64(float64(1e-4*t)*decrease) {
			if t < 1 {
				s = p.pass(next, true, hessian)
			}
			return next, s, true
		}
	}
	return nil, sums{}, false
}

// newtonStep solves Hessian x step = gradient.
func (p *problem) newtonStep(now sums) ([]float64, bool) {
	n := p.k * p.params
	h := make([]float64, n*n)
	at := 0
	for a := range p.k {
		for b := range a + 1 {
			block := now.hessian[at : at+p.params*p.params]
			at += len(block)
			for i := range p.params {
				for j := range i + 1 {
					v := block[i*p.params+j]
					h[(a*p.params+i)*n+b*p.params+j] = v
					if a != b {
						h[(a*p.params+j)*n+b*p.params+i] = v
					}
				}
			}
		}
	}
	for i := range n {
		h[i*n+i] += p.penalty(i % p.params)
	}
	step := append([]float64(nil), now.gradient...)
	return step, solve(h, step, n)
}

// solve replaces b by the solution of a x = b for the symmetric positive definite n x n matrix whose lower triangle is a,
// by Cholesky's decomposition in place. It reports whether a is positive definite.
func solve(a, b []float64, n int) bool {
	for i := range n {
		row := a[i*n : i*n+i+1]
		for j := range i {
			other := a[j*n : j*n+j+1]
			s := row[j]
			for k, v := range other[:j] {
				s -= float64(v * row[k])
			}
			row[j] = s / other[j]
		}
		s := row[i]
		for _, v := range row[:i] {
			s -= float64(v * v)
		}
		if !(s > 0) {
			return false
		}
		row[i] = math.Sqrt(s)
	}
	for i := range n {
		s := b[i]
		for k, v := range a[i*n : i*n+i] {
			s -= float64(v * b[k])
		}
		b[i] = s / a[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		b[i] /= a[i*n+i]
		for k, v := range a[i*n : i*n+i] {
			b[k] -= float64(v * b[i])
		}
	}
	return true
}
