package tasks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// testClock is a clock that a test sets.
type testClock struct{ micros atomic.Int64 }

func newTestClock(t testing.TB, text string) *testClock {
	c := &testClock{}
	c.set(at(t, text))
	return c
}

func (c *testClock) set(t time.Time)     { c.micros.Store(t.UnixMicro()) }
func (c *testClock) add(d time.Duration) { c.micros.Add(d.Microseconds()) }
func (c *testClock) time() time.Time     { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *testClock) now(context.Context) (time.Time, error) {
	return c.time(), nil
}

// schedules returns the schedules by a clock.
func (b *bench) schedules(c *testClock) *Schedules {
	s := b.client.Schedules()
	s.clock = c.now
	return s
}

// helloPlan is what the tests submit.
func helloPlan(_ context.Context, t Tick) (Request, error) {
	tags := map[string]string{"cause": t.Cause, "content": ""}
	if t.Content != nil {
		tags["content"] = t.Content.Digest.String()
	}
	return Request{Plan: plan(stage("a", "text", textParams{t.Schedule.Name})), Name: t.Schedule.Name, Tags: tags}, nil
}

// scheduler starts a scheduler and returns how to stop it.
func (b *bench) scheduler(c *testClock, o SchedulerOptions, change ...func(*Scheduler)) (s *Scheduler, stop func()) {
	b.t.Helper()
	if o.Submit == nil {
		o.Submit = helloPlan
	}
	o.Poll, o.Clock = 2*time.Millisecond, c.now
	s, err := NewScheduler(b.client, o)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range change {
		f(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(stop)
	return s, stop
}

func (b *bench) add(s *Schedules, schedule Schedule) {
	b.t.Helper()
	if err := s.Add(context.Background(), schedule); err != nil {
		b.t.Fatal(err)
	}
}

// started returns the runs of the store, those of one tick together: by its time or content.
func (b *bench) started() map[string][]*pipeline.RunRecord {
	b.t.Helper()
	ctx := context.Background()
	ids, err := b.store.Runs(ctx, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	runs := map[string][]*pipeline.RunRecord{}
	for _, id := range ids {
		text, err := b.store.Run(ctx, id, pipeline.StartedDocument)
		if errors.Is(err, artifact.ErrNotFound) {
			continue // it is being made
		}
		if err != nil {
			b.t.Fatal(err)
		}
		r, err := pipeline.ParseRecord(text)
		if err != nil {
			b.t.Fatal(err)
		}
		key := cmp.Or(r.Tags["content"], r.Tags["tick"])
		runs[key] = append(runs[key], r)
	}
	return runs
}

// settled waits until no tick is pending.
func (b *bench) settled(s *Schedules, name string) []TickRecord {
	b.t.Helper()
	var list []TickRecord
	until(b.t, func() bool {
		state, err := s.Get(context.Background(), name)
		if err != nil {
			b.t.Fatal(err)
		}
		if list, err = s.Ticks(context.Background(), name, 0); err != nil {
			b.t.Fatal(err)
		}
		return state.Pending == 0
	})
	return list
}

func statuses(list []TickRecord) map[string]int {
	n := map[string]int{}
	for _, r := range list {
		n[r.Status]++
	}
	return n
}

// Several schedulers, one run for each tick.
func TestOneRunForEachTick(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *bench) {
		clock := newTestClock(t, "2026-03-01T00:00:30Z")
		s := b.schedules(clock)
		b.add(s, Schedule{Name: "minutely", Cron: "* * * * *", Missed: MissedAll})
		b.add(s, Schedule{Name: "other", Cron: "*/10 * * * *"})
		for range 5 {
			b.scheduler(clock, SchedulerOptions{})
		}
		const steps = 30
		for i := range steps {
			clock.add(time.Minute)
			until(t, func() bool {
				list, err := s.Ticks(context.Background(), "minutely", 0)
				return err == nil && statuses(list)[TickSubmitted] == i+1
			})
		}
		clock.add(20 * time.Minute) // and 20 at once
		until(t, func() bool {
			list, err := s.Ticks(context.Background(), "minutely", 0)
			return err == nil && statuses(list)[TickSubmitted] == steps+20
		})
		b.settled(s, "other")
		minutely, other := map[string]int{}, map[string]int{}
		for tick, runs := range b.started() {
			for _, r := range runs {
				if r.Name == "minutely" {
					minutely[tick]++
				} else {
					other[tick]++
				}
				if r.Tags["schedule"] != r.Name || r.Tags["cause"] != CauseCron {
					t.Errorf("tags %v", r.Tags)
				}
			}
		}
		for i := 1; i <= steps+20; i++ {
			tick := tickKey(at(t, "2026-03-01T00:00:00Z").Add(time.Duration(i) * time.Minute))
			if minutely[tick] != 1 {
				t.Errorf("tick %s has %d runs", tick, minutely[tick])
			}
			delete(minutely, tick)
		}
		if len(minutely) != 0 {
			t.Errorf("and there are %v", minutely)
		}
		// of the 20 minutes at once the tick at :40 is late and left out, as the one at :50 is not
		if len(other) != 4 || other["2026-03-01T00:10:00Z"] != 1 || other["2026-03-01T00:50:00Z"] != 1 {
			t.Errorf("the other has %v", other)
		}
	})
}

func TestMissedTicks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		schedule Schedule
		now      string
		want     string // times of day
		skipped  string
	}{
		{"nothing yet", Schedule{}, "2026-03-01T06:59:59Z", "", ""},
		{"on time", Schedule{}, "2026-03-01T07:00:30Z", "07:00", ""},
		{"late", Schedule{}, "2026-03-01T07:01:30Z", "07:00", ""},
		{"late and skipped", Schedule{Missed: MissedSkip}, "2026-03-01T07:01:30Z", "", "07:00-07:00"},
		{"within a longer grace", Schedule{Missed: MissedSkip, Grace: time.Hour}, "2026-03-01T07:59:30Z", "07:00", ""},
		{"three late", Schedule{Missed: MissedOnce}, "2026-03-01T09:30:00Z", "09:00", "07:00-08:00"},
		{"three late, skipped", Schedule{Missed: MissedSkip}, "2026-03-01T09:30:00Z", "", "07:00-09:00"},
		{"three late, all", Schedule{Missed: MissedAll}, "2026-03-01T09:30:00Z", "07:00 08:00 09:00", ""},
		{"three late, two at most", Schedule{Missed: MissedAll, MissedLimit: 2}, "2026-03-01T09:30:00Z", "08:00 09:00", "07:00-07:00"},
		{"two late and one not", Schedule{}, "2026-03-01T09:00:30Z", "09:00", "07:00-08:00"},
		{"two late and one not, skipped", Schedule{Missed: MissedSkip}, "2026-03-01T09:00:30Z", "09:00", "07:00-08:00"},
		{"two late and one not, all", Schedule{Missed: MissedAll}, "2026-03-01T09:00:30Z", "07:00 08:00 09:00", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.schedule.Cron = "0 7-9 * * *"
			table, err := parseTimetable(c.schedule.Cron, "")
			if err != nil {
				t.Fatal(err)
			}
			ticks, first, last := c.schedule.due(table, at(t, "2026-03-01T06:00:00Z"), at(t, c.now))
			var got []string
			for _, tick := range ticks {
				got = append(got, tick.Format("15:04"))
			}
			skipped := ""
			if !first.IsZero() {
				skipped = first.Format("15:04") + "-" + last.Format("15:04")
			}
			if text := strings.Join(got, " "); text != c.want || skipped != c.skipped {
				t.Errorf("got %q and skipped %q, want %q and %q", text, skipped, c.want, c.skipped)
			}
		})
	}
}

// What nobody was there for is submitted as the policy says when somebody is, once, and what is left out is on record.
func TestNobodyWasThere(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	clock := newTestClock(t, "2026-03-01T00:00:30Z")
	s := b.schedules(clock)
	b.add(s, Schedule{Name: "once", Cron: "@hourly"})
	b.add(s, Schedule{Name: "skip", Cron: "@hourly", Missed: MissedSkip})
	b.add(s, Schedule{Name: "all", Cron: "@hourly", Missed: MissedAll, MissedLimit: 5})
	clock.set(at(t, "2027-03-01T12:30:00Z"))
	for range 3 {
		b.scheduler(clock, SchedulerOptions{})
	}
	for name, want := range map[string]struct {
		submitted int
		until     string
	}{"once": {1, "2027-03-01T11:00:00Z"}, "skip": {0, "2027-03-01T12:00:00Z"}, "all": {5, "2027-03-01T07:00:00Z"}} {
		until(t, func() bool {
			list, err := s.Ticks(context.Background(), name, 0)
			n := statuses(list)
			return err == nil && n[TickSkipped] == 1 && n[TickSubmitted] == want.submitted && n[TickPending] == 0
		})
		list, err := s.Ticks(context.Background(), name, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			if r.Status == TickSkipped && (tickKey(r.Time) != "2026-03-01T01:00:00Z" || tickKey(r.Until) != want.until) {
				t.Errorf("%s: skipped from %v to %v, want until %s", name, r.Time, r.Until, want.until)
			}
		}
	}
	if n := len(b.started()); n != 5 {
		t.Errorf("runs of %d ticks, want 5", n) // the one of "once" is one of those of "all"
	}
}

// A scheduler that stops in the middle of a submission puts the tick back; another makes the same run of it.
func TestAnotherSchedulerTakesOver(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *bench) {
		clock := newTestClock(t, "2026-03-01T00:00:30Z")
		s := b.schedules(clock)
		b.add(s, Schedule{Name: "x", Cron: "@hourly"})
		first := make(chan Tick, 10)
		_, stop := b.scheduler(clock, SchedulerOptions{Submit: func(ctx context.Context, tick Tick) (Request, error) {
			first <- tick
			<-ctx.Done()
			return Request{}, ctx.Err()
		}})
		clock.add(time.Hour)
		promised := <-first
		if list, err := s.Ticks(context.Background(), "x", 0); err != nil || len(list) != 1 || list[0].Status != TickPending {
			t.Errorf("got %v, %v", list, err)
		}
		stop()
		told := make(chan TickRecord, 10)
		b.scheduler(clock, SchedulerOptions{Told: func(_ Schedule, r TickRecord) { told <- r }})
		// The first may have asked for more while it put the tick back, and have put it back once more.
		if r := <-told; r.Run != promised.Run || r.Status != TickSubmitted || r.Tries < 2 {
			t.Errorf("got %+v, want run %s", r, promised.Run)
		}
		if runs := b.started(); len(runs) != 1 || len(runs["2026-03-01T01:00:00Z"]) != 1 {
			t.Errorf("got %v", runs)
		}
	})
}

// One that hangs loses its lease. When it goes on, late, it submits the same run, and changes nothing.
func TestSchedulerThatHangs(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	clock := newTestClock(t, "2026-03-01T00:00:30Z")
	s := b.schedules(clock)
	b.add(s, Schedule{Name: "x", Cron: "@hourly"})
	hangs, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	told := make(chan TickRecord, 10)
	clock.add(time.Hour)
	b.scheduler(clock, SchedulerOptions{ID: "hangs", Submit: func(ctx context.Context, tick Tick) (Request, error) {
		once.Do(func() { close(hangs) })
		<-goOn
		return helloPlan(ctx, tick)
	}, Told: func(_ Schedule, r TickRecord) { told <- r }}, func(s *Scheduler) { s.lease, s.options.Poll = time.Hour, time.Hour }) // it looks once
	<-hangs
	// its lease ends, as that of a process that was suspended would
	if _, err := holdScript.Run(context.Background(), b.conn.redis, s.scheduleKeys(s.place(), "x"), "", "", "hangs", "x\n2026-03-01T01:00:00Z", 0).Int(); err != nil {
		t.Fatal(err)
	}
	b.scheduler(clock, SchedulerOptions{ID: "lives", Told: func(_ Schedule, r TickRecord) { told <- r }})
	r := <-told
	if r.By != "lives" || r.Status != TickSubmitted {
		t.Errorf("got %+v", r)
	}
	close(goOn)
	clock.add(time.Hour)
	if r := <-told; r.Key != "2026-03-01T02:00:00Z" { // nothing more was said of the first
		t.Errorf("got %+v", r)
	}
	if runs := b.started(); len(runs["2026-03-01T01:00:00Z"]) != 1 || runs["2026-03-01T01:00:00Z"][0].RunID != r.Run {
		t.Errorf("got %v", runs)
	}
}

// A tick that cannot be submitted fails at once when the request is at fault; else it is tried again.
func TestTicksThatFail(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	clock := newTestClock(t, "2026-03-01T00:00:30Z")
	s := b.schedules(clock)
	var calls atomic.Int32
	ask := map[string]func() (Request, error){
		"bad":    func() (Request, error) { return Request{}, pipeline.BadInput("the table has no columns") },
		"panics": func() (Request, error) { panic("boom") },
		"empty":  func() (Request, error) { return Request{}, nil },
		"away": func() (Request, error) {
			if calls.Add(1) < 3 {
				return Request{}, fmt.Errorf("the store: %w", artifact.ErrUnreachable)
			}
			return helloPlan(context.Background(), Tick{})
		},
	}
	for name := range ask {
		b.add(s, Schedule{Name: name, Cron: "@hourly"})
	}
	b.scheduler(clock, SchedulerOptions{Submit: func(_ context.Context, tick Tick) (Request, error) { return ask[tick.Schedule.Name]() }})
	clock.add(time.Hour)
	until(t, func() bool {
		for name := range ask {
			if list, err := s.Ticks(context.Background(), name, 0); err != nil || len(list) == 0 {
				return false
			}
		}
		return true
	})
	hurry := func() bool { // the pauses between tries are over at once
		pending, err := b.conn.redis.ZRange(context.Background(), s.scheduleKey("pending:"+s.place()), 0, -1).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pending {
			b.conn.redis.ZAddArgs(context.Background(), s.scheduleKey("pending:"+s.place()), zMember(m))
		}
		return len(pending) == 0
	}
	until(t, hurry)
	for name, want := range map[string]TickRecord{
		"bad":    {Status: TickFailed, Tries: 1, Message: "the table has no columns"},
		"panics": {Status: TickFailed, Tries: tickTries, Message: "panic: boom"},
		"empty":  {Status: TickFailed, Tries: 1, Message: "plan: it has no stages"},
		"away":   {Status: TickSubmitted, Tries: 3},
	} {
		list, err := s.Ticks(context.Background(), name, 0)
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: got %v, %v", name, list, err)
		}
		if got := list[0]; got.Status != want.Status || got.Message != want.Message || got.Tries < want.Tries {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

// Backfills make the ticks that have no run, however often they are asked for.
func TestBackfill(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		clock := newTestClock(t, "2026-03-10T00:00:30Z")
		s := b.schedules(clock)
		b.add(s, Schedule{Name: "daily", Cron: "0 6 * * *", Zone: "Europe/Berlin"})
		for range 3 {
			b.scheduler(clock, SchedulerOptions{})
		}
		clock.set(at(t, "2026-03-10T05:00:10Z"))
		until(t, func() bool {
			list, err := s.Ticks(ctx, "daily", 0)
			return err == nil && statuses(list)[TickSubmitted] == 1
		})
		var total atomic.Int32
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				queued, present, err := s.Backfill(ctx, "daily", at(t, "2026-03-01T00:00:00+01:00"), at(t, "2026-03-31T23:59:59+02:00"))
				if err != nil || queued+present != 10 {
					t.Errorf("got %d and %d, %v", queued, present, err)
				}
				total.Add(int32(queued))
			})
		}
		asking.Wait()
		if total.Load() != 9 {
			t.Errorf("%d ticks were queued, want 9", total.Load())
		}
		b.settled(s, "daily")
		runs := b.started()
		for day := 1; day <= 10; day++ {
			tick := fmt.Sprintf("2026-03-%02dT05:00:00Z", day)
			if len(runs[tick]) != 1 {
				t.Errorf("tick %s has %d runs", tick, len(runs[tick]))
			}
		}
		if len(runs) != 10 {
			t.Errorf("got %d ticks", len(runs))
		}
		for _, bad := range []struct{ name, from, to string }{{"nope", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"}, {"daily", "2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"}, {"daily", "1900-01-01T00:00:00Z", "2026-03-01T00:00:00Z"}} {
			if _, _, err := s.Backfill(ctx, bad.name, at(t, bad.from), at(t, bad.to)); err == nil || pipeline.AsError(err).Class != pipeline.ClassUsage {
				t.Errorf("%v: got %v", bad, err)
			}
		}
	})
}

func TestSchedulesAreManaged(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		clock := newTestClock(t, "2026-03-01T00:00:30Z")
		s := b.schedules(clock)
		x := Schedule{Name: "x", Cron: "@hourly", Submission: json.RawMessage(`{"n":1}`)}
		b.add(s, x)
		if err := s.Add(ctx, x); err == nil || pipeline.AsError(err).Class != pipeline.ClassUsage || !strings.Contains(err.Error(), "already") {
			t.Errorf("adding it twice: %v", err)
		}
		for what, err := range map[string]error{"pause": s.Pause(ctx, "y"), "resume": s.Resume(ctx, "y"), "remove": s.Remove(ctx, "y"), "ticks": second(s.Ticks(ctx, "y", 1)), "trigger": second(s.Trigger(ctx, "y")), "get": second(s.Get(ctx, "y"))} {
			if !errors.Is(err, ErrNoSchedule) || pipeline.AsError(err).Class != pipeline.ClassUsage {
				t.Errorf("%s: got %v", what, err)
			}
		}
		b.scheduler(clock, SchedulerOptions{ID: "one"})
		until(t, func() bool {
			list, err := s.Schedulers(ctx)
			return err == nil && len(list) == 1 && list[0].ID == "one"
		})

		if err := s.Pause(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		run, err := s.Trigger(ctx, "x") // paused or not
		if err != nil {
			t.Fatal(err)
		}
		until(t, func() bool { return len(b.started()) == 1 })
		for _, runs := range b.started() {
			if runs[0].RunID != run || runs[0].Tags["cause"] != CauseManual {
				t.Errorf("got %+v, want run %s", runs[0], run)
			}
		}
		if queued, _, err := s.Backfill(ctx, "x", at(t, "2026-02-28T23:00:00Z"), at(t, "2026-02-28T23:00:00Z")); err != nil || queued != 1 {
			t.Errorf("backfill: %d, %v", queued, err)
		}
		clock.set(at(t, "2026-03-01T05:30:00Z"))
		var state *ScheduleState
		until(t, func() bool { state, err = s.Get(ctx, "x"); return err == nil && state.Pending == 1 })
		if !state.Paused || !state.Next.IsZero() || string(state.Submission) != `{"n":1}` {
			t.Errorf("got %+v, %v", state, err)
		}
		if err := s.Resume(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		until(t, func() bool { return len(b.started()["2026-02-28T23:00:00Z"]) == 1 })
		clock.set(at(t, "2026-03-01T06:00:00Z"))
		until(t, func() bool { return len(b.started()["2026-03-01T06:00:00Z"]) == 1 })
		if n := len(b.started()); n != 3 { // nothing of the pause
			t.Errorf("runs of %d ticks", n)
		}

		x.Cron = "30 * * * *"
		if err := s.Replace(ctx, x); err != nil {
			t.Fatal(err)
		}
		clock.set(at(t, "2026-03-01T06:30:00Z"))
		until(t, func() bool { return len(b.started()["2026-03-01T06:30:00Z"]) == 1 })
		if list, err := s.Ticks(ctx, "x", 2); err != nil || len(list) != 2 || list[0].Key != "2026-03-01T06:30:00Z" {
			t.Errorf("ticks: %v, %v", list, err)
		}

		if err := s.Remove(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		x.Cron = "0 * * * *"
		b.add(s, x)
		if list, err := s.Ticks(ctx, "x", 0); err != nil || len(list) != 0 {
			t.Errorf("a new schedule remembers %v, %v", list, err)
		}
		clock.set(at(t, "2026-03-01T07:00:00Z"))
		until(t, func() bool { return len(b.started()["2026-03-01T07:00:00Z"]) == 1 })
	})
}

func second[T any](_ T, err error) error { return err }

// Pending ticks of a schedule that was removed are dropped, though one of the same name came after it.
func TestRemovedScheduleLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	ctx := context.Background()
	clock := newTestClock(t, "2026-03-01T00:00:30Z")
	s := b.schedules(clock)
	b.add(s, Schedule{Name: "x", Cron: "@hourly"})
	if _, err := s.Trigger(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	b.add(s, Schedule{Name: "x", Cron: "@hourly"})
	b.scheduler(clock, SchedulerOptions{})
	clock.add(time.Hour)
	until(t, func() bool { return len(b.started()["2026-03-01T01:00:00Z"]) == 1 })
	b.settled(s, "x")
	if runs := b.started(); len(runs) != 1 {
		t.Errorf("got %v", runs)
	}
	if n, err := b.conn.redis.HLen(ctx, s.scheduleKey("entries")).Result(); err != nil || n != 0 {
		t.Errorf("%d entries are left, %v", n, err)
	}
}

func TestScheduleIsChecked(t *testing.T) {
	for name, s := range map[string]Schedule{
		"no name":        {Cron: "@daily"},
		"bad name":       {Name: "a\nb", Cron: "@daily"},
		"path as name":   {Name: "../x", Cron: "@daily"},
		"neither":        {Name: "x"},
		"both":           {Name: "x", Cron: "@daily", Watch: &Watch{Path: "/x"}},
		"no cron":        {Name: "x", Cron: "daily"},
		"no zone":        {Name: "x", Cron: "@daily", Zone: "Berlin"},
		"no policy":      {Name: "x", Cron: "@daily", Missed: "sometimes"},
		"limit":          {Name: "x", Cron: "@daily", MissedLimit: -1},
		"grace":          {Name: "x", Cron: "@daily", Grace: -1},
		"no path":        {Name: "x", Watch: &Watch{}},
		"bad pattern":    {Name: "x", Watch: &Watch{Path: "/x", Match: "["}},
		"settle":         {Name: "x", Watch: &Watch{Path: "/x", Settle: -1}},
		"bad submission": {Name: "x", Cron: "@daily", Submission: json.RawMessage("{")},
	} {
		if err := s.Check(); err == nil || pipeline.AsError(err).Class != pipeline.ClassUsage {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// What somebody else wrote into Redis keeps no schedule from running, and no scheduler.
func TestForeignSchedules(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	ctx := context.Background()
	clock := newTestClock(t, "2026-03-01T00:00:30Z")
	s := b.schedules(clock)
	b.add(s, Schedule{Name: "x", Cron: "@hourly"})
	state, err := s.Get(ctx, "x")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a": "", "b": "g\n{", "c": "g\n{\"generation\":\"g\"}", "d": "g\nnull", "e\n": "\n{}", "f": "g\n{\"name\":\"f\",\"generation\":\"g\",\"cron\":\"61 * * * *\"}"} {
		b.conn.redis.HSet(ctx, s.scheduleKey("definitions"), name, text)
		b.conn.redis.HSet(ctx, s.scheduleKey("last"), name, text)
	}
	b.conn.redis.HSet(ctx, s.scheduleKey("schedulers"), "z", "{", "y", "null")
	pending := s.scheduleKey("pending:" + s.place())
	for member, entry := range map[string]string{"x": "", "\n": "\n", "x\n1": state.Generation + "\n{", "x\n2": state.Generation, "x\n3": "other\n{}", "a\n1": "\nnull", "x\n4": state.Generation + "\n{\"run\":\"../../x\",\"cause\":\"cron\"}"} {
		b.conn.redis.ZAddArgs(ctx, pending, zMember(member))
		b.conn.redis.HSet(ctx, s.scheduleKey("entries"), member, entry)
	}
	if list, err := s.List(ctx); err != nil || len(list) != 7 || list[6].Name != "x" || list[0].Problem == "" {
		t.Errorf("got %+v, %v", list, err)
	}
	b.scheduler(clock, SchedulerOptions{})
	clock.add(time.Hour)
	until(t, func() bool { return len(b.started()["2026-03-01T01:00:00Z"]) == 1 })
	if list, err := s.Schedulers(ctx); err != nil || len(list) != 1 {
		t.Errorf("got %+v, %v", list, err)
	}
}

// zMember is a pending tick that may be taken now.
func zMember(member string) redis.ZAddArgs {
	return redis.ZAddArgs{Members: []redis.Z{{Score: 0, Member: member}}}
}
