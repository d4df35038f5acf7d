package linear

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// reference makes the data of testdata/reference.py.
func reference(classes int) ([]*frame.Column, []int32) {
	a := &frame.Column{Name: "a", Type: frame.Float}
	b := &frame.Column{Name: "b", Type: frame.Integer}
	c := &frame.Column{Name: "c", Type: frame.Category, Levels: []string{"0", "1", "2", "3"}}
	var y []int32
	for i := range 400 {
		av, bv, level := float64(i*37%101)/10-5, float64(i*i%97), i*13%7%4
		noise := float64(i*7919%1009) / 1009
		score := av/5 + bv/97 + float64(level)/3 + 2*noise
		a.Num, b.Num, c.Codes = append(a.Num, av), append(b.Num, bv), append(c.Codes, int32(level))
		y = append(y, int32(min(classes-1, max(0, int((score+1)*float64(classes)/5)))))
	}
	return []*frame.Column{a, b, c}, y
}

func mustFit(t testing.TB, columns []*frame.Column, y []int32, classes int, o Options) *Model {
	t.Helper()
	m, err := Fit(columns, y, classes, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustPredict(t testing.TB, m *Model, columns ...*frame.Column) []float64 {
	t.Helper()
	p, err := m.Predict(columns, 2)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Expected values are scikit-learn 1.9.1's, from testdata/reference.py. Objectives agree to 1e-9 of themselves,
// probabilities to 1e-6; what is left is the penalty of 1e-8 on the intercept.
func TestOptimumIsScikitLearns(t *testing.T) {
	for _, c := range []struct {
		name      string
		classes   int
		c         float64
		objective float64
		row0      []float64
		row123    []float64
	}{
		{"two classes", 2, 1, 160.158246406785, []float64{0.991583131603, 0.008416868397}, []float64{0.220300572224, 0.779699427776}},
		{"strong penalty", 2, 0.01, 2.269180437986, []float64{0.722554737380, 0.277445262620}, []float64{0.427354581304, 0.572645418696}},
		{"three classes", 3, 1, 235.339478973145, []float64{0.907201085652, 0.092476781806, 0.000322132542},
			[]float64{0.017751033833, 0.625978610942, 0.356270355224}},
	} {
		columns, y := reference(c.classes)
		m := mustFit(t, columns, y, c.classes, Options{C: c.c, Tolerance: 1e-13})
		if !m.Converged || m.Solver != "newton" {
			t.Errorf("%s: solver %s, converged %v", c.name, m.Solver, m.Converged)
		}
		if got := float64(m.Objective); math.Abs(got-c.objective) > 1e-9*c.objective*(1+1/c.c) {
			t.Errorf("%s: objective %.12f, want %.12f", c.name, got, c.objective)
		}
		p := mustPredict(t, m, columns...)
		for row, want := range map[int][]float64{0: c.row0, 123: c.row123} {
			got := p[row*c.classes : (row+1)*c.classes]
			if !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-6 }) {
				t.Errorf("%s: row %d has %v, want %v", c.name, row, got, want)
			}
		}
	}
}

// Both solvers end at the same optimum.
func TestSolversAgree(t *testing.T) {
	for _, classes := range []int{2, 3} {
		columns, y := reference(classes)
		p := problemOf(columns, y, classes)
		newton, lbfgs := p.warm((*problem).newton, Options{Tolerance: 1e-12}), p.warm((*problem).lbfgs, Options{Tolerance: 1e-12})
		if !newton.converged || !lbfgs.converged {
			t.Errorf("%d classes: converged %v and %v", classes, newton.converged, lbfgs.converged)
		}
		if math.Abs(newton.objective-lbfgs.objective) > 1e-8*newton.objective {
			t.Errorf("%d classes: objectives %v and %v", classes, newton.objective, lbfgs.objective)
		}
	}
}

func problemOf(columns []*frame.Column, y []int32, classes int) *problem {
	terms, err := learnTerms(columns, len(y), 1)
	if err != nil {
		panic(err)
	}
	weights, _ := classWeights(nil, classes)
	var l losses = &softmax{y, weights, classes}
	if classes == 2 {
		l = &logistic{y, weights}
	}
	d, params := placeLast(terms, widest(terms))
	return &problem{design: newDesign(terms, columns, d, params, 1), losses: l, k: l.functions(), l2: 1, cores: 1}
}

// Gradient and Hessian are the slopes of the objective.
func TestDerivatives(t *testing.T) {
	for _, classes := range []int{2, 3} {
		columns, y := reference(classes)
		p := problemOf(columns, y, classes)
		w := make([]float64, p.k*p.params)
		rng := num.NewRNG(1)
		for i := range w {
			w[i] = rng.Float64() - 0.5
		}
		at := p.pass(w, true, true)
		f, ok := p.factor(at)
		if !ok {
			t.Fatalf("%d classes: the Hessian is not positive definite", classes)
		}
		step := f.solve(at.gradient)
		const h = 1e-5
		for i := range w {
			shifted := func(by float64) sums {
				v := slices.Clone(w)
				v[i] += by
				return p.pass(v, true, false)
			}
			up, down := shifted(h), shifted(-h)
			if want := (up.loss - down.loss) / (2 * h); math.Abs(at.gradient[i]-want) > 1e-5*(1+math.Abs(want)) {
				t.Errorf("%d classes: gradient %d is %v, want %v", classes, i, at.gradient[i], want)
			}
			// Row i of the Hessian times the Newton step is the gradient.
			product := 0.0
			for j := range w {
				product += (up.gradient[j] - down.gradient[j]) / (2 * h) * step[j]
			}
			if math.Abs(product-at.gradient[i]) > 1e-4*(1+math.Abs(product)) {
				t.Errorf("%d classes: Hessian row %d times the step is %v, want %v", classes, i, product, at.gradient[i])
			}
		}
	}
}

func floats(name string, v ...float64) *frame.Column {
	return &frame.Column{Name: name, Type: frame.Float, Num: v}
}

// Whatever the data, a fit ends, and with finite probabilities that add up to 1.
func TestHardData(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	many := &frame.Column{Name: "x", Type: frame.Category}
	for i := range 3000 {
		many.Levels = append(many.Levels, fmt.Sprintf("%04d", i))
		many.Codes = append(many.Codes, int32(i))
	}
	manyY := make([]int32, 3000)
	for i := range manyY {
		manyY[i] = int32(i % 2)
	}
	for _, c := range []struct {
		name    string
		column  *frame.Column
		y       []int32
		classes int
	}{
		{"one row", floats("x", 3), []int32{1}, 2},
		{"one class", floats("x", 1, 2, 3), []int32{1, 1, 1}, 2},
		{"a class without rows", floats("x", 1, 2, 3, 4), []int32{0, 2, 0, 2}, 3},
		{"separable", floats("x", 1, 2, 8, 9), []int32{0, 0, 1, 1}, 2},
		{"constant", floats("x", 0.1, 0.1, 0.1), []int32{0, 1, 0}, 2},
		{"all missing", floats("x", nan, nan, nan), []int32{0, 1, 0}, 2},
		{"huge", floats("x", 1e308, -1e308, 1.7e308, inf, -inf), []int32{0, 1, 0, 0, 1}, 2},
		{"tiny", floats("x", 5e-324, 0, 1e-323, -5e-324), []int32{0, 1, 0, 1}, 2},
		{"huge and tiny", floats("x", 1e308, 1e-300, 0, 1), []int32{0, 1, 1, 1}, 2},
		{"no level", &frame.Column{Name: "x", Type: frame.Category, Codes: []int32{-1, -1}}, []int32{0, 1}, 2},
		{"a level for each row", many, manyY, 2},
		{"20 classes", floats("x", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19), []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, 20},
	} {
		if lasso := mustFit(t, []*frame.Column{c.column}, c.y, c.classes, Options{L1Ratio: 0.7}); !lasso.Converged {
			t.Errorf("%s: the elastic net has not converged after %d iterations", c.name, lasso.Iterations)
		}
		m := mustFit(t, []*frame.Column{c.column}, c.y, c.classes, Options{})
		if !m.Converged {
			t.Errorf("%s: not converged after %d iterations", c.name, m.Iterations)
		}
		p := mustPredict(t, m, c.column)
		for i := range c.y {
			sum := 0.0
			for _, v := range p[i*c.classes : (i+1)*c.classes] {
				if !(v >= 0 && v <= 1) {
					t.Fatalf("%s: a probability of %v", c.name, v)
				}
				sum += v
			}
			if math.Abs(sum-1) > 1e-12 {
				t.Fatalf("%s: probabilities add up to %v", c.name, sum)
			}
		}
		var loaded Model
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := json.Unmarshal(b, &loaded); err != nil {
			t.Fatalf("%s: the model does not load: %v", c.name, err)
		}
		if !slices.Equal(mustPredict(t, &loaded, c.column), p) {
			t.Errorf("%s: other predictions after loading", c.name)
		}
	}
}

// Later rows may hold what the training rows never did.
func TestPredictUnseen(t *testing.T) {
	levels := &frame.Column{Name: "c", Type: frame.Category, Levels: []string{"a", "b", "rare"}}
	x := &frame.Column{Name: "x", Type: frame.Float}
	var y []int32
	for i := range 40 {
		levels.Codes = append(levels.Codes, int32(i%2))
		x.Num = append(x.Num, float64(i))
		y = append(y, int32(i%2))
	}
	levels.Codes[7] = 2
	m := mustFit(t, []*frame.Column{x, levels}, y, 2, Options{})
	test := &frame.Column{Name: "c", Type: frame.Category, Levels: []string{"new", "rare", "a"}, Codes: []int32{0, 1, frame.MissingCode, 2}}
	p := mustPredict(t, m, floats("x", 5, 5, 5, 5), test)
	if p[0] != p[2] || p[0] != p[4] || p[0] == p[6] {
		t.Errorf("probabilities %v: a new level, a rare one and a missing one must be the same, and unlike a known one", p)
	}
	test.Codes = []int32{2, 2, 2, 2}
	p = mustPredict(t, m, floats("x", math.NaN(), 19.5, 1e308, -1e308), test)
	if math.Abs(p[0]-p[2]) > 1e-12 {
		t.Errorf("a missing number gives %v, the mean %v: no training row missed it, so they must agree", p[0], p[2])
	}
	for _, v := range p {
		if !(v >= 0 && v <= 1) {
			t.Errorf("a probability of %v", v)
		}
	}
}

func TestFitRefuses(t *testing.T) {
	x, y := []*frame.Column{floats("x", 1, 2)}, []int32{0, 1}
	for _, c := range []struct {
		name    string
		columns []*frame.Column
		y       []int32
		classes int
		options Options
	}{
		{"no features", nil, y, 2, Options{}},
		{"no rows", []*frame.Column{floats("x")}, nil, 2, Options{}},
		{"lengths", []*frame.Column{floats("x", 1)}, y, 2, Options{}},
		{"dates", []*frame.Column{{Name: "x", Type: frame.Date, Days: []int32{1, 2}}}, y, 2, Options{}},
		{"one class", x, y, 1, Options{}},
		{"too many classes", x, y, maxClasses + 1, Options{}},
		{"class out of range", x, []int32{0, 2}, 2, Options{}},
		{"C below 0", x, y, 2, Options{C: -1}},
		{"C infinite", x, y, 2, Options{C: math.Inf(1)}},
		{"C is NaN", x, y, 2, Options{C: math.NaN()}},
	} {
		if _, err := Fit(c.columns, c.y, c.classes, c.options); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}

// generate makes data that go to the solver of the given name: L-BFGS where two categories have too many levels.
func generate(n, classes int, solver string) ([]*frame.Column, []int32) {
	rng := num.NewRNG(1)
	x, z := &frame.Column{Name: "x", Type: frame.Float}, &frame.Column{Name: "z", Type: frame.Integer}
	c, e := &frame.Column{Name: "c", Type: frame.Category}, &frame.Column{Name: "e", Type: frame.Category}
	levels := 10
	if strings.Contains(solver, "lbfgs") {
		levels = newtonCore + 20
	}
	for l := range levels {
		c.Levels, e.Levels = append(c.Levels, fmt.Sprint("level ", l)), append(e.Levels, fmt.Sprint("kind ", l))
	}
	var y []int32
	for range n {
		v, w, l, k := rng.Float64()*10, rng.Intn(7), rng.Intn(levels), rng.Intn(levels)
		score := (v/10 + float64(w)/7 + float64(l%3)/2 + float64(k%2)/3 + rng.Float64()) / 4
		y = append(y, int32(min(classes-1, int(score*float64(classes)))))
		if rng.Intn(15) == 0 {
			v = math.NaN()
		}
		x.Num, z.Num = append(x.Num, v), append(z.Num, float64(w))
		c.Codes, e.Codes = append(c.Codes, int32(l)), append(e.Codes, int32(k))
	}
	return []*frame.Column{x, c, z, e}, y
}

func sha(v any) string {
	h := sha256.New()
	switch v := v.(type) {
	case []float64:
		for _, x := range v {
			fmt.Fprintf(h, "%016x", math.Float64bits(x))
		}
	case []byte:
		h.Write(v)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// The digests hold for any number of cores and on every architecture; they were also computed with GOARCH=arm64 under
// qemu. They change with the algorithm or the file format, which is then to be said in the changelog.
func TestGoldenDigests(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, c := range []struct {
		solver       string
		classes      int // 0 is a regression
		rows         int
		l1           float64
		model, proba string
	}{
		{"newton", 2, 5000, 0,
			"20556c7ca394941713250fc27977360fcb6c5fa59b195d3622d4f7d836a3ae07",
			"9cad990b9717213cef8c08f0a2d136b602e3ba1ea4096da16529937b66e289bc"},
		{"newton", 3, 5000, 0,
			"a363eec0f082b92310382c3b498757dc11d829f9fa031cea0809104655745073",
			"54fa19b4db0791accedb096196108721574cd332d534f400ecd48bede070f5b7"},
		{"newton", 2, warmRows + 5, 0,
			"25272dfe91f56a3d376fab7436dd63a5f47220c41f6145a4b0be91ecc710c9d8",
			"9478c2b5d0e39d9450fb58792f2f0ce5eaf12e68858cfa66a035ccf305a2f4ee"},
		{"newton", 0, 5000, 0,
			"f74ccf1209486e0cce19eade9a6b240aab695f69588ee6a9cdcee0cdb232ba14",
			"cf3a5bde40c03c826420988f6127a0d1ae9c60b7b0571cba0da640f530b6b950"},
		{"lbfgs", 2, 9000, 0,
			"2ac6c9cf855e38c4537abd34eae9d3b6497944060947f6fe9c8925518ca16532",
			"636570accb5f2cced19a468b98a043d3cb77619bd63a83bc55382f755df56c1b"},
		{"lbfgs", 3, 9000, 0,
			"d1059d0db2211e6b2abacd66f1aa6a3905e319674b00eade61c26d51d08106db",
			"fced9b753eb2aeed3b1d19de69d976885e610e9cbc182b9f6d7028f340dcc35f"},
		{"proximal newton", 2, 5000, 1,
			"8da362b792713609d1a4a3839b5d89dd64251a5ca69e0d667a7c173559bd468b",
			"e59425e182937250b4b8f507de3ddb9496c819856ac9f408f5bbc7104fbb7dfd"},
		{"proximal newton", 0, 5000, 0.5,
			"746fff4354bbc67a75b6499a74f14f58e49e11b34152dd660a064c9a19a7d97f",
			"e94ab547b5013dd2fac6e80871f75b715b0be09b56293e28bc4c51ec822965cd"},
		{"orthant-wise lbfgs", 3, 9000, 1,
			"7c4f08b50f0ca6efc3ad1210226e5c2b2f60069b0b6b25b9de8cbae97ceac0de",
			"0d22f800a0efb1f8b4dae2ee4795bb6aeb222bcc03d298892ebc621465c196b8"},
	} {
		columns, y := generate(c.rows, max(2, c.classes), c.solver)
		for procs, cores := range map[int][]int{1: {1, 8}, 2: {2, 3, 8}} {
			runtime.GOMAXPROCS(procs)
			for _, cores := range cores {
				m := fitAny(t, columns, y, c.classes, c.l1, cores)
				if m.Solver != c.solver || !m.Converged {
					t.Fatalf("%s, %d classes: solver %s, converged %v after %d", c.solver, c.classes, m.Solver, m.Converged, m.Iterations)
				}
				b, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				p, err := m.Predict(columns, cores)
				if err != nil {
					t.Fatal(err)
				}
				if sha(b) != c.model || sha(p) != c.proba {
					t.Errorf("%s, %d classes, %d cores, GOMAXPROCS %d: model and predictions\n%q, %q, want\n%q, %q", c.solver, c.classes, cores, procs, sha(b), sha(p), c.model, c.proba)
				}
			}
		}
	}
}

// fitAny fits classes, or without classes a regression on the numbers that the classes are.
func fitAny(t testing.TB, columns []*frame.Column, y []int32, classes int, l1 float64, cores int) *Model {
	t.Helper()
	if classes > 0 {
		return mustFit(t, columns, y, classes, Options{L1Ratio: l1, C: 0.3, Cores: cores})
	}
	numbers := make([]float64, len(y))
	for i, v := range y {
		numbers[i] = float64(v)
	}
	m, err := FitRegression(columns, numbers, RegressionOptions{L1Ratio: l1, Alpha: 2, Cores: cores})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func BenchmarkFit(b *testing.B) {
	for _, solver := range []string{"newton", "lbfgs"} {
		columns, y := generate(8000, 2, solver)
		b.Run(solver, func(b *testing.B) {
			for b.Loop() {
				mustFit(b, columns, y, 2, Options{Cores: 2})
			}
		})
	}
}
