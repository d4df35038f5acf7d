package tasks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// attempt is one delivered task, from the moment this worker takes it.
type attempt struct {
	run string
	entry
	claimed bool // or about to be; guarded by the worker's mu
	cancel  context.CancelCauseFunc
	done    chan struct{}
}

// Causes of the end of an attempt's context.
var (
	errRunCanceled = errors.New("the run was canceled")
	errDraining    = errors.New("the worker stops")
)

// errNotMine hands a task back to the queue without spending an attempt.
var errNotMine = errors.New("another worker must run this")

// errStale says that a task no longer says what the state says.
var errStale = errors.New("the inputs of the task are not those of the run")

// process is asynq's handler. An error from it makes asynq deliver the task again; what became of the stage is decided
// by the state alone.
func (w *Worker) process(ctx context.Context, t *asynq.Task) error {
	p, err := parsePayload(t.Payload())
	if errors.Is(err, errSchema) {
		return fmt.Errorf("%w: %w", errNotMine, err)
	}
	if err != nil {
		w.log.Error("a task that cannot be read", "error", err)
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	if why := w.foreign(ctx, p); why != "" {
		w.tell(ctx, p, why)
		return fmt.Errorf("%w: %s", errNotMine, why)
	}
	// The attempt's life is its own: asynq's context ends with the task's lease and on shutdown, long before we are ready.
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	a := &attempt{run: p.Run, entry: entry{p.Stage, p.Attempt}, cancel: cancel, done: make(chan struct{})}
	if !w.register(p.id(), a) {
		return errNotMine
	}
	defer w.unregister(p.id(), a)
	release, err := w.takeSlots(work, p)
	if err != nil {
		return err
	}
	defer release()
	if !w.claiming(a) {
		return errNotMine
	}
	return w.claim(work, p)
}

// foreign says why this worker must leave a stage to others, or nothing.
func (w *Worker) foreign(ctx context.Context, p *payload) string {
	if p.Store != w.store.ID() {
		if w.store.Replaced(ctx) {
			return "its store was removed and made anew since it started, so it must be started again"
		}
		return "it has another store"
	}
	if !slices.Contains(w.info.Kinds, p.Kind) {
		return "it does not know the kind " + p.Kind
	}
	if _, err := w.plan(ctx, p.Plan); errors.Is(err, errPlan) && !errors.Is(err, artifact.ErrNotFound) && !errors.Is(err, artifact.ErrCorrupt) {
		return "it does not understand the plan"
	}
	return ""
}

// tell says once in a run's events why this worker leaves a stage to others.
func (w *Worker) tell(ctx context.Context, p *payload, why string) {
	w.mu.Lock()
	told := w.told[p.Run+why]
	if len(w.told) > 10_000 {
		clear(w.told)
	}
	w.told[p.Run+why] = true
	w.mu.Unlock()
	if told {
		return
	}
	w.log.Warn("a stage is left to other workers", "run", p.Run, "stage", p.Stage, "because", why)
	e := pipeline.Event{Run: p.Run, Type: pipeline.EngineEvent, Stage: p.Stage, Worker: w.info.ID, Message: "worker " + w.info.ID + " leaves the stage to another: " + why}
	if err := w.emit(ctx, e); err != nil {
		w.log.Warn("telling why a stage waits", "error", err)
	}
}

// takeSlots waits until the stage may run beside what runs here already. One whose next crash is its last runs alone, so
// that its neighbours are not charged with its death; it is not claimed before, so that it is not charged with theirs.
func (w *Worker) takeSlots(ctx context.Context, p *payload) (release func(), err error) {
	crashes, err := w.redis.HGet(ctx, w.keys(p.Run).name("stages"), "crash|"+p.Stage).Int()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("looking at %s: %w", p.Stage, err)
	}
	n := int64(1)
	if crashes >= maxCrashes-1 {
		n = int64(w.options.Concurrency)
	}
	if err := w.slots.Acquire(ctx, n); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotMine, context.Cause(ctx))
	}
	return func() { w.slots.Release(n) }, nil
}

// register lists an attempt in the heartbeats. It refuses one that is listed: asynq delivered it twice.
func (w *Worker) register(id string, a *attempt) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining || w.attempts[id] != nil {
		return false
	}
	w.attempts[id] = a
	return true
}

func (w *Worker) unregister(id string, a *attempt) {
	w.mu.Lock()
	delete(w.attempts, id)
	w.mu.Unlock()
	close(a.done)
}

// claiming notes that the attempt will be claimed now, unless the worker stops.
func (w *Worker) claiming(a *attempt) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.claimed = !w.draining
	return a.claimed
}

// claim makes the attempt this worker's, and executes it.
func (w *Worker) claim(ctx context.Context, p *payload) error {
	answer, err := claimScript.Run(ctx, w.redis, w.keys(p.Run).all(), p.Stage, p.Attempt, w.info.ID, w.store.ID(), p.Plan.Digest.String()).Text()
	if err != nil {
		return fmt.Errorf("claiming %s: %w", p.id(), err)
	}
	if answer == "ok" {
		w.execute(ctx, p)
		return nil
	}
	w.log.Debug("not claimed", "task", p.id(), "because", answer)
	if answer == "done" { // whoever did it may have died before it handed out what follows
		return w.drain(context.WithoutCancel(ctx), p.Run)
	}
	return nil
}

// result is what an attempt came to.
type result struct {
	*payload
	stage  pipeline.Stage
	out    *pipeline.Outcome
	events []pipeline.Event
}

// execute runs a claimed attempt and records what came of it.
func (w *Worker) execute(ctx context.Context, p *payload) {
	log := w.log.With("run", p.Run, "stage", p.Stage, "attempt", p.Attempt)
	r := result{payload: p, out: &pipeline.Outcome{}}
	var mu sync.Mutex
	x := pipeline.Executor{Store: w.store, Registry: w.registry, Worker: w.info.ID, Cores: w.options.Cores, Log: log, Emit: func(e pipeline.Event) {
		mu.Lock()
		defer mu.Unlock()
		r.events = append(r.events, e)
	}}
	log.Info("stage started", "kind", p.Kind)
	start := time.Now()
	err := w.runStage(ctx, &x, &r)
	// The outcome must be recorded though the attempt's context may be over.
	record := context.WithoutCancel(ctx)
	if err == nil {
		log.Info("stage finished", "cache", r.out.Cache, "seconds", time.Since(start).Seconds())
		w.persist(record, log, func() error { return w.finish(record, r) })
		return
	}
	log.Warn("stage failed", "error", err, "seconds", time.Since(start).Seconds())
	w.persist(record, log, func() error { return w.fail(ctx, r, err) })
}

// runStage checks that the task says what the state says, and executes the stage.
func (w *Worker) runStage(ctx context.Context, x *pipeline.Executor, r *result) error {
	plan, err := w.plan(ctx, r.Plan)
	if err != nil {
		return err
	}
	stage, ok := plan.stage(r.Stage)
	if !ok || stage.Kind != r.Kind {
		return fmt.Errorf("%w: it has no stage %s of kind %s", errPlan, r.Stage, r.Kind)
	}
	r.stage = stage
	want, err := insist(ctx, func() ([]input, error) { return w.resolve(ctx, r.Run, stage) })
	if err != nil {
		return err
	}
	given, err := r.inputs(ctx, w.store)
	if errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) {
		return fmt.Errorf("%w: %w", errStale, err) // the manifest is written again with the next attempt
	}
	if err != nil {
		return err
	}
	if !slices.Equal(given, want) {
		return errStale
	}
	inputs := make([]pipeline.Input, len(want))
	for i, in := range want {
		inputs[i] = pipeline.Input{Role: in.Role, Ref: in.Ref}
	}
	r.out, err = x.Execute(ctx, stage, plan.Seed, inputs)
	return err
}

// resolve returns the inputs of a stage as the state has them now.
func (w *Worker) resolve(ctx context.Context, run string, stage pipeline.Stage) ([]input, error) {
	s := &state{run: run, stages: map[string]string{}}
	if err := w.loadNeeds(ctx, s, stage); err != nil {
		return nil, err
	}
	return s.inputs(stage)
}

// persist tries to record an outcome until Redis takes it, or the attempt must count as lost anyway.
func (w *Worker) persist(ctx context.Context, log *slog.Logger, record func() error) {
	const patience = 2 * time.Minute
	deadline := time.Now().Add(patience)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := record()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			log.Error("the outcome of the stage could not be recorded; another worker will run it again", "error", err)
			return
		}
		log.Warn("recording the outcome of the stage", "error", err)
		_ = pause(ctx, wait)
	}
}
