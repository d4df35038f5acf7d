// Package process runs programs for tests that wait for what they say.
package process

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"
)

// Patience is what a test waits for an event at most; only a failure meets it.
const Patience = 2 * time.Minute

// Process is a running program. It is for use by the goroutine of its test.
type Process struct {
	Out, Err *Output // what it writes to standard output and standard error

	t      testing.TB
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start runs a command in the background. The test kills it at its end at the latest.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{t: t, cmd: cmd, Out: newOutput(), Err: newOutput(), exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.Out, p.Err
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(p.Kill)
	return p
}

// Await returns when standard error matches a pattern, with what does. The test fails when it ends without.
func (p *Process) Await(pattern string) string { p.t.Helper(); return p.await(p.Err, pattern) }

// AwaitOut is Await for standard output.
func (p *Process) AwaitOut(pattern string) string { p.t.Helper(); return p.await(p.Out, pattern) }

func (p *Process) await(o *Output, pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	limit := time.After(Patience)
	for over := false; ; {
		text, more := o.now()
		if loc := re.FindStringIndex(text); loc != nil {
			return text[loc[0]:loc[1]]
		}
		if over {
			p.t.Fatalf("%v ended without %q:\n%s%s", p.cmd.Args, pattern, p.Out, p.Err)
		}
		select {
		case <-more:
		case <-p.exited:
			over = true
		case <-limit:
			p.t.Fatalf("%v: no %q within %v:\n%s", p.cmd.Args, pattern, Patience, text)
		}
	}
}

// Wait waits for the end and returns the exit code; -1 after a signal.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(Patience):
		p.t.Fatalf("%v does not end:\n%s", p.cmd.Args, p.Err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Kill ends the process as a crash would, and returns when it is gone.
func (p *Process) Kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
	<-p.exited
}

// Output collects what a process writes, and tells those who wait for more. It is safe for concurrent use.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed by the next Write
}

func newOutput() *Output { return &Output{more: make(chan struct{})} }

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

// String returns what was written so far.
func (o *Output) String() string {
	text, _ := o.now()
	return text
}

func (o *Output) now() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.more
}
