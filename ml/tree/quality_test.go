package tree_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/ml/boost"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/tree"
	"github.com/hashline/hashline/sample"
)

// The quality of every learner is held to scikit-learn's on the same folds. testdata/reference.py made the values. A test
// allows for a standard error of the mean over five folds, and for what other seeds do to a figure, 0.004. A single tree of
// the Superstore data is another one than scikit-learn's, as its categories are ordered by their targets: it may lose 0.012
// of accuracy, where it ranks better. Its AUC may lose 0.006, when it is grown to the last row.

// set is rows with their folds, of classes or of numbers.
type set struct {
	columns []*frame.Column
	y       []int32
	classes int
	numbers []float64
	fold    []byte
}

// spread is a figure over the folds.
type spread struct{ Mean, SD float64 }

type learner func(columns []*frame.Column, y []int32, classes int) (*tree.Ensemble, error)

func forest(fit func([]*frame.Column, []int32, int, tree.Options) (*tree.Ensemble, error), o tree.Options) learner {
	return func(columns []*frame.Column, y []int32, classes int) (*tree.Ensemble, error) {
		o := o
		o.Cores, o.Seed = 2, 1
		if o.ClassWeight != nil {
			o.ClassWeight = tree.BalancedWeights(y, classes)
		}
		return fit(columns, y, classes, o)
	}
}

var learners = map[string]learner{
	"forest_half":    forest(tree.FitForest, tree.Options{Trees: 100, MaxFeatures: 0.5, MinSamplesLeaf: 3}),
	"forest_sqrt":    forest(tree.FitForest, tree.Options{Trees: 100}),
	"extra_half":     forest(tree.FitExtraTrees, tree.Options{Trees: 100, MaxFeatures: 0.5, MinSamplesLeaf: 3}),
	"tree_10":        forest(tree.FitTree, tree.Options{MaxDepth: 10, MinSamplesLeaf: 5}),
	"tree_full":      forest(tree.FitTree, tree.Options{}),
	"tree_entropy":   forest(tree.FitTree, tree.Options{Criterion: tree.Entropy, MaxDepth: 10, MinSamplesLeaf: 5}),
	"tree_20_leaves": forest(tree.FitTree, tree.Options{MaxLeafNodes: 20}),
	"tree_pruned":    forest(tree.FitTree, tree.Options{CCPAlpha: 0.001}),
	"tree_balanced":  forest(tree.FitTree, tree.Options{MaxDepth: 10, MinSamplesLeaf: 5, ClassWeight: []float64{}}),
	"boosting": func(columns []*frame.Column, y []int32, classes int) (*tree.Ensemble, error) {
		return boost.FitClassifier(columns, y, classes, boost.Options{Cores: 2})
	},
}

type numberLearner func(columns []*frame.Column, target []float64) (*tree.Ensemble, error)

func numberForest(fit func([]*frame.Column, []float64, tree.Options) (*tree.Ensemble, error), o tree.Options) numberLearner {
	return func(columns []*frame.Column, target []float64) (*tree.Ensemble, error) {
		o := o
		o.Cores, o.Seed = 2, 1
		return fit(columns, target, o)
	}
}

var numberLearners = map[string]numberLearner{
	"forest_half":    numberForest(tree.FitForestRegressor, tree.Options{Trees: 100, MaxFeatures: 0.5, MinSamplesLeaf: 3}),
	"extra_half":     numberForest(tree.FitExtraTreesRegressor, tree.Options{Trees: 100, MaxFeatures: 0.5, MinSamplesLeaf: 3}),
	"tree_10":        numberForest(tree.FitTreeRegressor, tree.Options{MaxDepth: 10, MinSamplesLeaf: 5}),
	"tree_20_leaves": numberForest(tree.FitTreeRegressor, tree.Options{MaxLeafNodes: 20}),
	"boosting": func(columns []*frame.Column, target []float64) (*tree.Ensemble, error) {
		return boost.FitRegressor(columns, target, boost.Options{Cores: 2})
	},
}

// promised are the least accuracy and AUC, and the largest log loss, that the project promises of the Superstore data.
var promised = map[string][3]float64{
	"superstore/forest_half":      {0.950, 0.985, 0.115},
	"superstore/forest_sqrt":      {0.945, 0.982, math.Inf(1)},
	"superstore/tree_10":          {0.943, 0.957, math.Inf(1)},
	"superstore/tree_full":        {0.940, 0.908, math.Inf(1)},
	"superstore_tier/forest_half": {0.868, 0.968, math.Inf(1)},
}

func TestQualityOfClasses(t *testing.T) {
	needs.NoRace(t)
	reference := readReference(t)
	sets := map[string]set{"superstore": superstore(t, false), "superstore_tier": superstore(t, true)}
	for _, name := range []string{"breast_cancer", "wine", "digits"} {
		sets[name] = bundled(t, name)
	}
	for name, s := range sets {
		for l, want := range reference[name] {
			t.Run(name+"/"+l, func(t *testing.T) {
				t.Parallel()
				got := s.cross(t, learners[l])
				if p, ok := promised[name+"/"+l]; ok && (got["accuracy"] < p[0] || got["auc"] < p[1] || got["log_loss"] > p[2]) {
					t.Errorf("%v, promised are %v", got, p)
				}
				tree := strings.HasPrefix(l, "tree")
				for figure, w := range want {
					g := got[figure]
					tolerance := 0.004 + w.SD/math.Sqrt(5)
					if tree && strings.HasPrefix(name, "superstore") {
						tolerance += map[string]float64{"accuracy": 0.008, "auc": 0.002}[figure]
					}
					t.Logf("%s %.4f, scikit-learn %.4f", figure, g, w.Mean)
					switch {
					case figure == "log_loss" && tree: // a single tree is sure where it is wrong: it says nothing
					case figure == "log_loss" && g > w.Mean+max(tolerance, 0.1*w.Mean), figure != "log_loss" && g < w.Mean-tolerance:
						t.Errorf("%s %.4f, want scikit-learn's %.4f within %.4f", figure, g, w.Mean, tolerance)
					}
				}
			})
		}
	}
}

func TestQualityOfNumbers(t *testing.T) {
	s := bundled(t, "diabetes")
	for l, want := range readReference(t)["diabetes"] {
		got := s.crossNumbers(t, numberLearners[l])
		w := want["r2"]
		t.Logf("%s: R2 %.4f, scikit-learn %.4f", l, got, w.Mean)
		if tolerance := w.SD / math.Sqrt(5); got < w.Mean-tolerance {
			t.Errorf("%s: R2 %.4f, want scikit-learn's %.4f within %.4f", l, got, w.Mean, tolerance)
		}
	}
}

// parts returns the columns outside of a fold and inside of it, and their rows.
func (s *set) parts(fold byte) (train, test []*frame.Column, in, out []int32) {
	for i, f := range s.fold {
		if f == fold {
			out = append(out, int32(i))
		} else {
			in = append(in, int32(i))
		}
	}
	for _, c := range s.columns {
		train, test = append(train, c.Take(in)), append(test, c.Take(out))
	}
	return train, test, in, out
}

func pick[T any](v []T, rows []int32) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = v[r]
	}
	return out
}

// cross returns the means over the folds.
func (s *set) cross(t *testing.T, fit learner) map[string]float64 {
	t.Helper()
	sums := map[string]float64{}
	for fold := range byte(5) {
		train, test, in, out := s.parts(fold)
		m, err := fit(train, pick(s.y, in), s.classes)
		if err != nil {
			t.Fatal(err)
		}
		p, err := m.Predict(test, 2)
		if err != nil {
			t.Fatal(err)
		}
		e, _, err := metrics.Evaluate(p, pick(s.y, out), make([]string, s.classes))
		if err != nil {
			t.Fatal(err)
		}
		sums["accuracy"] += float64(e.Metrics.Accuracy) / 5
		sums["auc"] += float64(e.Metrics.ROCAUC) / 5
		sums["log_loss"] += float64(e.Metrics.LogLoss) / 5
	}
	return sums
}

func (s *set) crossNumbers(t *testing.T, fit numberLearner) (r2 float64) {
	t.Helper()
	for fold := range byte(5) {
		train, test, in, out := s.parts(fold)
		m, err := fit(train, pick(s.numbers, in))
		if err != nil {
			t.Fatal(err)
		}
		p, err := m.Predict(test, 2)
		if err != nil {
			t.Fatal(err)
		}
		truth, mean := pick(s.numbers, out), 0.0
		for _, v := range truth {
			mean += v / float64(len(truth))
		}
		errs, all := 0.0, 0.0
		for i, v := range truth {
			errs += (v - p[i]) * (v - p[i])
			all += (v - mean) * (v - mean)
		}
		r2 += (1 - errs/all) / 5
	}
	return r2
}

func readReference(t *testing.T) map[string]map[string]map[string]spread {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r map[string]map[string]map[string]spread
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func unzip(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t *testing.T, b []byte) *frame.Frame {
	t.Helper()
	f, _, err := csv.Read(context.Background(), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }, csv.Options{Cores: 2})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// bundled reads a data set of scikit-learn: fold, target, features.
func bundled(t *testing.T, name string) set {
	t.Helper()
	f := read(t, unzip(t, name+".csv.gz"))
	var s set
	for i := range f.Rows {
		s.fold = append(s.fold, byte(value(f.Columns[0], i)))
		v := value(f.Columns[1], i)
		s.numbers, s.y = append(s.numbers, v), append(s.y, int32(v))
		s.classes = max(s.classes, int(v)+1)
	}
	for _, c := range f.Columns[2:] {
		if c.Type.Numeric() {
			s.columns = append(s.columns, c)
		}
	}
	return s
}

func value(c *frame.Column, i int) float64 { return c.Num[i] }

// superstore is the feature set of what is known of an order line without its profit; the classes are whether there is
// one, or loss, low and high margin.
func superstore(t *testing.T, tier bool) set {
	t.Helper()
	b, err := sample.Superstore()
	if err != nil {
		t.Fatal(err)
	}
	f := read(t, b)
	recipe, _, err := feature.Choose(f.Columns, "Profit", feature.Choice{
		Columns:     []string{"Sales", "Quantity", "Discount", "Ship Mode", "Segment", "Region", "State", "Category", "Sub-Category"},
		Dates:       []feature.Parts{{Column: "Order Date", Parts: feature.DateParts}},
		DaysBetween: []feature.Between{{Name: "ship_days", From: "Order Date", To: "Ship Date"}},
		Ratios:      []feature.Ratio{{Name: "UnitPrice", Numerator: "Sales", Denominator: "Quantity"}}})
	if err != nil {
		t.Fatal(err)
	}
	s := set{classes: 2}
	if s.columns, err = recipe.Apply(f); err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(unzip(t, "superstore_folds.txt.gz")))
	folds, classes := lines[0], []byte(nil)
	if tier {
		s.classes, folds, classes = 3, lines[1], []byte(lines[2])
	}
	profit := f.Column("Profit").Num
	for i := range f.Rows {
		s.fold = append(s.fold, folds[i]-'0')
		class := int32(0)
		if tier {
			class = int32(classes[i] - '0')
		} else if profit[i] > 0 {
			class = 1
		}
		s.y = append(s.y, class)
	}
	return s
}
