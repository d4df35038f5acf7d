package explain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"testing"

	"github.com/hashline/hashline/ml/boost"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/tree"
)

// table makes rows of two numbers, a whole number and a category, with missing values, and what depends on them.
func table(n, classes int, seed uint64) ([]*frame.Column, []int32, []float64) {
	rng := num.NewRNG(seed)
	x, z := &frame.Column{Name: "x", Type: frame.Float}, &frame.Column{Name: "z", Type: frame.Float}
	k := &frame.Column{Name: "k", Type: frame.Integer}
	c := &frame.Column{Name: "c", Type: frame.Category, Levels: []string{"a", "b", "c", "d"}}
	var y []int32
	var target []float64
	for range n {
		a, b, i, l := rng.Float64(), rng.Float64(), rng.Intn(5), rng.Intn(5)-1
		score := float64(a*b) + float64(i)/10 + float64(l*i)/20 + rng.Float64()/4
		y = append(y, int32(min(classes-1, max(0, int(score*float64(classes))))))
		target = append(target, score)
		if rng.Intn(10) == 0 {
			a = math.NaN()
		}
		x.Num, z.Num, k.Num, c.Codes = append(x.Num, a), append(z.Num, b), append(k.Num, float64(i)), append(c.Codes, int32(l))
	}
	return []*frame.Column{x, z, k, c}, y, target
}

// ensembles trains one of each kind.
func ensembles(t *testing.T) map[string]*tree.Ensemble {
	t.Helper()
	all := map[string]*tree.Ensemble{}
	add := func(name string, m *tree.Ensemble, err error) {
		if err != nil {
			t.Fatal(name, err)
		}
		all[name] = m
	}
	for _, classes := range []int{2, 3} {
		columns, y, _ := table(400, classes, 1)
		m, err := tree.FitTree(columns, y, classes, tree.Options{})
		add(fmt.Sprint("tree ", classes), m, err)
		m, err = tree.FitForest(columns, y, classes, tree.Options{Trees: 7, Seed: 3, MaxFeatures: 0.5})
		add(fmt.Sprint("forest ", classes), m, err)
	}
	columns, y, target := table(400, 2, 1)
	m, err := boost.FitClassifier(columns, y, 2, boost.Options{Iterations: 5})
	add("boosting 2", m, err)
	columns, y, _ = table(400, 3, 1)
	m, err = boost.FitClassifier(columns, y, 3, boost.Options{Iterations: 5})
	add("boosting 3", m, err)
	m, err = boost.FitRegressor(columns, target, boost.Options{Iterations: 5})
	add("boosted numbers", m, err)
	m, err = tree.FitForestRegressor(columns, target, tree.Options{Trees: 5, Seed: 3})
	add("regression", m, err)
	return all
}

// outputs returns what the values of a row add up to, of boosting the log odds, or those against the last class.
func outputs(m *tree.Ensemble, p []float64, row int) []float64 {
	k := m.Classes()
	if k == 0 {
		return p[row : row+1]
	}
	shares := p[row*k : (row+1)*k]
	if !m.Boosted() {
		return shares[1:]
	}
	var scores []float64
	for _, v := range shares[k-m.Width():] {
		base := shares[0]
		if k > 2 {
			base = shares[k-1]
		}
		scores = append(scores, math.Log(v/base))
	}
	return scores
}

// Base and values add up to the prediction, for rows of the background and for others, with codes that no training row had.
func TestAdditive(t *testing.T) {
	for name, m := range ensembles(t) {
		background, _, _ := table(60, 2, 5)
		rows, _, _ := table(80, 2, 9)
		rows[3].Levels = append(rows[3].Levels, "new")
		rows[3].Codes[7] = 4
		v, err := Trees(m, background, rows, 2)
		if err != nil {
			t.Fatal(name, err)
		}
		p, err := m.Predict(rows, 1)
		if err != nil {
			t.Fatal(name, err)
		}
		for r := range rows[0].Num {
			sums := append([]float64(nil), v.Base...)
			for f := range v.Features {
				for o, x := range v.At(r, f) {
					sums[o] += x
				}
			}
			if m.Boosted() && m.Classes() > 2 { // softmax does not see what all scores share
				for o := range sums {
					sums[o] -= sums[len(sums)-1]
				}
			}
			for o, want := range outputs(m, p, r) {
				sum := sums[o]
				if math.Abs(sum-want) > 1e-9 {
					t.Fatalf("%s, row %d, output %d: base and values add up to %v, the prediction is %v", name, r, o, sum, want)
				}
			}
		}
	}
}

// expected is the output of a tree when only the features of a set are known, by definition.
func expected(w *weighted, codes [][]uint16, r, node int, set uint, output, width int) float64 {
	n := w.nodes[node]
	if n.Left == 0 {
		return w.sums[node*width+output]
	}
	if set>>n.Feature&1 == 1 {
		return expected(w, codes, r, n.Goes(codes[n.Feature][r]), set, output, width)
	}
	return w.left[node]*expected(w, codes, r, n.Left, set, output, width) + (1-w.left[node])*expected(w, codes, r, n.Right, set, output, width)
}

// The values are Shapley's, by his formula over all sets of features.
func TestIsShapley(t *testing.T) {
	for name, m := range ensembles(t) {
		background, _, _ := table(30, 2, 5) // few, so that no row comes by some nodes
		rows, _, _ := table(10, 2, 9)
		v, err := Trees(m, background, rows, 1)
		if err != nil {
			t.Fatal(name, err)
		}
		known, _ := m.Codes(background)
		codes, _ := m.Codes(rows)
		width, k := m.Width(), len(rows)
		factorial := []float64{1, 1, 2, 6, 24}
		for r := range codes[0] {
			for f := range k {
				for o := range width {
					want := 0.0
					for set := uint(0); set < 1<<k; set++ {
						if set>>f&1 == 1 {
							continue
						}
						size := bits.OnesCount(set)
						share := factorial[size] * factorial[k-size-1] / factorial[k]
						for tr := range m.Trees() {
							w := weigh(m, tr, known)
							want += share * (expected(&w, codes, r, 0, set|1<<f, o, width) - expected(&w, codes, r, 0, set, o, width))
						}
					}
					if !m.Boosted() {
						want /= float64(m.Trees())
					}
					if got := v.At(r, f)[o]; math.Abs(got-want) > 1e-12 {
						t.Fatalf("%s, row %d, feature %d, output %d: %v, want %v", name, r, f, o, got, want)
					}
				}
			}
		}
	}
}

// The digest holds for any number of cores and on every architecture.
func TestGoldenDigest(t *testing.T) {
	columns, y, _ := table(400, 3, 1)
	m, err := tree.FitForest(columns, y, 3, tree.Options{Trees: 7, Seed: 3, MaxFeatures: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	const want = "dfca5b9f4b449303476c492846d63a20a13e4e11bb38c12dd69074a15a66f7f9"
	for _, cores := range []int{1, 2, 8} {
		v, err := Trees(m, columns, columns, cores)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		for _, x := range append(v.Base, v.Values...) {
			fmt.Fprintf(h, "%016x", math.Float64bits(x))
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%d cores: digest %s, want %s", cores, got, want)
		}
	}
}

func TestTreesRefuses(t *testing.T) {
	columns, y, _ := table(50, 2, 1)
	m, err := tree.FitTree(columns, y, 2, tree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	empty := make([]*frame.Column, len(columns))
	for i, c := range columns {
		empty[i] = c.Take(nil)
	}
	if _, err := Trees(m, empty, columns, 1); err == nil {
		t.Error("no background: no error")
	}
	if _, err := Trees(m, columns[:2], columns, 1); err == nil {
		t.Error("other columns: no error")
	}
	if v, err := Trees(m, columns, empty, 1); err != nil || len(v.Values) != 0 {
		t.Errorf("no rows: %v, %v", v, err)
	}
}

func BenchmarkTrees(b *testing.B) {
	columns, y, _ := table(8000, 2, 1)
	m, err := tree.FitForest(columns, y, 2, tree.Options{Trees: 100, Seed: 3, MinSamplesLeaf: 3})
	if err != nil {
		b.Fatal(err)
	}
	rows := make([]*frame.Column, len(columns))
	for i, c := range columns {
		rows[i] = c.Take([]int32{1, 2, 3, 4, 5, 6, 7, 8})
	}
	for b.Loop() {
		if _, err := Trees(m, columns, rows, 1); err != nil {
			b.Fatal(err)
		}
	}
}
