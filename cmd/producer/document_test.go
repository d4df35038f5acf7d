package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/internal/needs"
)

// contract is the document that other programs rely on, written down once more: every field, with what it may hold. A
// field that is added is added here too; none is ever taken away. text: any text; name: not empty; digest, time, count,
// number: what they say; any: any value; | separates choices; a final ? allows null.
const contract = `{
 "schema": "hashline.submit/1", "run_id": "run?", "name": "text", "tags": {"*": "text"},
 "status": "SUCCEEDED|FAILED|CANCELED|INTERRUPTED|DETACHED|REJECTED", "exit_code": "count", "mode": "embedded|redis",
 "created_at": "time?", "finished_at": "time?", "wall_s": "number",
 "input": {"name": "text", "sha256": "digest?", "bytes": "count?", "rows": "count?", "columns": "count?", "builtin_sample": "bool"},
 "target": {"expression": "text", "task": "classification|regression?", "classes": ["text"], "positive": "text?", "chosen_by": "flag|file|default?"},
 "seed": "count", "plan_digest": "digest?", "result_digest": "digest?",
 "left_out": [{"column": "name", "type": "name", "reason": "name"}],
 "split": {"method": "stratified|random|group|time?", "column": "text", "test_size": "number?", "train_rows": "count?", "test_rows": "count?"},
 "baseline": {"majority?": {"class": "text", "accuracy": "number"}, "stump?": {"feature": "name", "accuracy": "number", "roc_auc": "number?"},
   "mean?": {"value": "number", REGRESSION}, "cut?": {"feature": "name", REGRESSION}},
 "models": [{"name": "name", "kind": "decision_tree|random_forest|extra_trees|gradient_boosting|logistic_regression|ridge", "engine": "native|golearn", "stage": "name", "model_digest": "digest",
   "metrics": {"accuracy": "number?", "balanced_accuracy": "number?", "precision": "number?", "recall": "number?", "f1": "number?", "roc_auc": "number?",
     "average_precision": "number?", "log_loss": "number?", "brier": "number?"},
   "confusion": {"labels": ["text"], "rows_true_columns_predicted": [["count"]]}, "regression?": {REGRESSION}, "calibration": "sigmoid|isotonic?",
   "decision?": {"threshold": "number", "cost_false_positive": "number", "cost_false_negative": "number", "cost": "number", "cost_at_half": "number"}}],
 "cross_validation?": {"folds": "count", "method": "stratified|random|group|time", "column": "text", "rows": "count", "scoring": "name",
   "candidates": [{"name": "name", "model": "name", "rank": "count", "chosen": "bool", "params": {"*": "any"}, "mean": {"*": "number?"}, "sd": {"*": "number?"}, "by_fold": [{"*": "number?"}]}]},
 "stages": [{"name": "name", "kind": "name", "status": "SUCCEEDED|FAILED|SKIPPED|CANCELED|PENDING|RUNNING", "cache": "hit|miss|off?", "miss_reason": "text", "attempts": "count",
   "action_key": "digest?", "code": "digest?", "worker": "text", "queued_s": "number", "fetch_s": "number", "compute_s": "number", "store_s": "number",
   "started_at": "time?", "finished_at": "time?", "needs": ["name"], "expanded_by": "text",
   "outputs": [{"name": "name", "class": "result|view", "media_type": "name", "digest": "digest", "bytes": "count"}], "reason": "text", "error?": "ERROR"}],
 "counts": {"stages": "count", "computed": "count", "cached": "count", "failed": "count", "skipped": "count", "canceled": "count"},
 "warnings": [{"code": "name", "message": "name", "column": "text"}],
 "report_path": "name?", "out_dir": "name?", "error?": "ERROR"}`

const contractRegression = `"rmse": "number?", "mae": "number?", "median_absolute_error": "number?", "max_error": "number?", "r2": "number?"`

const contractError = `{"class": "bad_input|usage|stage_failed|unreachable|canceled|internal", "message": "name", "file": "text", "line": "count", "column": "count", "stage": "text", "hint": "text"}`

var grammars = map[string]*regexp.Regexp{
	"digest": regexp.MustCompile(`^sha256:[0-9a-f]{64}$`),
	"time":   regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$`),
	"run":    regexp.MustCompile(`^[0-9]{8}-[0-9]{6}-[a-z0-9]{6}$`),
	"text":   regexp.MustCompile(``),
	"name":   regexp.MustCompile(`.`),
}

// checkContract compares a value with what it may hold, and returns what is wrong.
func checkContract(where string, spec, v any) []string {
	switch s := spec.(type) {
	case map[string]any:
		return checkObject(where, s, v)
	case []any:
		list, ok := v.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %v, want a list", where, v)}
		}
		var wrong []string
		for i, e := range list {
			wrong = append(wrong, checkContract(fmt.Sprintf("%s.%d", where, i), s[0], e)...)
		}
		return wrong
	}
	want, optional := strings.CutSuffix(spec.(string), "?")
	if v == nil && optional || fits(want, v) {
		return nil
	}
	return []string{fmt.Sprintf("%s is %v, want %s", where, v, spec)}
}

func checkObject(where string, spec map[string]any, v any) []string {
	m, ok := v.(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s is %v, want an object", where, v)}
	}
	var wrong []string
	known := map[string]bool{}
	for name, s := range spec {
		name, optional := strings.CutSuffix(name, "?")
		known[name] = true
		if name == "*" {
			for k, e := range m {
				known[k] = true
				wrong = append(wrong, checkContract(where+"."+k, s, e)...)
			}
			continue
		}
		e, ok := m[name]
		switch {
		case !ok:
			wrong = append(wrong, where+" lacks "+name)
		case e == nil && optional:
		case s == "ERROR":
			wrong = append(wrong, checkContract(where+"."+name, parseJSON(contractError), e)...)
		default:
			wrong = append(wrong, checkContract(where+"."+name, s, e)...)
		}
	}
	for k := range m {
		if !known[k] {
			wrong = append(wrong, where+" has "+k+", which the contract lacks")
		}
	}
	slices.Sort(wrong)
	return wrong
}

func fits(want string, v any) bool {
	if want == "any" {
		return true
	}
	switch v := v.(type) {
	case string:
		if g := grammars[want]; g != nil {
			return g.MatchString(v)
		}
		return slices.Contains(strings.Split(want, "|"), v)
	case json.Number:
		_, err := v.Int64()
		return want == "number" || want == "count" && err == nil && v[0] != '-'
	case bool:
		return want == "bool"
	}
	return false
}

func parseJSON(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

func wholeContract() any {
	return parseJSON(strings.ReplaceAll(contract, "REGRESSION", contractRegression))
}

func TestDocument(t *testing.T) {
	t.Parallel()
	churn := customerFile(t, 300)
	three := filepath.Join(t.TempDir(), "three.csv")
	if err := os.WriteFile(three, bytes.ReplaceAll(customers(90), []byte("basic,6"), []byte("basic,")), 0o644); err != nil {
		t.Fatal(err)
	}
	store := t.TempDir()
	for _, c := range []struct {
		name   string
		args   []string
		status string
		code   int
		class  string // of the error
	}{
		{"success", []string{churn, "--target", "churned", "--name", "n", "--tag", "k=v"}, "SUCCEEDED", 0, ""},
		{"cached, with files", []string{churn, "--target", "churned", "--out", t.TempDir()}, "SUCCEEDED", 0, ""},
		{"the program's own data", []string{"--models", "decision_tree"}, "SUCCEEDED", 0, ""},
		{"several classes, by group", []string{three, "--target", "plan", "--split", "group:calls"}, "SUCCEEDED", 0, ""},
		{"another engine", []string{churn, "--target", "churned", "--models", "decision_tree", "--set", "models.decision_tree.engine=golearn"}, "SUCCEEDED", 0, ""},
		{"a regression", []string{churn, "--target", "spend", "--models", "gradient_boosting,ridge"}, "SUCCEEDED", 0, ""},
		{"bad input in a stage", []string{churn, "--target", "customer"}, "FAILED", 2, "bad_input"},
		{"bad input before the run", []string{"nope.csv"}, "REJECTED", 2, "bad_input"},
		{"no target", []string{churn}, "REJECTED", 2, "bad_input"},
		{"usage", []string{"--nosuch"}, "REJECTED", 2, "usage"},
		{"usage, later", []string{churn, "--target", "churned", "--models", "x"}, "REJECTED", 2, "usage"},
		{"Redis away", []string{churn, "--target", "churned", "--redis", "redis://127.0.0.1:1"}, "REJECTED", 3, "unreachable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _, code := call(t, store, append([]string{"submit", "--json", "--quiet"}, c.args...)...)
			if code != c.code {
				t.Errorf("got exit code %d, want %d", code, c.code)
			}
			if strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "\n") {
				t.Errorf("got %d lines, want one", strings.Count(out, "\n"))
			}
			v := parseJSON(out).(map[string]any)
			for _, wrong := range checkContract("document", wholeContract(), v) {
				t.Error(wrong)
			}
			d := parseDocument(t, out)
			if d.Status != c.status || d.ExitCode != c.code {
				t.Errorf("got %s, exit code %d", d.Status, d.ExitCode)
			}
			if got := v["error"]; c.class == "" && got != nil || c.class != "" && got.(map[string]any)["class"] != c.class {
				t.Errorf("got error %v, want class %q", got, c.class)
			}
			if (v["run_id"] == nil) != (c.status == "REJECTED") || (v["result_digest"] == nil) != (c.status != "SUCCEEDED") {
				t.Errorf("got run %v, result %v", v["run_id"], v["result_digest"])
			}
			if c.status == "SUCCEEDED" && (d.Counts.Computed+d.Counts.Cached != d.Counts.Stages || d.Counts.Stages != len(d.Stages) || d.Input.Rows == 0 || len(d.Models) == 0) {
				t.Errorf("got %+v, %d stages, %d rows, %d models", d.Counts, len(d.Stages), d.Input.Rows, len(d.Models))
			}
		})
	}
}

func TestDocumentOfDetachedRun(t *testing.T) {
	t.Parallel()
	url := needs.Redis(t).URL()
	out, stderr, code := call(t, t.TempDir(), "submit", customerFile(t, 100), "--target", "churned", "--redis", url, "--detach", "--json")
	if code != 0 {
		t.Fatal(stderr)
	}
	for _, wrong := range checkContract("document", wholeContract(), parseJSON(out)) {
		t.Error(wrong)
	}
}

// The check itself must notice what is wrong.
func TestCheckContract(t *testing.T) {
	spec := parseJSON(`{"a": "count", "b?": {"c": "digest?"}, "d": ["x|y"], "e": {"*": "text"}}`)
	for _, c := range []struct {
		name, text string
		want       int
	}{
		{"right", `{"a": 1, "b": {"c": null}, "d": ["x", "y"], "e": {"k": "v"}}`, 0},
		{"null where it may be", `{"a": 1, "b": null, "d": [], "e": {}}`, 0},
		{"a field less", `{"b": null, "d": [], "e": {}}`, 1},
		{"a field more", `{"a": 1, "b": null, "d": [], "e": {}, "f": 1}`, 1},
		{"null where it may not be", `{"a": null, "b": null, "d": null, "e": {}}`, 2},
		{"a fraction, a choice that is none, a digest that is none", `{"a": 1.5, "b": {"c": "sha256:12"}, "d": ["z"], "e": {"k": 1}}`, 4},
	} {
		if got := checkContract("it", spec, parseJSON(c.text)); len(got) != c.want {
			t.Errorf("%s: got %q, want %d", c.name, got, c.want)
		}
	}
}
