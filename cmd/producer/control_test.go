package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/internal/process"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/tasks"
)

// gated runs a worker whose preprocess says that it has begun, and ends when it is let, or told to.
func gated(t *testing.T, url, store string) (begun chan struct{}, open chan struct{}) {
	t.Helper()
	begun, open = make(chan struct{}, 10), make(chan struct{})
	worker(t, url, store, "", func(k *pipeline.Kind) {
		if k.Name != "preprocess" {
			return
		}
		work := k.Run
		k.Run = func(ctx context.Context, c *pipeline.Call) error {
			c.Log.Info("it is at work", "attempt", c.Attempt)
			begun <- struct{}{}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-open:
				return work(ctx, c)
			}
		}
	})
	return begun, open
}

// A run on workers is paused, goes on, is canceled, and tried again.
func TestControl(t *testing.T) {
	t.Parallel()
	url, store, churn := needs.Redis(t).URL(), t.TempDir(), customerFile(t, 100)
	begun, open := gated(t, url, store)
	do := func(args ...string) string { t.Helper(); return ok(t, store, append(args, "--redis", url)...) }
	detached := parseDocument(t, do("submit", churn, "--target", "churned", "--models", "decision_tree", "--detach", "--json", "--key", "today", "--priority", "7"))
	id := string(detached.RunID)
	<-begun
	if again := parseDocument(t, do("submit", churn, "--target", "churned", "--models", "decision_tree", "--detach", "--json", "--key", "today")); string(again.RunID) != id {
		t.Errorf("the same key made another run, %s", again.RunID)
	}
	_, stderr, code := call(t, store, "submit", churn, "--target", "plan", "--detach", "--key", "today", "--redis", url)
	if code != 0 || !strings.Contains(stderr, `the key "today" stands for run `+id+", of another table or pipeline") {
		t.Errorf("the same key for another pipeline: got %d, %s", code, stderr)
	}
	eventually(t, func() bool { // a heartbeat tells it
		return matches(`(?m)^\S+ +hashline +this one +2 +1 .* works +`+id+`:preprocess:1`, do("workers"))
	})
	if out := do("pause", id); !strings.Contains(out, "run "+id+" is paused") {
		t.Errorf("pause: got %s", out)
	}
	open <- struct{}{}
	follower := start(t, store, "events", id, "--redis", url, "-f", "--json")
	follower.AwaitOut(`"type":"STEP_SUCCESS","stage":"preprocess"`)
	show := do("show", id)
	if !matches(`(?m)^preprocess +SUCCEEDED`, show) || matches(`(?m)^(eda|split_data) +(RUNNING|SUCCEEDED)`, show) {
		t.Errorf("show of a paused run: got %s", show)
	}
	if !matches("(?m)^it is paused since .*; `producer resume "+id+"` lets it go on$", show) {
		t.Errorf("show does not say that the run is paused: %s", show)
	}
	do("resume", id)
	if show = do("show", id); strings.Contains(show, "paused") {
		t.Errorf("show of a run that was resumed: got %s", show)
	}
	if got := follower.Wait(); got != 0 {
		t.Fatalf("events: got %d: %s", got, follower.Err)
	}
	if out := do("logs", id, "preprocess"); !strings.Contains(out, "it is at work") {
		t.Errorf("logs: got %s", out)
	}
	if out := do("logs", id); !matches(`(?m)^preprocess +1 +\d+$`, out) {
		t.Errorf("list of logs: got %s", out)
	}

	second := string(parseDocument(t, do("submit", churn, "--target", "plan", "--models", "decision_tree", "--detach", "--json")).RunID)
	<-begun
	// Runs that cannot be canceled keep no other from it.
	out, stderr, code := call(t, store, "cancel", "nosuch", id, second, "--reason", "a mistake", "--redis", url)
	if code != 2 || !strings.Contains(out, "run "+second+" is canceled") || !strings.Contains(stderr, `no run "nosuch"`) || !strings.Contains(stderr, "run "+id+" is over") {
		t.Errorf("cancel: got %d, %s%s", code, out, stderr)
	}
	if p := start(t, store, "events", second, "--redis", url, "-f"); p.Wait() != 0 || !strings.Contains(p.Out.String(), pipeline.RunCanceled) {
		t.Errorf("events: got %s%s", p.Out, p.Err)
	}
	if show = do("show", second); !strings.Contains(show, "a mistake") || !matches(`(?m)^stages .* [0-9]+ canceled$`, show) || !strings.Contains(show, "preprocess was canceled: it was told to stop") {
		t.Errorf("show: got %s", show)
	}
	_, stderr, code = call(t, store, "cancel", second, "--redis", url)
	if code != 2 || !strings.Contains(stderr, "is over: CANCELED") {
		t.Errorf("canceling it again: got %d, %s", code, stderr)
	}
	close(open)
	retried := parseDocument(t, do("retry", second, "--json", "-q"))
	if retried.Status != pipeline.Succeeded || retried.Counts.Cached != 1 {
		t.Errorf("retry: got %s, %+v", retried.Status, retried.Counts)
	}
	if show = do("show", string(retried.RunID)); !strings.Contains(show, "it tries again the run "+second) {
		t.Errorf("show: got %s", show)
	}
}

// eventually waits for what no output tells of.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(process.Patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen within %v", process.Patience)
		}
	}
}

// A stage that waits for a signal goes on when it is approved, by its name or the signal's.
func TestApprove(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url, store := needs.Redis(t).URL(), t.TempDir()
	worker(t, url, store, "", nil)
	s, err := artifact.Open(ctx, store)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tasks.Dial(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client, err := tasks.NewClient(tasks.Config{Conn: conn, Store: s})
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"eda", "reviewed"} {
		id := submitWaiting(t, client, s)
		p := start(t, store, "events", id, "--redis", url, "-f")
		p.AwaitOut("STEP_SUCCESS +split_data")
		if out := ok(t, store, "show", id, "--redis", url); !matches(`(?m)^eda waits: .*reviewed`, out) {
			t.Errorf("show: got %s", out)
		}
		_, stderr, code := call(t, store, "approve", id, "preprocess", "--redis", url)
		if code != 2 || !strings.Contains(stderr, "stages wait for reviewed") {
			t.Errorf("approving another stage: got %d, %s", code, stderr)
		}
		var out, complaints bytes.Buffer
		if run([]string{"__complete", "approve", "--store", store, "--redis", url, id, ""}, strings.NewReader(""), &out, &complaints); !strings.HasPrefix(out.String(), "reviewed\n") {
			t.Errorf("completion: got %s%s", &out, &complaints)
		}
		ok(t, store, "approve", id, by, "--redis", url)
		if p.Wait() != 0 || !strings.Contains(p.Out.String(), pipeline.RunSuccess) {
			t.Errorf("events: got %s%s", p.Out, p.Err)
		}
	}
}

var submissions atomic.Int64

// submitWaiting submits a pipeline whose eda waits for the signal "reviewed".
func submitWaiting(t *testing.T, client *tasks.Client, store *artifact.Store) string {
	t.Helper()
	ref, err := store.PutBytes(t.Context(), customers(60+int(submissions.Add(1))))
	if err != nil {
		t.Fatal(err)
	}
	spec := stages.Default()
	spec.Target = "churned"
	plan, err := spec.Build(ref)
	if err != nil {
		t.Fatal(err)
	}
	for i := range plan.Stages {
		if plan.Stages[i].Name == "eda" {
			plan.Stages[i].Wait = &pipeline.Wait{Signal: "reviewed"}
		}
	}
	registry, err := newRegistry()
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Validate(registry); err != nil {
		t.Fatal(err)
	}
	if plan, err = plan.Only("split_data", "eda"); err != nil {
		t.Fatal(err)
	}
	id, err := client.Submit(t.Context(), tasks.Request{Plan: plan, Mode: redisMode})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestPools(t *testing.T) {
	t.Parallel()
	url, store := needs.Redis(t).URL(), t.TempDir()
	do := func(args ...string) string { t.Helper(); return ok(t, store, append(args, "--redis", url)...) }
	if out := do("pools"); !strings.Contains(out, "no pool is bounded") {
		t.Errorf("got %s", out)
	}
	do("pools", "set", "train", "2")
	do("pools", "set", "train", "5", "--queue", "other")
	if out := do("pools"); !matches(`(?m)^train +2 +0$`, out) {
		t.Errorf("got %s", out)
	}
	if out := do("pools", "--json", "--queue", "other"); out != `{"pools":[{"name":"train","limit":5,"used":0}],"schema":"hashline.pools/1"}`+"\n" {
		t.Errorf("got %s", out)
	}
	do("pools", "set", "train", "none")
	if out := do("pools"); !strings.Contains(out, "no pool is bounded") {
		t.Errorf("got %s", out)
	}
	if out := do("workers"); !strings.Contains(out, "no worker is alive") {
		t.Errorf("got %s", out)
	}
	if out := do("workers", "--json"); out != `{"schema":"hashline.workers/1","workers":[]}`+"\n" {
		t.Errorf("got %s", out)
	}
	if left, err := os.ReadDir(store); err != nil || len(left) != 0 {
		t.Errorf("what lives in Redis needs no store; yet there is %v, %v", left, err)
	}
	for _, args := range [][]string{{"pools", "set", "train"}, {"pools", "set", "A B", "1"}, {"pools", "nope"}} {
		if _, stderr, code := call(t, store, append(args, "--redis", url)...); code != 2 {
			t.Errorf("%v: got %d, %s", args, code, stderr)
		}
	}
}
