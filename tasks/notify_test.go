package tasks

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// A webhook that takes nothing is left alone for a while after each try, and keeps the reconciler from nothing.
func TestWebhookThatFails(t *testing.T) {
	ctx := context.Background()
	b := newBench(t, "")
	_, stop := b.worker(WorkerOptions{Concurrency: 1})
	const runs = 3
	for range runs {
		b.wait(b.submit(diamond()))
	}
	stop()
	var asked, answer atomic.Int32
	answer.Store(http.StatusInternalServerError)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(int(answer.Load()))
	}))
	defer server.Close()
	b.config.Webhook = server.URL
	w, err := NewWorker(b.config, WorkerOptions{})
	if err != nil {
		t.Fatal(err)
	}
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
	_, stop := b.worker(WorkerOptions{Concurrency: 1})
	for range 3 {
		b.wait(b.submit(diamond()))
	}
	stop()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	b.config.Webhook = server.URL
	w, err := NewWorker(b.config, WorkerOptions{})
	if err != nil {
		t.Fatal(err)
	}
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
