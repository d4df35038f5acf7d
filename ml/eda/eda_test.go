package eda

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

func numbers(name string, v ...float64) *frame.Column {
	return &frame.Column{Name: name, Type: frame.Float, Num: v}
}

func TestSummarize(t *testing.T) {
	nan := math.NaN()
	features := []*frame.Column{
		numbers("a", 1, 2, 3, 4, nan),
		numbers("b", 2, 4, 6, 8, 1),
		{Name: "c", Type: frame.Category, Codes: []int32{0, 1, 1, -1, 1}, Levels: []string{"x", "y", "unused"}},
	}
	s := Summarize(features, []int32{0, 1, 1, 0, 1}, []string{"no", "yes"}, 2)
	if s.Target[0].Rows != 2 || s.Target[1].Rows != 3 {
		t.Errorf("target %+v", s.Target)
	}
	a := s.Columns[0]
	// numpy: mean 2.5, std(ddof=1) 1.2909944487358056, quantiles 1.75, 2.5, 3.25.
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"mean", float64(a.Numeric.Mean), 2.5}, {"sd", float64(a.Numeric.SD), 1.2909944487358056}, {"q1", float64(a.Numeric.Q1), 1.75},
		{"median", float64(a.Numeric.Median), 2.5}, {"q3", float64(a.Numeric.Q3), 3.25}, {"max", float64(a.Numeric.Max), 4},
		{"correlation over the rows with both", float64(s.Correlation.Values[0][1]), 1}} {
		if math.Abs(c.got-c.want) > 1e-12 {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
	if a.Missing != 1 || a.Numeric.Count != 4 {
		t.Errorf("missing %d, count %d", a.Missing, a.Numeric.Count)
	}
	c := s.Columns[2]
	if c.Missing != 1 || c.Category.Distinct != 2 || c.Category.Levels[0].Level != "y" || c.Category.Levels[0].Rows != 3 {
		t.Errorf("category %+v", c.Category)
	}
}

// A numeric target is described like a number, and correlated with the features; levels count their rows all the same.
func TestSummarizeNumbers(t *testing.T) {
	features := []*frame.Column{numbers("a", 1, 2, 3, 4, math.NaN()), {Name: "c", Type: frame.Category, Codes: []int32{0, 1, 1, -1, 1}, Levels: []string{"x", "y"}}}
	s := SummarizeNumbers(features, numbers("price", 2, 4, 6, 8, 100), 2)
	if s.Rows != 5 || s.Target != nil || s.Number == nil || s.Number.Name != "price" || s.Number.Numeric.Median != 6 || s.Number.Numeric.Max != 100 {
		t.Errorf("summary %+v, target %+v", s, s.Number)
	}
	if got := s.Correlation.Columns; !slices.Equal(got, []string{"price", "a"}) || math.Abs(float64(s.Correlation.Values[0][1])-1) > 1e-12 {
		t.Errorf("correlation %+v", s.Correlation)
	}
	if c := s.Columns[1].Category; c.Levels[0].Level != "y" || c.Levels[0].Rows != 3 || c.Distinct != 2 {
		t.Errorf("category %+v", c)
	}
}

func TestHistogram(t *testing.T) {
	far := numbers("far")
	for i := range 1000 {
		far.Num = append(far.Num, float64(i%100)+0.5)
	}
	far.Num = append(far.Num, 1e300, -1e300)
	for name, c := range map[string]*frame.Column{"outliers": far, "constant": numbers("k", 3.5, 3.5), "whole": numbers("w", 1, 2, 2, 5), "none": numbers("n", math.NaN()), "one": numbers("o", 1)} {
		n, _ := numeric(c)
		total := 0
		for _, k := range n.Histogram.Counts {
			total += k
		}
		if total != n.Count {
			t.Errorf("%s: the histogram counts %d of %d values", name, total, n.Count)
		}
		if _, err := json.Marshal(n); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	n, _ := numeric(far)
	if n.Histogram.Above != 1 || n.Histogram.Below != 1 {
		t.Errorf("%d above, %d below, want one of each", n.Histogram.Above, n.Histogram.Below)
	}
}

func TestCoresDoNotMatter(t *testing.T) {
	rng := num.NewRNG(3)
	var features []*frame.Column
	y := make([]int32, 500)
	for range 8 {
		c := numbers("x")
		for range y {
			c.Num = append(c.Num, rng.Float64())
		}
		features = append(features, c)
	}
	one, err := json.Marshal(Summarize(features, y, []string{"a"}, 1))
	if err != nil {
		t.Fatal(err)
	}
	many, err := json.Marshal(Summarize(features, y, []string{"a"}, 8))
	if err != nil {
		t.Fatal(err)
	}
	if string(one) != string(many) {
		t.Error("the summary depends on the number of cores")
	}
}
