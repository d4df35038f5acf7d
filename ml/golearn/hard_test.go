package golearn

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/sjwhitworth/golearn/trees"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
)

// Numbers alone need no ranks: golearn sees the columns as they are, and every row, seen or not, must get its label.
func TestSameLabelsForManyClasses(t *testing.T) {
	for _, c := range []struct{ classes, depth int }{{2, 0}, {3, 4}, {3, 0}, {8, 5}} {
		train, y := numericTable(400, c.classes, 1)
		m, err := FitCART(train, y, c.classes, c.depth)
		if err != nil {
			t.Fatal(err)
		}
		labels, depth := make([]int64, c.classes), int64(c.depth)
		for i := range labels {
			labels[i] = int64(i)
		}
		if depth == 0 {
			depth = -1
		}
		cart := trees.NewDecisionTreeClassifier(trees.GINI, depth, labels)
		if err := cart.Fit(numbers([][]float64{train[0].Num, train[1].Num}, y)); err != nil {
			t.Fatal(err)
		}
		for _, seed := range []uint64{1, 2} {
			test, truth := numericTable(400, c.classes, seed)
			proba, err := m.Predict(test, 2)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range cart.Predict(numbers([][]float64{test[0].Num, test[1].Num}, truth)) {
				row := proba[i*c.classes : (i+1)*c.classes]
				if c.classes == 2 && row[0] == row[1] {
					continue // a tie is the second class here, the first there
				}
				if got := metrics.Label(row); int64(got) != want {
					t.Fatalf("%d classes, depth %d: row %d is %d, golearn says %d", c.classes, c.depth, i, got, want)
				}
			}
		}
	}
}

func numericTable(n, classes int, seed uint64) ([]*frame.Column, []int32) {
	rng := num.NewRNG(seed)
	a, b := &frame.Column{Name: "a", Type: frame.Float}, &frame.Column{Name: "b", Type: frame.Integer}
	var y []int32
	for range n {
		va, vb := rng.Float64(), float64(rng.Intn(6))
		a.Num, b.Num = append(a.Num, va), append(b.Num, vb)
		y = append(y, int32(min(classes-1, int((va+vb/6+rng.Float64()/3)/2.33*float64(classes)))))
	}
	return []*frame.Column{a, b}, y
}

func TestHardData(t *testing.T) {
	nan := math.NaN()
	number := func(v ...float64) *frame.Column { return &frame.Column{Name: "x", Type: frame.Float, Num: v} }
	many := &frame.Column{Name: "x", Type: frame.Category}
	manyY := make([]int32, 200)
	for i := range manyY {
		many.Levels, many.Codes = append(many.Levels, fmt.Sprint(i)), append(many.Codes, int32(i))
		manyY[i] = int32(i * 7 % 3 % 2)
	}
	for _, c := range []struct {
		name   string
		column *frame.Column
		y      []int32
	}{
		{"one row", number(1), []int32{1}},
		{"constant", number(3, 3, 3), []int32{0, 1, 0}},
		{"all missing", number(nan, nan), []int32{0, 1}},
		{"some missing", number(nan, 1, 2, nan), []int32{1, 0, 0, 1}},
		{"huge", number(1e308, -1e308, math.Inf(1), math.Inf(-1)), []int32{0, 1, 0, 1}},
		{"tiny", number(0, 5e-324, 1e-323), []int32{0, 1, 0}},
		{"neighbours", number(1, math.Nextafter(1, 2), 1, math.Nextafter(1, 2)), []int32{0, 1, 0, 1}},
		{"without the first class", number(1, 2, 3), []int32{1, 1, 1}},
		{"no level", &frame.Column{Name: "x", Type: frame.Category, Codes: []int32{-1, -1}}, []int32{0, 1}},
		{"a level for each row", many, manyY},
	} {
		m, err := FitCART([]*frame.Column{c.column}, c.y, 2, 5)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		p, err := m.Predict([]*frame.Column{c.column}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.y {
			if sum := p[2*i] + p[2*i+1]; math.Abs(sum-1) > 1e-12 || !(p[2*i] >= 0 && p[2*i+1] >= 0) {
				t.Errorf("%s: row %d has the probabilities %v", c.name, i, p[2*i:2*i+2])
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	x := []*frame.Column{{Name: "x", Type: frame.Float, Num: make([]float64, MaxRows+1)}}
	if _, err := FitCART(x, make([]int32, MaxRows+1), 2, 0); err == nil || !strings.Contains(err.Error(), "10000") {
		t.Errorf("error %v, want one that names the limit", err)
	}
	if _, err := FitCART(nil, []int32{0}, 2, 0); err == nil {
		t.Error("no features: no error")
	}
}

// The shares of a leaf are those of the training rows in it, so the mean probability is the share of the class.
func TestSharesAreOfTheTrainingRows(t *testing.T) {
	columns, y := table(300)
	m, err := FitCART(columns, y, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Predict(columns, 1)
	if err != nil {
		t.Fatal(err)
	}
	sum, ones := 0.0, 0
	for i, c := range y {
		sum += p[2*i+1]
		ones += int(c)
	}
	if math.Abs(sum-float64(ones)) > 1e-5 {
		t.Errorf("probabilities add up to %v, want the %d rows of the class", sum, ones)
	}
}
