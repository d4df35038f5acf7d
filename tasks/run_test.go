package tasks

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

func TestRunDiamond(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.worker(WorkerOptions{Concurrency: 4})
		r, events := b.wait(b.submit(diamond()))
		if r.Status != pipeline.Succeeded || r.ResultDigest == "" || r.Error != nil {
			t.Fatalf("status %s, digest %q, error %v", r.Status, r.ResultDigest, r.Error)
		}
		if got, want := b.output(r, "d"), "d(b(a))(c(a))"; got != want {
			t.Errorf("d = %q, want %q", got, want)
		}
		if events[0].Type != pipeline.RunEnqueued || !events[len(events)-1].EndsRun() || count(events, pipeline.StepSuccess) != 4 {
			t.Errorf("events %+v", events)
		}
		if r.Name != "test" || r.Tags["k"] != "v" {
			t.Errorf("name %q, tags %v", r.Name, r.Tags)
		}
		for _, s := range r.Stages {
			if s.Attempts != 1 || s.Cache != pipeline.CacheMiss || s.Worker == "" || s.StartedAt.IsZero() {
				t.Errorf("stage %+v", s)
			}
		}
		again, _ := b.wait(b.submit(diamond()))
		if again.ResultDigest != r.ResultDigest {
			t.Errorf("second digest %s, want %s", again.ResultDigest, r.ResultDigest)
		}
		for _, s := range again.Stages {
			if s.Cache != pipeline.CacheHit {
				t.Errorf("stage %s: cache %s, want a hit", s.Name, s.Cache)
			}
		}
		for _, name := range []string{pipeline.StartedDocument, pipeline.RecordDocument, pipeline.EventsDocument} {
			if _, err := b.store.Run(context.Background(), r.RunID, name); err != nil {
				t.Errorf("document %s: %v", name, err)
			}
		}
	})
}

func TestManyInputsUseAManifest(t *testing.T) {
	b := newBench(t, "")
	b.worker(WorkerOptions{Concurrency: 4})
	p := plan()
	var names []string
	want := "all"
	for i := range 20 {
		n := fmt.Sprintf("s%02d", i)
		p.Stages = append(p.Stages, stage(n, "text", textParams{n}))
		names = append(names, n)
		want += "(" + n + ")"
	}
	p.Stages = append(p.Stages, stage("all", "text", textParams{"all"}, names...))
	r, _ := b.wait(b.submit(p))
	if got := b.output(r, "all"); got != want {
		t.Errorf("all = %q, want %q", got, want)
	}
}

// Hundreds of stages become ready at once, and one waits for them all.
func TestWidePlan(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		const n = 600 // more events than longStream
		p := plan(stage("root", "text", textParams{"r"}))
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("s%d", i))
			p.Stages = append(p.Stages, stage(names[i], "text", textParams{fmt.Sprint(i)}, "root"))
		}
		p.Stages = append(p.Stages, stage("all", "text", textParams{"all"}, names...))
		b.worker(WorkerOptions{Concurrency: 4})
		b.worker(WorkerOptions{Concurrency: 4})
		r, events := b.wait(b.submit(p))
		if r.Status != pipeline.Succeeded || count(events, pipeline.StepStart) != n+2 || count(events, pipeline.StepSuccess) != n+2 {
			t.Errorf("status %s, %d starts, %d successes", r.Status, count(events, pipeline.StepStart), count(events, pipeline.StepSuccess))
		}
		seen := map[string]bool{}
		for _, e := range events {
			if seen[e.ID] {
				t.Fatalf("event %s comes twice", e.ID)
			}
			seen[e.ID] = true
		}
	})
}

func TestTwoSubmissionsAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.worker(WorkerOptions{Concurrency: 2})
		b.worker(WorkerOptions{Concurrency: 2})
		var ids []string
		for range 20 {
			ids = append(ids, b.submit(diamond()))
		}
		digests := map[string]bool{}
		for _, id := range ids {
			r, _ := b.wait(id)
			digests[r.ResultDigest] = true
			if r.Status != pipeline.Succeeded {
				t.Errorf("status %s", r.Status)
			}
		}
		if len(digests) != 1 {
			t.Errorf("%d result digests", len(digests))
		}
	})
}

func TestSubmitTwiceChangesNothing(t *testing.T) {
	b := newBench(t, "")
	b.worker(WorkerOptions{Concurrency: 1})
	id := b.submit(diamond())
	b.wait(id)
	if _, err := b.client.Submit(context.Background(), Request{RunID: id, Plan: diamond()}); err != nil {
		t.Fatal(err)
	}
	if _, events := b.wait(id); count(events, pipeline.RunEnqueued) != 1 {
		t.Error("the run was created twice")
	}
}

func TestTasksStartInParallel(t *testing.T) {
	b := newBench(t, needs.Redis(t).URL())
	for range 3 {
		b.worker(WorkerOptions{Concurrency: 1})
	}
	dir := t.TempDir()
	p := plan()
	for i := range 3 {
		p.Stages = append(p.Stages, stage(fmt.Sprintf("s%d", i), "gate", gateParams{Text: fmt.Sprint(i), Started: dir + "/started", Open: dir + "/open"}))
	}
	id := b.submit(p)
	waitForPrefix(t, dir+"/started", 3) // all three run before any may end
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, _ := b.wait(id); r.Status != pipeline.Succeeded {
		t.Errorf("status %s", r.Status)
	}
}

func BenchmarkDiamond(bm *testing.B) {
	ctx := context.Background()
	conn, err := StartEmbedded(ctx)
	if err != nil {
		bm.Fatal(err)
	}
	defer conn.Close()
	store, err := artifact.Open(ctx, bm.TempDir())
	if err != nil {
		bm.Fatal(err)
	}
	registry, err := pipeline.NewRegistry(nil, toyKinds()...)
	if err != nil {
		bm.Fatal(err)
	}
	config := Config{Conn: conn, Store: store, Registry: registry}
	client, err := NewClient(config)
	if err != nil {
		bm.Fatal(err)
	}
	w, err := NewWorker(config, WorkerOptions{})
	if err != nil {
		bm.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(run) }()
	p := diamond()
	if err := p.Validate(registry); err != nil {
		bm.Fatal(err)
	}
	for bm.Loop() {
		id, err := client.Submit(ctx, Request{Plan: p})
		if err != nil {
			bm.Fatal(err)
		}
		if err := client.Watch(ctx, id, "", func(pipeline.Event) error { return nil }); err != nil {
			bm.Fatal(err)
		}
	}
	stop()
	if err := <-done; err != nil {
		bm.Fatal(err)
	}
}
