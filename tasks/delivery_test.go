package tasks

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

func TestDrainFinishesWhatRuns(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		_, stop := b.worker(WorkerOptions{Concurrency: 1})
		dir := t.TempDir()
		id := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/started", Open: dir + "/open"}), stage("b", "text", textParams{"b"}, "a")))
		waitForPrefix(t, dir+"/started", 1)
		stopped := make(chan struct{})
		go func() {
			stop()
			close(stopped)
		}()
		if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		<-stopped
		r, err := b.client.Record(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if s, _ := r.Stage("a"); s.Status != pipeline.Succeeded {
			t.Fatalf("a is %s after the drain", s.Status)
		}
		if alive, err := b.client.Workers(context.Background()); err != nil || len(alive) != 0 {
			t.Errorf("workers %v, %v", alive, err)
		}
		b.worker(WorkerOptions{Concurrency: 1})
		if r, _ := b.wait(id); r.Status != pipeline.Succeeded {
			t.Errorf("status %s", r.Status)
		}
	})
}

func TestDrainHandsOverWhatDoesNotFinish(t *testing.T) {
	b := newBench(t, "")
	var log bytes.Buffer
	b.config.Log = slog.New(slog.NewTextHandler(&log, nil))
	_, stop := b.worker(WorkerOptions{Concurrency: 1, Grace: time.Millisecond})
	dir := t.TempDir()
	id := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/started", Open: dir + "/open"})))
	waitForPrefix(t, dir+"/started", 1)
	stop()
	if text := log.String(); strings.Contains(text, "stage failed") || !strings.Contains(text, "stage stopped") {
		t.Errorf("the log of a worker that stops speaks of a failure: %s", text)
	}
	b.config.Log = nil
	b.worker(WorkerOptions{Concurrency: 1})
	waitForPrefix(t, dir+"/started", 2)
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, events := b.wait(id)
	if s, _ := r.Stage("a"); s.Attempts != 2 || r.Status != pipeline.Succeeded || count(events, pipeline.StepHandedOver) != 1 {
		t.Errorf("attempts %d, status %s, events %+v", s.Attempts, r.Status, events)
	}
}

func TestLostTaskIsGivenOutAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, needs.Redis(t).URL())
	id := b.submit(plan(stage("a", "text", textParams{"a"})))
	b.loseTask(id, "a", 1)
	b.worker(WorkerOptions{Concurrency: 1})
	r, _ := b.wait(id)
	if s, _ := r.Stage("a"); r.Status != pipeline.Succeeded || s.Attempts != 2 {
		t.Errorf("status %s, attempts %d", r.Status, s.Attempts)
	}
}

// What waits for its turn to run alone is in the heartbeat, so that its task does not count as lost; and it runs alone.
func TestDangerousStageRunsAlone(t *testing.T) {
	b := newBench(t, "")
	ctx := context.Background()
	dir := t.TempDir()
	w, _ := b.worker(WorkerOptions{Concurrency: 3})
	long := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/long", Open: dir + "/open"})))
	waitForPrefix(t, dir+"/long", 1)
	m := newMachine(t, b, plan(stage("x", "gate", gateParams{Text: "x", Started: dir + "/alone", Open: dir + "/open"})), 1)
	p := plan(stage("x", "gate", gateParams{Text: "x", Started: dir + "/alone", Open: dir + "/open"}))
	text, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := b.store.PutBytes(ctx, text)
	if err != nil {
		t.Fatal(err)
	}
	pipe := b.conn.redis.Pipeline()
	pipe.HSet(ctx, b.client.keys(m.run).name("meta"), "plan", ref.Digest.String(), "plan_bytes", ref.Size)
	pipe.HSet(ctx, b.client.keys(m.run).name("stages"), "crash|x", maxShared)
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.client.handOut(ctx, b.client.queue, m.run, 0); err != nil {
		t.Fatal(err)
	}
	id := taskID(m.run, "x", 1)
	until(t, func() bool { return has([]WorkerInfo{w.snapshot()}, id) })
	m.want("x=READY/1")
	far := &round{looks: 1, now: time.Now().Add(time.Hour), alive: []WorkerInfo{w.snapshot()}, judge: true}
	i := m.inspect()
	if err := w.checkTask(ctx, i, i.live()[0], far); err != nil {
		t.Fatal(err)
	}
	m.want("x=READY/1")
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first, _ := b.wait(long)
	second, _ := b.wait(m.run)
	if a, x := first.Stages[0], second.Stages[0]; x.Status != pipeline.Succeeded || x.StartedAt.Before(a.FinishedAt) {
		t.Errorf("x is %s and started at %v, before a ended at %v", x.Status, x.StartedAt, a.FinishedAt)
	}
}

// A stage that does not heed its context is handed over when the worker stops.
func TestDrainLeavesDeafStages(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	dir := t.TempDir()
	w, stop := b.worker(WorkerOptions{Concurrency: 1, Grace: time.Millisecond})
	w.deaf = time.Millisecond
	id := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/started", Open: dir + "/open", Deaf: true})))
	waitForPrefix(t, dir+"/started", 1)
	stop()
	b.worker(WorkerOptions{Concurrency: 1})
	waitForPrefix(t, dir+"/started", 2)
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, events := b.wait(id)
	if r.Status != pipeline.Succeeded || count(events, pipeline.StepHandedOver) != 1 {
		t.Errorf("status %s, events %+v", r.Status, events)
	}
	until(t, func() bool { // the deaf one ends too, and changes nothing
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.attempts) == 0
	})
	if again, _ := b.wait(id); again.ResultDigest != r.ResultDigest {
		t.Error("the late end changed the record")
	}
}

// asynq may deliver a task twice; the second delivery does nothing.
func TestTaskDeliveredTwice(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		dir := t.TempDir()
		p := plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/started", Open: dir + "/open"}))
		id := b.submit(p)
		info, err := asynq.NewInspectorFromRedisClient(b.conn.redis).GetTaskInfo(b.client.queue, taskID(id, "a", 1))
		if err != nil {
			t.Fatal(err)
		}
		first, _ := b.worker(WorkerOptions{Concurrency: 1})
		waitForPrefix(t, dir+"/started", 1)
		second, err := NewWorker(b.config, WorkerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		task := asynq.NewTask(TaskType, info.Payload)
		if err := second.ProcessTask(ctx, task); err != nil { // taken
			t.Error(err)
		}
		if err := first.ProcessTask(ctx, task); !errors.Is(err, errNotMine) { // at work on it
			t.Errorf("error %v", err)
		}
		if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r, events := b.wait(id)
		if err := second.ProcessTask(ctx, task); err != nil { // done
			t.Error(err)
		}
		if r.Stages[0].Attempts != 1 || count(events, pipeline.StepStart) != 1 {
			t.Errorf("attempts %d, events %+v", r.Stages[0].Attempts, events)
		}
		if err := second.ProcessTask(ctx, asynq.NewTask(TaskType, []byte("{"))); !errors.Is(err, asynq.SkipRetry) {
			t.Errorf("a task that cannot be read: %v", err)
		}
		if err := second.ProcessTask(ctx, asynq.NewTask(TaskType, []byte(`{"schema":"hashline.task/9"}`))); !errors.Is(err, errNotMine) {
			t.Errorf("a task of a later version: %v", err)
		}
	})
}

// A worker that dies between taking a task and claiming its stage leaves it active in asynq for minutes.
func TestTaskTakenButNeverClaimed(t *testing.T) {
	b := newBench(t, "")
	ctx := context.Background()
	id := b.submit(plan(stage("a", "text", textParams{"a"})))
	task := taskID(id, "a", 1)
	pipe := b.conn.redis.Pipeline() // as asynq's own dequeue leaves it
	pipe.LMove(ctx, "asynq:{hashline}:pending", "asynq:{hashline}:active", "RIGHT", "LEFT")
	pipe.HSet(ctx, "asynq:{hashline}:t:"+task, "state", "active")
	pipe.ZAdd(ctx, "asynq:{hashline}:lease", redis.Z{Score: float64(time.Now().Add(time.Hour).Unix()), Member: task})
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	w, err := NewWorker(b.config, WorkerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t, b, id}
	i := m.inspect()
	check := func() {
		t.Helper()
		if err := w.checkTask(ctx, i, i.live()[0], &round{looks: 1, now: time.Now().Add(time.Hour), judge: true}); err != nil {
			t.Fatal(err)
		}
	}
	check()
	check()
	m.want("a=READY/1") // whoever took it may be about to claim
	w.active[task] = time.Now().Add(-unclaimedAfter)
	check()
	m.want("a=READY/2")
	b.worker(WorkerOptions{Concurrency: 1})
	if r, _ := b.wait(id); r.Status != pipeline.Succeeded {
		t.Errorf("status %s", r.Status)
	}
}
