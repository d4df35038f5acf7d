package taskstest

import (
	"context"

	"github.com/hashline/hashline/pipeline"
)

// Result is what came of a run.
type Result struct {
	Record *pipeline.RunRecord
	Events []pipeline.Event // all of the run, in their order

	h *Harness
}

// Succeeded ends the test unless the run succeeded, and says why it did not.
func (r *Result) Succeeded() {
	r.h.t.Helper()
	if r.Record.Status != pipeline.Succeeded {
		r.h.t.Fatalf("run %s is %s: %v", r.Record.RunID, r.Record.Status, r.Record.Error)
	}
}

// Stage returns the record of a stage. A run without it ends the test.
func (r *Result) Stage(name string) *pipeline.StageRecord {
	r.h.t.Helper()
	s, ok := r.Record.Stage(name)
	if !ok {
		r.h.t.Fatalf("run %s has no stage %q", r.Record.RunID, name)
	}
	return s
}

// Statuses returns the status of every stage by its name, those of stages that others returned included.
func (r *Result) Statuses() map[string]string {
	m := make(map[string]string, len(r.Record.Stages))
	for _, s := range r.Record.Stages {
		m[s.Name] = s.Status
	}
	return m
}

// Types returns the types of the events of a stage, or of all if that is empty, in their order.
func (r *Result) Types(stage string) []string {
	var types []string
	for _, e := range r.Events {
		if stage == "" || e.Stage == stage {
			types = append(types, e.Type)
		}
	}
	return types
}

// Output decodes an output of a stage from its JSON; for a []byte it returns the bytes as they are. An output that is not there,
// or no such JSON, ends the test.
func Output[T any](r *Result, stage, output string) T {
	r.h.t.Helper()
	var v T
	r.h.check(r.h.Client.Output(context.Background(), r.Record, stage, output, &v))
	return v
}
