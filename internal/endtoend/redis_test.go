package endtoend

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

// server is a Redis of one test's own, which may be ended and started again.
type server struct {
	t             *testing.T
	program, addr string
	args          []string
	cmd           *exec.Cmd
}

func newServer(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{t: t, program: needs.Tool(t, "redis-server"), addr: freeAddr(t), args: append(args, "--dir", t.TempDir())}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) start() { s.cmd = startRedis(s.t, s.program, s.addr, s.args...) }

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *server) url() string { return "redis://" + s.addr + "/0" }

// do sends a command without arguments and returns the answer, such as +OK.
func (s *server) do(command string) string {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// Redis loses the run: the command says so and what to do, and what was finished is found when it is done.
func TestRedisIsEmptied(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	w.redis = s.url()
	w.worker(1)
	p := w.submitting(slow...)
	p.await(started("train:random_forest"))
	if got := s.do("FLUSHALL"); got != "+OK" {
		t.Fatal(got)
	}
	d := p.answer()
	if d.ExitCode != 3 || d.Status != pipeline.Interrupted || d.Error == nil || d.Error.Class != pipeline.ClassUnreachable || !strings.Contains(d.Error.Hint, "submit again") {
		t.Errorf("exit code %d, status %s, error %+v", d.ExitCode, d.Status, d.Error)
	}
	if status := w.runsOf()[d.RunID]; status != pipeline.Interrupted {
		t.Errorf("runs says %s", status)
	}
	again := w.submit(slow...)
	for _, name := range []string{"load_data", "preprocess", "split_data"} {
		if cache := stageOf(t, again, name).Cache; cache != pipeline.CacheHit {
			t.Errorf("%s is a %s", name, cache)
		}
	}
}

// Redis is killed while a stage runs and comes back with its log: the run goes on as if nothing had been.
func TestRedisRestarts(t *testing.T) {
	w := newWorld(t)
	s := newServer(t, "--appendonly", "yes", "--appendfsync", "always")
	w.redis = s.url()
	w.worker(1)
	p := w.submitting(slow...)
	p.await(started("train:random_forest"))
	s.kill()
	s.start()
	d := p.succeeded()
	for _, st := range d.Stages {
		if st.Attempts != 1 {
			t.Errorf("stage %s took %d attempts", st.Name, st.Attempts)
		}
	}
	if lost := p.stagesOf(pipeline.WorkerLost); len(lost) > 0 {
		t.Errorf("lost %v", lost)
	}
}
