package tasks

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

// seen watches a run until an event's message holds a text.
func (b *bench) seen(id, text string) {
	b.t.Helper()
	stop := errors.New("seen")
	if err := b.client.Watch(context.Background(), id, "", func(e pipeline.Event) error {
		if strings.Contains(e.Message, text) {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) {
		b.t.Fatalf("no event says %q: %v", text, err)
	}
}

// otherStore returns a configuration that differs by its store.
func (b *bench) otherStore() Config {
	b.t.Helper()
	other, err := artifact.Open(context.Background(), b.t.TempDir())
	if err != nil {
		b.t.Fatal(err)
	}
	c := b.config
	c.Store = other
	return c
}

// fewKinds returns a configuration that knows the kind boom alone.
func (b *bench) fewKinds() Config {
	b.t.Helper()
	kinds := toyKinds()
	registry, err := pipeline.NewRegistry(nil, kinds[len(kinds)-1])
	if err != nil {
		b.t.Fatal(err)
	}
	c := b.config
	c.Registry = registry
	return c
}

// with starts a worker of another configuration.
func (b *bench) with(c Config, o WorkerOptions) *Worker {
	b.t.Helper()
	own := b.config
	defer func() { b.config = own }()
	b.config = c
	w, _ := b.worker(o)
	return w
}

func TestWorkerLeavesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, why string
		config    func(b *bench) Config
	}{
		{"another store", "another store", (*bench).otherStore},
		{"a kind is lacking", "does not know the kind text", (*bench).fewKinds},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, b *bench) {
				t.Parallel()
				b.with(c.config(b), WorkerOptions{Concurrency: 1})
				id := b.submit(plan(stage("a", "text", textParams{"a"})))
				b.seen(id, c.why)
				list, err := b.client.Workers(context.Background())
				if err != nil || len(list) != 1 {
					t.Fatalf("workers %+v, %v", list, err)
				}
				own, _ := b.worker(WorkerOptions{Concurrency: 1})
				r, _ := b.wait(id)
				if r.Status != pipeline.Succeeded || r.Stages[0].Attempts != 1 || r.Stages[0].Worker != own.ID() {
					t.Errorf("status %s, stage %+v", r.Status, r.Stages[0])
				}
			})
		})
	}
}

// A task that no worker can do is not delivered for ever when its run is over.
func TestTaskForOthersEndsWithItsRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	b.with(b.otherStore(), WorkerOptions{Concurrency: 1})
	w, err := NewWorker(b.config, WorkerOptions{}) // asks for itself, at rest
	if err != nil {
		t.Fatal(err)
	}
	id := b.submit(plan(stage("a", "text", textParams{"a"})))
	b.seen(id, "another store")
	if w.over(context.Background(), &payload{Run: id, Stage: "a", Attempt: 1}) {
		t.Error("the task of a run that is not over counts as over")
	}
	if !w.over(context.Background(), &payload{Run: id, Stage: "a", Attempt: 2}) {
		t.Error("the task of another attempt does not count as over")
	}
	if err := b.client.Cancel(context.Background(), id, "enough"); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool {
		gone, err := w.taskGone(w.queue, taskID(id, "a", 1))
		return err == nil && gone
	})
}

// A worker whose store was removed says so, rather than talk of another store at the same place.
func TestStoreIsMadeAnewUnderAWorker(t *testing.T) {
	b := newBench(t, "")
	ctx := context.Background()
	b.worker(WorkerOptions{Concurrency: 1})
	dir := b.store.Location()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.store, err = artifact.Open(ctx, dir); err != nil {
		t.Fatal(err)
	}
	b.config.Store = b.store
	if b.client, err = NewClient(b.config); err != nil {
		t.Fatal(err)
	}
	id := b.submit(plan(stage("a", "text", textParams{"a"})))
	b.seen(id, "must be started again")
	b.worker(WorkerOptions{Concurrency: 1})
	if r, _ := b.wait(id); r.Status != pipeline.Succeeded {
		t.Errorf("status %s", r.Status)
	}
}

// Whoever cancels a run of another store leaves its record to a worker of that store.
func TestCancelFromAnotherStore(t *testing.T) {
	b := newBench(t, "")
	ctx := context.Background()
	id := b.submit(diamond())
	other := b.otherStore()
	client, err := NewClient(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Cancel(ctx, id, "enough"); err != nil {
		t.Fatal(err)
	}
	b.worker(WorkerOptions{Concurrency: 1})
	if r, _ := b.wait(id); r.Status != pipeline.Canceled {
		t.Errorf("status %s", r.Status)
	}
	if _, err := b.store.Run(ctx, id, pipeline.RecordDocument); err != nil {
		t.Errorf("the record is not in the store of the run: %v", err)
	}
	if _, err := other.Store.Run(ctx, id, pipeline.RecordDocument); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("a record in the other store: %v", err)
	}
}

// A plan of a later version waits for a worker that knows it.
func TestWorkerLeavesPlansThatItDoesNotUnderstand(t *testing.T) {
	b := newBench(t, "")
	ctx := context.Background()
	w := b.with(b.config, WorkerOptions{Concurrency: 1})
	ref, err := b.store.PutBytes(ctx, []byte(`{"schema":"hashline.plan/9","seed":1,"stages":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	p := &payload{Run: artifact.NewRunID(w.info.StartedAt), Stage: "a", Kind: "text", Attempt: 1, Store: b.store.ID(), Plan: ref}
	if _, got := w.foreign(ctx, p); got != "it does not understand the plan" {
		t.Errorf("got %q", got)
	}
}

// A worker of another store holds a lock of its own, and so keeps nobody from mending this one's runs. The queue of the
// mending worker is not the run's either.
func TestReconcilerOfAnotherStoreIsNoObstacle(t *testing.T) {
	t.Parallel()
	b := newBench(t, needs.Redis(t).URL())
	b.with(b.otherStore(), WorkerOptions{Concurrency: 1})
	elsewhere := b.config
	elsewhere.Queue = "elsewhere"
	b.with(elsewhere, WorkerOptions{Concurrency: 1})
	id := b.submit(plan(stage("a", "text", textParams{"a"})))
	b.loseTask(id, "a", 1)
	b.seen(id, "its task is lost")
	ctx := context.Background()
	until(t, func() bool {
		n, err := b.conn.redis.Exists(ctx, "asynq:{hashline}:t:"+taskID(id, "a", 2)).Result()
		return err == nil && n == 1
	})
	b.worker(WorkerOptions{Concurrency: 1})
	if r, _ := b.wait(id); r.Status != pipeline.Succeeded || r.Stages[0].Attempts != 2 {
		t.Errorf("status %s, attempts %d", r.Status, r.Stages[0].Attempts)
	}
}

// loseTask deletes a task behind the run's back, as an operator may.
func (b *bench) loseTask(run, stage string, attempt int) {
	b.t.Helper()
	id := taskID(run, stage, attempt)
	pipe := b.conn.redis.Pipeline()
	for _, list := range []string{"pending", "retry", "active"} {
		if list == "retry" {
			pipe.ZRem(context.Background(), "asynq:{hashline}:"+list, id)
			continue
		}
		pipe.LRem(context.Background(), "asynq:{hashline}:"+list, 0, id)
	}
	pipe.Del(context.Background(), "asynq:{hashline}:t:"+id)
	if _, err := pipe.Exec(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

func TestHostileTextsStayText(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.worker(WorkerOptions{Concurrency: 1})
		for _, text := range []string{"<script>\x1b[31m' OR 1=1 --", "]]..redis.call('FLUSHALL')..[[", "\x00\xff\n\r", strings.Repeat("x", 100_000)} {
			r, _ := b.wait(b.submit(plan(stage("a", "text", textParams{text}), stage("b", "boom", textParams{text}, "a"))))
			if got, want := b.output(r, "a"), strings.ToValidUTF8(text, "\ufffd"); got != want {
				t.Errorf("output %.40q, want %.40q", got, want)
			}
			if r.Error == nil || len(r.Error.Message) > maxMessage+4 {
				t.Errorf("error %+v", r.Error)
			}
		}
	})
}

func TestEventsAreStoredAsTheyWere(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.worker(WorkerOptions{Concurrency: 2})
		ctx := context.Background()
		id := b.submit(diamond())
		_, events := b.wait(id)
		text, err := b.store.Run(ctx, id, pipeline.EventsDocument)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n != len(events) {
			t.Errorf("%d events stored, want %d", n, len(events))
		}
		watch := func(after string) (types []string) {
			if err := b.client.Watch(ctx, id, after, func(e pipeline.Event) error {
				types = append(types, e.Type)
				return nil
			}); err != nil {
				t.Error(err)
			}
			return types
		}
		third := events[2].ID
		if got, want := len(watch(third)), len(events)-3; got != want {
			t.Errorf("%d events behind the third, want %d", got, want)
		}
		if got := watch(events[len(events)-1].ID); len(got) != 0 {
			t.Errorf("behind the last event come %v", got)
		}
		if err := b.conn.redis.Del(ctx, b.client.keys(id).all()...).Err(); err != nil { // a week later
			t.Fatal(err)
		}
		if got, want := len(watch("")), len(events); got != want {
			t.Errorf("%d events from the store, want %d", got, want)
		}
		if got, want := len(watch(third)), len(events)-3; got != want {
			t.Errorf("%d events from the store behind the third, want %d", got, want)
		}
	})
}

func TestWatchEndsWithItsContext(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		id := b.submit(diamond())
		ctx, cancel := context.WithCancel(context.Background())
		err := b.client.Watch(ctx, id, "", func(pipeline.Event) error {
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestSubmitRefusesPlansThatCannotEnd(t *testing.T) {
	b := newBench(t, "")
	for name, p := range map[string]*pipeline.Plan{
		"none":    nil,
		"empty":   plan(),
		"unseen":  {Stages: plan(stage("a", "text", nil)).Stages},
		"twice":   plan(stage("a", "text", nil), stage("a", "text", nil)),
		"name":    plan(stage("A/b", "text", nil)),
		"unknown": plan(stage("a", "text", nil, "b")),
		"circle":  plan(stage("a", "text", nil, "b"), stage("b", "text", nil, "a")),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.client.Submit(context.Background(), Request{Plan: p})
			if e := pipeline.AsError(err); e == nil || e.Class != pipeline.ClassUsage {
				t.Errorf("error %v", err)
			}
		})
	}
}
