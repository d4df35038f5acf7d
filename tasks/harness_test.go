package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

// The toy kinds: text joins its inputs and a text; gate waits until a file exists; boom fails in the way it is told.
type textParams struct {
	Text string `json:"text"`
}

type gateParams struct {
	Text    string `json:"text"`
	Started string `json:"started"` // a file to make when the stage runs
	Open    string `json:"open"`    // a file to wait for
	Deaf    bool   `json:"deaf"`    // it does not heed its context
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
	return []pipeline.Kind{fanKind(), skipKind(), scoreKind(),
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
			if p.Deaf {
				ctx = context.WithoutCancel(ctx)
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
			case "long":
				return errors.New(strings.Repeat("é", maxMessage))
			case "canceled":
				return context.Canceled
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

// patience is what a test waits for an event at most; only a failure meets it.
const patience = 2 * time.Minute

// until polls a condition that no event tells of.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen within %v", patience)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("HASHLINE_TEST_WORKER") != "" {
		workerProcess()
		return
	}
	code := m.Run()
	cluster.life.End()
	os.Exit(code)
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

// onEach runs a test on the embedded Redis, on a real one and on a Cluster.
func onEach(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Run("embedded", func(t *testing.T) { f(t, newBench(t, "")) })
	t.Run("redis", func(t *testing.T) { f(t, newBench(t, needs.Redis(t).URL())) })
	t.Run("cluster", func(t *testing.T) { f(t, newBench(t, sharedCluster(t))) })
}

// cluster serves all tests, which begin their keys differently and have a queue each.
var cluster struct {
	once sync.Once
	*needs.Cluster
	life needs.Life
	used atomic.Int64
}

// sharedCluster returns the URL of a part of the Cluster.
func sharedCluster(t *testing.T) string {
	t.Helper()
	needs.Tool(t, "redis-server")
	cluster.once.Do(func() { cluster.Cluster = needs.RedisCluster(&cluster.life) })
	if cluster.Cluster == nil {
		t.Fatal("the Cluster did not start")
	}
	return cluster.URL() + "?prefix=part" + strconv.FormatInt(cluster.used.Add(1), 10)
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
	_, queue, _ := strings.Cut(url, "?prefix=")
	b.config = Config{Conn: b.conn, Store: b.store, Registry: registry, Queue: queue, Poll: 2 * time.Millisecond}
	if b.client, err = NewClient(b.config); err != nil {
		t.Fatal(err)
	}
	return b
}

// forget lets Redis lose all that is the bench's.
func (b *bench) forget() {
	b.t.Helper()
	err := b.conn.eachServer(context.Background(), func(ctx context.Context, server *redis.Client) error {
		for keys := server.Scan(ctx, 0, "*", 1000).Iterator(); keys.Next(ctx); {
			if key := keys.Val(); b.config.Queue == "" || strings.Contains(key, b.config.Queue+":") || strings.Contains(key, b.config.Queue+"}") {
				if err := server.Del(ctx, key).Err(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
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
	ctx, cancel := context.WithTimeout(context.Background(), patience)
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

// machineEvent adds an event to a run's stream.
func machineEvent(ctx context.Context, pipe redis.Pipeliner, c *Client, run string) {
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: c.keys(run).name("events"), Values: []any{"time", "1", "type", pipeline.EngineEvent, "message", "x"}})
}
