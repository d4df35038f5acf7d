package tasks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashline/hashline/pipeline"
)

// fickle adds a kind to the bench that returns a stage which waits for the signal go, and whose later calls do what then says.
func (b *bench) fickle(then func(c *pipeline.Call) error) {
	b.t.Helper()
	var calls atomic.Int64
	kind := pipeline.Kind{Name: "fickle", Inputs: []pipeline.InputSpec{{Role: "in", Many: true, Optional: true}}, Outputs: outText, Expands: true, NeverCache: true, Run: func(_ context.Context, c *pipeline.Call) error {
		if calls.Add(1) > 1 {
			return then(c)
		}
		s := stage(c.Stage+":1", "text", textParams{"child"}, c.Stage)
		s.Wait = &pipeline.Wait{Signal: "go"}
		return errors.Join(c.Expand(s), join(c, "parent"))
	}}
	var err error
	if b.config.Registry, err = pipeline.NewRegistry(nil, append(toyKinds(), kind)...); err != nil {
		b.t.Fatal(err)
	}
}

// waiting submits a plan of one fickle stage and returns its record when the stage that it returned waits.
func (b *bench) waiting() (id string, parent pipeline.StageRecord) {
	b.t.Helper()
	id = b.submit(plan(stage("p", "fickle", nil)))
	until(b.t, func() bool {
		r, err := b.client.Record(context.Background(), id)
		if err == nil && r.Status != pipeline.Running {
			b.t.Fatalf("the run is over: %s, %+v", stageStatuses(r), r.Error)
		}
		if err != nil || !strings.Contains(stageStatuses(r), "p:1=WAITING") {
			return false
		}
		parent = r.Stages[0]
		return true
	})
	return id, parent
}

// What a stage returned stays what it was when the stage runs again, for a damaged output, and then does something else.
func TestReturnedStagesOutliveTheirMaker(t *testing.T) {
	for name, c := range map[string]struct {
		then  func(c *pipeline.Call) error
		run   string
		after string
	}{
		"it returns others": {func(c *pipeline.Call) error {
			return errors.Join(c.Expand(stage(c.Stage+":2", "text", nil)), join(c, "parent"))
		}, pipeline.Succeeded, "p=SUCCEEDED p:1=SUCCEEDED"},
		"it fails":      {func(*pipeline.Call) error { return errors.New("not twice") }, pipeline.Failed, "p=FAILED p:1=SKIPPED"},
		"it is skipped": {func(*pipeline.Call) error { return pipeline.Skip("not twice") }, pipeline.Succeeded, "p=SKIPPED p:1=SKIPPED"},
		"it is tried again": {func() func(c *pipeline.Call) error {
			var failed atomic.Bool
			return func(c *pipeline.Call) error {
				if !failed.Swap(true) {
					return fmt.Errorf("once")
				}
				return errors.Join(c.Expand(stage(c.Stage+":2", "text", nil)), join(c, "parent"))
			}
		}(), pipeline.Failed, "p=FAILED p:1=SKIPPED"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "")
			b.fickle(c.then)
			b.worker(WorkerOptions{Concurrency: 1})
			id, parent := b.waiting()
			for _, o := range parent.Outputs {
				if o.Name == "out" {
					damage(t, b.store, o.Digest)
				}
			}
			if err := b.client.Signal(context.Background(), id, "go"); err != nil {
				t.Fatal(err)
			}
			if r, _ := b.wait(id); r.Status != c.run || stageStatuses(r) != c.after {
				t.Errorf("%s: %s, want %s: %s; %+v", r.Status, stageStatuses(r), c.run, c.after, r.Error)
			}
		})
	}
}

// Where the store has lost what a stage returned, the run ends and is recorded all the same.
func TestLostReturnedStagesFailTheRun(t *testing.T) {
	b := newBench(t, "")
	b.fickle(func(*pipeline.Call) error { return nil })
	_, stop := b.worker(WorkerOptions{Concurrency: 1})
	id, parent := b.waiting()
	stop()
	damage(t, b.store, expansionOf(parent.Outputs).Digest)
	var err error
	if b.client, err = NewClient(b.config); err != nil { // with nothing in memory
		t.Fatal(err)
	}
	b.worker(WorkerOptions{Concurrency: 1})
	if err := b.client.Signal(context.Background(), id, "go"); err != nil {
		t.Fatal(err)
	}
	r, _ := b.wait(id)
	if r.Status != pipeline.Failed || stageStatuses(r) != "p=SUCCEEDED p:1=FAILED" || r.Error == nil || r.Error.Class != pipeline.ClassInternal {
		t.Errorf("%s: %s, %+v", r.Status, stageStatuses(r), r.Error)
	}
}
