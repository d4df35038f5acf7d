package tasks

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// at reads a moment with its offset.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	m, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The clock of Berlin leaves out 02:00-03:00 on 2026-03-29 and shows it twice on 2026-10-25; that of Lord Howe Island jumps
// by half an hour; Samoa left out 2011-12-30; in São Paulo midnight of 2018-11-04 did not come.
func TestTicksWhereTheClockJumps(t *testing.T) {
	for _, c := range []struct{ name, cron, zone, after, want string }{
		{"a day before", "30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00+01:00", "2026-03-28T02:30:00+01:00 2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00"},
		{"left out twice is once", "15,45 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00 2026-03-30T02:15:00+02:00"},
		{"what comes at the jump itself", "0 2,3 * * *", "Europe/Berlin", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00 2026-03-30T02:00:00+02:00"},
		{"shown twice", "30 2 * * *", "Europe/Berlin", "2026-10-25T00:00:00+02:00", "2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00"},
		{"asked in the second hour", "30 2 * * *", "Europe/Berlin", "2026-10-25T02:10:00+01:00", "2026-10-26T02:30:00+01:00"},
		{"every hour, left out", "30 * * * *", "Europe/Berlin", "2026-03-29T00:45:00+01:00", "2026-03-29T01:30:00+01:00 2026-03-29T03:30:00+02:00"},
		{"every hour, shown twice", "30 * * * *", "Europe/Berlin", "2026-10-25T01:45:00+02:00", "2026-10-25T02:30:00+02:00 2026-10-25T02:30:00+01:00 2026-10-25T03:30:00+01:00"},
		{"every hour at the jump", "0 * * * *", "Europe/Berlin", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00 2026-03-29T04:00:00+02:00"},
		{"half an hour, left out", "*/20 * * * *", "Australia/Lord_Howe", "2026-10-04T01:40:00+10:30", "2026-10-04T02:40:00+11:00 2026-10-04T03:00:00+11:00"},
		{"half an hour, shown twice", "45 1 * * *", "Australia/Lord_Howe", "2026-04-05T00:00:00+11:00", "2026-04-05T01:45:00+11:00 2026-04-06T01:45:00+10:30"},
		{"a day left out", "0 6 * * *", "Pacific/Apia", "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00 2011-12-31T06:00:00+14:00"},
		{"no midnight", "0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00-03:00", "2018-11-04T01:00:00-02:00 2018-11-05T00:00:00-02:00"},
		{"no midnight, every hour of Sundays", "0 * * * 0", "America/Sao_Paulo", "2018-11-03T12:00:00-03:00", "2018-11-04T01:00:00-02:00 2018-11-04T02:00:00-02:00"},
		{"no zone", "0 2 * * *", "", "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z 2026-03-30T02:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, err := parseTimetable(c.cron, c.zone)
			if err != nil {
				t.Fatal(err)
			}
			now := at(t, c.after)
			for _, want := range strings.Fields(c.want) {
				now = table.next(now)
				if !now.Equal(at(t, want)) {
					t.Fatalf("got %s, want %s", now.In(table.zone).Format(time.RFC3339), want)
				}
			}
		})
	}
}

func TestCronExpressions(t *testing.T) {
	for _, c := range []struct{ cron, want string }{
		{"0 6 * * 1-5", "2026-11-25T06:00:00Z"},
		{"0 6 * * 7", "2026-11-29T06:00:00Z"},
		{"0 6 * * sun", "2026-11-29T06:00:00Z"},
		{"0 6 * * 5-7", "2026-11-27T06:00:00Z"},
		{"0 6 1 * *", "2026-12-01T06:00:00Z"},
		{"0 0 29 2 *", "2028-02-29T00:00:00Z"},
		{"0 0 13 * 5", "2026-11-27T00:00:00Z"}, // the 13th or a Friday
		{"  */5   *  * * * ", "2026-11-24T12:05:00Z"},
		{"@daily", "2026-11-25T00:00:00Z"},
		{"@weekly", "2026-11-29T00:00:00Z"},
		{"@every 6h", "2026-11-24T18:00:00Z"},
		{"@every 1s", "2026-11-24T12:01:02Z"},
	} {
		table, err := parseTimetable(c.cron, "")
		if err != nil {
			t.Errorf("%s: %v", c.cron, err)
			continue
		}
		if got := table.next(at(t, "2026-11-24T12:01:01Z")).Format(time.RFC3339); got != c.want {
			t.Errorf("%s: got %s, want %s", c.cron, got, c.want)
		}
	}
	for _, bad := range []struct{ cron, zone string }{
		{"", ""}, {"* * * *", ""}, {"* * * * * *", ""}, {"60 * * * *", ""}, {"* 24 * * *", ""}, {"x * * * *", ""}, {"*/0 * * * *", ""}, {"0 0 31 2 *", ""}, {"@reboot", ""},
		{"@every", ""}, {"@every 1ms", ""}, {"@every 1.5s", ""}, {"@every -1h", ""}, {"TZ=UTC", ""}, {"CRON_TZ=UTC * * * * *", ""}, {"* * * * *", "Nowhere/Town"},
		{"* * * * *", "Local"}, {"* * * * *", "../../etc/passwd"}, {strings.Repeat("1,", 1000) + "1 * * * *x", ""},
	} {
		if _, err := parseTimetable(bad.cron, bad.zone); err == nil {
			t.Errorf("%q in %q is taken", bad.cron, bad.zone)
		}
	}
}

// Ticks go up, whatever the moment, and what lies between two moments is the same whether one looks once or often. For an
// expression with * as its hour, a clock that is looked at each minute agrees.
func TestTicksOfRandomMoments(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	zones := []string{"", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Kathmandu"}
	crons := []string{"*/15 * * * *", "7 * * * 1-5", "* * 1,15 * *", "30 1,2,3 * * *", "*/20 0-3 * * *", "0 0 * * *", "59 23 * * 0", "@every 37m"}
	for range 400 {
		expression, zone := crons[r.IntN(len(crons))], zones[r.IntN(len(zones))]
		table, err := parseTimetable(expression, zone)
		if err != nil {
			t.Fatal(err)
		}
		from := at(t, "2005-01-01T00:00:00Z").Add(time.Duration(r.Int64N(int64(25 * 365 * 24 * time.Hour))))
		if _, jump := from.In(table.zone).ZoneBounds(); !jump.IsZero() && r.IntN(2) == 0 {
			from = jump.Add(-time.Duration(r.Int64N(int64(4 * time.Hour))))
		}
		to := from.Add(6 * time.Hour)
		ticks, more := table.between(from, to, 1000)
		last := from
		for _, tick := range ticks {
			if next := table.next(last); !tick.Equal(next) || !tick.After(last) {
				t.Fatalf("%s in %s from %v: %v follows %v, next is %v", expression, zone, from, tick, last, next)
			}
			last = tick
		}
		if more || (table.next(last).Before(to) && !table.next(last).IsZero()) {
			t.Fatalf("%s in %s from %v: more than %d ticks", expression, zone, from, len(ticks))
		}
		if n := len(ticks); n > 1 {
			if few, more := table.between(from, to, n-1); !more || len(few) != n-1 || !few[0].Equal(ticks[1]) {
				t.Fatalf("%s in %s from %v: the latest %d are %v of %v", expression, zone, from, n-1, few, ticks)
			}
		}
		if !strings.Contains(expression, " * * ") || !table.hourly {
			continue
		}
		n := 0
		for m := from.Truncate(time.Minute).Add(time.Minute); !m.After(to); m = m.Add(time.Minute) {
			local := m.In(table.zone)
			if table.wall.Minute&(1<<local.Minute()) != 0 && table.wall.Dow&(1<<local.Weekday()) != 0 && table.wall.Dom&(1<<local.Day()) != 0 {
				n++
			}
		}
		if n != len(ticks) {
			t.Fatalf("%s in %s from %v: %d ticks, want %d", expression, zone, from, len(ticks), n)
		}
	}
}

// Years without a scheduler cost nothing.
func TestTicksOfManyYears(t *testing.T) {
	table, err := parseTimetable("* * * * *", "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	to := at(t, "2026-11-24T12:00:30Z")
	ticks, more := table.between(at(t, "0001-01-01T00:00:00Z"), to, 3)
	if !more || len(ticks) != 3 || !ticks[2].Equal(at(t, "2026-11-24T12:00:00Z")) {
		t.Errorf("got %v, %v", ticks, more)
	}
	table, err = parseTimetable("0 0 29 2 *", "")
	if err != nil {
		t.Fatal(err)
	}
	if ticks, more = table.between(at(t, "2001-01-01T00:00:00Z"), to, 100); more || len(ticks) != 6 {
		t.Errorf("got %v, %v", ticks, more)
	}
}

func FuzzParseTimetable(f *testing.F) {
	for _, seed := range []string{"*/5 * * * *", "0 6 * * 1-7", "@every 1h", "@daily", "TZ=", "1-2/3,4 ? * jan mon", "@", "0 0 31 2 *"} {
		f.Add(seed, "Europe/Berlin")
	}
	f.Fuzz(func(t *testing.T, expression, zone string) {
		table, err := parseTimetable(expression, zone)
		if err != nil {
			return
		}
		now := time.Unix(1_800_000_000, 0)
		for range 5 {
			next := table.next(now)
			if next.IsZero() {
				return
			}
			if !next.After(now) {
				t.Fatalf("%q in %q: %v does not come after %v", expression, zone, next, now)
			}
			now = next
		}
	})
}
