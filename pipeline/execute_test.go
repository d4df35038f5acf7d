package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashline/hashline/artifact"
)

// newExecutor makes an Executor over the kinds; store is where it keeps things, and events are what it told.
func newExecutor(t testing.TB, kinds ...Kind) (x *Executor, events *[]Event) {
	t.Helper()
	store, err := artifact.Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRegistry(nil, kinds...)
	if err != nil {
		t.Fatal(err)
	}
	events = &[]Event{}
	return &Executor{Store: store, Registry: r, Worker: "w", Run: "r", Attempt: 2, Emit: func(e Event) { *events = append(*events, e) }}, events
}

// told returns the events of a type.
func told(events []Event, kind string) (of []Event) {
	for _, e := range events {
		if e.Type == kind {
			of = append(of, e)
		}
	}
	return of
}

// blobs counts the blobs of a store.
func blobs(t *testing.T, s *artifact.Store) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s.Location(), "cas"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// echo writes its parameter's text as often as it says, after its inputs.
func echo(inline bool) Kind {
	type p struct {
		Text  string `json:"text"`
		Times int    `json:"times"`
	}
	return Kind{Name: "echo", Inline: inline, Inputs: []InputSpec{{Role: "in", Many: true, Optional: true}}, Outputs: []OutputSpec{{Name: "out", Class: Result}}, Params: func() any { return &p{Times: 1} },
		Run: func(_ context.Context, c *Call) error {
			w, err := c.Create("out")
			if err != nil {
				return err
			}
			in, err := c.Inputs("in")
			if err != nil {
				return err
			}
			for _, b := range in {
				if _, err := io.Copy(w, b); err != nil {
					return err
				}
			}
			for range c.Params.(*p).Times {
				if _, err := io.WriteString(w, c.Params.(*p).Text); err != nil {
					return err
				}
			}
			return nil
		}}
}

func text(t string, times int) json.RawMessage {
	return fmt.Appendf(nil, `{"text":%q,"times":%d}`, t, times)
}

// Outputs of an inline kind travel up to the limit and are blobs above it; a kind that is not inline has blobs alone.
func TestInlineOutputs(t *testing.T) {
	for _, c := range []struct {
		inline bool
		size   int
		blobs  int
	}{{true, 0, 0}, {true, 5, 0}, {true, InlineLimit, 0}, {true, InlineLimit + 1, 1}, {true, 5 * InlineLimit, 1}, {false, 5, 1}} {
		x, events := newExecutor(t, echo(c.inline))
		for i, cache := range []string{CacheMiss, CacheHit} {
			out, err := x.Execute(context.Background(), Stage{Name: "s", Kind: "echo", Params: text("x", c.size)}, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			o, want := out.Outputs[0], strings.Repeat("x", c.size)
			if inline := c.blobs == 0 && c.size > 0; out.Cache != cache || o.Size != int64(c.size) || o.Digest != artifact.DigestOf([]byte(want)) || inline != (len(o.Inline) > 0 && string(o.Inline) == want) {
				t.Errorf("%+v, time %d: %s, %d bytes, %d inline", c, i, out.Cache, o.Size, len(o.Inline))
			}
			b, err := x.Store.OpenOutput(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(b); err != nil || string(got) != want {
				t.Errorf("%+v: %d bytes, %v", c, len(got), err)
			}
		}
		if n := blobs(t, x.Store); n != c.blobs || len(told(*events, BlobStored)) != c.blobs {
			t.Errorf("%+v: %d blobs, events %+v", c, n, *events)
		}
	}
}

func TestInlineInputs(t *testing.T) {
	x, _ := newExecutor(t, echo(true))
	ctx := context.Background()
	input := func(s string) Input {
		return Input{Role: "in", Ref: artifact.Ref{Digest: artifact.DigestOf([]byte(s)), Size: int64(len(s))}, Inline: []byte(s)}
	}
	stored, err := x.Store.PutBytes(ctx, []byte("2"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := x.Execute(ctx, Stage{Kind: "echo"}, 0, []Input{input("1"), {Role: "in", Ref: stored}, input("")})
	if err != nil || string(out.Outputs[0].Inline) != "12" {
		t.Errorf("%+v, %v", out, err)
	}
	byRef, err := x.Execute(ctx, Stage{Kind: "echo"}, 0, []Input{{Role: "in", Ref: input("1").Ref}, {Role: "in", Ref: stored}, {Role: "in", Ref: artifact.Ref{Digest: artifact.DigestOf(nil)}}})
	if err != nil || byRef.Cache != CacheHit {
		t.Errorf("where bytes are changes the key: %+v, %v", byRef, err)
	}
	forged := input("1")
	forged.Inline = []byte("9")
	_, err = x.Execute(ctx, Stage{Kind: "echo"}, 0, []Input{forged})
	if damaged, ok := errors.AsType[*DamagedInput](err); !ok || damaged.Ref != forged.Ref {
		t.Errorf("bytes that are not those of the digest were taken: %v", err)
	}
}

// A damaged action result is computed again, inline bytes included.
func TestInlineDamageIsAMiss(t *testing.T) {
	x, events := newExecutor(t, echo(true))
	st := Stage{Kind: "echo", Params: text("abc", 1)}
	first, err := x.Execute(context.Background(), st, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := x.Store.Action(context.Background(), first.ActionKey)
	if err != nil {
		t.Fatal(err)
	}
	r.Outputs[0].Inline = []byte("abd")
	if err := x.Store.ReplaceAction(context.Background(), first.ActionKey, r); err != nil {
		t.Fatal(err)
	}
	again, err := x.Execute(context.Background(), st, 0, nil)
	if err != nil || again.Cache != CacheMiss || string(again.Outputs[0].Inline) != "abc" || len(told(*events, BlobCorrupt)) != 1 {
		t.Errorf("%+v, %v, %+v", again, err, *events)
	}
}

func TestWithoutAStore(t *testing.T) {
	for _, inline := range []bool{true, false} {
		x, _ := newExecutor(t, echo(inline))
		x.Store = nil
		out, err := x.Execute(context.Background(), Stage{Kind: "echo", Params: text("x", 1)}, 0, nil)
		if inline && (err != nil || out.Cache != CacheOff || string(out.Outputs[0].Inline) != "x") {
			t.Errorf("%+v, %v", out, err)
		}
		if !inline && (!IsPermanent(err) || !strings.Contains(err.Error(), "needs a store")) {
			t.Errorf("a blob without a store: %v", err)
		}
		if _, err := x.Execute(context.Background(), Stage{Kind: "echo", Params: text("x", InlineLimit+1)}, 0, nil); err == nil {
			t.Error("a large output without a store is no error")
		}
		missing := Input{Role: "in", Ref: artifact.Ref{Digest: artifact.DigestOf([]byte("x")), Size: 1}}
		if _, err := x.Execute(context.Background(), Stage{Kind: "echo"}, 0, []Input{missing}); err == nil {
			t.Error("a blob as input without a store is no error")
		}
	}
}

func TestInputAndOutputEvents(t *testing.T) {
	x, events := newExecutor(t, echo(true))
	var inputs []Input
	for i := range 20 {
		s := fmt.Sprint(i)
		inputs = append(inputs, Input{Role: "in", Ref: artifact.Ref{Digest: artifact.DigestOf([]byte(s)), Size: int64(len(s))}, Inline: []byte(s)})
	}
	for range 2 { // computed, then found
		*events = nil
		out, err := x.Execute(context.Background(), Stage{Kind: "echo"}, 0, inputs)
		if err != nil {
			t.Fatal(err)
		}
		in, given := told(*events, StepInput), told(*events, StepOutput)
		if len(in) != 1 || len(in[0].Data) != shownInputs || in[0].Data["in.1"] != inputs[1].Ref.Digest.String() || in[0].Message != "20 inputs, the first 16 of which are listed" {
			t.Errorf("inputs: %+v", in)
		}
		if len(given) != 1 || !maps.Equal(given[0].Data, map[string]string{"out": out.Outputs[0].Digest.String()}) || given[0].Message != "1 output" {
			t.Errorf("outputs: %+v", given)
		}
	}
}

// counting is a kind that counts its calls and does as it is told.
func counting(n *int, run func(c *Call) error) Kind {
	return Kind{Name: "k", Inline: true, Outputs: []OutputSpec{{Name: "out", Class: Result}}, Run: func(_ context.Context, c *Call) error {
		*n++
		if err := run(c); err != nil {
			return err
		}
		return c.WriteJSON("out", 1)
	}}
}

func TestSkipKeepsNothing(t *testing.T) {
	var n int
	x, events := newExecutor(t, counting(&n, func(c *Call) error {
		c.Log.Info("looked")
		return fmt.Errorf("a: %w", Skip("no new rows"))
	}))
	for range 2 {
		out, err := x.Execute(context.Background(), Stage{Name: "s", Kind: "k"}, 0, nil)
		if skipped, ok := errors.AsType[*SkippedError](err); !ok || skipped.Reason != "no new rows" || out.Outputs != nil || out.Logs == nil {
			t.Errorf("%+v, %v", out, err)
		}
	}
	if n != 2 || len(told(*events, StepOutput)) != 0 {
		t.Errorf("%d calls, events %+v", n, *events)
	}
}

func TestMiddleware(t *testing.T) {
	var n int
	var order []string
	x, _ := newExecutor(t, counting(&n, func(c *Call) error {
		order = append(order, "run")
		return nil
	}))
	note := func(name string) Middleware {
		return func(next Handler) Handler {
			return func(ctx context.Context, c *Call) error {
				order = append(order, fmt.Sprintf("%s %s/%s/%d by %s", name, c.Run, c.Stage, c.Attempt, c.Worker))
				err := next(ctx, c)
				order = append(order, name+" ends")
				return err
			}
		}
	}
	x.Middleware = []Middleware{note("outer"), note("inner")}
	for range 2 {
		if _, err := x.Execute(context.Background(), Stage{Name: "s", Kind: "k"}, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"outer r/s/2 by w", "inner r/s/2 by w", "run", "inner ends", "outer ends"}
	if !slices.Equal(order, want) { // the second time it is a hit
		t.Errorf("%q, want %q", order, want)
	}
	x.Middleware = []Middleware{func(Handler) Handler { return func(context.Context, *Call) error { panic("outside") } }}
	x.Store = nil
	if _, err := x.Execute(context.Background(), Stage{Name: "s", Kind: "k"}, 0, nil); err == nil || !strings.Contains(err.Error(), "panicked: outside") {
		t.Errorf("a panic in middleware: %v", err)
	}
}

// oneAtATime is a Flight of this process.
type oneAtATime struct {
	mu      sync.Mutex
	held    map[artifact.ActionKey]chan struct{}
	waiting chan struct{}
	left    int
}

func (f *oneAtATime) Enter(ctx context.Context, key artifact.ActionKey) (leave func(), waited bool, err error) {
	for {
		f.mu.Lock()
		if f.held == nil {
			f.held = map[artifact.ActionKey]chan struct{}{}
		}
		taken := f.held[key]
		if taken == nil {
			done := make(chan struct{})
			f.held[key] = done
			f.mu.Unlock()
			return func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.left++
				delete(f.held, key)
				close(done)
			}, waited, nil
		}
		f.mu.Unlock()
		waited = true
		if f.waiting != nil {
			f.waiting <- struct{}{}
		}
		select {
		case <-taken:
		case <-ctx.Done():
			return nil, true, ctx.Err()
		}
	}
}

// What is computed already is waited for and found; when who computes it fails, the other computes it.
func TestFlight(t *testing.T) {
	for name, fails := range map[string]bool{"found": false, "failed": true} {
		t.Run(name, func(t *testing.T) {
			flight := &oneAtATime{waiting: make(chan struct{}, 1)}
			var n int
			x, _ := newExecutor(t, counting(&n, func(*Call) error {
				if n == 1 {
					<-flight.waiting // the other is here
					if fails {
						return errors.New("no luck")
					}
				}
				return nil
			}))
			x.Emit, x.Flight = nil, flight
			var wg sync.WaitGroup
			var outcomes [2]*Outcome
			var failed [2]error
			for i := range 2 {
				wg.Go(func() { outcomes[i], failed[i] = x.Execute(context.Background(), Stage{Kind: "k"}, 0, nil) })
			}
			wg.Wait()
			caches := []string{outcomes[0].Cache, outcomes[1].Cache}
			slices.Sort(caches)
			if !fails && (n != 1 || errors.Join(failed[:]...) != nil || !slices.Equal(caches, []string{CacheHit, CacheMiss})) {
				t.Errorf("%d calls, %v, %v", n, caches, failed)
			}
			if fails && (n != 2 || (failed[0] == nil) == (failed[1] == nil)) {
				t.Errorf("%d calls, %v", n, failed)
			}
			if flight.left != 2 {
				t.Errorf("left %d times, want 2", flight.left)
			}
		})
	}
	var n int
	x, _ := newExecutor(t, counting(&n, func(*Call) error { return nil }))
	flight := &oneAtATime{}
	x.Flight = flight
	out, err := x.Execute(context.Background(), Stage{Kind: "k"}, 0, nil)
	if err != nil || flight.left != 1 {
		t.Fatalf("%v, left %d times", err, flight.left)
	}
	if err := x.Store.ReplaceAction(context.Background(), out.ActionKey, &artifact.ActionResult{}); err != nil {
		t.Fatal(err)
	}
	leave, _, err := flight.Enter(context.Background(), out.ActionKey)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := x.Execute(ctx, Stage{Kind: "k"}, 0, nil); !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("waiting in a canceled context: %v, %d calls", err, n)
	}
}

func TestLogsAreKept(t *testing.T) {
	var n int
	var upstream bytes.Buffer
	fail := errors.New("at the end")
	x, events := newExecutor(t, counting(&n, func(c *Call) error {
		log := c.Log.With("part", 1).WithGroup("g")
		log.Info("hello", "x", 2)
		log.Debug("details")
		return fail
	}))
	x.Log = slog.New(slog.NewTextHandler(&upstream, &slog.HandlerOptions{Level: slog.LevelWarn}))
	out, err := x.Execute(context.Background(), Stage{Kind: "k"}, 0, nil)
	if !errors.Is(err, fail) || out.Logs == nil {
		t.Fatalf("%+v, %v", out, err)
	}
	kept, err := x.Store.ReadAll(context.Background(), *out.Logs)
	if err != nil || !strings.Contains(string(kept), `level=INFO msg=hello part=1 g.x=2`) || strings.Contains(string(kept), "details") || upstream.Len() != 0 {
		t.Errorf("kept %q, %v; handed on %q", kept, err, upstream.String())
	}
	if e := told(*events, LogsCaptured); len(e) != 1 || e[0].Data["logs"] != out.Logs.Digest.String() || e[0].Message != fmt.Sprintf("%d bytes", len(kept)) {
		t.Errorf("%+v", e)
	}
	x.Log = slog.New(slog.NewTextHandler(&upstream, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if out, err = x.Execute(context.Background(), Stage{Kind: "k"}, 0, nil); out.Logs == nil {
		t.Fatal(err)
	}
	if kept, err = x.Store.ReadAll(context.Background(), *out.Logs); err != nil || !strings.Contains(string(kept), "details") || !strings.Contains(upstream.String(), "hello") {
		t.Errorf("kept %q, %v; handed on %q", kept, err, upstream.String())
	}
}

func TestLogsAreBoundedAndFailNothing(t *testing.T) {
	var n int
	line := strings.Repeat("x", 1000)
	var calls []*Call
	x, _ := newExecutor(t, counting(&n, func(c *Call) error {
		calls = append(calls, c)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 400 {
					c.Log.Info(line)
				}
			})
		}
		wg.Wait()
		return nil
	}))
	out, err := x.Execute(context.Background(), Stage{Kind: "k"}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := x.Store.ReadAll(context.Background(), *out.Logs)
	if err != nil || len(kept) > MaxLogs || len(kept) < MaxLogs-2000 || !strings.HasSuffix(string(kept), "\n"+logsCut) {
		t.Errorf("%d bytes, %v, end %q", len(kept), err, kept[max(0, len(kept)-100):])
	}
	calls[0].Log.Info("too late") // by a goroutine that outlived its stage
	if after, err := x.Store.ReadAll(context.Background(), *out.Logs); err != nil || !bytes.Equal(after, kept) {
		t.Error("what is kept changed")
	}
	if err := os.RemoveAll(x.Store.Location()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(x.Store.Location(), nil, 0o600); err != nil { // nothing can be stored any more
		t.Fatal(err)
	}
	var warned bytes.Buffer
	x.Log = slog.New(slog.NewTextHandler(&warned, &slog.HandlerOptions{Level: slog.LevelWarn}))
	never, _ := x.Registry.Kind("k")
	never.NeverCache = true
	if x.Registry, err = NewRegistry(nil, never); err != nil {
		t.Fatal(err)
	}
	if out, err = x.Execute(context.Background(), Stage{Kind: "k"}, 0, nil); err != nil || out.Logs != nil || !strings.Contains(warned.String(), "storing the log of a stage") {
		t.Errorf("%+v, %v, %q", out, err, warned.String())
	}
}

// A canceled attempt keeps its logs and gives no outputs.
func TestCanceledKeepsLogs(t *testing.T) {
	var n int
	ctx, cancel := context.WithCancel(context.Background())
	x, _ := newExecutor(t, counting(&n, func(c *Call) error {
		c.Log.Info("so far")
		cancel()
		return nil
	}))
	out, err := x.Execute(ctx, Stage{Kind: "k"}, 0, nil)
	if !errors.Is(err, context.Canceled) || out.Logs == nil || out.Outputs != nil {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestExpand(t *testing.T) {
	fold := Kind{Name: "fold", Run: func(context.Context, *Call) error { return nil }}
	var n int
	sweep := counting(&n, func(c *Call) error {
		return errors.Join(c.Expand(Stage{Name: c.Stage + ":1", Kind: "fold", Needs: []Need{{Stage: "data"}}}), c.Expand(Stage{Name: c.Stage + ":2", Kind: "fold", Needs: []Need{{Stage: c.Stage + ":1"}}}))
	})
	sweep.Name, sweep.Expands = "sweep", true
	none := counting(&n, func(*Call) error { return nil })
	none.Name, none.Expands = "none", true
	wrong := counting(&n, func(c *Call) error { return c.Expand(Stage{Name: "elsewhere", Kind: "fold"}) })
	wrong.Name, wrong.Expands = "wrong", true
	plain := counting(&n, func(c *Call) error { return c.Expand() })
	plain.Name = "plain"
	forger := counting(&n, func(c *Call) error { return c.WriteJSON(StagesOutput, "x") })
	forger.Name, forger.Expands = "forger", true
	x, _ := newExecutor(t, fold, sweep, none, wrong, plain, forger)
	run := func(name, kind string) (*Outcome, error) {
		return x.Execute(context.Background(), Stage{Name: name, Kind: kind}, 0, nil)
	}
	for _, cache := range []string{CacheMiss, CacheHit} {
		out, err := run("s", "sweep")
		if err != nil || out.Cache != cache || len(out.Outputs) != 2 {
			t.Fatalf("%+v, %v", out, err)
		}
		o := out.Outputs[1]
		if o.Name != StagesOutput || o.Class != Result || o.MediaType != StagesMediaType {
			t.Errorf("%+v", o)
		}
		stages, err := ParseStages(o.Inline)
		if err != nil || len(stages) != 2 || stages[1].Name != "s:2" {
			t.Errorf("%s: %+v, %v", o.Inline, stages, err)
		}
	}
	// The returned stages bear the name of who returned them: another stage of the same kind has others.
	if out, err := run("t", "sweep"); err != nil || out.Cache != CacheMiss || out.MissReason != "stage s -> t" || !strings.Contains(string(out.Outputs[1].Inline), "t:1") {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := run("s", "none"); err != nil || string(out.Outputs[1].Inline) != `{"schema":"hashline.stages/1","stages":[]}` {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := run("s", "wrong"); !IsPermanent(err) || !strings.Contains(err.Error(), `the name "elsewhere" has to start with "s:"`) {
		t.Errorf("%v", err)
	}
	for _, kind := range []string{"plain", "forger"} {
		if out, err := run("s", kind); err == nil {
			t.Errorf("%s: %+v", kind, out)
		}
	}
	if _, err := NewRegistry(nil, Kind{Name: "a", Run: sweep.Run, Expands: true, Outputs: []OutputSpec{{Name: StagesOutput, Class: View}}}); err == nil {
		t.Error("a kind that expands declares the output itself")
	}
}

func BenchmarkExecuteInline(b *testing.B) {
	noop := Kind{Name: "noop", Inline: true, NeverCache: true, Inputs: []InputSpec{{Role: "in", Many: true, Optional: true}}, Outputs: []OutputSpec{{Name: "out", Class: Result, MediaType: "application/json"}},
		Run: func(_ context.Context, c *Call) error { return c.WriteJSON("out", 1) }}
	x, _ := newExecutor(b, noop)
	var n int
	x.Emit = func(Event) { n++ }
	in := []byte("1\n")
	inputs := []Input{{Role: "in", Ref: artifact.Ref{Digest: artifact.DigestOf(in), Size: int64(len(in))}, Inline: in}}
	st := Stage{Name: "s", Kind: "noop", Params: json.RawMessage("{}")}
	if err := os.RemoveAll(x.Store.Location()); err != nil { // any use of the store fails
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Execute(context.Background(), st, 0, inputs); err != nil {
			b.Fatal(err)
		}
	}
}
