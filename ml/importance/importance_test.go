package importance

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/linear"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/tree"
)

// table makes rows whose class follows from "much" more than from "little", and not from "none".
func table(n, classes int) ([]*frame.Column, []int32) {
	rng := num.NewRNG(4)
	columns := []*frame.Column{{Name: "none", Type: frame.Float}, {Name: "little", Type: frame.Float}, {Name: "much", Type: frame.Category, Levels: []string{"a", "b", "c", "d"}}}
	var y []int32
	for range n {
		none, little, much := rng.Float64(), rng.Float64(), rng.Intn(4)
		columns[0].Num, columns[1].Num = append(columns[0].Num, none), append(columns[1].Num, little)
		columns[2].Codes = append(columns[2].Codes, int32(much))
		score := (float64(much)/3*2 + little + rng.Float64()/2) / 3.5
		y = append(y, int32(min(classes-1, int(score*float64(classes)))))
	}
	return columns, y
}

type estimator interface {
	Model
	Predict([]*frame.Column, int) ([]float64, error)
}

func models(t *testing.T, columns []*frame.Column, y []int32, classes int) map[string]estimator {
	t.Helper()
	forest, err := tree.FitForest(columns, y, classes, tree.Options{Trees: 20, MinSamplesLeaf: 5})
	if err != nil {
		t.Fatal(err)
	}
	logistic, err := linear.Fit(columns, y, classes, linear.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]estimator{"forest": forest, "logistic": logistic}
}

func TestPermutation(t *testing.T) {
	for _, classes := range []int{2, 3} {
		columns, y := table(1500, classes)
		for name, m := range models(t, columns, y, classes) {
			proba, err := m.Predict(columns, 1)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Permutation(m, columns, proba, y, classes, 7, 5, 2)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range r.Features {
				names = append(names, f.Name)
				if !(f.SD >= 0) {
					t.Errorf("%s, %d classes: %s has the spread %v", name, classes, f.Name, f.SD)
				}
			}
			if want := []string{"much", "little", "none"}; !slices.Equal(names, want) {
				t.Errorf("%s, %d classes: features %v, want %v", name, classes, names, want)
			}
			if f := r.Features[0]; f.Mean < 0.1 || f.SD <= 0 || f.SD > f.Mean/3 {
				t.Errorf("%s, %d classes: %v, want a drop with a small spread", name, classes, f)
			}
			if r.Rows != 1500 || r.Repeats != 5 || r.Baseline < 0.8 {
				t.Errorf("%s, %d classes: %+v", name, classes, r)
			}
			for _, cores := range []int{1, 8} {
				again, err := Permutation(m, columns, proba, y, classes, 7, 5, cores)
				if err != nil || !reflect.DeepEqual(again, r) {
					t.Errorf("%s, %d classes: another report with %d cores, %v", name, classes, cores, err)
				}
			}
			if other, err := Permutation(m, columns, proba, y, classes, 8, 5, 1); err != nil || reflect.DeepEqual(other, r) {
				t.Errorf("%s, %d classes: the seed does not matter, %v", name, classes, err)
			}
		}
	}
}

// One repeat has no spread, one class no area, and many rows are thinned out.
func TestPermutationEdges(t *testing.T) {
	columns, y := table(MaxRows+500, 2)
	m := models(t, columns, y, 2)["logistic"]
	proba, err := m.Predict(columns, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Permutation(m, columns, proba, y, 2, 1, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if r.Rows != MaxRows || r.Features[0].SD.Defined() || !r.Features[0].Mean.Defined() {
		t.Errorf("%d rows, first feature %v", r.Rows, r.Features[0])
	}
	few := []*frame.Column{}
	for _, c := range columns {
		few = append(few, c.Take([]int32{1, 2, 3}))
	}
	r, err = Permutation(m, few, proba[2:8], []int32{1, 1, 1}, 2, 1, 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	if r.Baseline.Defined() || r.Features[0].Mean.Defined() || len(r.Features) != 3 {
		t.Errorf("one class: baseline %v, features %v, want none defined", r.Baseline, r.Features)
	}
}

// What no split asks for has no importance, and no spread.
func TestUnusedFeature(t *testing.T) {
	columns, y := table(400, 2)
	m, err := tree.FitTree(columns, y, 2, tree.Options{MaxDepth: 1})
	if err != nil {
		t.Fatal(err)
	}
	proba, err := m.Predict(columns, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Permutation(m, columns, proba, y, 2, 1, 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range r.Features {
		if used := i == 0; used != (f.Mean > 0) || !used && (f.Mean != 0 || f.SD != 0) {
			t.Errorf("feature %d is %+v, want the first alone to matter", i, f)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		v        []float64
		mean, sd float64
	}{
		{[]float64{1, 2, 3, 4}, 2.5, math.Sqrt(5. / 3)}, {[]float64{2, 2}, 2, 0}, {[]float64{5}, 5, math.NaN()},
	} {
		mean, sd := spread(c.v)
		if mean != c.mean || sd != c.sd && !(math.IsNaN(sd) && math.IsNaN(c.sd)) {
			t.Errorf("spread(%v) = %v, %v, want %v, %v", c.v, mean, sd, c.mean, c.sd)
		}
	}
}

// additive is the model of y = 3a + b.
type additive struct{}

func (m additive) PredictPermuted(columns []*frame.Column, permutations [][]int32, _ int, visit func(feature, permutation int, predicted []float64)) error {
	for f := range columns {
		for p, rows := range permutations {
			if columns[f].Name == "unused" {
				visit(f, p, nil)
				continue
			}
			predicted := make([]float64, len(rows))
			for i, r := range rows {
				a, b := columns[0].Num[i], columns[1].Num[i]
				if f == 0 {
					a = columns[0].Num[r]
				} else {
					b = columns[1].Num[r]
				}
				predicted[i] = 3*a + b
			}
			visit(f, p, predicted)
		}
	}
	return nil
}

// Shuffling an independent feature of weight w doubles its part of the variance: R2 drops by 2 w^2 / sum of w^2.
func TestPermutationR2(t *testing.T) {
	for _, n := range []int{4000, MaxRows + 5000} {
		rng := num.NewRNG(5)
		a, b, y := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range y {
			a[i], b[i] = rng.Float64(), rng.Float64()
			y[i] = 3*a[i] + b[i]
		}
		columns := []*frame.Column{{Name: "a", Type: frame.Float, Num: a}, {Name: "b", Type: frame.Float, Num: b}, {Name: "unused", Type: frame.Float, Num: b}}
		r, err := PermutationR2(additive{}, columns, y, y, 9, 4, 2)
		if err != nil {
			t.Fatal(err)
		}
		if r.Metric != "r2" || r.Baseline != 1 || r.Rows != min(n, MaxRows) || r.Repeats != 4 {
			t.Errorf("%d rows: %+v", n, r)
		}
		for i, want := range []struct {
			name string
			drop float64
		}{{"a", 2 * 0.9}, {"b", 2 * 0.1}, {"unused", 0}} {
			if f := r.Features[i]; f.Name != want.name || math.Abs(float64(f.Mean)-want.drop) > 0.05 || !f.SD.Defined() {
				t.Errorf("%d rows: place %d has %+v, want %+v", n, i, f, want)
			}
		}
	}
	constant := []*frame.Column{{Name: "a", Type: frame.Float, Num: []float64{1, 2}}, {Name: "b", Type: frame.Float, Num: []float64{1, 2}}}
	r, err := PermutationR2(additive{}, constant, []float64{1, 2}, []float64{7, 7}, 9, 2, 1)
	if err != nil || r.Baseline.Defined() || r.Features[0].Mean.Defined() {
		t.Errorf("of a target of one value: %+v, %v", r, err)
	}
}
