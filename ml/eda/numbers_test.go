package eda

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

var nan = math.NaN()

// near reports whether two numbers agree to 12 digits, or both are undefined.
func near(got num.Float, want float64) bool {
	g := float64(got)
	return g == want || g != g && want != want || math.Abs(g-want) <= 1e-12*math.Abs(want)
}

// Expected numbers are numpy 2.4.6's, by mean(), std(ddof=1), percentile([25, 50, 75]) and corrcoef over the rows that have
// both values; those of c by scaling it to 1 first, as numpy overflows. Tolerance 1e-12, relative.
func TestAgainstNumpy(t *testing.T) {
	a := numbers("a", 3, -1.5, 8, 2, 2, 11, -7, 0.25, 5, 4)
	b := numbers("b", 1, nan, 4, nan, 2, 9, -3, 1, 0, 7)
	c := numbers("c", 1e300, -1e300, 5e299, 2e300, 0, 1e299, -3e299, 4e299, 7e299, -8e299)
	tiny := numbers("tiny", 3e-310, -1.5e-310, 8e-310, 2e-310, 2e-310, 11e-310, -7e-310, 0.25e-310, 5e-310, 4e-310)
	s := Summarize([]*frame.Column{a, b, c, tiny}, make([]int32, 10), []string{"k"}, 2)
	for _, k := range []struct {
		name string
		got  num.Float
		want float64
	}{
		{"mean of a", s.Columns[0].Numeric.Mean, 2.675}, {"sd of a", s.Columns[0].Numeric.SD, 4.975006979336255},
		{"q1 of a", s.Columns[0].Numeric.Q1, 0.6875}, {"median of a", s.Columns[0].Numeric.Median, 2.5}, {"q3 of a", s.Columns[0].Numeric.Q3, 4.75},
		{"mean of c", s.Columns[2].Numeric.Mean, 0.26e300}, {"sd of c", s.Columns[2].Numeric.SD, 0.8796463936024395e300},
		{"q1 of c", s.Columns[2].Numeric.Q1, -2.25e299}, {"median of c", s.Columns[2].Numeric.Median, 2.5e299}, {"q3 of c", s.Columns[2].Numeric.Q3, 6.5e299},
		{"a with b", s.Correlation.Values[0][1], 0.8093726569828944}, {"b with a", s.Correlation.Values[1][0], 0.8093726569828944},
		{"a with c", s.Correlation.Values[0][2], 0.23218779088481584}, {"b with c", s.Correlation.Values[1][2], -0.2935060971982312}, {"a with itself", s.Correlation.Values[0][0], 1},
	} {
		if !near(k.got, k.want) {
			t.Errorf("%s = %v, want %v", k.name, float64(k.got), k.want)
		}
	}
	// Numbers under 1e-308 have fewer digits of their own.
	if got := float64(s.Correlation.Values[0][3]); math.Abs(got-1) > 1e-6 {
		t.Errorf("a with itself, tiny = %v, want 1", got)
	}
}

func TestUndefined(t *testing.T) {
	for _, c := range []struct {
		name       string
		column     *frame.Column
		mean, sd   float64
		missing    int
		with, self float64 // correlation with 0, 1, 2, ... and with itself
	}{
		{"none", numbers("x", nan, nan, nan, nan), nan, nan, 4, nan, nan},
		{"one", numbers("x", nan, 7, nan, nan), 7, nan, 3, nan, nan},
		{"two", numbers("x", nan, 7, nan, 9), 8, math.Sqrt2, 2, 1, 1},
		{"constant that no mean of floats hits", numbers("x", 0.1, 0.1, 0.1, 0.1), 0.1, 0, 0, nan, nan},
		{"huge constant", numbers("x", 1e308, 1e308, 1e308, 1e308), 1e308, 0, 0, nan, nan},
		{"zeros of both signs", numbers("x", 0, math.Copysign(0, -1), 0, 0), 0, 0, 0, nan, nan},
		{"the ends of the numbers", numbers("x", math.MaxFloat64, -math.MaxFloat64, math.MaxFloat64, -math.MaxFloat64), 0, math.MaxFloat64 / math.Sqrt(0.75), 0, -1 / math.Sqrt(5), 1},
	} {
		steps := numbers("steps", 0, 1, 2, 3)
		s := Summarize([]*frame.Column{c.column, steps}, make([]int32, 4), []string{"k"}, 1)
		d := s.Columns[0]
		sd := c.sd
		if math.IsInf(sd, 0) {
			sd = math.Inf(1)
		}
		if !near(d.Numeric.Mean, c.mean) || !near(d.Numeric.SD, sd) || d.Missing != c.missing {
			t.Errorf("%s: mean %v, sd %v, missing %d; want %v, %v, %d", c.name, d.Numeric.Mean, d.Numeric.SD, d.Missing, c.mean, c.sd, c.missing)
		}
		if !near(s.Correlation.Values[0][1], c.with) || !near(s.Correlation.Values[0][0], c.self) {
			t.Errorf("%s: correlation %v and with itself %v, want %v and %v", c.name, s.Correlation.Values[0][1], s.Correlation.Values[0][0], c.with, c.self)
		}
	}
}

func TestHistogramBins(t *testing.T) {
	for _, c := range []struct {
		name      string
		values    []float64
		low, high float64
		counts    []int // nil: only their sum is looked at
	}{
		{"whole numbers", []float64{1, 2, 2, 5}, 0.5, 5.5, []int{1, 2, 0, 0, 1}},
		{"negative whole numbers", []float64{-2, -1, -1}, -2.5, -0.5, []int{1, 2}},
		{"constant fraction", []float64{3.5, 3.5}, 3.5, 3.5, append([]int{2}, make([]int, maxBins-1)...)},
		{"huge constant", []float64{1e300, 1e300}, 1e300, 1e300, []int{2}},
		{"the ends of the numbers", []float64{-math.MaxFloat64, 1e307, math.MaxFloat64}, -math.MaxFloat64, math.MaxFloat64, slices.Concat([]int{1}, make([]int, 14), []int{1}, make([]int, 13), []int{1})},
		{"fractions", []float64{0, 0.1, 3}, 0, 3, slices.Concat([]int{1, 1}, make([]int, 27), []int{1})},
	} {
		n, _ := numeric(numbers(c.name, c.values...))
		h := n.Histogram
		if float64(h.Low) != c.low || float64(h.High) != c.high || !slices.Equal(h.Counts, c.counts) {
			t.Errorf("%s: %v to %v: %v, want %v to %v: %v", c.name, h.Low, h.High, h.Counts, c.low, c.high, c.counts)
		}
	}
}

func TestCategories(t *testing.T) {
	c := &frame.Column{Name: "c", Type: frame.Category}
	y := []int32{}
	for l := range 40 {
		c.Levels = append(c.Levels, fmt.Sprintf("level %02d", l))
		for range 1 + l%5 {
			c.Codes, y = append(c.Codes, int32(l)), append(y, int32(l%2))
		}
	}
	c.Codes, y = append(c.Codes, -1), append(y, 0)
	d, missing := category(c, y, 2)
	rows := d.Other
	for _, l := range d.Levels {
		rows += l.Rows
		if l.Classes[0]+l.Classes[1] != l.Rows {
			t.Errorf("%s has %v rows in the classes, want %d", l.Level, l.Classes, l.Rows)
		}
	}
	if missing != 1 || d.Distinct != 40 || len(d.Levels) != maxLevels || rows != 120 {
		t.Errorf("%d missing, %d levels, %d listed, %d rows; want 1, 40, %d, 120", missing, d.Distinct, len(d.Levels), rows, maxLevels)
	}
	if d.Levels[0].Level != "level 04" || d.Levels[1].Level != "level 09" {
		t.Errorf("the first are %s and %s: equal ones go by name", d.Levels[0].Level, d.Levels[1].Level)
	}
}

// The summary of no feature and of no row can be written.
func TestNothing(t *testing.T) {
	for name, s := range map[string]*Summary{"no feature": Summarize(nil, make([]int32, 3), []string{"a"}, 2), "no row": Summarize([]*frame.Column{numbers("x")}, nil, []string{"a"}, 2)} {
		b, err := json.Marshal(s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var again Summary
		if err := json.Unmarshal(b, &again); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Gaps change the way of summing; a column without gaps must not depend on it.
func TestGapsElsewhere(t *testing.T) {
	rng := num.NewRNG(9)
	x, y, gaps := numbers("x"), numbers("y"), numbers("gaps")
	for i := range 3000 {
		v := rng.Float64()
		x.Num, y.Num, gaps.Num = append(x.Num, v), append(y.Num, v*v+rng.Float64()), append(gaps.Num, v)
		if i%3 == 0 {
			gaps.Num[i] = nan
		}
	}
	alone := correlate([]*frame.Column{x, y}, 1).Values[0][1]
	beside := correlate([]*frame.Column{x, gaps, y}, 4).Values[0][2]
	if alone != beside {
		t.Errorf("x with y: %v, and %v beside a column with gaps", alone, beside)
	}
}

func BenchmarkSummarize(b *testing.B) {
	rng := num.NewRNG(1)
	var features []*frame.Column
	for j := range 16 {
		c := numbers(fmt.Sprint(j))
		for range 10_000 {
			c.Num = append(c.Num, math.Floor(rng.Float64()*1000)/float64(1+j%2*9))
		}
		features = append(features, c)
	}
	b.ReportAllocs()
	for b.Loop() {
		Summarize(features, make([]int32, 10_000), []string{"a", "b"}, 1)
	}
}
