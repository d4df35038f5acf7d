package evaluate_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/sample"
	"github.com/hashline/hashline/stages/evaluate"
	"github.com/hashline/hashline/stages/preprocess"
	"github.com/hashline/hashline/stages/splitdata"
)

var regressors = []string{"train_decision_tree", "train_random_forest", "train_extra_trees", "train_gradient_boosting", "train_ridge"}

// numbers loads a file, prepares it for a regression, and splits it.
func (b *bench) numbers(text, target, split string, params map[string]any) (loaded, parts outputs, err error) {
	b.Helper()
	loaded = b.run("load_data", nil, outputs{"csv": b.put(text)})
	prepared, err := b.try("preprocess", map[string]any{"target": target, "task": preprocess.Regression, "split": split}, outputs{"table": loaded["table"]})
	if err != nil {
		return nil, nil, err
	}
	if params == nil {
		params = map[string]any{"method": splitdata.Random}
	}
	parts, err = b.try("split_data", params, outputs{"table": prepared["table"]})
	return loaded, parts, err
}

// honest are orders without the result, which follows from the profit.
func honest(n int) string {
	var s strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(orders(n), "\"gain, large\"", "gain")) {
		s.WriteString(line[:strings.LastIndexByte(line, ',')] + "\n")
	}
	return s.String()
}

// The predictions of raw rows, read again from the file in small parts, are bit for bit those that evaluation saw.
func TestRawRowsGetTheNumbersThatEvaluationSaw(t *testing.T) {
	b := newBench(t)
	text := honest(600)
	loaded, parts, err := b.numbers(text, "profit", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	test := b.table(parts["test"])
	amounts := test.Column("amount").Num
	for _, trainer := range regressors {
		trained := b.run(trainer, nil, outputs{"train": parts["train"]})
		judged := b.run("evaluate_regression", map[string]any{"model": "m", "repeats": 2}, outputs{"model": trained["model"], "test": parts["test"]})
		m, err := model.Parse(b.read(trained["model"]))
		if err != nil {
			t.Fatal(err)
		}
		raw, seen := b.predictRaw(m, loaded["notes"], text), b.table(judged["predictions"])
		for i, amount := range amounts {
			if got, want := raw[amount][0], seen.Column("predicted").Num[i]; got != want {
				t.Fatalf("%s: %v for the raw row with amount %v, evaluation saw %v", trainer, got, amount, want)
			}
		}
		if got := seen.Column("actual").Num; !slices.Equal(got, test.Column("target").Num) {
			t.Errorf("%s: the actual numbers are not those of the test part", trainer)
		}
	}
}

// Expected values are scikit-learn's on the same rows, from testdata/regression.py. Ridge has one optimum. Trees differ
// where cuts are equally good; of the forests, the tolerance is four standard deviations over seeds.
func TestRegressionQuality(t *testing.T) {
	f, err := os.Open("../../ml/tree/testdata/diabetes.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder // without the folds
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(line, ",")
		table.WriteString(rest)
	}
	b := newBench(t)
	_, parts, err := b.numbers(table.String(), "target", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("test rows:", b.rowsOf(table.String(), parts["test"]))
	for trainer, want := range map[string]struct{ rmse, tolerance float64 }{
		"train_ridge": {63.046597797793154, 1e-6}, "train_decision_tree": {71.0954563360796, 1.5}, "train_gradient_boosting": {63.479824051723895, 1.5},
		"train_random_forest": {62.80088204341174, 2.2}, "train_extra_trees": {61.6845071726295, 2.2},
	} {
		trained := b.run(trainer, nil, outputs{"train": parts["train"]})
		var m evaluate.RegressionMetrics
		b.readJSON(b.run("evaluate_regression", map[string]any{"repeats": 1}, outputs{"model": trained["model"], "test": parts["test"]})["metrics"], &m)
		t.Logf("%s: RMSE %v, scikit-learn %v", trainer, m.Metrics.RMSE, want.rmse)
		if got := float64(m.Metrics.RMSE); !(math.Abs(got-want.rmse) <= want.tolerance) {
			t.Errorf("%s: RMSE %v, want %v within %v", trainer, got, want.rmse, want.tolerance)
		}
	}
}

// Sales have a long tail, and so has the profit that tells most of them. Expected values are scikit-learn's on the same
// rows, from testdata/regression.py; the tolerance is four standard deviations of the mean absolute error over seeds. R2
// hangs on few rows.
func TestForestsOfSales(t *testing.T) {
	needs.NoRace(t)
	data, err := sample.Superstore()
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	loaded := b.run("load_data", map[string]any{"types": map[string]string{"Row ID": "integer"}}, outputs{"csv": b.put(string(data))})
	prepared := b.run("preprocess", map[string]any{"target": "Sales", "task": preprocess.Regression, "split": "Row ID", "features": map[string]any{"exclude": []string{"Row ID"}}}, outputs{"table": loaded["table"]})
	parts := b.run("split_data", map[string]any{"method": splitdata.Time}, outputs{"table": prepared["table"]})
	for trainer, want := range map[string]struct{ mae, tolerance, r2 float64 }{
		"train_random_forest": {75.01624516582892, 2.3, 0.8545012518885999}, "train_extra_trees": {74.27045403801164, 3.2, 0.8598879471704594},
	} {
		trained := b.run(trainer, map[string]any{"max_features": 1, "max_bins": 1024}, outputs{"train": parts["train"]})
		var m evaluate.RegressionMetrics
		b.readJSON(b.run("evaluate_regression", map[string]any{"repeats": 1}, outputs{"model": trained["model"], "test": parts["test"]})["metrics"], &m)
		t.Logf("%s: MAE %v, scikit-learn %v; R2 %v, scikit-learn %v", trainer, m.Metrics.MAE, want.mae, m.Metrics.R2, want.r2)
		if m.Rows != 1999 || !(float64(m.Metrics.MAE) <= want.mae+want.tolerance) || !(float64(m.Metrics.R2) >= want.r2-0.05) {
			t.Errorf("%s: MAE %v, want up to %v more than %v; R2 %v, want %v", trainer, m.Metrics.MAE, want.tolerance, want.mae, m.Metrics.R2, want.r2)
		}
	}
}

// rowsOf finds the numbers of the rows of a part, from 0, by what is in them.
func (b *bench) rowsOf(text string, part artifact.Ref) string {
	b.Helper()
	where := map[string]int{}
	for i, line := range strings.Split(strings.TrimSpace(text), "\n")[1:] {
		where[line] = i
	}
	f := b.table(part)
	var rows []string
	for i := range f.Rows {
		fields := []string{fmt.Sprintf("%.1f", f.Column("target").Num[i])}
		for c := range 10 {
			v := fmt.Sprint(f.Column(fmt.Sprint("x", c)).Num[i])
			if !strings.Contains(v, ".") {
				v += ".0"
			}
			fields = append(fields, v)
		}
		at, ok := where[strings.Join(fields, ",")]
		if !ok {
			b.Fatalf("row %q is not in the file", fields)
		}
		rows = append(rows, fmt.Sprint(at))
	}
	return strings.Join(rows, ",")
}

func TestSplitOfNumbers(t *testing.T) {
	for _, c := range []struct {
		name   string
		split  string
		params map[string]any
		test   int // rows, 0: any number
	}{
		{"random", "", nil, 120},
		{"by group", "order", map[string]any{"method": "group"}, 0},
		{"by time", "day", map[string]any{"method": "time", "test_size": 0.3}, 0},
	} {
		b := newBench(t)
		_, parts, err := b.numbers(honest(600), "profit", c.split, c.params)
		if err != nil {
			t.Fatal(c.name, err)
		}
		var info splitdata.Info
		b.readJSON(parts["info"], &info)
		train, test := b.dataset(parts["train"]), b.dataset(parts["test"])
		if train.Rows()+test.Rows() != 600 || info.TrainRows != train.Rows() || info.TestRows != test.Rows() || c.test > 0 && test.Rows() != c.test || info.Column != c.split {
			t.Errorf("%s: %d and %d rows, info %+v", c.name, train.Rows(), test.Rows(), info)
		}
		mean, cut := info.Baseline.Mean, info.Baseline.Cut
		if info.Baseline.Majority != nil || mean == nil || cut == nil {
			t.Fatalf("%s: baseline %+v", c.name, info.Baseline)
		}
		// profit is amount/600 - pieces/9 and some chance: one cut explains a part of it, the mean nothing.
		if cut.Feature != "amount" && cut.Feature != "pieces" || !(cut.R2 > 0.2) || !(cut.RMSE < mean.RMSE) || !(math.Abs(float64(mean.R2)) < 0.05) {
			t.Errorf("%s: the mean gives %+v, the cut %+v", c.name, mean, cut)
		}
	}
}

// A column that is the target in other clothes is found, and the honest ones are not.
func TestLeakOfNumbers(t *testing.T) {
	var s strings.Builder
	s.WriteString("x,noise,square,y\n")
	for i := range 400 {
		y := math.Exp(float64(i*37%400) / 40)
		fmt.Fprintf(&s, "%d,%d,%g,%g\n", i*37%400/8+i%5, i*61%97, y*y, y)
	}
	b := newBench(t)
	_, parts, err := b.numbers(s.String(), "y", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var info splitdata.Info
	b.readJSON(parts["info"], &info)
	if len(info.NumberLeaks) != 1 || info.NumberLeaks[0].Feature != "square" || len(b.warnings) != 1 || b.warnings[0].Code != "POSSIBLE_LEAK" || b.warnings[0].Column != "square" {
		t.Errorf("leaks %+v, warnings %+v, want square alone", info.NumberLeaks, b.warnings)
	}
}

func TestBadNumbers(t *testing.T) {
	for _, c := range []struct {
		name, text, target, split string
		params                    map[string]any
		want                      string
	}{
		{"one row", "x,y\n1,2.5\n", "y", "", nil, `every value of the target column "y" is 2.5`},
		{"one value", "x,y\n1,7\n2,7\n3,\n", "y", "", nil, `every value of the target column "y" is 7`},
		{"no value", "x,y\n1,\n2,NA\n3,inf\n", "y", "", nil, "every value of the target column"},
		{"texts", "x,y\n1,a\n2,b\n3,a\n", "y", "", nil, "is of type category"},
		{"truth values", "x,y\n1,true\n2,false\n3,true\n", "y", "", nil, "is of type boolean"},
		{"dates", "x,y\n1,2020-01-01\n2,2020-01-02\n3,2020-01-05\n", "y", "", nil, "is of type date"},
		{"a comparison", "x,y\n1,1\n2,2\n3,3\n", "y > 2", "", nil, "compares"},
		{"one value in the training part", "when,x,y\n1,1,5\n2,3,5\n3,1,5\n4,2,9\n", "y", "when", map[string]any{"method": "time", "test_size": 0.25}, "only one value"},
		{"too few rows", "x,y\n1,1\n2,3\n", "y", "", map[string]any{"method": "random", "test_size": 0.99}, "cannot be split"},
		{"stratified", "x,y\n1,1\n2,3\n3,4\n", "y", "", map[string]any{"method": "stratified"}, "needs classes"},
	} {
		b := newBench(t)
		_, _, err := b.numbers(c.text, c.target, c.split, c.params)
		e := pipeline.AsError(err)
		if e == nil || e.Class != pipeline.ClassBadInput || !strings.Contains(e.Message, c.want) || e.Hint == "" {
			t.Errorf("%s: error %+v, want bad input with %q and a hint", c.name, e, c.want)
		}
	}
}

// Models that do not learn numbers, or numbers alone, say so.
func TestWrongTask(t *testing.T) {
	b := newBench(t)
	_, numbers, err := b.numbers(orders(200), "profit", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, prepared := b.prepared(orders(200), "result", "")
	classes := b.run("split_data", nil, outputs{"table": prepared["table"]})
	for _, c := range []struct {
		kind   string
		params map[string]any
		train  artifact.Ref
		want   string
	}{
		{"train_logistic_regression", nil, numbers["train"], "learns classes"},
		{"train_golearn_tree", nil, numbers["train"], "learns classes"},
		{"train_random_forest", map[string]any{"class_weight": "balanced"}, numbers["train"], "class_weight is for classes"},
		{"train_ridge", nil, classes["train"], "learns numbers"},
	} {
		_, err := b.try(c.kind, c.params, outputs{"train": c.train})
		if e := pipeline.AsError(err); e == nil || e.Class != pipeline.ClassBadInput || !strings.Contains(e.Message, c.want) || e.Hint == "" {
			t.Errorf("%s: error %+v, want bad input with %q and a hint", c.kind, e, c.want)
		}
	}
	tree := b.run("train_decision_tree", nil, outputs{"train": numbers["train"]})
	if _, err := b.try("evaluate", nil, outputs{"model": tree["model"], "test": numbers["test"]}); err == nil {
		t.Error("evaluate judges a model of numbers")
	}
	tree = b.run("train_decision_tree", nil, outputs{"train": classes["train"]})
	if _, err := b.try("evaluate_regression", nil, outputs{"model": tree["model"], "test": classes["test"]}); err == nil {
		t.Error("evaluate_regression judges a model of classes")
	}
}

// Whatever the size of numbers, there is a result or a sentence.
func TestNumbersOfAnySize(t *testing.T) {
	for _, c := range []struct {
		name   string
		number func(i int) float64
		ridge  string // what it says
	}{
		{"huge", func(i int) float64 { return 1.7e308 * math.Sin(float64(i)) }, "too large"},
		{"huge and alike", func(i int) float64 { return 1.7e308 - float64(i%2)*1e306 }, "too large"},
		{"tiny", func(i int) float64 { return 5e-324 * float64(i%90) }, ""},
		{"one far off", func(i int) float64 { return map[bool]float64{true: 1e300, false: float64(i % 30)}[i == 17] }, "too large"},
		{"years", func(i int) float64 { return float64(1900 + i*7%120) }, ""},
		{"hardly different", func(i int) float64 { return 1 + float64(i%2)*0x1p-52 }, ""},
	} {
		var s strings.Builder
		s.WriteString("x,z,y\n")
		for i := range 100 {
			fmt.Fprintf(&s, "%d,%s,%v\n", i*7%100, []string{"a", "b", ""}[i%3], c.number(i))
		}
		b := newBench(t)
		_, parts, err := b.numbers(s.String(), "y", "", nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, trainer := range regressors {
			trained, err := b.try(trainer, nil, outputs{"train": parts["train"]})
			if e := pipeline.AsError(err); e != nil {
				if trainer != "train_ridge" || c.ridge == "" || e.Class != pipeline.ClassBadInput || !strings.Contains(e.Message, c.ridge) {
					t.Errorf("%s, %s: %+v", c.name, trainer, e)
				}
				continue
			}
			judged, err := b.try("evaluate_regression", nil, outputs{"model": trained["model"], "test": parts["test"]})
			if err != nil {
				t.Errorf("%s, %s: %v", c.name, trainer, err)
				continue
			}
			var m evaluate.RegressionMetrics
			b.readJSON(judged["metrics"], &m)
			for _, v := range b.table(judged["predictions"]).Column("predicted").Num {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Errorf("%s, %s: it predicts %v", c.name, trainer, v)
				}
			}
			if !m.Metrics.MAE.Defined() {
				t.Errorf("%s, %s: %+v", c.name, trainer, m.Metrics)
			}
		}
	}
}

// Goroutines do not change a bit of what a regression leaves behind.
func TestCoresDoNotMatterToNumbers(t *testing.T) {
	var first []string
	for _, cores := range []int{1, 2, 3, 8} {
		b := newBench(t)
		b.x.Cores = cores
		_, parts, err := b.numbers(honest(700), "profit", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		digests := []string{parts["train"].Digest.String(), parts["info"].Digest.String()}
		for _, trainer := range regressors {
			trained := b.run(trainer, nil, outputs{"train": parts["train"]})
			judged := b.run("evaluate_regression", nil, outputs{"model": trained["model"], "test": parts["test"]})
			for _, o := range []string{"predictions", "metrics", "curves", "importance"} {
				digests = append(digests, judged[o].Digest.String())
			}
			digests = append(digests, trained["model"].Digest.String())
		}
		if first == nil {
			first = digests
		}
		if !slices.Equal(digests, first) {
			t.Errorf("%d goroutines give other bits than one", cores)
		}
	}
}

func TestEvaluateRegressionOutputs(t *testing.T) {
	b := newBench(t)
	_, parts, err := b.numbers(honest(600), "profit", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	trained := b.run("train_gradient_boosting", nil, outputs{"train": parts["train"]})
	judged := b.run("evaluate_regression", map[string]any{"model": "m", "repeats": 3}, outputs{"model": trained["model"], "test": parts["test"]})
	var m evaluate.RegressionMetrics
	var c metrics.ErrorCurves
	var drops evaluate.Importance
	b.readJSON(judged["metrics"], &m)
	b.readJSON(judged["curves"], &c)
	b.readJSON(judged["importance"], &drops)
	if m.Model != "m" || m.Kind != "gradient_boosting" || m.Rows != 120 || !(m.Metrics.R2 > 0.7) {
		t.Errorf("metrics %+v", m)
	}
	if c.Rows != 120 || len(c.Points) != 120 {
		t.Errorf("%d rows, %d points", c.Rows, len(c.Points))
	}
	// profit depends on amount and pieces; on the city it does not.
	if drops.Metric != "r2" || drops.Baseline != m.Metrics.R2 || drops.Features[0].Name != "amount" || drops.Features[1].Name != "pieces" || !(drops.Features[0].Mean > 0.3) {
		t.Errorf("importance %+v", drops)
	}
}
