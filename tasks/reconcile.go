package tasks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/pipeline"
)

// unclaimedAfter is how long a ready stage may have a task that does not lead to a claim.
const unclaimedAfter = 4 * time.Second

// round is one pass of the reconciler over the runs.
type round struct {
	now   time.Time // Redis' clock, which all moments in the state are of
	alive []WorkerInfo
	judge bool                      // whether a missing heartbeat means a death
	looks int                       // tasks that may still be asked for
	ready map[string]map[string]int // by queue: runs with ready stages, and their priorities
}

// maxLooks bounds what a round asks asynq for. Where thousands of stages have tasks, a round looks at some of
// them, by chance.
const maxLooks = 200

// inspectAtOnce is how many runs are asked for at a time.
const inspectAtOnce = 100

// youngerThan reports whether a moment of the state is less than d ago. One in the future is not: the clock of Redis was
// set back, and nothing may wait until it has caught up.
func (r *round) youngerThan(moment string, d time.Duration) bool {
	age := r.now.Sub(micros(moment))
	return age >= 0 && age < d
}

// reconcile looks at every run that is not recorded yet and mends what a crash left behind: ready stages that do not compete for
// the queue, attempts whose worker is gone, tasks that vanished, stages that waited long enough, runs whose time is over or that
// closed without a record. One worker of a store at a time does it.
func (w *Worker) reconcile(ctx context.Context) {
	won, err := w.redis.SetNX(ctx, w.key.reconcileLock(w.storeID()), w.info.ID, reconcileEvery-100*time.Millisecond).Result()
	if err != nil || !won {
		return
	}
	for _, do := range []func(context.Context) error{w.reconcileRuns, w.reconcilePools} {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("reconciling", "error", err)
		}
	}
}

func (w *Worker) reconcileRuns(ctx context.Context) error {
	runs, err := w.redis.ZRangeWithScores(ctx, w.key.activeRuns(), 0, -1).Result()
	if err != nil || len(runs) == 0 {
		return err
	}
	r := &round{judge: w.mayJudge(), looks: maxLooks}
	if r.alive, err = w.workers(ctx); err != nil {
		return err
	}
	var errs []error
	for some := range slices.Chunk(runs, inspectAtOnce) {
		errs = append(errs, w.reconcileSome(ctx, some, r))
	}
	return errors.Join(append(errs, w.forgetDead(ctx, r.alive))...)
}

func (w *Worker) reconcileSome(ctx context.Context, runs []redis.Z, r *round) error {
	r.ready = map[string]map[string]int{}
	calls := make([]call, len(runs))
	for i, z := range runs {
		run, _ := z.Member.(string)
		calls[i].keys = w.keys(run).all()
	}
	answers, err := w.runAll(ctx, inspectScript, calls)
	if err != nil {
		return err
	}
	if r.now, err = w.redis.Time(ctx).Result(); err != nil { // no earlier: what started meanwhile would seem to lie in the future
		return err
	}
	var errs []error
	for i, z := range runs {
		run, _ := z.Member.(string)
		answer, err := answers[i].Slice()
		if err == nil {
			err = w.reconcileRun(ctx, &inspected{run, answer}, time.UnixMilli(int64(z.Score)), r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("run %s: %w", run, err))
		}
	}
	for queue, runs := range r.ready {
		errs = append(errs, w.handOutAll(ctx, queue, runs))
	}
	return errors.Join(errs...)
}

// inspected is a run as inspectScript describes it.
type inspected struct {
	run    string
	answer []any
}

func (i *inspected) store() string     { return text(i.answer, 0) }
func (i *inspected) status() string    { return text(i.answer, 1) }
func (i *inspected) queue() string     { return text(i.answer, 2) }
func (i *inspected) ready() int64      { return number(i.answer, 5) }
func (i *inspected) timer() int64      { return number(i.answer, 6) }
func (i *inspected) events() int64     { return number(i.answer, 8) }
func (i *inspected) priority() int     { n, _ := strconv.Atoi(text(i.answer, 3)); return n }
func (i *inspected) live() []liveStage { return liveStages(i.answer[min(9, len(i.answer)):]) }

// deadline returns the milliseconds that the run has left; ok is false when that does not matter.
func (i *inspected) deadline() (left int64, ok bool) {
	left, err := strconv.ParseInt(text(i.answer, 7), 10, 64)
	return left, err == nil
}

// liveStage is a stage that has a task or runs.
type liveStage struct {
	entry
	status, owner, ready, started string
}

func liveStages(answer []any) []liveStage {
	var list []liveStage
	for i := 0; i+5 < len(answer); i += 6 {
		attempt, err := strconv.Atoi(text(answer, i+2))
		if err != nil {
			continue // nothing that this package wrote
		}
		list = append(list, liveStage{entry{text(answer, i), attempt}, text(answer, i+1), text(answer, i+3), text(answer, i+4), text(answer, i+5)})
	}
	return list
}

func (w *Worker) reconcileRun(ctx context.Context, i *inspected, created time.Time, r *round) error {
	if len(i.answer) < 9 { // its submitter died before it was created, or it expired
		if r.now.Sub(created) > orphanMaxLife {
			return w.redis.ZRem(ctx, w.key.activeRuns(), i.run).Err()
		}
		return nil
	}
	if i.store() != w.storeID() {
		return nil
	}
	if i.status() != pipeline.Running {
		return w.settleRun(ctx, i.run)
	}
	var errs []error
	if left, ok := i.deadline(); ok {
		errs = append(errs, w.checkDeadline(ctx, i, left, r))
	}
	if i.timer() == 0 {
		errs = append(errs, w.wakeRun(ctx, i.queue(), i.run, i.priority(), ""))
	}
	w.timer(i.run, i.priority(), i.timer())
	if i.ready() > 0 {
		if r.ready[i.queue()] == nil {
			r.ready[i.queue()] = map[string]int{}
		}
		r.ready[i.queue()][i.run] = i.priority()
	}
	if i.events() > longEvents && w.store != nil {
		errs = append(errs, w.archive(ctx, i.run, i.events()))
	}
	for _, s := range i.live() {
		errs = append(errs, w.reconcileStage(ctx, i, s, r))
	}
	return errors.Join(errs...)
}

// checkDeadline ends a run whose time is over.
func (w *Worker) checkDeadline(ctx context.Context, i *inspected, left int64, r *round) error {
	if left > 0 {
		w.timers.set(i.run+" deadline", time.Duration(left)*time.Millisecond, func() {
			if err := w.expire(context.Background(), i.run, r.alive); err != nil {
				w.log.Warn("ending a run whose time is over; the reconciler will", "run", i.run, "error", err)
			}
		})
		return nil
	}
	return w.expire(ctx, i.run, r.alive)
}

func (w *Worker) expire(ctx context.Context, run string, alive []WorkerInfo) error {
	return w.stopRun(ctx, run, "the run did not end within its time", alive, true)
}

func (w *Worker) reconcileStage(ctx context.Context, i *inspected, s liveStage, r *round) error {
	if s.status == statusReady {
		return w.checkTask(ctx, i, s, r)
	}
	return w.checkOwner(ctx, i, s, r)
}

// checkOwner hands over an attempt whose worker is gone, or does not know of it.
func (w *Worker) checkOwner(ctx context.Context, i *inspected, s liveStage, r *round) error {
	if !r.judge {
		return nil
	}
	if !slices.ContainsFunc(r.alive, func(i WorkerInfo) bool { return i.ID == s.owner }) {
		n, err := w.redis.Exists(ctx, w.key.worker(s.owner)).Result() // it may have come while this round was on its way
		if err != nil || n > 0 {
			return err
		}
		return w.pass(ctx, i.lost(s, "worker "+s.owner+" is gone"))
	}
	if has(r.alive, taskID(i.run, s.stage, s.attempt)) || r.youngerThan(s.started, 2*heartbeatTTL) {
		return nil
	}
	h := i.lost(s, "worker "+s.owner+" does not know of it")
	h.charge = false
	return w.pass(ctx, h)
}

func (i *inspected) lost(s liveStage, message string) handOver {
	h := lost(i.run, i.queue(), s.entry, s.owner, message)
	h.priority = i.priority()
	return h
}

// checkTask gives a ready stage a new task when the old one cannot lead to a claim any more: deleted by hand, archived,
// or taken from the queue by a worker that died before it claimed.
func (w *Worker) checkTask(ctx context.Context, i *inspected, s liveStage, r *round) error {
	id := taskID(i.run, s.stage, s.attempt)
	if r.looks <= 0 || r.youngerThan(s.ready, unclaimedAfter) || has(r.alive, id) {
		return nil
	}
	r.looks--
	gone, err := w.taskGone(i.queue(), id)
	if err != nil || !gone {
		return err
	}
	return w.pass(ctx, handOver{run: i.run, queue: i.queue(), priority: i.priority(), entry: s.entry, event: pipeline.EngineEvent, message: "its task is lost"})
}

// taskGone reports whether asynq will not deliver a task, which no live worker has, any more.
func (w *Worker) taskGone(queue, id string) (bool, error) {
	info, err := asynq.NewInspectorFromRedisClient(w.redis).GetTaskInfo(queue, id)
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	switch info.State {
	case asynq.TaskStateArchived, asynq.TaskStateCompleted:
		return true, nil
	case asynq.TaskStateActive: // asynq would notice after a minute or two
		return w.activeTooLong(id), nil
	}
	delete(w.active, id)
	return false, nil // pending, scheduled or to be tried again
}

// activeTooLong reports whether a task was seen like that before, long enough ago to be in the heartbeat of whoever took it.
func (w *Worker) activeTooLong(id string) bool {
	first, seen := w.active[id]
	if !seen {
		if len(w.active) > 10_000 {
			clear(w.active)
		}
		w.active[id] = time.Now()
		return false
	}
	if time.Since(first) < unclaimedAfter {
		return false
	}
	delete(w.active, id)
	return true
}

// reconcilePools makes room in pools for which attempts are counted that are over: their workers died before they said so.
func (w *Worker) reconcilePools(ctx context.Context) error {
	alive, err := w.workers(ctx)
	if err != nil {
		return err
	}
	queues := map[string]bool{w.queue: true}
	for _, i := range alive {
		queues[i.Queue] = true
	}
	var errs []error
	for queue := range queues {
		errs = append(errs, w.reconcilePoolsOf(ctx, queue))
	}
	return errors.Join(errs...)
}

func (w *Worker) reconcilePoolsOf(ctx context.Context, queue string) error {
	k := w.queueKeys(queue)
	pools, err := w.redis.HKeys(ctx, k.name("pools")).Result()
	if err != nil {
		return err
	}
	var errs []error
	for _, pool := range pools {
		ids, err := w.redis.SMembers(ctx, k.pool(pool)).Result()
		if err != nil {
			return err
		}
		var over []any
		for _, id := range ids {
			if gone, err := w.attemptOver(ctx, id); err == nil && gone {
				over = append(over, id)
			}
		}
		errs = append(errs, freeScript.Run(ctx, w.redis, []string{k.name("waiting"), k.name("blocked"), k.pool(pool)}, over...).Err())
	}
	return errors.Join(errs...)
}

// attemptOver reports whether the attempt with a task id is neither ready nor running any more.
func (w *Worker) attemptOver(ctx context.Context, id string) (bool, error) {
	run, rest, _ := strings.Cut(id, ":")
	cut := strings.LastIndexByte(rest, ':')
	if cut < 0 {
		return true, nil
	}
	values, err := w.redis.HMGet(ctx, w.keys(run).name("stages"), "status|"+rest[:cut], "attempt|"+rest[:cut]).Result()
	if err != nil {
		return false, err
	}
	return (values[0] != statusReady && values[0] != pipeline.Running) || values[1] != rest[cut+1:], nil
}
