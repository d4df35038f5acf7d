package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

// scheduler starts a scheduler process.
func scheduler(t *testing.T, store, url string, folders ...string) running {
	t.Helper()
	args := []string{"schedule", "run", "--redis", url, "--poll", "10ms"}
	for _, f := range folders {
		args = append(args, "--files", f)
	}
	p := start(t, store, args...)
	p.Await("scheduler .* reads files below")
	return p
}

// ok runs a command that must succeed, and returns what it prints.
func ok(t *testing.T, store string, args ...string) string {
	t.Helper()
	out, stderr, code := call(t, store, args...)
	if code != 0 {
		t.Fatalf("%v: got %d, %s%s", args, code, out, stderr)
	}
	return out
}

// submitted waits until a scheduler tells of a run of a schedule, and returns its id.
func (p running) submitted(schedule string) string {
	p.t.Helper()
	line := p.Await(" " + schedule + ` \S+ SUBMITTED run \S+`)
	return line[strings.LastIndex(line, " ")+1:]
}

// What comes into a folder is submitted with the flags of the schedule, once, by one of two schedulers, and workers run it.
func TestWatchedFolder(t *testing.T) {
	t.Parallel()
	url, store, inbox := needs.Redis(t).URL(), t.TempDir(), t.TempDir()
	worker(t, url, store, "", nil)
	out := ok(t, store, "schedule", "add", "inbox", "--redis", url, "--watch", inbox, "--match", "*.csv", "--every", "10ms", "--settle", "1h", "--target", "churned", "--models", "decision_tree",
		"--set", "models.decision_tree.max_depth=2", "--tag", "source=inbox", "--name", "day {date}")
	if !strings.Contains(out, "schedule inbox submits what is new in "+inbox+": *.csv") {
		t.Errorf("add: got %s", out)
	}
	p := scheduler(t, store, url, filepath.Dir(inbox))
	scheduler(t, store, url, inbox).Kill()
	file := customerFile(t, 200)
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(-time.Minute)); err != nil { // a file that is moved at once looks like one being written
		t.Fatal(err)
	}
	if err := os.Rename(file, filepath.Join(inbox, "churn.csv")); err != nil {
		t.Fatal(err)
	}
	id := p.submitted("inbox")
	ok(t, store, "events", id, "--redis", url, "--follow")
	var d struct {
		Status string
		Name   string
		Tags   map[string]string
		Input  struct{ Name string }
		Models []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(ok(t, store, "show", id, "--json")), &d); err != nil {
		t.Fatal(err)
	}
	if d.Status != pipeline.Succeeded || d.Input.Name != "churn.csv" || len(d.Models) != 1 || d.Tags["source"] != "inbox" || d.Tags["schedule"] != "inbox" || d.Name != "day "+time.Now().UTC().Format("2006-01-02") {
		t.Errorf("got %+v", d)
	}
	show := ok(t, store, "schedule", "show", "inbox", "--redis", url)
	for _, want := range []string{"flag +--target=churned", "watch +SUBMITTED +" + id, "state +active"} {
		if !matches(want, show) {
			t.Errorf("show lacks %q: %s", want, show)
		}
	}
	p.Signal(os.Interrupt)
	if got := p.Wait(); got != 0 {
		t.Errorf("got exit code %d: %s", got, p.Err)
	}
	if runs := ok(t, store, "runs"); strings.Count(runs, "churn.csv") != 1 {
		t.Errorf("got %s", runs)
	}
}

// Ticks submit the file of their day; what is wrong with one is on record, and keeps no other from coming.
func TestCronAndBackfill(t *testing.T) {
	t.Parallel()
	url, store, dir := needs.Redis(t).URL(), t.TempDir(), t.TempDir()
	for _, day := range []string{"2026-03-28", "2026-03-29", "2026-03-30"} {
		if err := os.Rename(customerFile(t, 100), filepath.Join(dir, "churn-"+day+".csv")); err != nil {
			t.Fatal(err)
		}
	}
	spec := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(spec, []byte("target: churned\nmodels: {decision_tree: {}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, stderr, code := call(t, store, "schedule", "add", "daily", filepath.Join(dir, "churn-{date}.csv"), "--redis", url, "--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--pipeline", spec)
	if code != 0 || !matches(`schedule daily comes next at\n  \d{4}-\d\d-\d\d 0[23]:[30]0:00 CES?T\n`, out) || !strings.Contains(stderr, "cannot be read here") || !strings.Contains(stderr, "no scheduler of the store") {
		t.Errorf("add: got %d, %s%s", code, out, stderr)
	}
	if err := os.Remove(spec); err != nil { // it was kept with the schedule
		t.Fatal(err)
	}
	p := scheduler(t, store, url, dir)
	out = ok(t, store, "schedule", "backfill", "daily", "--from", "2026-03-28", "--to", "2026-03-31", "--redis", url)
	if out != "4 ticks will be submitted; 0 had a run already or waited for it\n" {
		t.Errorf("backfill: got %s", out)
	}
	p.Await(`daily 2026-03-28T01:30:00Z SUBMITTED run`)
	p.Await(`daily 2026-03-29T01:00:00Z SUBMITTED run`) // the clocks were changed
	p.Await(`daily 2026-03-30T00:30:00Z SUBMITTED run`)
	p.Await(`daily 2026-03-31T00:30:00Z FAILED there is no such file`)
	if out = ok(t, store, "schedule", "backfill", "daily", "--from", "2026-03-28", "--to", "2026-03-31T23:00", "--redis", url); !strings.HasPrefix(out, "0 ticks will be submitted; 4 had") {
		t.Errorf("backfill again: got %s", out)
	}
	ok(t, store, "schedule", "add", "elsewhere", customerFile(t, 50), "--redis", url, "--cron", "@yearly", "--target", "churned", "--replace")
	ok(t, store, "schedule", "tick", "elsewhere", "--redis", url)
	p.Await(`elsewhere manual:\S+ FAILED /.*churn.csv lies below none of the folders`)

	ok(t, store, "schedule", "add", "often", "--redis", url, "--cron", "@every 1s", "--models", "decision_tree")
	p.submitted("often")
	if out = ok(t, store, "schedule", "pause", "often", "daily", "--redis", url); out != "often is paused\ndaily is paused\n" {
		t.Errorf("pause: got %s", out)
	}
	if out = ok(t, store, "schedule", "list", "--redis", url); !matches(`(?m)^often +paused +@every 1s +\d+ *$`, out) || !matches(`(?m)^elsewhere +active +@yearly +\d{4}-01-01 00:00:00 UTC`, out) {
		t.Errorf("list: got %s", out)
	}
	ok(t, store, "schedule", "resume", "often", "--redis", url)
	ok(t, store, "schedule", "remove", "often", "elsewhere", "--redis", url)
	var list struct {
		Schedules  []scheduleRow
		Schedulers []tasks.SchedulerInfo
	}
	if err := json.Unmarshal([]byte(ok(t, store, "schedule", "list", "--json", "--redis", url)), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Schedules) != 1 || len(list.Schedulers) != 1 || list.Schedules[0].State != "paused" || list.Schedules[0].NextAt != nil || list.Schedules[0].GraceS != 60 {
		t.Errorf("got %+v", list)
	}
	var complete, complaints bytes.Buffer
	if code := run([]string{"__complete", "schedule", "show", "--store", store, "--redis", url, ""}, strings.NewReader(""), &complete, &complaints); code != 0 || !strings.HasPrefix(complete.String(), "daily\n") {
		t.Errorf("completion: got %d, %s%s", code, &complete, &complaints)
	}
}

func TestScheduleUsage(t *testing.T) {
	t.Parallel()
	url, store, churn := needs.Redis(t).URL(), t.TempDir(), customerFile(t, 50)
	for _, c := range []struct {
		args string
		want string
	}{
		{"nope", `there is no command "nope"`},
		{"list x", "unknown command|accepts 0 arg"},
		{"add", "accepts between 1 and 2 arg"},
		{"add x", "schedule x: want either a cron expression or a path to watch"},
		{"add X --cron @daily", `"X" is no name for a schedule`},
		{"add x --cron daily", `schedule x: cron expression "daily": .*\n +want "minute hour day month weekday"`},
		{"add x --cron @daily --zone Berlin", `there is no time zone "Berlin"`},
		{"add x --cron @daily --missed never", `no policy "never"`},
		{"add x --cron @daily --match *.csv", "--match goes with --watch"},
		{"add x --watch . --grace 1h", "--grace goes with --cron"},
		{"add x FILE --watch .", "takes no FILE"},
		{"add x - --cron @daily", "takes no standard input"},
		{"add x FILE --cron @daily", "there is no target; the columns are"},
		{"add x FILE --cron @daily --target churnd", `no column .*churnd`},
		{"add x FILE --cron @daily --target churned --tag a", `--tag "a" is no KEY=VALUE`},
		{"add x FILE --cron @daily --target churned --tag a={dat}", `braces around something else`},
		{"add x FILE --cron @daily --target churned --set models.x=1", `--set models.x=1`},
		{"add x --watch . --split sometimes", `--split "sometimes"`},
		{"add x --watch . --pipeline nope.yaml", `nope.yaml: the pipeline file cannot be read`},
		{"show x", `there is no schedule "x"\n +.producer schedule list. lists them`},
		{"pause x", `there is no schedule "x"`},
		{"tick x", `there is no schedule "x"`},
		{"backfill x --from 2026-01-01 --to 2026-01-02", `there is no schedule "x"`},
		{"backfill x --from 2026-01-01", `needs --from and --to`},
		{"backfill there --from 2026-01-01 --to yesterday", `--to "yesterday" is no time`},
		{"backfill there --from 2026-01-02 --to 2026-01-01", `schedule there has no ticks from`},
		{"add there --cron @daily", `there is a schedule there already`},
		{"run --poll -1s", `--poll is -1s`},
		{"run --files /nonexistent", `--files: there is no folder /nonexistent that can be read\n +make it`},
		{"run --files FILE", `--files: there is no folder .*csv`},
	} {
		if c.args == "backfill there --from 2026-01-01 --to yesterday" {
			ok(t, store, "schedule", "add", "there", "--cron", "@hourly", "--redis", url)
		}
		args := append([]string{"schedule"}, strings.Fields(strings.ReplaceAll(c.args, "FILE", churn))...)
		_, stderr, code := call(t, store, append(args, "--redis", url)...)
		if code != 2 || !matches(c.want, stderr) {
			t.Errorf("%s: got %d, %s", c.args, code, stderr)
		}
	}
	if _, stderr, code := call(t, store, "schedule", "list"); code != 2 || !strings.Contains(stderr, "schedule needs --redis") {
		t.Errorf("without Redis: got %d, %s", code, stderr)
	}
	if out, _, code := call(t, store, "schedule"); code != 0 || !strings.Contains(out, "backfill") {
		t.Errorf("schedule alone: got %d, %s", code, out)
	}
}

func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }
