package tasks

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

// clockKey is where the processes of TestKilledSchedulers find the time.
const clockKey = "test:clock"

// TestSchedulerProcess is no test but a scheduler in a process of its own, for TestKilledSchedulers.
func TestSchedulerProcess(t *testing.T) {
	url := os.Getenv("HASHLINE_TEST_SCHEDULER")
	if url == "" {
		return
	}
	ctx := context.Background()
	conn, err := Dial(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	store, err := artifact.Open(ctx, os.Getenv("HASHLINE_TEST_STORE"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(Config{Conn: conn, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewScheduler(client, SchedulerOptions{Poll: time.Millisecond, Clock: func(ctx context.Context) (time.Time, error) {
		text, err := conn.redis.Get(ctx, clockKey).Result()
		return micros(text), err
	}, Submit: func(ctx context.Context, tick Tick) (Request, error) {
		_ = pause(ctx, time.Duration(rand.IntN(20))*time.Millisecond) // a moment in which it can be killed
		return helloPlan(ctx, tick)
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.lease = 300 * time.Millisecond
	t.Fatal(s.Run(ctx))
}

func (b *bench) schedulerProcess() *exec.Cmd {
	b.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestSchedulerProcess$", "-test.timeout", "10m")
	cmd.Env = append(os.Environ(), "HASHLINE_TEST_SCHEDULER="+b.url, "HASHLINE_TEST_STORE="+b.store.Location())
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// Schedulers are killed again and again, wherever they are, while minutes fly by and files come in. Each tick and each
// content has one run.
func TestKilledSchedulers(t *testing.T) {
	t.Parallel()
	b := newBench(t, needs.Redis(t).URL())
	ctx := context.Background()
	clock := newTestClock(t, time.Now().UTC().Truncate(time.Hour).Format(time.RFC3339))
	begin := clock.time()
	tell := func() {
		if err := b.conn.redis.Set(ctx, clockKey, clock.micros.Load(), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	tell()
	s, dir := b.schedules(clock), t.TempDir()
	b.add(s, Schedule{Name: "cron", Cron: "* * * * *", Missed: MissedAll, MissedLimit: 1000})
	b.add(s, Schedule{Name: "watch", Watch: &Watch{Path: dir, Every: time.Millisecond}})
	f := &folder{bench: b, dir: dir}
	processes := []*exec.Cmd{b.schedulerProcess(), b.schedulerProcess(), b.schedulerProcess()}
	r := rand.New(rand.NewPCG(5, 6))
	const minutes, perKill = 120, 4
	contents := map[string]bool{}
	for i := range minutes {
		clock.add(time.Minute)
		tell()
		text := artifact.DigestOf([]byte{byte(i / 2)}).String() // each twice
		contents[artifact.DigestOf([]byte(text)).String()] = true
		f.moveIn(filepath.Base(text)[7:20]+string(rune('a'+i%2)), text)
		if i%perKill != perKill-1 {
			continue
		}
		until(t, func() bool { // somebody is alive and at work
			list, err := s.Ticks(ctx, "cron", 0)
			return err == nil && statuses(list)[TickSubmitted] > i/2
		})
		victim := r.IntN(len(processes))
		if err := processes[victim].Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = processes[victim].Wait()
		processes[victim] = b.schedulerProcess()
	}
	for name, want := range map[string]int{"cron": minutes, "watch": len(contents)} {
		until(t, func() bool {
			list, err := s.Ticks(ctx, name, 0)
			return err == nil && statuses(list)[TickSubmitted] >= want
		})
	}
	b.settled(s, "cron")
	runs := b.started()
	for i := 1; i <= minutes; i++ {
		contents[tickKey(begin.Add(time.Duration(i)*time.Minute))] = true
	}
	for key := range contents {
		if len(runs[key]) != 1 {
			t.Errorf("%s has %d runs", key, len(runs[key]))
			continue
		}
		if record, err := b.client.Record(ctx, runs[key][0].RunID); err != nil || record.Status != pipeline.Running {
			t.Errorf("%s: %+v, %v", key, record, err)
		}
	}
	if len(runs) != len(contents) {
		t.Errorf("%d ticks and contents, want %d", len(runs), len(contents))
	}
}
