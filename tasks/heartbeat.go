package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Heartbeats. Nobody is judged lost before one time to live after the judge's own connection to Redis.
const (
	heartbeatEvery = 1250 * time.Millisecond
	heartbeatTTL   = 5 * time.Second
	reconcileEvery = time.Second
)

// WorkerInfo is what a worker's heartbeat says.
type WorkerInfo struct {
	ID          string    `json:"id"`
	Host        string    `json:"host"`
	PID         int       `json:"pid"`
	Store       string    `json:"store"`
	Queue       string    `json:"queue"`
	Kinds       []string  `json:"kinds"`
	Concurrency int       `json:"concurrency"`
	StartedAt   time.Time `json:"started_at"`
	Draining    bool      `json:"draining"`
	Attempts    []string  `json:"attempts"` // task ids of the attempts that it executes, or is about to
}

// has reports whether a worker of the list executes the attempt.
func has(alive []WorkerInfo, task string) bool {
	return slices.ContainsFunc(alive, func(w WorkerInfo) bool { return slices.Contains(w.Attempts, task) })
}

// workers returns the workers with a heartbeat, by id.
func (c *core) workers(ctx context.Context) ([]WorkerInfo, error) {
	ids, err := c.redis.ZRange(ctx, c.key.liveWorkers(), 0, -1).Result()
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	pipe := c.redis.Pipeline() // not one command: a Cluster has the keys on many servers
	values := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		values[i] = pipe.Get(ctx, c.key.worker(id))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	var list []WorkerInfo
	for _, v := range values {
		text, err := v.Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var w WorkerInfo
		if err := json.Unmarshal([]byte(text), &w); err == nil {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(a, b WorkerInfo) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// forgetDead takes workers long without a heartbeat off the list.
func (c *core) forgetDead(ctx context.Context, alive []WorkerInfo) error {
	old := strconv.FormatInt(time.Now().Add(-10*heartbeatTTL).UnixMilli(), 10)
	ids, err := c.redis.ZRangeArgs(ctx, redis.ZRangeArgs{Key: c.key.liveWorkers(), Start: "-inf", Stop: old, ByScore: true}).Result()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if slices.ContainsFunc(alive, func(i WorkerInfo) bool { return i.ID == id }) {
			continue // its clock is behind ours
		}
		if err := c.redis.ZRem(ctx, c.key.liveWorkers(), id).Err(); err != nil {
			return err
		}
	}
	return nil
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
	w.flights.renew(ctx)
	runs := w.runs()
	if len(runs) == 0 {
		return
	}
	pipe := w.redis.Pipeline()
	canceled := map[string]*redis.BoolCmd{}
	for run := range runs {
		canceled[run] = pipe.HExists(ctx, w.keys(run).name("meta"), "cancel")
	}
	_, _ = pipe.Exec(ctx)
	for run, yes := range canceled {
		if yes.Val() {
			w.cancelRun(run)
		}
	}
}

// runs returns the runs that the worker has attempts of.
func (w *Worker) runs() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	runs := map[string]bool{}
	for _, a := range w.attempts {
		runs[a.run] = true
	}
	return runs
}

// beat renews the heartbeat. Where the last one is gone there was a gap: Redis was restarted, or this process was
// suspended. Then the heartbeats of others may be gone as well though they live, and judging starts anew.
func (w *Worker) beat(ctx context.Context) error {
	info := w.snapshot()
	b, err := json.Marshal(info)
	if err != nil {
		return err
	}
	pipe := w.redis.Pipeline()
	last := pipe.SetArgs(ctx, w.key.worker(info.ID), b, redis.SetArgs{TTL: heartbeatTTL, Get: true})
	pipe.ZAdd(ctx, w.key.liveWorkers(), redis.Z{Score: float64(time.Now().UnixMilli()), Member: info.ID})
	_, err = pipe.Exec(ctx)
	gap := errors.Is(last.Err(), redis.Nil)
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() || gap {
		w.since = time.Now()
	}
	return nil
}

// snapshot returns what the heartbeat says now.
func (w *Worker) snapshot() WorkerInfo {
	w.mu.Lock()
	defer w.mu.Unlock()
	info := w.info
	info.Draining = w.draining
	info.Attempts = make([]string, 0, len(w.attempts))
	for id := range w.attempts {
		info.Attempts = append(info.Attempts, id)
	}
	sort.Strings(info.Attempts)
	return info
}

// mayJudge reports whether heartbeats have been visible for long enough to call a missing one a death.
func (w *Worker) mayJudge() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.since.IsZero() && time.Since(w.since) >= heartbeatTTL
}

// listen ends the attempts of canceled runs, and looks for tasks when others have some.
func (w *Worker) listen(ctx context.Context) {
	wake := w.queueKeys(w.queue).wakeChannel()
	sub := w.redis.Subscribe(ctx, w.key.cancelChannel(), wake)
	defer sub.Close()
	messages := sub.Channel()
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-messages:
			if !ok {
				return
			}
			if m.Channel == wake {
				w.conn.bell.ring(w.queue)
				continue
			}
			w.cancelRun(m.Payload)
		}
	}
}

// cancelRun stops the attempts of a run, but for those that are to run whatever becomes of it.
func (w *Worker) cancelRun(run string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.attempts {
		if a.run == run && !a.always {
			a.cancel(errRunCanceled)
		}
	}
}
