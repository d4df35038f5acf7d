package linear

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// Expected values are scikit-learn 1.9.1's, from testdata/lasso.py: saga and coordinate descent to 1e-14. They agree to 1e-7
// of themselves.
func TestPenaltyOnAbsoluteValues(t *testing.T) {
	for _, c := range []struct {
		name      string
		classes   int
		o         Options
		objective float64
		zeros     int
	}{
		{"lasso", 2, Options{C: 0.05, L1Ratio: 1}, 10.8779737946, 4},
		{"elastic net", 2, Options{C: 1, L1Ratio: 0.5}, 161.2552295669, 0},
		{"lasso of three classes", 3, Options{C: 0.05, L1Ratio: 1}, 16.4183542433, 14},
	} {
		columns, y := reference(c.classes)
		m := mustFit(t, columns, y, c.classes, c.o)
		if !m.Converged || m.Solver != "proximal newton" {
			t.Errorf("%s: solver %s, converged %v", c.name, m.Solver, m.Converged)
		}
		if got := float64(m.Objective); math.Abs(got-c.objective) > 1e-7*c.objective {
			t.Errorf("%s: objective %.10f, want %.10f", c.name, got, c.objective)
		}
		zeros := 0
		for _, w := range m.Weights {
			if w == 0 {
				zeros++
			}
		}
		// Each function has a weight more than scikit-learn's: that of rare levels, which no row has.
		if got, want := zeros, c.zeros+len(m.Weights)/m.params; got != want {
			t.Errorf("%s: %d weights are 0, want %d", c.name, got, want)
		}
	}
}

// Both solvers for the penalty on absolute values end at the same optimum.
func TestLassoSolversAgree(t *testing.T) {
	for _, classes := range []int{2, 3} {
		columns, y := reference(classes)
		p := problemOf(columns, y, classes)
		p.l1, p.l2 = 3, 0.5
		a, b := p.warm((*problem).proximalNewton, Options{Tolerance: 1e-12}), p.warm((*problem).orthantWise, Options{Tolerance: 1e-12})
		if !a.converged || !b.converged {
			t.Errorf("%d classes: converged %v and %v", classes, a.converged, b.converged)
		}
		if math.Abs(a.objective-b.objective) > 1e-8*a.objective {
			t.Errorf("%d classes: objectives %.10f and %.10f", classes, a.objective, b.objective)
		}
	}
}

// Expected values are scikit-learn 1.9.1's, from testdata/lasso.py.
func TestClassWeights(t *testing.T) {
	columns, y := reference(2)
	m := mustFit(t, columns, y, 2, Options{ClassWeights: []float64{400.0 / (2 * 150), 400.0 / (2 * 250)}})
	if got, want := float64(m.Objective), 165.4714206671; math.Abs(got-want) > 1e-8*want {
		t.Errorf("objective %.10f, want %.10f", got, want)
	}
	if got, want := mustPredict(t, m, columns...)[1], 0.004606936943; math.Abs(got-want) > 1e-7 {
		t.Errorf("row 0 has %.12f, want %.12f", got, want)
	}
	// A weight of 2 is the same as every row twice.
	twice, y3 := reference(3)
	var rows []int32
	for i, class := range y3 {
		rows = append(rows, int32(i))
		if class == 1 {
			rows = append(rows, int32(i))
		}
	}
	weighted := problemOf(twice, y3, 3)
	weighted.losses = &softmax{y3, []float64{1, 2, 1}, 3}
	repeated := problemOf(twice, y3, 3)
	repeated.n, repeated.x, repeated.design.c = 0, nil, nil
	var labels []int32
	for _, r := range rows {
		x, c := weighted.row(int(r))
		repeated.x, repeated.design.c = append(repeated.x, x...), append(repeated.design.c, c...)
		labels = append(labels, y3[r])
		repeated.n++
	}
	repeated.losses = &softmax{labels, []float64{1, 1, 1}, 3}
	a, b := weighted.minimise(Options{Tolerance: 1e-12}), repeated.minimise(Options{Tolerance: 1e-12})
	if math.Abs(a.objective-b.objective) > 1e-10*a.objective {
		t.Errorf("objective %v with a weight of 2, %v with the rows twice", a.objective, b.objective)
	}
	for _, weights := range [][]float64{{1}, {1, -1}, {1, math.NaN()}, {1, math.Inf(1)}} {
		if _, err := Fit(columns, y, 2, Options{ClassWeights: weights}); err == nil {
			t.Errorf("class weights %v: no error", weights)
		}
	}
}

// target makes the numbers of testdata/lasso.py.
func target(columns []*frame.Column) []float64 {
	y := make([]float64, len(columns[0].Num))
	for i := range y {
		level := float64(columns[2].Codes[i])
		y[i] = 3 + 2*columns[0].Num[i] - columns[1].Num[i]/50 + level*level + float64(i*7919%1009)/1009
	}
	return y
}

func mustRegress(t testing.TB, columns []*frame.Column, y []float64, o RegressionOptions) *Model {
	t.Helper()
	m, err := FitRegression(columns, y, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Expected values are scikit-learn 1.9.1's, from testdata/lasso.py.
func TestRegression(t *testing.T) {
	columns, _ := reference(2)
	y := target(columns)
	m := mustRegress(t, columns, y, RegressionOptions{Alpha: 2})
	p := mustPredict(t, m, columns...)
	if got, want := float64(m.Objective), 98.4534423518; math.Abs(got-want) > 1e-9*want {
		t.Errorf("ridge: objective %.10f, want %.10f", got, want)
	}
	if math.Abs(p[0]-(-6.400661671136)) > 1e-9 || math.Abs(p[123]-1.644259568999) > 1e-9 || len(p) != len(y) {
		t.Errorf("ridge: predictions %.12f and %.12f of %d", p[0], p[123], len(p))
	}
	m = mustRegress(t, columns, y, RegressionOptions{Alpha: 20, L1Ratio: 0.7})
	p = mustPredict(t, m, columns...)
	if got, want := float64(m.Objective), 494.4946953678; math.Abs(got-want) > 1e-8*want {
		t.Errorf("elastic net: objective %.10f, want %.10f", got, want)
	}
	if math.Abs(p[0]-(-6.076452073256)) > 1e-5 {
		t.Errorf("elastic net: prediction %.12f", p[0])
	}
	// The unit of the target does not matter.
	far := make([]float64, len(y))
	for i, v := range y {
		far[i] = v*0x1p200 + 0x1p205
	}
	q := mustPredict(t, mustRegress(t, columns, far, RegressionOptions{Alpha: 20, L1Ratio: 0}), columns...)
	p = mustPredict(t, mustRegress(t, columns, y, RegressionOptions{Alpha: 20}), columns...)
	for i, v := range q {
		if want := p[i]*0x1p200 + 0x1p205; math.Abs(v-want) > 1e-9*0x1p205 {
			t.Fatalf("row %d: %v in another unit, want %v", i, v, want)
		}
	}
}

func TestRegressionRefuses(t *testing.T) {
	x := []*frame.Column{floats("x", 1, 2)}
	for name, y := range map[string][]float64{"NaN": {1, math.NaN()}, "infinite": {1, math.Inf(-1)}, "lengths": {1}, "none": nil, "too large": {1.7e308, -1.7e308}} {
		if _, err := FitRegression(x, y, RegressionOptions{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, o := range []RegressionOptions{{Alpha: -1}, {Alpha: math.Inf(1)}, {L1Ratio: 2}, {L1Ratio: math.NaN()}} {
		if _, err := FitRegression(x, []float64{1, 2}, o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

// A fit that is cut short says so.
func TestNotConverged(t *testing.T) {
	for _, solver := range []string{"newton", "lbfgs", "proximal newton", "orthant-wise lbfgs"} {
		columns, y := generate(9000, 2, solver)
		o := Options{MaxIter: 1}
		if solver == "proximal newton" || solver == "orthant-wise lbfgs" {
			o.L1Ratio = 1
		}
		if m := mustFit(t, columns, y, 2, o); m.Converged || m.Iterations != 1 || m.Solver != solver {
			t.Errorf("%s: solver %s, converged %v after %d iterations", solver, m.Solver, m.Converged, m.Iterations)
		}
	}
}

// FuzzFit: whatever the numbers, a fit ends with an error or a model that predicts numbers.
func FuzzFit(f *testing.F) {
	seed := func(v ...float64) []byte {
		var b []byte
		for _, x := range v {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
		return b
	}
	f.Add(seed(1, 2, 3, 4, 5, 6), uint8(2), 1.0, 0.0)
	f.Add(seed(math.NaN(), math.Inf(1), 1e308, -1e308, 0, 5e-324), uint8(3), 1e-3, 1.0)
	f.Add(seed(1, 1, 1, 1), uint8(1), 1e6, 0.5)
	f.Fuzz(func(t *testing.T, b []byte, classes uint8, c, l1 float64) {
		if len(b) > 8*300 || classes > 5 {
			return
		}
		x, z := &frame.Column{Name: "x", Type: frame.Float}, &frame.Column{Name: "z", Type: frame.Category, Levels: []string{"a", "b", "c"}}
		var y []int32
		var numbers []float64
		for i := 0; i+8 <= len(b); i += 8 {
			v := math.Float64frombits(binary.LittleEndian.Uint64(b[i:]))
			h := num.Mix(math.Float64bits(v))
			x.Num, z.Codes = append(x.Num, v), append(z.Codes, int32(h%4)-1)
			y = append(y, int32(h>>8%uint64(max(1, classes))))
			numbers = append(numbers, v)
		}
		columns := []*frame.Column{x, z}
		var m *Model
		var err error
		if classes < 2 {
			m, err = FitRegression(columns, numbers, RegressionOptions{Alpha: c, L1Ratio: l1})
		} else {
			m, err = Fit(columns, y, int(classes), Options{C: c, L1Ratio: l1})
		}
		if err != nil {
			return
		}
		for _, v := range mustPredict(t, m, columns...) {
			if math.IsNaN(v) || (classes > 1 && !(v >= 0 && v <= 1)) {
				t.Fatalf("a prediction of %v", v)
			}
		}
	})
}
