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
	judge bool // whether a missing heartbeat means a death
	looks int  // tasks that may still be asked for
}

// maxLooks bounds what a round asks asynq for. Where thousands of stages wait for their turn, a round looks at some of
// them, by chance.
const maxLooks = 200

// youngerThan reports whether a moment of the state is less than d ago. One in the future is not: the clock of Redis was
// set back, and nothing may wait until it has caught up.
func (r *round) youngerThan(moment string, d time.Duration) bool {
	age := r.now.Sub(micros(moment))
	return age >= 0 && age < d
}

// reconcile looks at every run that is not recorded yet and mends what a crash left behind: outboxes that were not
// drained, attempts whose worker is gone, tasks that vanished, runs that closed without a record. One worker of a store
// at a time does it.
func (w *Worker) reconcile(ctx context.Context) {
	won, err := w.redis.SetNX(ctx, w.key.reconcileLock(w.store.ID()), w.info.ID, reconcileEvery-100*time.Millisecond).Result()
	if err != nil || !won {
		return
	}
	if err := w.reconcileRuns(ctx); err != nil && ctx.Err() == nil {
		w.log.Warn("reconciling", "error", err)
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
	if r.now, err = w.redis.Time(ctx).Result(); err != nil {
		return err
	}
	var errs []error
	for _, z := range runs {
		run, _ := z.Member.(string)
		if err := w.reconcileRun(ctx, run, time.UnixMilli(int64(z.Score)), r); err != nil {
			errs = append(errs, fmt.Errorf("run %s: %w", run, err))
		}
	}
	return errors.Join(append(errs, w.forgetDead(ctx, r.alive))...)
}

func (w *Worker) reconcileRun(ctx context.Context, run string, created time.Time, r *round) error {
	s, err := w.load(ctx, run)
	if err != nil {
		return err
	}
	if len(s.meta) == 0 { // its submitter died before it was created, or it expired
		if r.now.Sub(created) > orphanMaxLife {
			return w.redis.ZRem(ctx, w.key.activeRuns(), run).Err()
		}
		return nil
	}
	if s.meta["store"] != w.store.ID() {
		return nil
	}
	if s.meta["status"] != pipeline.Running {
		return w.settleRun(ctx, run)
	}
	errs := []error{w.drain(ctx, run)}
	for field, status := range s.stages {
		if stage, ok := strings.CutPrefix(field, "status|"); ok {
			errs = append(errs, w.reconcileStage(ctx, s, stage, status, r))
		}
	}
	return errors.Join(errs...)
}

func (w *Worker) reconcileStage(ctx context.Context, s *state, stage, status string, r *round) error {
	if status != pipeline.Running && status != statusReady {
		return nil
	}
	attempt, err := strconv.Atoi(s.get("attempt", stage))
	if err != nil {
		return fmt.Errorf("stage %s: %w", stage, err)
	}
	if status == statusReady {
		return w.checkTask(ctx, s, entry{stage, attempt}, r)
	}
	return w.checkOwner(ctx, s, entry{stage, attempt}, r)
}

// checkOwner hands over an attempt whose worker is gone, or does not know of it.
func (w *Worker) checkOwner(ctx context.Context, s *state, e entry, r *round) error {
	if !r.judge {
		return nil
	}
	owner := s.get("owner", e.stage)
	if !slices.ContainsFunc(r.alive, func(i WorkerInfo) bool { return i.ID == owner }) {
		return w.pass(ctx, lost(s.run, e, owner, "worker "+owner+" is gone"))
	}
	if has(r.alive, taskID(s.run, e.stage, e.attempt)) || r.youngerThan(s.get("started", e.stage), 2*heartbeatTTL) {
		return nil
	}
	return w.pass(ctx, handOver{run: s.run, entry: e, owner: owner, event: pipeline.WorkerLost, message: "worker " + owner + " does not know of it"})
}

// checkTask gives a ready stage a new task when the old one cannot lead to a claim any more: deleted by hand, archived,
// or taken from the queue by a worker that died before it claimed.
func (w *Worker) checkTask(ctx context.Context, s *state, e entry, r *round) error {
	id := taskID(s.run, e.stage, e.attempt)
	if r.looks <= 0 || r.youngerThan(s.get("ready", e.stage), unclaimedAfter) || has(r.alive, id) {
		return nil
	}
	r.looks--
	err := w.redis.ZScore(ctx, w.keys(s.run).name("outbox"), e.member()).Err()
	if !errors.Is(err, redis.Nil) {
		return err // nil: not even handed to asynq
	}
	gone, err := w.taskGone(s.meta["queue"], id)
	if err != nil || !gone {
		return err
	}
	return w.pass(ctx, handOver{run: s.run, entry: e, event: pipeline.EngineEvent, message: "its task is lost"})
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
