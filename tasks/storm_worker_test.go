package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/artifact/s3"
	"github.com/hashline/hashline/pipeline"
)

// stormVariable in the environment makes the test binary a worker of a storm; it holds a stormRole as JSON.
const stormVariable = "HASHLINE_TEST_STORM"

// killPoints are where a worker of a storm may kill itself: each boundary between two effects of a stage.
var killPoints = []string{"claimed", "artifact stored", "action stored", "state updated", "outbox drained", "before ack"}

// stormRole is what a worker process of a storm is to do.
type stormRole struct {
	Redis, Store string
	Slots        int
	Point        string        // where it kills itself; empty: nowhere
	After        time.Duration // how long after its start it does so at the earliest
	Log          string        // file; empty: none
}

// stormWorker is the process of a worker that may kill itself. It exits with 0 when it was told to stop, and with 3 when it
// finds no Redis or no store.
func stormWorker() int {
	var r stormRole
	if err := json.Unmarshal([]byte(os.Getenv(stormVariable)), &r); err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { // nobody outlives the test
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(4)
	}()
	err := r.work(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) { // told to stop before it began
		return 0
	}
	if e := pipeline.AsError(err); err != nil && (e.Class == pipeline.ClassUnreachable || errors.Is(err, artifact.ErrUnreachable)) {
		return 3
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker of a storm:", err)
		return 1
	}
	return 0
}

func (r stormRole) work(ctx context.Context) error {
	crashPoint = r.at(time.Now())
	backend, err := stormBackend(ctx, r.Store)
	if err != nil {
		return err
	}
	store, err := artifact.New(ctx, backend)
	if err != nil {
		return err
	}
	conn, err := Dial(ctx, r.Redis)
	if err != nil {
		return err
	}
	defer conn.Close()
	registry, err := pipeline.NewRegistry(nil, stormKind())
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	if r.Log != "" {
		f, err := os.OpenFile(r.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		log = slog.New(slog.NewJSONHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug})).With("pid", os.Getpid())
	}
	w, err := NewWorker(Config{Conn: conn, Store: store, Registry: registry, Log: log}, WorkerOptions{Concurrency: r.Slots, Grace: time.Second})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// spared counts the stages that run in this process and whose workers were killed twice. Two more deaths would fail their runs, as
// they should fail one that kills its workers itself, so the storm leaves this process alone until they are over.
var spared atomic.Int64

// spareFor is how long such a stage is taken to last, with all that follows it: Redis may be away for a while.
const spareFor = 10 * time.Second

func spare() {
	if spared.Add(1) == 1 {
		fmt.Println("spare")
	}
	time.AfterFunc(spareFor, func() {
		if spared.Add(-1) == 0 {
			fmt.Println("fair")
		}
	})
}

// at returns the hook: it ends the process, as a crash would, when its point comes after its time.
func (r stormRole) at(start time.Time) func(point string) {
	var once sync.Once
	return func(point string) {
		if point != r.Point || time.Since(start) < r.After || spared.Load() > 0 {
			return
		}
		once.Do(func() { fmt.Println("kill", point) })
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // nothing happens any more, however long the signal takes
	}
}

// killingBackend tells crashPoint of what was stored.
type killingBackend struct{ artifact.Backend }

func (b killingBackend) Begin(ctx context.Context) (artifact.Upload, error) {
	u, err := b.Backend.Begin(ctx)
	return killingUpload{u}, err
}

type killingUpload struct{ artifact.Upload }

func (u killingUpload) Commit(ctx context.Context, name string, o artifact.CommitOptions) (bool, error) {
	created, err := u.Upload.Commit(ctx, name, o)
	switch {
	case err != nil:
	case strings.HasPrefix(name, "cas/"):
		crashPoint("artifact stored")
	case strings.HasPrefix(name, "actions/"):
		crashPoint("action stored")
	}
	return created, err
}

// killingBucket is one for a backend that can do more than it must.
type killingBucket struct {
	killingBackend
	artifact.Locator
	artifact.Ager
	artifact.PartLister
}

func stormBackend(ctx context.Context, location string) (artifact.Backend, error) {
	if !strings.HasPrefix(location, "s3://") {
		b, err := artifact.Dir(location)
		return killingBackend{b}, err
	}
	b, err := s3.Scheme.Open(ctx, location)
	if err != nil {
		return nil, err
	}
	return killingBucket{killingBackend{b}, b.(artifact.Locator), b.(artifact.Ager), b.(artifact.PartLister)}, nil
}

// stormParams are those of the kind work. Salt makes an action new without a change of its result.
type stormParams struct {
	Text   string `json:"text"`
	Salt   string `json:"salt"`
	Millis int    `json:"millis"`
}

// stormKind takes a while and joins its inputs and a text; a second output, which is no result, is new in every run.
func stormKind() pipeline.Kind {
	return pipeline.Kind{
		Name: "work", Inputs: []pipeline.InputSpec{{Role: "in", Many: true, Optional: true}},
		Outputs: append([]pipeline.OutputSpec{{Name: "trace", Class: pipeline.View, MediaType: "text/plain"}}, outText...),
		Params:  func() any { return &stormParams{} },
		Run: func(ctx context.Context, c *pipeline.Call) error {
			p := c.Params.(*stormParams)
			if c.Attempt > maxShared {
				spare()
			}
			t := time.NewTimer(time.Duration(p.Millis) * time.Millisecond)
			defer t.Stop()
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-t.C:
			}
			w, err := c.Create("trace")
			if err != nil {
				return err
			}
			if _, err := io.WriteString(w, p.Text+" of "+p.Salt); err != nil {
				return err
			}
			return join(c, p.Text)
		},
	}
}

// stormPlan has twelve stages in five levels: 1, 4, 4, 2, 1.
func stormPlan(salt string) *pipeline.Plan {
	work := func(name string, needs ...string) pipeline.Stage {
		return stage(name, "work", stormParams{Text: name, Salt: salt, Millis: *stormMillis}, needs...)
	}
	return plan(work("a"), work("b1", "a"), work("b2", "a"), work("b3", "a"), work("b4", "a"),
		work("c1", "b1"), work("c2", "b2"), work("c3", "b3"), work("c4", "b4"), work("d1", "c1", "c2"), work("d2", "c3", "c4"), work("e", "d1", "d2"))
}

// stormText is the output of the last stage of a stormPlan.
const stormText = "e(d1(c1(b1(a)))(c2(b2(a))))(d2(c3(b3(a)))(c4(b4(a))))"
