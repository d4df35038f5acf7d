// Package golearn trains a decision tree with the CART of github.com/sjwhitworth/golearn and keeps it in the form of
// package tree, which adds class probabilities.
//
// Of golearn's learners CART is the one that needs no C compiler, gives the same tree every time and reaches the quality
// of scikit-learn's. It wants every column, the class included, as numbers, and is some thousand times slower than
// package tree, hence MaxRows.
package golearn

import (
	"fmt"
	"reflect"

	"github.com/sjwhitworth/golearn/base"
	"github.com/sjwhitworth/golearn/trees"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/tree"
)

// MaxRows is the largest number of training rows.
const MaxRows = 10_000

// FitCART learns one tree by Gini impurity. columns and y are those of tree.FitTree; maxDepth 0 means no limit.
func FitCART(columns []*frame.Column, y []int32, classes, maxDepth int) (*tree.Ensemble, error) {
	if len(y) > MaxRows {
		return nil, fmt.Errorf("golearn's tree takes at most %d training rows, not %d", MaxRows, len(y))
	}
	return tree.FitForeign(columns, y, classes, func(features [][]float64) (*tree.Foreign, error) {
		grid := instances(features, y)
		labels := make([]int64, classes)
		for i := range labels {
			labels[i] = int64(i)
		}
		depth := int64(maxDepth)
		if depth == 0 {
			depth = -1
		}
		cart := trees.NewDecisionTreeClassifier(trees.GINI, depth, labels)
		if err := cart.Fit(grid); err != nil {
			return nil, fmt.Errorf("golearn: %w", err)
		}
		return convert(reflect.ValueOf(cart.RootNode)), nil
	})
}

// instances copies the features and the classes, as numbers, into golearn's form.
func instances(features [][]float64, y []int32) *base.DenseInstances {
	d := base.NewDenseInstances()
	for i := range features {
		d.AddAttribute(base.NewFloatAttribute(fmt.Sprintf("f%05d", i)))
	}
	class := base.NewFloatAttribute("class")
	d.AddAttribute(class)
	if err := d.AddClassAttribute(class); err != nil {
		panic(err) // the attribute was added above
	}
	if err := d.Extend(len(y)); err != nil {
		panic(err) // nothing else holds the instances
	}
	specs := base.ResolveAttributes(d, d.AllAttributes())
	for i, column := range features {
		for r, v := range column {
			d.Set(specs[i], r, base.PackFloatToBytes(v))
		}
	}
	for r, v := range y {
		d.Set(specs[len(features)], r, base.PackFloatToBytes(float64(v)))
	}
	return d
}

// convert reads golearn's nodes, whose type has no name outside its package, though its fields have.
func convert(pointer reflect.Value) *tree.Foreign {
	if pointer.IsNil() {
		return &tree.Foreign{}
	}
	n := pointer.Elem()
	left, right := n.FieldByName("Left"), n.FieldByName("Right")
	// A node is only kept when it splits, except for a root that found nothing to gain.
	if !n.FieldByName("isNodeNeeded").Bool() {
		return &tree.Foreign{}
	}
	return &tree.Foreign{Feature: int(n.FieldByName("Feature").Int()), Below: n.FieldByName("Threshold").Float(), Left: convert(left), Right: convert(right)}
}
