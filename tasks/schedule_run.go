package tasks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashline/hashline/artifact"
)

// SchedulerOptions are one scheduler's own.
type SchedulerOptions struct {
	// Submit makes a run of a tick: its Plan, Name and so on. RunID is filled in afterwards, and the tags schedule and tick are
	// added. It may be called more than once for a tick, by several schedulers; there is one run all the same. A tick ends as
	// failed when Submit returns an error of class usage or bad_input, or another one five times; it is tried again for as long
	// as the class is unreachable.
	Submit func(ctx context.Context, t Tick) (Request, error)

	Poll  time.Duration                            // how often it looks for ticks; 0 means a second
	Clock func(context.Context) (time.Time, error) // by which timetables are read; nil: that of Redis
	ID    string                                   // unique among schedulers; empty: made up

	// MayRead refuses to watch a path with an error that says why; nil: any may be watched. Paths come from Redis, and what is
	// there ends in the store, so it matters where others can write to Redis.
	MayRead func(path string) error

	Told func(s Schedule, r TickRecord) // nil, or called with what came of every try of this scheduler; by several goroutines
}

// Scheduler submits the runs of the schedules of its client's store and queue. Any number of them may run, in processes
// anywhere: a tick makes one run, and a tick that one of them left behind is taken up by another.
type Scheduler struct {
	*core
	client  *Client
	options SchedulerOptions
	info    SchedulerInfo
	lease   time.Duration    // how long a tick belongs to who took it, unless they say that they live
	now     func() time.Time // by which files settle
	looked  func()           // nil, or told of every look at a path, for tests

	mu        sync.Mutex
	due       chan struct{} // has an element when ticks have become pending
	version   string        // of the definitions below
	schedules map[string]*plannedSchedule
	reading   map[string]bool // sensors at work
	busy      map[string]bool // ticks at work, by member
}

// plannedSchedule is a schedule as a scheduler knows it.
type plannedSchedule struct {
	Schedule
	table  *timetable // nil: it watches
	last   time.Time
	next   time.Time // the first tick after last
	sensor *sensor
}

const (
	tickLease    = 15 * time.Second
	tickTries    = 5
	tickPatience = time.Minute // between tries at most
	busyTicks    = 4           // ticks that a scheduler submits at a time
)

// NewScheduler makes a scheduler; Run starts it.
func NewScheduler(c *Client, o SchedulerOptions) (*Scheduler, error) {
	if o.Submit == nil {
		return nil, errors.New("tasks: a scheduler needs a Submit")
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if o.ID == "" {
		id := artifact.NewRunID(time.Now())
		o.ID = fmt.Sprintf("%s-%d-%s", host, os.Getpid(), id[len(id)-6:])
	}
	o.Poll = cmp.Or(max(0, o.Poll), time.Second)
	s := &Scheduler{core: c.core, client: c, options: o, lease: tickLease, now: time.Now, schedules: map[string]*plannedSchedule{}, reading: map[string]bool{}, busy: map[string]bool{}, due: make(chan struct{}, 1),
		info: SchedulerInfo{ID: o.ID, Host: host, PID: os.Getpid(), Store: c.storeID(), Queue: c.queue, StartedAt: time.Now().UTC()}}
	if s.options.Clock == nil {
		s.options.Clock = c.redisNow
	}
	return s, nil
}

// ID returns the scheduler's name in tick records.
func (s *Scheduler) ID() string { return s.options.ID }

// Run submits what is due until ctx ends, then puts back what it had not submitted and returns nil. While Redis does not
// answer it waits; only a Redis that cannot be reached at the start is an error.
func (s *Scheduler) Run(ctx context.Context) error {
	if err := s.beat(ctx); err != nil && ctx.Err() == nil {
		return unreachable(err, "")
	}
	var background sync.WaitGroup
	background.Go(func() {
		every(ctx, schedulerBeat, func(ctx context.Context) {
			if err := s.beat(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("scheduler heartbeat", "error", err)
			}
		})
	})
	background.Go(func() { s.take(ctx) })
	for ctx.Err() == nil {
		wait := s.options.Poll
		if err := s.look(ctx, &background, &wait); err != nil && ctx.Err() == nil {
			s.log.Warn("looking for what is due", "error", err)
		}
		_ = pause(ctx, wait)
	}
	background.Wait()
	s.leave(context.WithoutCancel(ctx))
	return nil
}

// beat says that the scheduler lives, and forgets those that are long dead.
func (s *Scheduler) beat(ctx context.Context) error {
	all, now, err := s.core.schedulers(ctx)
	if err != nil {
		return err
	}
	info := s.info
	info.SeenAt = now
	b, err := json.Marshal(info)
	if err != nil {
		return err
	}
	for _, i := range all {
		if now.Sub(i.SeenAt) > schedulerForget {
			if err := s.redis.HDel(ctx, s.scheduleKey("schedulers"), i.ID).Err(); err != nil {
				return err
			}
		}
	}
	return s.redis.HSet(ctx, s.scheduleKey("schedulers"), info.ID, string(b)).Err()
}

func (s *Scheduler) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := s.redis.HDel(ctx, s.scheduleKey("schedulers"), s.info.ID).Err()
	for _, p := range s.planned() {
		if p.sensor != nil {
			_, released := s.claimWatch(ctx, p, 0)
			err = errors.Join(err, released)
		}
	}
	if err != nil {
		s.log.Warn("taking leave of Redis", "error", err)
	}
}

// look decides about every schedule that has a tick, and starts to look at the paths whose turn it is. It shortens the wait
// when a tick comes earlier.
func (s *Scheduler) look(ctx context.Context, background *sync.WaitGroup, wait *time.Duration) error {
	if err := s.refresh(ctx); err != nil {
		return err
	}
	now, err := s.options.Clock(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, p := range s.planned() {
		if p.sensor != nil {
			s.startReading(ctx, background, p)
			continue
		}
		if !p.next.IsZero() && !p.next.After(now) {
			failed = errors.Join(failed, s.decideTicks(ctx, p, now))
		}
		if until := p.next.Sub(now); !p.next.IsZero() && until > 0 {
			*wait = min(*wait, until)
		}
	}
	return failed
}

func (s *Scheduler) planned() []*plannedSchedule {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*plannedSchedule, 0, len(s.schedules))
	for _, p := range s.schedules {
		list = append(list, p)
	}
	return list
}

// refresh reads the definitions when they have changed.
func (s *Scheduler) refresh(ctx context.Context) error {
	version, err := s.redis.Get(ctx, s.scheduleKey("version")).Result()
	if err != nil && !isNil(err) {
		return err
	}
	if version == s.version {
		return nil
	}
	pipe := s.redis.Pipeline()
	definitions, last, paused := pipe.HGetAll(ctx, s.scheduleKey("definitions")), pipe.HGetAll(ctx, s.scheduleKey("last")), pipe.HGetAll(ctx, s.scheduleKey("paused"))
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	schedules := map[string]*plannedSchedule{}
	for name, text := range definitions.Val() {
		if _, is := paused.Val()[name]; is {
			continue
		}
		p, err := s.plan(text, micros(last.Val()[name]))
		if err != nil {
			s.log.Error("a schedule that cannot be read", "schedule", name, "error", err)
			continue
		}
		if p.place() == s.place() {
			schedules[name] = p
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, p := range schedules {
		if old := s.schedules[name]; old != nil && old.sensor != nil && p.sensor != nil && *old.Watch == *p.Watch && old.Generation == p.Generation {
			p.sensor = old.sensor // what it observed still holds
		}
	}
	s.schedules, s.version = schedules, version
	return nil
}

// plan makes a schedule ready of its definition.
func (s *Scheduler) plan(text string, last time.Time) (*plannedSchedule, error) {
	schedule, err := parseSchedule(text)
	if err != nil {
		return nil, err
	}
	p := &plannedSchedule{Schedule: *schedule}
	if schedule.Watch != nil {
		p.sensor = newSensor()
		return p, nil
	}
	if last.IsZero() {
		last = schedule.Created
	}
	if p.table, err = parseTimetable(schedule.Cron, schedule.Zone); err != nil {
		return nil, err
	}
	p.setLast(last)
	return p, nil
}

func (p *plannedSchedule) setLast(last time.Time) { p.last, p.next = last, p.table.next(last) }

// decideTicks makes the ticks up to now pending, as the policy for missed ones says, unless another scheduler did.
func (s *Scheduler) decideTicks(ctx context.Context, p *plannedSchedule, now time.Time) error {
	ticks, first, until := p.due(p.table, p.last, now)
	d := decisions{last: p.last, now: until}
	if !first.IsZero() {
		b, err := json.Marshal(TickRecord{Key: "skipped:" + tickKey(first), Cause: CauseCron, Status: TickSkipped, Time: first, Until: until, At: now.UTC(), By: s.options.ID})
		if err := d.add([]any{"skipped:" + tickKey(first), "", string(b)}, err); err != nil {
			return err
		}
	}
	for _, t := range ticks {
		if err := d.add(pendingTick{Key: tickKey(t), Cause: CauseCron, Time: t}.triple()); err != nil {
			return err
		}
		d.now = t
	}
	last, err := s.decide(ctx, &p.Schedule, d)
	if err != nil {
		return fmt.Errorf("schedule %s: %w", p.Name, err)
	}
	if last.IsZero() { // it is gone, or paused: the next look finds out
		last = d.now
	}
	p.setLast(last)
	select {
	case s.due <- struct{}{}:
	default:
	}
	return nil
}
