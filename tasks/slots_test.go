package tasks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/pipeline"
)

// calling registers a kind beside the toys whose stage function is f.
func (b *bench) calling(f func(ctx context.Context, stage string) error) {
	b.t.Helper()
	kind := pipeline.Kind{Name: "call", NeverCache: true, Inputs: []pipeline.InputSpec{{Role: "in", Many: true, Optional: true}}, Outputs: outText,
		Run: func(ctx context.Context, c *pipeline.Call) error {
			if err := f(ctx, c.Stage); err != nil {
				return err
			}
			return join(c, "x")
		}}
	registry, err := pipeline.NewRegistry(nil, append(toyKinds(), kind)...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.config.Registry = registry
	if b.client, err = NewClient(b.config); err != nil {
		b.t.Fatal(err)
	}
}

// mounted starts a worker in an asynq server of somebody else's, with so many goroutines.
func (b *bench) mounted(o WorkerOptions, goroutines int) (w *Worker, stop func()) {
	b.t.Helper()
	w, err := NewWorker(b.config, o)
	if err != nil {
		b.t.Fatal(err)
	}
	server := asynq.NewServerFromRedisClient(b.conn.redis, asynq.Config{Concurrency: goroutines, Queues: map[string]int{w.queue: 1}, TaskCheckInterval: time.Millisecond,
		IsFailure: IsFailure, RetryDelayFunc: RetryDelay, LogLevel: asynq.FatalLevel})
	if err := server.Start(w); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
		server.Shutdown()
	})
	b.t.Cleanup(stop)
	return w, stop
}

// hurry lets a worker believe that its slots become free at a quick pace, from now on.
func hurry(w *Worker) {
	for range 100 {
		w.pace.ended(time.Now())
	}
}

// Short stages are taken ahead, and leave their slot early; never do more run than there are slots.
func TestSlotsBoundWhatRuns(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		const slots = 3
		var running, most atomic.Int64
		full := make(chan struct{}) // closed when as many ran at a time as there are slots
		b.calling(func(ctx context.Context, _ string) error {
			n := running.Add(1)
			defer running.Add(-1)
			for m := most.Load(); n > m; m = most.Load() {
				if most.CompareAndSwap(m, n) && n == slots {
					close(full)
				}
			}
			select {
			case <-full:
				for end := time.Now().Add(time.Millisecond); time.Now().Before(end); { // work, which others overlap with
					runtime.Gosched()
				}
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		var runs []string
		for range 8 {
			p := plan(stage("first", "call", nil))
			var middle []string
			for i := range 12 {
				up, down := fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)
				p.Stages = append(p.Stages, stage(up, "call", nil, "first"), stage(down, "call", nil, up))
				middle = append(middle, down)
			}
			p.Stages = append(p.Stages, stage("last", "call", nil, middle...))
			runs = append(runs, b.submit(p))
		}
		w, _ := b.worker(WorkerOptions{Concurrency: slots})
		for _, id := range runs {
			r, events := b.wait(id)
			if r.Status != pipeline.Succeeded || count(events, pipeline.StepSuccess) != len(r.Stages) {
				t.Errorf("status %s, %d successes of %d stages", r.Status, count(events, pipeline.StepSuccess), len(r.Stages))
			}
		}
		if n := most.Load(); n != slots {
			t.Errorf("%d stages ran at a time, want %d", n, slots)
		}
		until(t, func() bool { // nothing is left behind: all can run alone again
			w.gate.mu.Lock()
			defer w.gate.mu.Unlock()
			return w.gate.tasks == 0 && w.gate.coming == 0
		})
		if !w.company.TryAcquire(everybody) || !w.slots.TryAcquire(slots) {
			t.Error("a task or a slot is held though nothing runs")
		}
	})
}

// Behind a long stage nothing is taken: the next stage's task stays on the queue for a worker that has a slot.
func TestNothingIsTakenBehindLongStages(t *testing.T) {
	b := newBench(t, "")
	dir := t.TempDir()
	w, _ := b.worker(WorkerOptions{Concurrency: 1})
	long := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/long", Open: dir + "/open"})))
	waitForPrefix(t, dir+"/long", 1)
	next := b.submit(diamond())
	b.worker(WorkerOptions{Concurrency: 1})
	r, events := b.wait(next)
	for _, s := range r.Stages {
		if s.Attempts != 1 || s.Worker == w.ID() {
			t.Errorf("attempt %d of %s ran on %s", s.Attempts, s.Name, s.Worker)
		}
	}
	if n := count(events, pipeline.EngineEvent); n != 0 {
		t.Errorf("%d times something of the engine: %+v", n, events)
	}
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.wait(long)
}

// A stage that was taken and finds all slots full of long ones is left to others, uncharged, and not taken again meanwhile.
func TestStageTakenAheadIsLeftToOthers(t *testing.T) {
	for name, start := range map[string]func(b *bench) (*Worker, func()){
		"mounted": func(b *bench) (*Worker, func()) {
			return b.mounted(WorkerOptions{Concurrency: 1, Grace: time.Millisecond}, 2)
		},
		"own": func(b *bench) (*Worker, func()) {
			return b.worker(WorkerOptions{Concurrency: 1, Grace: time.Millisecond})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "")
			dir := t.TempDir()
			first, stop := start(b)
			long := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/long", Open: dir + "/open"})))
			waitForPrefix(t, dir+"/long", 1)
			next := b.submit(plan(stage("b", "text", textParams{"b"})))
			until(t, func() bool { // its own server takes nothing ahead at the pace of long stages
				hurry(first)
				first.gate.look()
				number, err := b.conn.redis.HGet(t.Context(), b.client.keys(next).name("stages"), "attempt|b").Result()
				return err == nil && number == "2"
			})
			handedBack := b.event(next, pipeline.EngineEvent)
			if !strings.Contains(handedBack.Message, "no slot") {
				t.Errorf("the event says %q", handedBack.Message)
			}
			second, _ := b.worker(WorkerOptions{Concurrency: 1})
			r, events := b.wait(next)
			if s := r.Stages[0]; s.Status != pipeline.Succeeded || s.Worker != second.ID() || s.Attempts != 2 || count(events, pipeline.EngineEvent) != 1 {
				t.Errorf("attempt %d is %s on %s: %+v", s.Attempts, s.Status, s.Worker, events)
			}
			if n, err := b.conn.redis.HGet(t.Context(), b.client.keys(next).name("stages"), "crash|b").Result(); !errors.Is(err, redis.Nil) {
				t.Errorf("charged with %s, %v", n, err)
			}
			stop() // the long one is handed over
			waitForPrefix(t, dir+"/long", 2)
			if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if r, _ := b.wait(long); r.Status != pipeline.Succeeded || r.Stages[0].Worker != second.ID() {
				t.Errorf("%s on %s", r.Status, r.Stages[0].Worker)
			}
		})
	}
}

// event returns the first event of a type.
func (b *bench) event(run, kind string) pipeline.Event {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	found := errors.New("found")
	var event pipeline.Event
	if err := b.client.Watch(ctx, run, "", func(e pipeline.Event) error {
		if e.Type == kind {
			event = e
			return found
		}
		return nil
	}); !errors.Is(err, found) {
		b.t.Fatalf("no event %s: %v", kind, err)
	}
	return event
}

// A worker that is told to stop while a stage waits for a slot leaves that to others at once.
func TestDrainWithStagesTakenAhead(t *testing.T) {
	b := newBench(t, "")
	dir := t.TempDir()
	first, stop := b.worker(WorkerOptions{Concurrency: 1})
	long := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/long", Open: dir + "/open"})))
	waitForPrefix(t, dir+"/long", 1)
	if err := first.company.Acquire(t.Context(), 1); err != nil { // so that what is taken waits without end
		t.Fatal(err)
	}
	p := plan(stage("b", "text", textParams{"b"}))
	next := b.submit(p)
	ref, err := b.client.redis.HMGet(t.Context(), b.client.keys(next).name("meta"), "plan", "plan_bytes").Result()
	if err != nil {
		t.Fatal(err)
	}
	s := &state{run: next, meta: map[string]string{"plan": fmt.Sprint(ref[0]), "plan_bytes": fmt.Sprint(ref[1])}}
	waiting := &payload{Schema: payloadSchema, Run: next, Stage: "b", Kind: "text", Attempt: 1, Store: b.store.ID(), Plan: s.planRef(), Alone: true}
	done := make(chan error, 1)
	go func() { done <- first.process(context.Background(), waiting, p.Stages[0]) }()
	until(t, func() bool { return has([]WorkerInfo{first.snapshot()}, waiting.id()) })
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	if err := <-done; err != nil { // though the long stage has all the grace
		t.Error(err)
	}
	if e := b.event(next, pipeline.EngineEvent); !strings.Contains(e.Message, "stops") {
		t.Errorf("the event says %q", e.Message)
	}
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-stopped
	if r, events := b.wait(long); r.Status != pipeline.Succeeded || r.Stages[0].Worker != first.ID() || count(events, pipeline.StepStart) != 1 {
		t.Errorf("%s on %s: %+v", r.Status, r.Stages[0].Worker, events)
	}
	b.worker(WorkerOptions{Concurrency: 1})
	if r, _ := b.wait(next); r.Status != pipeline.Succeeded {
		t.Errorf("status %s", r.Status)
	}
}

// A successor that this worker went on with, and that finds no slot, goes to others, uncharged.
func TestSuccessorWithoutSlotIsHandedOver(t *testing.T) {
	b := newBench(t, "")
	var w *Worker
	taken := make(chan struct{})
	b.calling(func(ctx context.Context, stage string) error {
		if stage != "a" {
			return nil
		}
		hurry(w)
		waits := make(chan struct{})
		go func() { // somebody else gets the slot that a leaves
			close(waits)
			if w.slots.Acquire(context.Background(), 1) == nil {
				close(taken)
			}
		}()
		<-waits
		for w.slots.TryAcquire(1) { // until it stands in line
			w.slots.Release(1)
		}
		return nil
	})
	w, err := NewWorker(b.config, WorkerOptions{Concurrency: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.slots.Acquire(t.Context(), 1); err != nil { // the other slot is full
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	id := b.submit(plan(stage("a", "call", nil), stage("b", "call", nil, "a")))
	e := b.event(id, pipeline.StepHandedOver)
	<-taken
	w.slots.Release(2)
	r, events := b.wait(id)
	if s := r.Stages[1]; r.Status != pipeline.Succeeded || s.Attempts != 2 || e.Stage != "b" || !strings.Contains(e.Message, "no slot") || count(events, pipeline.StepHandedOver) != 1 {
		t.Errorf("%s, attempt %d: %+v", r.Status, s.Attempts, events)
	}
	if n, err := b.conn.redis.HGet(t.Context(), b.client.keys(id).name("stages"), "crash|b").Result(); !errors.Is(err, redis.Nil) {
		t.Errorf("charged with %s, %v", n, err)
	}
}

// A worker goes on with as many short successors as it has room for, without tasks of their own; others go through the queue,
// but for the first.
func TestGoesOnWithShortStages(t *testing.T) {
	for _, c := range []struct {
		name  string
		slots int
		lasts time.Duration // what is known of their kind
		tasks string
	}{
		{"short", 4, time.Millisecond, "a:1"},
		{"short, with less room", 2, time.Millisecond, "a:1 b2:1 b3:1"},
		{"long", 4, time.Minute, "a:1 b1:1 b2:1 b3:1"},
		{"not known", 4, 0, "a:1 b1:1 b2:1 b3:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "")
			w, err := NewWorker(b.config, WorkerOptions{Concurrency: c.slots})
			if err != nil {
				t.Fatal(err)
			}
			if c.lasts > 0 {
				w.lengths.add("gate", c.lasts)
			}
			dir := t.TempDir()
			p := plan(stage("a", "score", textParams{"a"}))
			for i := range 4 { // they last until all tasks are made, so that none makes room
				p.Stages = append(p.Stages, stage(fmt.Sprintf("b%d", i), "gate", gateParams{Text: fmt.Sprint(i), Started: dir + "/started", Open: dir + "/open"}, "a"))
			}
			id := b.submit(p)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- w.Run(ctx) }()
			defer func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}()
			waitForPrefix(t, dir+"/started", c.slots)
			prefix := "asynq:{" + w.queue + "}:t:" + id + ":"
			var tasks []string
			until(t, func() bool {
				keys, err := b.conn.redis.Keys(t.Context(), prefix+"*").Result()
				tasks = nil
				for _, key := range keys {
					tasks = append(tasks, strings.TrimPrefix(key, prefix))
				}
				slices.Sort(tasks)
				return err == nil && len(tasks) >= len(strings.Fields(c.tasks))
			})
			if got := strings.Join(tasks, " "); got != c.tasks {
				t.Errorf("tasks %s, want %s", got, c.tasks)
			}
			if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if r, events := b.wait(id); r.Status != pipeline.Succeeded || count(events, pipeline.StepStart) != 5 {
				t.Errorf("%s: %+v", r.Status, events)
			}
		})
	}
}

func TestPace(t *testing.T) {
	start := time.Now()
	var p pace
	if n := p.ends(start); n != 0 {
		t.Errorf("%d ends of stages to come before any, want 0", n)
	}
	at := start
	end := func(n int, gap time.Duration) {
		for range n {
			at = at.Add(gap)
			p.ended(at)
		}
	}
	for _, step := range []struct {
		n    int
		gap  time.Duration
		idle time.Duration // that passes after that
		want int           // in the time that is looked ahead
	}{
		{2, time.Millisecond, 0, 0},   // two are no pace yet
		{100, time.Millisecond, 0, 9}, // of a tenth of the time each
		{0, 0, 5 * time.Millisecond, 2},
		{0, 0, time.Second, 0},
		{1, time.Hour, 0, 0}, // counts as slowPace, so that it is soon forgotten
		{60, time.Millisecond, 0, 9},
		{1, -time.Hour, 0, 10}, // the clock was set back
	} {
		end(step.n, step.gap)
		if n := p.ends(at.Add(step.idle)); n != step.want && n != step.want+1 {
			t.Errorf("after %d at intervals of %v and %v: %d ends to come, want %d", step.n, step.gap, step.idle, n, step.want)
		}
	}
}

func TestGate(t *testing.T) {
	g := newGate()
	most := atomic.Int64{}
	most.Store(2)
	entered := make(chan bool)
	enter := func() { entered <- g.wait(func() int { return int(most.Load()) }) }
	let := func() {
		t.Helper()
		if !<-entered {
			t.Fatal("the gate is closed")
		}
	}
	go enter()
	let()
	g.took()
	done := g.arrived()
	g.arrived() // one that came another way counts as well
	go enter()
	select {
	case <-entered:
		t.Fatal("there are as many as may be")
	default:
	}
	done()
	let()
	g.took() // and nobody can read it
	most.Store(2)
	go enter()
	let()
	if g.tasks != 1 || g.coming != 0 {
		t.Errorf("%d tasks, %d on their way, want 1 and 0", g.tasks, g.coming)
	}
	most.Store(0)
	go enter()
	g.close()
	if <-entered {
		t.Error("the gate is open")
	}
}

func TestLengths(t *testing.T) {
	var l lengths
	for _, step := range []struct {
		kind string
		d    time.Duration
		want bool
	}{
		{"a", time.Millisecond, true}, {"b", time.Hour, false}, {"a", 10 * time.Millisecond, true}, {"a", time.Hour, false}, {"b", 0, false},
	} {
		l.add(step.kind, step.d)
		if got := l.short(step.kind); got != step.want {
			t.Errorf("after %v, %s is short: %t", step.d, step.kind, got)
		}
	}
	if l.short("c") {
		t.Error("a kind that nobody knows is short")
	}
}
