package tasks

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// Redis loses everything while a stage runs: whoever waits is told, and submitting again finds the work done.
func TestRedisIsEmptied(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		b.worker(WorkerOptions{Concurrency: 1})
		dir := t.TempDir()
		p := plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/started", Open: dir + "/open"}), stage("b", "text", textParams{"b"}, "a"))
		id := b.submit(p)
		waitForPrefix(t, dir+"/started", 1)
		b.forget()
		err := b.client.Watch(ctx, id, "", func(pipeline.Event) error { return nil })
		if e := pipeline.AsError(err); !errors.Is(err, ErrNoRun) || e.Class != pipeline.ClassUnreachable || !strings.Contains(e.Hint, "submit again") {
			t.Errorf("watching ends with %v, %+v", err, e)
		}
		if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r, _ := b.wait(b.submit(p))
		if r.Status != pipeline.Succeeded {
			t.Errorf("status %s", r.Status)
		}
		if a, _ := r.Stage("a"); a.Attempts != 1 {
			t.Errorf("%d attempts of a", a.Attempts)
		}
	})
}

// A run is over only when its record is stored. Who waits for one that cannot be is told, and may record it later.
func TestRecordCannotBeStored(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBench(t, "")
	dir := t.TempDir()
	id := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Open: dir + "/open"})))
	obstacle := filepath.Join(b.store.RunPath(id, pipeline.RecordDocument), "obstacle")
	if err := os.MkdirAll(obstacle, 0o755); err != nil {
		t.Fatal(err)
	}
	b.worker(WorkerOptions{Concurrency: 1})
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := b.client.Watch(ctx, id, "", func(pipeline.Event) error { return nil })
	if !errors.Is(err, artifact.ErrUnreachable) {
		t.Fatalf("watching ends with %v, want ErrUnreachable", err)
	}
	if err := os.RemoveAll(filepath.Dir(obstacle)); err != nil {
		t.Fatal(err)
	}
	if r, _ := b.wait(id); r.Status != pipeline.Succeeded {
		t.Errorf("status %s", r.Status)
	}
}

// A damaged record is never served: Redis is asked, and when it has forgotten the run, the damage is told.
func TestDamagedRecord(t *testing.T) {
	ctx := context.Background()
	b := newBench(t, "")
	b.worker(WorkerOptions{Concurrency: 1})
	id := b.submit(diamond())
	want, _ := b.wait(id)
	file := b.store.RunPath(id, pipeline.RecordDocument)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damaged := strings.Replace(string(text), `"name": "test"`, `"name": "tess"`, 1)
	if err := errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, []byte(damaged), 0o600)); err != nil {
		t.Fatal(err)
	}
	if r, err := b.client.Record(ctx, id); err != nil || r.Name != want.Name || r.ResultDigest != want.ResultDigest {
		t.Errorf("from Redis: %+v, %v", r, err)
	}
	b.forget()
	if r, err := b.client.Record(ctx, id); !errors.Is(err, artifact.ErrCorrupt) {
		t.Errorf("from the store: %+v, %v", r, err)
	}
}

// cut is a connection that fails in the first script, when it is told to.
type cut struct {
	reached, fail chan struct{}
	once          sync.Once
}

func (c *cut) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *cut) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c *cut) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) (err error) {
		if cmd.Name() == "evalsha" {
			c.once.Do(func() {
				close(c.reached)
				<-c.fail
				err = errors.New("the connection is cut")
			})
		}
		if err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

// While one drains the outbox of a run, another relies on it to look again, though the first look fails.
func TestDrainLooksAgainAfterAFailure(t *testing.T) {
	b := newBench(t, "")
	ctx := context.Background()
	id := b.submit(diamond())
	outbox := b.client.keys(id).name("outbox")
	if err := b.conn.redis.ZAdd(ctx, outbox, redis.Z{Member: entry{"a", 1}.member()}).Err(); err != nil {
		t.Fatal(err)
	}
	c := &cut{reached: make(chan struct{}), fail: make(chan struct{})}
	b.conn.redis.AddHook(c)
	first := make(chan error, 1)
	go func() { first <- b.client.handOut(ctx, b.client.queue, id, 0) }()
	<-c.reached
	if err := b.client.handOut(ctx, b.client.queue, id, 0); err != nil {
		t.Error(err)
	}
	close(c.fail)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if n, err := b.conn.redis.ZCard(ctx, outbox).Result(); err != nil || n != 0 {
		t.Errorf("%d left in the outbox, %v", n, err)
	}
}

// The clock of Redis was set back: nothing may wait until it has caught up.
func TestYoungerThan(t *testing.T) {
	now := time.UnixMicro(1_000_000_000)
	r := &round{now: now}
	for name, c := range map[string]struct {
		moment string
		want   bool
	}{"just now": {"999999999", true}, "long ago": {"990000000", false}, "in the future": {"1000000001", false}, "never": {"", false}} {
		if got := r.youngerThan(c.moment, time.Second); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Patience counts from the first failure, and each answer begins it anew.
func TestOutage(t *testing.T) {
	at := func(d time.Duration) time.Time { return time.UnixMicro(1).Add(d) }
	var o outage
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{time.Hour, false}, {time.Hour + watchPatience, false}, {time.Hour + watchPatience + 1, true}} {
		if got := o.lasts(at(c.after)); got != c.want {
			t.Errorf("after %v: %v, want %v", c.after, got, c.want)
		}
	}
	o = outage{}
	if o.lasts(at(2 * time.Hour)) {
		t.Error("it lasts at its first failure")
	}
}
