package leak

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/tree"
)

// Cut is the best decision by one feature and one cut for a numeric target: the mean of each side.
type Cut struct {
	Feature string `json:"feature"`
	metrics.Regression
}

// NumberLeak is a feature that alone tells the order of a numeric target: whose trees, grown on half of the training part,
// explain as much of the other half's ranks as the Threshold says.
type NumberLeak struct {
	Feature string    `json:"feature"`
	R2      num.Float `json:"r2"` // of the ranks
}

// aloneLeaf is the fewest rows of a leaf when a feature is looked at alone, so that leaves are not led by single rows.
const aloneLeaf = 5

// LookNumbers is Look for a numeric target: the cut with the least squared error on the training part, judged on the test
// part, and the possible leaks. yTrain and yTest are finite; without features there is no cut. It costs three trees of one
// feature for each feature.
//
// Ranks are looked at, and not the numbers, since a few large ones would outweigh all others; features are judged on rows
// that their trees have not seen, since many levels of few rows each would tell the target by chance.
func LookNumbers(train, test []*frame.Column, yTrain, yTest []float64, cores int) (*Cut, []NumberLeak, error) {
	if len(train) != len(test) || len(yTrain) == 0 || len(yTest) == 0 {
		return nil, nil, fmt.Errorf("%d and %d features, %d and %d rows: nothing to look at", len(train), len(test), len(yTrain), len(yTest))
	}
	ranks := ranksOf(yTrain)
	found := make([]alone, len(train))
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for i, c := range train {
		g.Go(func() (err error) {
			found[i], err = lookAlone(c, yTrain, ranks)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	best, leaks := -1, []NumberLeak{}
	for i, f := range found {
		if best < 0 || f.r2 > found[best].r2 {
			best = i
		}
		if f.ranks >= Threshold {
			leaks = append(leaks, NumberLeak{train[i].Name, num.Float(f.ranks)})
		}
	}
	if best < 0 {
		return nil, leaks, nil
	}
	predicted, err := found[best].cut.Predict(test[best:best+1], cores)
	if err != nil {
		return nil, nil, err
	}
	r, _, err := metrics.EvaluateRegression(predicted, yTest)
	if err != nil {
		return nil, nil, err
	}
	return &Cut{train[best].Name, *r}, leaks, nil
}

// alone is what one feature of the training part shows of a numeric target.
type alone struct {
	cut   *tree.Ensemble
	r2    float64 // of the cut; of a category on rows that it has not seen
	ranks float64 // R2 of the ranks, on rows that the trees have not seen
}

func lookAlone(c *frame.Column, y, ranks []float64) (a alone, err error) {
	columns := []*frame.Column{c}
	one := tree.Options{MaxDepth: 1}
	if a.cut, err = tree.FitTreeRegressor(columns, y, one); err != nil {
		return a, err
	}
	if a.ranks, err = crossed(c, ranks, tree.Options{MinSamplesLeaf: aloneLeaf}); err != nil {
		return a, err
	}
	if !c.Type.Numeric() {
		a.r2, err = crossed(c, y, one)
		return a, err
	}
	predicted, err := a.cut.Predict(columns, 1)
	if err != nil {
		return a, err
	}
	a.r2 = defined(metrics.R2(predicted, y))
	return a, nil
}

// crossed is the R2 of trees that are grown on one half and judged on the other.
func crossed(c *frame.Column, y []float64, o tree.Options) (float64, error) {
	halves, targets := [2][]int32{}, [2][]float64{}
	for i, h := range halfOf(len(y)) {
		halves[h], targets[h] = append(halves[h], int32(i)), append(targets[h], y[i])
	}
	if len(halves[0]) == 0 || len(halves[1]) == 0 {
		return math.Inf(-1), nil
	}
	var predicted, actual []float64
	for h := range halves {
		m, err := tree.FitTreeRegressor([]*frame.Column{c.Take(halves[h])}, targets[h], o)
		if err != nil {
			return 0, err
		}
		p, err := m.Predict([]*frame.Column{c.Take(halves[1-h])}, 1)
		if err != nil {
			return 0, err
		}
		predicted, actual = append(predicted, p...), append(actual, targets[1-h]...)
	}
	return defined(metrics.R2(predicted, actual)), nil
}

// defined makes less of what is not defined than of anything else.
func defined(r2 float64) float64 {
	if math.IsNaN(r2) {
		return math.Inf(-1)
	}
	return r2
}

// ranksOf returns the places of numbers in their order, from 0 up; equal ones share the middle of theirs.
func ranksOf(y []float64) []float64 {
	order := make([]int32, len(y))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(y[a], y[b]) })
	ranks := make([]float64, len(y))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && y[order[to]] == y[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			ranks[i] = float64(from+to-1) / 2
		}
		from = to
	}
	return ranks
}
