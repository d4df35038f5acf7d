package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hibiken/asynq"

	"github.com/hashline/hashline/pipeline"
)

// entry is a member of a run's outbox: an attempt that asynq has no task for yet.
type entry struct {
	stage   string
	attempt int
}

func (e entry) member() string { return e.stage + "\n" + strconv.Itoa(e.attempt) }

func parseEntry(member string) (entry, error) {
	name, number, _ := strings.Cut(member, "\n")
	attempt, err := strconv.Atoi(number)
	if err != nil {
		return entry{}, fmt.Errorf("outbox entry %q: %w", member, err)
	}
	return entry{name, attempt}, nil
}

// drain hands the ready stages of a run to asynq. State is always first: an entry leaves the outbox when asynq has its
// task, or had it before. A stage that can never be handed over fails. While another goroutine drains the outbox of the
// run, that one looks once more instead: many stages that end at a time would each go through all that became ready.
func (c *core) drain(ctx context.Context, run string) error {
	if !c.startDrain(run) {
		return nil
	}
	for {
		err := c.drainOnce(ctx, run)
		if c.endDrain(run) {
			return err
		}
	}
}

// startDrain reports whether the caller is to drain; otherwise somebody does, and will look again.
func (c *core) startDrain(run string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, busy := c.drains[run]
	c.drains[run] = busy
	return !busy
}

// endDrain reports whether nobody asked to look again. Who asked relies on it, though this look may have failed.
func (c *core) endDrain(run string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drains[run] {
		c.drains[run] = false
		return false
	}
	delete(c.drains, run)
	return true
}

func (c *core) drainOnce(ctx context.Context, run string) error {
	members, err := c.redis.ZRange(ctx, c.keys(run).name("outbox"), 0, -1).Result()
	if err != nil || len(members) == 0 {
		return err
	}
	s, err := c.loadMeta(ctx, run)
	if err != nil {
		return err
	}
	p, unreadable := c.plan(ctx, s.planRef())
	if unreadable != nil && !errors.Is(unreadable, errPlan) {
		return unreadable
	}
	for _, m := range members {
		e, err := parseEntry(m)
		if err != nil {
			return err
		}
		err = unreadable
		if err == nil {
			err = c.release(ctx, s, p, e)
		}
		if errors.Is(err, errPlan) || errors.Is(err, errInputs) || errors.Is(err, errPayload) {
			c.log.Error("a stage that cannot be handed out", "run", run, "stage", e.stage, "error", err)
			err = c.giveUp(ctx, run, e, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// release hands one attempt to asynq and takes it off the outbox.
func (c *core) release(ctx context.Context, s *state, p *planIndex, e entry) error {
	stage, ok := p.stage(e.stage)
	if !ok {
		return fmt.Errorf("%w: it has no stage %q", errPlan, e.stage)
	}
	if err := c.loadNeeds(ctx, s, stage); err != nil {
		return err
	}
	if err := c.enqueue(ctx, s, stage, e.attempt); err != nil {
		return err
	}
	return c.redis.ZRem(ctx, c.keys(s.run).name("outbox"), e.member()).Err()
}

// enqueue makes the task of an attempt, in the queue of its run, unless there is or was one.
func (c *core) enqueue(ctx context.Context, s *state, stage pipeline.Stage, attempt int) error {
	inputs, err := s.inputs(stage)
	if err != nil {
		return err
	}
	p := payload{Schema: payloadSchema, Run: s.run, Stage: stage.Name, Kind: stage.Kind, Attempt: attempt, Store: s.meta["store"], Plan: s.planRef(), Inputs: inputs}
	b, err := p.encode(ctx, c.store)
	if err != nil {
		return fmt.Errorf("task of %s: %w", stage.Name, err)
	}
	_, err = c.asynq.EnqueueContext(ctx, asynq.NewTask(taskType, b), asynq.TaskID(taskID(s.run, stage.Name, attempt)), asynq.Queue(s.meta["queue"]),
		asynq.MaxRetry(asynqRetries), asynq.Timeout(taskTimeout), asynq.Retention(keepTask))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return err
}

// giveUp fails a stage that waits in the outbox for good.
func (c *core) giveUp(ctx context.Context, run string, e entry, cause error) error {
	failure := pipeline.Error{Class: pipeline.ClassInternal, Stage: e.stage, Message: clip(cause.Error()), Hint: "submit again: what is finished is reused"}
	return c.pass(ctx, handOver{run: run, entry: e, event: pipeline.EngineEvent, message: cause.Error(), charge: true, limit: 0, failure: failure})
}

// handOver gives an attempt out again under the next number.
type handOver struct {
	run string
	entry
	owner   string // whose attempt it is, if it is running
	event   string
	message string
	charge  bool           // it counts against the stage
	limit   int            // charges at which the stage fails
	failure pipeline.Error // what it fails with then
}

// lost is the hand-over of an attempt whose worker is gone.
func lost(run string, e entry, owner, message string) handOver {
	return handOver{run: run, entry: e, owner: owner, event: pipeline.WorkerLost, message: message, charge: true, limit: maxCrashes,
		failure: pipeline.Error{Class: pipeline.ClassStageFailed, Stage: e.stage, Message: fmt.Sprintf("stage %s lost its worker %d times", e.stage, maxCrashes),
			Hint: "look at the workers' logs: the stage may need more memory than they have"}}
}

// stopped is the hand-over of an attempt whose worker stops.
func stopped(run string, e entry, owner string) handOver {
	return handOver{run: run, entry: e, owner: owner, event: pipeline.StepHandedOver, message: "its worker stops"}
}

// pass carries a hand-over out.
func (c *core) pass(ctx context.Context, h handOver) error {
	charged := 0
	if h.charge {
		charged = 1
	}
	text, err := json.Marshal(h.failure)
	if err != nil {
		return err
	}
	answer, err := handOverScript.Run(ctx, c.redis, c.keys(h.run).all(), h.stage, h.attempt, h.owner, h.event, clip(h.message), charged, h.limit, string(text)).Slice()
	if err != nil {
		return err
	}
	if closed(answer) {
		return c.settleRun(ctx, h.run)
	}
	if what(answer) != "ok" {
		return nil
	}
	return c.drain(ctx, h.run)
}
