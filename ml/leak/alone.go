package leak

import (
	"cmp"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/metrics"
)

// maxDepth gives trees of at most 8 leaves.
const maxDepth = 3

// line holds the rows of one feature in the order in which a tree may cut them: how many there are in each bin, and how
// many of these are of the class.
type line struct {
	all, own               []int64 // sums of the bins before: one element more than there are bins
	missingAll, missingOwn int64
}

func newLine(bins int) *line {
	return &line{all: make([]int64, 1, bins+1), own: make([]int64, 1, bins+1)}
}

func (l *line) add(all, own int64) {
	l.all = append(l.all, l.all[len(l.all)-1]+all)
	l.own = append(l.own, l.own[len(l.own)-1]+own)
}

// leaf is a run of bins, and whether missing values belong to it.
type leaf struct {
	from, to int
	missing  bool
}

// count returns the rows of a leaf, and those of the class.
func (l *line) count(f leaf) (all, own int64) {
	all, own = l.all[f.to]-l.all[f.from], l.own[f.to]-l.own[f.from]
	if f.missing {
		all, own = all+l.missingAll, own+l.missingOwn
	}
	return all, own
}

// grow returns the leaves of the tree below a node: at every node the purest cut, as package tree makes it.
func (l *line) grow(f leaf, depth int) []leaf {
	left, right, ok := l.split(f)
	if depth == 0 || !ok {
		return []leaf{f}
	}
	return append(l.grow(left, depth-1), l.grow(right, depth-1)...)
}

func (l *line) split(f leaf) (left, right leaf, ok bool) {
	all, own := l.count(f)
	if own == 0 || own == all {
		return left, right, false
	}
	best := float64(uint64(own*own)+uint64((all-own)*(all-own)))/float64(all) + 1e-9
	try := func(a, b leaf) {
		n, k := l.count(a)
		if n == 0 || n == all {
			return
		}
		m, j := all-n, own-k
		score := float64(uint64(k*k)+uint64((n-k)*(n-k)))/float64(n) + float64(uint64(j*j)+uint64((m-j)*(m-j)))/float64(m)
		if score > best {
			best, left, right, ok = score, a, b, true
		}
	}
	for cut := f.from + 1; cut <= f.to; cut++ {
		try(leaf{f.from, cut, false}, leaf{cut, f.to, f.missing})
		if f.missing {
			try(leaf{f.from, cut, true}, leaf{cut, f.to, false})
		}
	}
	return left, right, ok
}

// auc judges the leaves of a tree grown on l by the rows of judged: the area under the ROC curve when rows are ranked by
// the share of the class in their leaf. NaN when judged has no row of the class, or only such.
func (l *line) auc(judged *line) float64 {
	leaves := l.grow(leaf{0, len(l.all) - 1, true}, maxDepth)
	slices.SortStableFunc(leaves, func(a, b leaf) int {
		n, k := l.count(a)
		m, j := l.count(b)
		return cmp.Compare(float64(k)/float64(n), float64(j)/float64(m))
	})
	var twice uint64
	var others, owns int64
	for i := 0; i < len(leaves); {
		n, k := l.count(leaves[i])
		share := float64(k) / float64(n)
		var all, own int64
		for ; i < len(leaves); i++ {
			if n, k = l.count(leaves[i]); float64(k)/float64(n) != share {
				break
			}
			a, o := judged.count(leaves[i])
			all, own = all+a, own+o
		}
		twice += uint64(own) * uint64(2*others+all-own)
		others, owns = others+all-own, owns+own
	}
	return float64(twice) / (2 * float64(others) * float64(owns))
}

// numberAlone returns the area of a tree of at most 8 leaves on the rows that it was grown on; s is the feature's stump.
func (p part) numberAlone(s stump) float64 {
	k, bins := p.classes, s.binning.Bins()
	rows := make([]int64, bins+1)
	for i, n := range s.counts {
		rows[i/k] += n
	}
	return metrics.MeanOver(k, func(class int) float64 {
		l := newLine(bins)
		for b, all := range rows[:bins] {
			l.add(all, s.counts[b*k+class])
		}
		l.missingAll, l.missingOwn = rows[bins], s.counts[bins*k+class]
		return l.auc(l)
	})
}

// categoryAlone returns the area of trees grown on one half and judged on the other.
func categoryAlone(a, b part) float64 {
	inA, inB := a.byLevel(), b.byLevel()
	return metrics.MeanOver(a.classes, func(class int) float64 {
		sum, n := 0.0, 0
		for _, area := range []float64{inA.auc(inB, class), inB.auc(inA, class)} {
			if !math.IsNaN(area) {
				sum += area
				n++
			}
		}
		return sum / float64(n)
	})
}

// levelCounts is the number of rows by level and class: (levels+1) x classes, the missing ones last; and by level alone.
type levelCounts struct {
	counts  []int64
	rows    []int64
	classes int
}

func (p part) byLevel() levelCounts {
	levels := len(p.column.Levels)
	t := levelCounts{counts: make([]int64, (levels+1)*p.classes), rows: make([]int64, levels+1), classes: p.classes}
	for i, code := range p.column.Codes {
		if code < 0 {
			code = int32(levels)
		}
		t.counts[int(code)*p.classes+int(p.y[i])]++
		t.rows[code]++
	}
	return t
}

func (t levelCounts) own(level, class int) int64 { return t.counts[level*t.classes+class] }

// smoothing is the weight of the overall share of a class, in rows, when that of a level is estimated; as in package tree.
const smoothing = 10

// overall is the share of a class.
func (t levelCounts) overall(class int) float64 {
	var all, own int64
	for l, n := range t.rows {
		all += n
		own += t.own(l, class)
	}
	return float64(own) / float64(all)
}

// smoothed is the share of a class where there are so many rows, so many of them its own.
func smoothed(rows, own int64, overall float64) float64 {
	if rows == 0 {
		return overall
	}
	return (float64(own) + float64(smoothing*overall)) / float64(rows+smoothing)
}

// auc grows a tree for a class on t, whose levels stand in the order of their smoothed shares, and judges it by the rows
// of judged. Levels that t does not have are counted as missing. Levels with the same counts stand together, so that a
// hundred thousand levels of a few rows each are few.
func (t levelCounts) auc(judged levelCounts, class int) float64 {
	overall := t.overall(class)
	missing := len(t.rows) - 1
	type group struct {
		share                                    float64
		grownAll, grownOwn, judgedAll, judgedOwn int64
	}
	at := map[[2]int64]int{}
	var groups []group
	grown, seen := newLine(0), newLine(0)
	for l, rows := range t.rows {
		own, judgedRows, judgedOwn := t.own(l, class), judged.rows[l], judged.own(l, class)
		if l == missing || rows == 0 {
			grown.missingAll, grown.missingOwn = grown.missingAll+rows, grown.missingOwn+own
			seen.missingAll, seen.missingOwn = seen.missingAll+judgedRows, seen.missingOwn+judgedOwn
			continue
		}
		i, known := at[[2]int64{rows, own}]
		if !known {
			i = len(groups)
			at[[2]int64{rows, own}] = i
			groups = append(groups, group{share: smoothed(rows, own, overall)})
		}
		g := &groups[i]
		g.grownAll, g.grownOwn, g.judgedAll, g.judgedOwn = g.grownAll+rows, g.grownOwn+own, g.judgedAll+judgedRows, g.judgedOwn+judgedOwn
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(a.share, b.share) })
	for _, g := range groups {
		grown.add(g.grownAll, g.grownOwn)
		seen.add(g.judgedAll, g.judgedOwn)
	}
	return grown.auc(seen)
}
