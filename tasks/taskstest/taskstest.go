package taskstest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

// Patience is how long a harness waits for a run, or an event of it, before the test fails. Only a test that fails meets it.
const Patience = time.Minute

// Harness is a Redis and one worker for one test.
type Harness struct {
	Client *tasks.Client
	Config tasks.Config // as it was given, with what New filled in; for further workers and clients

	t testing.TB
}

// New starts a harness that ends with its test. The Config needs a Registry. Where it has no Conn, there is a Redis in this process; where it
// has no Store, what runs give lives in Redis alone, and nothing is cached: see Store.
func New(t testing.TB, c tasks.Config) *Harness {
	t.Helper()
	h := &Harness{Config: c, t: t}
	if h.Config.Conn == nil {
		conn, err := tasks.StartEmbedded(context.Background())
		h.check(err)
		t.Cleanup(func() { _ = conn.Close() })
		h.Config.Conn = conn
	}
	if h.Config.Log == nil {
		h.Config.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	var err error
	h.Client, err = tasks.NewClient(h.Config)
	h.check(err)
	h.work()
	return h
}

// work starts the worker. It ends before the connection is closed.
func (h *Harness) work() {
	h.t.Helper()
	worker, err := tasks.NewWorker(h.Config, tasks.WorkerOptions{Concurrency: 4, Grace: time.Second})
	h.check(err)
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- worker.Run(ctx) }()
	h.t.Cleanup(func() {
		stop()
		if err := <-over; err != nil {
			h.t.Errorf("the worker: %v", err)
		}
	})
}

// Store returns a new store in a folder of the test, for Config: with one, what is cached is found again, and outputs may be
// large.
func Store(t testing.TB) *artifact.Store {
	t.Helper()
	store, err := artifact.Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatalf("taskstest: %v", err)
	}
	return store
}

// Run runs a plan of the stages and returns what came of it.
func Run(t testing.TB, r *pipeline.Registry, stages ...pipeline.Stage) *Result {
	t.Helper()
	h := New(t, tasks.Config{Registry: r})
	return h.Wait(h.Submit(tasks.Request{}, stages...))
}

// Submit submits a request with a plan of the stages, or with the plan that it has if there are none, and returns the id of the run.
func (h *Harness) Submit(r tasks.Request, stages ...pipeline.Stage) string {
	h.t.Helper()
	if len(stages) > 0 {
		plan, err := pipeline.NewPlan(h.Config.Registry, stages...)
		h.check(err)
		r.Plan = plan
	}
	id, err := h.Client.Submit(context.Background(), r)
	h.check(err)
	return id
}

// Wait returns what came of a run when it is over.
func (h *Harness) Wait(run string) *Result {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	result := &Result{h: h}
	err := h.Client.Watch(ctx, run, "", func(e pipeline.Event) error {
		result.Events = append(result.Events, e)
		return nil
	})
	if err == nil {
		result.Record, err = h.Client.Record(ctx, run)
	}
	if err != nil {
		h.t.Fatalf("taskstest: run %s: %v, after the events %v", run, err, result.Types(""))
	}
	return result
}

// errSeen ends a watch.
var errSeen = errors.New("seen")

// Await returns the first event of a type, and of a stage unless that is empty, as soon as there is one. A run that ends without
// it fails the test.
func (h *Harness) Await(run, event, stage string) pipeline.Event {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	var found pipeline.Event
	err := h.Client.Watch(ctx, run, "", func(e pipeline.Event) error {
		if e.Type == event && (stage == "" || e.Stage == stage) {
			found = e
			return errSeen
		}
		return nil
	})
	if !errors.Is(err, errSeen) {
		h.t.Fatalf("taskstest: run %s had no event %s of stage %q: %v", run, event, stage, err)
	}
	return found
}

func (h *Harness) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("taskstest: %v", err)
	}
}
