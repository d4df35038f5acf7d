package boost

import (
	"math"
	"slices"
	"sync"

	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/tree"
)

// chunk is the number of rows that a goroutine takes at a time.
const chunk = 16 << 10

// fitter boosts trees.
type fitter struct {
	Options
	b      *tree.Binned
	l      loss
	n      int     // rows
	train  []int32 // rows to grow trees on
	held   []int32 // rows to stop by
	scores []int64 // of all rows, output by output
	pairs  []pair  // of all rows, for the tree at hand
	trees  [][]tree.SumNode
}

func fit(b *tree.Binned, l loss, o Options) (*tree.Ensemble, error) {
	f := &fitter{Options: o, b: b, l: l, n: len(b.Columns[0])}
	f.split()
	f.pairs = make([]pair, f.n)
	f.scores = make([]int64, f.n*l.outputs())
	for c, base := range l.base() {
		for i := range f.n {
			f.scores[c*f.n+i] = base
		}
	}
	f.boost()
	return b.Sum(l.base(), l.exponent(), f.trees)
}

// split holds rows back where the fit may stop early.
func (f *fitter) split() {
	f.train = make([]int32, f.n)
	for i := range f.train {
		f.train[i] = int32(i)
	}
	held := int(float64(f.ValidationFraction * float64(f.n)))
	if !f.EarlyStopping || held < 1 || held >= f.n {
		return
	}
	num.NewRNG(f.Seed, 0x76616c).Perm(f.train)
	f.held = slices.Clone(f.train[:held])
	f.train = f.train[held:]
	slices.Sort(f.train)
	slices.Sort(f.held)
}

// boost runs the rounds.
func (f *fitter) boost() {
	g := newGrower(f)
	best, bestRound := math.Inf(1), 0
	for round := range f.Iterations {
		for output := range f.l.outputs() {
			s := f.l.scaleOf(f.scores, len(f.train))
			f.parallel(f.n, func(from, to int) { f.l.pairs(&s, f.scores, f.n, output, from, to, f.pairs) })
			nodes := g.grow(s)
			g.addLeaves(nodes, f.scores[output*f.n:(output+1)*f.n])
			f.trees = append(f.trees, nodes)
		}
		if f.held == nil {
			continue
		}
		if now := num.Sum(f.l.of(f.scores, f.n, f.held)) / float64(len(f.held)); now < best-f.Tol || round == 0 {
			best, bestRound = now, round
		}
		if round-bestRound >= f.NoChange {
			break
		}
	}
	if f.held != nil {
		f.trees = f.trees[:(bestRound+1)*f.l.outputs()]
	}
}

// parallel calls f for chunks of n rows.
func (f *fitter) parallel(n int, work func(from, to int)) {
	chunks := (n + chunk - 1) / chunk
	f.each(chunks, n, func(i int) { work(i*chunk, min(n, (i+1)*chunk)) })
}

// each calls work for 0 to n-1, which are to look at so many rows, from up to Cores goroutines where that is worth it.
func (f *fitter) each(n, rows int, work func(i int)) {
	workers := min(f.Cores, n)
	if workers <= 1 || rows < chunk {
		for i := range n {
			work(i)
		}
		return
	}
	var next counter
	var wg sync.WaitGroup
	for range workers - 1 {
		wg.Go(func() { next.drain(n, work) })
	}
	next.drain(n, work)
	wg.Wait()
}
