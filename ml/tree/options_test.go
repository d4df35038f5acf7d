package tree

import (
	"bytes"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// leavesOf returns the number of leaves of the first tree.
func leavesOf(m *Ensemble) (n int) {
	for _, node := range m.trees[0].nodes {
		if node.cut == leafCut {
			n++
		}
	}
	return n
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

// By Gini the first cut is that behind 3 (0 0 0 | 1 1 0 1 1), by entropy too; where the criteria differ: classes 1:5:2 of
// 3 bins. The tree of depth 1 must be the one whose gain, computed here from the definition, is largest.
func TestCriteria(t *testing.T) {
	rng := num.NewRNG(4)
	differ := 0
	for range 200 {
		n, classes := 4+rng.Intn(30), 2+rng.Intn(3)
		x, y := &frame.Column{Name: "x", Type: frame.Float}, make([]int32, n)
		for i := range y {
			x.Num, y[i] = append(x.Num, float64(rng.Intn(8))), int32(rng.Intn(classes))
		}
		weights := make([]float64, classes)
		for c := range weights {
			weights[c] = 0.5 + rng.Float64()
		}
		for _, o := range []Options{{Criterion: Entropy}, {ClassWeight: weights}, {Criterion: Entropy, ClassWeight: weights}} {
			o.MaxDepth = 1
			m := mustFit(t, FitTree, []*frame.Column{x}, y, classes, o)
			if m.Nodes() == 1 {
				continue
			}
			edge := m.features[0].Edges[m.trees[0].nodes[0].cut]
			best := math.Inf(1)
			for v := range 7 {
				best = min(best, impurityOfCut(x.Num, y, classes, float64(v), o))
			}
			if got := impurityOfCut(x.Num, y, classes, edge, o); got > best+1e-9 {
				t.Errorf("%+v: the cut at %v has the impurity %v, the best one %v", o, edge, got, best)
			}
			plain := mustFit(t, FitTree, []*frame.Column{x}, y, classes, Options{MaxDepth: 1})
			if plain.features[0].Edges[plain.trees[0].nodes[0].cut] != edge {
				differ++
			}
		}
	}
	if differ < 20 {
		t.Errorf("the criteria and weights chose another cut %d times: they are not looked at", differ)
	}
}

// impurityOfCut is that of both sides, weighted; infinite when one is empty.
func impurityOfCut(x []float64, y []int32, classes int, cut float64, o Options) float64 {
	var counts [2][]float64
	for s := range counts {
		counts[s] = make([]float64, classes)
	}
	var rows [2]int
	for i, v := range x {
		s := 0
		if v > cut {
			s = 1
		}
		w := 1.0
		if o.ClassWeight != nil {
			w = o.ClassWeight[y[i]]
		}
		counts[s][y[i]] += w
		rows[s]++
	}
	if rows[0] == 0 || rows[1] == 0 {
		return math.Inf(1)
	}
	sum := 0.0
	for _, side := range counts {
		total := 0.0
		for _, c := range side {
			total += c
		}
		impurity := 1.0
		if o.Criterion == Entropy {
			impurity = 0
		}
		for _, c := range side {
			p := c / total
			switch {
			case o.Criterion == Gini:
				impurity -= p * p
			case p > 0:
				impurity -= p * math.Log(p)
			}
		}
		sum += total * impurity
	}
	return sum
}

func TestClassWeightsByHand(t *testing.T) {
	x := number("x", 1, 1, 1, 2)
	y := []int32{0, 0, 1, 1}
	p := second(mustPredict(t, mustFit(t, FitTree, []*frame.Column{x}, y, 2, Options{ClassWeight: []float64{1, 4}}), x))
	if want := 4.0 / 6; !near(p[0], want) || !near(p[3], 1) {
		t.Errorf("shares %v and %v, want %v and 1", p[0], p[3], want)
	}
	if got, want := BalancedWeights([]int32{0, 0, 0, 2}, 3), []float64{4. / 9, 1, 4. / 3}; !slices.EqualFunc(got, want, near) {
		t.Errorf("balanced weights %v, want %v", got, want)
	}
	for _, w := range [][]float64{{1}, {1, 0}, {1, -1}, {1, math.NaN()}, {1, math.Inf(1)}} {
		if _, err := FitTree([]*frame.Column{x}, y, 2, Options{ClassWeight: w}); err == nil {
			t.Errorf("weights %v: no error", w)
		}
	}
}

// A tree of few leaves makes the splits that gain most: with as many leaves as the full tree has, it is the full tree.
func TestMaxLeafNodes(t *testing.T) {
	for _, classes := range []int{2, 4, 9} {
		columns, y := generate(1500, classes, 3)
		full := mustFit(t, FitTree, columns, y, classes, Options{MinSamplesLeaf: 5})
		n := leavesOf(full)
		for _, most := range []int{2, 3, 17, n} {
			m := mustFit(t, FitTree, columns, y, classes, Options{MinSamplesLeaf: 5, MaxLeafNodes: most})
			if got := leavesOf(m); got != most {
				t.Errorf("%d leaves, want %d", got, most)
			}
			if most == n && !slices.Equal(mustPredict(t, m, columns...), mustPredict(t, full, columns...)) {
				t.Errorf("%d classes: another tree than without a limit", classes)
			}
		}
	}
	for _, most := range []int{1, -3} {
		if _, err := FitTree([]*frame.Column{number("x", 1, 2)}, []int32{0, 1}, 2, Options{MaxLeafNodes: most}); err == nil {
			t.Errorf("at most %d leaves: no error", most)
		}
	}
}

// Pruning by hand: the root (8 rows, 3 of class 1) has the impurity 30/64, its sides (4 rows, pure; 4 rows, 3 of class 1)
// 3/8 of half the rows. The first split lowers the impurity by 30/64-12/64 = 0.28, the second by 12/64 = 0.19 for two
// leaves more at most.
func TestPruning(t *testing.T) {
	x := number("x", 1, 2, 3, 4, 5, 6, 7, 8)
	y := []int32{0, 0, 0, 0, 1, 1, 0, 1}
	leaves := func(alpha float64) int {
		return leavesOf(mustFit(t, FitTree, []*frame.Column{x}, y, 2, Options{CCPAlpha: alpha}))
	}
	for _, c := range []struct {
		alpha float64
		want  int
	}{{0, 4}, {0.09, 4}, {0.1, 2}, {0.28, 2}, {0.29, 1}} {
		if got := leaves(c.alpha); got != c.want {
			t.Errorf("alpha %v: %d leaves, want %d", c.alpha, got, c.want)
		}
	}
	columns, many := generate(2000, 3, 1)
	before := math.MaxInt
	for _, alpha := range []float64{0, 0.0005, 0.001, 0.01, 0.1} {
		m := mustFit(t, FitTree, columns, many, 3, Options{CCPAlpha: alpha})
		if n := leavesOf(m); n > before {
			t.Errorf("alpha %v: %d leaves, more than with a smaller one", alpha, n)
		} else {
			before = n
		}
	}
	if before > 3 {
		t.Errorf("%d leaves after the strongest pruning", before)
	}
}

func TestOutOfBag(t *testing.T) {
	columns, y := generate(3000, 3, 5)
	columns = columns[:4] // see OutOfBag of categories of many levels
	m := mustFit(t, FitForest, columns, y, 3, Options{Trees: 30, Seed: 1, OutOfBag: true, MinSamplesLeaf: 3})
	o := m.OutOfBag()
	if o == nil || o.Rows != 3000 {
		t.Fatalf("%+v, want all rows of some tree's absence", o)
	}
	test, truth := generate(3000, 3, 6)
	test = test[:4]
	hits := 0
	for i, p := 0, mustPredict(t, m, test...); i < len(truth); i++ {
		if row := p[3*i : 3*i+3]; row[truth[i]] == slices.Max(row) {
			hits++
		}
	}
	if fresh := float64(hits) / 3000; math.Abs(fresh-float64(o.Score)) > 0.04 {
		t.Errorf("accuracy out of bag %v, of fresh rows %v", o.Score, fresh)
	}
	if m := mustFit(t, FitForest, columns, y, 3, Options{Trees: 30, Seed: 1, MinSamplesLeaf: 3}); m.OutOfBag() != nil {
		t.Error("a score that nobody asked for")
	}
}

// Numbers by hand: cuts halve the squared error as far as they can, leaves hold means.
func TestRegressorByHand(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name    string
		x       *frame.Column
		target  []float64
		options Options
		test    *frame.Column
		want    []float64
	}{
		{"one cut", number("x", 1, 2, 3, 4), []float64{1, 1, 9, 9}, Options{}, number("x", 2.4, 2.6), []float64{1, 9}},
		{"depth 1 cuts off what is far", number("x", 1, 2, 3, 4), []float64{1, 2, 3, 90}, Options{MaxDepth: 1}, number("x", 1, 3, 4), []float64{2, 2, 90}},
		{"missing values go where they are like the others", number("x", 1, 2, nan, 8), []float64{1, 1, 5, 5}, Options{}, number("x", 1, nan, 9), []float64{1, 5, 5}},
		{"levels by their means", category("c", "a", "b", "c", "a", "b", "c"), []float64{9, 1, 3, 9, 1, 3}, Options{MaxDepth: 1}, category("c", "a", "b", "c"), []float64{9, 2, 2}},
		{"no difference", number("x", 1, 2), []float64{7, 7}, Options{}, number("x", 1, 9), []float64{7, 7}},
		{"huge", number("x", 1, 2), []float64{-1e308, 1e308}, Options{}, number("x", 1, 2), []float64{-1e308, 1e308}},
		{"tiny", number("x", 1, 2), []float64{0, 1e-300}, Options{}, number("x", 1, 2), []float64{0, 1e-300}},
		{"one row", number("x", 1), []float64{3}, Options{}, number("x", 1), []float64{3}},
		{"pruned", number("x", 1, 2, 3, 4), []float64{1, 1.1, 9, 9}, Options{CCPAlpha: 0.1}, number("x", 1, 2, 3), []float64{1.05, 1.05, 9}},
		{"two leaves", number("x", 1, 2, 3, 4), []float64{1, 2, 30, 31}, Options{MaxLeafNodes: 2}, number("x", 1, 4), []float64{1.5, 30.5}},
	} {
		m, err := FitTreeRegressor([]*frame.Column{c.x}, c.target, c.options)
		if err != nil {
			t.Fatal(err)
		}
		got := mustPredict(t, m, c.test)
		if !slices.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if m.Classes() != 0 {
			t.Errorf("%s: %d classes, want none", c.name, m.Classes())
		}
	}
	x := []*frame.Column{number("x", 1, 2)}
	for name, target := range map[string][]float64{"missing": {1, nan}, "infinite": {1, math.Inf(1)}, "too few": {1}} {
		if _, err := FitTreeRegressor(x, target, Options{}); err == nil {
			t.Errorf("a target that is %s: no error", name)
		}
	}
	if _, err := FitForestRegressor(x, []float64{1, 2}, Options{Trees: 1, Criterion: Entropy}); err == nil {
		t.Error("entropy of numbers: no error")
	}
}

// numbersOf makes a target of numbers from what generate makes.
func numbersOf(columns []*frame.Column, y []int32) []float64 {
	rng := num.NewRNG(8)
	target := make([]float64, len(y))
	for i, c := range y {
		target[i] = 100*float64(c) - 37 + rng.Float64()
		if v := columns[0].Num[i]; v == v {
			target[i] += v / 50
		}
	}
	return target
}

// Every learner, with every option that changes growth: the same bytes for any number of goroutines, the same again after
// saving and loading, and predictions of permuted columns as of columns permuted in fact.
func TestEveryLearner(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	columns, y := generate(700, 2, 2)
	_, y4 := generate(700, 4, 2)
	_, y9 := generate(700, 9, 2)
	numbers := numbersOf(columns, y)
	classifier := func(fit func([]*frame.Column, []int32, int, Options) (*Ensemble, error), classes int, o Options) func(cores int) (*Ensemble, error) {
		return func(cores int) (*Ensemble, error) {
			o := o
			o.Cores = cores
			return fit(columns, map[int][]int32{2: y, 4: y4, 9: y9}[classes], classes, o)
		}
	}
	regressor := func(fit func([]*frame.Column, []float64, Options) (*Ensemble, error), o Options) func(cores int) (*Ensemble, error) {
		return func(cores int) (*Ensemble, error) {
			o := o
			o.Cores = cores
			return fit(columns, numbers, o)
		}
	}
	some := Options{Trees: 7, Seed: 3, MinSamplesLeaf: 2}
	with := func(change func(o *Options)) Options {
		o := some
		change(&o)
		return o
	}
	for name, fit := range map[string]func(cores int) (*Ensemble, error){
		"extra trees":          classifier(FitExtraTrees, 2, some),
		"extra trees of 4":     classifier(FitExtraTrees, 4, some),
		"extra trees of 9":     classifier(FitExtraTrees, 9, some),
		"entropy of 9":         classifier(FitForest, 9, with(func(o *Options) { o.Criterion = Entropy })),
		"weights of 9":         classifier(FitForest, 9, with(func(o *Options) { o.ClassWeight = []float64{1, 3, 2, 5, 1, 1, 1, 1, 1} })),
		"few leaves of 9":      classifier(FitForest, 9, with(func(o *Options) { o.MaxLeafNodes = 12 })),
		"pruned of 9":          classifier(FitTree, 9, Options{CCPAlpha: 0.002}),
		"out of bag of 9":      classifier(FitForest, 9, with(func(o *Options) { o.OutOfBag = true })),
		"pruned of 4":          classifier(FitTree, 4, Options{CCPAlpha: 0.002}),
		"entropy":              classifier(FitForest, 2, with(func(o *Options) { o.Criterion = Entropy })),
		"entropy of 4":         classifier(FitForest, 4, with(func(o *Options) { o.Criterion = Entropy })),
		"weights":              classifier(FitForest, 2, with(func(o *Options) { o.ClassWeight = []float64{1, 3} })),
		"weights of 4":         classifier(FitForest, 4, with(func(o *Options) { o.ClassWeight = []float64{1, 3, 2, 5} })),
		"few leaves":           classifier(FitForest, 2, with(func(o *Options) { o.MaxLeafNodes = 12 })),
		"few leaves of 4":      classifier(FitForest, 4, with(func(o *Options) { o.MaxLeafNodes = 12 })),
		"pruned":               classifier(FitTree, 2, Options{CCPAlpha: 0.002}),
		"out of bag":           classifier(FitForest, 2, with(func(o *Options) { o.OutOfBag = true })),
		"out of bag of 4":      classifier(FitForest, 4, with(func(o *Options) { o.OutOfBag = true })),
		"so many features":     classifier(FitForest, 2, with(func(o *Options) { o.SplitFeatures = 3 })),
		"tree of numbers":      regressor(FitTreeRegressor, Options{}),
		"forest of numbers":    regressor(FitForestRegressor, with(func(o *Options) { o.OutOfBag = true })),
		"extra, numbers":       regressor(FitExtraTreesRegressor, some),
		"few leaves, numbers":  regressor(FitForestRegressor, with(func(o *Options) { o.MaxLeafNodes = 12 })),
		"pruned, numbers":      regressor(FitTreeRegressor, Options{CCPAlpha: 1}),
		"wide bins of numbers": regressor(FitForestRegressor, with(func(o *Options) { o.MaxBins = 2000 })),
	} {
		var want []byte
		var m *Ensemble
		for procs, cores := range map[int][]int{1: {1, 8}, 2: {2, 3}} {
			runtime.GOMAXPROCS(procs)
			for _, cores := range cores {
				var err error
				if m, err = fit(cores); err != nil {
					t.Fatal(name, err)
				}
				if got := bytesOf(t, m); want == nil {
					want = got
				} else if !bytes.Equal(got, want) {
					t.Errorf("%s: other bytes with %d cores, GOMAXPROCS %d", name, cores, procs)
				}
			}
		}
		if m.Nodes() < 3 {
			t.Errorf("%s: %d nodes", name, m.Nodes())
		}
		var loaded Ensemble
		if err := loaded.UnmarshalJSON(want); err != nil {
			t.Fatal(name, err)
		}
		if !bytes.Equal(bytesOf(t, &loaded), want) {
			t.Errorf("%s: other bytes after loading", name)
		}
		p := mustPredict(t, m, columns...)
		if !slices.Equal(mustPredict(t, &loaded, columns...), p) {
			t.Errorf("%s: other predictions after loading", name)
		}
		permutation := make([]int32, len(y))
		num.NewRNG(1).Perm(permutation)
		err := m.PredictPermuted(columns, [][]int32{permutation}, 1, func(f, _ int, got []float64) {
			permuted := slices.Clone(columns)
			permuted[f] = columns[f].Take(permutation)
			if got == nil {
				got = p
			}
			if !slices.Equal(got, mustPredict(t, m, permuted...)) {
				t.Errorf("%s: other predictions of a permuted column %d", name, f)
			}
		})
		if err != nil {
			t.Fatal(name, err)
		}
	}
}

// Features that no node asks for are not kept, nor are cut points that none compares with.
func TestModelsKeepWhatTheyUse(t *testing.T) {
	columns := []*frame.Column{number("x"), {Name: "constant", Type: frame.Category, Levels: []string{"a"}}}
	var y []int32
	for i := range 1000 {
		columns[0].Num, columns[1].Codes, y = append(columns[0].Num, float64(i)), append(columns[1].Codes, 0), append(y, int32(i/500))
	}
	m := mustFit(t, FitTree, columns, y, 2, Options{})
	if e := m.features[0].Edges; len(e) != 1 || e[0] < 499 || e[0] >= 500 {
		t.Errorf("edges %v, want the one between 499 and 500", e)
	}
	if f := m.features[1]; len(f.Levels) > 0 {
		t.Errorf("levels %v of a feature that is not used", f.Levels)
	}
}
