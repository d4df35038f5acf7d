package tasks

import (
	"encoding/json"
	"testing"

	"github.com/hashline/hashline/pipeline"
)

// A condition on the output of a stage that failed does not hold, also for a stage that always runs.
func TestConditionOnWhatFailed(t *testing.T) {
	b := newBench(t, "")
	b.worker(WorkerOptions{Concurrency: 1})
	z := stage("z", "text", textParams{"z"})
	z.Always, z.If = true, &pipeline.Condition{Stage: "a", Output: "out", Path: "/score", Op: "==", Value: json.RawMessage(`"1"`)}
	fails := stage("a", "score", textParams{"1"}, "b")
	r, _ := b.wait(b.submit(plan(stage("b", "boom", textParams{"x"}), fails, z)))
	if got, want := stageStatuses(r), "b=FAILED a=SKIPPED z=SKIPPED"; got != want {
		z, _ := r.Stage("z")
		t.Errorf("%s, want %s: %+v", got, want, z.Error)
	}
}

// What went on without a stage that failed is run again with it.
func TestRetryDownstreamOfAFailure(t *testing.T) {
	for mode, want := range map[RetryMode]int{RetryFailed: 1, RetryFailedDownstream: 3} {
		b := newBench(t, "")
		b.worker(WorkerOptions{Concurrency: 1})
		on := needing(stage("b", "text", textParams{"b"}), pipeline.Need{Role: "in", Stage: "a", Output: "out", OnFailure: pipeline.GoOn})
		id := b.submit(plan(stage("x", "text", textParams{"x"}), stage("a", "boom", textParams{"x"}), on, stage("c", "text", textParams{"c"}, "b")))
		if r, _ := b.wait(id); stageStatuses(r) != "x=SUCCEEDED a=FAILED b=SUCCEEDED c=SUCCEEDED" {
			t.Fatal(stageStatuses(r))
		}
		again, err := b.client.Retry(t.Context(), id, mode, Request{})
		if err != nil {
			t.Fatal(err)
		}
		_, events := b.wait(again)
		if got := count(events, pipeline.StepStart); got != want {
			t.Errorf("%s: %d stages started, want %d", mode, got, want)
		}
	}
}
