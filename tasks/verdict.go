package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/pipeline"
)

// finish commits a success and releases what it makes ready. It returns the stages that this worker goes on with, as many as
// most says.
func (w *Worker) finish(ctx context.Context, r *result, s *state, most int) ([]*successor, error) {
	returned, err := w.returnedBy(ctx, r)
	if e, ok := errors.AsType[*pipeline.Error](err); ok {
		return nil, w.commitFailure(ctx, r, e, pipeline.Failed, 1)
	}
	if errors.Is(err, errPlan) {
		return nil, w.commitFailure(ctx, r, &pipeline.Error{Class: pipeline.ClassInternal, Stage: r.Stage, Message: clip(err.Error())}, pipeline.Failed, 1)
	}
	if err != nil {
		return nil, err
	}
	return w.end(ctx, r, s, pipeline.Succeeded, r.out.Cache, returned, most)
}

// skip ends a stage that has nothing to do.
func (w *Worker) skip(ctx context.Context, r *result, s *state, reason string, most int) ([]*successor, error) {
	r.out.Outputs = nil
	return w.end(ctx, r, s, pipeline.Skipped, clip(reason), "", most)
}

// returnedBy describes the stages that a stage returned, or is empty when its kind returns none.
func (w *Worker) returnedBy(ctx context.Context, r *result) (string, error) {
	if expansionOf(r.out.Outputs) == nil {
		return "", nil
	}
	out, err := json.Marshal(newOutcome(r.out))
	if err != nil {
		return "", err
	}
	returned, err := w.expansion(ctx, r.Stage, string(out))
	if err != nil {
		return "", err
	}
	around, err := w.around(ctx, r.payload)
	if err != nil {
		return "", err
	}
	if err := pipeline.CheckExpansion(r.stage, upstream(r.stage, around), returned.Stages, w.registry); err != nil {
		return "", &pipeline.Error{Class: pipeline.ClassStageFailed, Stage: r.Stage, Message: err.Error()}
	}
	return expand(r.Stage, returned.Stages, around[0], w.registry)
}

// around returns where a stage stands, and where the stage that returned that stands, up to the plan.
func (w *Worker) around(ctx context.Context, p *payload) ([]*planIndex, error) {
	var list []*planIndex
	for def := p.Def; def != ""; {
		i, err := w.returned(ctx, p.Run, def)
		if err != nil {
			return nil, err
		}
		list = append(list, i)
		parent, err := w.redis.HGet(ctx, w.keys(p.Run).name("stages"), "def|"+def).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
		if parent != "" && !strings.HasPrefix(def, parent+":") { // so that it comes to an end, whatever Redis says
			return nil, fmt.Errorf("%w: stage %.80q cannot be returned by %.80q", errPlan, def, parent)
		}
		def = parent
	}
	plan, err := w.plan(ctx, p.Run, p.Plan)
	return append(list, plan), err
}

// upstream finds the stages that a stage needs, directly or not.
func upstream(from pipeline.Stage, around []*planIndex) func(name string) (pipeline.Stage, bool) {
	found := map[string]pipeline.Stage{}
	for todo := from.Upstream(); len(todo) > 0; {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, ok := found[name]; ok {
			continue
		}
		for _, i := range around {
			if s, ok := i.stage(name); ok {
				found[name] = s
				todo = append(todo, s.Upstream()...)
				break
			}
		}
	}
	return func(name string) (pipeline.Stage, bool) {
		s, ok := found[name]
		return s, ok
	}
}

// end commits the end of a stage that did not fail.
func (w *Worker) end(ctx context.Context, r *result, s *state, status, message, returned string, most int) ([]*successor, error) {
	outcome := newOutcome(r.out)
	out, err := json.Marshal(outcome)
	if err != nil {
		return nil, err
	}
	if w.stopping() {
		most = 0
	}
	args := append([]any{r.Stage, r.Attempt, w.info.ID, status, string(out), message, most, returned}, eventArgs(r.taken())...)
	answer, err := finishScript.Run(ctx, w.redis, w.keys(r.Run).all(), args...).Slice()
	if err != nil {
		return nil, err
	}
	w.at("state updated")
	s.know(r.Stage, string(out), &outcome)
	w.timer(r.Run, r.Priority, number(answer, 3))
	next := w.successors(ctx, r, s, answer)
	switch {
	case closed(answer):
		err = w.settleClosed(ctx, r.Run)
	case what(answer) == "gone":
		err = nil
	case len(next) == 0 || number(answer, 2) > 0:
		err = w.handOut(ctx, w.queue, r.Run, r.Priority)
	}
	w.at("outbox drained")
	if err != nil { // the stage is over; what is left to do is done by the reconciler
		w.log.Warn("handing out what follows; the reconciler will", "run", r.Run, "error", err)
	}
	return next, nil
}

// successors returns the stages that finishScript gave this worker to go on with.
func (w *Worker) successors(ctx context.Context, r *result, s *state, answer []any) []*successor {
	var list []*successor
	for i := 4; i+2 < len(answer); i += 3 {
		next, err := w.successor(ctx, r, s, text(answer, i), text(answer, i+1), text(answer, i+2))
		if err != nil {
			w.log.Warn("going on with the next stage; it will be handed over", "run", r.Run, "error", err)
			continue
		}
		list = append(list, next)
	}
	return list
}

// successor describes a stage that finishScript gave this worker.
func (w *Worker) successor(ctx context.Context, r *result, s *state, name, number, def string) (*successor, error) {
	p := *r.payload
	p.Stage, p.Def, p.Alone = name, def, false
	attempt, err := strconv.Atoi(number)
	if err != nil {
		return nil, err
	}
	p.Attempt = attempt
	stage, err := w.stage(ctx, &p)
	if err == nil {
		p.Kind = stage.Kind
		_, known := w.registry.Kind(p.Kind)
		if !known {
			err = fmt.Errorf("%w: kind %s", errNotMine, p.Kind)
		}
	}
	state := &state{run: r.Run, stages: maps.Clone(s.stages), parsed: maps.Clone(s.parsed)}
	if err == nil {
		err = w.loadNeeds(ctx, state, stage)
	}
	if err != nil {
		return nil, errors.Join(err, w.pass(ctx, handOver{run: p.Run, queue: w.queue, priority: p.Priority, entry: entry{p.Stage, p.Attempt}, owner: w.info.ID, event: pipeline.StepHandedOver, message: "its worker cannot go on with it"}))
	}
	return &successor{&p, stage, state}, nil
}

// settleClosed does what follows the end of a run. The slot that its last stage leaves goes to another run, which nobody else
// would see to.
func (w *Worker) settleClosed(ctx context.Context, run string) error {
	if err := w.refill(ctx, w.queue); err != nil {
		w.log.Warn("filling the queue; the reconciler will", "error", err)
	}
	if w.store == nil { // the script has told everybody
		return w.forget(ctx, run)
	}
	return w.settleRun(ctx, run)
}

// fail decides what follows an error, which the end of the attempt's context may have caused: the stage is handed over,
// run again, waits for a damaged input to be made again, or has failed.
func (w *Worker) fail(attempt context.Context, r *result, failure error) error {
	cause, ctx := context.Cause(attempt), context.WithoutCancel(attempt)
	if errors.Is(cause, errDraining) {
		return w.pass(ctx, stopped(r.payload, w.queue, w.info.ID))
	}
	if damaged, ok := errors.AsType[*pipeline.DamagedInput](failure); ok && cause == nil {
		if done, err := w.redo(ctx, r, damaged); done || err != nil {
			return err
		}
	}
	e, status, limit := verdict(failure, cause, time.Duration(r.stage.Timeout))
	e.Stage = r.Stage
	if e.Class == pipeline.ClassUnreachable {
		_ = pause(attempt, time.Duration(r.Attempt)*storePause)
	}
	return w.commitFailure(ctx, r, e, status, limit)
}

// storePause is how long a stage waits for an unreachable store before it is tried again, times the number of the attempt.
const storePause = 250 * time.Millisecond

// verdict says what an error means for its stage: the error for the record, the status, and how often the stage may fail
// like that before it is final; 0 leaves that to the plan and the run.
func verdict(failure, cause error, timeout time.Duration) (e *pipeline.Error, status string, limit int) {
	e = pipeline.AsError(failure)
	e.Message, e.Hint = clip(e.Message), clip(e.Hint)
	if errors.Is(cause, errRunCanceled) {
		e.Class = pipeline.ClassCanceled
		if errors.Is(failure, context.Canceled) || errors.Is(failure, errRunCanceled) { // which says nothing to a reader
			e.Message = "it was told to stop"
		}
		return e, pipeline.Canceled, 1
	}
	if errors.Is(cause, errTimeout) {
		e.Class, e.Message, e.Hint = pipeline.ClassStageFailed, fmt.Sprintf("it took longer than %s", timeout), "give the stage more time"
		return e, pipeline.Failed, 0
	}
	switch e.Class {
	case pipeline.ClassUnreachable:
		limit = maxRetries
	case pipeline.ClassCanceled: // nobody asked for it
		e.Class = pipeline.ClassStageFailed
	}
	if pipeline.IsPermanent(failure) {
		limit = 1
	}
	if errors.Is(failure, errPlan) || errors.Is(failure, errInputs) {
		e.Class, limit = pipeline.ClassInternal, 1
	}
	return e, pipeline.Failed, limit
}

func (w *Worker) commitFailure(ctx context.Context, r *result, e *pipeline.Error, status string, limit int) error {
	failure, err := json.Marshal(e)
	if err != nil {
		return err
	}
	outcome := newOutcome(r.out)
	outcome.Outputs = nil
	out, err := json.Marshal(outcome)
	if err != nil {
		return err
	}
	args := append([]any{r.Stage, r.Attempt, w.info.ID, string(failure), e.Message, status, limit, string(out)}, eventArgs(r.taken())...)
	answer, err := failScript.Run(ctx, w.redis, w.keys(r.Run).all(), args...).Slice()
	if err != nil {
		return err
	}
	if number(answer, 3) == 1 { // what runs must be told to stop
		if err := w.redis.Publish(ctx, w.key.cancelChannel(), r.Run).Err(); err != nil {
			w.log.Warn("telling workers to stop; their next heartbeat will", "run", r.Run, "error", err)
		}
	}
	switch {
	case closed(answer):
		return w.settleClosed(ctx, r.Run)
	case what(answer) == "gone":
		return nil
	case number(answer, 2) > 0:
		w.timer(r.Run, r.Priority, number(answer, 2))
	}
	return w.handOut(ctx, w.queue, r.Run, r.Priority)
}

// redo lets the stage that made a damaged input make it again. It reports false when no stage of the run can.
func (w *Worker) redo(ctx context.Context, r *result, damaged *pipeline.DamagedInput) (bool, error) {
	for _, in := range r.sources {
		if in.stage != "" && in.Role == damaged.Role && in.Ref == damaged.Ref {
			return w.redoStage(ctx, r, in)
		}
	}
	return false, nil
}

func (w *Worker) redoStage(ctx context.Context, r *result, in source) (bool, error) {
	message := fmt.Sprintf("its output %s is damaged or gone", in.output)
	args := append([]any{r.Stage, r.Attempt, w.info.ID, in.stage, maxRedos, message}, eventArgs(r.taken())...)
	answer, err := redoScript.Run(ctx, w.redis, w.keys(r.Run).all(), args...).Text()
	if err != nil {
		return false, err
	}
	switch answer {
	case "limit", "canceled", "lost":
		return false, nil
	}
	return true, w.handOut(ctx, w.queue, r.Run, r.Priority)
}
