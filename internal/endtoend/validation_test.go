package endtoend

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashline/hashline/internal/needs"
)

// Cross-validation is the same bits in one process and by any number of workers, each time from an empty store, and is
// found in the cache when it is asked for again.
func TestValidationRepeats(t *testing.T) {
	t.Parallel()
	args := []string{"--cv", "3", "--set", "models.random_forest.trees=10", "--set", "importance.repeats=1"}
	home := newWorld(t)
	want := home.submit(args...)
	if n := want.Counts.Computed; n != want.Counts.Stages || n != 15+3+3*3 {
		t.Errorf("%d of %d stages were computed", n, want.Counts.Stages)
	}
	if again := home.submit(args...); again.Counts.Computed != 0 || again.ResultDigest != want.ResultDigest {
		t.Errorf("again %d stages were computed, result digest %s, want %s", again.Counts.Computed, again.ResultDigest, want.ResultDigest)
	}
	// A model more are its own stages, those of its folds, and the four that divide and compare.
	if more := home.submit(append(args, "--models", "decision_tree,random_forest,logistic_regression,extra_trees", "--set", "models.extra_trees.trees=5")...); more.Counts.Computed != 3+3+4 {
		t.Errorf("with a model more %d stages were computed: %v", more.Counts.Computed, computed(more))
	}
	for _, workers := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			w := newWorld(t)
			w.redis = needs.Redis(t).URL()
			for range workers {
				w.worker(1)
			}
			if d := w.submit(args...); d.ResultDigest != want.ResultDigest {
				t.Errorf("result digest %s, want %s", d.ResultDigest, want.ResultDigest)
			}
		})
	}
}

// A random search, with what calibrates and decides, is the same bits by one worker and by several that share it.
func TestSearchRepeats(t *testing.T) {
	t.Parallel()
	args := []string{"--search", searchFile(t, "kind: random\nsamples: 4\nmodels: {decision_tree: {max_depth: {low: 2, high: 12}}, logistic_regression: {c: {low: 0.01, high: 10, log: true}}}"), "--cv", "2",
		"--set", "models.decision_tree.calibration=isotonic", "--set", "models.decision_tree.threshold={cost_false_positive: 2, cost_false_negative: 1}", "--set", "importance.repeats=1"}
	by := func(workers int) *document {
		w := newWorld(t)
		w.redis = needs.Redis(t).URL()
		for range workers {
			w.worker(1)
		}
		d := w.submit(args...)
		took := map[string]bool{}
		for _, s := range d.Stages {
			took[s.Worker] = true
		}
		if len(took) < min(2, workers) {
			t.Errorf("%d of %d workers took part", len(took), workers)
		}
		return d
	}
	one, three := by(1), by(3)
	if one.ResultDigest != three.ResultDigest {
		t.Errorf("result digest %s by three workers, %s by one", three.ResultDigest, one.ResultDigest)
	}
	if n := three.Counts.Computed; n != three.Counts.Stages || n < 2*2*4 {
		t.Errorf("%d of %d stages were computed", n, three.Counts.Stages)
	}
}

// A worker is killed in the middle of a search: another one finishes it, with the same bits, and what was done stays done.
func TestKilledWorkerInSearch(t *testing.T) {
	t.Parallel()
	args := []string{"--search", searchFile(t, "models: {random_forest: {trees: [60], max_features: [0.2, 0.6, 1], min_samples_leaf: [1, 5]}}"), "--set", "importance.repeats=1"}
	want := newWorld(t).submit(args...)
	w := newWorld(t)
	w.redis = needs.Redis(t).URL()
	victim := w.worker(1)
	p := w.submitting(args...)
	p.Await(started("cv:random_forest.3:2"))
	victim.Kill()
	w.worker(1)
	w.worker(2)
	d := p.succeeded()
	if d.ResultDigest != want.ResultDigest {
		t.Errorf("result digest %s, want %s", d.ResultDigest, want.ResultDigest)
	}
	again := 0
	for _, s := range d.Stages {
		again += s.Attempts - 1
	}
	if again > 1 {
		t.Errorf("%d attempts were repeated, want the one that was killed", again)
	}
}

func searchFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "search.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
