package tree

import (
	"errors"
	"fmt"
	"math"

	"github.com/hashline/hashline/ml/frame"
)

// Criterion is what a split of a classification tree makes small.
type Criterion uint8

// The criteria: Gini impurity, and entropy (information gain; Quinlan: Induction of Decision Trees, 1986).
const (
	Gini Criterion = iota
	Entropy
)

// Options of a fit. Their names and meanings are scikit-learn's; the zero value is a fully grown tree by Gini impurity.
type Options struct {
	Criterion       Criterion
	Trees           int       // of a forest
	MaxDepth        int       // 0: no limit
	MaxLeafNodes    int       // 0: no limit; otherwise the splits that gain most are made first
	MinSamplesSplit int       // rows, with their bootstrap counts, that a node needs to be split; at least 2
	MinSamplesLeaf  int       // rows, with their bootstrap counts, on each side of a split; at least 1
	MaxFeatures     float64   // share of the features that a split of a forest looks at; 0: their square root
	SplitFeatures   int       // their number instead; 0: MaxFeatures says
	MaxBins         int       // of a column; 0: 255 for forests, 1024 for a single tree
	ClassWeight     []float64 // of each class; nil: 1
	CCPAlpha        float64   // of a single tree: by how much a leaf must lower the impurity to stay; 0: nothing is pruned
	Laplace         int       // rows of each class that a leaf counts more than it has, so that pure small leaves are not sure of themselves
	OutOfBag        bool      // of a forest: judge it by the rows that its trees have not seen
	Seed            uint64    // of a forest
	Cores           int       // goroutines; never changes the result

	random bool // cut points are drawn, not searched
}

// Limits of a model.
const (
	MaxFeatures = 1<<15 - 1
	MaxBins     = 1 << 15 // of a column

	maxLaplace = 1 << 20
	maxClasses = 1 << 10
	maxTrees   = 1 << 18
)

// BalancedWeights returns n / (classes x rows of the class) for every class, 1 for a class without rows: scikit-learn's
// class_weight="balanced".
func BalancedWeights(y []int32, classes int) []float64 {
	counts := make([]int, classes)
	for _, c := range y {
		counts[c]++
	}
	w := make([]float64, classes)
	for c, n := range counts {
		w[c] = 1
		if n > 0 {
			w[c] = float64(len(y)) / (float64(classes) * float64(n))
		}
	}
	return w
}

// check holds columns and options to what a fit of rows needs, and fills in defaults.
func (o *Options) check(columns []*frame.Column, rows int) error {
	if len(columns) == 0 || len(columns) > MaxFeatures {
		return fmt.Errorf("%d features, want 1 to %d", len(columns), MaxFeatures)
	}
	if rows == 0 || rows > math.MaxInt32 {
		return fmt.Errorf("%d rows", rows)
	}
	for _, c := range columns {
		if !c.Type.Numeric() && c.Type != frame.Category {
			return fmt.Errorf("column %q is of type %v: a feature is a number or a category", c.Name, c.Type)
		}
		if c.Len() != rows {
			return fmt.Errorf("column %q has %d rows, want %d", c.Name, c.Len(), rows)
		}
	}
	switch {
	case o.MaxBins < 2 || o.MaxBins > MaxBins:
		return fmt.Errorf("%d bins, want 2 to %d", o.MaxBins, MaxBins)
	case o.Laplace < 0 || o.Laplace > maxLaplace:
		return fmt.Errorf("%d rows more in each leaf, want 0 to %d", o.Laplace, maxLaplace)
	case o.Trees > maxTrees:
		return fmt.Errorf("%d trees, want at most %d", o.Trees, maxTrees)
	case o.MaxLeafNodes < 0 || o.MaxLeafNodes == 1:
		return fmt.Errorf("at most %d leaves, want 2 or more, or 0", o.MaxLeafNodes)
	case !(o.CCPAlpha >= 0) || math.IsInf(o.CCPAlpha, 0):
		return fmt.Errorf("pruning by %v, want 0 or more", o.CCPAlpha)
	case o.Criterion > Entropy:
		return errors.New("an unknown criterion")
	}
	o.MinSamplesLeaf, o.MinSamplesSplit, o.Cores = max(1, o.MinSamplesLeaf), max(2, o.MinSamplesSplit), max(1, o.Cores)
	return nil
}

func (o *Options) checkClasses(y []int32, classes int) error {
	if classes < 2 || classes > maxClasses {
		return fmt.Errorf("%d classes, want 2 to %d", classes, maxClasses)
	}
	for _, class := range y {
		if class < 0 || int(class) >= classes {
			return errors.New("a class is out of range")
		}
	}
	if o.ClassWeight != nil && len(o.ClassWeight) != classes {
		return fmt.Errorf("weights of %d classes, want %d", len(o.ClassWeight), classes)
	}
	for _, w := range o.ClassWeight {
		if !(w > 0) || math.IsInf(w, 0) {
			return fmt.Errorf("a class weighs %v, want a positive number", w)
		}
	}
	return nil
}

// featuresPerSplit is the number of features that a split of a forest looks at.
func (o *Options) featuresPerSplit(features int) int {
	switch {
	case o.SplitFeatures > 0:
		return min(features, o.SplitFeatures)
	case o.MaxFeatures <= 0:
		return max(1, int(math.Sqrt(float64(features))))
	}
	return min(features, max(1, int(float64(o.MaxFeatures*float64(features)))))
}
