package tasks

import (
	"context"
	"testing"

	"github.com/hashline/hashline/pipeline"
)

// The end of a run makes room for another: more runs than the queue takes at a time need no reconciler.
func TestEndOfARunFillsTheQueue(t *testing.T) {
	v := newVandal(t)
	ctx := context.Background()
	p := plan(stage("a", "text", textParams{"a"}))
	if err := p.Validate(v.client.registry); err != nil {
		t.Fatal(err)
	}
	const runs = 4 * minWindow
	var ids []string
	for range runs {
		id, err := v.client.Submit(ctx, Request{Plan: p})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	v.deliver(runs)
	for i, id := range ids {
		if r, err := v.client.Record(ctx, id); err != nil || r.Status != pipeline.Succeeded {
			t.Errorf("run %d of %d: %+v, %v", i+1, runs, r, err)
		}
	}
}
