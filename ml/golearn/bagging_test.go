package golearn

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/sjwhitworth/golearn/trees"

	"github.com/hashline/hashline/ml/metrics"
)

// The probability of a row is the mean over golearn's own trees, each of the class shares among the drawn rows that its tree
// puts where it puts the row. So with full trees, whose leaves are pure, it is the share of golearn's votes.
func TestBaggingIsTheMeanOfGolearnsTrees(t *testing.T) {
	columns, y := numericTable(200, 2, 3)
	features := [][]float64{columns[0].Num, columns[1].Num}
	const bags = 7
	m, err := FitBaggedCART(columns, y, 2, Bagging{Trees: bags, Seed: 11, Cores: 2})
	if err != nil {
		t.Fatal(err)
	}
	proba, err := m.Predict(columns, 1)
	if err != nil {
		t.Fatal(err)
	}
	votes := make([]float64, len(y))
	for b := range bags {
		x, labels := drawn(features, y, sample(len(y), 11, b))
		c := trees.NewDecisionTreeClassifier(trees.GINI, -1, []int64{0, 1})
		if err := c.Fit(numbers(x, labels)); err != nil {
			t.Fatal(err)
		}
		for i, v := range c.Predict(numbers(features, y)) {
			votes[i] += float64(v) / bags
		}
	}
	impure := 0 // golearn does not make the same cut twice, so that a few leaves are not pure
	for i, v := range votes {
		if math.Abs(proba[2*i+1]-v) > 1e-9 {
			impure++
		}
	}
	if impure > len(y)/50 {
		t.Errorf("%d of %d rows have another probability than the share of golearn's votes", impure, len(y))
	}
}

func TestBaggingRepeats(t *testing.T) {
	columns, y := table(300)
	fit := func(o Bagging) []byte {
		t.Helper()
		m, err := FitBaggedCART(columns, y, 2, o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	o := Bagging{Trees: 5, MaxDepth: 4, MaxBins: 16, Seed: 1, Cores: 1}
	first := fit(o)
	for _, cores := range []int{1, 2, 8} {
		o.Cores = cores
		if !bytes.Equal(fit(o), first) {
			t.Errorf("another forest on %d goroutines", cores)
		}
	}
	o.Seed = 2
	if bytes.Equal(fit(o), first) {
		t.Error("another seed gives the same forest")
	}
}

// Cuts between groups are cuts between the values themselves, for rows seen and not seen.
func TestGroups(t *testing.T) {
	v := []float64{5, 1, 9, 3, 7, 1, 1, 9}
	numbers, least := grouped(v, 3)
	// Sorted: 1 1 1 3 5 7 9 9; groups begin at places 0, 2 and 5, of which the second is 1 again.
	if want := []float64{1, 7}; !slices.Equal(least, want) {
		t.Fatalf("groups begin at %v, want %v", least, want)
	}
	if want := []float64{0, 0, 1, 0, 1, 0, 0, 1}; !slices.Equal(numbers, want) {
		t.Errorf("groups %v, want %v", numbers, want)
	}
	if same, least := grouped(v, 5); &same[0] != &v[0] || least != nil {
		t.Error("five values in five groups are left as they are")
	}
	columns, y := numericTable(400, 3, 1)
	m, err := FitBaggedCART(columns, y, 3, Bagging{Trees: 5, MaxDepth: 6, MaxBins: 8, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	test, truth := numericTable(400, 3, 2)
	proba, err := m.Predict(test, 1)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := metrics.Evaluate(proba, truth, []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	if e.Metrics.Accuracy < 0.75 { // the largest class has 0.5, the full tree 0.77
		t.Errorf("accuracy %v on eight groups", e.Metrics.Accuracy)
	}
}

func TestBaggingRefuses(t *testing.T) {
	columns, y := table(20)
	for _, o := range []Bagging{{}, {Trees: 1, MaxDepth: -1}, {Trees: 1, MaxBins: 1}, {Trees: 1, MaxBins: -2}} {
		if _, err := FitBaggedCART(columns, y, 2, o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}
