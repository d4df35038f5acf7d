package taskstest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
	"github.com/hashline/hashline/tasks/taskstest"
)

// fakeT is a test outside a test: of an example, or one that is meant to fail.
type fakeT struct {
	testing.TB // nil: what is not below is not used

	mu       sync.Mutex
	cleanups []func()
	failures []string
	told     io.Writer // of the failures, at the end
}

func newT() *fakeT { return &fakeT{told: os.Stdout} }

// ended is what Fatal stops the goroutine with.
type ended struct{}

func (*fakeT) Helper()           {}
func (*fakeT) Output() io.Writer { return io.Discard }

func (t *fakeT) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *fakeT) TempDir() string {
	dir, err := os.MkdirTemp("", "taskstest")
	if err != nil {
		panic(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (t *fakeT) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

func (t *fakeT) Fatalf(format string, args ...any) { t.Errorf(format, args...); panic(ended{}) }
func (t *fakeT) Fatal(args ...any)                 { t.Fatalf("%s", fmt.Sprint(args...)) }

// end does what the end of a test does. That of an example prints why it failed, which is not what it should print.
func (t *fakeT) end() {
	if p := recover(); p != nil && p != (ended{}) {
		panic(p)
	}
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
	for _, f := range t.failures {
		fmt.Fprintln(t.told, f)
	}
}

// failing returns how a test failed.
func failing(t *testing.T, test func(t testing.TB)) string {
	t.Helper()
	fake := &fakeT{told: io.Discard}
	func() {
		defer fake.end()
		test(fake)
	}()
	return strings.Join(fake.failures, "\n")
}

func registryOf(t testing.TB, kinds ...pipeline.Kind) *pipeline.Registry {
	t.Helper()
	r, err := pipeline.NewRegistry(nil, kinds...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFailures(t *testing.T) {
	boom := pipeline.Typed("boom", func(context.Context, *pipeline.Call, struct{}, struct{}) (word, error) {
		return word{}, errors.New("out of paper")
	})
	say := pipeline.Typed("say", func(_ context.Context, _ *pipeline.Call, p word, _ struct{}) (word, error) { return p, nil })
	stage := func(kind string) pipeline.Stage { return pipeline.Stage{Name: "a", Kind: kind} }
	for name, c := range map[string]struct {
		test func(t testing.TB)
		want string
	}{
		"a plan that is none": {func(t testing.TB) { taskstest.Run(t, registryOf(t, say), stage("ask")) }, "unknown kind"},
		"a run that failed":   {func(t testing.TB) { taskstest.Run(t, registryOf(t, boom), stage("boom")).Succeeded() }, "FAILED: out of paper"},
		"no such stage":       {func(t testing.TB) { taskstest.Run(t, registryOf(t, say), stage("say")).Stage("b") }, `no stage "b"`},
		"no such output": {func(t testing.TB) {
			taskstest.Output[string](taskstest.Run(t, registryOf(t, say), stage("say")), "a", "b")
		}, `no output "b"`},
		"an output of a failure": {func(t testing.TB) {
			taskstest.Output[string](taskstest.Run(t, registryOf(t, boom), stage("boom")), "a", "word")
		}, `a of the run`},
		"another type": {func(t testing.TB) {
			taskstest.Output[int](taskstest.Run(t, registryOf(t, say), stage("say")), "a", "word")
		}, "cannot unmarshal"},
		"an event that never comes": {func(t testing.TB) {
			h := taskstest.New(t, tasks.Config{Registry: registryOf(t, say)})
			h.Await(h.Submit(tasks.Request{}, stage("say")), pipeline.StepFailure, "")
		}, "no event STEP_FAILURE"},
		"no registry": {func(t testing.TB) { taskstest.New(t, tasks.Config{}) }, "needs a Registry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := failing(t, c.test); !strings.Contains(got, c.want) {
				t.Errorf("it failed with %q, want %q", got, c.want)
			}
		})
	}
}

// With a store, what was computed is found again, and outputs may be large.
func TestStore(t *testing.T) {
	computed := filepath.Join(t.TempDir(), "computed")
	big := pipeline.Typed("big", func(context.Context, *pipeline.Call, struct{}, struct{}) (out struct{ Bytes []byte }, err error) {
		f, err := os.OpenFile(computed, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return out, err
		}
		out.Bytes = make([]byte, 2*pipeline.InlineLimit)
		return out, f.Close()
	})
	registry, store := registryOf(t, big), taskstest.Store(t)
	for _, want := range []string{pipeline.CacheMiss, pipeline.CacheHit} {
		h := taskstest.New(t, tasks.Config{Registry: registry, Store: store})
		result := h.Wait(h.Submit(tasks.Request{}, pipeline.Stage{Name: "a", Kind: "big"}))
		result.Succeeded()
		if got := result.Stage("a").Cache; got != want {
			t.Errorf("cache %s, want %s", got, want)
		}
		if got := taskstest.Output[[]byte](result, "a", "bytes"); len(got) != 2*pipeline.InlineLimit {
			t.Errorf("output of %d bytes", len(got))
		}
	}
}
