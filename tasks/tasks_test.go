package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

// toy kinds: text joins its inputs and a text; gate waits until a file exists; boom fails in the way it is told.

type textParams struct {
	Text string `json:"text"`
}

type gateParams struct {
	Text    string `json:"text"`
	Started string `json:"started"` // a file to make when the stage runs
	Open    string `json:"open"`    // a file to wait for
}

var outText = []pipeline.OutputSpec{{Name: "out", Class: pipeline.Result, MediaType: "text/plain"}}

func join(c *pipeline.Call, text string) error {
	blobs, err := c.Inputs("in")
	if err != nil {
		return err
	}
	for _, b := range blobs {
		part, err := io.ReadAll(b)
		if err != nil {
			return err
		}
		text += "(" + string(part) + ")"
	}
	w, err := c.Create("out")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

func toyKinds() []pipeline.Kind {
	in := []pipeline.InputSpec{{Role: "in", Many: true, Optional: true}}
	return []pipeline.Kind{
		{Name: "text", Inputs: in, Outputs: outText, Params: func() any { return &textParams{} }, Run: func(_ context.Context, c *pipeline.Call) error {
			return join(c, c.Params.(*textParams).Text)
		}},
		{Name: "gate", Inputs: in, Outputs: outText, Params: func() any { return &gateParams{} }, Run: func(ctx context.Context, c *pipeline.Call) error {
			p := c.Params.(*gateParams)
			if p.Started != "" {
				f, err := os.CreateTemp(filepath.Dir(p.Started), filepath.Base(p.Started))
				if err != nil {
					return err
				}
				if err := f.Close(); err != nil {
					return err
				}
			}
			if err := waitFor(ctx, p.Open); err != nil {
				return err
			}
			return join(c, p.Text)
		}},
		{Name: "boom", Inputs: in, Outputs: outText, Params: func() any { return &textParams{} }, Run: func(ctx context.Context, c *pipeline.Call) error {
			switch text := c.Params.(*textParams).Text; text {
			case "bad":
				return pipeline.BadInput("the data is bad").WithHint("mend it")
			case "panic":
				panic("boom")
			case "unreachable":
				return fmt.Errorf("store: %w", artifact.ErrUnreachable)
			case "exit":
				os.Exit(9)
				return nil
			default:
				return errors.New(text)
			}
		}},
	}
}

// waitFor returns when the file exists. Files are the one event that reaches processes alike.
func waitFor(ctx context.Context, file string) error {
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for {
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
		}
	}
}

// waitForPrefix waits for n files whose name begins like that.
func waitForPrefix(t *testing.T, prefix string, n int) {
	t.Helper()
	until(t, func() bool {
		m, err := filepath.Glob(prefix + "*")
		return err == nil && len(m) >= n
	})
}

// until polls a condition that no event tells of, up to a limit that only a failure meets.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within a minute")
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// realRedis is one redis-server for all tests of the package; each test has a database of its own.
var realRedis struct {
	sync.Once
	addr string
	next int
	mu   sync.Mutex
}

func TestMain(m *testing.M) {
	if os.Getenv("HASHLINE_TEST_WORKER") != "" {
		workerProcess()
		return
	}
	code := m.Run()
	if stopRedis != nil {
		stopRedis()
	}
	os.Exit(code)
}

var stopRedis func()

// redisURL returns a database of its own on a real Redis.
func redisURL(t *testing.T) string {
	t.Helper()
	program := needs.Tool(t, "redis-server")
	realRedis.Do(func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		dir, err := os.MkdirTemp("", "redis")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--databases", "64", "--dir", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stopRedis = func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			_ = os.RemoveAll(dir)
		}
		realRedis.addr = fmt.Sprintf("127.0.0.1:%d", port)
		until(t, func() bool {
			c := redis.NewClient(&redis.Options{Addr: realRedis.addr})
			defer c.Close()
			return c.Ping(context.Background()).Err() == nil
		})
	})
	realRedis.mu.Lock()
	defer realRedis.mu.Unlock()
	realRedis.next++
	return fmt.Sprintf("redis://%s/%d", realRedis.addr, realRedis.next)
}

// bench is a store, a Redis and what runs on them.
type bench struct {
	t      *testing.T
	url    string
	conn   *Conn
	store  *artifact.Store
	config Config
	client *Client
}

// onBoth runs a test on the embedded and on a real Redis.
func onBoth(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Run("embedded", func(t *testing.T) { f(t, newBench(t, "")) })
	t.Run("redis", func(t *testing.T) { f(t, newBench(t, redisURL(t))) })
}

func newBench(t *testing.T, url string) *bench {
	t.Helper()
	ctx := context.Background()
	b := &bench{t: t, url: url}
	var err error
	if url == "" {
		b.conn, err = StartEmbedded(ctx)
	} else {
		b.conn, err = Dial(ctx, url)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.conn.Close(); err != nil {
			t.Error(err)
		}
	})
	if b.store, err = artifact.Open(ctx, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	registry, err := pipeline.NewRegistry(nil, toyKinds()...)
	if err != nil {
		t.Fatal(err)
	}
	b.config = Config{Conn: b.conn, Store: b.store, Registry: registry, Poll: 2 * time.Millisecond}
	if b.client, err = NewClient(b.config); err != nil {
		t.Fatal(err)
	}
	return b
}

// worker starts a worker and returns how to stop it; the test stops it at its end at the latest.
func (b *bench) worker(o WorkerOptions) (w *Worker, stop func()) {
	b.t.Helper()
	w, err := NewWorker(b.config, o)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(stop)
	return w, stop
}

func stage(name, kind string, params any, needs ...string) pipeline.Stage {
	raw, err := json.Marshal(params)
	if err != nil {
		panic(err)
	}
	s := pipeline.Stage{Name: name, Kind: kind, Params: raw}
	for _, n := range needs {
		s.Needs = append(s.Needs, pipeline.Need{Role: "in", Stage: n, Output: "out"})
	}
	return s
}

func plan(stages ...pipeline.Stage) *pipeline.Plan {
	return &pipeline.Plan{Schema: pipeline.PlanSchema, Seed: 1, Stages: stages}
}

func (b *bench) submit(p *pipeline.Plan) string {
	b.t.Helper()
	if err := p.Validate(b.config.Registry); err != nil {
		b.t.Fatal(err)
	}
	id, err := b.client.Submit(context.Background(), Request{Plan: p, Name: "test", Tags: map[string]string{"k": "v"}, Mode: "redis"})
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// wait returns the record and the events of a run when it is over.
func (b *bench) wait(id string) (*pipeline.RunRecord, []pipeline.Event) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var events []pipeline.Event
	if err := b.client.Watch(ctx, id, "", func(e pipeline.Event) error {
		events = append(events, e)
		return nil
	}); err != nil {
		r, _ := b.client.Record(context.Background(), id)
		b.t.Fatalf("watching: %v\n%+v\n%+v", err, events, r)
	}
	r, err := b.client.Record(ctx, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return r, events
}

func (b *bench) output(r *pipeline.RunRecord, stage string) string {
	b.t.Helper()
	s, ok := r.Stage(stage)
	if !ok || len(s.Outputs) == 0 {
		b.t.Fatalf("stage %s has no output: %+v", stage, s)
	}
	text, err := b.store.ReadAll(context.Background(), s.Outputs[0].Ref)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

func diamond() *pipeline.Plan {
	return plan(stage("a", "text", textParams{"a"}), stage("b", "text", textParams{"b"}, "a"), stage("c", "text", textParams{"c"}, "a"), stage("d", "text", textParams{"d"}, "b", "c"))
}

func count(events []pipeline.Event, kind string) int {
	n := 0
	for _, e := range events {
		if e.Type == kind {
			n++
		}
	}
	return n
}

func TestRunDiamond(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b.worker(WorkerOptions{Concurrency: 4})
		r, events := b.wait(b.submit(diamond()))
		if r.Status != pipeline.Succeeded || r.ResultDigest == "" || r.Error != nil {
			t.Fatalf("status %s, digest %q, error %v", r.Status, r.ResultDigest, r.Error)
		}
		if got, want := b.output(r, "d"), "d(b(a))(c(a))"; got != want {
			t.Errorf("d = %q, want %q", got, want)
		}
		if events[0].Type != pipeline.RunEnqueued || !events[len(events)-1].EndsRun() || count(events, pipeline.StepSuccess) != 4 {
			t.Errorf("events %+v", events)
		}
		if r.Name != "test" || r.Tags["k"] != "v" {
			t.Errorf("name %q, tags %v", r.Name, r.Tags)
		}
		for _, s := range r.Stages {
			if s.Attempts != 1 || s.Cache != pipeline.CacheMiss || s.Worker == "" || s.StartedAt.IsZero() {
				t.Errorf("stage %+v", s)
			}
		}
		again, _ := b.wait(b.submit(diamond()))
		if again.ResultDigest != r.ResultDigest {
			t.Errorf("second digest %s, want %s", again.ResultDigest, r.ResultDigest)
		}
		for _, s := range again.Stages {
			if s.Cache != pipeline.CacheHit {
				t.Errorf("stage %s: cache %s, want a hit", s.Name, s.Cache)
			}
		}
		for _, name := range []string{pipeline.StartedDocument, pipeline.RecordDocument, pipeline.EventsDocument} {
			if _, err := b.store.Run(context.Background(), r.RunID, name); err != nil {
				t.Errorf("document %s: %v", name, err)
			}
		}
	})
}

func TestManyInputsUseAManifest(t *testing.T) {
	b := newBench(t, "")
	b.worker(WorkerOptions{Concurrency: 4})
	p := plan()
	var names []string
	want := "all"
	for i := range 20 {
		n := fmt.Sprintf("s%02d", i)
		p.Stages = append(p.Stages, stage(n, "text", textParams{n}))
		names = append(names, n)
		want += "(" + n + ")"
	}
	p.Stages = append(p.Stages, stage("all", "text", textParams{"all"}, names...))
	r, _ := b.wait(b.submit(p))
	if got := b.output(r, "all"); got != want {
		t.Errorf("all = %q, want %q", got, want)
	}
}

func TestFailureSkipsDownstreamOnly(t *testing.T) {
	for _, c := range []struct {
		text, class string
		attempts    int
	}{{"bad", pipeline.ClassBadInput, 1}, {"no luck", pipeline.ClassStageFailed, 1}, {"panic", pipeline.ClassInternal, 1}, {"unreachable", pipeline.ClassUnreachable, maxRetries}} {
		t.Run(c.text, func(t *testing.T) {
			b := newBench(t, "")
			b.worker(WorkerOptions{Concurrency: 2})
			r, events := b.wait(b.submit(plan(stage("a", "text", textParams{"a"}), stage("b", "boom", textParams{c.text}, "a"),
				stage("c", "text", textParams{"c"}, "a"), stage("d", "text", textParams{"d"}, "b", "c"), stage("e", "text", textParams{"e"}, "d"))))
			if r.Status != pipeline.Failed || r.Error == nil || r.Error.Class != c.class || r.Error.Stage != "b" {
				t.Fatalf("status %s, error %+v", r.Status, r.Error)
			}
			for name, want := range map[string]string{"a": pipeline.Succeeded, "b": pipeline.Failed, "c": pipeline.Succeeded, "d": pipeline.Skipped, "e": pipeline.Skipped} {
				if s, _ := r.Stage(name); s.Status != want {
					t.Errorf("stage %s is %s, want %s", name, s.Status, want)
				}
			}
			if s, _ := r.Stage("b"); s.Attempts != c.attempts {
				t.Errorf("%d attempts, want %d", s.Attempts, c.attempts)
			}
			if count(events, pipeline.StepSkipped) != 2 || events[len(events)-1].Type != pipeline.RunFailure {
				t.Errorf("events %+v", events)
			}
			if r.ResultDigest != "" {
				t.Error("a failed run has a result digest")
			}
		})
	}
}

func TestCancel(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b.worker(WorkerOptions{Concurrency: 2})
		dir := t.TempDir()
		id := b.submit(plan(stage("a", "gate", gateParams{"a", dir + "/started", dir + "/never"}), stage("b", "text", textParams{"b"}, "a")))
		waitForPrefix(t, dir+"/started", 1)
		if err := b.client.Cancel(context.Background(), id, "enough"); err != nil {
			t.Fatal(err)
		}
		r, events := b.wait(id)
		if r.Status != pipeline.Canceled || r.Error == nil || r.Error.Class != pipeline.ClassCanceled {
			t.Fatalf("status %s, error %+v", r.Status, r.Error)
		}
		if events[len(events)-1].Type != pipeline.RunCanceled {
			t.Errorf("last event %+v", events[len(events)-1])
		}
		if err := b.client.Cancel(context.Background(), id, "again"); err != nil {
			t.Errorf("canceling a run that is over: %v", err)
		}
	})
}

func TestCancelBeforeAnyWorker(t *testing.T) {
	b := newBench(t, "")
	id := b.submit(diamond())
	if err := b.client.Cancel(context.Background(), id, "early"); err != nil {
		t.Fatal(err)
	}
	if r, _ := b.wait(id); r.Status != pipeline.Canceled {
		t.Errorf("status %s", r.Status)
	}
	if err := b.client.Cancel(context.Background(), "20260101-000000-aaaaaa", ""); !errors.Is(err, ErrNoRun) {
		t.Errorf("canceling an unknown run: %v", err)
	}
	if err := b.client.Watch(context.Background(), "20260101-000000-aaaaaa", "", nil); !errors.Is(err, ErrNoRun) {
		t.Errorf("watching an unknown run: %v", err)
	}
	if _, err := b.client.Record(context.Background(), "20260101-000000-aaaaaa"); !errors.Is(err, ErrNoRun) {
		t.Errorf("record of an unknown run: %v", err)
	}
}

func TestDrainFinishesWhatRuns(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		_, stop := b.worker(WorkerOptions{Concurrency: 1})
		dir := t.TempDir()
		id := b.submit(plan(stage("a", "gate", gateParams{"a", dir + "/started", dir + "/open"}), stage("b", "text", textParams{"b"}, "a")))
		waitForPrefix(t, dir+"/started", 1)
		stopped := make(chan struct{})
		go func() {
			stop()
			close(stopped)
		}()
		if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		<-stopped
		r, err := b.client.Record(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if s, _ := r.Stage("a"); s.Status != pipeline.Succeeded {
			t.Fatalf("a is %s after the drain", s.Status)
		}
		if alive, err := b.client.Workers(context.Background()); err != nil || len(alive) != 0 {
			t.Errorf("workers %v, %v", alive, err)
		}
		b.worker(WorkerOptions{Concurrency: 1})
		if r, _ := b.wait(id); r.Status != pipeline.Succeeded {
			t.Errorf("status %s", r.Status)
		}
	})
}

func TestDrainHandsOverWhatDoesNotFinish(t *testing.T) {
	b := newBench(t, "")
	_, stop := b.worker(WorkerOptions{Concurrency: 1, Grace: time.Millisecond})
	dir := t.TempDir()
	id := b.submit(plan(stage("a", "gate", gateParams{"a", dir + "/started", dir + "/open"})))
	waitForPrefix(t, dir+"/started", 1)
	stop()
	b.worker(WorkerOptions{Concurrency: 1})
	waitForPrefix(t, dir+"/started", 2)
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, events := b.wait(id)
	if s, _ := r.Stage("a"); s.Attempts != 2 || r.Status != pipeline.Succeeded || count(events, pipeline.StepHandedOver) != 1 {
		t.Errorf("attempts %d, status %s, events %+v", s.Attempts, r.Status, events)
	}
}

func TestDamagedIntermediateIsMadeAgain(t *testing.T) {
	b := newBench(t, "")
	dir := t.TempDir()
	b.worker(WorkerOptions{Concurrency: 1})
	id := b.submit(plan(stage("a", "text", textParams{"a"}), stage("g", "gate", gateParams{"g", dir + "/started", dir + "/open"}), stage("b", "text", textParams{"b"}, "a", "g")))
	waitForPrefix(t, dir+"/started", 1)
	r, err := b.client.Record(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := r.Stage("a")
	damage(t, b.store, a.Outputs[0].Digest)
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, events := b.wait(id)
	if r.Status != pipeline.Succeeded || b.output(r, "b") != "b(a)(g)" {
		t.Errorf("status %s, error %+v", r.Status, r.Error)
	}
	if s, _ := r.Stage("a"); s.Attempts != 2 || count(events, pipeline.BlobCorrupt) == 0 {
		t.Errorf("attempts %d, events %+v", s.Attempts, events)
	}
}

// damage flips one bit of a blob.
func damage(t *testing.T, store *artifact.Store, d artifact.Digest) {
	t.Helper()
	file := filepath.Join(store.Location(), "cas", "v1", "sha256", d.Hex()[:2], d.Hex())
	blob, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blob[0] ^= 1
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, blob, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedRunInputFails(t *testing.T) {
	b := newBench(t, "")
	ref, err := b.store.PutBytes(context.Background(), []byte("input"))
	if err != nil {
		t.Fatal(err)
	}
	damage(t, b.store, ref.Digest)
	p := plan(stage("a", "text", textParams{"a"}))
	p.Stages[0].Needs = []pipeline.Need{{Role: "in", Artifact: &ref}}
	b.worker(WorkerOptions{Concurrency: 1})
	r, _ := b.wait(b.submit(p))
	if r.Status != pipeline.Failed || !strings.Contains(r.Error.Message, ref.Digest.String()) {
		t.Errorf("status %s, error %+v", r.Status, r.Error)
	}
}

func TestWorkerWithAnotherStoreLeavesIt(t *testing.T) {
	b := newBench(t, "")
	other, err := artifact.Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	own := b.config.Store
	b.config.Store = other
	b.worker(WorkerOptions{Concurrency: 1})
	b.config.Store = own
	id := b.submit(plan(stage("a", "text", textParams{"a"})))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := errors.New("seen")
	if err := b.client.Watch(ctx, id, "", func(e pipeline.Event) error {
		if e.Type == pipeline.EngineEvent && strings.Contains(e.Message, "another store") {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	b.worker(WorkerOptions{Concurrency: 1})
	if r, _ := b.wait(id); r.Status != pipeline.Succeeded || r.Stages[0].Attempts != 1 {
		t.Errorf("status %s, attempts %d", r.Status, r.Stages[0].Attempts)
	}
}

func TestTwoSubmissionsAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b.worker(WorkerOptions{Concurrency: 2})
		b.worker(WorkerOptions{Concurrency: 2})
		var ids []string
		for range 20 {
			ids = append(ids, b.submit(diamond()))
		}
		digests := map[string]bool{}
		for _, id := range ids {
			r, _ := b.wait(id)
			digests[r.ResultDigest] = true
			if r.Status != pipeline.Succeeded {
				t.Errorf("status %s", r.Status)
			}
		}
		if len(digests) != 1 {
			t.Errorf("%d result digests", len(digests))
		}
	})
}

func TestSubmitTwiceChangesNothing(t *testing.T) {
	b := newBench(t, "")
	b.worker(WorkerOptions{Concurrency: 1})
	id := b.submit(diamond())
	b.wait(id)
	if _, err := b.client.Submit(context.Background(), Request{RunID: id, Plan: diamond()}); err != nil {
		t.Fatal(err)
	}
	if _, events := b.wait(id); count(events, pipeline.RunEnqueued) != 1 {
		t.Error("the run was created twice")
	}
}

func TestTasksStartInParallel(t *testing.T) {
	b := newBench(t, redisURL(t))
	for range 3 {
		b.worker(WorkerOptions{Concurrency: 1})
	}
	dir := t.TempDir()
	p := plan()
	for i := range 3 {
		p.Stages = append(p.Stages, stage(fmt.Sprintf("s%d", i), "gate", gateParams{fmt.Sprint(i), dir + "/started", dir + "/open"}))
	}
	id := b.submit(p)
	waitForPrefix(t, dir+"/started", 3) // all three run before any may end
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, _ := b.wait(id); r.Status != pipeline.Succeeded {
		t.Errorf("status %s", r.Status)
	}
}

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
	b := newBench(t, redisURL(t))
	dir := t.TempDir()
	id := b.submit(plan(stage("a", "gate", gateParams{"a", dir + "/started", dir + "/open"}), stage("b", "text", textParams{"b"}, "a")))
	victim := b.process()
	waitForPrefix(t, dir+"/started", 1)
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	if err := os.WriteFile(dir+"/open", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.worker(WorkerOptions{Concurrency: 1})
	r, events := b.wait(id)
	if r.Status != pipeline.Succeeded || count(events, pipeline.WorkerLost) != 1 {
		t.Errorf("status %s, events %+v", r.Status, events)
	}
	if s, _ := r.Stage("a"); s.Attempts != 2 {
		t.Errorf("%d attempts, want 2", s.Attempts)
	}
}

func TestStageThatKillsItsWorkerFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, redisURL(t))
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
	if n := count(events, pipeline.WorkerLost); n < maxCrashes {
		t.Errorf("%d workers lost, want %d", n, maxCrashes)
	}
}

func TestLostTaskIsGivenOutAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, redisURL(t))
	id := b.submit(plan(stage("a", "text", textParams{"a"})))
	// An operator empties the queue behind the run's back.
	if err := b.conn.redis.Del(context.Background(), "asynq:{hashline}:pending", "asynq:{hashline}:t:"+taskID(id, "a", 1)).Err(); err != nil {
		t.Fatal(err)
	}
	b.worker(WorkerOptions{Concurrency: 1})
	r, _ := b.wait(id)
	if s, _ := r.Stage("a"); r.Status != pipeline.Succeeded || s.Attempts != 2 {
		t.Errorf("status %s, attempts %d", r.Status, s.Attempts)
	}
}

func TestReconcilerDrainsAndSettles(t *testing.T) {
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
	args, err := r.args(ref, b.store.ID(), "hashline")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.conn.redis.ZAdd(ctx, activeRuns, redis.Z{Member: r.RunID}, redis.Z{Member: "20200101-000000-orphan"}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := createScript.Run(ctx, b.conn.redis, keys{r.RunID}.all(), args).Err(); err != nil {
		t.Fatal(err)
	}
	b.worker(WorkerOptions{Concurrency: 2})
	if r, _ := b.wait(r.RunID); r.Status != pipeline.Succeeded {
		t.Errorf("status %s", r.Status)
	}
	until(t, func() bool { n, err := b.conn.redis.ZCard(ctx, activeRuns).Result(); return err == nil && n == 0 })
}

func TestParsePayload(t *testing.T) {
	good := payload{Schema: payloadSchema, Run: "20260101-000000-abcdef", Stage: "a", Kind: "text", Attempt: 1, Store: "s", Plan: artifact.Ref{Digest: artifact.DigestOf([]byte("x")), Size: 1}}
	edit := func(f func(*payload)) []byte {
		p := good
		f(&p)
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := parsePayload(edit(func(*payload) {})); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"no JSON":       []byte("{"),
		"unknown field": []byte(`{"schema":"hashline.task/1","x":1}`),
		"trailing text": append(edit(func(*payload) {}), " 1"...),
		"schema":        edit(func(p *payload) { p.Schema = "hashline.task/9" }),
		"run":           edit(func(p *payload) { p.Run = "../../etc" }),
		"stage":         edit(func(p *payload) { p.Stage = "a/b" }),
		"attempt":       edit(func(p *payload) { p.Attempt = 0 }),
		"plan":          edit(func(p *payload) { p.Plan = artifact.Ref{} }),
		"too long":      edit(func(p *payload) { p.Store = strings.Repeat("x", maxPayload) }),
		"both":          edit(func(p *payload) { p.Inputs, p.Manifest = []input{{Role: "in"}}, &p.Plan }),
	} {
		if _, err := parsePayload(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParsePayload(f *testing.F) {
	f.Add([]byte(`{"schema":"hashline.task/1","run":"20260101-000000-abcdef","stage":"a","attempt":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePayload(b); err == nil && (!artifact.ValidRunID(p.Run) || !pipeline.ValidStageName(p.Stage)) {
			t.Errorf("accepted %q", b)
		}
	})
}

func TestDialErrors(t *testing.T) {
	for name, c := range map[string]struct{ url, class string }{
		"not a URL":    {"http://x", pipeline.ClassUsage},
		"nobody":       {"redis://user:secret@127.0.0.1:1/0", pipeline.ClassUnreachable},
		"no such host": {"redis://:secret@nowhere.invalid:6379/0", pipeline.ClassUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Dial(context.Background(), c.url)
			e := pipeline.AsError(err)
			if e == nil || e.Class != c.class {
				t.Fatalf("error %v, want class %s", err, c.class)
			}
			if strings.Contains(e.Message+e.Hint, "secret") {
				t.Errorf("the password is in %q", e.Message)
			}
		})
	}
}

func BenchmarkDiamond(bm *testing.B) {
	ctx := context.Background()
	conn, err := StartEmbedded(ctx)
	if err != nil {
		bm.Fatal(err)
	}
	defer conn.Close()
	store, err := artifact.Open(ctx, bm.TempDir())
	if err != nil {
		bm.Fatal(err)
	}
	registry, err := pipeline.NewRegistry(nil, toyKinds()...)
	if err != nil {
		bm.Fatal(err)
	}
	config := Config{Conn: conn, Store: store, Registry: registry}
	client, err := NewClient(config)
	if err != nil {
		bm.Fatal(err)
	}
	w, err := NewWorker(config, WorkerOptions{})
	if err != nil {
		bm.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(run) }()
	p := diamond()
	if err := p.Validate(registry); err != nil {
		bm.Fatal(err)
	}
	for bm.Loop() {
		id, err := client.Submit(ctx, Request{Plan: p})
		if err != nil {
			bm.Fatal(err)
		}
		if err := client.Watch(ctx, id, "", func(pipeline.Event) error { return nil }); err != nil {
			bm.Fatal(err)
		}
	}
	stop()
	if err := <-done; err != nil {
		bm.Fatal(err)
	}
}
