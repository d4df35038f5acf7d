package tasks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// take submits pending ticks, a few at a time, until ctx ends.
func (s *Scheduler) take(ctx context.Context) {
	var busy sync.WaitGroup
	defer busy.Wait()
	slots := make(chan struct{}, busyTicks)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return
		}
		t, err := s.takeOne(context.WithoutCancel(ctx)) // a tick whose answer was not waited for would stay ours for its lease
		if err != nil && ctx.Err() == nil {
			s.log.Warn("taking a tick", "error", err)
		}
		if t != nil {
			busy.Go(func() {
				defer func() { <-slots }()
				if !s.begin(t) {
					_, _ = s.hold(context.WithoutCancel(ctx), t, time.Second)
					return
				}
				defer s.end(t)
				s.submit(ctx, t)
			})
			continue
		}
		<-slots
		s.rest(ctx)
	}
}

// begin reports whether a tick is not in progress here already. One that is, and whose lease ended though this process
// lives, was held up by something; others may try it.
func (s *Scheduler) begin(t *takenTick) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := !s.busy[t.member]
	s.busy[t.member] = true
	return fresh
}

func (s *Scheduler) end(t *takenTick) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, t.member)
}

// rest waits until it is time to look again, or a tick is due.
func (s *Scheduler) rest(ctx context.Context) {
	t := time.NewTimer(s.options.Poll)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-s.due:
	}
}

// takenTick is a tick that this scheduler has the lease of.
type takenTick struct {
	Tick
	key    string
	member string
	tries  int
}

// takeOne returns a pending tick, nil when there is none.
func (s *Scheduler) takeOne(ctx context.Context) (*takenTick, error) {
	result, err := takeScript.Run(ctx, s.redis, s.scheduleKeys(s.place(), ""), "", "", s.options.ID, s.lease.Milliseconds(), artifact.NewRunID(time.Now())).Slice()
	if err != nil || len(result) != 5 {
		return nil, err
	}
	t := &takenTick{}
	var entry, definition string
	t.member, _ = result[0].(string)
	entry, _ = result[1].(string)
	definition, _ = result[2].(string)
	tries, _ := result[3].(int64)
	run, _ := result[4].(string)
	t.tries = int(tries)
	_, entry, _ = strings.Cut(entry, "\n")
	var p pendingTick
	if err := json.Unmarshal([]byte(entry), &p); err != nil { // nobody else can read it either
		return nil, errors.Join(fmt.Errorf("the tick %.80q: %w", t.member, err), s.redis.ZRem(ctx, s.scheduleKey("pending:"+s.place()), t.member).Err())
	}
	schedule, err := parseSchedule(definition)
	if err != nil {
		return nil, fmt.Errorf("the tick %.80q: %w", t.member, err)
	}
	t.key, t.Tick = p.Key, Tick{Schedule: *schedule, Cause: p.Cause, Time: p.Time, Run: cmp.Or(p.Run, run), Path: p.Path, Content: p.Content}
	return t, nil
}

// submit makes the run of a tick, and says what came of it.
func (s *Scheduler) submit(ctx context.Context, t *takenTick) {
	if n, err := s.hold(ctx, t, s.lease); ctx.Err() == nil && (err != nil || n == 0) { // which makes the id of its run outlive a failover
		s.log.Warn("holding a tick; it is taken up again", "schedule", t.Schedule.Name, "error", err)
		return
	}
	holding, stop := context.WithCancel(ctx)
	var holder sync.WaitGroup
	holder.Go(func() {
		every(holding, s.lease/4, func(ctx context.Context) { _, _ = s.hold(ctx, t, s.lease) }) // a lease that is lost costs a second try
	})
	err := ctx.Err()
	if err == nil {
		err = s.submitOnce(ctx, t)
	}
	stop()
	holder.Wait()
	if ctx.Err() != nil && err != nil {
		if _, err := s.hold(context.WithoutCancel(ctx), t, 0); err != nil {
			s.log.Warn("putting back a tick; its lease will end", "schedule", t.Schedule.Name, "error", err)
		}
		return
	}
	if err := s.conclude(context.WithoutCancel(ctx), t, err); err != nil {
		s.log.Warn("recording a tick; it is taken up again", "schedule", t.Schedule.Name, "run", t.Run, "error", err)
	}
}

// hold prolongs the lease of a tick, or puts it back for a while.
func (s *Scheduler) hold(ctx context.Context, t *takenTick, d time.Duration) (int, error) {
	return s.runScheduleScript(ctx, holdScript, s.place(), t.Schedule.Name, "", "", s.options.ID, t.member, d.Milliseconds()).Int()
}

// submitOnce submits the run of a tick. A run that is over is not submitted again, though Redis may have forgotten it.
func (s *Scheduler) submitOnce(ctx context.Context, t *takenTick) error {
	if t.tries > 1 && s.store != nil {
		if _, err := s.store.Run(ctx, t.Run, pipeline.RecordDocument); err == nil {
			return nil
		}
	}
	r, err := s.request(ctx, t.Tick)
	if err != nil {
		return err
	}
	r.RunID = t.Run
	tags := map[string]string{"schedule": t.Schedule.Name, "tick": t.Time.UTC().Format(time.RFC3339)}
	for k, v := range r.Tags {
		tags[k] = v
	}
	r.Tags = tags
	_, err = s.client.Submit(ctx, r)
	return err
}

// request calls Submit; a panic is an error.
func (s *Scheduler) request(ctx context.Context, t Tick) (r Request, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic", "schedule", t.Schedule.Name, "panic", p, "stack", string(debug.Stack()))
			err = &pipeline.Error{Class: pipeline.ClassInternal, Message: fmt.Sprintf("panic: %v", p)}
		}
	}()
	return s.options.Submit(ctx, t)
}

// conclude records what came of a try: the tick is submitted, has failed, or waits for another try.
func (s *Scheduler) conclude(ctx context.Context, t *takenTick, failure error) error {
	now, err := s.redisNow(ctx)
	if err != nil {
		return err
	}
	r := TickRecord{Key: t.key, Cause: t.Cause, Status: TickSubmitted, Time: t.Time, Run: t.Run, Path: t.Path, At: now, By: s.options.ID, Tries: t.tries}
	again := time.Duration(0)
	if failure != nil {
		r.Message = clip(failure.Error())
		r.Status, r.Run = TickFailed, ""
		if class := pipeline.AsError(failure).Class; class == pipeline.ClassUnreachable || (class != pipeline.ClassBadInput && class != pipeline.ClassUsage && t.tries < tickTries) {
			r.Status = TickPending
			again = min(tickPatience, time.Second<<min(t.tries-1, 10))
		}
	}
	n, err := s.record(ctx, t, r, again)
	if err != nil || n == 0 {
		return err
	}
	level := slog.LevelInfo
	if failure != nil {
		level = slog.LevelWarn
	}
	s.log.Log(ctx, level, "tick", "schedule", t.Schedule.Name, "cause", t.Cause, "time", t.Time, "status", r.Status, "run", t.Run, "message", r.Message)
	if s.options.Told != nil {
		s.options.Told(t.Schedule, r)
	}
	return nil
}

// record writes a tick's record, and puts the tick back for another try or takes it off the queue. It returns 0 when the
// tick was done by somebody else.
func (s *Scheduler) record(ctx context.Context, t *takenTick, r TickRecord, again time.Duration) (int, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	done, owner := 1, ""
	if r.Status != TickSubmitted {
		owner = s.options.ID
	}
	if again > 0 {
		done = 0
		if n, err := s.hold(ctx, t, again); err != nil || n == 0 {
			return 0, err
		}
	}
	return s.runScheduleScript(ctx, recordScript, s.place(), t.Schedule.Name, t.Schedule.Name, t.Schedule.Generation, t.member, t.key, string(b), done, owner).Int()
}
