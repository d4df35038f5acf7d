package model

import (
	"errors"
	"math"

	"github.com/hashline/hashline/ml/calibrate"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
)

// Decision is how a model of two classes takes a row for the second: from Threshold on, the probability at which wrong
// answers cost least on the rows that it was chosen on.
type Decision struct {
	Threshold     num.Float `json:"threshold"` // above 1: no row is
	FalsePositive float64   `json:"cost_false_positive"`
	FalseNegative float64   `json:"cost_false_negative"`
}

// Label returns the class of a row of probabilities: that of metrics.Label, or as Decision says.
func (m *Model) Label(proba []float64) int32 {
	switch {
	case m.Decision == nil:
		return metrics.Label(proba)
	case proba[1] >= float64(m.Decision.Threshold):
		return 1
	}
	return 0
}

// checkDecision refuses a calibration or threshold that does not go with the model's classes.
func (m *Model) checkDecision() error {
	if c := m.Calibration; c != nil {
		if err := c.Check(); err != nil {
			return err
		}
		if c.Classes != len(m.Classes) {
			return errors.New("model: its calibration has other classes")
		}
	}
	if d := m.Decision; d != nil && (len(m.Classes) != 2 || !(d.Threshold >= 0) || math.IsInf(float64(d.Threshold), 0)) {
		return errors.New("model: a threshold is for two classes, and a number from 0")
	}
	return nil
}

// calibrated is an estimator whose probabilities are calibrated.
type calibrated struct {
	estimator Estimator
	by        *calibrate.Calibrator
}

func (c calibrated) Predict(columns []*frame.Column, cores int) ([]float64, error) {
	proba, err := c.estimator.Predict(columns, cores)
	if err != nil {
		return nil, err
	}
	return c.by.Apply(proba), nil
}

func (c calibrated) PredictPermuted(columns []*frame.Column, permutations [][]int32, cores int, visit func(feature, permutation int, predicted []float64)) error {
	return c.estimator.PredictPermuted(columns, permutations, cores, func(feature, permutation int, proba []float64) {
		if proba != nil { // nil: as without the permutation
			proba = c.by.Apply(proba)
		}
		visit(feature, permutation, proba)
	})
}
