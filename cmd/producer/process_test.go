package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/hashline/hashline"
	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/summary"
	"github.com/hashline/hashline/tasks"
)

// asCommand in the environment makes the test binary the command itself.
const asCommand = "TEST_AS_PRODUCER"

// output collects what a process writes, and tells those who wait for it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) next() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.more
}

// process is a running command.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err *output
	ended    chan struct{}
}

// start runs the command with a store of its own.
func start(t *testing.T, store string, args ...string) *process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(program, args...), out: newOutput(), err: newOutput(), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asCommand+"=1", "HOME="+store, "HASHLINE_STORE="+store)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

// await returns when standard error matches.
func (p *process) await(pattern string) { p.t.Helper(); p.find(p.err, pattern) }

// awaitLine returns what standard output has that matches.
func (p *process) awaitLine(pattern string) string { p.t.Helper(); return p.find(p.out, pattern) }

func (p *process) find(o *output, pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	for {
		text, more := o.next()
		if found := re.FindString(text); found != "" {
			return found
		}
		select {
		case <-more:
		case <-p.ended:
			if found := re.FindString(o.String()); found != "" {
				return found
			}
			p.t.Fatalf("it ended without %q: %s%s", pattern, p.out, p.err)
		case <-time.After(time.Minute):
			p.t.Fatalf("a minute went by without %q: %s", pattern, text)
		}
	}
}

// wait returns the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(2 * time.Minute):
		p.t.Fatalf("it does not end: %s", p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
}

// document is what submit --json printed.
func (p *process) document() *summary.Document {
	p.t.Helper()
	return parseDocument(p.t, p.out.String())
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
	s, err := artifact.Open(t.Context(), store)
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
