package tree

import (
	"math"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/num"
)

// growForest grows the trees of m in parallel, a goroutine each; they stand in the order of their numbers.
func growForest[T uint8 | uint16](m *Ensemble, d *data[T], bootstrapped bool) {
	m.trees = make([]grown, d.opts.Trees)
	next := make(chan int, len(m.trees))
	for t := range m.trees {
		next <- t
	}
	close(next)
	var unseen *unseenRows
	if d.opts.OutOfBag && bootstrapped {
		unseen = newUnseenRows(m, d.rows())
	}
	var g errgroup.Group
	for range min(d.opts.Cores, len(m.trees)) {
		g.Go(func() error {
			grower := newGrower(d, 1)
			weights := make([]uint16, d.rows())
			for t := range next {
				grower.rng = num.NewRNG(d.opts.Seed, uint64(t))
				if bootstrapped {
					bootstrap(grower.rng, weights)
					grower.start(weights)
				} else {
					grower.start(nil)
				}
				grower.grow()
				m.trees[t] = grower.take()
				if unseen != nil {
					addUnseen(unseen, d, t, weights)
				}
			}
			return nil
		})
	}
	_ = g.Wait()
	if unseen != nil {
		m.outOfBag = unseen.judge(d.training)
	}
}

// bootstrap draws as many rows as there are, with replacement, as counts.
func bootstrap(rng *num.RNG, weights []uint16) {
	clear(weights)
	n := len(weights)
	for range n {
		if i := rng.Intn(n); weights[i] < math.MaxUint16 {
			weights[i]++
		}
	}
}

// unseenRows adds up what trees say of rows that they have not seen. Sums are of integers, so any order will do.
type unseenRows struct {
	m     *Ensemble
	mu    sync.Mutex
	total []uint64 // n x width
	trees []uint32 // n: how many trees have not seen the row
}

func newUnseenRows(m *Ensemble, rows int) *unseenRows {
	return &unseenRows{m: m, total: make([]uint64, rows*m.width()), trees: make([]uint32, rows)}
}

// addUnseen takes the rows without weight down tree t.
func addUnseen[T uint8 | uint16](u *unseenRows, d *data[T], t int, weights []uint16) {
	nodes := u.m.trees[t].nodes
	leaves := make([]uint32, len(weights))
	for i, w := range weights {
		if w > 0 {
			continue
		}
		at := uint32(0)
		for n := nodes[0]; n.cut != leafCut; n = nodes[at] {
			f := n.column >> 1
			code, missing := int(d.columns[f][i]), d.bins[f]
			right := code > int(n.cut)
			if code == missing {
				right = n.column&1 == 1
			}
			at = n.left
			if right {
				at++
			}
		}
		leaves[i] = at
	}
	width := u.m.width()
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, w := range weights {
		if w == 0 {
			u.m.addLeaf(t, leaves[i], u.total[i*width:(i+1)*width], 1)
			u.trees[i]++
		}
	}
}

// judge compares with the truth: accuracy of classes, R2 of numbers.
func (u *unseenRows) judge(t *training) *OutOfBag {
	o := &OutOfBag{}
	width := u.m.width()
	hits := 0
	var truth, guess []float64
	for i, n := range u.trees {
		if n == 0 {
			continue
		}
		o.Rows++
		row := u.total[i*width : (i+1)*width]
		if t.classes == 0 {
			truth = append(truth, t.target[i])
			guess = append(guess, float64(int64(row[0]))/float64(n)*math.Ldexp(1, u.m.exponent))
		} else if mostShares(row, uint64(n)*unit) == t.y[i] {
			hits++
		}
	}
	o.Score = num.Float(math.NaN())
	switch {
	case o.Rows == 0:
	case t.classes == 0:
		o.Score = num.Float(determination(truth, guess))
	default:
		o.Score = num.Float(float64(hits) / float64(o.Rows))
	}
	return o
}

// mostShares returns the class with the most shares of the whole, the first of equals; of two the second of equals.
func mostShares(row []uint64, whole uint64) int32 {
	if len(row) == 1 {
		if 2*row[0] >= whole {
			return 1
		}
		return 0
	}
	rest := whole
	for _, s := range row {
		rest -= min(rest, s)
	}
	best, most := int32(0), rest
	for c, s := range row {
		if s > most {
			best, most = int32(c)+1, s
		}
	}
	return best
}

// determination is R2: 1 less the squared errors over the squared distances from the mean.
func determination(truth, guess []float64) float64 {
	mean := num.Sum(truth) / float64(len(truth))
	errs, spread := make([]float64, len(truth)), make([]float64, len(truth))
	for i, v := range truth {
		errs[i] = float64((v - guess[i]) * (v - guess[i]))
		spread[i] = float64((v - mean) * (v - mean))
	}
	return 1 - num.Sum(errs)/num.Sum(spread)
}
