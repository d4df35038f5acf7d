package tasks

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/artifact/s3"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/internal/proxy"
	"github.com/hashline/hashline/pipeline"
)

// The crash test. As it stands each storm is a short one; `make storm` runs long ones and prints their figures. Workers kill
// themselves at the points of killPoints, in turn, and are sent SIGKILL, SIGSTOP and SIGTERM at any moment; whoever ends is
// replaced. Every run must end right, each stage committed once, all with one result digest.
var (
	stormRuns     = flag.Int("storm.runs", 6, "runs of each storm at least")
	stormKills    = flag.Int("storm.kills", 4, "workers that each storm kills at least")
	stormOutages  = flag.Int("storm.outages", 1, "times that a storm ends Redis, or cuts its connections, at least")
	stormSlots    = flag.Int("storm.slots", 2, "stages that a worker of a storm runs at a time")
	stormMillis   = flag.Int("storm.millis", 250, "how long a stage of a storm lasts")
	stormInFlight = flag.Int("storm.inflight", 6, "runs of a storm at a time")
	stormSeed     = flag.Uint64("storm.seed", 0, "of what happens when; 0: made up")
	stormLog      = flag.String("storm.log", "", "`folder` for the logs of the workers")
)

// storm is a number of runs over three workers, while something keeps going wrong.
type storm struct {
	*bench
	fleet  *fleet
	random *rand.Rand // of the goroutine of the test
	start  time.Time

	mu       sync.Mutex
	begun    int
	ended    int
	starts   int // attempts begun
	lost     int // workers that were called lost
	slowest  time.Duration
	digests  map[string]int
	outages  int
	enough   bool
	problems int

	forgetful bool // Redis may lose the last moment before it is killed
	forgotten int  // runs that it lost
}

// newStorm starts three workers that reach Redis at one URL; the test itself reaches it at b's.
func newStorm(t *testing.T, b *bench, url string) *storm {
	t.Helper()
	seed := *stormSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-storm.seed %d", seed)
	s := &storm{bench: b, random: rand.New(rand.NewPCG(seed, 1)), digests: map[string]int{}, start: time.Now()}
	r := stormRole{Redis: url, Store: b.store.Location(), Slots: *stormSlots}
	if *stormLog != "" {
		r.Log = filepath.Join(*stormLog, filepath.Base(t.Name())+".log")
	}
	s.fleet = startFleet(t, 3, r, rand.New(rand.NewPCG(seed, 2)))
	return s
}

// rage lets runs follow each other while happen is called at random moments, until there were enough of all; then it waits
// for all to end, and checks them.
func (s *storm) rage(outages int, happen func()) {
	s.t.Helper()
	var runs sync.WaitGroup
	for range *stormInFlight {
		runs.Go(func() {
			for s.next() {
				s.oneRun()
			}
		})
	}
	for !s.done(outages) {
		time.Sleep(time.Duration(s.random.Int64N(int64(4 * time.Second)))) // the storm's own pace
		if s.random.IntN(2) == 0 {
			s.fleet.strike()
		}
		happen()
	}
	s.fleet.quiet()
	runs.Wait()
	s.fleet.end()
	s.report()
}

// next reports whether another run is to begin.
func (s *storm) next() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.enough {
		return false
	}
	s.begun++
	return true
}

func (s *storm) done(outages int) bool {
	killed := s.fleet.killed()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enough = (s.ended >= *stormRuns && killed >= *stormKills && s.outages >= outages) || s.problems > 0
	return s.enough
}

// oneRun submits a run, follows it to its end and checks it.
func (s *storm) oneRun() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	begin := time.Now()
	id := artifact.NewRunID(begin)
	p := stormPlan(id)
	if err := p.Validate(s.config.Registry); err != nil {
		s.problem(id, nil, err)
		return
	}
	err := s.through(ctx, func() error { return s.submitAndFollow(ctx, id, p) })
	var events []pipeline.Event // as they stand in the end
	if err == nil {
		err = s.through(ctx, func() error {
			events = nil
			return s.client.Watch(ctx, id, "", func(e pipeline.Event) error {
				events = append(events, e)
				return nil
			})
		})
	}
	if err == nil {
		err = s.through(ctx, func() error { return s.check(ctx, id, events, time.Since(begin)) })
	}
	if err != nil {
		s.problem(id, events, err)
	}
}

// through does something until no outage keeps it from succeeding.
func (s *storm) through(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || ctx.Err() != nil || pipeline.AsError(err).Class != pipeline.ClassUnreachable {
			return err
		}
		_ = pause(ctx, breath)
	}
}

// submitAndFollow submits a run, again if need be, and watches it to its end. A run that Redis forgot is the same run when it is
// submitted again; only where Redis may forget what it said it had is that right.
func (s *storm) submitAndFollow(ctx context.Context, id string, p *pipeline.Plan) error {
	if _, err := s.client.Submit(ctx, Request{RunID: id, Plan: p, Name: "storm", Mode: "redis"}); err != nil {
		return fmt.Errorf("submitting: %w", err)
	}
	err := s.client.Watch(ctx, id, "", func(pipeline.Event) error { return nil })
	if errors.Is(err, ErrNoRun) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.forgotten++; !s.forgetful {
			return fmt.Errorf("it was lost: %s", err)
		}
	}
	return err
}

// check refuses a run that did not end right: a stage that is missing or was committed twice, a result that cannot be read,
// or is another one.
func (s *storm) check(ctx context.Context, id string, events []pipeline.Event, took time.Duration) error {
	r, err := s.client.Record(ctx, id)
	if err != nil {
		return err
	}
	if r.Status != pipeline.Succeeded || r.ResultDigest == "" {
		return fmt.Errorf("it is %s: %+v", r.Status, r.Error)
	}
	commits := map[string]int{}
	for _, e := range events {
		if e.Type == pipeline.StepSuccess {
			commits[e.Stage]++
		}
	}
	if n := len(stormPlan("").Stages); len(r.Stages) != n || len(commits) != n {
		return fmt.Errorf("%d stages in the record, %d committed, want %d", len(r.Stages), len(commits), n)
	}
	for _, stage := range r.Stages {
		if stage.Status != pipeline.Succeeded || commits[stage.Name] != 1 || len(stage.Outputs) != 2 {
			return fmt.Errorf("stage %s is %s, committed %d times, with %d outputs", stage.Name, stage.Status, commits[stage.Name], len(stage.Outputs))
		}
		for _, o := range stage.Outputs {
			if err := s.store.Verify(ctx, o.Ref); err != nil {
				return fmt.Errorf("output %s of stage %s: %w", o.Name, stage.Name, err)
			}
		}
	}
	last, _ := r.Stage("e")
	text, err := s.store.ReadAll(ctx, last.Outputs[1].Ref)
	if err == nil && string(text) != stormText {
		err = fmt.Errorf("its result is %q", text)
	}
	if err == nil {
		s.note(r, events, took)
	}
	return err
}

func (s *storm) note(r *pipeline.RunRecord, events []pipeline.Event, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
	s.starts += count(events, pipeline.StepStart)
	s.lost += count(events, pipeline.WorkerLost)
	s.slowest = max(s.slowest, took)
	s.digests[r.ResultDigest]++
}

// problem reports a run that did not end right, and lets the storm end.
func (s *storm) problem(id string, events []pipeline.Event, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems++
	s.t.Errorf("run %s: %v", id, err)
	for _, e := range events {
		s.t.Logf("  %s %s %s/%d by %s: %s", e.Time.Format("05.000"), e.Type, e.Stage, e.Attempt, e.Worker, e.Message)
	}
}

func (s *storm) report() {
	s.t.Helper()
	ctx := context.Background()
	until(s.t, func() bool {
		n, err := s.conn.redis.ZCard(ctx, s.client.key.activeRuns()).Result()
		return err == nil && n == 0
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.digests) != 1 && s.problems == 0 {
		s.t.Errorf("result digests %v, want one", s.digests)
	}
	s.t.Logf("%d of %d runs ended right in %.0f s, the slowest in %.1f s; %d attempts began for %d stages, %d were lost with their workers; %d outages, %d runs submitted again after them; workers killed: %d (%s)",
		s.ended, s.begun, time.Since(s.start).Seconds(), s.slowest.Seconds(), s.starts, 12*s.ended, s.lost, s.outages, s.forgotten, s.fleet.killed(), s.fleet.report())
}

// outage notes one.
func (s *storm) outage() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outages++
}

// stormBench is a bench whose registry has the kind of storms.
func stormBench(t *testing.T, url string) *bench {
	t.Helper()
	b := newBench(t, url)
	registry, err := pipeline.NewRegistry(nil, stormKind())
	if err != nil {
		t.Fatal(err)
	}
	b.config.Registry = registry
	if b.client, err = NewClient(b.config); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStormOverADirectory(t *testing.T) {
	t.Parallel()
	b := stormBench(t, needs.Redis(t).URL())
	newStorm(t, b, b.url).rage(0, func() {})
}

// The same over a bucket: workers have no file system in common.
func TestStormOverABucket(t *testing.T) {
	t.Parallel()
	bucket := needs.S3(t)
	for _, v := range bucket.Environment() { // for the workers, and no other test of this package looks for it
		name, value, _ := strings.Cut(v, "=")
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
	}
	b := stormBench(t, needs.Redis(t).URL())
	var err error
	if b.store, err = artifact.Open(t.Context(), bucket.Location("storm"), s3.Scheme); err != nil {
		t.Fatal(err)
	}
	b.config.Store = b.store
	if b.client, err = NewClient(b.config); err != nil {
		t.Fatal(err)
	}
	newStorm(t, b, b.url).rage(0, func() {})
}

// Redis is killed and comes back from its log, with workers dying at the same time.
func TestStormWithRestartsOfRedis(t *testing.T) {
	t.Parallel()
	for _, fsync := range []string{"always", "everysec"} {
		t.Run(fsync, func(t *testing.T) {
			t.Parallel()
			server := needs.Redis(t, "--appendonly", "yes", "--appendfsync", fsync)
			b := stormBench(t, server.URL())
			s := newStorm(t, b, b.url)
			s.forgetful = fsync != "always"
			s.rage(*stormOutages, func() {
				if s.random.IntN(3) != 0 {
					return
				}
				server.Kill()
				time.Sleep(time.Duration(s.random.Int64N(int64(3 * time.Second)))) // it is away for a while
				server.Restart()
				s.outage()
			})
		})
	}
}

// The connections of the workers are cut: all at once, or each somewhere in an answer.
func TestStormWithCutConnections(t *testing.T) {
	t.Parallel()
	server := needs.Redis(t)
	b := stormBench(t, server.URL())
	p := proxy.Start(t, server.Addr)
	s := newStorm(t, b, "redis://"+p.Addr)
	s.rage(*stormOutages, func() {
		f := proxy.Fault{}
		if s.random.IntN(2) == 0 {
			f = proxy.Fault{CutAnswer: 1 + s.random.Int64N(2000), Times: 1 + s.random.IntN(20)}
		}
		p.Set(f)
		s.outage()
	})
}

// A storm's process never reaches the tests.
func init() {
	if os.Getenv(stormVariable) != "" {
		os.Exit(stormWorker())
	}
}
