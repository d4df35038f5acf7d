package tree

import (
	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
)

// permuteMemory bounds the sums that PredictPermuted keeps at a time, in bytes.
const permuteMemory = 64 << 20

// PredictPermuted calls visit for every feature and every permutation of the rows with the class shares (n x classes,
// row-major) that Predict would give if row i had that feature's value of row permutation[i]. Calls come from several
// goroutines at once, in any order; proba is only valid during the call.
//
// It costs a fraction of as many predictions: of every path through a tree only what lies behind the first node that
// asks for the feature is walked again.
func (m *Ensemble) PredictPermuted(columns []*frame.Column, permutations [][]int32, cores int, visit func(feature, permutation int, proba []float64)) error {
	encoders, err := m.encoders(columns)
	if err != nil {
		return err
	}
	p := permuter{m: m, x: m.encode(encoders, 0, columns[0].Len()), nodes: m.walkers(), permutations: permutations}
	perFeature := 8 * (m.classes - 1) * p.x.rows * len(permutations)
	step := max(1, permuteMemory/max(1, perFeature))
	for from := 0; from < len(columns); from += step {
		if err := p.features(from, min(from+step, len(columns)), max(1, cores), visit); err != nil {
			return err
		}
	}
	return nil
}

type permuter struct {
	m            *Ensemble
	x            *Matrix
	nodes        []walker
	permutations [][]int32
	first, end   int // the features at hand

	// changes holds, for each feature at hand, permutation, row and class after the first, by how much the sum of shares
	// differs from the base; unsigned arithmetic wraps and comes back.
	base    []uint64
	changes []uint64
}

func (p *permuter) features(first, end, cores int, visit func(feature, permutation int, proba []float64)) error {
	width := p.m.classes - 1
	p.first, p.end = first, end
	p.base = make([]uint64, p.x.rows*width)
	p.changes = make([]uint64, (end-first)*len(p.permutations)*p.x.rows*width)
	var g errgroup.Group
	g.SetLimit(cores)
	// Blocks of rows are independent. A block is small enough for its codes to stay in the cache, tree after tree.
	for from := 0; from < p.x.rows; from += rowBlock / 4 {
		g.Go(func() error {
			p.rows(from, min(from+rowBlock/4, p.x.rows))
			return nil
		})
	}
	_ = g.Wait()
	for f := first; f < end; f++ {
		g.Go(func() error {
			sums := make([]uint64, len(p.base))
			proba := make([]float64, p.x.rows*p.m.classes)
			for r := range p.permutations {
				changes := p.changes[((f-first)*len(p.permutations)+r)*len(p.base):][:len(p.base)]
				for i, b := range p.base {
					sums[i] = b + changes[i]
				}
				p.m.finish(sums, proba)
				visit(f, r, proba)
			}
			return nil
		})
	}
	return g.Wait()
}

// rows walks rows [from, to) through every tree, and again from the first node of each feature on the path.
func (p *permuter) rows(from, to int) {
	m := p.m
	firstAt := make([]uint32, len(m.features)) // the first node on the path that asks for the feature
	seen := make([]int32, 0, len(m.features))
	const none = ^uint32(0)
	for f := range firstAt {
		firstAt[f] = none
	}
	for _, root := range m.roots {
		for i := from; i < to; i++ {
			row := p.x.codes[i*p.x.width : (i+1)*p.x.width]
			at := root
			for {
				n := p.nodes[at]
				next := n.left + uint32(int32(n.cut)-int32(row[n.column]))>>31
				if next == at {
					break
				}
				if f := n.column >> 1; firstAt[f] == none {
					firstAt[f] = at
					seen = append(seen, int32(f))
				}
				at = next
			}
			m.addLeaf(p.base, i, at)
			for _, f := range seen {
				if int(f) >= p.first && int(f) < p.end {
					p.again(i, int(f), firstAt[f], at, row)
				}
				firstAt[f] = none
			}
			seen = seen[:0]
		}
	}
}

// again walks row i on from node start with the values that the permutations give feature f. Leaf is where the row ends
// with its own.
func (p *permuter) again(i, f int, start, leaf uint32, row []uint16) {
	width := p.m.classes - 1
	own := row[2*f+1]
	for r, permutation := range p.permutations {
		other := p.x.codes[int(permutation[i])*p.x.width+2*f:]
		if other[1] == own {
			continue // the same value: both codes follow from it
		}
		codes := [2]uint16{other[0], other[1]}
		at := start
		for {
			n := p.nodes[at]
			code := row[n.column]
			if int(n.column>>1) == f {
				code = codes[n.column&1]
			}
			next := n.left + uint32(int32(n.cut)-int32(code))>>31
			if next == at {
				break
			}
			at = next
		}
		if at == leaf {
			continue
		}
		changes := p.changes[((f-p.first)*len(p.permutations)+r)*len(p.base)+i*width:][:width]
		for c := range changes {
			changes[c] += uint64(p.m.value[int(at)*width+c]) - uint64(p.m.value[int(leaf)*width+c])
		}
	}
}
