package tree

import (
	"errors"
	"fmt"

	"github.com/hashline/hashline/ml/frame"
)

// FitTree grows one tree on all rows, looking at every feature at every split.
//
// columns are the features: numbers (Integer, Float, Boolean) and categories, each with n rows. y holds the classes of
// the rows, 0 to classes-1. Nothing is changed or kept of either.
func FitTree(columns []*frame.Column, y []int32, classes int, o Options) (*Ensemble, error) {
	o.defaults(1, 1024)
	return fitClasses(columns, y, classes, o, single)
}

// FitForest grows Options.Trees trees, each on a bootstrap sample, with a random choice of features at every split. Its
// arguments are those of FitTree.
func FitForest(columns []*frame.Column, y []int32, classes int, o Options) (*Ensemble, error) {
	o.defaults(o.Trees, 255) // and one code for missing values
	return fitClasses(columns, y, classes, o, bagged)
}

// FitExtraTrees grows Options.Trees trees on all rows, with a random choice of features at every split and one random cut
// of each (Geurts, Ernst, Wehenkel: Extremely randomized trees, 2006). A cut is drawn evenly between the values that a
// feature has in the node, bins standing for values. Its arguments are those of FitTree.
func FitExtraTrees(columns []*frame.Column, y []int32, classes int, o Options) (*Ensemble, error) {
	o.defaults(o.Trees, 255)
	o.random = true
	return fitClasses(columns, y, classes, o, whole)
}

// FitTreeRegressor grows one tree for a numeric target: splits make the mean squared error small, leaves hold means. Its
// other arguments are those of FitTree. Targets must be finite.
//
// Splits see the targets rounded to steps of the largest distance from their mean, 2^-(62-2b) of it for n < 2^b rows and
// at most 2^-30; leaves hold the means of the targets themselves, rounded to 2^-40 of the largest. So every sum is exact.
func FitTreeRegressor(columns []*frame.Column, target []float64, o Options) (*Ensemble, error) {
	o.defaults(1, 1024)
	return fitNumbers(columns, target, o, single)
}

// FitForestRegressor is FitForest for a numeric target; see FitTreeRegressor.
func FitForestRegressor(columns []*frame.Column, target []float64, o Options) (*Ensemble, error) {
	o.defaults(o.Trees, 255)
	return fitNumbers(columns, target, o, bagged)
}

// FitExtraTreesRegressor is FitExtraTrees for a numeric target; see FitTreeRegressor.
func FitExtraTreesRegressor(columns []*frame.Column, target []float64, o Options) (*Ensemble, error) {
	o.defaults(o.Trees, 255)
	o.random = true
	return fitNumbers(columns, target, o, whole)
}

// sampling says which rows a tree gets.
type sampling uint8

const (
	single sampling = iota // one tree of all rows
	bagged                 // bootstrap samples
	whole                  // all rows, several trees
)

func (o *Options) defaults(trees, bins int) {
	o.Trees = trees
	if o.MaxBins == 0 {
		o.MaxBins = bins
	}
}

func fitClasses(columns []*frame.Column, y []int32, classes int, o Options, s sampling) (*Ensemble, error) {
	if err := errors.Join(o.check(columns, len(y)), o.checkClasses(y, classes)); err != nil {
		return nil, err
	}
	m := &Ensemble{task: votes, classes: classes}
	t := newClasses(y, classes)
	return m, fitCodes(m, columns, t, newBinner(y, classes, o.MaxBins), o, s)
}

func fitNumbers(columns []*frame.Column, target []float64, o Options, s sampling) (*Ensemble, error) {
	if err := errors.Join(o.check(columns, len(target)), checkTarget(target)); err != nil {
		return nil, err
	}
	if len(o.ClassWeight) > 0 || o.Laplace > 0 || o.Criterion != Gini {
		return nil, errors.New("a numeric target has no class weights, smoothing or criterion")
	}
	t := newTargets(target)
	m := &Ensemble{task: means, exponent: t.exponent}
	return m, fitCodes(m, columns, t, newTargetBinner(target, o.MaxBins), o, s)
}

// fitCodes picks the width of the codes, learns the bins, and grows the trees.
func fitCodes(m *Ensemble, columns []*frame.Column, t *training, b *binner, o Options, s sampling) error {
	if s != single && o.Trees < 1 {
		return fmt.Errorf("a forest of %d trees", o.Trees)
	}
	if o.MaxBins <= 255 {
		return fitBinned[uint8](m, columns, t, b, o, s)
	}
	return fitBinned[uint16](m, columns, t, b, o, s)
}

func fitBinned[T uint8 | uint16](m *Ensemble, columns []*frame.Column, t *training, b *binner, o Options, s sampling) error {
	m.features = b.features(columns, o.Cores)
	d := newData[T](m.features, columns, t, o)
	if s == single {
		grower := newGrower(d, o.Cores)
		grower.start(nil)
		grower.grow()
		m.trees = []grown{grower.take()}
	} else {
		d.mtry = o.featuresPerSplit(len(columns))
		growForest(m, d, s == bagged)
	}
	m.trim()
	return nil
}
