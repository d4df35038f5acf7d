package learning

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/tree"
)

// Subsets contain each other, keep the shares of the classes, and are the same the next time.
func TestSubsets(t *testing.T) {
	y := make([]int32, 1000)
	for i := range y {
		if i%10 == 3 {
			y[i] = 1
		}
	}
	run := func(seed uint64) (sets [][]int32) {
		points, err := Curve(len(y), y, 2, []float64{0.5, 0.101, 1}, 2, seed, func(rows []int32) (float64, float64, error) {
			sets = append(sets, rows)
			return float64(len(rows)), float64(len(sets)), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if points[0].Rows != 102 || points[2].Rows != 1000 || points[1].Train != 500 || points[1].TrainSD != 0 {
			t.Errorf("points %+v", points)
		}
		if got := float64(points[0].TestSD); math.Abs(got-math.Sqrt(4.5)) > 1e-12 { // of 1 and 4
			t.Errorf("standard deviation %v", got)
		}
		return sets
	}
	sets := run(1)
	for r := range 2 {
		for i, rows := range sets[3*r : 3*r+3] {
			ones := 0
			for _, row := range rows {
				if y[row] == 1 {
					ones++
				}
				if i < 2 && !slices.Contains(sets[3*r+i+1], row) {
					t.Fatalf("row %d of subset %d is not in the next", row, i)
				}
			}
			if want := []int{11, 50, 100}[i]; ones != want {
				t.Errorf("subset %d has %d rows of the second class, want %d", i, ones, want)
			}
		}
	}
	if again := run(1); !slices.EqualFunc(sets, again, slices.Equal) {
		t.Error("other subsets the next time")
	}
	if other := run(2); slices.Equal(sets[0], other[0]) || slices.Equal(sets[0], sets[3]) {
		t.Error("the same subset with another seed, or in another repeat")
	}
}

// More rows make a better tree.
func TestTreeLearns(t *testing.T) {
	rng := num.NewRNG(1)
	x, z := &frame.Column{Name: "x", Type: frame.Float}, &frame.Column{Name: "z", Type: frame.Float}
	var y []int32
	for range 4000 {
		a, b := rng.Float64(), rng.Float64()
		class := int32(0)
		if float64(a*a)+float64(b*b) < 0.6 {
			class = 1
		}
		x.Num, z.Num, y = append(x.Num, a), append(z.Num, b), append(y, class)
	}
	half := func(from int) []int32 {
		rows := make([]int32, 2000)
		for i := range rows {
			rows[i] = int32(from + i)
		}
		return rows
	}
	columns := []*frame.Column{x.Take(half(0)), z.Take(half(0))}
	test := []*frame.Column{x.Take(half(2000)), z.Take(half(2000))}
	points, err := Curve(2000, y[:2000], 2, []float64{0.02, 0.2, 1}, 3, 42, func(rows []int32) (float64, float64, error) {
		var labels []int32
		for _, r := range rows {
			labels = append(labels, y[r])
		}
		part := []*frame.Column{columns[0].Take(rows), columns[1].Take(rows)}
		m, err := tree.FitTree(part, labels, 2, tree.Options{})
		if err != nil {
			return 0, 0, err
		}
		return accuracy(t, m, part, labels), accuracy(t, m, test, y[2000:]), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !(points[0].Test < points[1].Test && points[1].Test < points[2].Test && points[2].Test > 0.97) {
		t.Errorf("test scores do not grow: %+v", points)
	}
}

func accuracy(t *testing.T, m *tree.Ensemble, columns []*frame.Column, y []int32) float64 {
	t.Helper()
	p, err := m.Predict(columns, 1)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, class := range y {
		if (p[2*i+1] >= 0.5) == (class == 1) {
			right++
		}
	}
	return float64(right) / float64(len(y))
}

func TestCurveRefuses(t *testing.T) {
	score := func([]int32) (float64, float64, error) { return 0, 0, nil }
	for name, run := range map[string]func() ([]Point, error){
		"no rows": func() ([]Point, error) { return Curve(0, nil, 0, DefaultSizes, 1, 1, score) },
		"lengths": func() ([]Point, error) { return Curve(2, []int32{0}, 1, DefaultSizes, 1, 1, score) },
		"size 0":  func() ([]Point, error) { return Curve(2, nil, 0, []float64{0, 1}, 1, 1, score) },
		"size 2":  func() ([]Point, error) { return Curve(2, nil, 0, []float64{2}, 1, 1, score) },
		"NaN":     func() ([]Point, error) { return Curve(2, nil, 0, []float64{math.NaN()}, 1, 1, score) },
		"class":   func() ([]Point, error) { return Curve(1, []int32{3}, 2, DefaultSizes, 1, 1, score) },
		"training": func() ([]Point, error) {
			return Curve(2, nil, 0, DefaultSizes, 1, 1, func([]int32) (float64, float64, error) { return 0, 0, errors.New("no") })
		},
	} {
		if _, err := run(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if points, err := Curve(3, nil, 0, DefaultSizes, 1, 1, score); err != nil || points[0].Rows != 1 || points[0].TestSD.Defined() {
		t.Errorf("of a numeric target: %+v, %v", points, err)
	}
}
