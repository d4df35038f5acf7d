package boost

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/tree"
)

// generate makes n rows of two numbers, a category and noise, with missing values; z is what decides.
func generate(n int, seed uint64) (columns []*frame.Column, z []float64) {
	rng := num.NewRNG(seed)
	a, b, noise := &frame.Column{Name: "a", Type: frame.Float}, &frame.Column{Name: "b", Type: frame.Integer}, &frame.Column{Name: "noise", Type: frame.Float}
	c := &frame.Column{Name: "c", Type: frame.Category}
	for i := range 40 {
		c.Levels = append(c.Levels, fmt.Sprintf("level %d", i*7%40))
	}
	for range n {
		x, y, k := rng.Float64()*4-2, rng.Intn(9), rng.Intn(40)
		z = append(z, float64(x*x)-1.3+float64(y%3)/2+float64(k%5)/4-0.8)
		if rng.Intn(15) == 0 {
			x = math.NaN()
		}
		if rng.Intn(25) == 0 {
			k = -1
		}
		a.Num, b.Num, noise.Num = append(a.Num, x), append(b.Num, float64(y)), append(noise.Num, rng.Float64())
		c.Codes = append(c.Codes, int32(k))
	}
	return []*frame.Column{a, b, noise, c}, z
}

// classesOf draws classes: the larger z, the higher.
func classesOf(z []float64, classes int) []int32 {
	rng := num.NewRNG(99)
	y := make([]int32, len(z))
	for i, v := range z {
		y[i] = int32(max(0, min(classes-1, int(num.Sigmoid(v+rng.Float64()-0.5)*float64(classes)))))
	}
	return y
}

func mustFit(t testing.TB, columns []*frame.Column, y []int32, classes int, o Options) *tree.Ensemble {
	t.Helper()
	m, err := FitClassifier(columns, y, classes, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustPredict(t testing.TB, m *tree.Ensemble, columns []*frame.Column) []float64 {
	t.Helper()
	p, err := m.Predict(columns, 2)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func bytesOf(t testing.TB, m *tree.Ensemble) []byte {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func number(name string, v ...float64) *frame.Column {
	return &frame.Column{Name: name, Type: frame.Float, Num: v}
}

// One round with one split, by hand. Of 4 rows with 1, 1, 3, 7 the mean is 3 and the gradients are 2, 2, 0, -4. The cut behind
// the third gains most, 16/3 + 16; its sides answer -4/3 and 4, and a rate of 0.5 takes half the way.
func TestRegressorByHand(t *testing.T) {
	x := number("x", 1, 2, 3, 4)
	m, err := FitRegressor([]*frame.Column{x}, []float64{1, 1, 3, 7}, Options{Iterations: 1, MaxLeafNodes: 2, MinSamplesLeaf: 1, LearningRate: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := mustPredict(t, m, []*frame.Column{number("x", 1, 2.4, 2.6, 9)}), []float64{7. / 3, 7. / 3, 7. / 3, 5}; !slices.EqualFunc(got, want, near) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Of 2 rows of class 0 and 6 of class 1 the log odds are log 3. At p = 3/4 the gradients are 3/4 and -1/4, the second
// derivatives 3/16: the two zeros answer -(3/2)/(3/8 + l2), the six ones (3/2)/(9/8 + l2).
func TestClassifierByHand(t *testing.T) {
	x := number("x", 1, 1, 2, 2, 2, 2, 2, 2)
	m := mustFit(t, []*frame.Column{x}, []int32{0, 0, 1, 1, 1, 1, 1, 1}, 2, Options{Iterations: 1, MinSamplesLeaf: 1, LearningRate: 1, L2: 0.125})
	p := mustPredict(t, m, []*frame.Column{number("x", 1, 2)})
	for i, z := range []float64{math.Log(3) - 1.5/0.5, math.Log(3) + 1.5/1.25} {
		if want := 1 / (1 + math.Exp(-z)); !near(p[2*i+1], want) {
			t.Errorf("row %d: %v, want %v", i, p[2*i+1], want)
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

// With many rounds the training rows are learned by heart where nothing forbids it, missing values included.
func TestLearnsByHeart(t *testing.T) {
	x := number("x", 1, 2, 3, 4, 5, math.NaN(), 7, 8)
	target := []float64{3, -1, 4, 1, -5, 9, 2, 6}
	m, err := FitRegressor([]*frame.Column{x}, target, Options{Iterations: 400, MinSamplesLeaf: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := mustPredict(t, m, []*frame.Column{x}); !slices.EqualFunc(got, target, func(a, b float64) bool { return math.Abs(a-b) < 1e-3 }) {
		t.Errorf("got %v, want %v", got, target)
	}
}

// Rows that were not learned from are judged far better than by the majority, or the mean.
func TestGeneralises(t *testing.T) {
	columns, z := generate(4000, 1)
	test, zTest := generate(4000, 2)
	for _, classes := range []int{2, 3, 6} {
		y, yTest := classesOf(z, classes), classesOf(zTest, classes)
		m := mustFit(t, columns, y, classes, Options{Iterations: 60, Cores: 2})
		e, _, err := metrics.Evaluate(mustPredict(t, m, test), yTest, make([]string, classes))
		if err != nil {
			t.Fatal(err)
		}
		if auc := float64(e.Metrics.ROCAUC); auc < 0.9 {
			t.Errorf("%d classes: AUC %v, want at least 0.9", classes, auc)
		}
	}
	m, err := FitRegressor(columns, z, Options{Iterations: 150})
	if err != nil {
		t.Fatal(err)
	}
	if r := r2(mustPredict(t, m, test), zTest); r < 0.9 {
		t.Errorf("R2 %v, want at least 0.9: x is missing in one row of 15", r)
	}
}

func r2(guess, truth []float64) float64 {
	mean := num.Sum(truth) / float64(len(truth))
	errs, spread := 0.0, 0.0
	for i, v := range truth {
		errs += (v - guess[i]) * (v - guess[i])
		spread += (v - mean) * (v - mean)
	}
	return 1 - errs/spread
}

func TestLimits(t *testing.T) {
	columns, z := generate(2000, 3)
	y := classesOf(z, 2)
	for _, o := range []Options{{MaxLeafNodes: 2}, {MaxLeafNodes: 9}, {MaxDepth: 2}, {MinSamplesLeaf: 600}} {
		o.Iterations = 5
		m := mustFit(t, columns, y, 2, o)
		for i := range m.Trees() {
			leaves, deepest := 0, 0
			nodes := m.Tree(i)
			var visit func(at, depth int)
			visit = func(at, depth int) {
				if nodes[at].Left == 0 {
					leaves++
					deepest = max(deepest, depth)
					return
				}
				visit(nodes[at].Left, depth+1)
				visit(nodes[at].Right, depth+1)
			}
			visit(0, 0)
			if o.MaxLeafNodes > 0 && leaves > o.MaxLeafNodes || o.MaxDepth > 0 && deepest > o.MaxDepth || leaves > 2000/max(20, o.MinSamplesLeaf) {
				t.Errorf("%+v: %d leaves, %d deep", o, leaves, deepest)
			}
		}
	}
}

func TestEarlyStopping(t *testing.T) {
	columns, z := generate(1500, 4)
	y := classesOf(z, 2)
	m := mustFit(t, columns, y, 2, Options{Iterations: 3000, EarlyStopping: true, NoChange: 5, LearningRate: 0.3})
	if m.Trees() >= 1000 {
		t.Errorf("%d rounds: it did not stop", m.Trees())
	}
	again := mustFit(t, columns, y, 2, Options{Iterations: m.Trees() + 20, EarlyStopping: true, NoChange: 100, LearningRate: 0.3})
	if again.Trees() < m.Trees() {
		t.Errorf("%d rounds with the same rows held back, want at least the %d of the best round", again.Trees(), m.Trees())
	}
}

// A class that weighs more is guessed more often.
func TestClassWeight(t *testing.T) {
	columns, z := generate(3000, 5)
	y := classesOf(z, 2)
	mean := func(weights []float64) float64 {
		p := mustPredict(t, mustFit(t, columns, y, 2, Options{Iterations: 20, ClassWeight: weights}), columns)
		sum := 0.0
		for i := range y {
			sum += p[2*i+1]
		}
		return sum / float64(len(y))
	}
	light, even, heavy := mean([]float64{1, 0.2}), mean(nil), mean([]float64{1, 5})
	if !(light < even-0.05 && even < heavy-0.05) {
		t.Errorf("mean probabilities of the second class %v, %v, %v: want them to grow with its weight", light, even, heavy)
	}
	if p, q := mustFit(t, columns, y, 2, Options{Iterations: 5}), mustFit(t, columns, y, 2, Options{Iterations: 5, ClassWeight: []float64{1, 1}}); !bytes.Equal(bytesOf(t, p), bytesOf(t, q)) {
		t.Error("weights of 1 are not the same as none")
	}
}

// Cores and GOMAXPROCS change no byte, at a size where several goroutines share a node.
func TestSameBytesForAnyCores(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	columns, z := generate(40_000, 6)
	for _, classes := range []int{0, 2, 3} {
		var want []byte
		for _, procs := range []int{1, 2} {
			runtime.GOMAXPROCS(procs)
			for _, cores := range []int{1, 2, 3, 8} {
				o := Options{Iterations: 2, Cores: cores, EarlyStopping: true}
				m, err := (*tree.Ensemble)(nil), error(nil)
				if classes == 0 {
					m, err = FitRegressor(columns, z, o)
				} else {
					m, err = FitClassifier(columns, classesOf(z, classes), classes, o)
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := bytesOf(t, m); want == nil {
					want = got
				} else if !bytes.Equal(got, want) {
					t.Errorf("%d classes: other bytes with %d cores, GOMAXPROCS %d", classes, cores, procs)
				}
			}
		}
	}
}

// The digests hold on every architecture. They change with the algorithm or the file format, which is then to be said in
// the changelog.
func TestGoldenDigests(t *testing.T) {
	columns, z := generate(2000, 7)
	regressor, err := FitRegressor(columns, z, Options{Iterations: 30})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		m            *tree.Ensemble
		model, proba string
	}{
		{"two classes", mustFit(t, columns, classesOf(z, 2), 2, Options{Iterations: 30}), goldenTwo, goldenTwoProba},
		{"four classes", mustFit(t, columns, classesOf(z, 4), 4, Options{Iterations: 10, L2: 1}), goldenFour, goldenFourProba},
		{"numbers", regressor, goldenNumbers, goldenNumbersProba},
	} {
		sum := sha256.Sum256(bytesOf(t, c.m))
		if got := hex.EncodeToString(sum[:]); got != c.model {
			t.Errorf("%s: model %s, want %s", c.name, got, c.model)
		}
		h := sha256.New()
		for _, v := range mustPredict(t, c.m, columns) {
			fmt.Fprintf(h, "%016x", math.Float64bits(v))
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != c.proba {
			t.Errorf("%s: predictions %s, want %s", c.name, got, c.proba)
		}
	}
}

const (
	goldenTwo          = "821b8d6608e5caf539c3d782f386dcb380a56212fdd66a8321929942bfde8e54"
	goldenTwoProba     = "a812c3844d5fdb49c3069979e110cc901f89b7348a2405c30fe4f8ccbf008f85"
	goldenFour         = "add77ff0cd28b661e1bcae19a1f02f9082bc16318000fe29ec70ba8709329ad2"
	goldenFourProba    = "889c4e436fe46e92fcf059e134845139ed5aed02a412bea1aa3947c64f418ca3"
	goldenNumbers      = "554c40b0c69c23473e60d0bfa4384a83cd5d2f909f3e8ae586f5e7cb653fd111"
	goldenNumbersProba = "9c9351b06b6b533d0038733eacab6b6a8652a1b8392df76389448beb55221d24"
)

func TestFitRefuses(t *testing.T) {
	x, y := []*frame.Column{number("x", 1, 2)}, []int32{0, 1}
	for name, o := range map[string]Options{
		"rate above 1":         {LearningRate: 1.5},
		"rate below 0":         {LearningRate: -1},
		"rate of NaN":          {LearningRate: math.NaN()},
		"rounds below 0":       {Iterations: -1},
		"one leaf":             {MaxLeafNodes: 1},
		"depth below 0":        {MaxDepth: -1},
		"leaves below 0 rows":  {MinSamplesLeaf: -1},
		"l2 below 0":           {L2: -1},
		"l2 of NaN":            {L2: math.NaN()},
		"too many bins":        {MaxBins: 256},
		"one bin":              {MaxBins: 1},
		"all rows held back":   {ValidationFraction: 1},
		"weights of too few":   {ClassWeight: []float64{1}},
		"a weight of nothing":  {ClassWeight: []float64{1, 0}},
		"an infinite weight":   {ClassWeight: []float64{1, math.Inf(1)}},
		"no round to improve":  {NoChange: -1},
		"tolerance below zero": {Tol: -1},
	} {
		if _, err := FitClassifier(x, y, 2, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, fit := range map[string]func() error{
		"a class too large": func() error { _, err := FitClassifier(x, []int32{0, 2}, 2, Options{}); return err },
		"one class":         func() error { _, err := FitClassifier(x, []int32{0, 0}, 1, Options{}); return err },
		"no rows":           func() error { _, err := FitClassifier([]*frame.Column{number("x")}, nil, 2, Options{}); return err },
		"a missing target":  func() error { _, err := FitRegressor(x, []float64{1, math.NaN()}, Options{}); return err },
		"an infinite one":   func() error { _, err := FitRegressor(x, []float64{1, math.Inf(-1)}, Options{}); return err },
		"weighted numbers": func() error {
			_, err := FitRegressor(x, []float64{1, 2}, Options{ClassWeight: []float64{1}})
			return err
		},
	} {
		if fit() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkFit(b *testing.B) {
	columns, z := generate(8000, 1)
	for _, classes := range []int{2, 3} {
		y := classesOf(z, classes)
		b.Run(fmt.Sprintf("%d classes", classes), func(b *testing.B) {
			for b.Loop() {
				mustFit(b, columns, y, classes, Options{Cores: 2})
			}
		})
	}
}
