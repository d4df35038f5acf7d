package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// notifying makes a worker with a webhook, for its rounds alone.
func (b *bench) notifying(url string) *Worker {
	b.t.Helper()
	c := b.config
	c.Webhook = url
	w, err := NewWorker(c, WorkerOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

// end lets a worker without a webhook do some runs, and returns the last.
func (b *bench) end(runs int) (last string) {
	b.t.Helper()
	_, stop := b.worker(WorkerOptions{Concurrency: 1})
	defer stop()
	for range runs {
		last = b.submit(diamond())
		b.wait(last)
	}
	return last
}

// A webhook is told of the runs that end from the first worker on that has it: neither of earlier ones, nor only of those that
// end while that worker lives.
func TestWebhookThatIsNew(t *testing.T) {
	ctx := context.Background()
	b := newBench(t, "")
	var told []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var n Notification
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
			t.Error(err)
		}
		told = append(told, n.RunID)
	}))
	defer server.Close()
	round := func(w *Worker, want ...string) {
		t.Helper()
		told = nil
		if err := w.notify(ctx, map[string]refusal{}); err != nil || !slices.Equal(told, want) {
			t.Errorf("told of %v, want %v; %v", told, want, err)
		}
	}
	ended := func() []string {
		t.Helper()
		runs, err := b.client.redis.ZRange(ctx, b.client.key.ended(b.store.ID()), 0, -1).Result()
		if err != nil {
			t.Fatal(err)
		}
		return runs
	}
	old := b.end(2)
	if !slices.Contains(ended(), old) {
		t.Fatalf("the run that ended before is not listed: %v", ended())
	}
	for at := time.Now().UnixMilli(); time.Now().UnixMilli() == at; { // the end of a run is known to the millisecond
		runtime.Gosched()
	}
	first := b.notifying(server.URL)
	second := b.end(1) // before the first round
	round(first, second)
	third := b.end(1) // while no worker has the webhook
	round(b.notifying(server.URL), third)
}

// A webhook that takes nothing is left alone for a while after each try, and keeps the reconciler from nothing.
func TestWebhookThatFails(t *testing.T) {
	ctx := context.Background()
	b := newBench(t, "")
	const runs = 3
	var asked, answer atomic.Int32
	answer.Store(http.StatusInternalServerError)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(int(answer.Load()))
	}))
	defer server.Close()
	w := b.notifying(server.URL)
	b.end(runs)
	w.reconcile(ctx)
	if n := asked.Load(); n != 0 {
		t.Fatalf("the reconciler asked the webhook %d times: one that hangs would keep it from its work", n)
	}

	refused := map[string]refusal{}
	if err := w.notify(ctx, refused); err == nil || asked.Load() != runs || len(refused) != runs {
		t.Errorf("a webhook that fails: got %v, asked %d times, put off %d runs", err, asked.Load(), len(refused))
	}
	if err := w.notify(ctx, refused); err != nil || asked.Load() != runs {
		t.Errorf("at once after that: got %v, asked %d times", err, asked.Load())
	}
	again := func() {
		for run, r := range refused {
			refused[run] = refusal{pause: r.pause}
		}
	}
	again()
	_ = w.notify(ctx, refused)
	for run, r := range refused {
		if r.pause != 2*notifyEvery {
			t.Errorf("run %s: the second pause is %v", run, r.pause)
		}
	}
	again()
	answer.Store(http.StatusOK)
	if err := w.notify(ctx, refused); err != nil || asked.Load() != 3*runs || len(refused) != 0 {
		t.Errorf("when it is well again: got %v, asked %d times, put off %d runs", err, asked.Load(), len(refused))
	}
}

// A webhook that does not answer is asked once in a round, for another worker may be waiting.
func TestWebhookThatIsSilent(t *testing.T) {
	b := newBench(t, "")
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	w := b.notifying(server.URL)
	b.end(3)
	refused := map[string]refusal{}
	if err := w.notify(context.Background(), refused); !errors.Is(err, errNoAnswer) || len(refused) != 1 {
		t.Errorf("got %v, put off %d runs", err, len(refused))
	}
	for range 20 {
		refuse(refused, "r")
	}
	if got := refused["r"].pause; got != notifyPause || time.Until(refused["r"].next) > notifyPause {
		t.Errorf("the longest pause is %v", got)
	}
}
