// Package boost learns gradient boosting over histograms, for two classes, more classes and numbers.
//
// Trees are added up, each fitted to the gradients g and second derivatives h of the loss at the sum so far (Friedman:
// Greedy Function Approximation: A Gradient Boosting Machine, 2001). A tree is grown leaf by leaf, the split that gains most
// first (Ke et al.: LightGBM, 2017): a split gains G_l^2/(H_l+l2) + G_r^2/(H_r+l2) - G^2/(H+l2) for the sums of its sides, a
// leaf answers -G/(H+l2) times the learning rate (Chen, Guestrin: XGBoost, 2016). Columns are binned as in package tree:
// quantiles of numbers, categories by their target shares; missing values have a bin and a side of their own at every split.
//
// Gradients are rounded to integers, so that histograms are exact sums, those of a sibling are exact differences, and neither
// the order of rows nor the number of cores can change a bit: of classes g to 15 bits below the largest and h to 12 (less
// above 2^25 rows), up or down in proportion to what is cut off (Shi et al.: Quantized Training of Gradient Boosting
// Decision Trees, 2022), of numbers g to 39 bits. Scores are integers too, in the units of the model. A round costs
// O(rows x features x log leaves) at most, and about half of it by taking siblings as differences.
package boost

import (
	"errors"
	"fmt"
	"math"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/tree"
)

// Options of a fit. Their names and meanings are those of scikit-learn's HistGradientBoosting; the zero value has its
// defaults, but for early stopping, which has to be asked for.
type Options struct {
	LearningRate   float64   // 0: 0.1
	Iterations     int       // rounds, of a tree or of one for each of more than two classes; 0: 100
	MaxLeafNodes   int       // 0: 31
	MaxDepth       int       // 0: no limit
	MinSamplesLeaf int       // 0: 20
	L2             float64   // added to the second derivatives of a leaf
	MaxBins        int       // of a column; 0: 255
	ClassWeight    []float64 // of each class; nil: 1

	// EarlyStopping holds back ValidationFraction of the rows (0: 0.1), drawn by Seed, and stops when their loss has not
	// fallen by Tol for NoChange rounds (0: 10). The model is that of the round with the least loss.
	EarlyStopping      bool
	ValidationFraction float64
	NoChange           int
	Tol                float64
	Seed               uint64

	Cores int // goroutines; never changes the result
}

// MaxRows is the largest number of training rows: with more, second derivatives would be rounded too much.
const MaxRows = 1 << 26

// FitClassifier learns classes: log loss, or cross entropy over a softmax. columns are those of tree.FitTree, y holds the
// classes of the n rows, 0 to classes-1. Nothing is changed or kept of either.
func FitClassifier(columns []*frame.Column, y []int32, classes int, o Options) (*tree.Ensemble, error) {
	if err := o.check(len(y)); err != nil {
		return nil, err
	}
	if o.ClassWeight != nil && len(o.ClassWeight) != classes {
		return nil, fmt.Errorf("weights of %d classes, want %d", len(o.ClassWeight), classes)
	}
	for _, w := range o.ClassWeight {
		if !(w > 0) || math.IsInf(w, 0) {
			return nil, fmt.Errorf("a class weighs %v, want a positive number", w)
		}
	}
	b, err := tree.BinClasses(columns, y, classes, o.MaxBins, o.Cores)
	if err != nil {
		return nil, err
	}
	if classes == 2 {
		return fit(b, newLogistic(y, o.ClassWeight), o)
	}
	return fit(b, newSoftmax(y, classes, o.ClassWeight), o)
}

// FitRegressor learns a numeric target, which must be finite: squared error. Its other arguments are those of FitClassifier.
func FitRegressor(columns []*frame.Column, target []float64, o Options) (*tree.Ensemble, error) {
	if err := o.check(len(target)); err != nil {
		return nil, err
	}
	if o.ClassWeight != nil {
		return nil, errors.New("a numeric target has no class weights")
	}
	b, err := tree.BinNumbers(columns, target, o.MaxBins, o.Cores)
	if err != nil {
		return nil, err
	}
	return fit(b, newSquared(target), o)
}

// check refuses what cannot be, and fills in defaults.
func (o *Options) check(rows int) error {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Iterations, 100)
	def(&o.MaxLeafNodes, 31)
	def(&o.MinSamplesLeaf, 20)
	def(&o.MaxBins, 255)
	def(&o.NoChange, 10)
	if o.LearningRate == 0 {
		o.LearningRate = 0.1
	}
	if o.ValidationFraction == 0 {
		o.ValidationFraction = 0.1
	}
	o.Cores = max(1, o.Cores)
	switch {
	case !(o.LearningRate > 0 && o.LearningRate <= 1):
		return fmt.Errorf("a learning rate of %v, want more than 0 and at most 1", o.LearningRate)
	case o.Iterations < 1 || o.Iterations > 100_000:
		return fmt.Errorf("%d iterations, want 1 to 100000", o.Iterations)
	case o.MaxLeafNodes < 2 || o.MaxLeafNodes > 1<<15:
		return fmt.Errorf("at most %d leaves, want 2 to %d", o.MaxLeafNodes, 1<<15)
	case o.MaxDepth < 0 || o.MinSamplesLeaf < 1:
		return errors.New("a depth or a number of rows in a leaf below its least")
	case !(o.L2 >= 0) || math.IsInf(o.L2, 0) || !(o.Tol >= 0):
		return fmt.Errorf("an l2 of %v and a tol of %v, want 0 or more", o.L2, o.Tol)
	case !(o.ValidationFraction > 0 && o.ValidationFraction < 1) || o.NoChange < 1:
		return errors.New("early stopping needs a fraction between 0 and 1, and a round at least")
	case rows > MaxRows:
		return fmt.Errorf("%d rows, want at most %d", rows, MaxRows)
	}
	return nil
}
