package leak

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// halfRows takes every second row.
func halfRows(columns []*frame.Column, y []float64, odd int) ([]*frame.Column, []float64) {
	var rows []int32
	var taken []float64
	for i := odd; i < len(y); i += 2 {
		rows, taken = append(rows, int32(i)), append(taken, y[i])
	}
	part := make([]*frame.Column, len(columns))
	for i, c := range columns {
		part[i] = c.Take(rows)
	}
	return part, taken
}

// Columns that are the target in other clothes are found; honest ones, categories of few rows a level and empty ones are not.
func TestLookNumbers(t *testing.T) {
	s := newShop(2000, 3)
	y := each(s.profit, func(_ int, x float64) float64 { return math.Exp(x / 50) })
	named := &frame.Column{Name: "leak: a text for each whole exponent", Type: frame.Category}
	for _, p := range s.profit {
		level := fmt.Sprint("about ", math.Round(p))
		at := slices.Index(named.Levels, level)
		if at < 0 {
			at, named.Levels = len(named.Levels), append(named.Levels, level)
		}
		named.Codes = append(named.Codes, int32(at))
	}
	columns := []*frame.Column{floats("sales", s.sales), floats("discount", s.discount), floats("quantity", s.quantity), s.city, s.segment,
		floats("leak: the logarithm", s.profit), floats("leak: upside down", each(y, func(_ int, x float64) float64 { return -x * x })), named,
		floats("empty", each(y, func(int, float64) float64 { return math.NaN() })), floats("constant", each(y, func(int, float64) float64 { return 1 })),
		floats("nearly", each(s.profit, func(i int, x float64) float64 { return x + 60*math.Sin(float64(i)) }))}
	train, yTrain := halfRows(columns, y, 0)
	test, yTest := halfRows(columns, y, 1)
	var first string
	for _, cores := range []int{1, 3} {
		cut, leaks, err := LookNumbers(train, test, yTrain, yTest, cores)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, l := range leaks {
			found = append(found, l.Feature)
		}
		honest := func(name string) bool { return !strings.HasPrefix(name, "leak") }
		if want := []string{"leak: the logarithm", "leak: upside down"}; !slices.Equal(found[:min(2, len(found))], want) || slices.ContainsFunc(found, honest) {
			t.Errorf("leaks %+v, want %q", leaks, want)
		}
		if cut == nil || !(cut.R2 > 0.05) {
			t.Errorf("the best cut is %+v", cut)
		}
		if got := fmt.Sprintf("%+v %+v", cut, leaks); first == "" {
			first = got
		} else if got != first {
			t.Errorf("%d goroutines: %s, with one %s", cores, got, first)
		}
	}
}

func TestLookNumbersCorners(t *testing.T) {
	x := floats("x", []float64{1, 2, 3, 4})
	for name, c := range map[string]struct {
		columns []*frame.Column
		y       []float64
		cut     string
	}{
		"no features": {nil, []float64{1, 2}, ""},
		"one row":     {[]*frame.Column{floats("x", []float64{1})}, []float64{5}, "x"},
		"one value":   {[]*frame.Column{x}, []float64{5, 5, 5, 5}, "x"},
		"huge":        {[]*frame.Column{x}, []float64{-1.7e308, -1e308, 1e308, 1.7e308}, "x"},
		"a step":      {[]*frame.Column{floats("noise", []float64{1, 1, 1, 1}), x}, []float64{0, 0, 9, 9}, "x"},
	} {
		cut, leaks, err := LookNumbers(c.columns, c.columns, c.y, c.y, 1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.cut == "" && cut != nil || c.cut != "" && (cut == nil || cut.Feature != c.cut) || len(leaks) != 0 {
			t.Errorf("%s: cut %+v, leaks %+v", name, cut, leaks)
		}
		if name == "a step" && (cut.RMSE != 0 || cut.R2 != 1) {
			t.Errorf("the cut of a step is %+v", cut)
		}
	}
	if _, _, err := LookNumbers([]*frame.Column{x}, nil, []float64{1, 2, 3, 4}, []float64{1}, 1); err == nil {
		t.Error("other features in the test part: no error")
	}
	if _, _, err := LookNumbers(nil, nil, nil, []float64{1}, 1); err == nil {
		t.Error("no rows: no error")
	}
}

// Equal numbers share the middle of their places.
func TestRanksOf(t *testing.T) {
	if got, want := ranksOf([]float64{5, -1, 5, 2, 5}), []float64{3, 0, 3, 1, 3}; !reflect.DeepEqual(got, want) {
		t.Errorf("ranks %v, want %v", got, want)
	}
	r := num.NewRNG(1)
	v := make([]float64, 500)
	for i := range v {
		v[i] = math.Floor(r.Float64() * 40)
	}
	sum := 0.0
	for _, x := range ranksOf(v) {
		sum += x
	}
	if sum != 500*499/2 {
		t.Errorf("the ranks add up to %v", sum)
	}
}
