package tasks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// attempt is one attempt of a stage that this worker has, from the moment it takes its task.
type attempt struct {
	run string
	entry
	priority int
	always   bool // the end of its run does not stop it
	claimed  bool // or about to be; guarded by the worker's mu
	cancel   context.CancelCauseFunc
	done     chan struct{}
}

// Causes of the end of an attempt's context.
var (
	errRunCanceled = errors.New("the run was canceled")
	errDraining    = errors.New("the worker stops")
	errTimeout     = errors.New("the stage took too long")
)

// errDeaf is the failure of a stage that is given up.
var errDeaf = errors.New("it was told to stop and did not, so it was given up while it still ran")

// errNotMine hands a task back to the queue without spending an attempt.
var errNotMine = errors.New("another worker must run this")

// ProcessTask is the worker as an asynq.Handler for tasks of type TaskType, for a server that a program has already. An error
// from it makes asynq deliver the task again; what became of the stage is decided by the state alone.
func (w *Worker) ProcessTask(ctx context.Context, t *asynq.Task) error {
	defer w.gate.arrived()()
	p, err := parsePayload(t.Payload())
	if errors.Is(err, errSchema) {
		return fmt.Errorf("%w: %w", errNotMine, err)
	}
	if err != nil {
		w.log.Error("a task that cannot be read", "error", err)
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	stage, why := w.foreign(ctx, p)
	if why != "" {
		over := w.over(ctx, p)
		if !over {
			w.tell(ctx, p, why)
		}
		if err := w.refill(ctx, w.queue); err != nil {
			w.log.Warn("filling the queue; the reconciler will", "error", err)
		}
		if over {
			return nil
		}
		return fmt.Errorf("%w: %s", errNotMine, why)
	}
	return w.process(ctx, p, stage)
}

// over reports whether a task that is for other workers is for nobody any more: its run was canceled, say. It would come back
// each second for ever. Nothing is said of a run that Redis does not know under this prefix.
func (w *Worker) over(ctx context.Context, p *payload) bool {
	status, err := w.redis.HGet(ctx, w.keys(p.Run).name("meta"), "status").Result()
	if err != nil || status != pipeline.Running {
		return err == nil
	}
	over, err := w.attemptOver(ctx, p.id())
	return err == nil && over
}

// process takes the attempt of a task, and then what this worker goes on with.
func (w *Worker) process(ctx context.Context, p *payload, stage pipeline.Stage) error {
	// The attempt's life is its own: asynq's context ends with the task's lease and on shutdown, long before we are ready.
	base := context.WithoutCancel(ctx)
	work, a := w.newAttempt(base, p, stage)
	if !w.register(p.id(), a) {
		a.cancel(nil)
		return errNotMine
	}
	c := &chain{w: w, base: base, place: place{w: w}, at: &successor{p, stage, nil}, work: work, attempt: a, started: time.Now()}
	defer c.place.leave()
	defer c.end() // also after a panic
	leave, err := w.join(work, p.Alone)
	if err == nil {
		defer leave()
		err = c.place.take(work, stage.Memory, p.Alone)
	}
	if err != nil || !w.claiming(a) {
		return w.handBack(work, p, stage)
	}
	s, err := w.claim(work, p, stage)
	if err != nil || s == nil {
		return err
	}
	w.at("claimed")
	c.at.state, c.started = s, time.Now()
	return c.follow()
}

func (w *Worker) newAttempt(ctx context.Context, p *payload, stage pipeline.Stage) (context.Context, *attempt) {
	work, cancel := context.WithCancelCause(ctx)
	return work, &attempt{run: p.Run, entry: entry{p.Stage, p.Attempt}, priority: p.Priority, always: stage.Always, cancel: cancel, done: make(chan struct{})}
}

// foreign returns the stage of a task, or says why this worker must leave it to others.
func (w *Worker) foreign(ctx context.Context, p *payload) (stage pipeline.Stage, why string) {
	if p.Store != w.storeID() {
		if w.store != nil && w.store.Replaced(ctx) {
			return stage, "its store was removed and made anew since it started, so it must be started again"
		}
		return stage, "it has another store"
	}
	if !slices.Contains(w.info.Kinds, p.Kind) {
		return stage, "it does not know the kind " + p.Kind
	}
	stage, err := w.stage(ctx, p)
	switch {
	case err == nil && stage.Memory > w.options.Memory:
		return stage, fmt.Sprintf("it has %d MiB of memory, and the stage needs %d", w.options.Memory>>20, (stage.Memory+1<<20-1)>>20)
	case errors.Is(err, errPlan) && !errors.Is(err, artifact.ErrNotFound) && !errors.Is(err, artifact.ErrCorrupt):
		return stage, "it does not understand the plan"
	}
	return stage, "" // what else is wrong with the plan is found when the attempt is claimed, and then told
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
	if w.attempts[id] == a {
		delete(w.attempts, id)
	}
	w.mu.Unlock()
	a.cancel(nil)
	close(a.done)
}

// claiming notes that the attempt will be claimed now, unless the worker stops.
func (w *Worker) claiming(a *attempt) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.claimed = !w.draining
	return a.claimed
}

// claim makes the attempt this worker's, and returns the part of the state that its inputs come from. Without an error nil
// says that there is nothing to do.
func (w *Worker) claim(ctx context.Context, p *payload, stage pipeline.Stage) (*state, error) {
	names, parents := needed(stage)
	alone := 0
	if p.Alone {
		alone = 1
	}
	args := []any{p.Stage, p.Attempt, w.info.ID, w.storeID(), p.Plan.Digest.String(), alone, len(names)}
	for _, name := range names {
		args = append(args, name)
	}
	for _, parent := range parents {
		args = append(args, parent)
	}
	answer, err := claimScript.Run(ctx, w.redis, w.keys(p.Run).all(), args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("claiming %s: %w", p.id(), err)
	}
	if what(answer) == "ok" {
		return claimed(p.Run, answer[1:]), nil
	}
	w.log.Debug("not claimed", "task", p.id(), "because", what(answer))
	if what(answer) == "done" { // whoever did it may have died before it handed out what follows
		return nil, w.handOut(context.WithoutCancel(ctx), w.queue, p.Run, p.Priority)
	}
	return nil, w.refill(context.WithoutCancel(ctx), w.queue)
}

// claimed reads the outcomes that claimScript returned.
func claimed(run string, answer []any) *state {
	s := &state{run: run, stages: make(map[string]string, len(answer)/2)}
	for i := 0; i+1 < len(answer); i += 2 {
		name := text(answer, i)
		if len(name) > 0 && name[0] == '\n' {
			s.stages["made|"+name[1:]] = text(answer, i+1)
			continue
		}
		s.stages["out|"+name] = text(answer, i+1)
	}
	return s
}

// result is what an attempt came to.
type result struct {
	*payload
	stage   pipeline.Stage
	sources []source
	out     *pipeline.Outcome
	mu      sync.Mutex
	events  []pipeline.Event
}

func (r *result) emit(e pipeline.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// taken returns the events so far: a stage that was given up may still emit some.
func (r *result) taken() []pipeline.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// execute runs a claimed attempt and records what came of it. It returns the attempts to go on with, as many as goOn says when
// the stage has run.
func (w *Worker) execute(ctx context.Context, p *payload, stage pipeline.Stage, s *state, l *place, goOn func() int) []*successor {
	log := w.log.With("run", p.Run, "stage", p.Stage, "attempt", p.Attempt)
	r := &result{payload: p, stage: stage, out: &pipeline.Outcome{}}
	// The outcome must be recorded though the attempt's context may be over.
	record := context.WithoutCancel(ctx)
	work, stop, cancel := w.limit(ctx, r, log)
	defer cancel()
	log.Info("stage started", "kind", p.Kind)
	start := time.Now()
	err := w.runStage(work, r, s, log)
	stop()
	w.ran(r, l, time.Since(start))
	var next []*successor
	switch {
	case err == nil:
		log.Info("stage finished", "cache", r.out.Cache, "seconds", time.Since(start).Seconds())
		w.persist(record, log, func() (err error) { next, err = w.finish(record, r, s, goOn()); return err })
	case skipped(err) != nil:
		reason := skipped(err).Reason
		log.Info("stage skipped", "because", reason)
		w.persist(record, log, func() (err error) { next, err = w.skip(record, r, s, reason, goOn()); return err })
	default:
		if cause := context.Cause(work); errors.Is(cause, errDraining) || errors.Is(cause, errRunCanceled) {
			log.Info("stage stopped", "because", cause, "seconds", time.Since(start).Seconds())
		} else {
			log.Warn("stage failed", "error", err, "seconds", time.Since(start).Seconds())
		}
		w.persist(record, log, func() error { return w.fail(work, r, err) })
	}
	w.leavePoolOf(record, p, stage)
	return next
}

func skipped(err error) *pipeline.SkippedError {
	e, _ := errors.AsType[*pipeline.SkippedError](err)
	return e
}

// limit bounds the time of an attempt. One that does not stop though its time is over, or its run was canceled, is given up: that
// is recorded while it still runs, and what it does later finds the door closed. stop ends the watch.
func (w *Worker) limit(ctx context.Context, r *result, log *slog.Logger) (work context.Context, stop func(), cancel func()) {
	work, cancel = ctx, func() {}
	if d := time.Duration(r.stage.Timeout); d > 0 {
		work, cancel = context.WithTimeoutCause(ctx, d, errTimeout)
	}
	ended := make(chan struct{})
	forget := context.AfterFunc(work, func() {
		why := context.Cause(work)
		if !errors.Is(why, errTimeout) && !errors.Is(why, errRunCanceled) { // a worker that stops hands its stages over
			return
		}
		deaf := time.NewTimer(w.deaf)
		defer deaf.Stop()
		select {
		case <-ended:
			return
		case <-deaf.C:
		}
		log.Warn("a stage does not stop; it is given up", "because", why)
		given := &result{payload: r.payload, stage: r.stage, out: &pipeline.Outcome{}, events: r.taken()}
		w.persist(context.WithoutCancel(ctx), log, func() error { return w.fail(work, given, errDeaf) })
	})
	return work, func() { forget(); close(ended) }, cancel
}

// runStage executes the stage.
func (w *Worker) runStage(ctx context.Context, r *result, s *state, log *slog.Logger) error {
	plan, err := w.plan(ctx, r.Run, r.Plan)
	if err != nil {
		return err
	}
	if r.stage.Kind != r.Kind {
		if r.stage, err = w.stage(ctx, r.payload); err != nil {
			return err
		}
		return fmt.Errorf("%w: it has no stage %s of kind %s", errPlan, r.Stage, r.Kind)
	}
	if r.sources, err = s.sources(r.stage); err != nil {
		return err
	}
	inputs := make([]pipeline.Input, len(r.sources))
	for i, in := range r.sources {
		inputs[i] = in.Input
	}
	x := pipeline.Executor{Store: w.store, Registry: w.registry, Worker: w.info.ID, Cores: w.options.Cores, Log: log, Emit: r.emit,
		Run: r.Run, Attempt: r.Attempt, Middleware: w.config.Middleware, Flight: w.flights}
	out, err := x.Execute(ctx, r.stage, plan.Seed, inputs)
	if out != nil {
		r.out = out
	}
	return err
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

// leavePoolOf makes room for another stage of the pool that a stage is of, if it is of one.
func (w *Worker) leavePoolOf(ctx context.Context, p *payload, stage pipeline.Stage) {
	pool := w.registry.Pool(stage)
	if pool == "" {
		return
	}
	k := w.queueKeys(w.queue)
	n, err := freeScript.Run(ctx, w.redis, []string{k.name("waiting"), k.name("blocked"), k.pool(pool)}, p.id()).Int()
	if err == nil && n > 0 {
		err = w.handOut(ctx, w.queue, p.Run, p.Priority)
	}
	if err != nil {
		w.log.Warn("leaving the pool; the reconciler will", "pool", pool, "task", strconv.Quote(p.id()), "error", err)
	}
}
