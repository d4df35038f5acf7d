package endtoend

import (
	"testing"

	"github.com/hashline/hashline/internal/needs"
)

// regression asks for a number of the Superstore data, and for every model that can predict one.
var regression = []string{"--target", "Sales", "--models", "decision_tree,random_forest,extra_trees,gradient_boosting,ridge",
	"--set", "models.random_forest.trees=20", "--set", "models.extra_trees.trees=20", "--set", "importance.repeats=1"}

// A regression is the same bits however many goroutines and workers compute it, each time from an empty store, and is
// found in the cache when it is asked for again.
func TestRegressionRepeats(t *testing.T) {
	t.Parallel()
	home := newWorld(t)
	want := home.submit(regression...)
	if n := want.Counts.Computed; n != want.Counts.Stages || n != 6+3*5 {
		t.Errorf("%d of %d stages were computed", n, want.Counts.Stages)
	}
	if again := home.submit(regression...); again.Counts.Computed != 0 || again.ResultDigest != want.ResultDigest {
		t.Errorf("again %d stages were computed, result digest %s, want %s", again.Counts.Computed, again.ResultDigest, want.ResultDigest)
	}
	for _, c := range []struct {
		name    string
		env     []string
		workers int
	}{
		{"one goroutine", []string{"GOMAXPROCS=1"}, 0},
		{"seven goroutines", []string{"GOMAXPROCS=7"}, 0},
		{"no fused multiply-add", []string{"GODEBUG=cpu.fma=off"}, 0},
		{"two workers", nil, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.env = c.env
			if c.workers > 0 {
				w.redis = needs.Redis(t).URL()
			}
			for range c.workers {
				w.worker(1)
			}
			if d := w.submit(regression...); d.ResultDigest != want.ResultDigest {
				t.Errorf("result digest %s, want %s", d.ResultDigest, want.ResultDigest)
			}
		})
	}
}
