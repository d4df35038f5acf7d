package tasks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// folder is a watched folder and the schedulers that look at it. Time stands still for files that settle until let.
type folder struct {
	*bench
	dir     string
	s       *Schedules
	clock   *testClock
	settled atomic.Int64 // by how much the time of files is ahead
	looked  atomic.Int64 // how often somebody has looked at the folder
}

const settle = time.Hour

func watchFolder(t *testing.T, b *bench, schedulers int, w Watch) *folder {
	t.Helper()
	f := &folder{bench: b, dir: t.TempDir(), clock: newTestClock(t, time.Now().UTC().Format(time.RFC3339))}
	f.s = b.schedules(f.clock)
	w.Path, w.Every, w.Settle = filepath.Join(f.dir, w.Path), time.Nanosecond, settle
	b.add(f.s, Schedule{Name: "new", Watch: &w})
	for range schedulers {
		f.scheduler()
	}
	return f
}

func (f *folder) scheduler() (stop func()) {
	_, stop = f.bench.scheduler(f.clock, SchedulerOptions{}, func(s *Scheduler) {
		s.now = func() time.Time { return time.Now().Add(time.Duration(f.settled.Load())) }
		s.looked = func() { f.looked.Add(1) }
	})
	return stop
}

// looks waits until somebody has looked at the folder from beginning to end, twice: the first look may have begun before.
func (f *folder) looks() {
	f.t.Helper()
	start := f.looked.Load()
	until(f.t, func() bool { return f.looked.Load() >= start+2 })
}

// let makes the time pass that files need to settle.
func (f *folder) let() {
	f.looks() // what was written is seen
	f.settled.Add(int64(2 * settle))
	f.looks()
}

func (f *folder) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// moveIn writes a file elsewhere and renames it into the folder.
func (f *folder) moveIn(name, text string) {
	f.t.Helper()
	temp := filepath.Join(f.t.TempDir(), "x")
	err := os.WriteFile(temp, []byte(text), 0o600)
	if err == nil { // the clock of a file system is coarse
		err = os.Chtimes(temp, time.Time{}, time.Now().Add(-time.Minute))
	}
	if err == nil {
		err = os.Rename(temp, filepath.Join(f.dir, name))
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// runs holds what was submitted to the names of files, sorted.
func (f *folder) runs(want ...string) {
	f.t.Helper()
	f.bench.settled(f.s, "new")
	n := 0
	for key, runs := range f.started() {
		n += len(runs)
		for _, r := range runs {
			if r.Tags["cause"] != CauseWatch || len(runs) != 1 {
				f.t.Errorf("%s: %d runs, tags %v", key, len(runs), r.Tags)
			}
		}
	}
	var got []string
	list, err := f.s.Ticks(context.Background(), "new", 0)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := len(list) - 1; i >= 0; i-- {
		r := list[i]
		if r.Status != TickSubmitted {
			f.t.Errorf("%+v", r)
		}
		got = append(got, filepath.Base(r.Path))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || n != len(want) {
		f.t.Fatalf("submitted %v, %d runs, want %v", got, n, want)
	}
}

func TestEachNewContentOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *bench) {
		f := watchFolder(t, b, 3, Watch{Match: "*.csv"})
		f.looks()
		f.runs()

		f.write("a.csv", "one")
		f.looks()
		f.runs() // not yet settled
		f.let()
		f.runs("a.csv")

		if err := os.Rename(filepath.Join(f.dir, "a.csv"), filepath.Join(f.dir, "b.csv")); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(f.dir, "b.csv"), time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
		f.write("copy.csv", "one")
		f.write("notes.txt", "no table")
		f.write(".hidden.csv", "hidden")
		f.write("empty.csv", "")
		if err := os.Mkdir(filepath.Join(f.dir, "folder.csv"), 0o700); err != nil {
			t.Fatal(err)
		}
		f.let()
		f.runs("a.csv") // renamed, touched, copied: nothing new

		f.write("copy.csv", "two")
		f.let()
		f.runs("a.csv", "copy.csv")
		f.write("copy.csv", "one") // what it was before
		f.let()
		f.runs("a.csv", "copy.csv")
		f.write("empty.csv", "not any more")
		f.let()
		f.runs("a.csv", "copy.csv", "empty.csv")
	})
}

// A file that is being written does not count, however long that takes; one that is moved into place counts at once.
func TestOnlyCompleteFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	f := watchFolder(t, b, 2, Watch{})
	w, err := os.Create(filepath.Join(f.dir, "slow.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i := range 20 {
		fmt.Fprintln(w, "line", i)
		f.looks()
		f.settled.Add(int64(settle - time.Second)) // almost
	}
	f.write("download.csv.part", "half of it")
	f.runs()
	f.moveIn("moved.csv", "complete")
	f.looks()
	f.runs("moved.csv")
	f.moveIn("moved.csv", "replaced")
	f.looks()
	f.runs("moved.csv", "moved.csv")
	f.let()
	f.runs("moved.csv", "moved.csv", "slow.csv")
	list, err := f.s.Ticks(context.Background(), "new", 1)
	if err != nil {
		t.Fatal(err)
	}
	tick := list[0]
	if tick.Path != w.Name() || tick.Key == "" {
		t.Errorf("got %+v", tick)
	}
	if err := os.Rename(filepath.Join(f.dir, "download.csv.part"), filepath.Join(f.dir, "download.csv")); err != nil {
		t.Fatal(err)
	}
	f.let()
	f.runs("moved.csv", "moved.csv", "slow.csv", "download.csv")
}

// A tick has the content that was seen, whatever becomes of the file.
func TestContentStays(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	f := watchFolder(t, b, 0, Watch{Path: "data.csv"})
	if err := f.s.Pause(context.Background(), "new"); err != nil {
		t.Fatal(err)
	}
	f.scheduler()
	f.moveIn("data.csv", "first")
	if err := f.s.Resume(context.Background(), "new"); err != nil { // and what came meanwhile counts
		t.Fatal(err)
	}
	f.runsOfFile("first")
	f.moveIn("data.csv", "second")
	f.runsOfFile("first", "second")
	if err := os.Remove(filepath.Join(f.dir, "data.csv")); err != nil {
		t.Fatal(err)
	}
	f.looks()
	f.moveIn("data.csv", "first")
	f.looks()
	f.moveIn("data.csv", "third")
	f.runsOfFile("first", "second", "third")
}

// runsOfFile waits for the contents to be submitted.
func (f *folder) runsOfFile(contents ...string) {
	f.t.Helper()
	var list []TickRecord
	until(f.t, func() bool {
		var err error
		list, err = f.s.Ticks(context.Background(), "new", 0)
		return err == nil && statuses(list)[TickSubmitted] >= len(contents)
	})
	for i, want := range contents {
		if got := list[len(list)-1-i]; got.Key != digestText(want) {
			f.t.Errorf("content %d is %s, want that of %q", i, got.Key, want)
		}
	}
	if len(list) != len(contents) {
		f.t.Errorf("%d ticks, want %d", len(list), len(contents))
	}
}

// Many files, and schedulers that come and go.
func TestManyFilesAndSchedulers(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *bench) {
		f := watchFolder(t, b, 0, Watch{})
		var stops []func()
		for range 3 {
			stops = append(stops, f.scheduler())
		}
		const files = 60
		var want int
		for i := range files {
			f.moveIn(fmt.Sprintf("%d.csv", i), fmt.Sprintf("content %d", i*2/3)) // some twice
			if i%10 == 9 {
				stops[i/10%3]()
				stops[i/10%3] = f.scheduler()
			}
			want = i*2/3 + 1
		}
		until(t, func() bool {
			list, err := f.s.Ticks(context.Background(), "new", 0)
			return err == nil && statuses(list)[TickSubmitted] == want
		})
		f.looks()
		f.bench.settled(f.s, "new")
		n := 0
		for _, runs := range f.started() {
			n += len(runs)
		}
		if n != want {
			t.Errorf("%d runs, want %d", n, want)
		}
	})
}

func TestOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	f := &folder{bench: b, dir: t.TempDir(), clock: newTestClock(t, time.Now().UTC().Add(time.Hour).Format(time.RFC3339))}
	f.s = b.schedules(f.clock) // the schedule is an hour younger than these
	f.moveIn("old.csv", "old")
	b.add(f.s, Schedule{Name: "new", Watch: &Watch{Path: f.dir, Every: time.Nanosecond, Settle: settle, NewOnly: true}})
	f.scheduler()
	f.looks()
	if err := os.Chtimes(filepath.Join(f.dir, "old.csv"), time.Now(), time.Now().Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	f.write("young.csv", "young")
	if err := os.Chtimes(filepath.Join(f.dir, "young.csv"), time.Now(), time.Now().Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	f.let()
	f.runs("young.csv")
}

// Who cannot see the path says so, and leaves it to who can.
func TestPathThatIsNotThere(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	f := watchFolder(t, b, 2, Watch{Path: "later", Match: "*"})
	until(t, func() bool {
		state, err := f.s.Get(context.Background(), "new")
		return err == nil && state.Problem != ""
	})
	if err := os.Mkdir(filepath.Join(f.dir, "later"), 0o700); err != nil {
		t.Fatal(err)
	}
	f.moveIn("later/a.csv", "a")
	f.runsOfFile("a")
	state, err := f.s.Get(context.Background(), "new")
	if err != nil || state.Problem != "" {
		t.Errorf("got %+v, %v", state, err)
	}
	if _, err := f.s.Trigger(context.Background(), "new"); err == nil || pipeline.AsError(err).Class != pipeline.ClassUsage {
		t.Errorf("trigger: %v", err)
	}
}

// A scheduler that may not read a path says so, and one that may is not kept from it.
func TestPathThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	f := watchFolder(t, b, 0, Watch{})
	_, stop := b.scheduler(f.clock, SchedulerOptions{MayRead: func(path string) error { return errors.New("not " + filepath.Base(path)) }})
	f.moveIn("a.csv", "a")
	until(t, func() bool {
		state, err := f.s.Get(context.Background(), "new")
		return err == nil && strings.HasSuffix(state.Problem, ": not "+filepath.Base(f.dir))
	})
	stop()
	f.runs()
	f.scheduler()
	f.runsOfFile("a")
}

// A file may be written again while it is read: nothing of the mixture is submitted.
func TestFileThatChangesWhileItIsRead(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	f := watchFolder(t, b, 0, Watch{})
	s, err := NewScheduler(b.client, SchedulerOptions{Submit: helloPlan, Clock: f.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	p := s.schedules["new"]
	name := filepath.Join(f.dir, "a.csv")
	f.write("a.csv", "first")
	look := func() {
		t.Helper()
		if err := s.lookAtFile(context.Background(), p, name); err != nil {
			t.Fatal(err)
		}
	}
	p.sensor.known = map[string]string{}
	look()
	p.sensor.files[name].since = time.Now().Add(-2 * settle)
	seen := *p.sensor.files[name]
	f.write("a.csv", "other") // the same size
	if ref, err := s.read(context.Background(), name, &seen); err != nil || ref != nil {
		t.Errorf("read %v, %v", ref, err)
	}
	look()
	f.runs()
}

func digestText(text string) string { return artifact.DigestOf([]byte(text)).String() }
