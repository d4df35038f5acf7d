package explain

import (
	"math"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/linear"
	"github.com/hashline/hashline/ml/tree"
)

// sum is a model that predicts the sum of its numbers, and for a category its code.
type sum struct{}

func (sum) Predict(columns []*frame.Column, _ int) ([]float64, error) {
	p := make([]float64, columns[0].Len())
	for _, c := range columns {
		for i := range p {
			if c.Type.Numeric() {
				p[i] += c.Num[i]
			} else {
				p[i] += float64(c.Codes[i])
			}
		}
	}
	return p, nil
}

func TestPartialOfSum(t *testing.T) {
	x := &frame.Column{Name: "x", Type: frame.Float, Num: []float64{1, 2, math.NaN(), 3, 2}}
	z := &frame.Column{Name: "z", Type: frame.Float, Num: []float64{10, 20, 30, 40, 50}}
	c := &frame.Column{Name: "c", Type: frame.Category, Levels: []string{"never", "b", "a"}, Codes: []int32{1, 2, 2, -1, 2}}
	columns := []*frame.Column{x, z, c}
	d, err := Partial(sum{}, columns, 0, 5, 1)
	if err != nil {
		t.Fatal(err)
	}
	// The means of z and c are 30 and 6/5.
	if !slices.Equal(d.Numbers, []float64{1, 2, 3}) || d.Rows != 5 || math.Abs(d.Means[2][0]-(3+30+1.2)) > 1e-12 {
		t.Errorf("of x: %+v", d)
	}
	if x.Num[0] != 1 {
		t.Error("the rows have changed")
	}
	x.Num[2] = 0
	if d, err = Partial(sum{}, columns, 2, 5, 1); err != nil || !slices.Equal(d.Levels, []string{"a", "b"}) || math.Abs(d.Means[0][0]-(2+30+1.6)) > 1e-12 {
		t.Errorf("of c: %+v, %v", d, err)
	}
	for name, bad := range map[string]func() (*Dependence, error){
		"feature": func() (*Dependence, error) { return Partial(sum{}, columns, 3, 5, 1) },
		"points":  func() (*Dependence, error) { return Partial(sum{}, columns, 0, 1, 1) },
		"no value": func() (*Dependence, error) {
			return Partial(sum{}, []*frame.Column{{Name: "x", Type: frame.Float, Num: []float64{math.NaN()}}}, 0, 5, 1)
		},
		"no row": func() (*Dependence, error) {
			return Partial(sum{}, []*frame.Column{{Name: "x", Type: frame.Float}}, 0, 5, 1)
		},
	} {
		if _, err := bad(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Of a model without interactions the dependence of its score runs along the feature's weight.
func TestPartialOfModels(t *testing.T) {
	columns, y, target := table(3000, 2, 1)
	ridge, err := linear.FitRegression(columns, target, linear.RegressionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := Partial(ridge, columns, 1, 10, 2)
	if err != nil {
		t.Fatal(err)
	}
	slope := (d.Means[1][0] - d.Means[0][0]) / (d.Numbers[1] - d.Numbers[0])
	for i := 1; i < len(d.Numbers); i++ {
		if got := (d.Means[i][0] - d.Means[i-1][0]) / (d.Numbers[i] - d.Numbers[i-1]); math.Abs(got-slope) > 1e-9 {
			t.Errorf("the slope is %v and %v", slope, got)
		}
	}
	forest, err := tree.FitForest(columns, y, 2, tree.Options{Trees: 5, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	d, err = Partial(forest, columns, 3, 10, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Levels) != 4 || d.Rows != PartialRows {
		t.Errorf("of the category: %+v", d)
	}
	for _, m := range d.Means {
		if math.Abs(m[0]+m[1]-1) > 1e-12 {
			t.Errorf("mean shares of %v", m)
		}
	}
}
