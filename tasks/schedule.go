package tasks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"sync"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// Schedule says when runs are submitted: at the ticks of a cron expression, or for every new content of a file or folder.
// Schedules live in Redis, see Schedules; what they submit is up to the Scheduler's Submit.
type Schedule struct {
	Name string `json:"name"` // lower-case letters, digits and _ . -; 64 at most

	// Cron has five fields (minute, hour, day of month, month, day of week), or is @hourly, @daily, @weekly, @monthly, @yearly
	// or "@every DURATION". Empty: Watch says when.
	//
	// A time of day that the clocks of Zone leave out comes when they are changed; one that they show twice comes the first
	// time. With * as its hour an expression follows real time instead: nothing is made up for, and nothing left out.
	Cron string `json:"cron,omitempty"`
	Zone string `json:"zone,omitempty"` // name of the IANA data base, such as Europe/Berlin; empty: UTC

	// Missed is what becomes of ticks that no scheduler was there for: MissedOnce (also when empty), MissedSkip, MissedAll.
	Missed      string        `json:"missed,omitempty"`
	MissedLimit int           `json:"missed_limit,omitempty"` // of MissedAll, the latest so many; 0 means 100
	Grace       time.Duration `json:"grace,omitempty"`        // a tick is missed when it is taken later than that; 0 means a minute

	Watch *Watch `json:"watch,omitempty"`

	Submission json.RawMessage `json:"submission,omitempty"` // for Submit to make a run of; opaque here

	Created time.Time `json:"created,omitzero"` // filled in, as are those below
	Store   string    `json:"store,omitempty"`  // its schedulers are those of this store and queue
	Queue   string    `json:"queue,omitempty"`

	// generation tells a schedule from one of the same name that was removed before.
	Generation string `json:"generation,omitempty"`
}

// Policies for ticks that were missed.
const (
	MissedSkip = "skip" // they are left out
	MissedOnce = "once" // the latest of them is submitted, unless there is a tick that is not late
	MissedAll  = "all"  // the latest MissedLimit are submitted
)

// Watch is a file, or the files of a folder, each new content of which is to be submitted: once, whatever it is called,
// however often it is touched, renamed or copied, and not before it is complete.
type Watch struct {
	Path string `json:"path"` // as schedulers see it. Of a folder the files directly in it count

	// Match is a pattern for the names of files in a folder, see path.Match; empty: all. Names that begin with a dot, or end
	// with ~, .tmp, .part, .partial, .crdownload or .filepart never count.
	Match string `json:"match,omitempty"`

	Every   time.Duration `json:"every,omitempty"`    // how often a scheduler looks; 0 means 2 s
	Settle  time.Duration `json:"settle,omitempty"`   // a file counts when it has not changed for that long; 0 means 5 s. One that was moved into place counts at once
	NewOnly bool          `json:"new_only,omitempty"` // what is older than the schedule does not count
}

// Tick is one occasion to submit a run.
type Tick struct {
	Schedule Schedule
	Cause    string        // CauseCron, CauseWatch, CauseBackfill or CauseManual
	Time     time.Time     // of the timetable; else when it was noticed. UTC
	Run      string        // the id that the run will have, whoever submits it, and however often that is tried
	Path     string        // CauseWatch: of the file
	Content  *artifact.Ref // CauseWatch: what it held. The store has it, though the file may have changed since
}

// Causes of ticks.
const (
	CauseCron     = "cron"
	CauseWatch    = "watch"
	CauseBackfill = "backfill"
	CauseManual   = "manual"
)

// Limits of schedules.
const (
	defaultGrace    = time.Minute
	defaultMissed   = 100
	maxBackfill     = 10_000 // ticks at a time
	keepTicks       = 10_000 // ticks that a schedule remembers
	maxSubmission   = 4 << 20
	defaultEvery    = 2 * time.Second
	defaultSettle   = 5 * time.Second
	maxScheduleTime = 365 * 24 * time.Hour
)

var scheduleName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`) })

// Check finds what is wrong with a schedule. Errors are of class usage.
func (s *Schedule) Check() error {
	if err := s.check(); err != nil {
		if e, ok := errors.AsType[*pipeline.Error](err); ok {
			return e
		}
		return &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("schedule %.80s: %v", s.Name, err)}
	}
	return nil
}

func (s *Schedule) check() error {
	switch {
	case !scheduleName().MatchString(s.Name):
		return &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("%.80q is no name for a schedule", s.Name), Hint: "want lower-case letters, digits and _ . -"}
	case (s.Cron == "") == (s.Watch == nil):
		return errors.New("want either a cron expression or a path to watch")
	case s.MissedLimit < 0 || s.MissedLimit > maxBackfill:
		return fmt.Errorf("of missed ticks %d are to be submitted, want 0 to %d", s.MissedLimit, maxBackfill)
	case s.Grace < 0 || s.Grace > maxScheduleTime:
		return fmt.Errorf("the grace is %v, want 0 to a year", s.Grace)
	case len(s.Submission) > maxSubmission:
		return fmt.Errorf("its submission has %d bytes, want %d at most", len(s.Submission), maxSubmission)
	case len(s.Submission) > 0 && !json.Valid(s.Submission):
		return errors.New("its submission is no JSON")
	}
	switch s.Missed {
	case "", MissedSkip, MissedOnce, MissedAll:
	default:
		return fmt.Errorf("there is no policy %.40q for missed ticks, want %s, %s or %s", s.Missed, MissedSkip, MissedOnce, MissedAll)
	}
	if s.Watch != nil {
		return s.Watch.check()
	}
	if _, err := parseTimetable(s.Cron, s.Zone); err != nil {
		e := &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("schedule %s: cron expression %.80q: %v", s.Name, s.Cron, err)}
		return e.WithHint(`want "minute hour day month weekday", such as "30 6 * * 1-5", or @hourly, @daily, "@every 15m"`)
	}
	return nil
}

func (w *Watch) check() error {
	if w.Path == "" {
		return errors.New("the path to watch is empty")
	}
	if _, err := path.Match(w.Match, ""); err != nil {
		return fmt.Errorf("%.80q is no pattern for names", w.Match)
	}
	for name, d := range map[string]time.Duration{"looking": w.Every, "settling": w.Settle} {
		if d < 0 || d > maxScheduleTime {
			return fmt.Errorf("%s takes %v, want 0 to a year", name, d)
		}
	}
	return nil
}

// Next returns the n ticks after a moment; none for a schedule that watches.
func (s *Schedule) Next(after time.Time, n int) ([]time.Time, error) {
	if s.Watch != nil {
		return nil, nil
	}
	table, err := parseTimetable(s.Cron, s.Zone)
	if err != nil {
		return nil, err
	}
	var ticks []time.Time
	for range n {
		after = table.next(after)
		if after.IsZero() {
			break
		}
		ticks = append(ticks, after)
	}
	return ticks, nil
}

// due returns the ticks in (last, now] that are to be submitted, in order, and those that are passed over: the first and
// the last of them, zero when there are none.
func (s *Schedule) due(table *timetable, last, now time.Time) (ticks []time.Time, firstSkipped, lastSkipped time.Time) {
	limit := 1
	if s.Missed == MissedAll {
		limit = cmp.Or(s.MissedLimit, defaultMissed)
	}
	late := now.Add(-cmp.Or(s.Grace, defaultGrace)) // ticks before that are
	if late.After(last) {
		missed, more := table.between(last, late.Add(-1), limit)
		onTime, _ := table.between(late.Add(-1), now, maxBackfill)
		keep := missed
		if s.Missed == MissedSkip || (s.Missed != MissedAll && len(onTime) > 0) {
			keep = nil
		}
		if len(missed) > len(keep) || more {
			firstSkipped = table.next(last)
			lastSkipped = missed[len(missed)-1]
			if len(keep) > 0 {
				before, _ := table.between(last, keep[0].Add(-1), 1)
				lastSkipped = before[0]
			}
		}
		return append(keep, onTime...), firstSkipped, lastSkipped
	}
	ticks, _ = table.between(last, now, maxBackfill)
	return ticks, firstSkipped, lastSkipped
}

// redisNow is the time of Redis, by which schedulers on several machines agree.
func (c *core) redisNow(ctx context.Context) (time.Time, error) {
	t, err := c.redis.Time(ctx).Result()
	return t.UTC(), err
}
