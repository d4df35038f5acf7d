package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashline/hashline"
	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/artifact/s3"
	"github.com/hashline/hashline/internal/process"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/summary"
	"github.com/hashline/hashline/tasks"
)

// asCommand in the environment makes the test binary the command itself.
const asCommand = "TEST_AS_PRODUCER"

// running is a command at work.
type running struct {
	*process.Process
	t *testing.T
}

// start runs the command with a store of its own.
func start(t *testing.T, store string, args ...string) running {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "HOME="+store, "HASHLINE_STORE="+store)
	return running{process.Start(t, cmd), t}
}

// document is what submit --json printed.
func (p running) document() *summary.Document {
	p.t.Helper()
	return parseDocument(p.t, p.Out.String())
}

func parseDocument(t *testing.T, text string) *summary.Document {
	t.Helper()
	d := json.NewDecoder(bytes.NewBufferString(text))
	d.DisallowUnknownFields()
	var doc summary.Document
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("%v: %.300q", err, text)
	}
	if d.More() {
		t.Fatalf("more than one document: %.300q", text)
	}
	return &doc
}

// call runs the command in this process.
func call(t *testing.T, store string, args ...string) (out, stderr string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(append(args, "--store", store), bytes.NewReader(nil), &o, &e)
	return o.String(), e.String(), code
}

// customerFile writes the table of customers.
func customerFile(t *testing.T, rows int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "churn.csv")
	if err := os.WriteFile(path, customers(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// worker runs a worker of a store in this process until the test ends; change may replace what its kinds do.
func worker(t *testing.T, url, store, queue string, change func(*pipeline.Kind)) {
	t.Helper()
	kinds := stages.Kinds()
	for i := range kinds {
		if change != nil {
			change(&kinds[i])
		}
	}
	registry, err := pipeline.NewRegistry(pipeline.NewCode(hashline.Module, hashline.Sources, hashline.Modules), kinds...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := artifact.Open(t.Context(), store, s3.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tasks.Dial(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	w, err := tasks.NewWorker(tasks.Config{Conn: conn, Store: s, Registry: registry, Queue: queue}, tasks.WorkerOptions{Concurrency: 2, Grace: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = conn.Close()
	})
}

// unwritable is a standard output on a disk that is full.
type unwritable struct{}

func (unwritable) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A summary that cannot be printed is no success.
func TestSummaryThatCannotBePrinted(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--json", "--quiet"} {
		var stderr bytes.Buffer
		args := []string{"submit", customerFile(t, 60), "--target", "churned", "--only", "load_data", "--store", t.TempDir(), flag}
		if code := run(args, strings.NewReader(""), unwritable{}, &stderr); code != 1 || !strings.Contains(stderr.String(), "no space left on device") {
			t.Errorf("%s: got %d, %s", flag, code, &stderr)
		}
	}
}
