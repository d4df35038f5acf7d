package evaluate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/golearn"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/parquet"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/evaluate"
	"github.com/hashline/hashline/stages/golearnscores"
	"github.com/hashline/hashline/stages/load"
	"github.com/hashline/hashline/stages/preprocess"
	"github.com/hashline/hashline/stages/splitdata"
	"github.com/hashline/hashline/stages/train/decisiontree"
	"github.com/hashline/hashline/stages/train/extratrees"
	"github.com/hashline/hashline/stages/train/golearntrees"
	"github.com/hashline/hashline/stages/train/gradientboosting"
	"github.com/hashline/hashline/stages/train/logistic"
	"github.com/hashline/hashline/stages/train/randomforest"
	"github.com/hashline/hashline/stages/train/ridge"
)

// bench runs stages one by one over a store.
type bench struct {
	*testing.T
	x        *pipeline.Executor
	warnings []artifact.Warning // of the last stage
}

func newBench(t *testing.T) *bench {
	t.Helper()
	store, err := artifact.Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := pipeline.NewRegistry(nil, load.Kind(), preprocess.Kind(), splitdata.Kind(), decisiontree.Trainer().Kind, golearntrees.Tree().Kind, golearntrees.Forest().Kind, extratrees.Trainer().Kind, gradientboosting.Trainer().Kind, randomforest.Trainer().Kind, logistic.Trainer().Kind, ridge.Trainer().Kind, evaluate.Kind(), evaluate.Regression(), golearnscores.Kind())
	if err != nil {
		t.Fatal(err)
	}
	return &bench{T: t, x: &pipeline.Executor{Store: store, Registry: r, Worker: "w", Cores: 2}}
}

type outputs map[string]artifact.Ref

func (b *bench) try(kind string, params map[string]any, inputs map[string]artifact.Ref) (outputs, error) {
	b.Helper()
	raw, err := json.Marshal(params)
	if err != nil {
		b.Fatal(err)
	}
	var in []pipeline.Input
	for _, role := range []string{"csv", "table", "train", "model", "test", "predictions", "metrics"} {
		if ref, ok := inputs[role]; ok {
			in = append(in, pipeline.Input{Role: role, Ref: ref})
		}
	}
	out, err := b.x.Execute(context.Background(), pipeline.Stage{Name: kind, Kind: kind, Params: raw}, 42, in)
	if err != nil {
		return nil, err
	}
	refs := outputs{}
	for _, o := range out.Outputs {
		refs[o.Name] = o.Ref
	}
	b.warnings = out.Warnings
	return refs, nil
}

func (b *bench) run(kind string, params map[string]any, inputs map[string]artifact.Ref) outputs {
	b.Helper()
	out, err := b.try(kind, params, inputs)
	if err != nil {
		b.Fatalf("%s: %v", kind, err)
	}
	return out
}

func (b *bench) put(text string) artifact.Ref {
	b.Helper()
	ref, err := b.x.Store.PutBytes(context.Background(), []byte(text))
	if err != nil {
		b.Fatal(err)
	}
	return ref
}

func (b *bench) read(ref artifact.Ref) []byte {
	b.Helper()
	data, err := b.x.Store.ReadAll(context.Background(), ref)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func (b *bench) readJSON(ref artifact.Ref, v any) {
	b.Helper()
	if err := json.Unmarshal(b.read(ref), v); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) table(ref artifact.Ref) *frame.Frame {
	b.Helper()
	data := b.read(ref)
	f, err := parquet.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		b.Fatal(err)
	}
	return f
}

// prepared loads and preprocesses a file.
func (b *bench) prepared(text, target, split string) (loaded, table outputs) {
	b.Helper()
	loaded = b.run("load_data", nil, outputs{"csv": b.put(text)})
	return loaded, b.run("preprocess", map[string]any{"target": target, "split": split}, outputs{"table": loaded["table"]})
}

// orders is a file of n rows: every amount is another, each order has up to three rows.
func orders(n int) string {
	rng := num.NewRNG(1)
	var s strings.Builder
	s.WriteString("order,day,amount,pieces,segment,city,profit,result\n")
	for i := range n {
		amount, pieces, segment := float64(i*7919%n)+0.25, 1+rng.Intn(9), []string{"home", "office", ""}[rng.Intn(3)]
		profit := amount/float64(n) - float64(pieces)/9 + rng.Float64()*0.4 - 0.2
		result := "loss"
		if profit > 0.2 {
			result = "\"gain, large\""
		} else if profit > 0 {
			result = "gain"
		}
		fmt.Fprintf(&s, "order %d,2020-%02d-%02d,%g,%d,%s,city %d,%g,%s\n", i/3, 1+i%12, 1+i%28, amount, pieces, segment, rng.Intn(30), profit, result)
	}
	return s.String()
}

var trainers = []string{"train_decision_tree", "train_random_forest", "train_logistic_regression", "train_golearn_tree", "train_golearn_forest", "train_extra_trees", "train_gradient_boosting"}

// The probabilities of raw rows, read again from the file in small parts, are bit for bit those that evaluation saw.
func TestRawRowsGetWhatEvaluationSaw(t *testing.T) {
	for _, target := range []string{"profit > 0", "result"} {
		b := newBench(t)
		text := orders(900)
		loaded, prepared := b.prepared(text, target, "")
		parts := b.run("split_data", nil, outputs{"table": prepared["table"]})
		amounts := b.table(parts["test"]).Column("amount").Num
		for _, trainer := range trainers {
			params := map[string]any{}
			if trainer == "train_random_forest" || trainer == "train_extra_trees" {
				params["trees"] = 20
			}
			trained := b.run(trainer, params, outputs{"train": parts["train"]})
			judged := b.run("evaluate", map[string]any{"model": "m", "repeats": 2}, outputs{"model": trained["model"], "test": parts["test"]})
			m, err := model.Parse(b.read(trained["model"]))
			if err != nil {
				t.Fatal(err)
			}
			raw := b.predictRaw(m, loaded["notes"], text)
			seen := b.table(judged["predictions"])
			labels := seen.Column("label")
			for i, amount := range amounts {
				row := raw[amount]
				for c, class := range m.Classes {
					if got, want := row[c], seen.Column("probability of " + class).Num[i]; got != want {
						t.Fatalf("%s, %s: %v for the raw row with amount %v, evaluation saw %v", trainer, target, got, amount, want)
					}
				}
				if got, want := m.Classes[metrics.Label(row)], labels.Levels[labels.Codes[i]]; got != want {
					t.Fatalf("%s, %s: label %s, evaluation saw %s", trainer, target, got, want)
				}
			}
		}
	}
}

// predictRaw scores the file and returns the probabilities, or the number, by amount.
func (b *bench) predictRaw(m *model.Model, notes artifact.Ref, text string) map[float64][]float64 {
	b.Helper()
	var report csv.Report
	b.readJSON(notes, &report)
	batches, err := csv.NewBatches(strings.NewReader(text), report.Columns, csv.Options{}, 37)
	if err != nil {
		b.Fatal(err)
	}
	recipe, err := feature.ParseRecipe(m.Recipe)
	if err != nil {
		b.Fatal(err)
	}
	rows := map[float64][]float64{}
	for {
		f, err := batches.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			b.Fatal(err)
		}
		features, err := recipe.Apply(f)
		if err != nil {
			b.Fatal(err)
		}
		proba, err := m.Estimator().Predict(features, 1)
		if err != nil {
			b.Fatal(err)
		}
		for i, amount := range f.Column("amount").Num {
			k := max(1, len(m.Classes))
			rows[amount] = proba[i*k : (i+1)*k]
		}
	}
}

func TestEvaluateOutputs(t *testing.T) {
	b := newBench(t)
	_, prepared := b.prepared(orders(600), "result", "")
	parts := b.run("split_data", nil, outputs{"table": prepared["table"]})
	trained := b.run("train_random_forest", map[string]any{"trees": 10}, outputs{"train": parts["train"]})
	judged := b.run("evaluate", map[string]any{"model": "forest", "repeats": 3}, outputs{"model": trained["model"], "test": parts["test"]})
	var m evaluate.Metrics
	b.readJSON(judged["metrics"], &m)
	if m.Model != "forest" || m.Kind != "random_forest" || m.Engine != "native" || m.Rows != 120 || len(m.PerClass) != 3 {
		t.Errorf("metrics %+v", m)
	}
	var im evaluate.Importance
	b.readJSON(judged["importance"], &im)
	for _, f := range im.Features {
		if !f.Mean.Defined() || !f.SD.Defined() {
			t.Errorf("importance %+v", f)
		}
	}
	if im.Model != "forest" || im.Repeats != 3 || im.Baseline != m.Metrics.ROCAUC || len(im.Features) < 5 {
		t.Errorf("importance of %s: %d repeats, baseline %v, %d features; the metrics say %v", im.Model, im.Repeats, im.Baseline, len(im.Features), m.Metrics.ROCAUC)
	}
	var curves metrics.Curves
	b.readJSON(judged["curves"], &curves)
	if curves.Rows != 120 || len(curves.Classes) != 3 {
		t.Errorf("curves of %d rows, %d classes", curves.Rows, len(curves.Classes))
	}
	p := b.table(judged["predictions"])
	for i := range p.Rows {
		sum := 0.0
		for _, c := range m.Classes {
			sum += p.Column("probability of " + c).Num[i]
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Fatalf("row %d: probabilities add up to %v", i, sum)
		}
	}
}

func TestEvaluateRefuses(t *testing.T) {
	b := newBench(t)
	_, two := b.prepared(orders(300), "profit > 0", "")
	_, three := b.prepared(orders(300), "result", "")
	partsOfTwo, partsOfThree := b.run("split_data", nil, outputs{"table": two["table"]}), b.run("split_data", nil, outputs{"table": three["table"]})
	m := b.run("train_decision_tree", nil, outputs{"train": partsOfTwo["train"]})["model"]
	for name, c := range map[string]struct {
		params map[string]any
		inputs outputs
	}{
		"another target":   {nil, outputs{"model": m, "test": partsOfThree["test"]}},
		"no model":         {nil, outputs{"model": b.put("{}"), "test": partsOfTwo["test"]}},
		"no table":         {nil, outputs{"model": m, "test": b.put("PAR1")}},
		"no repeats":       {map[string]any{"repeats": 0}, outputs{"model": m, "test": partsOfTwo["test"]}},
		"too many repeats": {map[string]any{"repeats": 101}, outputs{"model": m, "test": partsOfTwo["test"]}},
	} {
		if _, err := b.try("evaluate", c.params, c.inputs); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSplitData(t *testing.T) {
	for _, c := range []struct {
		name   string
		target string
		split  string
		params map[string]any
		test   int // rows, 0: any number
	}{
		{"stratified", "result", "", nil, 120},
		{"by group", "result", "order", map[string]any{"method": "group"}, 0},
		{"by time", "result", "day", map[string]any{"method": "time", "test_size": 0.3}, 0},
		{"nearly everything", "result", "", map[string]any{"test_size": 0.99}, 594},
		{"nearly nothing", "profit > 0", "", map[string]any{"test_size": 0.001}, 2}, // one of each class
	} {
		b := newBench(t)
		_, prepared := b.prepared(orders(600), c.target, c.split)
		parts := b.run("split_data", c.params, outputs{"table": prepared["table"]})
		var info splitdata.Info
		b.readJSON(parts["info"], &info)
		train, test := b.dataset(parts["train"]), b.dataset(parts["test"])
		if len(train.Y)+len(test.Y) != 600 || info.TrainRows != len(train.Y) || info.TestRows != len(test.Y) {
			t.Errorf("%s: %d and %d rows, info says %d and %d", c.name, len(train.Y), len(test.Y), info.TrainRows, info.TestRows)
		}
		if c.test > 0 && len(test.Y) != c.test {
			t.Errorf("%s: %d test rows, want %d", c.name, len(test.Y), c.test)
		}
		for i, class := range info.Classes {
			if class.Train != train.Counts()[i] || class.Test != test.Counts()[i] {
				t.Errorf("%s: %+v, want %d and %d", c.name, class, train.Counts()[i], test.Counts()[i])
			}
		}
		if info.Baseline.Stump == nil || !info.Baseline.Stump.Accuracy.Defined() || !info.Baseline.Majority.Accuracy.Defined() || info.Column != c.split {
			t.Errorf("%s: baseline %+v, column %q", c.name, info.Baseline, info.Column)
		}
		if c.split == "order" {
			inTest := map[string]bool{}
			for i := range test.Y {
				inTest[test.Split.Levels[test.Split.Codes[i]]] = true
			}
			for i := range train.Y {
				if inTest[train.Split.Levels[train.Split.Codes[i]]] {
					t.Fatalf("an order is in both parts")
				}
			}
		}
	}
}

func (b *bench) dataset(ref artifact.Ref) *dataset.Dataset {
	b.Helper()
	d, err := dataset.FromFrame(b.table(ref))
	if err != nil {
		b.Fatal(err)
	}
	return d
}

func TestSplitDataWarns(t *testing.T) {
	b := newBench(t)
	text := strings.ReplaceAll(orders(600), "\n", ",x\n")
	text = strings.Replace(text, ",x\n", ",rest\n", 1) + "order z,2020-01-01,1000,1,home,city 1,5,record,x\n"
	_, prepared := b.prepared(text, "result", "")
	b.run("split_data", nil, outputs{"table": prepared["table"]})
	var got []string
	for _, w := range b.warnings {
		got = append(got, w.Code+" "+w.Column)
	}
	// The classes of result are thresholds of profit.
	if want := []string{"SINGLE_ROW_CLASS ", "POSSIBLE_LEAK profit"}; !slices.Equal(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
}

func TestSplitDataWarnsOfAbsentClasses(t *testing.T) {
	b := newBench(t)
	text := "when,x,class\n"
	for i := range 60 {
		text += fmt.Sprintf("2020-%02d-%02d,%d,%c\n", 1+i/28, 1+i%28, i*7%11, 'a'+i/20)
	}
	_, prepared := b.prepared(text, "class", "when")
	parts := b.run("split_data", map[string]any{"method": "time", "test_size": 0.5}, outputs{"table": prepared["table"]})
	var got []string
	for _, w := range b.warnings {
		if w.Code == "CLASS_ABSENT" {
			got = append(got, w.Message)
		}
	}
	if want := []string{`the training part has no row of the class "c"`, `the test part has no row of the class "a"`}; !slices.Equal(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
	trained := b.run("train_logistic_regression", nil, outputs{"train": parts["train"]})
	judged := b.run("evaluate", map[string]any{"model": "m", "repeats": 1}, outputs{"model": trained["model"], "test": parts["test"]})
	var m evaluate.Metrics
	b.readJSON(judged["metrics"], &m)
	if !m.Metrics.Accuracy.Defined() || m.PerClass[0].Recall.Defined() || m.PerClass[0].Rows != 0 {
		t.Errorf("metrics %+v, want an accuracy, and no recall of the class that is absent", m)
	}
}

func TestBadInput(t *testing.T) {
	ordered := "when,x,class\n"
	for i := range 40 {
		ordered += fmt.Sprintf("%d,%d,%v\n", i, i*7%11, i >= 35)
	}
	for _, c := range []struct {
		name, text, target, split string
		params                    map[string]any
		want                      string
	}{
		{"one row of each class", "x,y\n1,a\n2,b\n3,c\n", "y", "", nil, "learning needs two"},
		{"one class", "x,y\n1,a\n2,a\n3,a\n", "y", "", nil, "learning needs two"},
		{"one class in the training part", ordered, "class", "when", map[string]any{"method": "time", "test_size": 0.25}, "only one class"},
		{"one group", "g,x,y\n1,1,a\n1,2,b\n1,3,a\n1,4,b\n", "y", "g", map[string]any{"method": "group"}, "one group"},
		{"one moment", "g,x,y\n1,1,a\n1,2,b\n1,3,a\n1,4,b\n", "y", "g", map[string]any{"method": "time"}, "moments"},
		{"too few rows", "x,y\n1,a\n2,b\n3,a\n4,b\n", "y", "", map[string]any{"test_size": 0.99}, "cannot be split"},
		{"no column to split by", "x,y\n1,a\n2,b\n3,a\n4,b\n", "y", "", map[string]any{"method": "group"}, "needs a column"},
	} {
		b := newBench(t)
		_, prepared := b.prepared(c.text, c.target, c.split)
		_, err := b.try("split_data", c.params, outputs{"table": prepared["table"]})
		e := pipeline.AsError(err)
		if e == nil || e.Class != pipeline.ClassBadInput || !strings.Contains(e.Message, c.want) || e.Hint == "" {
			t.Errorf("%s: error %+v, want bad input with %q and a hint", c.name, e, c.want)
		}
	}
}

func TestGolearnLimit(t *testing.T) {
	b := newBench(t)
	_, prepared := b.prepared(orders(golearn.MaxRows+2600), "profit > 0", "")
	parts := b.run("split_data", nil, outputs{"table": prepared["table"]})
	for _, kind := range []string{"train_golearn_tree", "train_golearn_forest"} {
		_, err := b.try(kind, nil, outputs{"train": parts["train"]})
		e := pipeline.AsError(err)
		if e == nil || e.Class != pipeline.ClassBadInput || !strings.Contains(e.Message, "10000") || e.Hint == "" {
			t.Errorf("%s: error %+v, want bad input that names the limit", kind, e)
		}
	}
}

// golearn's package evaluation sees the figures of package metrics, and the stage fails on others.
func TestGolearnScores(t *testing.T) {
	for _, target := range []string{"profit > 0", "result"} {
		b := newBench(t)
		_, prepared := b.prepared(orders(600), target, "")
		parts := b.run("split_data", nil, outputs{"table": prepared["table"]})
		trained := b.run("train_golearn_forest", nil, outputs{"train": parts["train"]})
		judged := b.run("evaluate", map[string]any{"model": "m"}, outputs{"model": trained["model"], "test": parts["test"]})
		var ours evaluate.Metrics
		b.readJSON(judged["metrics"], &ours)
		var theirs golearnscores.Scores
		b.readJSON(b.run("golearn_scores", map[string]any{"model": "m"}, judged)["scores"], &theirs)
		if theirs.Model != "m" || theirs.Accuracy != ours.Metrics.Accuracy || len(theirs.PerClass) != len(ours.Classes) {
			t.Errorf("%s: scores %+v, metrics %+v", target, theirs, ours)
		}
		ours.Confusion.Counts[0][0]++
		text, err := json.Marshal(ours)
		if err != nil {
			t.Fatal(err)
		}
		judged["metrics"] = b.put(string(text))
		if _, err := b.try("golearn_scores", nil, judged); err == nil || !strings.Contains(err.Error(), "do not agree") {
			t.Errorf("other metrics: error %v", err)
		}
	}
}

func TestNotConverged(t *testing.T) {
	b := newBench(t)
	_, prepared := b.prepared(orders(300), "profit > 0", "")
	parts := b.run("split_data", nil, outputs{"table": prepared["table"]})
	b.run("train_logistic_regression", map[string]any{"max_iter": 1}, outputs{"train": parts["train"]})
	if len(b.warnings) != 1 || b.warnings[0].Code != "NOT_CONVERGED" {
		t.Errorf("warnings %+v, want that it did not converge", b.warnings)
	}
	b.run("train_logistic_regression", nil, outputs{"train": parts["train"]})
	if len(b.warnings) != 0 {
		t.Errorf("warnings %+v, want none", b.warnings)
	}
}

func TestParamsAreChecked(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		kind  string
		name  string
		value any
	}{
		{"split_data", "method", "halves"}, {"split_data", "test_size", 0}, {"split_data", "test_size", 1}, {"split_data", "test_size", "0.2"},
		{"train_decision_tree", "max_depth", -1}, {"train_decision_tree", "min_samples_leaf", 0}, {"train_decision_tree", "min_samples_split", 1},
		{"train_decision_tree", "max_bins", 1}, {"train_decision_tree", "max_bins", 1 << 20}, {"train_decision_tree", "laplace", -1},
		{"train_random_forest", "trees", 0}, {"train_random_forest", "trees", 1 << 20}, {"train_random_forest", "max_features", 1.5}, {"train_random_forest", "max_bins", 1 << 20},
		{"train_logistic_regression", "c", 0}, {"train_logistic_regression", "c", 1e300}, {"train_logistic_regression", "max_iter", -1},
		{"train_golearn_tree", "max_depth", -1}, {"train_golearn_tree", "min_samples_leaf", 1},
		{"train_golearn_forest", "trees", 0}, {"train_golearn_forest", "max_depth", -1}, {"train_golearn_forest", "max_bins", 1}, {"evaluate", "repeats", -1},
	} {
		if _, err := b.try(c.kind, map[string]any{c.name: c.value}, nil); err == nil || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s with %s %v: error %v, want one that names it", c.kind, c.name, c.value, err)
		}
	}
}
