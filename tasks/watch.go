package tasks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// Reading a stream blocks for watchBlock at most, so that the end of a context is seen; Redis may be away for
// watchPatience before a watcher is told. A run that is over has settleDelay to be recorded by whoever ended it; then the
// watcher tries, and gives up after watchPatience.
const (
	watchBlock    = 100 * time.Millisecond
	watchPatience = 5 * time.Second
	settleDelay   = 3 * time.Second
)

// Behind longStream events a watcher looks every watchPause instead of being woken by each event: the embedded Redis goes
// through the whole stream for that.
const (
	longStream = 2000
	watchPause = 50 * time.Millisecond
)

// Watch calls fn for every event of a run behind the one with the id after ("" for all), within milliseconds of its
// happening, and returns nil behind the last event of the run. An error of fn ends it. The events of a run that Redis has
// forgotten come from the store; one that neither knows is ErrNoRun. A run whose record cannot be stored is an error.
func (c *Client) Watch(ctx context.Context, run, after string, fn func(pipeline.Event) error) error {
	var silent outage
	for c.store != nil { // a long run's older events are no longer in Redis
		last, err := c.archived(ctx, run, after, fn)
		if _, ok := errors.AsType[*unread](err); ok && ctx.Err() == nil {
			if silent.lasts(time.Now()) {
				return unreachable(err, "")
			}
			_ = pause(ctx, breath)
			continue
		}
		if err != nil && !errors.Is(err, artifact.ErrNotFound) {
			return err
		}
		silent, after = outage{}, last
		break
	}
	var over time.Time // since when the run is over without a record
	seen := 0
	for next := after; ; {
		messages, err := c.read(ctx, run, next, seen > longStream)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errOver):
			return nil
		case errors.Is(err, errForgotten):
			return c.replay(ctx, run, next, fn)
		case errors.Is(err, errUnrecorded):
			silent = outage{}
			if over.IsZero() {
				over = time.Now()
			}
			if err := c.settleFor(ctx, run, over); err != nil {
				return err
			}
			continue
		case err != nil && silent.lasts(time.Now()):
			return unreachable(err, "")
		case err != nil:
			_ = pause(ctx, breath)
			continue
		}
		silent, over = outage{}, time.Time{} // a run that was over may go on: Redis came back without its last moment
		seen += len(messages)
		if seen >= keepEvents && len(messages) > 0 {
			if next, err = c.missed(ctx, run, next, fn); err != nil {
				return err
			}
		}
		for _, m := range messages {
			if !later(m.ID, next) {
				continue
			}
			next = m.ID
			e := parseEvent(run, m)
			if err := fn(e); err != nil {
				return err
			}
			if e.EndsRun() {
				return nil
			}
		}
	}
}

// Wait returns the record of a run when that is over. That it failed is no error: see Status and Error of the record. The errors are
// those of Watch and Record.
func (c *Client) Wait(ctx context.Context, run string) (*pipeline.RunRecord, error) {
	if err := c.Watch(ctx, run, "", func(pipeline.Event) error { return nil }); err != nil {
		return nil, err
	}
	return c.Record(ctx, run)
}

// missed calls fn for events that were moved to the store before the watcher read them, and returns the id of the last.
func (c *Client) missed(ctx context.Context, run, last string, fn func(pipeline.Event) error) (string, error) {
	trimmed, err := c.redis.HGet(ctx, c.keys(run).name("meta"), "trimmed").Result()
	if err != nil || !later(trimmed, last) {
		return last, nil // an error is met again by the next read
	}
	return c.archived(ctx, run, last, fn)
}

// outage is a time in which Redis does not answer. It begins with the first failure, not with the last answer: a process
// that was suspended finds its read timed out when it goes on, and Redis may be well.
type outage struct{ since time.Time }

// lasts notes a failure and reports whether Redis has been away for longer than a watcher is patient.
func (o *outage) lasts(now time.Time) bool {
	if o.since.IsZero() {
		o.since = now
	}
	return now.Sub(o.since) > watchPatience
}

// Why there is nothing to read.
var (
	errForgotten  = errors.New("the run is forgotten by Redis")
	errOver       = errors.New("the run has no more events")
	errUnrecorded = errors.New("the run is over and not recorded yet")
)

// settleFor records a run that has been over for a while, since whoever should may be dead, or unable to write to its
// store.
func (c *Client) settleFor(ctx context.Context, run string, over time.Time) error {
	if time.Since(over) < settleDelay {
		return nil
	}
	err := c.settleRun(ctx, run)
	if err == nil || time.Since(over) < settleDelay+watchPatience {
		return nil
	}
	return fmt.Errorf("the run is over, but its record cannot be stored: %w", err)
}

// read returns the events behind one; none when nothing happened for a while.
func (c *Client) read(ctx context.Context, run, after string, long bool) ([]redis.XMessage, error) {
	if after == "" {
		after = "0"
	}
	block := watchBlock
	if long {
		_ = pause(ctx, watchPause)
		block = -1
	}
	messages, err := c.readStream(ctx, run, after, block)
	if err != nil || len(messages) > 0 {
		return messages, err
	}
	values, err := c.redis.HMGet(ctx, c.keys(run).name("meta"), "status", "announced", "store").Result()
	if err != nil {
		return nil, err
	}
	if values[0] == nil {
		return nil, errForgotten
	}
	if values[1] == nil {
		if values[0] != pipeline.Running && values[2] == c.storeID() {
			return nil, errUnrecorded
		}
		return nil, nil
	}
	messages, err = c.readStream(ctx, run, after, -1) // the last event may have come in between
	if err == nil && len(messages) == 0 {
		err = errOver
	}
	return messages, err
}

// readStream blocks for a while at most, or not at all when that is negative.
func (c *Client) readStream(ctx context.Context, run, after string, block time.Duration) ([]redis.XMessage, error) {
	answer, err := c.redis.XRead(ctx, &redis.XReadArgs{Streams: []string{c.keys(run).name("events"), after}, Count: 1000, Block: block}).Result()
	if errors.Is(err, redis.Nil) || (err == nil && len(answer) == 0) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return answer[0].Messages, nil
}

// replay gives the stored events behind one.
func (c *Client) replay(ctx context.Context, run, after string, fn func(pipeline.Event) error) error {
	if c.store == nil {
		return forgotten(run)
	}
	b, err := c.store.Run(ctx, run, pipeline.EventsDocument)
	if errors.Is(err, artifact.ErrNotFound) {
		return forgotten(run)
	}
	if err != nil {
		return err
	}
	return eachEvent(b, func(e pipeline.Event) error {
		if after != "" && e.ID != "" && !later(e.ID, after) {
			return nil
		}
		return fn(e)
	})
}
