package boost

import (
	"math"
	"slices"

	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/tree"
)

// fitter boosts trees.
type fitter struct {
	Options
	b      *tree.Binned
	l      loss
	n      int      // rows
	train  []int32  // rows to grow trees on
	held   []int32  // rows to stop by
	scores []int64  // of all rows, output by output
	words  []uint64 // of all rows, for the tree at hand
	trees  [][]tree.SumNode
}

func fit(b *tree.Binned, l loss, o Options) (*tree.Ensemble, error) {
	f := &fitter{Options: o, b: b, l: l, n: len(b.Columns[0])}
	f.split()
	f.words = make([]uint64, f.n)
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
	defer g.crew.stop()
	best, bestRound := math.Inf(1), 0
	for round := range f.Iterations {
		for output := range f.l.outputs() {
			nodes := g.grow(output)
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
