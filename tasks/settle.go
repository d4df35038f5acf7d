package tasks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// settleRun stores the record of a run of this store that is over and then says so. Doing it twice is harmless: the state
// no longer changes. A run of another store is left to the workers of that one.
func (c *core) settleRun(ctx context.Context, run string) error {
	s, err := c.load(ctx, run)
	if err != nil {
		return err
	}
	if len(s.meta) == 0 || s.meta["status"] == pipeline.Running || s.meta["store"] != c.storeID() {
		return nil
	}
	if s.meta["announced"] == "" {
		if err := c.closeRun(ctx, s); err != nil {
			return err
		}
	}
	return c.forget(ctx, run)
}

// forget takes a run that is over off the list of those to look after, and puts it on the one of those to tell of.
func (c *core) forget(ctx context.Context, run string) error {
	now := time.Now()
	pipe := c.redis.Pipeline()
	ended := c.key.ended(c.storeID())
	pipe.ZAdd(ctx, ended, redis.Z{Score: float64(now.UnixMilli()), Member: run})
	pipe.ZRemRangeByScore(ctx, ended, "-inf", strconv.FormatInt(now.Add(-notifyFor).UnixMilli(), 10)) // nobody may have a webhook
	pipe.ZRem(ctx, c.key.activeRuns(), run)
	_, err := pipe.Exec(ctx)
	return err
}

// closeRun stores the record and the events of a run, and ends its stream. One without a store was announced by the script
// that ended it.
func (c *core) closeRun(ctx context.Context, s *state) error {
	if c.store == nil {
		return nil
	}
	p, err := c.wholePlan(ctx, s)
	if err != nil {
		return err
	}
	r, err := s.record(p)
	if err != nil {
		return err
	}
	last := lastEvent(r)
	var group errgroup.Group // two syncs at once cost one
	group.Go(func() error { return c.storeRecord(ctx, r) })
	group.Go(func() error { return c.storeEvents(ctx, s.run, last) })
	if err := group.Wait(); err != nil {
		return err
	}
	return announceScript.Run(ctx, c.redis, c.keys(s.run).all(), last.Type, last.Message, int(c.keepState.Seconds())).Err()
}

func lastEvent(r *pipeline.RunRecord) pipeline.Event {
	e := pipeline.Event{Time: r.FinishedAt, Run: r.RunID, Type: pipeline.RunSuccess}
	switch r.Status {
	case pipeline.Failed:
		e.Type = pipeline.RunFailure
	case pipeline.Canceled:
		e.Type = pipeline.RunCanceled
	}
	if r.Error != nil {
		e.Message = r.Error.Message
	}
	return e
}

func (c *core) storeRecord(ctx context.Context, r *pipeline.RunRecord) error {
	b, err := r.MarshalIndented()
	if err != nil {
		return err
	}
	return c.store.PutRun(ctx, r.RunID, pipeline.RecordDocument, b)
}

// storeEvents writes the run's events, the last one included, to the store.
func (c *core) storeEvents(ctx context.Context, run string, last pipeline.Event) error {
	// The stream goes first: what is moved to the store meanwhile is then met twice, and not never.
	messages, err := c.redis.XRange(ctx, c.keys(run).name("events"), "-", "+").Result()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	seen, err := c.archived(ctx, run, "", func(e pipeline.Event) error { return lines.Encode(e) })
	if err != nil && !errors.Is(err, artifact.ErrNotFound) && !errors.Is(err, artifact.ErrCorrupt) {
		return err // what is gone is gone
	}
	ended := false
	for _, m := range messages {
		if !later(m.ID, seen) {
			continue
		}
		e := parseEvent(run, m)
		ended = ended || e.EndsRun()
		if err := lines.Encode(e); err != nil {
			return err
		}
	}
	if !ended {
		if err := lines.Encode(last); err != nil {
			return err
		}
	}
	return c.store.PutRun(ctx, run, pipeline.EventsDocument, b.Bytes())
}

// parseEvent reads an entry of the stream.
func parseEvent(run string, m redis.XMessage) pipeline.Event {
	text := func(k string) string {
		s, _ := m.Values[k].(string)
		return s
	}
	e := pipeline.Event{ID: m.ID, Time: micros(text("time")), Run: run, Type: text("type"), Stage: text("stage"), Worker: text("worker"), Message: text("message")}
	e.Attempt, _ = strconv.Atoi(text("attempt"))
	if d := text("data"); d != "" {
		_ = json.Unmarshal([]byte(d), &e.Data) // written by this package; what is no JSON is no data
	}
	return e
}

// emit adds an event outside a script; a run that Redis has forgotten gets none.
func (c *core) emit(ctx context.Context, e pipeline.Event) error {
	values := []any{"time", strconv.FormatInt(time.Now().UnixMicro(), 10), "type", e.Type, "stage", e.Stage, "attempt", e.Attempt, "worker", e.Worker, "message", e.Message}
	if d := eventData(e); d != "" {
		values = append(values, "data", d)
	}
	err := c.redis.XAdd(ctx, &redis.XAddArgs{Stream: c.keys(e.Run).name("events"), NoMkStream: true, Values: values}).Err()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

func eventData(e pipeline.Event) string {
	if len(e.Data) == 0 {
		return ""
	}
	b, err := json.Marshal(e.Data)
	if err != nil {
		return ""
	}
	return string(b)
}

// eventArgs turns the events of an attempt into arguments of a script.
func eventArgs(events []pipeline.Event) []any {
	args := make([]any, 0, 3*len(events))
	for _, e := range events {
		args = append(args, e.Type, clip(e.Message), eventData(e))
	}
	return args
}

// maxMessage bounds a text that goes into events and records, in bytes.
const maxMessage = 8 << 10

// clip shortens a text that would burden every reader of the run.
func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	n := maxMessage
	for n > 0 && s[n]&0xC0 == 0x80 { // not inside a character
		n--
	}
	return s[:n] + " ..."
}
