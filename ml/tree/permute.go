package tree

import (
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
)

// permuteMemory bounds the sums that PredictPermuted keeps at a time, in bytes.
const permuteMemory = 64 << 20

// permutedTogether is the number of permutations that are looked at together: a bit each.
const permutedTogether = 64

// permuteRows is the number of rows that a goroutine takes through all trees at a time: few enough for their codes to stay
// in the cache, enough for the nodes of a tree to be worth a visit.
const permuteRows = 1 << 10

// PredictPermuted calls visit for every feature and every permutation of the rows with what Predict would give if row i had that feature's value of row permutation[i]. Calls come from several
// goroutines at once, in any order; proba is only valid during the call. It is nil for a feature that no node asks for,
// where nothing changes.
//
// It costs a fraction of as many predictions: all permutations go through a tree together, a row with its own values and
// with others in the same place as long as they take the same way.
func (m *Ensemble) PredictPermuted(columns []*frame.Column, permutations [][]int32, cores int, visit func(feature, permutation int, proba []float64)) error {
	return m.predictPermuted(columns, permutations, cores, permuteMemory, visit)
}

func (m *Ensemble) predictPermuted(columns []*frame.Column, permutations [][]int32, cores, memory int, visit func(feature, permutation int, proba []float64)) error {
	encoders, err := m.encoders(columns)
	if err != nil {
		return err
	}
	x := m.encode(encoders, 0, columns[0].Len())
	used := make([]bool, len(columns))
	m.inner(func(n *walker) { used[n.column>>1] = true })
	for r := 0; r < len(permutations); r += permutedTogether {
		p := permuter{m: m, x: x, width: m.width(), used: used, permutations: permutations[r:min(r+permutedTogether, len(permutations))]}
		step := max(1, memory/max(1, 8*p.width*x.rows*len(p.permutations)))
		for from := 0; from < len(columns); from += step {
			p.features(from, min(from+step, len(columns)), max(1, cores), func(f, permutation int, proba []float64) { visit(f, r+permutation, proba) })
		}
	}
	return nil
}

type permuter struct {
	m            *Ensemble
	x            *matrix
	width        int    // sums of a row
	used         []bool // features that some node asks for
	permutations [][]int32
	first, end   int // the features at hand

	// changes holds, for each feature at hand, row, permutation and sum of a row, by how much the sum differs from the
	// base; unsigned arithmetic wraps and comes back.
	base    []uint64
	changes []uint64
}

func (p *permuter) features(first, end, cores int, visit func(feature, permutation int, proba []float64)) {
	p.first, p.end = first, end
	if !slices.Contains(p.used[first:end], true) {
		p.unused(first, end, visit)
		return
	}
	p.base = make([]uint64, p.x.rows*p.width)
	p.changes = make([]uint64, (end-first)*len(p.permutations)*len(p.base))
	var g errgroup.Group
	g.SetLimit(cores)
	for from := 0; from < p.x.rows; from += permuteRows { // blocks of rows are independent
		g.Go(func() error {
			newBlockPermuter(p, from, min(permuteRows, p.x.rows-from)).run()
			return nil
		})
	}
	_ = g.Wait()
	for f := first; f < end; f++ {
		if !p.used[f] {
			p.unused(f, f+1, visit)
			continue
		}
		g.Go(func() error {
			sums := make([]uint64, len(p.base))
			proba := make([]float64, p.x.rows*p.m.outputs())
			for r := range p.permutations {
				p.sum(f, r, sums)
				p.m.finish(sums, proba)
				visit(f, r, proba)
			}
			return nil
		})
	}
	_ = g.Wait()
}

// unused visits features that change nothing.
func (p *permuter) unused(first, end int, visit func(feature, permutation int, proba []float64)) {
	for f := first; f < end; f++ {
		for r := range p.permutations {
			visit(f, r, nil)
		}
	}
}

// changesOf returns the changes of one row by feature f.
func (p *permuter) changesOf(f, row int) []uint64 {
	width := len(p.permutations) * p.width
	return p.changes[((f-p.first)*p.x.rows+row)*width:][:width]
}

// sum adds base and changes of feature f and permutation r.
func (p *permuter) sum(f, r int, sums []uint64) {
	width := p.width
	for i := range p.x.rows {
		for c, change := range p.changesOf(f, i)[r*width : (r+1)*width] {
			sums[i*width+c] = p.base[i*width+c] + change
		}
	}
}
