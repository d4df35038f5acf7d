// Package leak looks at single features: the best one-feature stump, which every model has to beat, and features that
// tell the target all alone, which may have been recorded after it.
package leak

import (
	"math"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/tree"
)

// Threshold is the area under the ROC curve from which on a feature alone is suspicious.
const Threshold = 0.99

// maxDepth gives trees of at most 8 leaves.
const maxDepth = 3

// Stump is the best decision by one feature and one cut.
type Stump struct {
	Feature  string    `json:"feature"`
	Accuracy num.Float `json:"accuracy"` // on the test part
	ROCAUC   num.Float `json:"roc_auc"`  // on the test part
}

// Leak is a feature that alone, in a tree of at most 8 leaves on the training part, reaches the Threshold.
type Leak struct {
	Feature string    `json:"feature"`
	ROCAUC  num.Float `json:"roc_auc"` // on the training part
}

// part is a set of rows with their classes.
type part struct {
	columns []*frame.Column
	y       []int32
}

// Look finds the stump with the highest accuracy on the training part, judged on the test part, and the possible leaks.
// Both sets of columns are in the same order. With more than two classes the area is the mean over the classes.
func Look(train, test []*frame.Column, yTrain, yTest []int32, classes, cores int) (*Stump, []Leak, error) {
	type finding struct {
		stump        *tree.Ensemble
		accuracy, in float64
		auc          float64
	}
	findings := make([]finding, len(train))
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for i, c := range train {
		g.Go(func() error {
			one := part{[]*frame.Column{c}, yTrain}
			stump, err := tree.FitTree(one.columns, yTrain, classes, tree.Options{MaxDepth: 1, MaxBins: 256})
			if err != nil {
				return err
			}
			f := finding{stump: stump}
			if f.accuracy, f.in, err = one.judge(stump, classes); err != nil {
				return err
			}
			f.auc, err = one.alone(classes)
			findings[i] = f
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	best, leaks := 0, []Leak{}
	for i, f := range findings {
		b := findings[best]
		if f.accuracy > b.accuracy || f.accuracy == b.accuracy && f.in > b.in {
			best = i
		}
		if f.auc >= Threshold {
			leaks = append(leaks, Leak{train[i].Name, num.Float(f.auc)})
		}
	}
	if len(findings) == 0 {
		return nil, leaks, nil
	}
	accuracy, auc, err := part{[]*frame.Column{test[best]}, yTest}.judge(findings[best].stump, classes)
	if err != nil {
		return nil, nil, err
	}
	return &Stump{train[best].Name, num.Float(accuracy), num.Float(auc)}, leaks, nil
}

// judge returns accuracy and area of a model on the rows.
func (p part) judge(m *tree.Ensemble, classes int) (accuracy, auc float64, err error) {
	proba, err := m.Predict(p.columns, 1)
	if err != nil {
		return 0, 0, err
	}
	hits := 0
	for i, class := range p.y {
		if metrics.Label(proba[i*classes:(i+1)*classes]) == class {
			hits++
		}
	}
	return float64(hits) / float64(len(p.y)), meanAUC(proba, p.y, classes), nil
}

// alone returns the area of a tree of at most 8 leaves on the rows that it was grown on. A category is judged on rows
// that its tree has not seen: many levels of few rows each would tell the target by chance.
func (p part) alone(classes int) (float64, error) {
	o := tree.Options{MaxDepth: maxDepth}
	if p.columns[0].Type != frame.Category {
		m, err := tree.FitTree(p.columns, p.y, classes, o)
		if err != nil {
			return 0, err
		}
		_, auc, err := p.judge(m, classes)
		return auc, err
	}
	sum := 0.0
	for half := range 2 {
		grown, judged := p.half(half), p.half(1-half)
		if len(grown.y) == 0 || len(judged.y) == 0 {
			return math.NaN(), nil
		}
		m, err := tree.FitTree(grown.columns, grown.y, classes, o)
		if err != nil {
			return 0, err
		}
		_, auc, err := judged.judge(m, classes)
		if err != nil {
			return 0, err
		}
		sum += float64(auc / 2)
	}
	return sum, nil
}

// half takes every other row.
func (p part) half(from int) part {
	var rows, y []int32
	for i := from; i < len(p.y); i += 2 {
		rows = append(rows, int32(i))
		y = append(y, p.y[i])
	}
	return part{[]*frame.Column{p.columns[0].Take(rows)}, y}
}

func meanAUC(proba []float64, y []int32, classes int) float64 {
	scores := make([]float64, len(y))
	sum, n := 0.0, 0
	for c := range classes {
		if classes == 2 && c == 0 {
			continue
		}
		for i := range scores {
			scores[i] = proba[i*classes+c]
		}
		if a := metrics.AUC(scores, func(i int) bool { return y[i] == int32(c) }); !math.IsNaN(a) {
			sum += a
			n++
		}
	}
	return sum / float64(n)
}
