package tree

import (
	"slices"
	"sync"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// Every call gets the bits that Predict gives for columns that were permuted in fact.
func TestPredictPermutedIsPredictOfPermuted(t *testing.T) {
	for _, c := range []struct {
		name                   string
		rows, classes, repeats int
		fit                    func([]*frame.Column, []int32, int, Options) (*Ensemble, error)
		options                Options
		memory                 int
	}{
		{name: "forest", rows: 1500, classes: 2, repeats: 5, fit: FitForest, options: Options{Trees: 20, MinSamplesLeaf: 2, MaxFeatures: 0.5}},
		{name: "three classes", rows: 700, classes: 3, repeats: 3, fit: FitForest, options: Options{Trees: 10}},
		{name: "tree", rows: permuteRows + 1, classes: 2, repeats: 2, fit: FitTree, options: Options{Laplace: 1}},
		{name: "more permutations than go together", rows: 50, classes: 2, repeats: permutedTogether + 3, fit: FitTree},
		{name: "more features than fit in memory", rows: 500, classes: 3, repeats: 3, fit: FitTree, memory: 2 * 500 * 3 * 2 * 8},
		{name: "most features unused", rows: 300, classes: 2, repeats: 2, fit: FitTree, options: Options{MaxDepth: 1}, memory: 300 * 2 * 8},
		{name: "one row", rows: 1, classes: 2, repeats: 1, fit: FitTree},
	} {
		columns, y := generate(c.rows, c.classes, 9)
		m := mustFit(t, c.fit, columns, y, c.classes, c.options)
		permutations := make([][]int32, c.repeats)
		for r := range permutations {
			permutations[r] = make([]int32, c.rows)
			num.NewRNG(1, uint64(r)).Perm(permutations[r])
		}
		var mu sync.Mutex
		calls := map[[2]int]int{}
		if c.memory == 0 {
			c.memory = permuteMemory
		}
		err := m.predictPermuted(columns, permutations, 3, c.memory, func(f, r int, proba []float64) {
			mu.Lock()
			defer mu.Unlock()
			calls[[2]int{f, r}]++
			if c.repeats >= permutedTogether && r%13 != 0 {
				return // a sample is enough
			}
			permuted := slices.Clone(columns)
			permuted[f] = columns[f].Take(permutations[r])
			if proba == nil {
				proba = mustPredict(t, m, columns...)
			}
			if want := mustPredict(t, m, permuted...); !slices.Equal(proba, want) {
				t.Errorf("%s: feature %d, permutation %d: other predictions", c.name, f, r)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(calls) != len(columns)*c.repeats {
			t.Errorf("%s: %d calls, want %d", c.name, len(calls), len(columns)*c.repeats)
		}
		for at, n := range calls {
			if n != 1 {
				t.Errorf("%s: %d calls for %v", c.name, n, at)
			}
		}
	}
}

func TestPredictPermutedRefuses(t *testing.T) {
	m := mustFit(t, FitTree, []*frame.Column{number("x", 1, 2)}, []int32{0, 1}, 2, Options{})
	if err := m.PredictPermuted([]*frame.Column{number("z", 1)}, nil, 1, nil); err == nil {
		t.Error("another feature: no error")
	}
}
