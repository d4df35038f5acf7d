package tasks

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// Schedules manages the schedules in Redis. It is safe for concurrent use, by several processes too.
type Schedules struct {
	*core
	clock func(context.Context) (time.Time, error)
}

// Schedules returns the schedules in the client's Redis. Those that it adds belong to the client's store and queue.
func (c *Client) Schedules() *Schedules { return &Schedules{c.core, c.redisNow} }

// ScheduleState is a schedule and how it stands.
type ScheduleState struct {
	Schedule
	Paused  bool      `json:"paused"`
	Last    time.Time `json:"last"`              // what was due up to then is decided
	Next    time.Time `json:"next,omitzero"`     // the next tick; zero when it watches, or is paused
	Pending int       `json:"pending"`           // ticks that no scheduler has submitted yet
	Problem string    `json:"problem,omitempty"` // why its path cannot be watched
}

// Statuses of ticks.
const (
	TickPending   = "PENDING"   // it waits for a scheduler, or for another try
	TickSubmitted = "SUBMITTED" // its run was created
	TickFailed    = "FAILED"    // no run could be made of it
	TickSkipped   = "SKIPPED"   // it was missed, and is left out
)

// TickRecord is what became of a tick. A schedule remembers its latest 10,000.
type TickRecord struct {
	Key     string    `json:"key"` // what there is one run for: the tick's time, a content's digest
	Cause   string    `json:"cause"`
	Status  string    `json:"status"`
	Time    time.Time `json:"time"`
	Until   time.Time `json:"until,omitzero"` // SKIPPED: the last of the ticks from Time on that were left out
	Run     string    `json:"run,omitempty"`
	Path    string    `json:"path,omitempty"`
	At      time.Time `json:"at,omitzero"` // when it was submitted, or failed
	By      string    `json:"by,omitempty"`
	Tries   int       `json:"tries,omitempty"`
	Message string    `json:"message,omitempty"` // why it failed, or has to be tried again
}

// pendingTick is a tick in the queue of schedulers.
type pendingTick struct {
	Key     string        `json:"key"`
	Cause   string        `json:"cause"`
	Time    time.Time     `json:"time"`
	Run     string        `json:"run,omitempty"` // empty: given by who takes it first
	Path    string        `json:"path,omitempty"`
	Content *artifact.Ref `json:"content,omitempty"`
}

// triple is a tick as scripts take it: key, pendingTick, TickRecord.
func (p pendingTick) triple() ([]any, error) {
	entry, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	record, err := json.Marshal(TickRecord{Key: p.Key, Cause: p.Cause, Status: TickPending, Time: p.Time, Run: p.Run, Path: p.Path})
	return []any{p.Key, string(entry), string(record)}, err
}

// tickKey is the key of a tick of a timetable: the same for a cron tick and a backfill, so that both make one run.
func tickKey(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// ErrNoSchedule says that Redis has no schedule of a name.
var ErrNoSchedule = errors.New("no such schedule")

func noSchedule(name string) error {
	e := &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("there is no schedule %.80q", name), Hint: "`producer schedule list` lists them"}
	return fmt.Errorf("%w: %w", ErrNoSchedule, e)
}

// Add stores a new schedule. The ticks after this moment count. One that is not sound, or whose name is taken, is an error
// of class usage.
func (s *Schedules) Add(ctx context.Context, schedule Schedule) error {
	ok, err := s.define(ctx, schedule, false)
	if err == nil && !ok {
		e := &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("there is a schedule %s already", schedule.Name)}
		return e.WithHint("remove it, replace it, or choose another name")
	}
	return err
}

// Replace stores a schedule in the place of one of the same name, or a new one. What was decided stays: no tick and no
// content that the old one has submitted is submitted again, and none is forgotten.
func (s *Schedules) Replace(ctx context.Context, schedule Schedule) error {
	_, err := s.define(ctx, schedule, true)
	return err
}

func (s *Schedules) define(ctx context.Context, schedule Schedule, replace bool) (bool, error) {
	if err := schedule.Check(); err != nil {
		return false, err
	}
	now, err := s.clock(ctx)
	if err != nil {
		return false, unreachable(err, "")
	}
	schedule.Created, schedule.Store, schedule.Queue, schedule.Generation = now, s.storeID(), s.queue, rand.Text()
	if replace { // a tick in the queue stays that of the schedule
		old, err := s.find(ctx, schedule.Name)
		if err == nil {
			schedule.Created, schedule.Generation = old.Created, old.Generation
		} else if !errors.Is(err, ErrNoSchedule) {
			return false, err
		}
	}
	b, err := json.Marshal(schedule)
	if err != nil {
		return false, err
	}
	replaces := 0
	if replace {
		replaces = 1
	}
	n, err := s.runScheduleScript(ctx, defineScript, s.place(), schedule.Name, schedule.Name, schedule.Generation, string(b), now.UnixMicro(), replaces).Int()
	if err != nil {
		return false, unreachable(err, "")
	}
	return n == 1, nil
}

// place names the pending ticks of a store and queue.
func (c *core) place() string { return c.storeID() + ":" + c.queue }

func (s *Schedule) place() string { return s.Store + ":" + s.Queue }

// parseSchedule reads a definition.
func parseSchedule(text string) (*Schedule, error) {
	generation, b, _ := strings.Cut(text, "\n")
	var s Schedule
	if err := json.Unmarshal([]byte(b), &s); err != nil {
		return nil, fmt.Errorf("definition: %w", err)
	}
	if s.Generation != generation {
		return nil, errors.New("definition: it is of another generation")
	}
	return &s, s.Check()
}

// find returns one schedule.
func (s *Schedules) find(ctx context.Context, name string) (*Schedule, error) {
	text, err := s.redis.HGet(ctx, s.scheduleKey("definitions"), name).Result()
	if errors.Is(err, redis.Nil) {
		return nil, noSchedule(name)
	}
	if err != nil {
		return nil, unreachable(err, "")
	}
	return parseSchedule(text)
}

// List returns all schedules, by name. One that cannot be read has a Problem and nothing else.
func (s *Schedules) List(ctx context.Context) ([]ScheduleState, error) {
	pipe := s.redis.Pipeline()
	definitions, last, paused, problems := pipe.HGetAll(ctx, s.scheduleKey("definitions")), pipe.HGetAll(ctx, s.scheduleKey("last")), pipe.HGetAll(ctx, s.scheduleKey("paused")), pipe.HGetAll(ctx, s.scheduleKey("problems"))
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, unreachable(err, "")
	}
	pending := map[string]map[string]int{} // by place and name
	list := []ScheduleState{}
	for name, text := range definitions.Val() {
		state := ScheduleState{Problem: problems.Val()[name], Last: micros(last.Val()[name])}
		_, state.Paused = paused.Val()[name]
		schedule, err := parseSchedule(text)
		if err != nil {
			state.Name, state.Problem = name, "it cannot be read: "+err.Error()
			list = append(list, state)
			continue
		}
		state.Schedule = *schedule
		if pending[schedule.place()] == nil {
			if pending[schedule.place()], err = s.countPending(ctx, schedule.place()); err != nil {
				return nil, err
			}
		}
		state.Pending = pending[schedule.place()][name]
		if next, err := schedule.Next(state.Last, 1); err == nil && len(next) == 1 && !state.Paused {
			state.Next = next[0]
		}
		list = append(list, state)
	}
	slices.SortFunc(list, func(a, b ScheduleState) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (s *Schedules) countPending(ctx context.Context, place string) (map[string]int, error) {
	members, err := s.redis.ZRange(ctx, s.scheduleKey("pending:"+place), 0, -1).Result()
	if err != nil {
		return nil, unreachable(err, "")
	}
	n := map[string]int{}
	for _, m := range members {
		name, _, _ := strings.Cut(m, "\n")
		n[name]++
	}
	return n, nil
}

// Get returns one schedule; ErrNoSchedule when there is none.
func (s *Schedules) Get(ctx context.Context, name string) (*ScheduleState, error) {
	list, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Name == name {
			return &list[i], nil
		}
	}
	return nil, noSchedule(name)
}

// Remove forgets a schedule, its pending ticks and what it remembers. Runs stay as they are.
func (s *Schedules) Remove(ctx context.Context, name string) error {
	n, err := s.runScheduleScript(ctx, removeScript, s.place(), name, name, "").Int()
	return answer(n, name, err)
}

// answer turns what a script says of a schedule into an error: 0 or less means that it is not there.
func answer(n int, name string, err error) error {
	if err != nil {
		return unreachable(err, "")
	}
	if n <= 0 {
		return noSchedule(name)
	}
	return nil
}

// Pause stops the ticks of a schedule. Those that are pending wait; those of the timetable that come meanwhile are left
// out; new content is submitted on Resume.
func (s *Schedules) Pause(ctx context.Context, name string) error { return s.pause(ctx, name, 1) }

// Resume ends a pause.
func (s *Schedules) Resume(ctx context.Context, name string) error { return s.pause(ctx, name, 0) }

func (s *Schedules) pause(ctx context.Context, name string, pause int) error {
	now, err := s.clock(ctx)
	if err != nil {
		return unreachable(err, "")
	}
	n, err := s.runScheduleScript(ctx, pauseScript, s.place(), name, name, "", pause, now.UnixMicro()).Int()
	return answer(n, name, err)
}

// Trigger makes a tick of this moment and returns the id that its run will have. A paused schedule has it too. One that
// watches has none, since there is no content to submit.
func (s *Schedules) Trigger(ctx context.Context, name string) (run string, err error) {
	schedule, err := s.find(ctx, name)
	if err != nil {
		return "", err
	}
	if schedule.Watch != nil {
		return "", &pipeline.Error{Class: pipeline.ClassUsage, Message: "schedule " + name + " watches a path: its ticks are new contents", Hint: "submit the file itself"}
	}
	now, err := s.clock(ctx)
	if err != nil {
		return "", unreachable(err, "")
	}
	p := pendingTick{Key: "manual:" + now.UTC().Format(time.RFC3339Nano) + ":" + rand.Text()[:6], Cause: CauseManual, Time: now.UTC(), Run: artifact.NewRunID(now)}
	_, err = s.queueTicks(ctx, schedule, []pendingTick{p})
	return p.Run, err
}

// Backfill makes the ticks of a timetable from one moment to another, both included, that no run was made for. It returns
// how many these are, and how many had a run or were pending already; so it may be called again. Ticks are at most 10,000.
func (s *Schedules) Backfill(ctx context.Context, name string, from, to time.Time) (queued, present int, err error) {
	schedule, err := s.find(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	if schedule.Watch != nil || to.Before(from) {
		return 0, 0, &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("schedule %s has no ticks from %s to %s", name, tickKey(from), tickKey(to)), Hint: "want a schedule with a cron expression, and a moment before another"}
	}
	now, err := s.clock(ctx)
	if err != nil {
		return 0, 0, unreachable(err, "")
	}
	if to.After(now) {
		to = now // what is to come has a tick of its own
	}
	table, err := parseTimetable(schedule.Cron, schedule.Zone)
	if err != nil {
		return 0, 0, err
	}
	ticks, more := table.between(from.Add(-1), to, maxBackfill)
	if more {
		e := &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("schedule %s has more than %d ticks from %s to %s", name, maxBackfill, tickKey(from), tickKey(to))}
		return 0, 0, e.WithHint("take a shorter time at once")
	}
	pending := make([]pendingTick, len(ticks))
	for i, t := range ticks {
		pending[i] = pendingTick{Key: tickKey(t), Cause: CauseBackfill, Time: t}
	}
	queued, err = s.queueTicks(ctx, schedule, pending)
	return queued, len(ticks) - queued, err
}

// queueTicks makes ticks pending, those that are not known yet, and returns how many they were.
func (s *Schedules) queueTicks(ctx context.Context, schedule *Schedule, ticks []pendingTick) (int, error) {
	queued := 0
	for part := range slices.Chunk(ticks, 500) { // a script holds up Redis
		args := []any{schedule.Name, schedule.Generation, keepTicks}
		for _, p := range part {
			triple, err := p.triple()
			if err != nil {
				return queued, err
			}
			args = append(args, triple...)
		}
		n, err := s.runScheduleScript(ctx, queueScript, schedule.place(), schedule.Name, args...).Int()
		if err := answer(n+1, schedule.Name, err); err != nil {
			return queued, err
		}
		queued += n
	}
	return queued, nil
}

// Ticks returns what a schedule remembers of its ticks, the latest decided first, n at most (0: all).
func (s *Schedules) Ticks(ctx context.Context, name string, n int) ([]TickRecord, error) {
	if _, err := s.find(ctx, name); err != nil {
		return nil, err
	}
	keys, err := s.redis.ZRevRange(ctx, s.scheduleKey("order:"+name), 0, int64(n)-1).Result()
	if err != nil {
		return nil, unreachable(err, "")
	}
	list := []TickRecord{}
	for part := range slices.Chunk(keys, 1000) {
		values, err := s.redis.HMGet(ctx, s.scheduleKey("ticks:"+name), part...).Result()
		if err != nil {
			return nil, unreachable(err, "")
		}
		for _, v := range values {
			var r TickRecord
			if text, ok := v.(string); ok && json.Unmarshal([]byte(text), &r) == nil {
				list = append(list, r)
			}
		}
	}
	return list, nil
}

// SchedulerInfo is a scheduler process.
type SchedulerInfo struct {
	ID        string    `json:"id"`
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	Store     string    `json:"store"`
	Queue     string    `json:"queue"`
	StartedAt time.Time `json:"started_at"`
	SeenAt    time.Time `json:"seen_at"` // by the clock of Redis
}

// Schedulers that were not seen for a while are dead; after a longer while they are forgotten.
const (
	schedulerBeat   = 2 * time.Second
	schedulerDead   = 10 * time.Second
	schedulerForget = time.Minute
)

// Schedulers returns the scheduler processes that are alive, of any store and queue, by id.
func (s *Schedules) Schedulers(ctx context.Context) ([]SchedulerInfo, error) {
	all, now, err := s.schedulers(ctx)
	if err != nil {
		return nil, unreachable(err, "")
	}
	return slices.DeleteFunc(all, func(i SchedulerInfo) bool { return now.Sub(i.SeenAt) > schedulerDead }), nil
}

func (c *core) schedulers(ctx context.Context) ([]SchedulerInfo, time.Time, error) {
	values, err := c.redis.HGetAll(ctx, c.scheduleKey("schedulers")).Result()
	if err != nil {
		return nil, time.Time{}, err
	}
	now, err := c.redisNow(ctx)
	var list []SchedulerInfo
	for id, text := range values {
		i := SchedulerInfo{}
		if json.Unmarshal([]byte(text), &i) != nil {
			i = SchedulerInfo{}
		}
		i.ID = id
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b SchedulerInfo) int { return cmp.Compare(a.ID, b.ID) })
	return list, now, err
}

// decisions are what decideScript is told.
type decisions struct {
	last, now time.Time
	args      []any
}

func (d *decisions) add(triple []any, err error) error {
	d.args = append(d.args, triple...)
	return err
}

// decide moves on what is decided of a schedule, if nobody else did. It returns what is decided up to now.
func (c *core) decide(ctx context.Context, s *Schedule, d decisions) (last time.Time, err error) {
	args := append([]any{s.Name, s.Generation, strconv.FormatInt(d.last.UnixMicro(), 10), strconv.FormatInt(d.now.UnixMicro(), 10), keepTicks}, d.args...)
	result, err := c.runScheduleScript(ctx, decideScript, s.place(), s.Name, args...).Slice()
	if err != nil {
		return time.Time{}, err
	}
	if len(result) != 2 {
		return time.Time{}, fmt.Errorf("deciding about schedule %s: Redis answers %v", s.Name, result)
	}
	text, _ := result[1].(string)
	return micros(text), nil
}
