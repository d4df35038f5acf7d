package stages

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/validate"
)

// searched reads a search file into the default pipeline.
func searched(text string) (*Spec, error) {
	s := Default()
	return s, s.ReadSearch("s.yaml", []byte(text))
}

func settingsOf(t *testing.T, s *Spec) []string {
	t.Helper()
	list, err := s.candidates()
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, c := range list {
		texts = append(texts, c.Name+" "+c.Trainer+" "+string(c.Params))
	}
	return texts
}

func TestSearchGrid(t *testing.T) {
	s, err := searched(`
models:
  logistic_regression: {c: [0.1, 1], class_weight: [balanced, {"true": 5}]}
  decision_tree: {max_depth: 4}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		`decision_tree.1 train_decision_tree {"max_depth":4}`,
		`logistic_regression.1 train_logistic_regression {"c":0.1,"class_weight":"balanced"}`,
		`logistic_regression.2 train_logistic_regression {"c":0.1,"class_weight":{"true":5}}`,
		`logistic_regression.3 train_logistic_regression {"c":1,"class_weight":"balanced"}`,
		`logistic_regression.4 train_logistic_regression {"c":1,"class_weight":{"true":5}}`}, "\n")
	if got := strings.Join(settingsOf(t, s), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if names := strings.Join(s.ModelNames(), " "); names != "decision_tree logistic_regression" || s.CV != 5 {
		t.Errorf("models %s in %d folds", names, s.CV)
	}
}

// Candidates that are equal are one, whether a list repeats a value or chance does.
func TestEqualCandidatesAreOne(t *testing.T) {
	s, err := searched(`
models:
  decision_tree: {max_depth: [3, 3, 5, 3]}
  logistic_regression: {c: [1, 1.0, 1e0, 2]}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		`decision_tree.1 train_decision_tree {"max_depth":3}`,
		`decision_tree.2 train_decision_tree {"max_depth":5}`,
		`logistic_regression.1 train_logistic_regression {"c":1}`,
		`logistic_regression.2 train_logistic_regression {"c":2}`}, "\n")
	if got := strings.Join(settingsOf(t, s), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s, err = searched("kind: random\nsamples: 50\nmodels: {decision_tree: {max_depth: {low: 2, high: 4}}}"); err != nil {
		t.Fatal(err)
	}
	if got := settingsOf(t, s); len(got) != 3 {
		t.Errorf("of three values there are %d candidates: %v", len(got), got)
	}
}

// YAML 1.1 has no number 1e2, people do.
func TestSearchOfNumbersWithExponents(t *testing.T) {
	s, err := searched(`
kind: random
samples: 1
models:
  decision_tree: {ccp_alpha: [1e-3], max_leaf_nodes: [1e2]}
  logistic_regression: {c: [1e2]}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := `decision_tree.1 train_decision_tree {"ccp_alpha":0.001,"max_leaf_nodes":100}` + "\n" + `logistic_regression.1 train_logistic_regression {"c":100}`
	if got := strings.Join(settingsOf(t, s), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What the pipeline file says of a model holds for all of its candidates, and a section of the file is a search, too.
func TestSearchInPipelineFile(t *testing.T) {
	s, err := ParseSpec("p.yaml", []byte(`
cv: 3
models:
  deep: {kind: random_forest, trees: 7, max_depth: 9}
  logistic_regression: {}
search:
  kind: random
  samples: 4
  seed: 3
  models:
    deep: {max_depth: {low: 2, high: 20}, max_features: {low: 0.2, high: 1}}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := settingsOf(t, s)
	if len(got) != 4 || s.CV != 3 || len(s.Models) != 1 {
		t.Fatalf("%d folds, %v", s.CV, got)
	}
	for _, g := range got {
		if !strings.HasPrefix(g, "deep.") || !strings.Contains(g, `"trees":7`) {
			t.Error(g)
		}
	}
	// The pipeline's seed draws where the search has none of its own; the same seed draws the same.
	again, err := s.Set("search.samples", "2")
	if err != nil {
		t.Fatal(err)
	}
	if two := settingsOf(t, again); strings.Join(two, "\n") != strings.Join(got[:2], "\n") {
		t.Errorf("got %v, want the first two of %v", two, got)
	}
	s.Search.Seed = nil
	before := settingsOf(t, s)
	if s.Seed++; strings.Join(before, "\n") == strings.Join(settingsOf(t, s), "\n") {
		t.Error("another seed draws the same")
	}
}

func TestSearchFaults(t *testing.T) {
	for _, c := range []struct {
		name, text string
		line       int
		message    string
	}{
		{"nothing", "# x\n", 0, "the search file is empty"},
		{"no models", "kind: grid\n", 0, "the search has no models"},
		{"two documents", "models: {decision_tree: {max_depth: 3}}\n---\nkind: grid\n", 0, "more than one document"},
		{"unknown field", "models:\n  decision_tree: {max_depth: [3]}\nsample: 3\n", 3, `unknown field "sample"`},
		{"unknown model", "models:\n  svm: {c: [1]}\n", 2, `there is no model "svm"`},
		{"unknown parameter", "models:\n  decision_tree:\n    depth: [1]\n", 3, `decision_tree has no setting "depth"`},
		{"a bad value", "models:\n  decision_tree:\n    max_depth:\n      - 3\n      - -1\n", 5, "max_depth of decision_tree: max_depth is -1, want at least 0"},
		{"a fraction", "models:\n  decision_tree:\n    max_depth:\n      - 3\n      - 2.5\n", 5, "a value is 2.5, want a whole number"},
		{"one fraction", "models:\n  decision_tree:\n    max_depth: 2.5\n", 3, "max_depth: the value is no whole number"},
		{"a text", "models:\n  logistic_regression:\n    c: [1, x]\n", 3, "a value is a text, want a number"},
		{"a list in a list", "models:\n  logistic_regression:\n    c: [[1]]\n", 3, "a value is a list, want a number"},
		{"not finite", "models:\n  logistic_regression:\n    c: [.nan]\n", 3, "a value is no finite number"},
		{"no value", "models:\n  logistic_regression:\n    c:\n", 3, "there is no value"},
		{"a missing value", "models:\n  logistic_regression:\n    c: [1, ~]\n", 3, "a value is missing"},
		{"an empty list", "models:\n  logistic_regression:\n    c: []\n", 3, "the list of values is empty"},
		{"a distribution in a grid", "models:\n  logistic_regression:\n    c: {low: 1, high: 2}\n", 3, "this is a distribution; write kind: random"},
		{"no ends", "kind: random\nmodels:\n  logistic_regression:\n    c: {low: 1}\n", 4, "a distribution has low and high"},
		{"an end that is no number", "kind: random\nmodels:\n  logistic_regression:\n    c: {low: a, high: 2}\n", 4, "low: the value is no number"},
		{"another field", "kind: random\nmodels:\n  logistic_regression:\n    c: {low: 1, high: 2, step: 1}\n", 4, "step: a distribution has low, high, log and int alone"},
		{"the wrong way round", "kind: random\nmodels:\n  logistic_regression:\n    c: {low: 2, high: 1}\n", 4, "low is 2 and high is 1, want low below high"},
		{"log of nothing", "kind: random\nmodels:\n  logistic_regression:\n    c: {low: 0, high: 1, log: true}\n", 4, "low is 0, want it above 0 for log"},
		{"log maybe", "kind: random\nmodels:\n  logistic_regression:\n    c: {low: 1, high: 2, log: maybe}\n", 4, "log: the value is neither true nor false"},
		{"out of range", "kind: random\nmodels:\n  random_forest:\n    trees: {low: 0, high: 10}\n", 4, "trees is 0, want 1 to 100000"},
		{"another kind", "kind: bayes\nmodels: {decision_tree: {max_depth: [1]}}\n", 1, `kind is "bayes", want grid or random`},
		{"samples of a grid", "samples: 3\nmodels: {decision_tree: {max_depth: [1]}}\n", 1, "samples and seed are for a random search"},
		{"too many samples", "kind: random\nsamples: 1001\nmodels: {decision_tree: {max_depth: [1]}}\n", 2, "samples is 1001, want 1 to 1000"},
		{"samples of a fraction", "kind: random\nsamples: 1.5\nmodels: {decision_tree: {max_depth: [1]}}\n", 2, "samples: the value is no whole number"},
		{"another scoring", "scoring: auc\nmodels: {decision_tree: {max_depth: [1]}}\n", 1, `scoring is "auc", want one of accuracy,`},
		{"an engine", "models: {decision_tree: {engine: [golearn]}}\n", 1, `no setting "engine"`},
		{"no list of models", "models: [1]\n", 1, ""},
		{"a long list", "models: {decision_tree: {max_depth: [" + strings.Repeat("1,", 1001) + "]}}", 1, "max_depth of decision_tree: the list has 1001 values, more than 1000"},
		{"aliases of aliases", "models:\n  decision_tree:\n    max_depth: &a [1, 2]\n    max_bins: &b [*a, *a]\n", 4, "an alias stands in what another one repeats"},
		{"many aliases", "models:\n  decision_tree:\n    max_depth: &a 1\n    max_bins: [" + strings.Repeat("*a, ", 101) + "]\n", 4, "more than 100"},
		{"a deep list", "models: {decision_tree: {max_depth: " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "}}", 1, "a value is a list, want a whole number"},
		{"a large file", strings.Repeat("# x\n", 1<<15), 0, "the search file has 131072 bytes, more than 65536"},
	} {
		_, err := searched(c.text)
		e, ok := errors.AsType[*pipeline.Error](err)
		if !ok || e.Class != pipeline.ClassBadInput || e.File != "s.yaml" || !strings.Contains(e.Message, c.message) || e.Line != c.line {
			t.Errorf("%s: %+v; want line %d: %s", c.name, err, c.line, c.message)
		}
		if ok && strings.Contains(e.Message, "\n") {
			t.Errorf("%s: %q is more than a line", c.name, e.Message)
		}
	}
}

func TestSearchIsBounded(t *testing.T) {
	list := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%d, ", i+2)
		}
		return "[" + strings.TrimSuffix(b.String(), ", ") + "]"
	}
	for _, c := range []struct {
		text, message string
	}{
		{"models: {decision_tree: {max_depth: " + list(40) + ", max_bins: " + list(40) + "}}", "search: of decision_tree the grid has more than 1000 candidates"},
		{"models: {decision_tree: {max_depth: " + list(600) + "}, random_forest: {max_depth: " + list(600) + "}}", "search: there are 1200 candidates, more than 1000"},
		{"kind: random\nsamples: 600\nmodels: {logistic_regression: {c: {low: 1, high: 2}}, gradient_boosting: {learning_rate: {low: 0.1, high: 1}}}", "search: there are 1200 candidates, more than 1000"},
	} {
		_, err := searched(c.text)
		if e, ok := errors.AsType[*pipeline.Error](err); !ok || e.Message != c.message || e.Hint == "" {
			t.Errorf("%+v, want %q", err, c.message)
		}
	}
	s, err := searched("models: {decision_tree: {max_depth: " + list(500) + "}}")
	if err != nil {
		t.Fatal(err)
	}
	s.CV = 21
	if err := s.Check(); err == nil || !strings.Contains(err.Error(), "500 candidates in 21 folds are 10500 trainings, more than 10000") {
		t.Error(err)
	}
}

func TestSearchModels(t *testing.T) {
	s, err := searched("models: {decision_tree: {max_depth: [1, 2]}, random_forest: {trees: [1]}}")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.KeepModels([]string{"logistic_regression"}); err == nil || !strings.Contains(err.Error(), `the search has no model "logistic_regression"`) {
		t.Error(err)
	}
	s, _ = searched("models: {decision_tree: {max_depth: [1, 2]}, random_forest: {trees: [1]}}")
	if err := s.KeepModels([]string{"random_forest"}); err != nil {
		t.Fatal(err)
	}
	if got := settingsOf(t, s); len(got) != 1 || got[0] != `random_forest.1 train_random_forest {"trees":1}` {
		t.Errorf("%v", got)
	}
}

// Whatever is in a search file, it is refused with a place or makes a plan that can be run.
func FuzzReadSearch(f *testing.F) {
	for _, text := range []string{
		"models:\n  random_forest:\n    trees: [10, 20]\n    max_features: [sqrt, 0.5, 3]\n",
		"kind: random\nsamples: 3\nseed: 1\nscoring: log_loss\nmodels:\n  gradient_boosting: {learning_rate: {low: 0.01, high: 1, log: true}, max_iter: {low: 1, high: 9, int: true}}\n",
		"models: {decision_tree: {max_depth: &a [1, *a]}}", "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nmodels: {decision_tree: {max_depth: *c}}",
		"models: {decision_tree: {? [1] : 2}}", "models: {decision_tree: {max_depth: !!binary aGk=}}", "<<: {kind: grid}\nmodels: {logistic_regression: {c: 1e309}}",
		"models: {logistic_regression: {class_weight: {low: 1, high: 2}}}", "models: {\"a.b[0]\": {c: [1]}}", "models: {decision_tree: {\"$.x\": [1]}}", "models:\n  decision_tree:\n    max_depth: 18446744073709551616\n",
	} {
		f.Add(text)
	}
	registry, err := pipeline.NewRegistry(nil, Kinds()...)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := searched(text)
		if err != nil {
			if e, ok := errors.AsType[*pipeline.Error](err); !ok || e.Class != pipeline.ClassBadInput || e.Message == "" {
				t.Errorf("%#v", err)
			}
			return
		}
		s.Target = "x"
		plan, err := s.Build(artifact.Ref{Digest: artifact.DigestOf(nil), Size: 1})
		if err != nil {
			t.Fatalf("it was read, and makes no plan: %v", err)
		}
		if err := plan.Validate(registry); err != nil {
			t.Fatalf("it makes a plan that is none: %v", err)
		}
		cv, _ := plan.Stage(CV)
		var p validate.Params
		if err := json.Unmarshal(cv.Params, &p); err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Candidates {
			stage := pipeline.Stage{Name: "cv:" + c.Name + ":1", Kind: validate.KindOf(c.Trainer), Params: []byte(`{"fold":1,"params":` + string(c.Params) + `}`),
				Needs: []pipeline.Need{{Role: "train", Stage: SplitData, Output: "train"}, {Role: "folds", Stage: CV, Output: "folds"}}}
			if err := pipeline.CheckExpansion(cv, nil, []pipeline.Stage{stage}, registry); err != nil {
				t.Errorf("candidate %s: %v", c.Name, err)
			}
		}
		// What was read can be written and read again, as --set does.
		again, err := s.Set("seed", "42")
		if err != nil {
			t.Fatalf("it is not read again: %v", err)
		}
		if a, b := s.Search, again.Search; a.Kind != b.Kind || a.Scoring != b.Scoring || len(a.Models) != len(b.Models) {
			t.Errorf("%+v was read again as %+v", a, b)
		}
	})
}

func TestSearchByTask(t *testing.T) {
	s := Default()
	s.Task = Regression
	text := "scoring: %s\nmodels: {ridge: {alpha: [0.1, 1]}, random_forest: {trees: [3]}}"
	if err := s.ReadSearch("s.yaml", fmt.Appendf(nil, text, "mae")); err != nil {
		t.Error(err)
	}
	err := s.ReadSearch("s.yaml", fmt.Appendf(nil, text, "roc_auc"))
	if e, ok := errors.AsType[*pipeline.Error](err); !ok || e.Message != "search: scoring by roc_auc is not for a regression" || e.Line != 1 {
		t.Errorf("%+v", err)
	}
	s = Default()
	if err := s.ReadSearch("s.yaml", fmt.Appendf(nil, text, "mae")); err != nil { // what the target is comes later
		t.Error(err)
	}
	if s.Task = Classification; s.Check() == nil {
		t.Error("classes are searched by mae, with ridge")
	}
}

// A registered kind of model is searched by its own parameters.
func TestSearchOfRegisteredModel(t *testing.T) {
	RegisterModel("guess", guesser())
	t.Cleanup(func() { delete(own, "guess") })
	s, err := searched("models: {guess: {luck: [1, 2]}}")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(settingsOf(t, s), "; "), `guess.1 train_guess {"luck":1}; guess.2 train_guess {"luck":2}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for text, want := range map[string]string{"models: {guess: {luck: [0]}}": "luck is 0, want at least 1", "models: {guess: {skill: [1]}}": "skill"} {
		if _, err := searched(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
