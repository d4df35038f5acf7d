package tree

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// sampled is the number of rows, evenly spaced, that decide about the cut points of a longer column.
const sampled = 200_000

// smoothing is the weight of the overall class shares, in rows, when a level's own are estimated.
const smoothing = 10

// feature is what a model knows of one column. A value's code is its bin: for a number the index of the first edge that
// is not below it, for a category the bin of its level. Codes are below bins; a missing value has the code bins.
type feature struct {
	Name   string
	Type   frame.Type
	Edges  []float64 // numeric: ascending cut points; left of edge i is <= Edges[i]
	Levels []string  // category: levels, sorted
	Bins   []uint16  // category: the bin of each level
}

// places returns where the bins lie, for cuts to be drawn between them: a number's at its cut points, those at the ends as
// far out as their neighbours are apart, a category's one after another.
func (f *feature) places() []float64 {
	p := make([]float64, f.bins())
	for i := range p {
		switch n := len(f.Edges); {
		case !f.Type.Numeric() || n < 2:
			p[i] = float64(i)
		case i == 0:
			p[i] = f.Edges[0] - (float64(f.Edges[1]/2) - float64(f.Edges[0]/2))
		case i == n:
			p[i] = f.Edges[n-1] + (float64(f.Edges[n-1]/2) - float64(f.Edges[n-2]/2))
		default:
			p[i] = float64(f.Edges[i-1]/2) + float64(f.Edges[i]/2)
		}
	}
	return p
}

// bins returns the number of codes that are not missing.
func (f *feature) bins() int {
	if f.Type.Numeric() {
		return len(f.Edges) + 1
	}
	top := 0
	for _, b := range f.Bins {
		top = max(top, int(b)+1)
	}
	return max(top, 1)
}

// binner learns features from the columns and the targets.
type binner struct {
	y       []int32
	classes int // 0: numbers
	target  []float64
	mean    float64 // of the targets
	maxBins int
}

func newBinner(y []int32, classes, maxBins int) *binner {
	return &binner{y: y, classes: classes, maxBins: maxBins}
}

// newTargetBinner is for numbers, which are scaled so that their sums cannot overflow.
func newTargetBinner(target []float64, maxBins int) *binner {
	most := 0.0
	for _, v := range target {
		most = max(most, math.Abs(v))
	}
	_, e := math.Frexp(most)
	b := &binner{target: make([]float64, len(target)), maxBins: maxBins}
	for i, v := range target {
		b.target[i] = math.Ldexp(v, -e)
	}
	b.mean = num.Sum(b.target) / float64(max(1, len(target)))
	return b
}

func (b *binner) features(columns []*frame.Column, cores int) []feature {
	features := make([]feature, len(columns))
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for i, c := range columns {
		g.Go(func() error {
			features[i] = b.feature(c)
			return nil
		})
	}
	_ = g.Wait()
	return features
}

func (b *binner) feature(c *frame.Column) feature {
	f := feature{Name: c.Name, Type: c.Type}
	if c.Type.Numeric() {
		f.Edges = edges(c.Num, b.maxBins)
	} else {
		f.Levels, f.Bins = b.order(c)
	}
	return f
}

// edges returns at most maxBins-1 ascending cut points, each strictly between or at values. Infinite values count as the
// largest finite ones.
func edges(v []float64, maxBins int) []float64 {
	n := min(len(v), sampled)
	sorted := make([]float64, 0, n)
	for i := range n {
		x := v[i]
		if len(v) > sampled {
			x = v[int(int64(i)*int64(len(v))/sampled)]
		}
		if x == x {
			sorted = append(sorted, max(-math.MaxFloat64, min(math.MaxFloat64, x+0))) // -0 becomes 0
		}
	}
	num.SortFloats(sorted)
	distinct := 0
	for i := range sorted {
		if i == 0 || sorted[i] != sorted[i-1] {
			distinct++
		}
	}
	if distinct <= 1 {
		return nil
	}
	return cuts(sorted, distinct, maxBins)
}

// cuts places the cut points between sorted values, a bin for each distinct value where they are few.
func cuts(sorted []float64, distinct, maxBins int) []float64 {
	cuts := make([]float64, 0, min(distinct, maxBins)-1)
	inBin, left := 0, len(sorted)
	for i := 1; i < len(sorted) && len(cuts) < maxBins-1; i++ {
		inBin++
		if sorted[i] == sorted[i-1] {
			continue
		}
		// Enough rows for a fair share of the rows that are left, or few enough values for a bin each.
		if distinct <= maxBins || inBin*(maxBins-len(cuts)) >= left {
			cuts = append(cuts, between(sorted[i-1], sorted[i]))
			left -= inBin
			inBin = 0
		}
	}
	return cuts
}

// between returns a number t with lo <= t < hi, halfway where floating point allows.
func between(lo, hi float64) float64 {
	t := float64(lo/2) + float64(hi/2)
	if !(t >= lo && t < hi) || math.IsInf(t, 0) {
		return lo
	}
	return t
}

// order ranks the levels of a category by target share, or mean, and merges neighbours into at most maxBins bins of similar
// size.
func (b *binner) order(c *frame.Column) ([]string, []uint16) {
	scores, rows := b.levelScores(c)
	type level struct {
		name  string
		score float64
		rows  int64
	}
	var levels []level
	total := int64(0)
	for l, name := range c.Levels {
		if rows[l] > 0 {
			levels = append(levels, level{name, scores[l], rows[l]})
			total += rows[l]
		}
	}
	slices.SortFunc(levels, func(p, q level) int {
		return cmp.Or(cmp.Compare(p.score, q.score), strings.Compare(p.name, q.name))
	})
	bins := make(map[string]uint16, len(levels))
	bin, inBin, left := 0, int64(0), total
	for i, l := range levels {
		bins[l.name] = uint16(bin)
		inBin += l.rows
		if i+1 < len(levels) && bin < b.maxBins-1 && (len(levels) <= b.maxBins || inBin*int64(b.maxBins-bin) >= left) {
			bin, left, inBin = bin+1, left-inBin, 0
		}
	}
	names := make([]string, len(levels))
	for i, l := range levels {
		names[i] = l.name
	}
	slices.Sort(names)
	codes := make([]uint16, len(names))
	for i, n := range names {
		codes[i] = bins[n]
	}
	return names, codes
}

// levelScores places every level on a line, and counts its rows.
func (b *binner) levelScores(c *frame.Column) (scores []float64, rows []int64) {
	if b.classes == 0 {
		return b.means(c)
	}
	k := b.classes
	counts := make([]int64, len(c.Levels)*k)
	for i, code := range c.Codes {
		if code >= 0 {
			counts[int(code)*k+int(b.y[i])]++
		}
	}
	rows = make([]int64, len(c.Levels))
	for l := range rows {
		rows[l] = sumOf(counts[l*k : (l+1)*k])
	}
	return b.scores(counts), rows
}

// means places levels by the mean of their targets, smoothed by that of all. Sums go by row.
func (b *binner) means(c *frame.Column) (scores []float64, rows []int64) {
	scores, rows = make([]float64, len(c.Levels)), make([]int64, len(c.Levels))
	for i, code := range c.Codes {
		if code >= 0 {
			scores[code] += b.target[i]
			rows[code]++
		}
	}
	for l, n := range rows {
		scores[l] = (scores[l] + float64(smoothing*b.mean)) / (float64(n) + smoothing)
	}
	return scores, rows
}

func sumOf(v []int64) int64 {
	total := int64(0)
	for _, x := range v {
		total += x
	}
	return total
}

// scores places every level on a line: by the smoothed share of class 1, or along the first principal axis of the
// smoothed class shares when there are more than two classes.
func (b *binner) scores(counts []int64) []float64 {
	k := b.classes
	levels := len(counts) / k
	prior := make([]float64, k)
	total := sumOf(counts)
	if total == 0 {
		return make([]float64, levels)
	}
	for i, n := range counts {
		prior[i%k] += float64(n)
	}
	for c := range prior {
		prior[c] /= float64(total)
	}
	shares := make([]float64, len(counts))
	for l := range levels {
		rows := float64(sumOf(counts[l*k : (l+1)*k]))
		for c := range k {
			shares[l*k+c] = (float64(counts[l*k+c]) + float64(smoothing*prior[c])) / (rows + smoothing)
		}
	}
	axis := make([]float64, k)
	axis[k-1] = 1
	if k > 2 {
		axis = principalAxis(counts, shares, prior)
	}
	scores := make([]float64, levels)
	for l := range levels {
		scores[l] = num.Dot(shares[l*k:(l+1)*k], axis)
	}
	return scores
}

// principalAxis is the direction in which the class shares of the levels, weighted by rows, vary most: power iteration
// on their covariance from a fixed start, for a fixed number of steps. Its sign is that of its last element.
func principalAxis(counts []int64, shares, prior []float64) []float64 {
	k := len(prior)
	cov := make([]float64, k*k)
	for l := range len(counts) / k {
		rows := float64(sumOf(counts[l*k : (l+1)*k]))
		for i := range k {
			di := float64(rows * (shares[l*k+i] - prior[i]))
			for j := range k {
				cov[i*k+j] += float64(di * (shares[l*k+j] - prior[j]))
			}
		}
	}
	axis := make([]float64, k)
	for i := range axis {
		axis[i] = 1 / float64(i+1)
	}
	next := make([]float64, k)
	for range 100 {
		norm := 0.0
		for i := range next {
			next[i] = num.Dot(cov[i*k:(i+1)*k], axis)
			norm += float64(next[i] * next[i])
		}
		norm = math.Sqrt(norm)
		if norm == 0 || math.IsNaN(norm) {
			return axis
		}
		for i := range next {
			axis[i] = next[i] / norm
		}
	}
	if axis[k-1] < 0 {
		for i := range axis {
			axis[i] = -axis[i]
		}
	}
	return axis
}

// encode writes the codes of a column, one for each row, and reports whether some are missing. T must hold bins()+1 codes.
func encode[T uint8 | uint16](f *feature, c *frame.Column, missing T, codes []T) (holes bool) {
	if f.Type.Numeric() {
		cuts := newCutter(f.Edges)
		for i, v := range c.Num {
			if v == v {
				codes[i] = T(cuts.code(v))
			} else {
				codes[i], holes = missing, true
			}
		}
		return holes
	}
	byCode := make([]T, len(c.Levels))
	for i, name := range c.Levels {
		byCode[i] = missing
		if at, ok := slices.BinarySearch(f.Levels, name); ok {
			byCode[i] = T(f.Bins[at])
		}
	}
	for i, code := range c.Codes {
		codes[i] = missing
		if code >= 0 {
			codes[i] = byCode[code]
		}
		holes = holes || codes[i] == missing
	}
	return holes
}

// cutter finds the codes of numbers: the index of the first edge that is not below a number. Edges are kept as integers
// that order like them, so that the search is arithmetic and the data cannot mislead the branch prediction.
type cutter []uint64

func newCutter(edges []float64) cutter {
	k := make(cutter, len(edges))
	for i, e := range edges {
		k[i] = num.FloatKey(e + 0) // -0 becomes 0
	}
	return k
}

// code returns the code of v, which is not NaN.
func (k cutter) code(v float64) int {
	key := num.FloatKey(v + 0)
	lo, n := 0, len(k)
	for n > 0 {
		half := (n + 1) >> 1
		_, below := bits.Sub64(k[lo+half-1], key, 0)
		lo += half & -int(below)
		n = n - half
	}
	return lo
}
