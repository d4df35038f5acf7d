package linear

import "math"

// composite is the smooth loss plus the penalty on absolute values.
func (p *problem) composite(loss float64, w []float64) float64 {
	for i, v := range w {
		loss += float64(p.lasso(i%p.params) * math.Abs(v))
	}
	return loss
}

// proximalNewton minimises a loss with a penalty on absolute values: at each step the quadratic model plus that penalty is
// minimised by coordinate descent (Lee, Sun and Saunders: Proximal Newton-type methods for minimizing composite functions,
// 2014), and the step is halved until the objective falls enough. It has converged when the model promises less than the
// tolerance.
func (p *problem) proximalNewton(w []float64, o Options) solution {
	s := solution{w: w, solver: "proximal newton"}
	now := p.pass(w, true, true)
	f := p.composite(now.loss, w)
	h := p.dense(now.curvature, nil)
	for s.iterations < o.limit(100) {
		target := p.descend(h, now.gradient, s.w)
		decrease := 0.0
		for i, v := range target {
			decrease -= float64(now.gradient[i]*(v-s.w[i])) + float64(p.lasso(i%p.params)*(math.Abs(v)-math.Abs(s.w[i])))
		}
		if !(decrease > 0) || negligible(decrease/2, f, o.Tolerance) {
			s.converged = decrease >= 0 || negligible(-decrease, f, noise)
			if last := p.composite(p.pass(target, false, false).loss, target); last <= f {
				s.w, f = target, last
			}
			break
		}
		next, after, value, ok := p.searchComposite(s.w, target, f, decrease)
		if !ok {
			s.converged = negligible(decrease/2, f, noise)
			break
		}
		s.w, now, f = next, after, value
		s.iterations++
		if !p.constant() {
			h = p.dense(now.curvature, h)
		}
	}
	s.objective = f
	return s
}

func (p *problem) searchComposite(w, target []float64, f, decrease float64) ([]float64, sums, float64, bool) {
	next := make([]float64, len(w))
	for t := 1.0; t > 1e-10; t /= 2 {
		copy(next, target)
		if t < 1 {
			for i := range w {
				next[i] = w[i] + float64(t*(target[i]-w[i]))
			}
		}
		s := p.pass(next, true, !p.constant())
		if value := p.composite(s.loss, next); value <= f-float64(float64(1e-4*t)*decrease) {
			return next, s, value, true
		}
	}
	return nil, sums{}, 0, false
}

// dense writes the Hessian, with the penalty on squares, as a full matrix of (k params)^2 numbers into h if it is one.
func (p *problem) dense(c *curvature, h []float64) []float64 {
	n := p.k * p.params
	if h == nil {
		h = make([]float64, n*n)
	}
	for a := range p.k {
		for b := range a + 1 {
			for i := range p.params {
				for j := range p.params {
					v := c.at(a, b, i, j)
					if a == b && i == j {
						v += p.penalty(i)
					}
					h[(a*p.params+i)*n+b*p.params+j] = v
					h[(b*p.params+j)*n+a*p.params+i] = v
				}
			}
		}
	}
	return h
}

// maxSweeps bounds a coordinate descent.
const maxSweeps = 1000

// descend minimises g'(z-w) + (z-w)'h(z-w)/2 + the penalty on |z|, one weight at a time from w. Between sweeps over all
// weights, those that are not 0 are gone over until they rest.
func (p *problem) descend(h, g, w []float64) []float64 {
	n := len(w)
	z := append([]float64(nil), w...)
	slope := append([]float64(nil), g...) // of the quadratic at z
	first := 0.0
	for sweep, all := 0, true; sweep < maxSweeps; sweep++ {
		moved := 0.0
		for i := range z {
			if all || z[i] != 0 {
				moved += p.coordinate(h[i*n:(i+1)*n], i, slope, z)
			}
		}
		first = max(first, moved)
		rests := moved <= float64(1e-16*first)
		if rests && all {
			break
		}
		all = rests
	}
	return z
}

// coordinate moves weight i to the minimum along it and returns how far, in units of the objective.
func (p *problem) coordinate(h []float64, i int, slope, z []float64) float64 {
	if !(h[i] > 0) {
		return 0
	}
	u := z[i] - slope[i]/h[i]
	threshold := p.lasso(i%p.params) / h[i]
	to := math.Copysign(max(0, math.Abs(u)-threshold), u)
	by := to - z[i]
	if by == 0 {
		return 0
	}
	z[i] = to
	axpy(slope, by, h)
	return float64(float64(by*by) * h[i])
}

// orthantWise is L-BFGS for a penalty on absolute values (Andrew and Gao: Scalable training of L1-regularized log-linear
// models, 2007): a step stays in the orthant that the weights and their slopes choose, where the penalty is linear. It
// serves problems whose Hessian is too large.
func (p *problem) orthantWise(w []float64, o Options) solution {
	s := solution{w: w, solver: "orthant-wise lbfgs"}
	base := p.diagonal(p.share())
	var h history
	now := p.pass(w, true, false)
	f := p.composite(now.loss, w)
	small := 0
	for s.iterations < o.limit(2000) {
		pseudo := p.pseudoGradient(s.w, now.gradient)
		step := h.direction(pseudo, base)
		for i, g := range pseudo {
			if float64(step[i]*g) <= 0 {
				step[i] = 0
			}
		}
		decrease := dot(pseudo, step)
		if !(decrease > 0) {
			s.converged = decrease == 0
			break
		}
		small++
		if !negligible(decrease/2, f, o.Tolerance) {
			small = 0
		}
		next, after, value, ok := p.searchOrthant(s.w, step, pseudo, f)
		if !ok {
			s.converged = negligible(decrease/2, f, noise)
			break
		}
		s.iterations++
		h.add(minus(next, s.w), minus(after.gradient, now.gradient))
		s.w, now, f = next, after, value
		if small == 3 {
			s.converged = true
			break
		}
	}
	s.objective = f
	return s
}

// pseudoGradient is the slope of the objective, at a weight of 0 that of the side on which it falls, or 0 if it rises on
// both.
func (p *problem) pseudoGradient(w, gradient []float64) []float64 {
	g := make([]float64, len(w))
	for i, v := range gradient {
		lambda := p.lasso(i % p.params)
		switch {
		case w[i] > 0:
			g[i] = v + lambda
		case w[i] < 0:
			g[i] = v - lambda
		case v > lambda:
			g[i] = v - lambda
		case v < -lambda:
			g[i] = v + lambda
		}
	}
	return g
}

func (p *problem) searchOrthant(w, step, pseudo []float64, f float64) ([]float64, sums, float64, bool) {
	next := make([]float64, len(w))
	for t := 1.0; t > 1e-10; t /= 2 {
		promise := 0.0
		for i, v := range w {
			next[i] = v - float64(t*step[i])
			sign := v
			if v == 0 {
				sign = -pseudo[i]
			}
			if float64(next[i]*sign) < 0 && p.lasso(i%p.params) > 0 {
				next[i] = 0
			}
			promise += float64(pseudo[i] * (v - next[i]))
		}
		s := p.pass(next, true, false)
		if value := p.composite(s.loss, next); value <= f-float64(1e-4*promise) {
			return next, s, value, true
		}
	}
	return nil, sums{}, 0, false
}
