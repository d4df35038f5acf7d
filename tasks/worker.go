package tasks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/semaphore"

	"github.com/hashline/hashline/artifact"
)

// WorkerOptions are one worker's own.
type WorkerOptions struct {
	Concurrency int           // stages at a time, the slots; 0 means the number of processors
	Cores       int           // goroutines that a stage may keep busy; 0 means the number of processors
	Memory      int64         // bytes that stages may declare at a time; 0 means what this process may have, see DefaultMemory
	Grace       time.Duration // how long stages may run on when the worker is told to stop; 0 means 20 s
	ID          string        // unique among workers; empty: made up
}

func (o *WorkerOptions) fill(host string) {
	if o.Concurrency <= 0 {
		o.Concurrency = runtime.GOMAXPROCS(0)
	}
	if o.Cores <= 0 {
		o.Cores = runtime.GOMAXPROCS(0)
	}
	if o.Memory <= 0 {
		o.Memory = DefaultMemory()
	}
	if o.Grace <= 0 {
		o.Grace = 20 * time.Second
	}
	if o.ID == "" {
		id := artifact.NewRunID(time.Now())
		o.ID = fmt.Sprintf("%s-%d-%s", host, os.Getpid(), id[len(id)-6:])
	}
}

// Worker runs stages. Run may be called once.
type Worker struct {
	*core
	options WorkerOptions
	config  Config
	info    WorkerInfo

	slots   *semaphore.Weighted // a unit for each stage at a time
	memory  *semaphore.Weighted // bytes
	company *semaphore.Weighted // a unit for each task here; all of them for one that is to be alone
	pace    pace
	lengths lengths
	gate    *gate
	besides sync.WaitGroup // chains without a task

	flights *flights
	timers  timers

	mu       sync.Mutex
	attempts map[string]*attempt
	draining bool
	since    time.Time       // since when heartbeats reach Redis without a gap; zero while they do not
	told     map[string]bool // what the events of runs have been told already

	active map[string]time.Time // tasks that the reconciler saw active without a claim, and since when

	deaf time.Duration // how long a draining worker waits for stages that were told to stop
}

// NewWorker makes a worker; Run starts it. Its Config needs a Registry.
func NewWorker(c Config, o WorkerOptions) (*Worker, error) {
	if c.Registry == nil {
		return nil, errors.New("tasks: a worker's Config needs a Registry")
	}
	k, err := newCore(c)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	o.fill(host)
	w := &Worker{core: k, options: o, config: c, slots: semaphore.NewWeighted(int64(o.Concurrency)), memory: semaphore.NewWeighted(o.Memory),
		company: semaphore.NewWeighted(everybody), gate: newGate(),
		flights:  &flights{core: k, owner: o.ID, held: map[artifact.ActionKey]string{}},
		attempts: map[string]*attempt{}, told: map[string]bool{}, active: map[string]time.Time{}, deaf: 5 * time.Second}
	w.info = WorkerInfo{ID: o.ID, Host: host, PID: os.Getpid(), Store: k.storeID(), Queue: k.queue, Kinds: c.Registry.Names(), Concurrency: o.Concurrency, StartedAt: time.Now().UTC()}
	return w, nil
}

// ID returns the worker's name in events and records.
func (w *Worker) ID() string { return w.info.ID }

// Run takes stages from the queue until ctx ends, by an asynq server of its own. Then it takes no more, gives those in
// progress the grace to finish, hands the others over to other workers, and returns.
func (w *Worker) Run(ctx context.Context) error {
	w.conn.ringable(w.queue, cmp.Or(w.config.Poll, defaultPoll))
	server := asynq.NewServerFromRedisClient(&gated{w.redis, w}, w.serverConfig())
	return w.run(ctx, func() error { return server.Start(w) }, func() {
		w.gate.close()
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			server.Stop()
		}()
		for {
			select {
			case <-stopped:
				return
			case <-time.After(5 * time.Millisecond): // it may be held back by the doorbell
				w.conn.bell.ring(w.queue)
			}
		}
	}, server.Shutdown)
}

// Serve does what Run does but for taking tasks, which is left to an asynq server that the program has already: it processes the queue of the
// Config, has the worker as handler of TaskType, and at least as many goroutines as WorkerOptions.Concurrency, for short stages a
// quarter more: a task for which there is no slot is left to other workers. Its Config
// should have IsFailure and RetryDelay of this package, and a TaskCheckInterval of some milliseconds: a ready stage may wait that
// long for an idle server, and asynq's own is a second. Serve returns when ctx has ended and the stages in progress are over
// or handed to other workers; the server is to be shut down after that.
func (w *Worker) Serve(ctx context.Context) error {
	none := func() {}
	return w.run(ctx, func() error { return nil }, none, none)
}

// run keeps the heartbeat and reconciles while tasks are taken.
func (w *Worker) run(ctx context.Context, start func() error, stopTaking, shutDown func()) error {
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := w.conn.check(own); err != nil {
		return unreachable(err, "")
	}
	if err := w.beat(own); err != nil {
		return unreachable(err, "")
	}
	var background sync.WaitGroup
	background.Go(func() { every(own, heartbeatEvery, w.heartbeat) })
	background.Go(func() { every(own, reconcileEvery, w.reconcile) })
	background.Go(func() { w.notifier(own) })
	background.Go(func() { w.listen(own) })
	background.Go(func() { w.checkRedis(own) })
	background.Go(w.fingerprint)
	defer w.timers.stop()
	if err := start(); err != nil {
		stop()
		background.Wait()
		return unreachable(err, "")
	}
	w.log.Info("worker started", "worker", w.info.ID, "queue", w.queue, "concurrency", w.options.Concurrency, "store", w.info.Store)
	<-ctx.Done()
	w.log.Info("worker stops", "worker", w.info.ID)
	stopTaking()
	w.drainAttempts(own)
	w.awaitBesides()
	shutDown()
	stop()
	background.Wait()
	w.leave(context.WithoutCancel(ctx))
	return nil
}

// defaultPoll is how long an idle worker sleeps when nobody wakes it.
const defaultPoll = 500 * time.Millisecond

// shutdownTimeout is how long those who still work may take to return when all attempts are over.
const shutdownTimeout = time.Second

// IsFailure is for the Config of an asynq server that has a Worker as handler: a task that is handed back, or whose lease ran
// out, is not used up by that.
func IsFailure(err error) bool {
	return !errors.Is(err, errNotMine) && !errors.Is(err, asynq.ErrLeaseExpired)
}

// RetryDelay is for the same Config: a task that is handed back is to be taken by another worker soon. Tasks of other types keep
// asynq's own delay.
func RetryDelay(n int, err error, t *asynq.Task) time.Duration {
	if t.Type() == TaskType {
		return time.Second
	}
	return asynq.DefaultRetryDelayFunc(n, err, t)
}

// fingerprint has the code of all kinds scanned before their first stages ask for it, which would take each a few
// milliseconds.
func (w *Worker) fingerprint() {
	for _, kind := range w.info.Kinds {
		_, _ = w.registry.Fingerprint(kind) // a stage that asks again is told of the error
	}
}

// leave takes the worker off the list of those alive.
func (w *Worker) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	pipe := w.redis.Pipeline()
	pipe.Del(ctx, w.key.worker(w.info.ID))
	pipe.ZRem(ctx, w.key.liveWorkers(), w.info.ID)
	if _, err := pipe.Exec(ctx); err != nil {
		w.log.Warn("taking leave of Redis", "error", err)
	}
}

func (w *Worker) serverConfig() asynq.Config {
	return asynq.Config{
		Concurrency: w.options.Concurrency + mostAhead(w.options.Concurrency), Queues: map[string]int{w.queue: 1}, TaskCheckInterval: asynqPoll, DelayedTaskCheckInterval: time.Second,
		// What is to be waited for was waited for before asynq is told to shut down.
		ShutdownTimeout: shutdownTimeout, Logger: asynqLog{w.log}, LogLevel: asynq.WarnLevel,
		IsFailure: IsFailure, RetryDelayFunc: RetryDelay,
	}
}

// checkRedis warns of a Redis that may throw away the state of runs when its memory is full.
func (w *Worker) checkRedis(ctx context.Context) {
	for _, warning := range w.conn.Warnings(ctx) {
		w.log.Warn(warning)
	}
}

// drainAttempts lets the attempts in progress finish for the time of grace, then ends them. Those that only wait for
// their turn end at once. A stage that does not heed its context is handed over while it still runs: the first commit
// wins.
func (w *Worker) drainAttempts(ctx context.Context) {
	running := w.startDraining()
	late := w.await(running, w.options.Grace)
	for _, a := range late {
		a.cancel(errDraining)
	}
	for id, a := range w.await(late, w.deaf) {
		w.log.Warn("a stage does not stop; it is handed over", "task", id)
		p := &payload{Run: a.run, Stage: a.stage, Attempt: a.attempt, Priority: a.priority}
		if err := w.pass(ctx, stopped(p, w.queue, w.info.ID)); err != nil {
			w.log.Error("handing over a stage", "task", id, "error", err)
		}
	}
}

// awaitBesides waits for the chains without a task, as asynq does for the others: their attempts are over, or given up.
func (w *Worker) awaitBesides() {
	over := make(chan struct{})
	go func() {
		defer close(over)
		w.besides.Wait()
	}()
	select {
	case <-over:
	case <-time.After(shutdownTimeout):
	}
}

// stopping reports whether the worker takes no more.
func (w *Worker) stopping() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.draining
}

// startDraining refuses attempts from now on and returns those that were claimed.
func (w *Worker) startDraining() map[string]*attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	running := map[string]*attempt{}
	for id, a := range w.attempts {
		if a.claimed {
			running[id] = a
		} else {
			a.cancel(errDraining)
		}
	}
	return running
}

// await waits for attempts to end and returns those that did not in time.
func (w *Worker) await(attempts map[string]*attempt, patience time.Duration) map[string]*attempt {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	left := map[string]*attempt{}
	for id, a := range attempts {
		left[id] = a
	}
	for id, a := range attempts {
		select {
		case <-a.done:
			delete(left, id)
		case <-timer.C:
			return w.stillRunning(left)
		}
	}
	return left
}

func (w *Worker) stillRunning(attempts map[string]*attempt) map[string]*attempt {
	for id, a := range attempts {
		select {
		case <-a.done:
			delete(attempts, id)
		default:
		}
	}
	return attempts
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

// asynqLog gives asynq's log to slog, as details: what matters of it is found and told by this package.
type asynqLog struct{ *slog.Logger }

func (l asynqLog) Debug(args ...any) { l.tell(args) }
func (l asynqLog) Info(args ...any)  { l.tell(args) }
func (l asynqLog) Warn(args ...any)  { l.tell(args) }
func (l asynqLog) Error(args ...any) { l.tell(args) }
func (l asynqLog) Fatal(args ...any) { l.Logger.Error("asynq", "message", fmt.Sprint(args...)) }

func (l asynqLog) tell(args []any) { l.Logger.Debug("asynq", "message", fmt.Sprint(args...)) }
