package golearn

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/sjwhitworth/golearn/base"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
)

func TestInstancesThereAndBack(t *testing.T) {
	columns := []*frame.Column{
		{Name: "class", Type: frame.Float, Num: []float64{1.5, math.NaN(), math.Inf(-1)}},
		{Name: "city", Type: frame.Category, Codes: []int32{1, -1, 0}, Levels: []string{"Ulm", "Bonn"}}}
	y, classes := []int32{1, 0, 1}, []string{"no", "yes"}
	d, err := Instances(columns, y, classes)
	if err != nil {
		t.Fatal(err)
	}
	if name := d.AllClassAttributes()[0].GetName(); name != "class_2" {
		t.Errorf("the class attribute is named %q", name)
	}
	for r, want := range []string{"yes", "no", "yes"} {
		if got := base.GetClass(d, r); got != want {
			t.Errorf("row %d has class %q in golearn, want %q", r, got, want)
		}
	}
	backColumns, backY, backClasses, err := FromInstances(d)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(backY, y) || !slices.Equal(backClasses, classes) {
		t.Errorf("classes %v of %v, want %v of %v", backY, backClasses, y, classes)
	}
	if !slices.EqualFunc(backColumns[0].Num, columns[0].Num, func(a, b float64) bool { return a == b || a != a && b != b }) {
		t.Errorf("numbers %v, want %v", backColumns[0].Num, columns[0].Num)
	}
	if !reflect.DeepEqual(backColumns[1], columns[1]) {
		t.Errorf("categories %+v, want %+v", backColumns[1], columns[1])
	}
}

func TestInstancesRefuses(t *testing.T) {
	x := &frame.Column{Name: "x", Type: frame.Float, Num: []float64{1}}
	for name, c := range map[string]struct {
		columns []*frame.Column
		y       []int32
	}{
		"equal names": {[]*frame.Column{x, x}, []int32{0}},
		"rows":        {[]*frame.Column{x}, []int32{0, 0}},
		"a date":      {[]*frame.Column{{Name: "d", Type: frame.Date, Days: []int32{1}}}, []int32{0}},
		"a class":     {[]*frame.Column{x}, []int32{2}},
	} {
		if _, err := Instances(c.columns, c.y, []string{"a", "b"}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, _, _, err := FromInstances(base.NewDenseInstances()); err == nil {
		t.Error("no class attribute: no error")
	}
	if _, _, _, err := FromInstances(numbers([][]float64{{1}}, []int32{0})); err == nil {
		t.Error("a class that is a number: no error")
	}
	d, err := Instances([]*frame.Column{x}, []int32{0}, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	d.Set(base.ResolveAttributes(d, d.AllClassAttributes())[0], 0, base.PackU64ToBytes(9))
	if _, _, _, err := FromInstances(d); err == nil {
		t.Error("a value out of range: no error")
	}
}

// golearn's package evaluation and package metrics agree on any labels, classes without rows and without predictions among them.
func TestScoresAgreeWithMetrics(t *testing.T) {
	rng := num.NewRNG(5)
	for trial := range 200 {
		k := 2 + trial%4
		classes := []string{"a", "b", "c", "d", "e"}[:k]
		n, most := 1+rng.Intn(40), 1+rng.Intn(k)
		truth, labels, proba := make([]int32, n), make([]int32, n), make([]float64, n*k)
		for i := range n {
			truth[i], labels[i] = int32(rng.Intn(most)), int32(rng.Intn(k))
			proba[i*k+int(labels[i])] = 1
		}
		e, _, err := metrics.Evaluate(proba, truth, classes)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Score(truth, labels, classes)
		if err != nil {
			t.Fatal(err)
		}
		if d := s.Differ(e); d != "" {
			t.Errorf("%v taken for %v: %s", truth, labels, d)
		}
		labels[0] = (labels[0] + 1) % int32(k)
		if s, err = Score(truth, labels, classes); err != nil || s.Differ(e) == "" {
			t.Errorf("another label of a row makes no difference, %v", err)
		}
	}
	// By hand: of three rows of a, two are found; b is given twice and once rightly.
	s, err := Score([]int32{0, 0, 0, 1}, []int32{0, 0, 1, 1}, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	if a := s.PerClass[0]; a.Precision != 1 || a.Recall != num.Float(2./3) || !same(a.F1, 0.8, 1e-15) {
		t.Errorf("scores %+v, want precision 1, recall 2/3 and F1 0.8", a)
	}
	if s.Accuracy != 0.75 || s.Confusion.Counts[0][1] != 1 {
		t.Errorf("scores %+v", s)
	}
}
