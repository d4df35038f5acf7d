package endtoend

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/internal/process"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/summary"
)

// flush empties a Redis.
func flush(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "FLUSHALL\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "+OK\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
}

// Redis loses the run: the command says so and what to do, and what was finished is found when it is done.
func TestRedisIsEmptied(t *testing.T) {
	w := newWorld(t)
	s := needs.Redis(t)
	w.redis = s.URL()
	w.worker(1)
	p := w.submitting(slow...)
	p.Await(started("train:random_forest"))
	flush(t, s.Addr)
	d := p.answer()
	if d.ExitCode != 3 || d.Status != pipeline.Interrupted || d.Error == nil || d.Error.Class != pipeline.ClassUnreachable || !strings.Contains(d.Error.Hint, "submit again") {
		t.Errorf("exit code %d, status %s, error %+v", d.ExitCode, d.Status, d.Error)
	}
	status := summary.Unknown
	for deadline := time.Now().Add(process.Patience); status == summary.Unknown && time.Now().Before(deadline); { // until the worker's next heartbeat this may be another Redis
		status = w.runsOf()[d.RunID]
	}
	if status != pipeline.Interrupted {
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
	s := needs.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	w.redis = s.URL()
	w.worker(1)
	p := w.submitting(slow...)
	p.Await(started("train:random_forest"))
	s.Kill()
	s.Restart()
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
