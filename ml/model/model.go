// Package model is the file format of a trained model: one estimator with everything that scoring raw rows needs. FORMAT.md
// beside it says what every field holds, and how predictions come of them, for programs in other languages.
package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/hashline/hashline/ml/calibrate"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/linear"
	"github.com/hashline/hashline/ml/tree"
)

// Schema is the schema of Model; fields are only ever added.
const Schema = "hashline.model/1"

// Model is a trained model as JSON. Exactly one of Tree, Linear and Own is set.
type Model struct {
	Schema  string          `json:"schema"`
	Kind    string          `json:"kind"`    // decision_tree, random_forest, extra_trees, gradient_boosting, logistic_regression, ridge, or a registered one
	Engine  string          `json:"engine"`  // what trained it: native or golearn
	Target  string          `json:"target"`  // the expression that gave the classes, or the column of numbers
	Classes []string        `json:"classes"` // null of a model of numbers
	Recipe  json.RawMessage `json:"recipe"`  // how raw columns become features; see package feature
	Tree    *tree.Ensemble  `json:"tree,omitempty"`
	Linear  *linear.Model   `json:"linear,omitempty"`
	Own     Predictor       `json:"own,omitempty"` // of a kind that the program registered
	Columns []string        `json:"features"`      // names in the estimator's order

	Calibration *calibrate.Calibrator `json:"calibration,omitempty"` // of the estimator's probabilities
	Decision    *Decision             `json:"decision,omitempty"`    // which rows are taken for the second of two classes
}

// Estimator predicts class probabilities, n x classes, or n numbers.
type Estimator interface {
	Predict(columns []*frame.Column, cores int) ([]float64, error)
	PredictPermuted(columns []*frame.Column, permutations [][]int32, cores int, visit func(feature, permutation int, predicted []float64)) error
}

// Estimator returns the one that is set, calibrated where there is a calibration.
func (m *Model) Estimator() Estimator {
	if m.Calibration != nil {
		return calibrated{m.estimator(), m.Calibration}
	}
	return m.estimator()
}

func (m *Model) estimator() Estimator {
	switch {
	case m.Tree != nil:
		return m.Tree
	case m.Linear != nil:
		return m.Linear
	}
	return permuted{m.Own}
}

// Predict returns the class probabilities of the rows of a table of features: n x classes, row-major; of a model of numbers
// one for each row.
func (m *Model) Predict(f *frame.Frame, cores int) ([]float64, error) {
	columns, err := f.Select(m.Columns...)
	if err != nil {
		return nil, err
	}
	return m.Estimator().Predict(columns, cores)
}

// Parse reads a model and checks it, so that a damaged or hostile file is an error and not a panic.
func Parse(b []byte) (*Model, error) {
	var d struct {
		Model
		Own json.RawMessage `json:"own"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	m := d.Model
	if m.Schema != Schema {
		return nil, fmt.Errorf("model: schema %.40q, want %s", m.Schema, Schema)
	}
	if err := m.checkDecision(); err != nil {
		return nil, err
	}
	if len(d.Own) > 0 && string(d.Own) != "null" {
		if m.Tree != nil || m.Linear != nil {
			return nil, errors.New("model: want exactly one of tree, linear and own")
		}
		return &m, m.readOwn(d.Own)
	}
	if (m.Tree == nil) == (m.Linear == nil) {
		return nil, errors.New("model: want exactly one of tree, linear and own")
	}
	classes, features := 0, []string(nil)
	if m.Tree != nil {
		classes, features = m.Tree.Classes(), m.Tree.Features()
	} else {
		classes, features = m.Linear.Classes, m.Linear.Features()
	}
	if !slices.Equal(features, m.Columns) {
		return nil, errors.New("model: its features are not those of its estimator")
	}
	if classes != len(m.Classes) {
		return nil, fmt.Errorf("model: an estimator of %d classes, want %d", classes, len(m.Classes))
	}
	return &m, nil
}
