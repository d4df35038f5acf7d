package tree

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// Small trees, computed by hand: what each row's share of the second class must be.
func TestFitTreeByHand(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name    string
		column  *frame.Column
		y       []int32
		options Options
		test    *frame.Column
		want    []float64
	}{
		{"one cut, halfway", number("x", 1, 2, 4, 5), []int32{0, 0, 1, 1}, Options{},
			number("x", 2.9, 3, 3.1, -1e308, 1e308), []float64{0, 0, 1, 0, 1}},
		{"depth 1 takes the purer cut: after 1 Gini is 0 and 0.375, after 3 it is 0.444 and 0", number("x", 1, 2, 3, 4, 5), []int32{0, 1, 0, 1, 1}, Options{MaxDepth: 1},
			number("x", 1, 2, 3, 4, 5), []float64{1. / 3, 1. / 3, 1. / 3, 1, 1}},
		{"no cut leaves fewer than 2 rows", number("x", 1, 2, 3, 4), []int32{0, 1, 1, 1}, Options{MinSamplesLeaf: 2},
			number("x", 1, 2, 3, 4), []float64{0.5, 0.5, 1, 1}},
		{"too few rows to split", number("x", 1, 2, 3, 4), []int32{0, 0, 1, 1}, Options{MinSamplesSplit: 5},
			number("x", 1, 4), []float64{0.5, 0.5}},
		{"leaves smoothed by a row of each class", number("x", 1, 2, 4, 5), []int32{0, 0, 1, 1}, Options{Laplace: 1},
			number("x", 1, 5), []float64{0.25, 0.75}},
		{"missing values go where they are like the others", number("x", 1, 2, nan, nan, 8, 9), []int32{0, 0, 1, 1, 1, 1}, Options{},
			number("x", 1, nan, 9), []float64{0, 1, 1}},
		{"missing values may be cut off alone", number("x", 1, 2, 3, nan, nan), []int32{0, 0, 0, 1, 1}, Options{},
			number("x", 1, nan, 99), []float64{0, 1, 0}},
		{"missing values never met go to the heavier side", number("x", 1, 2, 3, 9), []int32{0, 0, 0, 1}, Options{},
			number("x", nan), []float64{0}},
		{"levels in the order of their shares", category("x", "b", "b", "a", "a", "c", "c"), []int32{1, 1, 0, 0, 1, 0}, Options{},
			category("x", "a", "b", "c"), []float64{0, 1, 0.5}},
		{"an unseen level goes with the missing ones", category("x", "a", "a", "b", "b", "", ""), []int32{0, 0, 1, 1, 1, 1}, Options{},
			category("x", "z", "", "a"), []float64{1, 1, 0}},
		{"constant", number("x", 7, 7, 7), []int32{0, 1, 0}, Options{}, number("x", 7, 8, nan), []float64{1. / 3, 1. / 3, 1. / 3}},
		{"all missing", number("x", nan, nan), []int32{0, 1}, Options{}, number("x", nan, 3), []float64{0.5, 0.5}},
		{"no level at all", category("x", "", ""), []int32{0, 1}, Options{}, category("x", "a", ""), []float64{0.5, 0.5}},
		{"one row", number("x", 1), []int32{1}, Options{}, number("x", 5), []float64{1}},
		{"0 and -0 are the same", number("x", 0, math.Copysign(0, -1), 1, 1), []int32{0, 0, 1, 1}, Options{},
			number("x", math.Copysign(0, -1), 0, 1), []float64{0, 0, 1}},
		{"huge", number("x", -1e308, -9e307, 1.7e308, math.Inf(1)), []int32{0, 0, 1, 1}, Options{},
			number("x", -1e308, math.Inf(-1), math.Inf(1), 1.7e308), []float64{0, 0, 1, 1}},
		{"tiny", number("x", 0, 5e-324, 1e-323), []int32{0, 1, 1}, Options{}, number("x", 0, 5e-324, 1), []float64{0, 1, 1}},
	} {
		m := mustFit(t, FitTree, []*frame.Column{c.column}, c.y, 2, c.options)
		got := second(mustPredict(t, m, c.test))
		if !slices.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFitTreeManyClassesByHand(t *testing.T) {
	x := number("x", 1, 2, 3, 4, 5, 6, math.NaN())
	m := mustFit(t, FitTree, []*frame.Column{x}, []int32{0, 0, 1, 1, 2, 2, 3}, 4, Options{})
	got := mustPredict(t, m, number("x", 1.5, 3.5, 5.5, math.NaN()))
	want := []float64{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFitRefuses(t *testing.T) {
	x, y := number("x", 1, 2), []int32{0, 1}
	many := make([]*frame.Column, MaxFeatures+1)
	for i := range many {
		many[i] = x
	}
	for _, c := range []struct {
		name    string
		columns []*frame.Column
		y       []int32
		classes int
		options Options
	}{
		{"no features", nil, y, 2, Options{}},
		{"too many features", many, y, 2, Options{}},
		{"no rows", []*frame.Column{number("x")}, nil, 2, Options{}},
		{"lengths", []*frame.Column{number("x", 1)}, y, 2, Options{}},
		{"dates", []*frame.Column{{Name: "x", Type: frame.Date, Days: []int32{1, 2}}}, y, 2, Options{}},
		{"identifiers", []*frame.Column{{Name: "x", Type: frame.Identifier, Codes: []int32{0, 1}, Levels: []string{"a", "b"}}}, y, 2, Options{}},
		{"one class", []*frame.Column{x}, y, 1, Options{}},
		{"too many classes", []*frame.Column{x}, y, maxClasses + 1, Options{}},
		{"class too large", []*frame.Column{x}, []int32{0, 2}, 2, Options{}},
		{"class below 0", []*frame.Column{x}, []int32{0, -1}, 2, Options{}},
		{"one bin", []*frame.Column{x}, y, 2, Options{MaxBins: 1}},
		{"too many bins", []*frame.Column{x}, y, 2, Options{MaxBins: MaxBins + 1}},
		{"smoothing below 0", []*frame.Column{x}, y, 2, Options{Laplace: -1}},
	} {
		if _, err := FitTree(c.columns, c.y, c.classes, c.options); err == nil {
			t.Errorf("%s: the tree has no error", c.name)
		}
		c.options.Trees = 2
		if _, err := FitForest(c.columns, c.y, c.classes, c.options); err == nil {
			t.Errorf("%s: the forest has no error", c.name)
		}
	}
	if _, err := FitForest([]*frame.Column{x}, y, 2, Options{}); err == nil {
		t.Error("a forest of no trees has no error")
	}
}

func TestPredictRefuses(t *testing.T) {
	m := mustFit(t, FitTree, []*frame.Column{number("x", 1, 2), category("c", "a", "b")}, []int32{0, 1}, 2, Options{})
	for name, columns := range map[string][]*frame.Column{
		"too few": {number("x", 1)},
		"name":    {number("z", 1), category("c", "a")},
		"type":    {category("x", "a"), category("c", "a")},
		"order":   {category("c", "a"), number("x", 1)},
		"lengths": {number("x", 1, 2), category("c", "a")},
		"date":    {{Name: "x", Type: frame.Date, Days: []int32{1}}, category("c", "a")},
	} {
		if _, err := m.Predict(columns, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if p, err := m.Predict([]*frame.Column{number("x"), category("c")}, 1); err != nil || len(p) != 0 {
		t.Errorf("no rows: %v, %v, want nothing", p, err)
	}
}

// The impurity of the first cut is the least of all cuts, tried one by one.
func TestFirstCutIsTheBest(t *testing.T) {
	rng := num.NewRNG(1)
	for round := range 200 {
		n, classes := 2+rng.Intn(40), 2+rng.Intn(3)
		x, y := &frame.Column{Name: "x", Type: frame.Float}, make([]int32, n)
		for i := range y {
			v := float64(rng.Intn(15))
			if rng.Intn(6) == 0 {
				v = math.NaN()
			}
			x.Num = append(x.Num, v)
			y[i] = int32(rng.Intn(classes))
		}
		leaf := 1 + rng.Intn(3)
		m := mustFit(t, FitTree, []*frame.Column{x}, y, classes, Options{MaxDepth: 1, MinSamplesLeaf: leaf})
		best := math.Inf(1)
		for _, cut := range append(slices.Clone(x.Num), math.Inf(-1)) {
			for _, missingLeft := range []bool{true, false} {
				best = min(best, weightedGini(y, classes, leaf, func(i int) bool {
					return x.Num[i] <= cut || x.Num[i] != x.Num[i] && missingLeft
				}))
			}
		}
		left := m.trees[0].nodes[0].left + 1
		encoders, err := m.encoders([]*frame.Column{x})
		if err != nil {
			t.Fatal(err)
		}
		codes, nodes := m.encode(encoders, 0, n), m.trees[0].nodes
		got := weightedGini(y, classes, leaf, func(i int) bool { return walk(nodes, codes.codes[2*i:2*i+2]) != left })
		if m.Nodes() == 1 { // no cut: none may be better than the whole
			got = weightedGini(y, classes, 0, func(int) bool { return true })
			best = min(best, got)
		}
		if math.Abs(got-best) > 1e-9 {
			t.Fatalf("round %d: the tree's cut has the impurity %v, the best one %v", round, got, best)
		}
	}
}

// weightedGini is the Gini impurity of both sides, weighted by rows; infinite when a side has fewer than leaf rows.
func weightedGini(y []int32, classes, leaf int, left func(i int) bool) float64 {
	counts := [2][]float64{make([]float64, classes), make([]float64, classes)}
	var rows [2]float64
	for i, c := range y {
		s := 0
		if left(i) {
			s = 1
		}
		counts[s][c]++
		rows[s]++
	}
	if rows[0] < float64(leaf) || rows[1] < float64(leaf) {
		return math.Inf(1)
	}
	sum := 0.0
	for s := range 2 {
		if rows[s] == 0 {
			continue
		}
		gini := 1.0
		for _, c := range counts[s] {
			gini -= c / rows[s] * c / rows[s]
		}
		sum += rows[s] * gini
	}
	return sum
}

func TestLimitsOfLeavesAndDepth(t *testing.T) {
	for _, classes := range []int{2, 5} {
		columns, y := generate(3000, classes, 2)
		for _, o := range []Options{{MaxDepth: 1}, {MaxDepth: 4}, {MinSamplesLeaf: 40}, {MinSamplesSplit: 300}, {MaxDepth: 6, MinSamplesLeaf: 17}} {
			m := mustFit(t, FitTree, columns, y, classes, o)
			encoders, err := m.encoders(columns)
			if err != nil {
				t.Fatal(err)
			}
			x, nodes := m.encode(encoders, 0, len(y)), m.trees[0].nodes
			rows := make([]int, len(nodes))
			for i := range y {
				at := uint32(0)
				for depth := 0; ; depth++ {
					rows[at]++
					next := step(nodes, at, x.codes[i*x.width:(i+1)*x.width])
					if next == at {
						break
					}
					if o.MaxDepth > 0 && depth >= o.MaxDepth {
						t.Fatalf("%d classes, %+v: deeper than allowed", classes, o)
					}
					at = next
				}
			}
			for at, n := range rows {
				if n < o.MinSamplesLeaf {
					t.Errorf("%d classes, %+v: node %d has %d rows", classes, o, at, n)
				}
				if nodes[at].left != uint32(at) && n < o.MinSamplesSplit {
					t.Errorf("%d classes, %+v: node %d of %d rows is split", classes, o, at, n)
				}
			}
		}
	}
}

// What keeps the order of the numbers, or gives the levels other names and codes, keeps the predictions.
func TestMonotoneRelabelling(t *testing.T) {
	columns, y := generate(2000, 2, 3)
	want := mustPredict(t, mustFit(t, FitTree, columns, y, 2, Options{MaxDepth: 8, MaxBins: 4096}), columns...)
	changed := make([]*frame.Column, len(columns))
	for i, c := range columns {
		other := *c
		changed[i] = &other
	}
	for _, i := range []int{0, 1} {
		changed[i].Num = make([]float64, len(y))
		for r, v := range columns[i].Num {
			changed[i].Num[r] = 3*v*v*v + 1e6
		}
	}
	kind := changed[3]
	kind.Levels = []string{"", "phone", "paper", "chair", "table"}
	kind.Codes = make([]int32, len(y))
	for r, code := range columns[3].Codes {
		if kind.Codes[r] = code; code >= 0 {
			kind.Codes[r] = 4 - code
		}
	}
	got := mustPredict(t, mustFit(t, FitTree, changed, y, 2, Options{MaxDepth: 8, MaxBins: 4096}), changed...)
	if !slices.Equal(got, want) {
		t.Error("the predictions changed")
	}
}

func TestProbabilitiesAddUpToOne(t *testing.T) {
	for _, classes := range []int{2, 3, 20} {
		columns, y := generate(500, classes, 4)
		m := mustFit(t, FitForest, columns, y, classes, Options{Trees: 25, Seed: 1, MinSamplesLeaf: 2})
		p := mustPredict(t, m, columns...)
		for i := range y {
			sum := 0.0
			for _, v := range p[i*classes : (i+1)*classes] {
				if v < 0 || v > 1 {
					t.Fatalf("%d classes: a probability of %v", classes, v)
				}
				sum += v
			}
			if math.Abs(sum-1) > 1e-12 {
				t.Fatalf("%d classes: probabilities add up to %v", classes, sum)
			}
		}
	}
}

// Cores and GOMAXPROCS change no byte of a model, at sizes that cross every threshold of parallel work.
func TestSameBytesForAnyCores(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, c := range []struct {
		name    string
		rows    int
		classes int
		fit     func([]*frame.Column, []int32, int, Options) (*Ensemble, error)
		options Options
	}{
		{"forest", 1500, 2, FitForest, Options{Trees: 12, Seed: 5, MinSamplesLeaf: 3, MaxFeatures: 0.5}},
		{"forest of three classes", 1500, 3, FitForest, Options{Trees: 12, Seed: 5, MaxFeatures: 0}},
		{"forest of wide bins", 1500, 2, FitForest, Options{Trees: 5, Seed: 5, MaxBins: 2000}},
		{"tree", 1500, 2, FitTree, Options{MaxDepth: 10, MinSamplesLeaf: 5, Laplace: 1}},
		{"large tree", 2*block + 1000, 2, FitTree, Options{MaxDepth: 6}},
	} {
		columns, y := generate(c.rows, c.classes, 6)
		var want []byte
		var wantProba string
		for procs, cores := range map[int][]int{1: {1, 8}, 2: {2, 3, 8}} {
			runtime.GOMAXPROCS(procs)
			for _, cores := range cores {
				c.options.Cores = cores
				m := mustFit(t, c.fit, columns, y, c.classes, c.options)
				p, err := m.Predict(columns, cores)
				if err != nil {
					t.Fatal(err)
				}
				got := bytesOf(t, m)
				if want == nil {
					want, wantProba = got, digest(p)
				}
				if !bytes.Equal(got, want) || digest(p) != wantProba {
					t.Errorf("%s: other bytes with %d cores, GOMAXPROCS %d", c.name, cores, procs)
				}
			}
		}
	}
}

// The digests hold on every architecture; they were also computed with GOARCH=arm64 under qemu. They change with the
// algorithm or the file format, which is then to be said in the changelog.
func TestGoldenDigests(t *testing.T) {
	for _, c := range []struct {
		name         string
		classes      int
		fit          func([]*frame.Column, []int32, int, Options) (*Ensemble, error)
		options      Options
		model, proba string
	}{
		{"tree", 2, FitTree, Options{MaxDepth: 10, MinSamplesLeaf: 5, Laplace: 1},
			"0b98be4031696cecd20769bbd6aa20e1e6555e83d3d5fc6a70cdf2ae7cfc1ab6",
			"9c393e15af127fff6dd54fb0e5cd8b8100cba3a22f258edcf69352b74caa17f9"},
		{"forest", 2, FitForest, Options{Trees: 20, MinSamplesLeaf: 3, MaxFeatures: 0.5, Seed: 42},
			"2ee1ab47b7bfc9fd531659d832daa24ad599fdf7921add9ef2164e93ead42a9d",
			"88c7befd433b1be76f3463a85095056188c8d141a91a45751b0d2404a8a7cf8b"},
		{"forest of four classes", 4, FitForest, Options{Trees: 20, MinSamplesLeaf: 3, Seed: 42},
			"1d7781b8cce0ee9ccdf81d8b7a2494178e0a4e3c0da4627de26f1390b834566f",
			"a1f8e58531591b023c819fbfcc540d8a6329f7a8296e5ae03f4a3f226188d004"},
		{"forest of ten classes", 10, FitForest, Options{Trees: 20, MinSamplesLeaf: 3, Seed: 42},
			"2650c1821acca1f7120d3ca545424928ba1ac935baa0967e5bc117e5b45dac53",
			"0e26d6f6acce44170cb4692b5a8ff880b8a3e23f3c7d2d1b7dfda786ddeac72c"},
	} {
		columns, y := generate(2000, c.classes, 1)
		m := mustFit(t, c.fit, columns, y, c.classes, c.options)
		sum := sha256.Sum256(bytesOf(t, m))
		if got := hex.EncodeToString(sum[:]); got != c.model {
			t.Errorf("%s: model %s, want %s", c.name, got, c.model)
		}
		if got := digest(mustPredict(t, m, columns...)); got != c.proba {
			t.Errorf("%s: predictions %s, want %s", c.name, got, c.proba)
		}
	}
}

// A forest learns what there is to learn: far better than the majority on rows that it has not seen.
func TestForestGeneralises(t *testing.T) {
	for _, classes := range []int{2, 3} {
		columns, y := generate(6000, classes, 8)
		var train, test []*frame.Column
		half := make([]int32, 3000)
		for i := range half {
			half[i] = int32(i)
		}
		for _, c := range columns {
			train = append(train, c.Take(half))
			rest := slices.Clone(half)
			for i := range rest {
				rest[i] += 3000
			}
			test = append(test, c.Take(rest))
		}
		m := mustFit(t, FitForest, train, y[:3000], classes, Options{Trees: 50, MinSamplesLeaf: 3, MaxFeatures: 0.5})
		p := mustPredict(t, m, test...)
		hits, counts := 0, make([]int, classes)
		for i, c := range y[3000:] {
			row := p[i*classes : (i+1)*classes]
			if row[c] == slices.Max(row) {
				hits++
			}
			counts[c]++
		}
		if most := slices.Max(counts); hits < most+(3000-most)/4 {
			t.Errorf("%d classes: %d of 3000 right, the majority has %d", classes, hits, most)
		}
	}
}

func TestBinning(t *testing.T) {
	var many []float64
	var y []int32
	for i := range 10_000 {
		many = append(many, float64(i*7919%10_000))
		y = append(y, int32(i%2))
	}
	long := &frame.Column{Name: "long", Type: frame.Category}
	for i := range 100_000 {
		long.Levels = append(long.Levels, fmt.Sprintf("%06d", i))
		long.Codes = append(long.Codes, int32(i))
	}
	longY := make([]int32, 100_000)
	for i := range longY {
		longY[i] = int32(i % 3 % 2)
	}
	for _, c := range []struct {
		name   string
		column *frame.Column
		y      []int32
		bins   int
		want   int
	}{
		{"a bin for each value", number("x", 3, 1, 2, 2), []int32{0, 1, 0, 1}, 255, 3},
		{"constant", number("x", 3, 3), []int32{0, 1}, 255, 1},
		{"quantiles", number("x", many...), y, 255, 255},
		{"two bins", number("x", many...), y, 2, 2},
		{"100,000 levels", long, longY, 255, 255},
		{"all missing", number("x", math.NaN(), math.NaN()), []int32{0, 1}, 255, 1},
	} {
		b := Bin(c.column, c.y, 2, c.bins)
		if b.Bins() != c.want {
			t.Errorf("%s: %d bins, want %d", c.name, b.Bins(), c.want)
		}
		sizes := make([]int, b.Bins()+1)
		for i, code := range b.Codes(c.column) {
			if (int(code) == b.Bins()) != c.column.Missing(i) {
				t.Fatalf("%s: row %d has the code %d", c.name, i, code)
			}
			sizes[code]++
		}
		if n := len(c.y); n >= 10_000 { // bins share the rows
			if most := slices.Max(sizes); most > 2*n/c.want {
				t.Errorf("%s: a bin has %d of %d rows", c.name, most, n)
			}
		}
	}
}

func TestCutter(t *testing.T) {
	rng := num.NewRNG(2)
	for n := range 70 {
		edges := make([]float64, n)
		for i := range edges {
			edges[i] = float64(rng.Intn(100) - 50)
		}
		slices.Sort(edges)
		k := newCutter(edges)
		for _, v := range []float64{math.Inf(-1), -50, -0.5, math.Copysign(0, -1), 0, 0.5, 13, 49, math.Inf(1)} {
			want, _ := slices.BinarySearch(edges, v)
			if got := k.code(v); got != want {
				t.Fatalf("code of %v among %v = %d, want %d", v, edges, got, want)
			}
		}
	}
}
