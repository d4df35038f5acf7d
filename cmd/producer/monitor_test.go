package main

import (
	"context"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

// browser opens a tab whose console errors end up in what the returned function gives.
func browser(t *testing.T) (context.Context, func() []string) {
	t.Helper()
	program := needs.Tool(t, "chromium", "chromium-browser", "google-chrome")
	ctx, cancel := chromedp.NewContext(t.Context(), chromedp.WithAllocatorOptions(chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.WSURLReadTimeout(time.Minute)))
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	var mu sync.Mutex
	var errors []string
	console := chromedp.Console(ctx)
	go func() {
		for m, err := range console {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException {
				mu.Lock()
				errors = append(errors, m.URL+": "+m.Text)
				mu.Unlock()
			}
		}
	}()
	return ctx, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return errors
	}
}

// The monitor shows the tasks of a run in a browser while the run goes on.
func TestMonitorShowsRun(t *testing.T) {
	t.Parallel()
	tab, consoleErrors := browser(t)
	url, store := needs.Redis(t).URL(), t.TempDir()
	release := make(chan struct{})
	worker(t, url, store, "", func(k *pipeline.Kind) {
		if k.Name == "preprocess" { // so that the run goes on for as long as the test looks at it
			inner := k.Run
			k.Run = func(ctx context.Context, c *pipeline.Call) error {
				<-release
				return inner(ctx, c)
			}
		}
	})
	let := sync.OnceFunc(func() { close(release) })
	t.Cleanup(let)
	p := start(t, store, "submit", customerFile(t, 100), "--target", "churned", "--redis", url, "--json")
	p.Await("STEP_START +preprocess") // which the worker runs in the task of load_data, or in one of its own
	id := regexp.MustCompile(`run ([0-9a-z-]+)`).FindStringSubmatch(p.Err.String())[1]

	m := start(t, store, "monitor", "--redis", url, "--listen", "127.0.0.1:0")
	address := m.AwaitOut(`http://127\.0\.0\.1:[0-9]+/`)
	looking, stop := context.WithTimeout(tab, time.Minute)
	defer stop()
	if err := chromedp.Do(looking, chromedp.Navigate(address), chromedp.WaitVisible(`//*[contains(text(), "hashline")]`),
		chromedp.Navigate(address+"queues/hashline?status=active"), chromedp.WaitVisible(`//table//*[contains(., "`+id+`") and (contains(., "load_data") or contains(., "preprocess")) and contains(., "Running")]`)); err != nil {
		text, _ := chromedp.Run(tab, chromedp.Evaluate[string]("document.body.innerText"))
		where, _ := chromedp.Run(tab, chromedp.Location())
		t.Fatalf("%v: at %s: %s %q", err, where, text, consoleErrors())
	}
	for _, e := range consoleErrors() {
		if !strings.Contains(e, "fonts.googleapis.com") { // blocked on purpose
			t.Error(e)
		}
	}
	foreign, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	foreign.Host = "example.com"
	answer, err := http.DefaultClient.Do(foreign)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign host got %d", answer.StatusCode)
	}

	let()
	if p.Wait() != 0 {
		t.Error(p.Err)
	}
	m.Signal(os.Interrupt)
	if got := m.Wait(); got != 0 {
		t.Errorf("monitor ended with %d: %s", got, m.Err)
	}
}
