package explain

import (
	"cmp"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// Contribution is what one feature adds to one output of a model over a number of rows.
type Contribution struct {
	Feature string    `json:"feature"`
	Mean    num.Float `json:"mean_absolute"` // mean of the SHAP values' sizes
	Points  []Point   `json:"points"`        // one for each row
}

// Point is one row: its SHAP value, and where the row's value of the feature lies among the others'.
type Point struct {
	SHAP num.Float `json:"shap"`
	Rank num.Float `json:"rank"` // of a number, from 0 for the least to 1; null of a category and of a missing value
}

// Contributions returns what each feature adds to an output, the one that adds most first. columns are those whose SHAP
// values v are. The cost is rows x features, and sorting.
func Contributions(v *Values, columns []*frame.Column, output int) []Contribution {
	list := make([]Contribution, len(v.Features))
	for f, name := range v.Features {
		n := columns[f].Len()
		sizes := make([]float64, n)
		ranks := ranksOf(columns[f])
		points := make([]Point, n)
		for r := range n {
			s := v.At(r, f)[output]
			sizes[r], points[r] = math.Abs(s), Point{num.Float(s), num.Float(ranks[r])}
		}
		list[f] = Contribution{name, num.Float(num.Sum(sizes) / float64(max(1, n))), points}
	}
	slices.SortStableFunc(list, func(a, b Contribution) int { return cmp.Compare(b.Mean, a.Mean) })
	return list
}

// ranksOf returns the mean rank of each value of a number, from 0 to 1, and NaN where there is none.
func ranksOf(c *frame.Column) []float64 {
	ranks := make([]float64, c.Len())
	var known []int
	for i := range ranks {
		ranks[i] = math.NaN()
		if c.Type.Numeric() && !math.IsNaN(c.Num[i]) {
			known = append(known, i)
		}
	}
	slices.SortStableFunc(known, func(a, b int) int { return cmp.Compare(c.Num[a], c.Num[b]) })
	for from := 0; from < len(known); {
		to := from
		for to < len(known) && c.Num[known[to]] == c.Num[known[from]] {
			to++
		}
		for _, i := range known[from:to] {
			ranks[i] = float64(from+to-1) / float64(max(1, 2*(len(known)-1)))
		}
		from = to
	}
	return ranks
}
