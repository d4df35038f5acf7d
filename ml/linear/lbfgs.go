package linear

import "math"

// memory is the number of steps that L-BFGS remembers.
const memory = 10

// lbfgs minimises by limited-memory BFGS (Nocedal and Wright: Numerical Optimization, 2006, algorithm 7.4), in
// coordinates scaled by the diagonal of the Hessian at zero, with step halving. It serves problems whose Hessian is too
// large to be solved.
func (p *problem) lbfgs(o Options) solution {
	n := p.k * p.params
	s := solution{w: make([]float64, n), solver: "lbfgs"}
	limit := o.MaxIter
	if limit == 0 {
		limit = 1000
	}
	scale := p.diagonal()
	var steps, changes [][]float64
	now := p.pass(s.w, true, false)
	for s.iterations < limit {
		direction := twoLoop(now.gradient, scale, steps, changes)
		decrease := dot(now.gradient, direction)
		if !(decrease > 0) {
			break
		}
		if decrease/2 <= float64(o.Tolerance*(1+math.Abs(now.loss))) {
			s.converged = true
			break
		}
		next, after, ok := p.search(s.w, direction, now.loss, decrease, false)
		if !ok {
			s.converged = true
			break
		}
		s.iterations++
		step, change := minus(next, s.w), minus(after.gradient, now.gradient)
		if dot(step, change) > 0 { // else the memory would lose its positive curvature
			steps, changes = append(steps, step), append(changes, change)
			if len(steps) > memory {
				steps, changes = steps[1:], changes[1:]
			}
		}
		s.w, now = next, after
	}
	s.objective = float64(now.loss * p.c)
	return s
}

// diagonal returns the inverse of the diagonal of the Hessian at zero, where every class has the probability 1/classes.
func (p *problem) diagonal() []float64 {
	squares := make([]float64, p.params)
	for r := range p.n {
		for j, x := range p.x[r*p.d : (r+1)*p.d] {
			squares[j] += float64(x * x)
		}
		for _, c := range p.design.c[r*p.cats : (r+1)*p.cats] {
			squares[c]++
		}
	}
	squares[p.d] = float64(p.n)
	share := 1 / float64(p.classes)
	curvature := float64(share * (1 - share))
	scale := make([]float64, p.k*p.params)
	for i := range scale {
		j := i % p.params
		scale[i] = 1 / (float64(curvature*squares[j]) + p.penalty(j))
	}
	return scale
}

// twoLoop returns the direction against the gradient, to be subtracted.
func twoLoop(gradient, scale []float64, steps, changes [][]float64) []float64 {
	q := append([]float64(nil), gradient...)
	alpha := make([]float64, len(steps))
	for i := len(steps) - 1; i >= 0; i-- {
		alpha[i] = dot(steps[i], q) / dot(steps[i], changes[i])
		for j, v := range changes[i] {
			q[j] -= float64(alpha[i] * v)
		}
	}
	for j := range q {
		q[j] *= scale[j]
	}
	for i := range steps {
		beta := dot(changes[i], q) / dot(steps[i], changes[i])
		for j, v := range steps[i] {
			q[j] += float64((alpha[i] - beta) * v)
		}
	}
	return q
}

func dot(a, b []float64) float64 {
	s := 0.0
	for i, v := range a {
		s += float64(v * b[i])
	}
	return s
}

func minus(a, b []float64) []float64 {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return d
}
