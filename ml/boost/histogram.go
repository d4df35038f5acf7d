package boost

// search finds the best splits of a small node, whose rows the segments have counted, and of its sibling, whose histogram is
// still that of the parent; large is nil for a root, whose sum is found as well. Features are independent, and ties go to the
// first.
func (g *grower) search(small, large *leaf) {
	features := len(g.b.Columns)
	g.each(features, 2*len(small.histogram), func(f int) {
		from, to := g.offsets[f], g.offsets[f+1]
		h := small.histogram[from:to]
		copy(h, g.segments[0].counts[from:to])
		for i := range g.segments[1:] {
			for b, p := range g.segments[i+1].counts[from:to] {
				h[b].g += p.g
				h[b].hc += p.hc
			}
		}
		if large == nil {
			g.splits[f] = g.best(h, f, small, total(h))
			return
		}
		g.splits[f] = g.best(h, f, small, small.sum)
		parent := large.histogram[from:to]
		for b, p := range h {
			parent[b].g -= p.g
			parent[b].hc -= p.hc
		}
		g.splits[features+f] = g.best(parent, f, large, large.sum)
	})
	small.best = bestOf(g.splits[:features])
	if large != nil {
		large.best = bestOf(g.splits[features:])
	} else {
		small.sum = total(small.histogram[:g.offsets[1]])
		if !g.splittable(small) {
			small.best = split{}
		}
	}
}

// total adds up the bins of one feature.
func total(h []pair) (sum pair) {
	for _, p := range h {
		sum.g += p.g
		sum.hc += p.hc
	}
	return sum
}

func bestOf(splits []split) (best split) {
	for _, s := range splits {
		if s.gain > best.gain {
			best = s
		}
	}
	return best
}

// minHessian is the least sum of second derivatives on a side of a split.
const minHessian = 1e-3

// best returns the best cut of one feature of a node, with the sum of its rows.
func (g *grower) best(h []pair, f int, l *leaf, sum pair) split {
	if l.at > 0 && !g.splittable(l) { // a root's sum is not known yet
		return split{}
	}
	bins := len(h) - 1
	missing := h[bins]
	best := split{feature: f}
	g.walk(h[:bins], sum, pair{}, false, &best)
	if missing.hc != 0 {
		g.walk(h[:bins], sum, missing, true, &best)
	} else { // what was never met goes to the heavier side
		left := g.scale.rows(best.left)
		best.missingLeft = left >= g.scale.rows(sum)-left
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
