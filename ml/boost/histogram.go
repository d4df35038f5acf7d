package boost

import "math/bits"

// rowsOfWork is the number of updates of histograms that are as much work as looking at a row elsewhere.
const rowsOfWork = 4

// search finds the best splits of a small node, whose histogram is empty, and of its sibling, whose histogram is still that
// of the parent; large is nil for a root. Features are independent, and ties go to the first.
func (g *grower) search(small, large *leaf) {
	features := len(g.b.Columns)
	rows := g.rows[small.from:small.to]
	for i, r := range rows {
		g.gather[i] = g.pairs[r]
	}
	work := func(group int) {
		first, last := group*together, min(features, (group+1)*together)
		g.count(small.histogram, rows, first, last)
		for f := first; f < last; f++ {
			h := small.histogram[g.offsets[f]:g.offsets[f+1]]
			g.splits[f] = g.best(h, f, small)
			if large == nil {
				continue
			}
			parent := large.histogram[g.offsets[f]:g.offsets[f+1]]
			for b, p := range h {
				parent[b].g -= p.g
				parent[b].hc -= p.hc
			}
			g.splits[features+f] = g.best(parent, f, large)
		}
	}
	groups := (features + together - 1) / together
	g.each(groups, len(rows)*features/rowsOfWork, work)
	small.best = bestOf(g.splits[:features])
	if large != nil {
		large.best = bestOf(g.splits[features:])
	}
}

func bestOf(splits []split) (best split) {
	for _, s := range splits {
		if s.gain > best.gain {
			best = s
		}
	}
	return best
}

// together is the number of features that are counted in one pass over the rows.
const together = 2

// count adds the rows to the bins of features first to last-1.
func (g *grower) count(h []pair, rows []int32, first, last int) {
	pairs := g.gather[:len(rows)]
	if last-first < together {
		column, bins := g.b.Columns[first], h[g.offsets[first]:g.offsets[first+1]]
		for i, r := range rows {
			bin := &bins[column[r]]
			bin.g += pairs[i].g
			bin.hc += pairs[i].hc
		}
		return
	}
	a, b := g.b.Columns[first], g.b.Columns[first+1]
	binsA, binsB := h[g.offsets[first]:g.offsets[first+1]], h[g.offsets[first+1]:g.offsets[first+2]]
	for i, r := range rows {
		p := pairs[i]
		bin := &binsA[a[r]]
		bin.g += p.g
		bin.hc += p.hc
		bin = &binsB[b[r]]
		bin.g += p.g
		bin.hc += p.hc
	}
}

// minHessian is the least sum of second derivatives on a side of a split.
const minHessian = 1e-3

// best returns the best cut of one feature of a node.
func (g *grower) best(h []pair, f int, l *leaf) split {
	if !g.splittable(l) {
		return split{}
	}
	bins := len(h) - 1
	missing := h[bins]
	best := split{feature: f}
	g.walk(h[:bins], l.sum, pair{}, false, &best)
	if missing.hc != 0 {
		g.walk(h[:bins], l.sum, missing, true, &best)
	} else { // what was never met goes to the heavier side
		left := g.scale.rows(best.left)
		best.missingLeft = left >= g.scale.rows(l.sum)-left
	}
	return best
}

// walk scores the cuts behind all bins that have rows, with left as what is on the left before the first.
func (g *grower) walk(bins []pair, sum, left pair, missingLeft bool, best *split) {
	gAll, hAll := g.sums(sum)
	before := float64(gAll*gAll) / (hAll + g.L2)
	least := max(best.gain, float64(before*0x1p-40)) // less is rounding
	count, mask := g.scale.count&63, uint64(1)<<g.scale.count-1
	gUnit, hUnit, l2 := g.gUnit, g.hUnit, g.L2
	total, minLeaf := sum.hc&mask, uint64(g.MinSamplesLeaf)
	for b := range bins {
		p := &bins[b]
		if p.hc == 0 {
			continue
		}
		left.g += p.g
		left.hc += p.hc
		rows := left.hc & mask
		if rows < minLeaf {
			continue
		}
		if total-rows < minLeaf {
			return // and so it is for all that follow
		}
		gl, hl := float64(float64(left.g)*gUnit), float64(float64(left.hc>>count)*hUnit)
		gr, hr := float64(float64(sum.g-left.g)*gUnit), float64(float64((sum.hc-left.hc)>>count)*hUnit)
		gain := float64(gl*gl)/(hl+l2) + float64(gr*gr)/(hr+l2) - before
		if gain > least && hl >= minHessian && hr >= minHessian {
			least = gain
			best.gain, best.cut, best.left, best.missingLeft = gain, b, left, missingLeft
		}
	}
}

// partition moves the rows of the left side of a leaf's split to the front, keeping both sides in order, and returns where
// the right side begins. Chunks are parted by themselves and then put together.
func (g *grower) partition(l *leaf) int {
	rows, temp := g.rows[l.from:l.to], g.temp[l.from:l.to]
	column := g.b.Columns[l.best.feature]
	missing := -1
	if l.best.missingLeft {
		missing = g.b.Bins[l.best.feature]
	}
	chunks := (len(rows) + chunk - 1) / chunk
	lefts := make([]int, chunks)
	g.each(chunks, len(rows), func(i int) {
		from, to := i*chunk, min(len(rows), (i+1)*chunk)
		lefts[i] = part(rows[from:to], temp[from:to], column, l.best.cut, missing)
	})
	toLeft := make([]int, chunks) // where each chunk's rows of the left side go
	toRight := make([]int, chunks)
	total := 0
	for i, n := range lefts {
		toLeft[i] = total
		total += n
	}
	right := total
	for i, n := range lefts {
		toRight[i] = right
		right += min(len(rows), (i+1)*chunk) - i*chunk - n
	}
	g.each(chunks, len(rows), func(i int) {
		from, to := i*chunk, min(len(rows), (i+1)*chunk)
		copy(rows[toLeft[i]:], temp[from:from+lefts[i]])
		copy(rows[toRight[i]:], temp[from+lefts[i]:to])
	})
	return l.from + total
}

// part writes the rows that go left to the front of into, those that go right behind them, both in their order, and returns
// how many go left. It has no branches for the data to mislead.
func part(rows, into []int32, column []uint8, cut, missing int) int {
	into = into[:len(rows)]
	nl, nr := 0, 0
	for _, r := range rows {
		code := int(column[r])
		if code == missing {
			code = 0
		}
		l := int(uint(code-cut-1) >> (bits.UintSize - 1))
		into[nl], rows[nr] = r, r
		nl += l
		nr += 1 - l
	}
	copy(into[nl:], rows[:nr])
	return nl
}
