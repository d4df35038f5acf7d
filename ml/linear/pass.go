package linear

import (
	"golang.org/x/sync/errgroup"
)

// interceptPenalty is that on intercepts: it leaves them free but picks one of the equal solutions of several classes.
const interceptPenalty = 1e-8

// Rows are summed in chunks, of at least minChunk rows and never more than maxChunks, and added in order. Both are
// constants of the format of results: other numbers, other bits.
const (
	maxChunks = 16
	minChunk  = 2048
)

// blockRows is the number of rows whose scores are made together. It is one of the format's constants too.
const blockRows = 128

// problem is one fit: k linear functions of the rows of a design. What is minimised is the summed loss plus l1 times the
// absolute weights plus l2 times half their squares.
type problem struct {
	*design
	losses
	k      int
	l1, l2 float64
	cores  int
}

// sums is what one pass over the rows gives.
type sums struct {
	loss      float64
	gradient  []float64  // k x params
	curvature *curvature // nil unless asked for
}

// pass goes over all rows with the weights w. The penalty on absolute values is not in the sums.
func (p *problem) pass(w []float64, gradient, hessian bool) sums {
	parts := make([]sums, max(1, min(maxChunks, p.n/minChunk)))
	var g errgroup.Group
	g.SetLimit(p.cores)
	for i := range parts {
		g.Go(func() error {
			parts[i] = p.chunk(w, p.n*i/len(parts), p.n*(i+1)/len(parts), gradient, hessian)
			return nil
		})
	}
	_ = g.Wait()
	total := parts[0]
	for _, s := range parts[1:] {
		total.loss += s.loss
		if gradient {
			addTo(total.gradient, s.gradient)
		}
		if hessian {
			total.curvature.add(s.curvature)
		}
	}
	p.penalise(w, &total)
	return total
}

func (p *problem) chunk(w []float64, from, to int, gradient, hessian bool) sums {
	var s sums
	var curvatures, parts [][]float64
	scratch := make([]float64, p.d+1)
	if gradient {
		s.gradient = make([]float64, p.k*p.params)
	}
	if hessian {
		s.curvature = newCurvature(p.k, p.design)
		curvatures = lists(len(s.curvature.blocks))
		parts = make([][]float64, len(curvatures))
	}
	all := lists(p.k)
	scores := make([][]float64, p.k)
	for at := from; at < to; at += blockRows {
		n := min(blockRows, to-at)
		for a := range scores {
			scores[a] = all[a][:n]
			weights := w[a*p.params : (a+1)*p.params]
			for i := range n {
				scores[a][i] = p.score(at+i, weights)
			}
		}
		for i := range parts {
			parts[i] = curvatures[i][:n]
		}
		s.loss += p.block(at, scores, parts)
		if gradient {
			for a, slopes := range scores {
				for i, g := range slopes {
					p.addGradient(at+i, g, s.gradient[a*p.params:(a+1)*p.params])
				}
			}
		}
		for i, h := range parts {
			p.addRows(s.curvature.blocks[i], s.curvature.diag[i], at, h, scratch)
		}
	}
	return s
}

func lists(n int) [][]float64 {
	l := make([][]float64, n)
	for i := range l {
		l[i] = make([]float64, blockRows)
	}
	return l
}

// penalty returns the penalty on half the square of weight j of each function, and lasso that on its absolute value.
func (p *problem) penalty(j int) float64 {
	if j == p.d {
		return interceptPenalty
	}
	return p.l2
}

func (p *problem) lasso(j int) float64 {
	if j == p.d {
		return 0
	}
	return p.l1
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

// thin returns the problem of every stride-th row, with a penalty that is as much smaller as its loss.
func (p *problem) thin(stride int) *problem {
	t := *p
	t.design, t.losses = p.design.thin(stride), p.losses.thin(stride)
	share := float64(t.n) / float64(p.n)
	t.l1, t.l2 = p.l1*share, p.l2*share
	return &t
}
