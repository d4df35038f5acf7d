package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// WorkerOptions are one worker's own.
type WorkerOptions struct {
	Concurrency int           // stages at a time; 0 means the number of processors
	Cores       int           // goroutines that a stage may keep busy; 0 means the number of processors
	Grace       time.Duration // how long stages may run on when the worker is told to stop; 0 means 20 s
	ID          string        // empty: made up
}

// Heartbeats. Nobody is judged lost before one time to live after the judge's own connection to Redis.
const (
	heartbeatEvery = 1500 * time.Millisecond
	heartbeatTTL   = 6 * time.Second
	reconcileEvery = 2 * time.Second
)

// Worker runs stages. Run may be called once.
type Worker struct {
	*core
	options WorkerOptions
	config  Config
	info    WorkerInfo

	// alone is held for reading by every attempt, and for writing by one whose stage killed workers before.
	alone sync.RWMutex

	mu       sync.Mutex
	attempts map[string]*attempt
	draining bool
	since    time.Time // of the connection to Redis; zero while it is lost
	waiting  map[string]bool
	active   map[string]time.Time // tasks that were seen active without a claim, and since when
}

// attempt is one execution in progress.
type attempt struct {
	run    string
	cancel context.CancelCauseFunc
	done   chan struct{}
}

// Causes of the end of an attempt's context.
var (
	errRunCanceled = errors.New("the run was canceled")
	errDraining    = errors.New("the worker stops")
)

// errNotMine hands a task back to the queue without spending an attempt.
var errNotMine = errors.New("another worker must run this")

// NewWorker makes a worker; Run starts it.
func NewWorker(c Config, o WorkerOptions) (*Worker, error) {
	if c.Registry == nil {
		return nil, errors.New("tasks: a worker's Config needs a Registry")
	}
	k, err := newCore(c)
	if err != nil {
		return nil, err
	}
	if o.Concurrency <= 0 {
		o.Concurrency = runtime.GOMAXPROCS(0)
	}
	if o.Cores <= 0 {
		o.Cores = runtime.GOMAXPROCS(0)
	}
	if o.Grace <= 0 {
		o.Grace = 20 * time.Second
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if o.ID == "" {
		id := artifact.NewRunID(time.Now())
		o.ID = fmt.Sprintf("%s-%d-%s", host, os.Getpid(), id[len(id)-6:])
	}
	w := &Worker{core: k, options: o, config: c, attempts: map[string]*attempt{}, waiting: map[string]bool{}, active: map[string]time.Time{}}
	w.info = WorkerInfo{ID: o.ID, Host: host, PID: os.Getpid(), Store: k.store.ID(), Queue: k.queue, Kinds: c.Registry.Names(), Concurrency: o.Concurrency, StartedAt: time.Now().UTC()}
	return w, nil
}

// ID returns the worker's name in events and records.
func (w *Worker) ID() string { return w.info.ID }

// Run takes stages from the queue until ctx ends. Then it takes no more, gives those in progress the grace to finish,
// hands the others over to other workers, and returns.
func (w *Worker) Run(ctx context.Context) error {
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := w.beat(own); err != nil {
		return unreachable(err, "")
	}
	var background sync.WaitGroup
	background.Go(func() { every(own, heartbeatEvery, w.heartbeat) })
	background.Go(func() { every(own, reconcileEvery, w.reconcile) })
	background.Go(func() { w.listen(own) })
	server := asynq.NewServerFromRedisClient(w.redis, w.serverConfig())
	if err := server.Start(asynq.HandlerFunc(w.process)); err != nil {
		stop()
		background.Wait()
		return unreachable(err, "")
	}
	w.log.Info("worker started", "worker", w.info.ID, "queue", w.queue, "concurrency", w.options.Concurrency, "store", w.info.Store)
	<-ctx.Done()
	w.log.Info("worker stops", "worker", w.info.ID)
	server.Stop()
	w.drainAttempts()
	server.Shutdown()
	stop()
	background.Wait()
	gone, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	pipe := w.redis.Pipeline()
	pipe.Del(gone, workerKey(w.info.ID))
	pipe.ZRem(gone, liveWorkers, w.info.ID)
	if _, err := pipe.Exec(gone); err != nil {
		w.log.Warn("taking leave of Redis", "error", err)
	}
	return nil
}

func (w *Worker) serverConfig() asynq.Config {
	poll := w.config.Poll
	if poll == 0 {
		poll = 10 * time.Millisecond
		if w.config.Conn.embedded {
			poll = 2 * time.Millisecond
		}
	}
	return asynq.Config{
		Concurrency: w.options.Concurrency, Queues: map[string]int{w.queue: 1}, TaskCheckInterval: poll, DelayedTaskCheckInterval: time.Second,
		ShutdownTimeout: w.options.Grace, Logger: asynqLog{w.log}, LogLevel: asynq.WarnLevel,
		IsFailure:      func(err error) bool { return !errors.Is(err, errNotMine) && !errors.Is(err, asynq.ErrLeaseExpired) },
		RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return time.Second },
	}
}

// drainAttempts waits for the attempts in progress, then ends them.
func (w *Worker) drainAttempts() {
	w.mu.Lock()
	w.draining = true
	waitFor := make([]*attempt, 0, len(w.attempts))
	for _, a := range w.attempts {
		waitFor = append(waitFor, a)
	}
	w.mu.Unlock()
	grace := time.NewTimer(w.options.Grace)
	defer grace.Stop()
	for i, a := range waitFor {
		select {
		case <-a.done:
		case <-grace.C:
			for _, late := range waitFor[i:] {
				late.cancel(errDraining)
			}
			for _, late := range waitFor[i:] {
				select {
				case <-late.done:
				case <-time.After(5 * time.Second): // a stage that ignores its context: the reconciler of another worker takes it
					return
				}
			}
			return
		}
	}
}

// every calls f at intervals until ctx ends.
func every(ctx context.Context, d time.Duration, f func(context.Context)) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f(ctx)
		}
	}
}

// heartbeat tells the world that the worker lives and what it executes, and finds out about cancels that the channel
// did not bring.
func (w *Worker) heartbeat(ctx context.Context) {
	if err := w.beat(ctx); err != nil {
		w.mu.Lock()
		w.since = time.Time{}
		w.mu.Unlock()
		if ctx.Err() == nil {
			w.log.Warn("heartbeat", "error", err)
		}
		return
	}
	runs := map[string]bool{}
	w.mu.Lock()
	for _, a := range w.attempts {
		runs[a.run] = true
	}
	w.mu.Unlock()
	for run := range runs {
		if n, err := w.redis.HExists(ctx, keys{run}.name("meta"), "cancel").Result(); err == nil && n {
			w.cancelRun(run)
		}
	}
}

func (w *Worker) beat(ctx context.Context) error {
	w.mu.Lock()
	info := w.info
	info.Draining = w.draining
	info.Attempts = make([]string, 0, len(w.attempts))
	for id := range w.attempts {
		info.Attempts = append(info.Attempts, id)
	}
	w.mu.Unlock()
	sort.Strings(info.Attempts)
	b, err := json.Marshal(info)
	if err != nil {
		return err
	}
	pipe := w.redis.Pipeline()
	pipe.Set(ctx, workerKey(info.ID), b, heartbeatTTL)
	pipe.ZAdd(ctx, liveWorkers, redis.Z{Score: float64(time.Now().UnixMilli()), Member: info.ID})
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	if w.since.IsZero() {
		w.since = time.Now()
	}
	w.mu.Unlock()
	return nil
}

// listen ends the attempts of canceled runs.
func (w *Worker) listen(ctx context.Context) {
	sub := w.redis.Subscribe(ctx, cancelChannel)
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-sub.Channel():
			if !ok {
				return
			}
			w.cancelRun(m.Payload)
		}
	}
}

func (w *Worker) cancelRun(run string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.attempts {
		if a.run == run {
			a.cancel(errRunCanceled)
		}
	}
}

// process is asynq's handler. An error from it makes asynq deliver the task again; what became of the stage is decided
// by the state alone.
func (w *Worker) process(ctx context.Context, t *asynq.Task) error {
	p, err := parsePayload(t.Payload())
	if err != nil {
		w.log.Error("a task that cannot be read", "error", err)
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	if p.Store != w.store.ID() || !slices.Contains(w.info.Kinds, p.Kind) {
		w.notMine(ctx, p)
		return errNotMine
	}
	unlock, err := w.share(ctx, p)
	if err != nil {
		return err
	}
	defer unlock()
	a, id := &attempt{run: p.Run, done: make(chan struct{})}, taskID(p.Run, p.Stage, p.Attempt)
	// The attempt's life is its own: asynq's context ends with the task's lease and on shutdown, long before we are ready.
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	a.cancel = cancel
	if !w.register(id, a) {
		return errNotMine
	}
	defer w.unregister(id, a)
	answer, err := claimScript.Run(ctx, w.redis, keys{p.Run}.all(), p.Stage, p.Attempt, w.info.ID).Text()
	if err != nil {
		return fmt.Errorf("claiming %s: %w", id, err)
	}
	if answer != "ok" {
		w.log.Debug("not claimed", "task", id, "because", answer)
		if answer == "done" {
			return w.drain(ctx, p.Run)
		}
		return nil
	}
	w.execute(work, p)
	return nil
}

// share waits until the stage may run beside what runs here already. One whose next crash is its last runs alone, so that
// its neighbours are not charged with its death; it is not claimed before, so that it is not charged with theirs.
func (w *Worker) share(ctx context.Context, p *payload) (unlock func(), err error) {
	crashes, err := w.redis.HGet(ctx, keys{p.Run}.name("stages"), "crash|"+p.Stage).Int()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("looking at %s: %w", p.Stage, err)
	}
	if crashes >= maxCrashes-1 {
		w.alone.Lock()
		return w.alone.Unlock, nil
	}
	w.alone.RLock()
	return w.alone.RUnlock, nil
}

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

// notMine says once in a run's events why this worker leaves a stage to others.
func (w *Worker) notMine(ctx context.Context, p *payload) {
	why := "it has another store"
	if p.Store == w.store.ID() {
		why = "it does not know the kind " + p.Kind
	}
	w.mu.Lock()
	told := w.waiting[p.Run+why]
	if len(w.waiting) > 10_000 {
		clear(w.waiting)
	}
	w.waiting[p.Run+why] = true
	w.mu.Unlock()
	if told {
		return
	}
	if err := w.emit(ctx, pipeline.Event{Run: p.Run, Type: pipeline.EngineEvent, Stage: p.Stage, Worker: w.info.ID, Message: "worker " + w.info.ID + " leaves the stage to another: " + why}); err != nil {
		w.log.Warn("telling why a stage waits", "error", err)
	}
}

// execute runs a claimed attempt and records what came of it.
func (w *Worker) execute(ctx context.Context, p *payload) {
	log := w.log.With("run", p.Run, "stage", p.Stage, "attempt", p.Attempt)
	var mu sync.Mutex
	var events []pipeline.Event
	x := pipeline.Executor{Store: w.store, Registry: w.registry, Worker: w.info.ID, Cores: w.options.Cores, Log: log, Emit: func(e pipeline.Event) {
		mu.Lock()
		events = append(events, e)
		mu.Unlock()
	}}
	log.Info("stage started", "kind", p.Kind)
	start := time.Now()
	stage, out, err := w.runStage(ctx, &x, p)
	r := result{payload: p, stage: stage, out: out, events: events}
	// The outcome must be recorded though the attempt's context may be over.
	record := context.WithoutCancel(ctx)
	if err == nil {
		log.Info("stage finished", "cache", out.Cache, "seconds", time.Since(start).Seconds())
		w.persist(record, log, func() error { return w.finish(record, r) })
		return
	}
	log.Warn("stage failed", "error", err, "seconds", time.Since(start).Seconds())
	w.persist(record, log, func() error { return w.fail(record, context.Cause(ctx), r, err) })
}

// result is what an attempt came to.
type result struct {
	*payload
	stage  pipeline.Stage
	out    *pipeline.Outcome
	events []pipeline.Event
}

// runStage checks that the task says what the state says, and executes the stage.
func (w *Worker) runStage(ctx context.Context, x *pipeline.Executor, p *payload) (pipeline.Stage, *pipeline.Outcome, error) {
	none := &pipeline.Outcome{}
	plan, err := w.plan(ctx, p.Plan)
	if err != nil {
		return pipeline.Stage{}, none, err
	}
	stage, ok := plan.Stage(p.Stage)
	if !ok || stage.Kind != p.Kind {
		return stage, none, errors.New("the task names a stage that the plan does not have")
	}
	given, err := p.inputs(ctx, w.store)
	if err != nil {
		return stage, none, err
	}
	s, err := w.needed(ctx, p.Run, stage)
	if err != nil {
		return stage, none, err
	}
	want, err := s.inputs(stage)
	if err != nil {
		return stage, none, err
	}
	if !slices.Equal(given, want) {
		return stage, none, errors.New("the task's inputs are not those of the run")
	}
	inputs := make([]pipeline.Input, len(want))
	for i, in := range want {
		inputs[i] = pipeline.Input{Role: in.Role, Ref: in.Ref}
	}
	out, err := x.Execute(ctx, stage, plan.Seed, inputs)
	return stage, out, err
}

// needed reads the part of the state that the inputs of a stage come from.
func (w *Worker) needed(ctx context.Context, run string, stage pipeline.Stage) (*state, error) {
	s := &state{run: run, stages: map[string]string{}}
	var fields []string
	for _, up := range stage.Upstream() {
		fields = append(fields, "out|"+up)
	}
	if len(fields) == 0 {
		return s, nil
	}
	values, err := w.redis.HMGet(ctx, keys{run}.name("stages"), fields...).Result()
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		s.stages[fields[i]], _ = v.(string)
	}
	return s, nil
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
		if time.Now().After(deadline) || ctx.Err() != nil {
			log.Error("the outcome of the stage could not be recorded; another worker will run it again", "error", err)
			return
		}
		log.Warn("recording the outcome of the stage", "error", err)
		time.Sleep(wait)
	}
}

// finish commits a success and releases what it makes ready.
func (w *Worker) finish(ctx context.Context, r result) error {
	out, err := json.Marshal(newOutcome(r.out))
	if err != nil {
		return err
	}
	args := append([]any{r.Stage, r.Attempt, w.info.ID, string(out), r.out.Cache}, eventArgs(r.events)...)
	answer, err := finishScript.Run(ctx, w.redis, keys{r.Run}.all(), args...).Slice()
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

// fail decides what follows an error: the stage is handed over, run again, waits for a damaged input to be made again,
// or has failed.
func (w *Worker) fail(ctx context.Context, cause error, r result, failure error) error {
	if errors.Is(cause, errDraining) {
		return w.handOver(ctx, r.Run, r.Stage, r.Attempt, w.info.ID, pipeline.StepHandedOver, "its worker stops", false)
	}
	if damaged, ok := errors.AsType[*pipeline.DamagedInput](failure); ok && cause == nil {
		if done, err := w.redo(ctx, r, damaged); done || err != nil {
			return err
		}
	}
	e := pipeline.AsError(failure)
	e.Stage = r.Stage
	status, retry := pipeline.Failed, 0
	if errors.Is(cause, errRunCanceled) {
		status, e.Class = pipeline.Canceled, pipeline.ClassCanceled
	}
	if e.Class == pipeline.ClassUnreachable && r.Attempt < maxRetries {
		retry = 1
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	out, err := json.Marshal(newOutcome(r.out))
	if err != nil {
		return err
	}
	args := append([]any{r.Stage, r.Attempt, w.info.ID, string(text), e.Message, status, retry, string(out)}, eventArgs(r.events)...)
	answer, err := failScript.Run(ctx, w.redis, keys{r.Run}.all(), args...).Slice()
	if err != nil {
		return err
	}
	return w.after(ctx, r.Run, answer)
}

// redo lets the stage that made a damaged input make it again. It reports false when no stage of the run did.
func (w *Worker) redo(ctx context.Context, r result, damaged *pipeline.DamagedInput) (bool, error) {
	s, err := w.needed(ctx, r.Run, r.stage)
	if err != nil {
		return false, err
	}
	for _, n := range r.stage.Needs {
		if n.Stage == "" || n.Role != damaged.Role {
			continue
		}
		inputs, err := s.inputs(pipeline.Stage{Needs: []pipeline.Need{n}})
		if err != nil || inputs[0].Ref != damaged.Ref {
			continue
		}
		if args := eventArgs(r.events); len(args) > 0 {
			for _, e := range r.events {
				e.Run, e.Stage, e.Attempt = r.Run, r.Stage, r.Attempt
				if err := w.emit(ctx, e); err != nil {
					return false, err
				}
			}
		}
		message := fmt.Sprintf("its output %s is damaged or gone", n.Output)
		answer, err := redoScript.Run(ctx, w.redis, keys{r.Run}.all(), r.Stage, r.Attempt, w.info.ID, n.Stage, maxRedos, message).Text()
		if err != nil {
			return false, err
		}
		if answer == "limit" {
			return false, nil
		}
		return true, w.drain(ctx, r.Run)
	}
	return false, nil
}

// handOver gives an attempt out again under the next number. A crash counts against the stage.
func (c *core) handOver(ctx context.Context, run, stage string, attempt int, owner, event, message string, crash bool) error {
	charged := 0
	if crash {
		charged = 1
	}
	e := pipeline.Error{Class: pipeline.ClassStageFailed, Stage: stage, Message: fmt.Sprintf("stage %s lost its worker %d times", stage, maxCrashes),
		Hint: "look at the workers' logs: the stage may need more memory than they have"}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	answer, err := handOverScript.Run(ctx, c.redis, keys{run}.all(), stage, attempt, owner, event, message, charged, maxCrashes, string(text)).Slice()
	if err != nil {
		return err
	}
	if closed(answer) {
		return c.settleRun(ctx, run)
	}
	return c.drain(ctx, run)
}

// asynqLog gives asynq's log to slog.
type asynqLog struct{ *slog.Logger }

func (l asynqLog) Debug(args ...any) { l.Logger.Debug("asynq", "message", fmt.Sprint(args...)) }
func (l asynqLog) Info(args ...any)  { l.Logger.Debug("asynq", "message", fmt.Sprint(args...)) }
func (l asynqLog) Warn(args ...any)  { l.Logger.Debug("asynq", "message", fmt.Sprint(args...)) }
func (l asynqLog) Error(args ...any) { l.Logger.Warn("asynq", "message", fmt.Sprint(args...)) }
func (l asynqLog) Fatal(args ...any) { l.Logger.Error("asynq", "message", fmt.Sprint(args...)) }
