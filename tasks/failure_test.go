package tasks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

func TestFailureSkipsDownstreamOnly(t *testing.T) {
	for _, c := range []struct {
		text, class string
		attempts    int
	}{{"bad", pipeline.ClassBadInput, 1}, {"no luck", pipeline.ClassStageFailed, 1}, {"panic", pipeline.ClassInternal, 1}, {"unreachable", pipeline.ClassUnreachable, maxRetries}} {
		t.Run(c.text, func(t *testing.T) {
			b := newBench(t, "")
			b.worker(WorkerOptions{Concurrency: 2})
			r, events := b.wait(b.submit(plan(stage("a", "text", textParams{"a"}), stage("b", "boom", textParams{c.text}, "a"),
				stage("c", "text", textParams{"c"}, "a"), stage("d", "text", textParams{"d"}, "b", "c"), stage("e", "text", textParams{"e"}, "d"))))
			if r.Status != pipeline.Failed || r.Error == nil || r.Error.Class != c.class || r.Error.Stage != "b" {
				t.Fatalf("status %s, error %+v", r.Status, r.Error)
			}
			for name, want := range map[string]string{"a": pipeline.Succeeded, "b": pipeline.Failed, "c": pipeline.Succeeded, "d": pipeline.Skipped, "e": pipeline.Skipped} {
				if s, _ := r.Stage(name); s.Status != want {
					t.Errorf("stage %s is %s, want %s", name, s.Status, want)
				}
			}
			if s, _ := r.Stage("b"); s.Attempts != c.attempts {
				t.Errorf("%d attempts, want %d", s.Attempts, c.attempts)
			}
			if count(events, pipeline.StepSkipped) != 2 || events[len(events)-1].Type != pipeline.RunFailure {
				t.Errorf("events %+v", events)
			}
			if r.ResultDigest != "" {
				t.Error("a failed run has a result digest")
			}
		})
	}
}

func TestCancel(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.worker(WorkerOptions{Concurrency: 2})
		dir := t.TempDir()
		id := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/started", Open: dir + "/never"}), stage("b", "text", textParams{"b"}, "a")))
		waitForPrefix(t, dir+"/started", 1)
		if err := b.client.Cancel(context.Background(), id, "enough"); err != nil {
			t.Fatal(err)
		}
		r, events := b.wait(id)
		if r.Status != pipeline.Canceled || r.Error == nil || r.Error.Class != pipeline.ClassCanceled {
			t.Fatalf("status %s, error %+v", r.Status, r.Error)
		}
		if events[len(events)-1].Type != pipeline.RunCanceled {
			t.Errorf("last event %+v", events[len(events)-1])
		}
		if err := b.client.Cancel(context.Background(), id, "again"); err != nil {
			t.Errorf("canceling a run that is over: %v", err)
		}
	})
}

func TestCancelBeforeAnyWorker(t *testing.T) {
	b := newBench(t, "")
	id := b.submit(diamond())
	if err := b.client.Cancel(context.Background(), id, "early"); err != nil {
		t.Fatal(err)
	}
	if r, _ := b.wait(id); r.Status != pipeline.Canceled {
		t.Errorf("status %s", r.Status)
	}
	if err := b.client.Cancel(context.Background(), "20260101-000000-aaaaaa", ""); !errors.Is(err, ErrNoRun) {
		t.Errorf("canceling an unknown run: %v", err)
	}
	if err := b.client.Watch(context.Background(), "20260101-000000-aaaaaa", "", nil); !errors.Is(err, ErrNoRun) {
		t.Errorf("watching an unknown run: %v", err)
	}
	if _, err := b.client.Record(context.Background(), "20260101-000000-aaaaaa"); !errors.Is(err, ErrNoRun) {
		t.Errorf("record of an unknown run: %v", err)
	}
}

func TestDamagedIntermediateIsMadeAgain(t *testing.T) {
	b := newBench(t, "")
	dir := t.TempDir()
	b.worker(WorkerOptions{Concurrency: 1})
	id := b.submit(plan(stage("a", "text", textParams{"a"}), stage("g", "gate", gateParams{Text: "g", Started: dir + "/started", Open: dir + "/open"}), stage("b", "text", textParams{"b"}, "a", "g")))
	waitForPrefix(t, dir+"/started", 1)
	r, err := b.client.Record(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := r.Stage("a")
	damage(t, b.store, a.Outputs[0].Digest)
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, events := b.wait(id)
	if r.Status != pipeline.Succeeded || b.output(r, "b") != "b(a)(g)" {
		t.Errorf("status %s, error %+v", r.Status, r.Error)
	}
	if s, _ := r.Stage("a"); s.Attempts != 2 || count(events, pipeline.BlobCorrupt) == 0 {
		t.Errorf("attempts %d, events %+v", s.Attempts, events)
	}
}

// damage flips one bit of a blob.
func damage(t *testing.T, store *artifact.Store, d artifact.Digest) {
	t.Helper()
	file := filepath.Join(store.Location(), "cas", "v1", "sha256", d.Hex()[:2], d.Hex())
	blob, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blob[0] ^= 1
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, blob, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedRunInputFails(t *testing.T) {
	b := newBench(t, "")
	ref, err := b.store.PutBytes(context.Background(), []byte("input"))
	if err != nil {
		t.Fatal(err)
	}
	damage(t, b.store, ref.Digest)
	p := plan(stage("a", "text", textParams{"a"}))
	p.Stages[0].Needs = []pipeline.Need{{Role: "in", Artifact: &ref}}
	b.worker(WorkerOptions{Concurrency: 1})
	r, _ := b.wait(b.submit(p))
	if r.Status != pipeline.Failed || !strings.Contains(r.Error.Message, ref.Digest.String()) {
		t.Errorf("status %s, error %+v", r.Status, r.Error)
	}
}

func TestRetriesThatARunAllows(t *testing.T) {
	for _, c := range []struct {
		text, class string
		attempts    int
	}{{"bad", pipeline.ClassBadInput, 1}, {"no luck", pipeline.ClassStageFailed, 2}, {"canceled", pipeline.ClassStageFailed, 2}, {"long", pipeline.ClassStageFailed, 2}} {
		t.Run(c.text, func(t *testing.T) {
			b := newBench(t, "")
			b.worker(WorkerOptions{Concurrency: 1})
			p := plan(stage("a", "boom", textParams{c.text}))
			id, err := b.client.Submit(context.Background(), Request{Plan: p, Attempts: 2})
			if err != nil {
				t.Fatal(err)
			}
			r, events := b.wait(id)
			if s := r.Stages[0]; s.Attempts != c.attempts || s.Error == nil || s.Error.Class != c.class || len(s.Error.Message) > maxMessage+4 {
				t.Errorf("attempts %d, error %+v", s.Attempts, s.Error)
			}
			if got, want := count(events, pipeline.StepUpForRetry), c.attempts-1; got != want {
				t.Errorf("%d retries, want %d", got, want)
			}
		})
	}
}

// The message of a cancel reaches a running stage by itself: here there is no flag that a heartbeat might find.
func TestCancelReachesARunningStage(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		b.worker(WorkerOptions{Concurrency: 1})
		dir := t.TempDir()
		id := b.submit(plan(stage("a", "gate", gateParams{Started: dir + "/started", Open: dir + "/never"})))
		waitForPrefix(t, dir+"/started", 1)
		until(t, func() bool { // the worker listens
			n, err := b.conn.redis.Publish(ctx, b.conn.key.cancelChannel(), id).Result()
			return err == nil && n > 0
		})
		if r, _ := b.wait(id); r.Status != pipeline.Canceled || r.Stages[0].Error.Class != pipeline.ClassCanceled {
			t.Errorf("status %s, stage %+v", r.Status, r.Stages[0])
		}
	})
}

// A cancel whose message got lost is found by the heartbeat.
func TestCancelIsFoundWithoutItsMessage(t *testing.T) {
	b := newBench(t, "")
	w, _ := b.worker(WorkerOptions{Concurrency: 1})
	dir := t.TempDir()
	id := b.submit(plan(stage("a", "gate", gateParams{Started: dir + "/started", Open: dir + "/never"})))
	waitForPrefix(t, dir+"/started", 1)
	if err := b.conn.redis.HSet(context.Background(), b.client.keys(id).name("meta"), "cancel", "quietly").Err(); err != nil {
		t.Fatal(err)
	}
	w.heartbeat(context.Background())
	if r, _ := b.wait(id); r.Status != pipeline.Canceled {
		t.Errorf("status %s", r.Status)
	}
}

// Whose plan is damaged before its first stage is handed out can neither run nor wait for ever.
func TestDamagedPlanFailsTheRun(t *testing.T) {
	b := newBench(t, "")
	ctx := context.Background()
	p := diamond()
	id := b.submit(p)
	d, err := p.Digest()
	if err != nil {
		t.Fatal(err)
	}
	damage(t, b.store, d)
	b.worker(WorkerOptions{Concurrency: 1}) // its memory has no plan yet
	r, events := b.wait(id)
	if r.Status != pipeline.Failed || r.Error == nil || !strings.Contains(r.Error.Message, d.String()) {
		t.Errorf("status %s, error %+v", r.Status, r.Error)
	}
	for name, want := range map[string]string{"a": pipeline.Failed, "b": pipeline.Skipped, "d": pipeline.Skipped} {
		if s, ok := r.Stage(name); !ok || s.Status != want {
			t.Errorf("stage %s: %+v, want %s", name, s, want)
		}
	}
	if !events[len(events)-1].EndsRun() {
		t.Error("the run does not end")
	}
	if _, err := b.store.Run(ctx, id, pipeline.RecordDocument); err != nil {
		t.Error(err)
	}
}

// The same when nobody has the plan in memory as the outbox is drained.
func TestDrainGivesUpOnAPlanThatIsGone(t *testing.T) {
	b := newBench(t, "")
	m := newMachine(t, b, diamond(), 1)
	ctx := context.Background()
	if err := b.client.start(ctx, Request{RunID: m.run, Plan: diamond()}, artifact.Ref{}); err != nil {
		t.Fatal(err)
	}
	if err := b.client.handOut(ctx, b.client.queue, m.run, 0); err != nil {
		t.Fatal(err)
	}
	r, _ := b.wait(m.run)
	if r.Status != pipeline.Failed || r.Error == nil || !strings.Contains(r.Error.Message, "plan") {
		t.Errorf("status %s, error %+v", r.Status, r.Error)
	}
}

func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		failure, cause error
		class, status  string
		limit          int
	}{
		"a stage's error":       {errors.New("x"), nil, pipeline.ClassStageFailed, pipeline.Failed, 0},
		"bad input":             {pipeline.BadInput("x"), nil, pipeline.ClassBadInput, pipeline.Failed, 1},
		"bad input, wrapped":    {fmt.Errorf("y: %w", pipeline.BadInput("x")), nil, pipeline.ClassBadInput, pipeline.Failed, 1},
		"the store":             {fmt.Errorf("y: %w", artifact.ErrUnreachable), nil, pipeline.ClassUnreachable, pipeline.Failed, maxRetries},
		"canceled":              {context.Canceled, errRunCanceled, pipeline.ClassCanceled, pipeline.Canceled, 1},
		"canceled, says itself": {context.Canceled, nil, pipeline.ClassStageFailed, pipeline.Failed, 0},
		"inputs not known":      {errInputs, nil, pipeline.ClassInternal, pipeline.Failed, 1},
		"not worth another try": {pipeline.Permanent(errors.New("x")), nil, pipeline.ClassStageFailed, pipeline.Failed, 1},
		"too slow":              {context.DeadlineExceeded, errTimeout, pipeline.ClassStageFailed, pipeline.Failed, 0},
		"no plan":               {fmt.Errorf("%w: gone", errPlan), nil, pipeline.ClassInternal, pipeline.Failed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			e, status, limit := verdict(c.failure, c.cause, time.Second)
			if e.Class != c.class || status != c.status || limit != c.limit {
				t.Errorf("got %s, %s, %d; want %s, %s, %d", e.Class, status, limit, c.class, c.status, c.limit)
			}
		})
	}
}
