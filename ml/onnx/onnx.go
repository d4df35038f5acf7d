// Package onnx writes a trained model as an ONNX file, preprocessing included: raw columns in, label and probabilities out.
//
// Inputs are the raw columns that the features are made from, by their names, each rows x 1: numbers and truth values (0 or
// 1) as doubles, NaN where missing; texts as strings, empty where missing; dates as strings such as 2016-11-08, empty where
// missing. Outputs are "label" (rows strings) and "probabilities" (rows x classes doubles, in the order of the property
// "classes"), or "prediction" (rows doubles) of a model of a numeric target.
//
// Trees are one TreeEnsemble in doubles whose sums are exact, so the probabilities of trees and forests are Predict's to the
// last bit; those of boosting and of linear models agree to a few units of the last place. A calibration and a threshold are
// part of the graph: labels are Predict's where many rows have the very probability of the threshold, too. Where an isotonic
// calibration is nearly upright between two points, it enlarges what boosting and linear models differ by, some 2e-16, by its slope
// there: to 1e-6 where it rises by 0.1 within 2e-11. The file needs the operators of ai.onnx 17 (20 with dates) and
// ai.onnx.ml 5, which ONNX Runtime has from 1.20 on. Equal models give equal bytes. It is written by hand from onnx.proto
// (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) and docs/Operators-ml.md beside it.
package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/model"
)

// maxBytes is the size that a protobuf message must stay below.
const maxBytes = 1<<31 - 1

// reserved are the names of outputs, which no raw column can have.
var reserved = []string{"label", "probabilities", "prediction"}

// Export returns a model as an ONNX file. Time and memory are those of the file, which has a node for each of the trees'.
func Export(m *model.Model) ([]byte, error) {
	if m.Own != nil {
		return nil, fmt.Errorf("onnx: the format has no words for a model of the kind %.40q", m.Kind)
	}
	r, err := feature.ParseRecipe(m.Recipe)
	if err != nil {
		return nil, err
	}
	for _, c := range r.Columns {
		if slices.Contains(reserved, c.Name) || c.Name == "" {
			return nil, fmt.Errorf("onnx: a column is named %q, as an output of the file is", c.Name)
		}
	}
	names := make([]string, len(r.Features))
	for i, f := range r.Features {
		names[i] = f.Name
	}
	if !slices.Equal(names, m.Columns) {
		return nil, errors.New("onnx: the model's features are not those of its recipe")
	}
	g := newGraph()
	for _, n := range reserved {
		g.taken[n] = true
	}
	values, textual, err := g.features(r)
	if err != nil {
		return nil, err
	}
	for i, text := range textual {
		if text == numeric(m, i) {
			return nil, fmt.Errorf("onnx: the model's feature %.80q is not of the type that its recipe makes", names[i])
		}
	}
	var o *outcome
	switch {
	case m.Tree != nil:
		o = g.ensemble(m.Tree, values, textual)
	case m.Linear != nil:
		o = g.linear(m.Linear, values)
	default:
		return nil, errors.New("onnx: the model has no estimator that the format knows")
	}
	g.results(m, o)
	classes, err := json.Marshal(m.Classes)
	if err != nil {
		return nil, err
	}
	b := g.model(m.Kind, [][2]string{{"target", m.Target}, {"classes", string(classes)}, {"kind", m.Kind}})
	if len(b) > maxBytes {
		return nil, fmt.Errorf("onnx: the file would have %d bytes, more than the format's %d", len(b), maxBytes)
	}
	return b, nil
}

// numeric reports whether feature i of the estimator is a number.
func numeric(m *model.Model, i int) bool {
	if m.Tree != nil {
		return m.Tree.Coding(i).Type.Numeric()
	}
	return m.Linear != nil && m.Linear.Terms[i].Type.Numeric()
}

// results names the outputs. The label is that of model.Model.Label: the class with the largest probability, the first of
// equals, of two classes the second, unless the model has a threshold.
func (g *graph) results(m *model.Model, o *outcome) {
	classes, v := m.Classes, o.results
	if len(classes) == 0 {
		g.addTo("prediction", "", "Reshape", []string{v, g.whole(-1)})
		g.output("prediction", typeDouble, 0)
		return
	}
	if m.Calibration != nil {
		v = g.calibrated(m.Calibration, v)
	}
	g.addTo("probabilities", "", "Identity", []string{v})
	best := g.best(m, o, v)
	g.addTo("label", "", "Gather", []string{g.constant(texts(classes...)), best}, attribute{"axis", int64(0)})
	g.output("label", typeString, 0)
	g.output("probabilities", typeDouble, len(classes))
}

// best is the place of each row's class.
func (g *graph) best(m *model.Model, o *outcome, probabilities string) string {
	if len(m.Classes) == 2 && (m.Calibration != nil || m.Decision != nil) {
		return g.binary("Reshape", g.cast(g.second(m, o), typeInt64), g.whole(-1))
	}
	last := int64(0)
	if len(m.Classes) == 2 {
		last = 1
	}
	return g.add("ArgMax", []string{probabilities}, attribute{"axis", int64(1)}, attribute{"keepdims", int64(0)}, attribute{"select_last_index", last})
}
