package tasks

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashline/hashline/pipeline"
)

// handOver gives an attempt out again under the next number.
type handOver struct {
	run, queue string
	priority   int
	entry
	owner   string // whose attempt it is, if it is running
	event   string
	message string
	charge  bool           // it counts against the stage
	limit   int            // charges, of those while it ran alone, at which the stage fails; 0: at once
	failure pipeline.Error // what it fails with then
}

// lost is the hand-over of an attempt whose worker is gone. Which of its stages killed a worker cannot be told: after
// maxShared deaths a stage runs alone, and only deaths while it does fail it.
func lost(run, queue string, e entry, owner, message string) handOver {
	return handOver{run: run, queue: queue, entry: e, owner: owner, event: pipeline.WorkerLost, message: message, charge: true, limit: maxAlone,
		failure: pipeline.Error{Class: pipeline.ClassStageFailed, Stage: e.stage, Message: fmt.Sprintf("stage %s lost its worker %d times while it ran alone", e.stage, maxAlone),
			Hint: "look at the workers' logs: the stage may need more memory than they have"}}
}

// stopped is the hand-over of an attempt whose worker stops.
func stopped(p *payload, queue, owner string) handOver {
	return handOver{run: p.Run, queue: queue, priority: p.Priority, entry: entry{p.Stage, p.Attempt}, owner: owner, event: pipeline.StepHandedOver, message: "its worker stops"}
}

// unplaced is the hand-over of an attempt that this worker went on with and then had no slot for.
func unplaced(p *payload, queue, owner string) handOver {
	h := stopped(p, queue, owner)
	h.message = "its worker has no slot for it"
	return h
}

// pass carries a hand-over out, with all that follows.
func (c *core) pass(ctx context.Context, h handOver) error {
	answer, err := c.handOver(ctx, h)
	switch {
	case err != nil:
		return err
	case closed(answer):
		return c.settleRun(ctx, h.run)
	case what(answer) == "ok", what(answer) == "failed":
		return c.handOut(ctx, h.queue, h.run, h.priority)
	}
	return nil
}

// handOver changes the state.
func (c *core) handOver(ctx context.Context, h handOver) ([]any, error) {
	charged := 0
	if h.charge {
		charged = 1
	}
	failure, err := json.Marshal(h.failure)
	if err != nil {
		return nil, err
	}
	return handOverScript.Run(ctx, c.redis, c.keys(h.run).all(), h.stage, h.attempt, h.owner, h.event, clip(h.message), charged, maxShared, h.limit, string(failure)).Slice()
}
