package golearn

import (
	"fmt"
	"math"

	"github.com/sjwhitworth/golearn/evaluation"

	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
)

// Scores are what golearn's package evaluation says of labels.
type Scores struct {
	Accuracy  num.Float         `json:"accuracy"`
	PerClass  []ClassScores     `json:"per_class"`
	Confusion metrics.Confusion `json:"confusion"`
}

// ClassScores are those of one class against the rest. What divides by zero is not defined, as in golearn, and null; package
// metrics calls the precision of a class that was never predicted, and does occur, 0.
type ClassScores struct {
	Class     string    `json:"class"`
	Precision num.Float `json:"precision"`
	Recall    num.Float `json:"recall"`
	F1        num.Float `json:"f1"`
}

// Score judges the labels of rows by their true classes; both are indexes into classes.
func Score(truth, labels []int32, classes []string) (*Scores, error) {
	ref, err := Instances(nil, truth, classes)
	if err != nil {
		return nil, err
	}
	given, err := Instances(nil, labels, classes)
	if err != nil {
		return nil, err
	}
	matrix, err := evaluation.GetConfusionMatrix(ref, given)
	if err != nil {
		return nil, fmt.Errorf("golearn: %w", err)
	}
	s := &Scores{Accuracy: num.Float(evaluation.GetAccuracy(matrix)), Confusion: metrics.Confusion{Labels: classes}}
	for _, class := range classes {
		counts := make([]int64, len(classes))
		for j, other := range classes {
			counts[j] = int64(matrix[class][other])
		}
		s.Confusion.Counts = append(s.Confusion.Counts, counts)
		s.PerClass = append(s.PerClass, ClassScores{class, num.Float(evaluation.GetPrecision(class, matrix)),
			num.Float(evaluation.GetRecall(class, matrix)), num.Float(evaluation.GetF1Score(class, matrix))})
	}
	return s, nil
}

// Differ names the first figure that package metrics sees otherwise, or nothing. F1 is computed in two ways, so it may
// differ by a few units in its last place.
func (s *Scores) Differ(e *metrics.Evaluation) string {
	if s.Accuracy != e.Metrics.Accuracy {
		return fmt.Sprintf("accuracy %v and %v", s.Accuracy, e.Metrics.Accuracy)
	}
	for i, c := range s.PerClass {
		m := e.PerClass[i]
		for j, n := range s.Confusion.Counts[i] {
			if n != e.Confusion.Counts[i][j] {
				return fmt.Sprintf("rows of %q taken for %q: %d and %d", c.Class, s.Confusion.Labels[j], n, e.Confusion.Counts[i][j])
			}
		}
		if !same(c.Precision, m.Precision, 0) || !same(c.Recall, m.Recall, 0) || !same(c.F1, m.F1, 1e-14) {
			return fmt.Sprintf("precision, recall and F1 of %q: %v, %v, %v and %v, %v, %v", c.Class, c.Precision, c.Recall, c.F1, m.Precision, m.Recall, m.F1)
		}
	}
	return ""
}

// same compares a figure of golearn, which may not be defined, with one that may be 0 then.
func same(golearn, ours num.Float, tolerance float64) bool {
	if !golearn.Defined() {
		return !ours.Defined() || ours == 0
	}
	return math.Abs(float64(golearn-ours)) <= tolerance
}
