package leak

import (
	"slices"

	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
)

// rankedAUC is the area under the ROC curve when the rows of out are ranked by the feature alone. What the ranking needs
// to know is learned on p.
func (p part) rankedAUC(out part) float64 {
	if p.column.Type.Numeric() {
		return p.rankedNumber(out)
	}
	return p.rankedCategory(out)
}

// rankedNumber ranks by the number, up or down, with the missing values at one end or the other: as fits p best.
func (p part) rankedNumber(out part) float64 {
	in, later := rank(p.column.Num), rank(out.column.Num)
	return metrics.MeanOver(p.classes, func(class int) float64 {
		best, order := -1.0, way{}
		for _, w := range in.ways() {
			if a := metrics.AUC(in.scores(w), p.y, class); a > best {
				best, order = a, w
			}
		}
		return metrics.AUC(later.scores(order), out.y, class)
	})
}

// ranks are the places of numbers among the distinct ones, from 1 up, and 0 for a missing one.
type ranks struct {
	of       []int32
	distinct int
	missing  bool
}

// way is an order: numbers up or down, missing values lowest or highest.
type way struct{ down, missingHigh bool }

func rank(v []float64) ranks {
	distinct := make([]float64, 0, len(v))
	for _, x := range v {
		if x == x {
			distinct = append(distinct, x+0) // -0 becomes 0
		}
	}
	r := ranks{of: make([]int32, len(v)), missing: len(distinct) < len(v)}
	num.SortFloats(distinct)
	distinct = slices.Compact(distinct)
	r.distinct = len(distinct)
	for i, x := range v {
		if x == x {
			at, _ := slices.BinarySearch(distinct, x)
			r.of[i] = int32(at + 1)
		}
	}
	return r
}

// ways lists the orders that differ.
func (r ranks) ways() []way {
	if !r.missing {
		return []way{{}, {down: true}}
	}
	return []way{{}, {missingHigh: true}, {down: true}, {down: true, missingHigh: true}}
}

// scores orders the rows by numbers in [0, 1].
func (r ranks) scores(w way) []float64 {
	top := r.distinct + 1
	scores := make([]float64, len(r.of))
	for i, rank := range r.of {
		at := int(rank)
		switch {
		case rank == 0 && w.missingHigh:
			at = top
		case rank > 0 && w.down:
			at = top - at
		}
		scores[i] = float64(at) / float64(top)
	}
	return scores
}

// rankedCategory ranks by the smoothed share of the class in the rows of p that have the level, or no value. What p has
// not met counts as the average.
func (p part) rankedCategory(out part) float64 {
	counts := p.byLevel()
	code := make(map[string]int, len(p.column.Levels))
	for i, l := range p.column.Levels {
		code[l] = i
	}
	return metrics.MeanOver(p.classes, func(class int) float64 {
		overall := counts.overall(class)
		share := func(level int) float64 { return smoothed(counts.rows[level], counts.own(level, class), overall) }
		byLevel := make([]float64, len(out.column.Levels))
		for i, l := range out.column.Levels {
			byLevel[i] = overall
			if c, ok := code[l]; ok {
				byLevel[i] = share(c)
			}
		}
		missing := share(len(p.column.Levels))
		scores := make([]float64, len(out.y))
		for i, c := range out.column.Codes {
			scores[i] = missing
			if c >= 0 {
				scores[i] = byLevel[c]
			}
		}
		return metrics.AUC(scores, out.y, class)
	})
}
