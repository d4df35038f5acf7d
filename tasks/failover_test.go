package tasks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

// load submits runs while something happens to Redis. A run counts as acknowledged when Submit said so.
type load struct {
	*bench
	mu           sync.Mutex
	acknowledged []string
	refused      int
	silence      time.Duration // the longest time without an acknowledgement
	last         time.Time
	stop         chan struct{}
	over         sync.Once
	running      sync.WaitGroup
}

// load submits from several goroutines, each one run after the other.
func (b *bench) load() *load {
	l := &load{bench: b, stop: make(chan struct{}), last: time.Now()}
	for range 3 {
		l.running.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
					l.submitOne()
				}
			}
		})
	}
	b.t.Cleanup(l.end)
	return l
}

func (l *load) submitOne() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	id := artifact.NewRunID(time.Now())
	_, err := l.client.Submit(ctx, Request{RunID: id, Plan: unlike(id)})
	l.mu.Lock()
	if err == nil {
		l.acknowledged = append(l.acknowledged, id)
		l.silence = max(l.silence, time.Since(l.last))
		l.last = time.Now()
	} else {
		l.refused++
	}
	l.mu.Unlock()
	_ = pause(ctx, 20*time.Millisecond) // a load, not a flood
}

// unlike is a plan that no cache knows.
func unlike(id string) *pipeline.Plan {
	return plan(stage("a", "text", textParams{id}), stage("b", "text", textParams{"b"}, "a"), stage("c", "text", textParams{"c"}, "a"), stage("d", "text", textParams{"d"}, "b", "c"))
}

// more waits until so many further runs are acknowledged.
func (l *load) more(n int) {
	l.t.Helper()
	want := l.count() + n
	until(l.t, func() bool { return l.count() >= want })
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

func (l *load) end() {
	l.over.Do(func() { close(l.stop) })
	l.running.Wait()
}

// allEndRight ends the load and checks every run that was acknowledged: it is over, and every stage of it is right.
func (l *load) allEndRight() {
	l.t.Helper()
	l.end()
	ended := time.Now()
	for _, id := range l.acknowledged {
		r := l.recorded(id)
		if r.Status != pipeline.Succeeded {
			l.t.Errorf("run %s: status %s, error %+v", id, r.Status, r.Error)
			continue
		}
		if got, want := l.output(r, "d"), fmt.Sprintf("d(b(%s))(c(%s))", id, id); got != want {
			l.t.Errorf("run %s: %q, want %q", id, got, want)
		}
	}
	l.t.Logf("%d runs acknowledged, %d refused, at most %v without an acknowledgement; all over %v after the last", len(l.acknowledged), l.refused, l.silence.Round(time.Millisecond), time.Since(ended).Round(time.Millisecond))
}

// recorded waits for the record in the store, which no failover takes away.
func (l *load) recorded(id string) *pipeline.RunRecord {
	l.t.Helper()
	var b []byte
	deadline := time.Now().Add(patience)
	for {
		var err error
		if b, err = l.store.Run(context.Background(), id, pipeline.RecordDocument); err == nil {
			break
		}
		if time.Now().After(deadline) {
			s, err := l.client.load(context.Background(), id)
			l.t.Fatalf("run %s is not over within %v: %+v, %v", id, patience, s, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	r, err := pipeline.ParseRecord(b)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// The master that Sentinels watch dies or hangs under load. What was acknowledged is not lost, and every run ends right.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ away, back func(s *needs.Server) }{
		"dies":  {(*needs.Server).Kill, (*needs.Server).Restart},
		"hangs": {(*needs.Server).Stop, (*needs.Server).Continue},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := needs.RedisSentinel(t)
			b := newBench(t, s.URL())
			b.worker(WorkerOptions{Concurrency: 2})
			b.worker(WorkerOptions{Concurrency: 2})
			l := b.load()
			l.more(30)
			old := s.Servers[0]
			c.away(old)
			l.more(30)
			if now := s.Master(); now == nil || now == old {
				t.Error("no replica has taken the place of the master")
			}
			c.back(old) // it becomes a replica
			old.Await([]string{"role:slave"}, "INFO", "replication")
			l.more(30)
			l.allEndRight()
		})
	}
}

// One of three masters of a Cluster dies under load, with the queue or with the runs on it.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	c := needs.RedisCluster(t)
	b := newBench(t, c.URL())
	b.worker(WorkerOptions{Concurrency: 2})
	b.worker(WorkerOptions{Concurrency: 2})
	l := b.load()
	l.more(30)
	dead := b.serverOf(c, "asynq:{"+b.client.queue+"}:pending")
	dead.Kill()
	l.more(60)
	if slices.Contains(c.Masters(), dead) {
		t.Fatal("the master is still there")
	}
	dead.Restart()
	l.more(30)
	l.allEndRight()
}

// serverOf returns the master that has a key.
func (b *bench) serverOf(c *needs.Cluster, key string) *needs.Server {
	b.t.Helper()
	master, err := b.conn.master(context.Background(), key)
	if err != nil {
		b.t.Fatal(err)
	}
	i := slices.IndexFunc(c.Servers, func(s *needs.Server) bool { return s.Addr == master.Options().Addr })
	if i < 0 {
		b.t.Fatal("no server has the key ", key)
	}
	return c.Servers[i]
}

// outageOf is how long Redis is away; HASHLINE_TEST_OUTAGE=30s tries what people fear.
func outageOf(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(os.Getenv("HASHLINE_TEST_OUTAGE"))
	if err != nil {
		return 2 * time.Second
	}
	return d
}

// Redis is away for a while: it hangs, or dies and comes back from its log. Runs are delayed, none is lost.
func TestRedisIsAwayUnderLoad(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ away, back func(s *needs.Server) }{
		"hangs": {(*needs.Server).Stop, (*needs.Server).Continue},
		"dies":  {(*needs.Server).Kill, (*needs.Server).Restart},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := needs.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
			b := newBench(t, s.URL())
			b.worker(WorkerOptions{Concurrency: 2})
			b.worker(WorkerOptions{Concurrency: 2})
			l := b.load()
			l.more(20)
			dir := t.TempDir()
			long := b.submit(plan(stage("a", "gate", gateParams{Text: "a", Started: dir + "/started", Open: dir + "/open"}), stage("b", "text", textParams{"b"}, "a")))
			waitForPrefix(t, dir+"/started", 1)
			c.away(s)
			if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil { // it ends while Redis is away
				t.Fatal(err)
			}
			time.Sleep(outageOf(t)) // the outage itself: nothing tells of its end
			c.back(s)
			l.more(20)
			if r := l.recorded(long); r.Status != pipeline.Succeeded || r.Stages[0].Attempts != 1 {
				t.Errorf("the stage that ended meanwhile: status %s, %d attempts", r.Status, r.Stages[0].Attempts)
			}
			l.allEndRight()
			if outageOf(t) >= 30*time.Second {
				b.isAcknowledgedInTheEnd(long)
			}
		})
	}
}

// isAcknowledgedInTheEnd waits for asynq to deliver again what it could not acknowledge while Redis was away, which it does
// after a minute or two, and checks that nothing is computed again for it.
func (b *bench) isAcknowledgedInTheEnd(id string) {
	b.t.Helper()
	i := asynq.NewInspector(b.conn.AsynqOptions())
	defer i.Close()
	from, deadline := time.Now(), time.Now().Add(5*time.Minute)
	for first := true; ; first = false {
		info, err := i.GetQueueInfo(b.client.queue)
		if err != nil {
			b.t.Fatal(err)
		}
		if first {
			b.t.Logf("%d tasks are active though every run is over", info.Active)
		}
		if info.Active+info.Pending+info.Retry+info.Scheduled+info.Archived == 0 {
			break
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("queue %+v", info)
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Logf("asynq's queue is empty after %v", time.Since(from).Round(time.Second))
	r, events := b.wait(id)
	if count(events, pipeline.StepStart) != len(r.Stages) {
		b.t.Errorf("a stage started twice: %+v", events)
	}
}

// The connections to Redis are cut at random, in the middle of commands and answers.
func TestConnectionsAreCut(t *testing.T) {
	t.Parallel()
	proxy := needs.NewProxy(t, needs.Redis(t).Addr)
	b := newBench(t, "redis://"+proxy.Addr)
	b.worker(WorkerOptions{Concurrency: 2})
	b.worker(WorkerOptions{Concurrency: 2})
	l := b.load()
	cuts, random := 0, rand.New(rand.NewPCG(1, 2))
	for range 40 {
		l.more(2)
		cuts += proxy.Cut(func() bool { return random.IntN(3) == 0 })
	}
	if cuts < 40 {
		t.Errorf("only %d connections were cut", cuts)
	}
	l.allEndRight()
	t.Logf("%d connections were cut", cuts)
}

// Redis goes away the moment a stage is claimed. That fails no stage: it starts when Redis is back.
func TestRedisIsAwayAfterAClaim(t *testing.T) {
	t.Parallel()
	b := newBench(t, needs.Redis(t).URL())
	away := &awayAfter{script: claimScript.Hash(), d: 300 * time.Millisecond}
	b.conn.redis.AddHook(away)
	b.worker(WorkerOptions{Concurrency: 1})
	for range 2 { // the first time the server does not know the script by its digest yet
		r, _ := b.wait(b.submit(plan(stage("a", "text", textParams{"a"}), stage("b", "text", textParams{"b"}, "a"))))
		if r.Status != pipeline.Succeeded {
			t.Fatalf("status %s, error %+v", r.Status, r.Error)
		}
	}
	if !away.happened() {
		t.Error("Redis was never away")
	}
}

// awayAfter fails every command for a while after a script.
type awayAfter struct {
	script string
	d      time.Duration
	mu     sync.Mutex
	until  time.Time
	failed bool
}

func (a *awayAfter) happened() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

func (a *awayAfter) now() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Now().Before(a.until) {
		a.failed = true
		return net.ErrClosed
	}
	return nil
}

func (a *awayAfter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a *awayAfter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := a.now(); err != nil {
			for _, c := range cmds {
				c.SetErr(err)
			}
			return err
		}
		return next(ctx, cmds)
	}
}

func (a *awayAfter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := a.now(); err != nil {
			cmd.SetErr(err)
			return err
		}
		err := next(ctx, cmd)
		if args := cmd.Args(); err == nil && len(args) > 1 && args[1] == a.script {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.until = time.Now().Add(a.d)
		}
		return err
	}
}
