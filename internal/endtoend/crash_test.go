package endtoend

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
)

// slow makes the training of the forest last for about a second, so that what is meant to happen in it does.
var slow = []string{"--models", "random_forest", "--set", "models.random_forest.trees=1000", "--set", "importance.repeats=1"}

// trainingHeldUp starts a run whose one worker is suspended while it trains the forest, and then a second worker. So the
// training is not over before a test has done to its worker what it means to.
func trainingHeldUp(t *testing.T) (training, second, submission running) {
	t.Helper()
	w := newWorld(t)
	w.redis = needs.Redis(t).URL()
	training = w.worker(1)
	submission = w.submitting(slow...)
	submission.Await(started("train:random_forest"))
	training.Signal(syscall.SIGSTOP)
	return training, w.worker(1), submission
}

// The only worker that runs a stage is killed: another one finishes the run, with the same bits.
func TestKilledWorker(t *testing.T) {
	t.Parallel()
	want := newWorld(t).submit(slow...).ResultDigest
	victim, second, p := trainingHeldUp(t)
	killed := time.Now()
	victim.Kill()
	d := p.succeeded()
	if d.ResultDigest != want {
		t.Errorf("result digest %s, want %s", d.ResultDigest, want)
	}
	train := stageOf(t, d, "train:random_forest")
	if train.Attempts != 2 {
		t.Errorf("%d attempts, want 2", train.Attempts)
	}
	if lost := p.stagesOf(pipeline.WorkerLost); !slices.Equal(lost, []string{"train:random_forest"}) {
		t.Errorf("lost %v", lost)
	}
	t.Logf("taken over %.1f s after the kill, run finished after %.1f s", train.StartedAt.Sub(killed).Seconds(), d.FinishedAt.Sub(killed).Seconds())
	if code := second.terminate(); code != 0 {
		t.Errorf("exit code %d of the worker that was told to stop", code)
	}
}

// terminate tells a process to stop and returns its exit code.
func (p running) terminate() (code int) {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Wait()
}

// The last worker is killed and the run interrupted: it ends as canceled, though nobody is left to stop the stage.
func TestInterruptWithoutWorkers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.redis = needs.Redis(t).URL()
	a := w.worker(1)
	p := w.submitting(slow...)
	p.Await(started("train:random_forest"))
	a.Kill()
	p.Signal(os.Interrupt)
	if d := p.answer(); d.ExitCode != 130 || d.Status != pipeline.Canceled || d.Error == nil || d.Error.Class != pipeline.ClassCanceled {
		t.Errorf("exit code %d, status %s, error %+v", d.ExitCode, d.Status, d.Error)
	}
}

// A suspended worker is taken for dead; when it wakes up, what it has made is welcome or too late, and harms nothing.
func TestSuspendedWorker(t *testing.T) {
	t.Parallel()
	want := newWorld(t).submit(slow...).ResultDigest
	suspended, _, p := trainingHeldUp(t)
	p.Await(`WORKER_LOST +train:random_forest`)
	suspended.Signal(syscall.SIGCONT)
	d := p.succeeded()
	if d.ResultDigest != want {
		t.Errorf("result digest %s, want %s", d.ResultDigest, want)
	}
	for _, s := range d.Stages {
		if n := count(p.stagesOf(pipeline.StepSuccess), s.Name); n != 1 {
			t.Errorf("stage %s succeeded %d times", s.Name, n)
		}
	}
	if code := suspended.terminate(); code != 0 {
		t.Errorf("exit code %d of the worker that was suspended", code)
	}
}

func count(list []string, s string) int {
	n := 0
	for _, l := range list {
		if l == s {
			n++
		}
	}
	return n
}

// A worker that is told to stop finishes what it runs and takes nothing more.
func TestTerminatedWorkerDrains(t *testing.T) {
	t.Parallel()
	training, _, p := trainingHeldUp(t)
	training.Signal(syscall.SIGTERM) // it is told when it goes on
	training.Signal(syscall.SIGCONT)
	if code := training.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	d := p.succeeded()
	for _, s := range d.Stages {
		if n := count(p.stagesOf(pipeline.StepStart), s.Name); n != 1 || s.Attempts != 1 {
			t.Errorf("stage %s was started %d times, %d attempts", s.Name, n, s.Attempts)
		}
	}
	train, after := stageOf(t, d, "train:random_forest"), stageOf(t, d, "evaluate:random_forest")
	if train.Worker == after.Worker {
		t.Errorf("%s trained and evaluated though it was told to stop in between", train.Worker)
	}
}

// quick makes runs of all stages that are over soon.
var quick = []string{"--set", "models.random_forest.trees=5", "--set", "importance.repeats=1"}

// runsOf returns what `runs` says of the status of each run.
func (w world) runsOf() map[string]string {
	w.t.Helper()
	p := w.producer("runs", "--json")
	if code := p.Wait(); code != 0 {
		w.t.Fatalf("runs: exit code %d", code)
	}
	var list struct {
		Runs []struct {
			RunID  string `json:"run_id"`
			Status string `json:"status"`
		} `json:"runs"`
	}
	if err := json.Unmarshal([]byte(p.Out.String()), &list); err != nil {
		w.t.Fatal(err)
	}
	status := map[string]string{}
	for _, r := range list.Runs {
		status[r.RunID] = r.Status
	}
	return status
}

// The process of an embedded run is killed in each stage; submitting again reuses what was finished.
func TestKilledEmbeddedRun(t *testing.T) {
	full := newWorld(t).submit(quick...)
	for _, s := range full.Stages {
		t.Run(strings.ReplaceAll(s.Name, ":", "_"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.submitting(quick...)
			p.Await(started(s.Name))
			p.Kill()
			status := w.runsOf()
			if len(status) != 1 {
				t.Fatalf("runs %v", status)
			}
			for id, s := range status {
				// The last stages are too short to be sure to hit.
				if s != pipeline.Interrupted && (s != pipeline.Succeeded || w.record(id).ResultDigest != full.ResultDigest) {
					t.Errorf("run %s is %s", id, s)
				}
			}
			d := w.submit(quick...)
			if d.ResultDigest != full.ResultDigest {
				t.Errorf("result digest %s, want %s", d.ResultDigest, full.ResultDigest)
			}
			for _, name := range p.stagesOf(pipeline.StepSuccess) {
				if cache := stageOf(t, d, name).Cache; cache != pipeline.CacheHit {
					t.Errorf("stage %s was finished before the kill, and is a %s", name, cache)
				}
			}
		})
	}
}

// Workers of one stage at a time train the three models at the same time. There are more than three: the exploration of the data
// runs beside the trainings, and would hold one up.
func TestTrainingsOverlap(t *testing.T) {
	w := newWorld(t)
	if code := w.start(command(t, "producer"), "sample", "--rows", "200000", "--seed", "1", "-o", "sample.csv").Wait(); code != 0 {
		t.Fatalf("sample: exit code %d", code)
	}
	w.redis = needs.Redis(t).URL()
	for range 5 {
		w.worker(1, "--cores", "1")
	}
	// The tree is made deep and the data large, so that each training lasts far longer than handing out the next.
	d := w.submit("sample.csv", "--set", "models.decision_tree.max_depth=40", "--set", "models.decision_tree.min_samples_leaf=1", "--set", "models.random_forest.trees=20", "--set", "importance.repeats=1")
	var last, first time.Time
	workers := map[string]bool{}
	for _, name := range []string{"train:decision_tree", "train:random_forest", "train:logistic_regression"} {
		s := stageOf(t, d, name)
		if s.StartedAt.After(last) {
			last = s.StartedAt
		}
		if first.IsZero() || s.FinishedAt.Before(first) {
			first = s.FinishedAt
		}
		workers[s.Worker] = true
		t.Logf("%s from %s to %s", name, s.StartedAt.Format("05.000"), s.FinishedAt.Format("05.000"))
	}
	if !last.Before(first) || len(workers) != 3 {
		t.Errorf("the last training starts at %v, the first ends at %v, on %d workers", last, first, len(workers))
	}
}

// The pool of the trainings bounds them over all workers.
func TestPoolOfTrainings(t *testing.T) {
	w := newWorld(t)
	w.redis = needs.Redis(t).URL()
	if code := w.start(command(t, "producer"), "pools", "set", stages.TrainPool, "1", "--redis", w.redis).Wait(); code != 0 {
		t.Fatalf("pools set: exit code %d", code)
	}
	for range 2 {
		w.worker(2)
	}
	d := w.submit("--cv", "2")
	var trainings []pipeline.StageRecord
	for _, s := range w.record(d.RunID).Stages {
		if strings.HasPrefix(s.Name, stages.TrainPrefix) || strings.HasPrefix(s.Name, stages.CV+":") {
			trainings = append(trainings, s)
		}
	}
	slices.SortFunc(trainings, func(a, b pipeline.StageRecord) int { return a.StartedAt.Compare(b.StartedAt) })
	if len(trainings) != 3+2*3 {
		t.Errorf("%d trainings, want those of three models, each on all rows and on two folds", len(trainings))
	}
	for i := 1; i < len(trainings); i++ {
		if a, b := trainings[i-1], trainings[i]; b.StartedAt.Before(a.FinishedAt) {
			t.Errorf("%s starts at %v, before %s ends at %v", b.Name, b.StartedAt, a.Name, a.FinishedAt)
		}
	}
}

// Two submissions of one file at the same time both finish, with the same bits.
func TestTwoSubmissionsAtOnce(t *testing.T) {
	for name, set := range map[string]func(w *world){"embedded": func(*world) {}, "redis": func(w *world) {
		w.redis = needs.Redis(w.t).URL()
		w.worker(1)
		w.worker(1)
	}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			set(&w)
			a, b := w.submitting(quick...), w.submitting(quick...)
			first, second := a.succeeded(), b.succeeded()
			if first.ResultDigest != second.ResultDigest || first.RunID == second.RunID {
				t.Errorf("runs %s and %s, result digests %s and %s", first.RunID, second.RunID, first.ResultDigest, second.ResultDigest)
			}
			for _, d := range []*document{first, second} {
				for _, warning := range d.Warnings {
					if warning.Code == pipeline.NonDeterminism {
						t.Errorf("run %s: %s", d.RunID, warning.Message)
					}
				}
			}
		})
	}
}

// The store is removed under a run: it fails, names what is gone, and leaves a store that works.
func TestStoreIsRemoved(t *testing.T) {
	w := newWorld(t)
	w.redis = needs.Redis(t).URL()
	w.worker(1)
	p := w.submitting(slow...)
	p.Await(started("train:random_forest"))
	if err := os.RemoveAll(w.store); err != nil && !errors.Is(err, syscall.ENOTEMPTY) { // the worker may write at the same time
		t.Fatal(err)
	}
	d := p.answer()
	if d.ExitCode == 0 || d.Error == nil || d.Error.Message == "" {
		t.Errorf("exit code %d, error %+v", d.ExitCode, d.Error)
	}
	w.redis = ""
	w.submit(quick...)
}
