package linear

import "math"

// Limits of the methods that hold a Hessian: on the numbers that are decomposed or descended by coordinates, and on those of
// a chunk's Hessian. Beyond them L-BFGS is faster.
const (
	newtonCore     = 600
	lassoParams    = 1000
	maxHessianSize = 1 << 20
)

// Long problems start at the optimum of every warmStride-th row, which costs a sixteenth and leaves two or three steps.
const (
	warmRows   = 1 << 16
	warmStride = 16
)

// solution is what a solver ends with.
type solution struct {
	w          []float64 // k x params
	solver     string
	iterations int // over all rows
	converged  bool
	objective  float64
}

// solver goes from w towards the optimum; it may overwrite w.
type solver func(p *problem, w []float64, o Options) solution

// minimise chooses a solver.
func (p *problem) minimise(o Options) solution {
	pairs := p.k * (p.k + 1) / 2
	newton := p.k*p.core <= newtonCore && pairs*p.params*p.core <= maxHessianSize
	var solve solver
	switch {
	case p.l1 > 0 && p.k*p.params <= lassoParams:
		solve = (*problem).proximalNewton
	case p.l1 > 0:
		solve = (*problem).orthantWise
	case newton:
		solve = (*problem).newton
	default:
		solve = (*problem).lbfgs
	}
	return p.warm(solve, o)
}

func (p *problem) warm(solve solver, o Options) solution {
	w := make([]float64, p.k*p.params)
	if p.n >= warmRows && !p.constant() {
		rough := o
		rough.Tolerance = math.Max(o.Tolerance, 1e-4)
		w = p.thin(warmStride).warm(solve, rough).w
	}
	return solve(p, w, o)
}

// noise is the relative error of an objective that cannot be told from its rounding.
const noise = 1e-11

// negligible reports whether a step that promises to lower the objective by decrease is not worth a pass.
func negligible(decrease, loss, tolerance float64) bool {
	return decrease <= float64(tolerance*(1+math.Abs(loss)))
}

// newton is Newton's method with step halving. It has converged when the quadratic model promises less than the tolerance,
// and then takes that last step too, which squares what is missing.
func (p *problem) newton(w []float64, o Options) solution {
	s := solution{w: w, solver: "newton"}
	now := p.pass(w, true, true)
	f, ok := p.factor(now)
	for ok && s.iterations < o.limit(100) {
		step := f.solve(now.gradient)
		decrease := dot(now.gradient, step)
		if !(decrease > 0) || negligible(decrease/2, now.loss, o.Tolerance) {
			s.converged = decrease >= 0 || negligible(-decrease, now.loss, noise)
			s.w, now.loss = p.last(s.w, step, now.loss)
			break
		}
		next, after, found := p.search(s.w, step, now.loss, decrease, !p.constant())
		if !found {
			s.converged = negligible(decrease/2, now.loss, noise)
			break
		}
		s.w, now = next, after
		s.iterations++
		if !p.constant() {
			f, ok = p.factor(now)
		}
	}
	s.objective = now.loss
	return s
}

// factor decomposes the Hessian. Where rounding has made it indefinite, a little more is added to its diagonal.
func (p *problem) factor(now sums) (*factor, bool) {
	for _, more := range []float64{0, 1e-12, 1e-9, 1e-6} {
		f, ok := now.curvature.factor(func(j int) float64 { return p.penalty(j) + float64(more*float64(p.n)) })
		if ok {
			return f, true
		}
	}
	return nil, false
}

// last takes a step of which no measurable progress is expected, unless it does harm.
func (p *problem) last(w, step []float64, loss float64) ([]float64, float64) {
	next := minus(w, step)
	if s := p.pass(next, false, false); s.loss <= loss {
		return next, s.loss
	}
	return w, loss
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

func minus(a, b []float64) []float64 {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return d
}
