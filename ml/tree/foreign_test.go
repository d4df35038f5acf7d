package tree

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
)

func TestFitForeign(t *testing.T) {
	x, c := number("x", 1, 2, 3, math.NaN(), 5, 6), category("c", "low", "low", "high", "high", "mid", "mid")
	y := []int32{0, 0, 1, 1, 0, 1}
	var seen [][]float64
	m, err := FitForeign([]*frame.Column{x, c}, y, 2, func(features [][]float64) ([]ForeignTree, error) {
		seen = features
		return one(&Foreign{Feature: 1, Below: 2.5, Left: &Foreign{Feature: 0, Below: 2, Left: &Foreign{}, Right: &Foreign{}}, Right: &Foreign{}})
	})
	if err != nil {
		t.Fatal(err)
	}
	// Levels by their share of the second class: low 0, mid 1/2, high 1. The missing number lies below all others.
	if want := [][]float64{{1, 2, 3, -1, 5, 6}, {1, 1, 3, 3, 2, 2}}; !slices.EqualFunc(seen, want, slices.Equal[[]float64]) {
		t.Errorf("the learner saw %v, want %v", seen, want)
	}
	// Below 2.5 are low and mid; of these x < 2 is row 1 alone, the others have classes 0, 0, 1.
	test := []*frame.Column{number("x", 1.9, 2, math.NaN(), 7, 7), category("c", "low", "mid", "mid", "high", "unseen")}
	if got, want := second(mustPredict(t, m, test...)), []float64{0, 1. / 3, 0, 1, 1. / 3}; !closeTo(got, want) {
		t.Errorf("predictions %v, want %v", got, want)
	}
}

func one(root *Foreign) ([]ForeignTree, error) { return []ForeignTree{{Root: root}}, nil }

// Of several trees the mean counts, each with the shares of the rows that it learned from.
func TestFitForeignForest(t *testing.T) {
	x, y := []*frame.Column{number("x", 1, 2, 3, 4)}, []int32{0, 0, 1, 1}
	cut := func(below float64) *Foreign { return &Foreign{Below: below, Left: &Foreign{}, Right: &Foreign{}} }
	m, err := FitForeign(x, y, 2, func([][]float64) ([]ForeignTree, error) {
		return []ForeignTree{{Root: cut(2)}, {Root: cut(4), Rows: []uint32{3, 0, 1, 0}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// The first tree: row 1, then 2 to 4. The second: three times row 1 and row 3, then nothing.
	if got, want := second(mustPredict(t, m, x...)), []float64{(0 + 0.25) / 2, (2./3 + 0.25) / 2, (2./3 + 0.25) / 2, (2. / 3) / 2}; !closeTo(got, want) {
		t.Errorf("predictions %v, want %v", got, want)
	}
}

func closeTo(got, want []float64) bool {
	return slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
}

func TestFitForeignRefuses(t *testing.T) {
	x, y := []*frame.Column{number("x", 1, 2)}, []int32{0, 1}
	leaf := &Foreign{}
	for name, learn := range map[string]func([][]float64) ([]ForeignTree, error){
		"an error":        func([][]float64) ([]ForeignTree, error) { return nil, errors.New("no") },
		"no such feature": func([][]float64) ([]ForeignTree, error) { return one(&Foreign{Feature: 1, Left: leaf, Right: leaf}) },
		"feature below 0": func([][]float64) ([]ForeignTree, error) { return one(&Foreign{Feature: -1, Left: leaf, Right: leaf}) },
		"cut at NaN": func([][]float64) ([]ForeignTree, error) {
			return one(&Foreign{Below: math.NaN(), Left: leaf, Right: leaf})
		},
		"no tree": func([][]float64) ([]ForeignTree, error) { return nil, nil },
		"rows":    func([][]float64) ([]ForeignTree, error) { return []ForeignTree{{Rows: []uint32{1}}}, nil },
	} {
		if _, err := FitForeign(x, y, 2, learn); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	m, err := FitForeign(x, y, 2, func([][]float64) ([]ForeignTree, error) { return one(nil) })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := second(mustPredict(t, m, x...)), []float64{0.5, 0.5}; !closeTo(got, want) {
		t.Errorf("no tree at all: predictions %v, want the shares of all rows %v", got, want)
	}
}
