package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashline/hashline/pipeline"
)

// finish commits a success and releases what it makes ready.
func (w *Worker) finish(ctx context.Context, r result) error {
	out, err := json.Marshal(newOutcome(r.out))
	if err != nil {
		return err
	}
	args := append([]any{r.Stage, r.Attempt, w.info.ID, string(out), r.out.Cache}, eventArgs(r.events)...)
	answer, err := finishScript.Run(ctx, w.redis, w.keys(r.Run).all(), args...).Slice()
	if err != nil {
		return err
	}
	return w.after(ctx, r.Run, answer)
}

// after does what follows a change of the state.
func (w *Worker) after(ctx context.Context, run string, answer []any) error {
	if closed(answer) {
		return w.settleRun(ctx, run)
	}
	if what(answer) == "gone" {
		return nil
	}
	return w.drain(ctx, run)
}

// fail decides what follows an error, which the end of the attempt's context may have caused: the stage is handed over,
// run again, waits for a damaged input to be made again, or has failed.
func (w *Worker) fail(attempt context.Context, r result, failure error) error {
	cause, ctx := context.Cause(attempt), context.WithoutCancel(attempt)
	h := stopped(r.Run, entry{r.Stage, r.Attempt}, w.info.ID)
	if errors.Is(cause, errDraining) {
		return w.pass(ctx, h)
	}
	if errors.Is(failure, errStale) && r.Attempt < maxStale {
		h.message = failure.Error()
		return w.pass(ctx, h)
	}
	if damaged, ok := errors.AsType[*pipeline.DamagedInput](failure); ok && cause == nil {
		if done, err := w.redo(ctx, r, damaged); done || err != nil {
			return err
		}
	}
	e, status, limit := verdict(failure, cause)
	e.Stage = r.Stage
	if e.Class == pipeline.ClassUnreachable {
		_ = pause(attempt, time.Duration(r.Attempt)*storePause)
	}
	return w.commitFailure(ctx, r, e, status, limit)
}

// storePause is how long a stage waits for an unreachable store before it is tried again, times the number of the attempt.
const storePause = 250 * time.Millisecond

// verdict says what an error means for its stage: the error for the record, the status, and how often the stage may fail
// like that before it is final; 0 leaves that to the run.
func verdict(failure, cause error) (e *pipeline.Error, status string, limit int) {
	e = pipeline.AsError(failure)
	e.Message, e.Hint = clip(e.Message), clip(e.Hint)
	if errors.Is(cause, errRunCanceled) {
		e.Class = pipeline.ClassCanceled
		return e, pipeline.Canceled, 1
	}
	switch e.Class {
	case pipeline.ClassBadInput, pipeline.ClassUsage:
		limit = 1
	case pipeline.ClassUnreachable:
		limit = maxRetries
	case pipeline.ClassCanceled: // nobody asked for it
		e.Class = pipeline.ClassStageFailed
	}
	if errors.Is(failure, errPlan) || errors.Is(failure, errStale) {
		e.Class, limit = pipeline.ClassInternal, 1
	}
	return e, pipeline.Failed, limit
}

func (w *Worker) commitFailure(ctx context.Context, r result, e *pipeline.Error, status string, limit int) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	out, err := json.Marshal(newOutcome(r.out))
	if err != nil {
		return err
	}
	args := append([]any{r.Stage, r.Attempt, w.info.ID, string(text), e.Message, status, limit, string(out)}, eventArgs(r.events)...)
	answer, err := failScript.Run(ctx, w.redis, w.keys(r.Run).all(), args...).Slice()
	if err != nil {
		return err
	}
	return w.after(ctx, r.Run, answer)
}

// redo lets the stage that made a damaged input make it again. It reports false when no stage of the run can.
func (w *Worker) redo(ctx context.Context, r result, damaged *pipeline.DamagedInput) (bool, error) {
	inputs, err := w.resolve(ctx, r.Run, r.stage)
	if err != nil {
		return false, err
	}
	for i, n := range r.stage.Needs {
		if n.Stage != "" && n.Role == damaged.Role && inputs[i].Ref == damaged.Ref {
			return w.redoStage(ctx, r, n)
		}
	}
	return false, nil
}

func (w *Worker) redoStage(ctx context.Context, r result, n pipeline.Need) (bool, error) {
	message := fmt.Sprintf("its output %s is damaged or gone", n.Output)
	args := append([]any{r.Stage, r.Attempt, w.info.ID, n.Stage, maxRedos, message}, eventArgs(r.events)...)
	answer, err := redoScript.Run(ctx, w.redis, w.keys(r.Run).all(), args...).Text()
	if err != nil {
		return false, err
	}
	switch answer {
	case "limit", "canceled", "lost":
		return false, nil
	}
	return true, w.drain(ctx, r.Run)
}
