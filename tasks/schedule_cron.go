package tasks

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// timetable is a cron expression in a time zone: when ticks are.
//
// Cron speaks of what a clock on the wall shows, and such a clock jumps. An expression whose hour is * means moments that
// lie apart by real time: in an hour that the clock shows twice they come twice, in one that it leaves out not at all. Any
// other names times of day, and each day has each of them once: one that the clock leaves out comes at the jump, and one
// that it shows twice comes the first time. These are the rules of Vixie cron.
type timetable struct {
	wall    *cron.SpecSchedule // on the readings of the clock, written as if they were UTC; nil for @every
	hourly  bool               // the hour is *
	zone    *time.Location
	seconds time.Duration // of @every
}

// parseTimetable reads five fields (minute, hour, day of month, month, day of week), or @hourly, @daily, @weekly,
// @monthly, @yearly, or @every DURATION, whose ticks are the multiples of the duration since the year 1. The zone is a name
// of the IANA data base; empty means UTC.
func parseTimetable(expression, zone string) (*timetable, error) {
	location, err := loadZone(zone)
	if err != nil {
		return nil, err
	}
	expression = strings.TrimSpace(expression)
	if strings.Contains(expression, "TZ=") {
		return nil, errors.New("the time zone does not go into the expression")
	}
	if text, ok := strings.CutPrefix(expression, "@every "); ok {
		d, err := time.ParseDuration(strings.TrimSpace(text))
		if err != nil || d < time.Second || d%time.Second != 0 {
			return nil, errors.New("@every goes with a duration of whole seconds, such as 90s or 2h30m")
		}
		return &timetable{seconds: d, zone: location}, nil
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).Parse(sundays(expression))
	if err != nil {
		return nil, err
	}
	wall, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, errors.New("it is no expression")
	}
	wall.Location = time.UTC
	const hours = 1<<24 - 1
	t := &timetable{wall: wall, hourly: wall.Hour&hours == hours, zone: location}
	if t.next(time.Unix(0, 0)).IsZero() {
		return nil, errors.New("it never comes")
	}
	return t, nil
}

func loadZone(name string) (*time.Location, error) {
	if name == "Local" { // what that is differs between schedulers
		return nil, errors.New("there is no time zone \"Local\"; want a name such as Europe/Berlin")
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("there is no time zone %.60q; want a name such as Europe/Berlin", name)
	}
	return l, nil
}

// sundays writes day 7 of the week as 0, which the library alone knows.
func sundays(expression string) string {
	fields := strings.Fields(expression)
	if len(fields) != 5 {
		return expression
	}
	days := strings.Split(fields[4], ",")
	for i, d := range days {
		if from, ok := strings.CutSuffix(d, "-7"); ok && from != "7" && from != "0" {
			days[i] = from + "-6,0"
		} else if d == "7" {
			days[i] = "0"
		}
	}
	fields[4] = strings.Join(days, ",")
	return strings.Join(fields, " ")
}

// next returns the first tick after a moment, in UTC; the zero time when none comes within five years.
func (t *timetable) next(after time.Time) time.Time {
	switch {
	case t.wall == nil:
		return after.Truncate(t.seconds).Add(t.seconds).UTC()
	case t.hourly:
		return t.nextElapsed(after)
	default:
		return t.nextOfDay(after)
	}
}

// nextElapsed goes through the stretches of time in which the clock does not jump.
func (t *timetable) nextElapsed(after time.Time) time.Time {
	for {
		local := after.In(t.zone)
		_, offset := local.Zone()
		_, jump := local.ZoneBounds()
		r := t.wall.Next(reading(after, offset))
		if r.IsZero() {
			return time.Time{}
		}
		tick := moment(r, offset)
		if jump.IsZero() || tick.Before(jump) {
			return tick
		}
		_, offset = jump.Zone()
		if first := t.wall.Next(readingBefore(jump, offset)); moment(first, offset).Equal(jump) {
			return jump.UTC()
		}
		after = jump
	}
}

// nextOfDay goes through the readings of the clock. A later reading is never an earlier moment.
func (t *timetable) nextOfDay(after time.Time) time.Time {
	_, offset := after.In(t.zone).Zone()
	for r := t.wall.Next(reading(after, offset)); !r.IsZero(); r = t.wall.Next(r) {
		if tick := t.first(r); tick.After(after) {
			return tick
		}
	}
	return time.Time{}
}

// first returns when the clock first shows a reading, or jumps over it.
func (t *timetable) first(r time.Time) time.Time {
	const longest = 25 * time.Hour // no offset and no jump is longer
	_, before := r.Add(-longest).In(t.zone).Zone()
	_, behind := r.Add(longest).In(t.zone).Zone()
	for _, offset := range []int{max(before, behind), min(before, behind)} { // the larger offset is the earlier moment
		tick := moment(r, offset)
		if _, actual := tick.In(t.zone).Zone(); actual == offset {
			return tick
		}
	}
	jump, _ := moment(r, before).In(t.zone).ZoneBounds()
	return jump.UTC()
}

// reading is what a clock with an offset from UTC, in seconds, shows, written as if it were UTC.
func reading(t time.Time, offset int) time.Time {
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// readingBefore is the reading of a second before.
func readingBefore(t time.Time, offset int) time.Time { return reading(t, offset-1) }

// moment is when the clock shows a reading.
func moment(r time.Time, offset int) time.Time {
	return r.Add(-time.Duration(offset) * time.Second)
}

// between returns the latest ticks in (from, to], most of them at most, in order, and whether there are more. It looks
// back in growing steps, so that the years in which nobody looked cost nothing.
func (t *timetable) between(from, to time.Time, most int) (ticks []time.Time, more bool) {
	for back := time.Minute; ; back *= 4 {
		start := to.Add(-back)
		whole := !start.After(from) || back > 1<<58 // beyond a few years a duration ends
		if whole {
			start = from
		}
		ticks = ticks[:0]
		for tick := t.next(start); !tick.IsZero() && !tick.After(to); tick = t.next(tick) {
			ticks = append(ticks, tick)
		}
		if len(ticks) > most {
			return ticks[len(ticks)-most:], true
		}
		if whole {
			return ticks, false
		}
	}
}
