package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/parquet"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/sample"
)

// finished is a run with what a test reads of it.
type finished struct {
	t      *testing.T
	store  *artifact.Store
	record *pipeline.RunRecord
}

func submitted(t *testing.T, store string, args ...string) finished {
	t.Helper()
	out, stderr, code := call(t, store, append([]string{"submit", "--json", "--quiet"}, args...)...)
	if code != 0 {
		t.Fatal(stderr, out)
	}
	s, err := artifact.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Run(t.Context(), string(parseDocument(t, out).RunID), pipeline.RecordDocument)
	if err != nil {
		t.Fatal(err)
	}
	r, err := pipeline.ParseRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	return finished{t, s, r}
}

func (f finished) bytes(stage, output string) []byte {
	f.t.Helper()
	s, _ := f.record.Stage(stage)
	o, ok := s.Output(output)
	if !ok {
		f.t.Fatalf("%s has no output %s", stage, output)
	}
	b, err := f.store.ReadAll(f.t.Context(), o.Ref)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

func (f finished) table(stage, output string) *frame.Frame {
	f.t.Helper()
	b := f.bytes(stage, output)
	table, err := parquet.Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		f.t.Fatal(err)
	}
	return table
}

// testRows finds the rows of the test part among the rows of the file, by the values of all features; rows that agree in
// them have the same probabilities. It returns a row of the file for each row of the test part, in its order.
func (f finished) testRows(recipe *feature.Recipe) []int {
	f.t.Helper()
	raw, part := f.table("load_data", "table"), f.table("split_data", "test")
	features, err := recipe.Apply(raw)
	if err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for _, c := range features {
		names = append(names, c.Name)
	}
	same, err := part.Select(names...)
	if err != nil {
		f.t.Fatal(err)
	}
	at := map[uint64]int{}
	for i, h := range frame.RowHashes(features, raw.Rows, 1) {
		at[h] = i
	}
	rows := make([]int, part.Rows)
	for i, h := range frame.RowHashes(same, part.Rows, 1) {
		row, ok := at[h]
		if !ok {
			f.t.Fatalf("row %d of the test part is no row of the file", i)
		}
		rows[i] = row
	}
	return rows
}

// Scoring the raw rows of the test part gives the probabilities that the evaluation saw, bit for bit.
func TestPredictGivesWhatEvaluationSaw(t *testing.T) {
	t.Parallel()
	data, err := sample.Superstore()
	if err != nil {
		t.Fatal(err)
	}
	store := t.TempDir()
	// One model has a calibration and a threshold of its own, which go with it.
	run := submitted(t, store, "--set", "models.random_forest.calibration=isotonic", "--set", "models.random_forest.threshold={cost_false_positive: 3, cost_false_negative: 1}")
	r := csv.NewReader(bytes.NewReader(data))
	records, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"decision_tree", "random_forest", "logistic_regression"} {
		t.Run(name, func(t *testing.T) {
			m, err := model.Parse(run.bytes("train:"+name, "model"))
			if err != nil {
				t.Fatal(err)
			}
			recipe, err := feature.ParseRecipe(m.Recipe)
			if err != nil {
				t.Fatal(err)
			}
			raw := filepath.Join(t.TempDir(), "raw.csv")
			writeRows(t, raw, records, run.testRows(recipe))
			out, stderr, code := call(t, store, "predict", run.record.RunID, raw, "--model", name)
			if code != 0 {
				t.Fatal(stderr)
			}
			compareScores(t, out, run.table("evaluate:"+name, "predictions"))
		})
	}
}

func writeRows(t *testing.T, path string, records [][]string, rows []int) {
	t.Helper()
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	chosen := [][]string{records[0]}
	for _, i := range rows {
		chosen = append(chosen, records[i+1])
	}
	if err := w.WriteAll(chosen); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func compareScores(t *testing.T, out string, want *frame.Frame) {
	t.Helper()
	scores, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(scores)-1 != want.Rows || want.Rows == 0 {
		t.Fatalf("got %d rows, want %d", len(scores)-1, want.Rows)
	}
	label := want.Column("label")
	for c, name := range scores[0] {
		column := want.Column(name)
		for i, row := range scores[1:] {
			if name == "label" {
				if got := row[c]; got != label.Levels[label.Codes[i]] {
					t.Fatalf("row %d: got label %s, want %s", i, got, label.Levels[label.Codes[i]])
				}
				continue
			}
			got, err := strconv.ParseFloat(row[c], 64)
			if err != nil || math.Float64bits(got) != math.Float64bits(column.Num[i]) {
				t.Fatalf("row %d, %s: got %s, want %v", i, name, row[c], column.Num[i])
			}
		}
	}
}

// A file of any length is scored in little memory, part by part, with the same answers in every part.
func TestPredictInParts(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	run := submitted(t, store, customerFile(t, 300), "--target", "churned")
	rows := strings.SplitAfterN(string(customers(300)), "\n", 2)
	long := filepath.Join(t.TempDir(), "long.csv")
	const times = 90 // more than three parts
	if err := os.WriteFile(long, []byte(rows[0]+strings.Repeat(rows[1], times)), 0o644); err != nil {
		t.Fatal(err)
	}
	short, _, code := call(t, store, "predict", run.record.RunID, customerFile(t, 300))
	if code != 0 {
		t.Fatal(short)
	}
	got, stderr, code := call(t, store, "predict", run.record.RunID, long)
	head, body, _ := strings.Cut(short, "\n")
	if want := head + "\n" + strings.Repeat(body, times); code != 0 || got != want {
		t.Errorf("got exit code %d, %d bytes, want %d: %s", code, len(got), len(want), stderr)
	}
}

func TestCellOf(t *testing.T) {
	for _, c := range []struct{ class, want string }{
		{"yes", "yes"}, {"-1", "-1"}, {"+1.5e3", "+1.5e3"}, {"=1+1", "'=1+1"}, {"@SUM(A1)", "'@SUM(A1)"}, {"-x", "'-x"}, {"+x", "'+x"}, {"", ""},
		{"\x1b[31m", `\u001b[31m`}, {"\t=1", "' =1"}, {"\u202eabc", `\u202eabc`}, {"a\nb", `a\nb`}, {"naïve 日本", "naïve 日本"}, {" =1", "' =1"}, {"-inf", "-inf"}, {"\u00a0=1", `\u00a0=1`},
	} {
		if got := cellOf(c.class); got != c.want {
			t.Errorf("%q: got %q, want %q", c.class, got, c.want)
		}
	}
}

// A model that another program registers is no damage: it is said what it is, and its file can be had.
func TestModelOfAnotherProgram(t *testing.T) {
	t.Parallel()
	store, churn := t.TempDir(), customerFile(t, 100)
	run := submitted(t, store, churn, "--target", "churned", "--models", "decision_tree")
	var fields map[string]any
	if err := json.Unmarshal(run.bytes("train:decision_tree", "model"), &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "tree")
	fields["kind"], fields["own"] = "oracle", map[string]any{"knows": true}
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := run.store.PutBytes(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	record := *run.record
	record.RunID = artifact.NewRunID(time.Now())
	for i, s := range record.Stages {
		if s.Name == "train:decision_tree" {
			record.Stages[i].Outputs = []artifact.Output{{Name: "model", Class: string(pipeline.Result), MediaType: "application/json", Ref: ref}}
		}
	}
	text, err := record.MarshalIndented()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.store.PutRun(t.Context(), record.RunID, pipeline.RecordDocument, text); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"predict", record.RunID, churn}, {"export", record.RunID, "decision_tree"}} {
		_, stderr, code := call(t, store, args...)
		if code != 2 || !strings.Contains(stderr, "run "+record.RunID+`: model: this program does not know the kind "oracle"; read it with the program that registers it`) || !strings.Contains(stderr, "--format json exports the file") {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
	if out := ok(t, store, "export", record.RunID, "decision_tree", "--format", "json"); out != string(b) {
		t.Errorf("the file: got %s", out)
	}
}
