package tasks

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

// workerProcess is this test binary as a worker that can be killed.
func workerProcess() {
	ctx := context.Background()
	conn, err := Dial(ctx, os.Getenv("HASHLINE_TEST_WORKER"))
	if err != nil {
		panic(err)
	}
	store, err := artifact.Open(ctx, os.Getenv("HASHLINE_TEST_STORE"))
	if err != nil {
		panic(err)
	}
	registry, err := pipeline.NewRegistry(nil, toyKinds()...)
	if err != nil {
		panic(err)
	}
	w, err := NewWorker(Config{Conn: conn, Store: store, Registry: registry}, WorkerOptions{Concurrency: 2})
	if err != nil {
		panic(err)
	}
	panic(w.Run(ctx))
}

func (b *bench) process() *exec.Cmd {
	b.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HASHLINE_TEST_WORKER="+b.url, "HASHLINE_TEST_STORE="+b.store.Location())
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

func TestKilledWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t, needs.Redis(t).URL())
	dir := t.TempDir()
	id := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/started", Open: dir + "/open"}), stage("b", "text", textParams{"b"}, "a")))
	victim := b.process()
	waitForPrefix(t, dir+"/started", 1)
	b.worker(WorkerOptions{Concurrency: 1})
	killed := time.Now()
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, events := b.wait(id)
	t.Logf("%v from the kill to the end of the run", time.Since(killed))
	if r.Status != pipeline.Succeeded || count(events, pipeline.WorkerLost) != 1 {
		t.Errorf("status %s, events %+v", r.Status, events)
	}
	if s, _ := r.Stage("a"); s.Attempts != 2 {
		t.Errorf("%d attempts, want 2", s.Attempts)
	}
}

func TestStageThatKillsItsWorkerFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, needs.Redis(t).URL())
	id := b.submit(plan(stage("a", "boom", textParams{"exit"}), stage("b", "text", textParams{"b"})))
	done := make(chan struct{})
	var respawn sync.WaitGroup
	respawn.Go(func() { // a supervisor, as Kubernetes is one
		for {
			cmd := b.process()
			exited := make(chan struct{})
			go func() {
				_ = cmd.Wait()
				close(exited)
			}()
			select {
			case <-exited:
			case <-done:
				_ = cmd.Process.Kill()
				<-exited
				return
			}
		}
	})
	r, events := b.wait(id)
	close(done)
	respawn.Wait()
	if r.Status != pipeline.Failed || r.Error == nil || !strings.Contains(r.Error.Message, "lost its worker") {
		t.Fatalf("status %s, error %+v", r.Status, r.Error)
	}
	if s, _ := r.Stage("b"); s.Status != pipeline.Succeeded {
		t.Errorf("b is %s", s.Status)
	}
	if n := count(events, pipeline.WorkerLost); n < maxShared+maxAlone {
		t.Errorf("%d workers lost, want %d", n, maxShared+maxAlone)
	}
}

func TestReconcilerDrainsAndSettles(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	ctx := context.Background()
	p := diamond()
	text, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := b.store.PutBytes(ctx, text)
	if err != nil {
		t.Fatal(err)
	}
	// A submitter that died between creating the run and handing its first stage to the queue.
	r := Request{RunID: artifact.NewRunID(time.Now()), Plan: p}
	args, err := b.client.args(&r, ref, text)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.conn.redis.ZAdd(ctx, b.conn.key.activeRuns(), redis.Z{Member: r.RunID}, redis.Z{Member: "20200101-000000-orphan"}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := createScript.Run(ctx, b.conn.redis, b.client.keys(r.RunID).all(), args).Err(); err != nil {
		t.Fatal(err)
	}
	b.worker(WorkerOptions{Concurrency: 2})
	if r, _ := b.wait(r.RunID); r.Status != pipeline.Succeeded {
		t.Errorf("status %s", r.Status)
	}
	until(t, func() bool {
		n, err := b.conn.redis.ZCard(ctx, b.conn.key.activeRuns()).Result()
		return err == nil && n == 0
	})
}

// Redis dies while a stage runs and comes back from its log: the run goes on, and nobody is called lost.
func TestRedisRestarts(t *testing.T) {
	t.Parallel()
	server := needs.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	b := newBench(t, server.URL())
	w, _ := b.worker(WorkerOptions{Concurrency: 2})
	dir := t.TempDir()
	id := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/started", Open: dir + "/open"}), stage("b", "text", textParams{"b"}, "a")))
	waitForPrefix(t, dir+"/started", 1)
	server.Kill()
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.heartbeat(context.Background()) // fails, so that judging starts anew
	if w.mayJudge() {
		t.Error("the worker judges others though it cannot see them")
	}
	server.Restart()
	r, events := b.wait(id)
	if r.Status != pipeline.Succeeded || count(events, pipeline.WorkerLost) != 0 {
		t.Errorf("status %s, events %+v", r.Status, events)
	}
}

// A heartbeat that is gone tells its own worker that others may have lost theirs too.
func TestGapInHeartbeatsStartsJudgingAnew(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		w, err := NewWorker(b.config, WorkerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		beat := func() {
			t.Helper()
			if err := w.beat(ctx); err != nil {
				t.Fatal(err)
			}
		}
		beat()
		if w.mayJudge() {
			t.Error("it judges at once")
		}
		w.since = time.Now().Add(-heartbeatTTL)
		beat()
		if !w.mayJudge() {
			t.Error("it does not judge after a time to live without a gap")
		}
		if err := b.conn.redis.Del(ctx, b.conn.key.worker(w.ID())).Err(); err != nil {
			t.Fatal(err)
		}
		beat()
		if w.mayJudge() {
			t.Error("it judges after a gap")
		}
	})
}

// An attempt is handed over when its worker is gone, or has forgotten it; only the first is charged.
func TestCheckOwner(t *testing.T) {
	for name, c := range map[string]struct {
		alive   []WorkerInfo
		later   time.Duration
		judge   bool
		state   string
		crashes string
	}{
		"it lives":              {[]WorkerInfo{{ID: "w", Attempts: []string{"x"}}}, time.Hour, true, "a=RUNNING/1", ""},
		"nobody may judge":      {nil, time.Hour, false, "a=RUNNING/1", ""},
		"it is gone":            {[]WorkerInfo{{ID: "v"}}, 0, true, "a=READY/2", "1"},
		"it has forgotten":      {[]WorkerInfo{{ID: "w"}}, time.Hour, true, "a=READY/2", ""},
		"it did not beat since": {[]WorkerInfo{{ID: "w"}}, 0, true, "a=RUNNING/1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "")
			ctx := context.Background()
			m := &machine{t, b, b.submit(diamond())}
			m.claim("a", 1, "w")
			w, err := NewWorker(b.config, WorkerOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range c.alive {
				if len(i.Attempts) > 0 {
					i.Attempts[0] = taskID(m.run, "a", 1)
				}
			}
			r := &round{now: time.Now().Add(c.later), alive: c.alive, judge: c.judge}
			i := m.inspect()
			if err := w.reconcileStage(ctx, i, i.live()[0], r); err != nil {
				t.Fatal(err)
			}
			m.want(c.state)
			if s, err := b.client.load(ctx, m.run); err != nil || s.get("crash", "a") != c.crashes {
				t.Errorf("charged %q times, want %q; %v", s.get("crash", "a"), c.crashes, err)
			}
		})
	}
}

func TestDeadWorkersAreForgotten(t *testing.T) {
	b := newBench(t, "")
	ctx := context.Background()
	old, now := time.Now().Add(-time.Hour).UnixMilli(), time.Now().UnixMilli()
	for id, score := range map[string]int64{"dead": old, "clock behind": old, "just gone": now} {
		if err := b.conn.redis.ZAdd(ctx, b.conn.key.liveWorkers(), redis.Z{Score: float64(score), Member: id}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.client.forgetDead(ctx, []WorkerInfo{{ID: "clock behind"}}); err != nil {
		t.Fatal(err)
	}
	got, err := b.conn.redis.ZRange(ctx, b.conn.key.liveWorkers(), 0, -1).Result()
	if want := []string{"clock behind", "just gone"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, want %q; %v", got, want, err)
	}
}
