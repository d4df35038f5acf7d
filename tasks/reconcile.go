package tasks

import (
	"context"
	"errors"
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

// reconcile looks at every run that is not recorded yet and mends what a crash left behind: outboxes that were not
// drained, attempts whose worker is gone, tasks that vanished, runs that closed without a record. One worker at a time
// does it.
func (w *Worker) reconcile(ctx context.Context) {
	won, err := w.redis.SetNX(ctx, reconcileLock, w.info.ID, reconcileEvery-100*time.Millisecond).Result()
	if err != nil || !won {
		return
	}
	err = w.reconcileRuns(ctx)
	if err != nil && ctx.Err() == nil {
		w.log.Warn("reconciling", "error", err)
	}
}

func (w *Worker) reconcileRuns(ctx context.Context) error {
	runs, err := w.redis.ZRangeWithScores(ctx, activeRuns, 0, -1).Result()
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		return nil
	}
	alive, err := w.workers(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, z := range runs {
		run, _ := z.Member.(string)
		errs = append(errs, w.reconcileRun(ctx, run, time.UnixMilli(int64(z.Score)), alive))
	}
	w.forgetDead(ctx, alive)
	return errors.Join(errs...)
}

// forgetDead takes workers without a heartbeat off the list.
func (w *Worker) forgetDead(ctx context.Context, alive []WorkerInfo) {
	old := strconv.FormatInt(time.Now().Add(-10*heartbeatTTL).UnixMilli(), 10)
	ids, err := w.redis.ZRangeByScore(ctx, liveWorkers, &redis.ZRangeBy{Min: "-inf", Max: old}).Result()
	if err != nil {
		return
	}
	for _, id := range ids {
		if !slices.ContainsFunc(alive, func(i WorkerInfo) bool { return i.ID == id }) {
			w.redis.ZRem(ctx, liveWorkers, id)
		}
	}
}

func (w *Worker) reconcileRun(ctx context.Context, run string, created time.Time, alive []WorkerInfo) error {
	s, err := w.load(ctx, run)
	if err != nil {
		return err
	}
	if len(s.meta) == 0 { // its submitter died before it was created, or it expired
		if time.Since(created) > orphanMaxLife {
			return w.redis.ZRem(ctx, activeRuns, run).Err()
		}
		return nil
	}
	if s.meta["store"] != w.store.ID() {
		return nil
	}
	if s.meta["status"] != pipeline.Running {
		return w.settleRun(ctx, run)
	}
	if err := w.drain(ctx, run); err != nil {
		return err
	}
	for field, status := range s.stages {
		stage, ok := strings.CutPrefix(field, "status|")
		if !ok {
			continue
		}
		attempt, err := strconv.Atoi(s.get("attempt", stage))
		if err != nil {
			continue
		}
		switch status {
		case pipeline.Running:
			err = w.checkOwner(ctx, s, stage, attempt, alive)
		case "READY":
			err = w.checkTask(ctx, s, stage, attempt)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkOwner hands over an attempt whose worker is gone, or does not know of it.
func (w *Worker) checkOwner(ctx context.Context, s *state, stage string, attempt int, alive []WorkerInfo) error {
	w.mu.Lock()
	since := w.since
	w.mu.Unlock()
	if since.IsZero() || time.Since(since) < heartbeatTTL {
		return nil
	}
	owner := s.get("owner", stage)
	i := slices.IndexFunc(alive, func(i WorkerInfo) bool { return i.ID == owner })
	if i >= 0 {
		listed := slices.Contains(alive[i].Attempts, taskID(s.run, stage, attempt))
		if listed || time.Since(micros(s.get("started", stage))) < 2*heartbeatTTL {
			return nil
		}
		return w.handOver(ctx, s.run, stage, attempt, owner, pipeline.WorkerLost, "its worker does not know of it", false)
	}
	return w.handOver(ctx, s.run, stage, attempt, owner, pipeline.WorkerLost, "worker "+owner+" is gone", true)
}

// checkTask gives a ready stage a new task when the old one cannot lead to a claim any more: deleted by hand, archived,
// or taken from the queue by a worker that died before it claimed.
func (w *Worker) checkTask(ctx context.Context, s *state, stage string, attempt int) error {
	id := taskID(s.run, stage, attempt)
	if time.Since(micros(s.get("ready", stage))) < unclaimedAfter {
		return nil
	}
	if _, err := w.redis.ZScore(ctx, keys{s.run}.name("outbox"), stage+"\n"+strconv.Itoa(attempt)).Result(); err == nil {
		return nil // not even handed to asynq
	}
	inspector := asynq.NewInspectorFromRedisClient(w.redis)
	info, err := inspector.GetTaskInfo(w.queue, id)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound):
	case err != nil:
		return err
	case info.State == asynq.TaskStateArchived || info.State == asynq.TaskStateCompleted:
	case info.State == asynq.TaskStateActive:
		first, seen := w.active[id]
		if !seen {
			if len(w.active) > 10_000 {
				clear(w.active)
			}
			w.active[id] = time.Now()
			return nil
		}
		if time.Since(first) < unclaimedAfter {
			return nil
		}
		delete(w.active, id)
	default: // pending, scheduled or to be tried again
		return nil
	}
	return w.handOver(ctx, s.run, stage, attempt, "", pipeline.EngineEvent, "its task is lost", false)
}
