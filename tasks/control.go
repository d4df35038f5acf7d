package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/pipeline"
)

// errNotRunning says that a run is over, or that Redis does not know it.
var errNotRunning = errors.New("the run is over")

// Cancel stops a run: what does not run yet is canceled, but for what always runs; what runs is told to stop within
// milliseconds. A run that is over stays as it is.
func (c *Client) Cancel(ctx context.Context, run, reason string) error {
	if err := c.known(ctx, run); err != nil {
		return err
	}
	list, err := c.workers(ctx)
	if err != nil {
		return unreachable(err, "")
	}
	if err := c.stopRun(ctx, run, clip(reason), list, false); err != nil {
		return unreachable(err, "")
	}
	return nil
}

// known returns an error if Redis does not know a run.
func (c *core) known(ctx context.Context, run string) error {
	n, err := c.redis.Exists(ctx, c.keys(run).name("meta")).Result()
	if err != nil {
		return unreachable(err, "")
	}
	if n == 0 {
		return forgotten(run)
	}
	return nil
}

// stopRun cancels a run, or fails it when its time is over.
func (c *core) stopRun(ctx context.Context, run, reason string, workers []WorkerInfo, late bool) error {
	ids := make([]string, len(workers))
	for i, w := range workers {
		ids[i] = w.ID
	}
	alive, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	answer, err := cancelScript.Run(ctx, c.redis, c.keys(run).all(), reason, string(alive), late).Slice()
	if err != nil {
		return err
	}
	if number(answer, 0) == 0 { // it is over
		return nil
	}
	if err := c.redis.Publish(ctx, c.key.cancelChannel(), run).Err(); err != nil {
		c.log.Warn("telling workers of the cancel; their next heartbeat will", "run", run, "error", err)
	}
	if err := c.settleRun(ctx, run); err != nil { // does nothing while a stage still runs
		return err
	}
	queue, priority, err := c.whereabouts(ctx, run)
	if err != nil {
		return err
	}
	return c.handOut(ctx, queue, run, priority) // what always runs
}

// whereabouts returns the queue and the priority of a run.
func (c *core) whereabouts(ctx context.Context, run string) (queue string, priority int, err error) {
	values, err := c.redis.HMGet(ctx, c.keys(run).name("meta"), "queue", "priority").Result()
	if err != nil {
		return "", 0, err
	}
	queue, _ = values[0].(string)
	if text, ok := values[1].(string); ok {
		priority, _ = strconv.Atoi(text)
	}
	if queue == "" {
		return "", 0, forgotten(run)
	}
	return queue, priority, nil
}

// Pause keeps the stages of a run that have not started from starting; what runs goes on. Its deadline, if any, stays, and a cancel
// goes before the pause: what always runs then runs. Pausing a paused run changes nothing; one that is over is an error of class usage.
func (c *Client) Pause(ctx context.Context, run string) error {
	return c.setPaused(ctx, run, true, "the run is paused")
}

// Resume lets a paused run go on.
func (c *Client) Resume(ctx context.Context, run string) error {
	if err := c.setPaused(ctx, run, false, "the run goes on"); err != nil {
		return err
	}
	queue, priority, err := c.whereabouts(ctx, run)
	if err == nil {
		err = c.handOut(ctx, queue, run, priority)
	}
	if err != nil {
		return unreachable(err, "")
	}
	return nil
}

func (c *Client) setPaused(ctx context.Context, run string, paused bool, message string) error {
	if err := c.known(ctx, run); err != nil {
		return err
	}
	answer, err := pauseRunScript.Run(ctx, c.redis, c.keys(run).all(), paused, message).Int()
	if err != nil {
		return unreachable(err, "")
	}
	if answer < 0 {
		return over(run)
	}
	return nil
}

// over is the error of asking a run that is over to change.
func over(run string) error {
	return (&pipeline.Error{Class: pipeline.ClassUsage, Message: "the run " + run + " is over"}).WithHint("retry it, or submit again")
}

// Signal gives a run a signal that stages may wait for, now or later. Giving it twice changes nothing.
func (c *Client) Signal(ctx context.Context, run, name string) error {
	if !pipeline.ValidStageName(name) {
		return &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("%.80q is no name of a signal", name)}
	}
	if err := c.known(ctx, run); err != nil {
		return err
	}
	queue, priority, err := c.whereabouts(ctx, run)
	if err == nil {
		_, err = c.wakeRun(ctx, queue, run, priority, name)
	}
	if errors.Is(err, errNotRunning) {
		return over(run)
	}
	if err != nil {
		return unreachable(err, "")
	}
	return nil
}

// SetPool bounds how many stages of a pool may be with workers at a time, over all workers of the queue; 0 holds them all,
// a negative limit bounds nothing any more. Stages that are with workers already stay there.
func (c *Client) SetPool(ctx context.Context, name string, limit int) error {
	if !pipeline.ValidStageName(name) {
		return &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("%.80q is no name of a pool", name)}
	}
	k := c.queueKeys(c.queue)
	var err error
	if limit < 0 {
		err = c.redis.HDel(ctx, k.name("pools"), name).Err()
	} else {
		err = c.redis.HSet(ctx, k.name("pools"), name, limit).Err()
	}
	if err == nil {
		err = freeScript.Run(ctx, c.redis, []string{k.name("waiting"), k.name("blocked"), k.pool(name)}).Err()
	}
	if err == nil {
		err = c.refill(ctx, c.queue)
	}
	if err != nil {
		return unreachable(err, "")
	}
	return nil
}

// Pool is a bound on stages that are with workers at a time.
type Pool struct {
	Name  string `json:"name"`
	Limit int    `json:"limit"`
	Used  int    `json:"used"`
}

// Pools returns the bounded pools of the queue, by name.
func (c *Client) Pools(ctx context.Context) ([]Pool, error) {
	k := c.queueKeys(c.queue)
	limits, err := c.redis.HGetAll(ctx, k.name("pools")).Result()
	if err != nil {
		return nil, unreachable(err, "")
	}
	pipe := c.redis.Pipeline()
	used := map[string]*redis.IntCmd{}
	for name := range limits {
		used[name] = pipe.SCard(ctx, k.pool(name))
	}
	if len(limits) > 0 {
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, unreachable(err, "")
		}
	}
	list := make([]Pool, 0, len(limits))
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		limit, _ := strconv.Atoi(limits[name])
		list = append(list, Pool{name, limit, int(used[name].Val())})
	}
	return list, nil
}
