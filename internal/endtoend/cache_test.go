package endtoend

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/sample"
)

// A second submission computes nothing, and a changed parameter only what lies behind it.
func TestOnlyWhatChangedIsComputed(t *testing.T) {
	base := reference(t)
	// behind returns plot_results and the stages of models, sorted.
	behind := func(models, prefixes []string, more ...string) []string {
		names := append(more, "plot_results")
		for _, m := range models {
			for _, p := range prefixes {
				names = append(names, p+":"+m)
			}
		}
		slices.Sort(names)
		return names
	}
	models := []string{"decision_tree", "logistic_regression", "random_forest"}
	trained := []string{"train", "evaluate", "plot"}
	for name, c := range map[string]struct {
		args     []string
		computed []string
		same     bool // the result digest
	}{
		"nothing":              {nil, []string{}, true},
		"defaults spelled out": {[]string{"--seed", "42", "--test-size", "0.2", "--set", "models.random_forest.trees=100"}, []string{}, true},
		"another name":         {[]string{"--name", "x", "--tag", "a=b"}, []string{}, true},
		"seed":                 {[]string{"--seed", "7"}, behind(models, trained, "split_data"), false},
		"test size":            {[]string{"--test-size", "0.25"}, behind(models, trained, "split_data"), false},
		"a forest's parameter": {[]string{"--set", "models.random_forest.trees=20"}, behind(models[2:], trained), false},
		// Metrics and curves stay as they were, so the models' own plots are hits.
		"repeats of the importance": {[]string{"--set", "importance.repeats=2"}, behind(models, []string{"evaluate"}), false},
		"fewer models":              {[]string{"--models", "decision_tree"}, []string{"plot_results"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := warmWorld(t).submit(c.args...)
			if got := computed(d); !slices.Equal(got, c.computed) || d.Counts.Computed != len(c.computed) {
				t.Errorf("computed %d: %v\nwant %v", d.Counts.Computed, got, c.computed)
			}
			if (d.ResultDigest == base.ResultDigest) != c.same {
				t.Errorf("result digest %s, before %s", d.ResultDigest, base.ResultDigest)
			}
			if d.RunID == base.RunID {
				t.Error("it is the same run")
			}
			if d.Counts.Computed+d.Counts.Cached != d.Counts.Stages {
				t.Errorf("counts %+v", d.Counts)
			}
		})
	}
}

// superstore writes the built-in data, changed, to a file of the world.
func (w world) superstore(change func([]byte) []byte) string {
	w.t.Helper()
	data, err := sample.Superstore()
	if err != nil {
		w.t.Fatal(err)
	}
	changed := change(bytes.Clone(data))
	if bytes.Equal(changed, data) {
		w.t.Fatal("the data is not changed")
	}
	file := filepath.Join(w.dir, sample.Name)
	if err := os.WriteFile(file, changed, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// A value of a column that preprocessing drops changes the table that was loaded, and stops there.
func TestEarlyCutoff(t *testing.T) {
	w := warmWorld(t)
	d := w.submit(w.superstore(func(b []byte) []byte { return bytes.Replace(b, []byte("Claire Gute"), []byte("Clara Gute"), 1) }))
	if got := computed(d); !slices.Equal(got, []string{"load_data", "preprocess"}) {
		t.Errorf("computed %v", got)
	}
	if base := reference(t); d.Input.SHA256 == base.Input.SHA256 || d.ResultDigest == base.ResultDigest {
		t.Error("another file has the same digest")
	}
}

// A value of a column that models see makes everything behind it anew.
func TestChangedValue(t *testing.T) {
	w := warmWorld(t)
	base := reference(t)
	p := w.submitting(w.superstore(func(b []byte) []byte { return bytes.Replace(b, []byte("261.96,2,0,"), []byte("9261.96,9,0.8,"), 1) }))
	d := p.succeeded()
	for _, name := range []string{"load_data", "preprocess", "split_data", "eda", "train:decision_tree", "train:random_forest", "train:logistic_regression"} {
		if s := stageOf(t, d, name); s.Cache != pipeline.CacheMiss || s.ActionKey == stageOf(t, base, name).ActionKey {
			t.Errorf("%s: %s, key %s", name, s.Cache, s.ActionKey)
		}
	}
	if d.ResultDigest == base.ResultDigest || d.RunID == base.RunID {
		t.Error("it is the same run")
	}
}
