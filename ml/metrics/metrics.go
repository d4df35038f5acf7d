// Package metrics judges class probabilities and numeric predictions against the truth.
//
// Names and definitions are scikit-learn's (sklearn.metrics, version 1.9). With two classes, precision, recall, F1, the
// areas and the curves are those of the second class; with more they are unweighted means over the classes, each against
// the rest. All are deterministic: counts are integers and sums have a fixed order.
package metrics

import (
	"errors"
	"fmt"
	"math"

	"github.com/hashline/hashline/ml/num"
)

// Metrics are the figures of one model on n rows. All but LogLoss and Brier are better when larger; a figure that the
// data does not define, such as the area under a curve when a class is absent, is null.
type Metrics struct {
	Accuracy         num.Float `json:"accuracy"`
	BalancedAccuracy num.Float `json:"balanced_accuracy"` // mean recall over the classes that occur
	Precision        num.Float `json:"precision"`
	Recall           num.Float `json:"recall"`
	F1               num.Float `json:"f1"`
	ROCAUC           num.Float `json:"roc_auc"`
	AveragePrecision num.Float `json:"average_precision"`
	LogLoss          num.Float `json:"log_loss"` // nats per row; probabilities are clipped at 2^-52
	Brier            num.Float `json:"brier"`    // two classes: mean (p-y)^2 of the second; more: summed over the classes
}

// Undefined returns metrics of which none is defined.
func Undefined() Metrics {
	none := num.Float(math.NaN())
	return Metrics{none, none, none, none, none, none, none, none, none}
}

// ClassMetrics are the figures of one class against the rest.
type ClassMetrics struct {
	Class            string    `json:"class"`
	Rows             int       `json:"rows"`
	Precision        num.Float `json:"precision"`
	Recall           num.Float `json:"recall"`
	F1               num.Float `json:"f1"`
	ROCAUC           num.Float `json:"roc_auc"`
	AveragePrecision num.Float `json:"average_precision"`
}

// Confusion counts rows by true class (first index) and predicted class.
type Confusion struct {
	Labels []string  `json:"labels"`
	Counts [][]int64 `json:"rows_true_columns_predicted"`
}

// Evaluation is everything about one model on one part of the data.
type Evaluation struct {
	Rows      int            `json:"rows"`
	Classes   []string       `json:"classes"`
	Metrics   Metrics        `json:"metrics"`
	Macro     ClassMetrics   `json:"macro"` // unweighted means of PerClass
	PerClass  []ClassMetrics `json:"per_class"`
	Confusion Confusion      `json:"confusion"`
}

// Label returns the predicted class of one row of probabilities: the largest, the first of equals; of two classes the
// second needs at least as much as the first.
func Label(proba []float64) int32 {
	if len(proba) == 2 {
		if proba[1] >= proba[0] {
			return 1
		}
		return 0
	}
	best := 0
	for c, p := range proba {
		if p > proba[best] {
			best = c
		}
	}
	return int32(best)
}

// Evaluate compares probabilities (n x k, row-major, each row adding up to 1) with the true classes y (n), and also gives
// the points of the curves.
func Evaluate(proba []float64, y []int32, classes []string) (*Evaluation, *Curves, error) {
	return EvaluateLabels(proba, y, classes, Label)
}

// EvaluateLabels is Evaluate with another rule for the label of a row of probabilities.
func EvaluateLabels(proba []float64, y []int32, classes []string, label func(proba []float64) int32) (*Evaluation, *Curves, error) {
	n, k := len(y), len(classes)
	if n == 0 || k < 2 || len(proba) != n*k {
		return nil, nil, fmt.Errorf("%d probabilities for %d rows of %d classes", len(proba), n, k)
	}
	for _, class := range y {
		if class < 0 || int(class) >= k {
			return nil, nil, errors.New("a class is out of range")
		}
	}
	for _, p := range proba {
		if !(p >= 0 && p <= 1) {
			return nil, nil, errors.New("a probability is not between 0 and 1")
		}
	}
	e := &Evaluation{Rows: n, Classes: classes, Confusion: confusion(proba, y, classes, label)}
	curves := &Curves{Rows: n}
	for c := range classes {
		m, curve := e.class(proba, y, c)
		e.PerClass = append(e.PerClass, m)
		if k > 2 || c == 1 {
			curves.Classes = append(curves.Classes, curve)
		}
	}
	e.Macro = macro(e.PerClass)
	head := e.Macro
	if k == 2 {
		head = e.PerClass[1]
	}
	e.Metrics = Metrics{Accuracy: e.accuracy(), BalancedAccuracy: e.balanced(), Precision: head.Precision, Recall: head.Recall, F1: head.F1,
		ROCAUC: head.ROCAUC, AveragePrecision: head.AveragePrecision, LogLoss: logLoss(proba, y, k), Brier: brier(proba, y, k)}
	return e, curves, nil
}

func confusion(proba []float64, y []int32, classes []string, label func([]float64) int32) Confusion {
	k := len(classes)
	m := Confusion{Labels: classes, Counts: make([][]int64, k)}
	for c := range m.Counts {
		m.Counts[c] = make([]int64, k)
	}
	for i, truth := range y {
		m.Counts[truth][label(proba[i*k:(i+1)*k])]++
	}
	return m
}

// class judges class c against the rest.
func (e *Evaluation) class(proba []float64, y []int32, c int) (ClassMetrics, ClassCurves) {
	k := len(e.Classes)
	s := make(ranking, 0, len(y))
	for i, truth := range y {
		s = s.add(proba[i*k+c], truth == int32(c))
	}
	s.sort()
	var predicted, actual int64
	for o := range k {
		predicted += e.Confusion.Counts[o][c]
		actual += e.Confusion.Counts[c][o]
	}
	hit := e.Confusion.Counts[c][c]
	m := ClassMetrics{Class: e.Classes[c], Rows: int(actual), Precision: share(hit, predicted), Recall: share(hit, actual),
		F1: share(2*hit, predicted+actual), ROCAUC: num.Float(s.auc()), AveragePrecision: num.Float(s.averagePrecision())}
	if predicted == 0 && actual > 0 {
		m.Precision = 0 // nothing was predicted: zero, as the convention goes
	}
	return m, s.curves(e.Classes[c])
}

func share(part, whole int64) num.Float {
	if whole == 0 {
		return num.Float(math.NaN())
	}
	return num.Float(float64(part) / float64(whole))
}

func macro(per []ClassMetrics) ClassMetrics {
	m := ClassMetrics{Class: "macro"}
	for _, c := range per {
		m.Rows += c.Rows
	}
	mean := func(of func(ClassMetrics) num.Float) num.Float {
		sum, n := 0.0, 0
		for _, c := range per {
			if v := of(c); v.Defined() {
				sum += float64(v)
				n++
			}
		}
		return num.Float(sum / float64(n))
	}
	m.Precision = mean(func(c ClassMetrics) num.Float { return c.Precision })
	m.Recall = mean(func(c ClassMetrics) num.Float { return c.Recall })
	m.F1 = mean(func(c ClassMetrics) num.Float { return c.F1 })
	m.ROCAUC = mean(func(c ClassMetrics) num.Float { return c.ROCAUC })
	m.AveragePrecision = mean(func(c ClassMetrics) num.Float { return c.AveragePrecision })
	return m
}

func (e *Evaluation) accuracy() num.Float {
	hits := int64(0)
	for c := range e.Classes {
		hits += e.Confusion.Counts[c][c]
	}
	return share(hits, int64(e.Rows))
}

func (e *Evaluation) balanced() num.Float {
	sum, n := 0.0, 0
	for _, c := range e.PerClass {
		if c.Rows > 0 {
			sum += float64(c.Recall)
			n++
		}
	}
	return num.Float(sum / float64(n))
}

func logLoss(proba []float64, y []int32, k int) num.Float {
	losses := make([]float64, len(y))
	for i, truth := range y {
		losses[i] = -num.Log(max(proba[i*k+int(truth)], 0x1p-52))
	}
	return num.Float(num.Sum(losses) / float64(len(y)))
}

func brier(proba []float64, y []int32, k int) num.Float {
	squares := make([]float64, len(y))
	for i, truth := range y {
		if k == 2 {
			d := proba[i*2+1] - float64(truth)
			squares[i] = float64(d * d)
			continue
		}
		for c, p := range proba[i*k : (i+1)*k] {
			d := p
			if c == int(truth) {
				d = p - 1
			}
			squares[i] += float64(d * d)
		}
	}
	return num.Float(num.Sum(squares) / float64(len(y)))
}
