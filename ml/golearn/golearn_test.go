package golearn

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/sjwhitworth/golearn/base"
	"github.com/sjwhitworth/golearn/trees"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// table makes n rows whose class depends on a number and a category.
func table(n int) ([]*frame.Column, []int32) {
	rng := num.NewRNG(1)
	a := &frame.Column{Name: "a", Type: frame.Float}
	b := &frame.Column{Name: "b", Type: frame.Integer}
	c := &frame.Column{Name: "c", Type: frame.Category, Levels: []string{"x", "y", "z"}}
	var y []int32
	for range n {
		va, vb, vc := rng.Float64(), float64(rng.Intn(5)), int32(rng.Intn(3))
		class := int32(0)
		if (va > 0.5) != (vc == 1) || rng.Intn(10) == 0 {
			class = 1
		}
		if rng.Intn(20) == 0 {
			va = math.NaN()
		}
		a.Num, b.Num, c.Codes, y = append(a.Num, va), append(b.Num, vb), append(c.Codes, vc), append(y, class)
	}
	return []*frame.Column{a, b, c}, y
}

// The converted tree must answer what golearn's own answers.
func TestFitCARTAgreesWithGolearn(t *testing.T) {
	columns, y := table(300)
	m, err := FitCART(columns, y, 2, 6)
	if err != nil {
		t.Fatal(err)
	}
	proba, err := m.Predict(columns, 2)
	if err != nil {
		t.Fatal(err)
	}
	// The same numbers as FitForeign gives: rank of levels by target share, missing below all.
	shares := map[int32][2]int{}
	for i, code := range columns[2].Codes {
		s := shares[code]
		s[0]++
		s[1] += int(y[i])
		shares[code] = s
	}
	rank := func(code int32) float64 {
		r := 1.0
		for other := range shares {
			if shares[other][1]*shares[code][0] < shares[code][1]*shares[other][0] {
				r++
			}
		}
		return r
	}
	features := make([][]float64, 3)
	for i := range y {
		v := columns[0].Num[i]
		if v != v {
			v = -1
		}
		features[0], features[1], features[2] = append(features[0], v), append(features[1], columns[1].Num[i]), append(features[2], rank(columns[2].Codes[i]))
	}
	grid := numbers(features, y)
	cart := trees.NewDecisionTreeClassifier("gini", 6, []int64{0, 1})
	if err := cart.Fit(grid); err != nil {
		t.Fatal(err)
	}
	var same base.FixedDataGrid = grid
	disagree := 0
	for i, want := range cart.Predict(same) {
		p := proba[2*i+1]
		if p != 0.5 && (p > 0.5) != (want == 1) {
			disagree++
		}
	}
	if disagree > 0 {
		t.Errorf("%d of %d rows get another class than from golearn", disagree, len(y))
	}
}

func TestFitCARTRepeats(t *testing.T) {
	columns, y := table(200)
	var first []byte
	for range 3 {
		m, err := FitCART(columns, y, 2, 0)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		}
		if !bytes.Equal(b, first) {
			t.Fatal("two fits gave different trees")
		}
	}
}
