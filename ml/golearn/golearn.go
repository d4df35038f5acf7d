// Package golearn trains trees with the CART of github.com/sjwhitworth/golearn, alone or many on samples of the rows, and
// keeps them in the form of package tree, which adds class probabilities. It also copies tables to and from golearn's
// instances, and judges labels with golearn's package evaluation.
//
// Of golearn's learners CART is the one that needs no C compiler, gives the same tree every time and reaches the quality
// of scikit-learn's. Its forests are not used: ensemble.RandomForest needs cgo, meta.BaggedModel does not take a CART, and
// both draw from math/rand's global source in concurrent goroutines, which no seed makes repeatable. So the samples are
// drawn here, from package num's generator, and golearn's CART learns from each.
//
// It is slow. CART counts the classes of a node anew for every possible cut, so that its time grows with the rows times the
// distinct values of every column: some hundred times that of package tree at 8000 rows, and more with more of them. Hence
// MaxRows, and Bagging.MaxBins. bench/golearn measures it.
package golearn

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"

	"github.com/sjwhitworth/golearn/trees"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/tree"
)

// MaxRows is the largest number of training rows.
const MaxRows = 10_000

// FitCART learns one tree by Gini impurity. columns and y are those of tree.FitTree; maxDepth 0 means no limit.
func FitCART(columns []*frame.Column, y []int32, classes, maxDepth int) (*tree.Ensemble, error) {
	if err := check(y); err != nil {
		return nil, err
	}
	return tree.FitForeign(columns, y, classes, func(features [][]float64) ([]tree.ForeignTree, error) {
		root, err := cart(features, y, classes, maxDepth)
		return []tree.ForeignTree{{Root: root}}, err
	})
}

// Bagging are the options of FitBaggedCART.
type Bagging struct {
	Trees    int    // at least 1
	MaxDepth int    // 0: no limit
	MaxBins  int    // a column of more distinct values is cut into so many groups of about as many rows; 0: never
	Seed     uint64 // decides the samples
	Cores    int    // goroutines; the result does not depend on it
}

// FitBaggedCART learns trees from samples of the rows, as many as there are, drawn with replacement (Breiman: Bagging
// Predictors, 1996); its probabilities are the means over the trees. columns and y are those of tree.FitTree.
func FitBaggedCART(columns []*frame.Column, y []int32, classes int, o Bagging) (*tree.Ensemble, error) {
	if err := check(y); err != nil {
		return nil, err
	}
	if o.Trees < 1 || o.MaxDepth < 0 || o.MaxBins < 0 || o.MaxBins == 1 {
		return nil, fmt.Errorf("golearn: %d trees of depth %d on %d bins", o.Trees, o.MaxDepth, o.MaxBins)
	}
	return tree.FitForeign(columns, y, classes, func(features [][]float64) ([]tree.ForeignTree, error) {
		groups := make([][]float64, len(features))
		for i := range features {
			features[i], groups[i] = grouped(features[i], o.MaxBins)
		}
		learned, failed := make([]tree.ForeignTree, o.Trees), make([]error, o.Trees)
		var wait sync.WaitGroup
		for core := range max(1, o.Cores) {
			wait.Go(func() {
				for t := core; t < o.Trees; t += max(1, o.Cores) {
					learned[t].Rows = sample(len(y), o.Seed, t)
					x, labels := drawn(features, y, learned[t].Rows)
					learned[t].Root, failed[t] = cart(x, labels, classes, o.MaxDepth)
					ungroup(learned[t].Root, groups)
				}
			})
		}
		wait.Wait()
		for _, err := range failed {
			if err != nil {
				return nil, err
			}
		}
		return learned, nil
	})
}

func check(y []int32) error {
	if len(y) > MaxRows {
		return fmt.Errorf("golearn's trees take at most %d training rows, not %d", MaxRows, len(y))
	}
	return nil
}

// cart learns one tree of rows that are numbers.
func cart(features [][]float64, y []int32, classes, maxDepth int) (*tree.Foreign, error) {
	labels := make([]int64, classes)
	for i := range labels {
		labels[i] = int64(i)
	}
	depth := int64(maxDepth)
	if depth == 0 {
		depth = -1
	}
	c := trees.NewDecisionTreeClassifier(trees.GINI, depth, labels)
	if err := c.Fit(numbers(features, y)); err != nil {
		return nil, fmt.Errorf("golearn: %w", err)
	}
	return convert(reflect.ValueOf(c.RootNode)), nil
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

// sample says how often each of n rows is drawn for a tree.
func sample(n int, seed uint64, tree int) []uint32 {
	times, rng := make([]uint32, n), num.NewRNG(seed, uint64(tree))
	for range n {
		times[rng.Intn(n)]++
	}
	return times
}

// drawn repeats every row as often as it was drawn.
func drawn(features [][]float64, y []int32, times []uint32) (x [][]float64, labels []int32) {
	var rows []int
	for i, t := range times {
		for range t {
			rows = append(rows, i)
		}
	}
	x, labels = make([][]float64, len(features)), make([]int32, len(rows))
	for f := range features {
		x[f] = make([]float64, len(rows))
		for i, r := range rows {
			x[f][i] = features[f][r]
		}
	}
	for i, r := range rows {
		labels[i] = y[r]
	}
	return x, labels
}

// grouped replaces the values of a column with too many distinct ones by the numbers of their groups, and returns the
// least value of each group; nil says that the values are left as they are.
func grouped(v []float64, groups int) (numbers, least []float64) {
	sorted := slices.Clone(v)
	num.SortFloats(sorted)
	if groups == 0 || len(slices.Compact(slices.Clone(sorted))) <= groups {
		return v, nil
	}
	for g := range groups {
		if x := sorted[g*len(sorted)/groups]; g == 0 || x > least[len(least)-1] {
			least = append(least, x)
		}
	}
	numbers = make([]float64, len(v))
	for i, x := range v {
		at, found := slices.BinarySearch(least, x)
		if !found {
			at--
		}
		numbers[i] = float64(at)
	}
	return numbers, least
}

// ungroup makes cuts between groups cuts between values.
func ungroup(n *tree.Foreign, least [][]float64) {
	if n == nil || n.Left == nil || n.Right == nil {
		return
	}
	if l := least[n.Feature]; l != nil {
		n.Below = l[int(math.Ceil(n.Below))]
	}
	ungroup(n.Left, least)
	ungroup(n.Right, least)
}
