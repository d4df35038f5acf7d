package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/hashline/hashline/pipeline"
)

// fanParams says how many stages to return, and what they say.
type fanParams struct {
	Texts []string `json:"texts"`
}

// fanKind returns a text stage for each text.
func fanKind() pipeline.Kind {
	return pipeline.Kind{Name: "fan", Inputs: []pipeline.InputSpec{{Role: "in", Many: true, Optional: true}}, Outputs: outText, Expands: true, Params: func() any { return &fanParams{} },
		Run: func(_ context.Context, c *pipeline.Call) error {
			for i, text := range c.Params.(*fanParams).Texts {
				kind := "text"
				if text == "boom" {
					kind = "boom"
				}
				s := stage(fmt.Sprintf("%s:%d", c.Stage, i), kind, textParams{text}, c.Stage)
				if err := c.Expand(s); err != nil {
					return err
				}
			}
			return join(c, "fan")
		}}
}

// skipKind has nothing to do.
func skipKind() pipeline.Kind {
	return pipeline.Kind{Name: "nothing", Inputs: []pipeline.InputSpec{{Role: "in", Many: true, Optional: true}}, Outputs: outText,
		Run: func(context.Context, *pipeline.Call) error { return pipeline.Skip("nothing to do") }}
}

// scoreKind gives a number as JSON, in the state of the run.
func scoreKind() pipeline.Kind {
	return pipeline.Kind{Name: "score", Inputs: []pipeline.InputSpec{{Role: "in", Many: true, Optional: true}}, Outputs: []pipeline.OutputSpec{{Name: "out", Class: pipeline.Result, MediaType: "application/json"}},
		Inline: true, NeverCache: true, Params: func() any { return &textParams{} },
		Run: func(_ context.Context, c *pipeline.Call) error {
			return c.WriteJSON("out", map[string]string{"score": c.Params.(*textParams).Text})
		}}
}

// needing adds needs to a stage.
func needing(s pipeline.Stage, needs ...pipeline.Need) pipeline.Stage {
	s.Needs = append(s.Needs, needs...)
	return s
}

// stageStatuses returns the status of every stage, as a=SUCCEEDED.
func stageStatuses(r *pipeline.RunRecord) string {
	var list []string
	for _, s := range r.Stages {
		list = append(list, s.Name+"="+s.Status)
	}
	return strings.Join(list, " ")
}

func TestGraphFeatures(t *testing.T) {
	goOn := func(up string) pipeline.Need {
		return pipeline.Need{Role: "in", Stage: up, Output: "out", OnFailure: pipeline.GoOn}
	}
	always := func(s pipeline.Stage) pipeline.Stage {
		s.Always = true
		return s
	}
	on := func(s pipeline.Stage, c pipeline.Condition) pipeline.Stage {
		s.If = &c
		return s
	}
	each := pipeline.Need{Role: "in", Stage: "f", Output: "out", Each: true}
	for name, c := range map[string]struct {
		plan   *pipeline.Plan
		run    string
		want   string
		output string // of the last stage
	}{
		"a failure that others go on without": {
			plan(stage("a", "boom", textParams{"x"}), needing(stage("b", "text", textParams{"b"}), goOn("a"))),
			pipeline.Succeeded, "a=FAILED b=SUCCEEDED", "b"},
		"cleanup runs after a failure, and does not hide it": {
			plan(stage("a", "boom", textParams{"x"}), stage("b", "text", textParams{"b"}, "a"), always(stage("c", "text", textParams{"c"}, "a", "b"))),
			pipeline.Failed, "a=FAILED b=SKIPPED c=SUCCEEDED", "c"},
		"a failure that the run cannot do without": {
			plan(stage("a", "boom", textParams{"x"}), needing(stage("b", "text", nil), pipeline.Need{Role: "in", Stage: "a", Output: "out", OnFailure: pipeline.FailRun}),
				pipeline.Stage{Name: "w", Kind: "text", Wait: &pipeline.Wait{Signal: "never"}}, always(stage("z", "text", textParams{"z"}, "w"))),
			pipeline.Failed, "a=FAILED b=CANCELED w=CANCELED z=SUCCEEDED", "z"},
		"a stage that has nothing to do": {
			plan(stage("a", "nothing", nil), stage("b", "text", nil, "a"), needing(stage("c", "text", textParams{"c"}), goOn("a"))),
			pipeline.Succeeded, "a=SKIPPED b=SKIPPED c=SUCCEEDED", "c"},
		"conditions": {
			plan(stage("a", "score", textParams{"0.9"}), on(stage("b", "text", nil), pipeline.Condition{Stage: "a", Output: "out", Path: "/score", Op: "==", Value: json.RawMessage(`"0.1"`)}),
				on(stage("c", "text", textParams{"c"}), pipeline.Condition{Stage: "a", Output: "out", Path: "/score", Op: "==", Value: json.RawMessage(`"0.9"`)})),
			pipeline.Succeeded, "a=SUCCEEDED b=SKIPPED c=SUCCEEDED", "c"},
		"returned stages, collected": {
			plan(stage("f", "fan", fanParams{[]string{"x", "y", "z"}}), needing(stage("all", "text", textParams{"all"}), each)),
			pipeline.Succeeded, "f=SUCCEEDED all=SUCCEEDED f:0=SUCCEEDED f:1=SUCCEEDED f:2=SUCCEEDED", "all(x(fan))(y(fan))(z(fan))"},
		"no stages returned": {
			plan(stage("f", "fan", fanParams{}), needing(stage("all", "text", textParams{"all"}), each)),
			pipeline.Succeeded, "f=SUCCEEDED all=SUCCEEDED", "all"},
		"a returned stage fails": {
			plan(stage("f", "fan", fanParams{[]string{"x", "boom"}}), needing(stage("all", "text", nil), each)),
			pipeline.Failed, "f=SUCCEEDED all=SKIPPED f:0=SUCCEEDED f:1=FAILED", ""},
		"a returned stage fails, and the others are enough": {
			plan(stage("f", "fan", fanParams{[]string{"x", "boom"}}), needing(stage("all", "text", textParams{"all"}), pipeline.Need{Role: "in", Stage: "f", Output: "out", Each: true, OnFailure: pipeline.GoOn})),
			pipeline.Succeeded, "f=SUCCEEDED all=SUCCEEDED f:0=SUCCEEDED f:1=FAILED", "all(x(fan))"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, b *bench) {
				b.worker(WorkerOptions{Concurrency: 2})
				r, _ := b.wait(b.submit(c.plan))
				if got := stageStatuses(r); r.Status != c.run || got != c.want {
					t.Errorf("%s: %s\nwant %s: %s\n%+v", r.Status, got, c.run, c.want, r.Error)
				}
				for _, s := range c.plan.Stages {
					if got, _ := r.Stage(s.Name); c.output != "" && got.Status == pipeline.Succeeded && s.Name == c.plan.Stages[len(c.plan.Stages)-1].Name {
						if out := b.output(r, s.Name); out != c.output {
							t.Errorf("output %q, want %q", out, c.output)
						}
					}
				}
				again, _ := b.wait(b.submit(c.plan))
				if again.ResultDigest != r.ResultDigest || stageStatuses(again) != stageStatuses(r) {
					t.Errorf("again: %s, %s", stageStatuses(again), again.ResultDigest)
				}
			})
		})
	}
}

func TestWaits(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		b.worker(WorkerOptions{Concurrency: 1})
		id := b.submit(plan(stage("a", "text", textParams{"a"}),
			needing(pipeline.Stage{Name: "s", Kind: "text", Wait: &pipeline.Wait{Signal: "go"}}, pipeline.Need{Stage: "a"}),
			needing(pipeline.Stage{Name: "d", Kind: "text", Wait: &pipeline.Wait{Delay: pipeline.Duration(50 * time.Millisecond)}}, pipeline.Need{Stage: "a"}),
			needing(pipeline.Stage{Name: "both", Kind: "text", Wait: &pipeline.Wait{Delay: pipeline.Duration(30 * time.Millisecond), Signal: "go"}}, pipeline.Need{Stage: "a"})))
		var r *pipeline.RunRecord
		until(t, func() bool {
			var err error
			r, err = b.client.Record(ctx, id)
			return err == nil && strings.Contains(stageStatuses(r), "d=SUCCEEDED")
		})
		if s, _ := r.Stage("s"); s.Status != pipeline.Waiting || !strings.Contains(s.WaitReason, "signal go") {
			t.Errorf("s: %+v", s)
		}
		d, _ := r.Stage("d")
		if a, _ := r.Stage("a"); d.StartedAt.Sub(a.FinishedAt) < 50*time.Millisecond {
			t.Errorf("d started %v after a", d.StartedAt.Sub(a.FinishedAt))
		}
		if err := b.client.Signal(ctx, id, "go"); err != nil {
			t.Fatal(err)
		}
		if r, _ = b.wait(id); r.Status != pipeline.Succeeded {
			t.Errorf("%s: %s", r.Status, stageStatuses(r))
		}
		if err := b.client.Signal(ctx, id, "go"); pipeline.AsError(err) == nil || pipeline.AsError(err).Class != pipeline.ClassUsage {
			t.Errorf("a signal to a run that is over: %v", err)
		}
	})
}

func TestRetryPolicyAndTimeout(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.worker(WorkerOptions{Concurrency: 2})
		dir := t.TempDir()
		slow := stage("slow", "gate", gateParams{Open: dir + "/never"})
		slow.Timeout = pipeline.Duration(30 * time.Millisecond)
		slow.Retry = &pipeline.Retry{Attempts: 2}
		tried := stage("tried", "boom", textParams{"x"})
		tried.Retry = &pipeline.Retry{Attempts: 3, Backoff: pipeline.Duration(20 * time.Millisecond)}
		r, events := b.wait(b.submit(plan(slow, tried)))
		s, _ := r.Stage("slow")
		if s.Status != pipeline.Failed || s.Attempts != 2 || !strings.Contains(s.Error.Message, "longer than 30ms") {
			t.Errorf("slow: %+v, %+v", s, s.Error)
		}
		s, _ = r.Stage("tried")
		if s.Status != pipeline.Failed || s.Attempts != 3 {
			t.Errorf("tried: %+v", s)
		}
		var started []time.Time
		for _, e := range events {
			if e.Type == pipeline.StepStart && e.Stage == "tried" {
				started = append(started, e.Time)
			}
		}
		if len(started) != 3 || started[1].Sub(started[0]) < 20*time.Millisecond || started[2].Sub(started[1]) < 40*time.Millisecond {
			t.Errorf("started at %v", started)
		}
	})
}

// A stage that does not heed the end of its time is given up while it still runs.
func TestTimeoutOfADeafStage(t *testing.T) {
	b := newBench(t, "")
	w, _ := b.worker(WorkerOptions{Concurrency: 1})
	w.deaf = time.Millisecond
	dir := t.TempDir()
	s := stage("a", "gate", gateParams{Open: dir + "/open", Deaf: true})
	s.Timeout = pipeline.Duration(10 * time.Millisecond)
	r, _ := b.wait(b.submit(plan(s)))
	if r.Status != pipeline.Failed {
		t.Errorf("status %s", r.Status)
	}
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A run that is canceled ends, though a stage of it does not heed that; what the stage makes at last changes nothing.
func TestCancelOfADeafStage(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		w, _ := b.worker(WorkerOptions{Concurrency: 1})
		w.deaf = time.Millisecond
		dir := t.TempDir()
		id := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/started", Open: dir + "/open", Deaf: true}), stage("b", "text", textParams{"b"}, "a")))
		waitForPrefix(t, dir+"/started", 1)
		if err := b.client.Cancel(context.Background(), id, "enough"); err != nil {
			t.Fatal(err)
		}
		r, _ := b.wait(id)
		if r.Status != pipeline.Canceled || stageStatuses(r) != "a=CANCELED b=CANCELED" {
			t.Errorf("status %s, %s", r.Status, stageStatuses(r))
		}
		if e := r.Stages[0].Error; e == nil || e.Class != pipeline.ClassCanceled || !strings.Contains(e.Message, "given up while it still ran") {
			t.Errorf("error %+v", e)
		}
		if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		until(t, func() bool { // the deaf one ends too
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.attempts) == 0
		})
		if again, _ := b.wait(id); stageStatuses(again) != "a=CANCELED b=CANCELED" || len(again.Stages[0].Outputs) != 0 {
			t.Errorf("the late end changed the record: %s, %+v", stageStatuses(again), again.Stages[0])
		}
		if r, _ := b.wait(b.submit(diamond())); r.Status != pipeline.Succeeded { // and leaves its slot
			t.Errorf("the next run: status %s", r.Status)
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		dir := t.TempDir()
		id := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/started", Open: dir + "/open"}), stage("b", "text", textParams{"b"}, "a"), stage("c", "text", textParams{"c"}, "b")))
		b.worker(WorkerOptions{Concurrency: 2})
		waitForPrefix(t, dir+"/started", 1)
		if err := errors.Join(b.client.Pause(ctx, id), b.client.Pause(ctx, id)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		until(t, func() bool {
			r, err := b.client.Record(ctx, id)
			return err == nil && strings.HasPrefix(stageStatuses(r), "a=SUCCEEDED")
		})
		other, _ := b.wait(b.submit(diamond())) // would b have been taken, it had been before this
		if r, err := b.client.Record(ctx, id); err != nil || stageStatuses(r) != "a=SUCCEEDED b=PENDING c=PENDING" || other.Status != pipeline.Succeeded {
			t.Errorf("%s, %v", stageStatuses(r), err)
		}
		if err := b.client.Resume(ctx, id); err != nil {
			t.Fatal(err)
		}
		if r, _ := b.wait(id); r.Status != pipeline.Succeeded {
			t.Errorf("status %s", r.Status)
		}
		if err := b.client.Pause(ctx, id); pipeline.AsError(err) == nil || pipeline.AsError(err).Class != pipeline.ClassUsage {
			t.Errorf("pausing a run that is over: %v", err)
		}
	})
}

// A paused run's stage whose task is on the queue already goes back to its list.
func TestPausedBeforeTheClaim(t *testing.T) {
	b := newBench(t, "")
	ctx := context.Background()
	id := b.submit(diamond())
	if err := b.client.Pause(ctx, id); err != nil {
		t.Fatal(err)
	}
	b.worker(WorkerOptions{Concurrency: 1})
	m := &machine{t, b, id}
	until(t, func() bool {
		s, err := b.client.load(ctx, id)
		return err == nil && s.get("attempt", "a") == "2"
	})
	m.want("a=READY/2")
	if err := b.client.Resume(ctx, id); err != nil {
		t.Fatal(err)
	}
	if r, _ := b.wait(id); r.Status != pipeline.Succeeded {
		t.Errorf("status %s", r.Status)
	}
}

func TestPools(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		if err := b.client.SetPool(ctx, "one", 1); err != nil {
			t.Fatal(err)
		}
		p := plan()
		for i := range 6 {
			s := stage(fmt.Sprintf("s%d", i), "text", textParams{fmt.Sprint(i)})
			s.Pool = "one"
			p.Stages = append(p.Stages, s)
		}
		b.worker(WorkerOptions{Concurrency: 4})
		b.worker(WorkerOptions{Concurrency: 4})
		r, events := b.wait(b.submit(p))
		if r.Status != pipeline.Succeeded {
			t.Fatalf("status %s", r.Status)
		}
		running := 0
		for _, e := range events {
			switch e.Type {
			case pipeline.StepStart:
				running++
			case pipeline.StepSuccess:
				running--
			}
			if running > 1 {
				t.Fatalf("two stages of the pool run at a time: %+v", events)
			}
		}
		until(t, func() bool {
			pools, err := b.client.Pools(ctx)
			return err == nil && slices.Equal(pools, []Pool{{"one", 1, 0}})
		})
	})
}

// A pool that is full hides none of the stages of another, however many wait for it.
func TestFullPoolHidesNoOther(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		for _, name := range []string{"full", "free"} {
			if err := b.client.SetPool(ctx, name, 1); err != nil {
				t.Fatal(err)
			}
		}
		gate := filepath.Join(t.TempDir(), "open")
		p := plan()
		for i := range 120 {
			s := stage(fmt.Sprintf("s%03d", i), "text", textParams{fmt.Sprint(i)})
			if i == 0 {
				s = stage("s000", "gate", gateParams{Open: gate})
			}
			s.Pool = "full"
			p.Stages = append(p.Stages, s)
		}
		last := stage("last", "text", textParams{"last"})
		last.Pool = "free"
		p.Stages = append(p.Stages, last)
		b.worker(WorkerOptions{Concurrency: 4})
		id := b.submit(p)
		until(t, func() bool {
			s, err := b.client.load(ctx, id)
			return err == nil && s.get("status", "last") == pipeline.Succeeded
		})
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, _ := b.wait(id); r.Status != pipeline.Succeeded {
			t.Errorf("status %s", r.Status)
		}
	})
}

func TestDeadlineFailsTheRunAndCleansUp(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.worker(WorkerOptions{Concurrency: 1})
		dir := t.TempDir()
		clean := stage("clean", "text", textParams{"c"}, "a")
		clean.Always = true
		p := plan(stage("a", "gate", gateParams{Open: dir + "/never"}), stage("b", "text", nil, "a"), clean)
		if err := p.Validate(b.config.Registry); err != nil {
			t.Fatal(err)
		}
		id, err := b.client.Submit(context.Background(), Request{Plan: p, Timeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		r, _ := b.wait(id)
		if r.Status != pipeline.Failed || stageStatuses(r) != "a=CANCELED b=CANCELED clean=SUCCEEDED" || r.Error == nil || !strings.Contains(r.Error.Message, "within its time") || r.Deadline.IsZero() {
			t.Errorf("%s: %s, %+v", r.Status, stageStatuses(r), r.Error)
		}
	})
}

func TestSubmittingAKeyAgainIsTheSameRun(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		b.worker(WorkerOptions{Concurrency: 1})
		var ids []string
		for range 3 {
			id, err := b.client.Submit(ctx, Request{Plan: diamond(), Key: "tick 1"})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
			b.wait(id)
		}
		other, err := b.client.Submit(ctx, Request{Plan: diamond(), Key: "tick 2"})
		if err != nil || ids[0] != ids[1] || ids[1] != ids[2] || other == ids[0] {
			t.Errorf("runs %v and %s, %v", ids, other, err)
		}
	})
}

func TestBacklogIsBounded(t *testing.T) {
	b := newBench(t, "")
	ctx := context.Background()
	c := b.config
	c.MaxRuns = 2
	client, err := NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		_, err := client.Submit(ctx, Request{Plan: diamond()})
		if e := pipeline.AsError(err); (n == 2) != (e != nil && e.Class == pipeline.ClassUnreachable && strings.Contains(e.Message, "full")) {
			t.Errorf("run %d: %v", n, err)
		}
	}
}

func TestRetryOfARun(t *testing.T) {
	for mode, want := range map[RetryMode]string{
		RetryAll:              "a=SUCCEEDED f=SUCCEEDED b=FAILED c=SKIPPED f:0=SUCCEEDED",
		RetryFailed:           "a=SUCCEEDED f=SUCCEEDED b=FAILED c=SKIPPED f:0=SUCCEEDED",
		RetryFailedDownstream: "a=SUCCEEDED f=SUCCEEDED b=FAILED c=SKIPPED f:0=SUCCEEDED",
	} {
		t.Run(string(mode), func(t *testing.T) {
			onEach(t, func(t *testing.T, b *bench) {
				ctx := context.Background()
				b.worker(WorkerOptions{Concurrency: 1})
				id := b.submit(plan(stage("a", "text", textParams{"a"}), stage("f", "fan", fanParams{[]string{"x"}}), stage("b", "boom", textParams{"x"}, "a"), stage("c", "text", nil, "b")))
				b.wait(id)
				again, err := b.client.Retry(ctx, id, mode, Request{})
				if err != nil {
					t.Fatal(err)
				}
				r, events := b.wait(again)
				if stageStatuses(r) != want || r.Parent != id || r.Name != "test" {
					t.Errorf("%s, parent %q, name %q", stageStatuses(r), r.Parent, r.Name)
				}
				started := 0
				for _, e := range events {
					if e.Type == pipeline.StepStart {
						started++
					}
				}
				if wantStarts := map[RetryMode]int{RetryAll: 4, RetryFailed: 1, RetryFailedDownstream: 1}[mode]; started != wantStarts {
					t.Errorf("%d stages started, want %d", started, wantStarts)
				}
			})
		})
	}
}

func TestRetryRefuses(t *testing.T) {
	b := newBench(t, "")
	ctx := context.Background()
	id := b.submit(diamond())
	if _, err := b.client.Retry(ctx, id, RetryAll, Request{}); err == nil {
		t.Error("a run that is not over")
	}
	b.worker(WorkerOptions{Concurrency: 1})
	b.wait(id)
	if _, err := b.client.Retry(ctx, id, RetryFailed, Request{}); err == nil {
		t.Error("a run without a failure")
	}
	if _, err := b.client.Retry(ctx, id, "some", Request{}); err == nil {
		t.Error("a mode that is none")
	}
	if again, err := b.client.Retry(ctx, id, RetryAll, Request{}); err != nil {
		t.Error(err)
	} else if r, _ := b.wait(again); r.Status != pipeline.Succeeded {
		t.Errorf("status %s", r.Status)
	}
}

// Without a store, small outputs, plan, record and events live in Redis alone.
func TestWithoutAStore(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		b.store, b.config.Store = nil, nil
		var err error
		if b.client, err = NewClient(b.config); err != nil {
			t.Fatal(err)
		}
		b.worker(WorkerOptions{Concurrency: 2})
		r, _ := b.wait(b.submit(plan(stage("a", "score", textParams{"1"}), stage("b", "score", textParams{"2"}, "a"), stage("c", "score", textParams{"3"}, "a"), stage("d", "score", textParams{"4"}, "b", "c"))))
		d, _ := r.Stage("d")
		if r.Status != pipeline.Succeeded || string(d.Outputs[0].Inline) != "{\"score\":\"4\"}\n" {
			t.Errorf("status %s, d %+v", r.Status, d)
		}
		if r, _ := b.wait(b.submit(plan(stage("a", "text", textParams{"a"})))); r.Status != pipeline.Failed {
			t.Errorf("a stage that needs a store: %s", r.Status)
		}
	})
}

// Two runs that need the same action at the same time compute it once.
func TestSingleFlight(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		dir := t.TempDir()
		b.worker(WorkerOptions{Concurrency: 2})
		b.worker(WorkerOptions{Concurrency: 2})
		p := plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/started", Open: dir + "/open"}))
		first, second := b.submit(p), b.submit(p)
		waitForPrefix(t, dir+"/started", 1)
		until(t, func() bool {
			for _, id := range []string{first, second} {
				r, err := b.client.Record(context.Background(), id)
				if err != nil || r.Stages[0].Status != pipeline.Running {
					return false
				}
			}
			return true
		})
		if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		hits := 0
		for _, id := range []string{first, second} {
			if r, _ := b.wait(id); r.Stages[0].Cache == pipeline.CacheHit {
				hits++
			}
		}
		files, err := os.ReadDir(dir)
		if err != nil || hits != 1 || len(files) != 2 {
			t.Errorf("%d hits, files %v, %v", hits, files, err)
		}
	})
}

func TestWebhook(t *testing.T) {
	b := newBench(t, "")
	got := make(chan Notification, 10)
	refuse := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse { // it is told again
			refuse = false
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var n Notification
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
			t.Error(err)
		}
		got <- n
	}))
	defer server.Close()
	b.config.Webhook = server.URL
	b.worker(WorkerOptions{Concurrency: 1})
	r, _ := b.wait(b.submit(diamond()))
	if n := <-got; n.RunID != r.RunID || n.Status != pipeline.Succeeded || n.ResultDigest != r.ResultDigest || n.Tags["k"] != "v" {
		t.Errorf("notification %+v", n)
	}
	b.config.Webhook = "ftp://x"
	if _, err := NewWorker(b.config, WorkerOptions{}); err == nil {
		t.Error("a webhook that is no http URL is taken")
	}
}

// The older events of a long run move to the store, and whoever watches does not notice.
func TestEventsOfALongRun(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		m := newMachine(t, b, diamond(), 1)
		const n = longEvents + 500
		pipe := b.conn.redis.Pipeline()
		for range n {
			machineEvent(ctx, pipe, b.client, m.run)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		enough := errors.New("enough")
		watch := func(after string) error {
			return b.client.Watch(ctx, m.run, after, func(e pipeline.Event) error {
				seen[e.ID]++
				if len(seen) >= n {
					return enough
				}
				return nil
			})
		}
		if err := b.client.archive(ctx, m.run, n); err != nil {
			t.Fatal(err)
		}
		left, err := b.conn.redis.XLen(ctx, b.client.keys(m.run).name("events")).Result()
		if err != nil || left > keepEvents+10 {
			t.Errorf("%d events left in Redis, %v", left, err)
		}
		if err := watch(""); !errors.Is(err, enough) {
			t.Error(err)
		}
		for id, times := range seen {
			if times != 1 {
				t.Fatalf("event %s was seen %d times", id, times)
			}
		}
		if err := b.client.storeEvents(ctx, m.run, pipeline.Event{Type: pipeline.RunSuccess}); err != nil {
			t.Fatal(err)
		}
		text, err := b.store.Run(ctx, m.run, pipeline.EventsDocument)
		if lines := strings.Count(string(text), "\n"); err != nil || lines < n {
			t.Errorf("%d events stored, %v", lines, err)
		}
	})
}

// The tasks of a canceled run leave the queue without any stage ending: the stages of others follow at once.
func TestCanceledTasksMakeRoom(t *testing.T) {
	b := newBench(t, "")
	ctx := context.Background()
	many := plan()
	for i := range 40 {
		many.Stages = append(many.Stages, stage(fmt.Sprintf("s%d", i), "text", textParams{fmt.Sprint(i)}))
	}
	canceled, next := b.submit(many), b.submit(diamond())
	if err := b.client.Cancel(ctx, canceled, "enough"); err != nil {
		t.Fatal(err)
	}
	waiting := b.client.queueKeys(b.client.queue)
	if n, err := b.conn.redis.LLen(ctx, waiting.all()[5]).Result(); err != nil || n == 0 {
		t.Fatalf("%d tasks of the canceled run on the queue, %v", n, err)
	}
	w, err := NewWorker(b.config, WorkerOptions{Concurrency: 1}) // without a reconciler
	if err != nil {
		t.Fatal(err)
	}
	for {
		id, err := b.conn.redis.LPop(ctx, waiting.all()[5]).Result()
		if err != nil {
			break
		}
		payload, err := b.conn.redis.HGet(ctx, "asynq:{"+b.client.queue+"}:t:"+id, "msg").Result()
		if err != nil || payload == "" {
			t.Fatal(err)
		}
		info, err := asynq.NewInspectorFromRedisClient(b.conn.redis).GetTaskInfo(b.client.queue, id)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.ProcessTask(ctx, asynq.NewTask(TaskType, info.Payload)); err != nil {
			t.Fatal(err)
		}
	}
	if r, _ := b.wait(next); r.Status != pipeline.Succeeded {
		t.Errorf("status %s", r.Status)
	}
}
