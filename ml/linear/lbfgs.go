package linear

// memory is the number of steps that L-BFGS remembers.
const memory = 20

// history is what L-BFGS remembers: the last steps and the changes of the gradient along them.
type history struct {
	steps, changes [][]float64
	curvatures     []float64 // step x change
}

func (h *history) add(step, change []float64) {
	c := dot(step, change)
	if !(c > 0) { // else the memory would lose its positive curvature
		return
	}
	h.steps, h.changes, h.curvatures = append(h.steps, step), append(h.changes, change), append(h.curvatures, c)
	if len(h.steps) > memory {
		h.steps, h.changes, h.curvatures = h.steps[1:], h.changes[1:], h.curvatures[1:]
	}
}

// direction is the two-loop recursion (Nocedal and Wright: Numerical Optimization, 2006, algorithm 7.4): the step against
// the gradient, to be subtracted. base applies the inverse of a first guess of the Hessian.
func (h *history) direction(gradient []float64, base func([]float64) []float64) []float64 {
	q := append([]float64(nil), gradient...)
	alpha := make([]float64, len(h.steps))
	for i := len(h.steps) - 1; i >= 0; i-- {
		alpha[i] = dot(h.steps[i], q) / h.curvatures[i]
		axpy(q, -alpha[i], h.changes[i])
	}
	q = base(q)
	for i, step := range h.steps {
		axpy(q, alpha[i]-dot(h.changes[i], q)/h.curvatures[i], step)
	}
	return q
}

// lbfgs minimises by limited-memory BFGS with step halving. Its first guess of the Hessian is that at zero: see
// precondition. It has converged when two steps in turn promise less than the tolerance.
func (p *problem) lbfgs(w []float64, o Options) solution {
	s := solution{w: w, solver: "lbfgs"}
	base := p.precondition()
	var h history
	now := p.pass(w, true, false)
	small := 0
	for s.iterations < o.limit(1000) {
		step := h.direction(now.gradient, base)
		decrease := dot(now.gradient, step)
		if !(decrease > 0) {
			s.converged = decrease == 0
			break
		}
		small++
		if !negligible(decrease/2, now.loss, o.Tolerance) {
			small = 0
		}
		next, after, ok := p.search(s.w, step, now.loss, decrease, false)
		if !ok {
			s.converged = negligible(decrease/2, now.loss, noise)
			break
		}
		s.iterations++
		h.add(minus(next, s.w), minus(after.gradient, now.gradient))
		s.w, now = next, after
		if small == 2 {
			s.converged = true
			break
		}
	}
	s.objective = now.loss
	return s
}

// precondition returns the inverse of a bound on the Hessian that is cheap to apply. With k classes of equal probability the
// Hessian is that of one function on all rows times 1/k for each class, less what they share (Böhning: Multinomial logistic
// regression algorithm, 1992), so one decomposition serves all. Where even that is too large, its diagonal serves.
func (p *problem) precondition() func([]float64) []float64 {
	share := p.share()
	if p.core <= newtonCore && p.params*p.core <= maxHessianSize {
		if f, ok := p.gram(share).factor(p.penalty); ok {
			return func(g []float64) []float64 {
				x := make([]float64, 0, len(g))
				for a := range p.k {
					x = append(x, f.solve(g[a*p.params:(a+1)*p.params])...)
				}
				return x
			}
		}
	}
	return p.diagonal(share)
}

// share is the curvature of a row for one function at zero.
func (p *problem) share() float64 {
	if p.k == 1 {
		return 0.25
	}
	return 1 / float64(p.k)
}

// gram is the Hessian of one function whose curvature is share in every row.
func (p *problem) gram(share float64) *curvature {
	one := &problem{design: p.design, losses: &flat{n: p.n, share: share}, k: 1, l2: p.l2, cores: p.cores}
	return one.pass(make([]float64, p.params), false, true).curvature
}

// flat has the same curvature in every row and nothing else.
type flat struct {
	n     int
	share float64
}

func (l *flat) functions() int    { return 1 }
func (l *flat) constant() bool    { return true }
func (l *flat) thin(s int) losses { return &flat{(l.n + s - 1) / s, l.share} }

func (l *flat) block(_ int, scores, curvatures [][]float64) float64 {
	for i := range scores[0] {
		scores[0][i] = 0
		if curvatures != nil {
			curvatures[0][i] = l.share
		}
	}
	return 0
}

// diagonal applies the inverse of the diagonal of gram.
func (p *problem) diagonal(share float64) func([]float64) []float64 {
	scale := make([]float64, p.params)
	for r := range p.n {
		x, c := p.row(r)
		for j, v := range x {
			scale[j] += float64(v * v)
		}
		for _, i := range c {
			scale[i]++
		}
	}
	for j, s := range scale {
		scale[j] = 1
		if h := float64(share*s) + p.penalty(j); h > 0 { // else no row and no penalty knows of the weight
			scale[j] = 1 / h
		}
	}
	return func(g []float64) []float64 {
		for i := range g {
			g[i] *= scale[i%p.params]
		}
		return g
	}
}
