// Package leak looks at single features: the best one-feature stump, which every model has to beat, and features that
// tell the target all alone, which may have been recorded after it.
//
// Everything is counted by bins and in integers, so the results are equal for any number of cores and any architecture.
package leak

import (
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// Threshold is the area under the ROC curve from which on a feature alone is suspicious.
const Threshold = 0.99

// Stump is the best decision by one feature and one cut.
type Stump struct {
	Feature string `json:"feature"`
	// Accuracy is that of the decision on the test part.
	Accuracy num.Float `json:"accuracy"`
	// ROCAUC is that of ranking the rows of the test part by the feature: by the number itself, up or down, or by how often
	// the level of the category had the class. Directions, levels and the end at which missing numbers stand are learned on
	// the training part. Of two classes it is that of the second, of more the mean over the classes, each ranked for itself.
	ROCAUC num.Float `json:"roc_auc"`
}

// Leak is a feature that alone, in a tree of at most 8 leaves on the training part, reaches the Threshold.
type Leak struct {
	Feature string    `json:"feature"`
	ROCAUC  num.Float `json:"roc_auc"` // on the training part
}

// part is one feature of a set of rows, and their classes.
type part struct {
	column  *frame.Column
	y       []int32
	classes int
}

// Look finds the stump with the highest accuracy on the training part, judged on the test part, and the possible leaks.
// Both sets of columns are in the same order and of the kinds that tree.FitTree takes; yTrain and yTest are the classes of
// the rows, 0 to classes-1. Without features there is no stump.
//
// A leak is judged by the area under the ROC curve of a tree for the second of two classes, or by the mean over more
// classes with a tree for each against the rest. A category is judged on rows that its tree or stump has not seen, half
// against half: many levels of few rows each would tell the target by chance.
func Look(train, test []*frame.Column, yTrain, yTest []int32, classes, cores int) (*Stump, []Leak, error) {
	if len(train) != len(test) || len(yTrain) == 0 || len(yTest) == 0 || classes < 2 {
		return nil, nil, fmt.Errorf("%d and %d features, %d and %d rows, %d classes: nothing to look at", len(train), len(test), len(yTrain), len(yTest), classes)
	}
	findings := make([]finding, len(train))
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for i, c := range train {
		g.Go(func() error {
			findings[i] = part{c, yTrain, classes}.look()
			return nil
		})
	}
	_ = g.Wait()
	best, leaks := 0, []Leak{}
	for i, f := range findings {
		if f.betterThan(findings[best]) {
			best = i
		}
		if f.auc >= Threshold {
			leaks = append(leaks, Leak{train[i].Name, num.Float(f.auc)})
		}
	}
	if len(findings) == 0 {
		return nil, leaks, nil
	}
	in, out := part{train[best], yTrain, classes}, part{test[best], yTest, classes}
	return &Stump{Feature: in.column.Name, Accuracy: num.Float(findings[best].stump.accuracy(out)), ROCAUC: num.Float(in.rankedAUC(out))}, leaks, nil
}

// finding is what one feature of the training part shows.
type finding struct {
	stump stump
	hits  int     // rows that a stump of the feature gets right
	gini  float64 // of the stump, larger is purer
	auc   float64 // of a tree of at most 8 leaves; NaN where it is not defined
}

func (f finding) betterThan(g finding) bool {
	return f.hits > g.hits || f.hits == g.hits && f.gini > g.gini
}

func (p part) look() finding {
	s := p.stump()
	f := finding{stump: s, hits: s.hits, gini: s.gini}
	if p.column.Type.Numeric() {
		f.auc = p.numberAlone(s)
		return f
	}
	a, b := p.halves()
	f.hits = a.stump().count(b) + b.stump().count(a)
	f.auc = categoryAlone(a, b)
	return f
}

// halfOf divides rows in two by a hash of their number, so that no order of the rows can line up with it.
func halfOf(rows int) []uint8 {
	half := make([]uint8, rows)
	for i := range half {
		half[i] = uint8(num.Scramble(uint64(i)) & 1)
	}
	return half
}

func (p part) halves() (a, b part) {
	var rows [2][]int32
	var y [2][]int32
	for i, h := range halfOf(len(p.y)) {
		rows[h] = append(rows[h], int32(i))
		y[h] = append(y[h], p.y[i])
	}
	return part{p.column.Take(rows[0]), y[0], p.classes}, part{p.column.Take(rows[1]), y[1], p.classes}
}
