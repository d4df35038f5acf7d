package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

func TestSubmitWaitsForWorkers(t *testing.T) {
	t.Parallel()
	url, store := needs.Redis(t).URL(), t.TempDir()
	p := start(t, store, "submit", customerFile(t, 100), "--target", "churned", "--redis", url, "--json")
	p.Await("waiting: no worker is alive; start one with `worker --redis URL --store '.*'`")
	worker(t, url, t.TempDir(), "", nil)
	p.Await("waiting: no worker that is alive uses the store .* \\(id [0-9a-f]{32}\\)")
	worker(t, url, store, "", nil)
	if got := p.Wait(); got != 0 {
		t.Fatalf("got exit code %d: %s", got, p.Err)
	}
	if d := p.document(); d.Status != pipeline.Succeeded || d.Mode != redisMode || d.Counts.Computed != d.Counts.Stages {
		t.Errorf("got %s, mode %s, %+v", d.Status, d.Mode, d.Counts)
	}
}

func TestInterruptCancels(t *testing.T) {
	t.Parallel()
	url, store := needs.Redis(t).URL(), t.TempDir()
	worker(t, url, store, "", func(k *pipeline.Kind) {
		if k.Name == "preprocess" {
			k.Run = func(ctx context.Context, _ *pipeline.Call) error {
				<-ctx.Done()
				return context.Cause(ctx)
			}
		}
	})
	p := start(t, store, "submit", customerFile(t, 100), "--target", "churned", "--redis", url, "--json")
	p.Await("STEP_START +preprocess")
	p.Signal(os.Interrupt)
	if got := p.Wait(); got != exitInterrupted {
		t.Fatalf("got exit code %d: %s", got, p.Err)
	}
	p.Await("canceling the run; once more to leave at once")
	d := p.document()
	if d.Status != pipeline.Canceled || d.ExitCode != exitInterrupted || d.Error == nil || d.Error.Class != pipeline.ClassCanceled {
		t.Errorf("got %s, exit code %d, %+v", d.Status, d.ExitCode, d.Error)
	}
	if got := d.Stages[1].Status; got != pipeline.Canceled {
		t.Errorf("preprocess: got %s, want %s", got, pipeline.Canceled)
	}
	if out, _, _ := call(t, store, "runs", "--redis", url); !strings.Contains(out, pipeline.Canceled) {
		t.Errorf("runs: got %s", out)
	}
}

func TestSecondInterruptLeaves(t *testing.T) {
	t.Parallel()
	url, store := needs.Redis(t).URL(), t.TempDir()
	release := make(chan struct{})
	worker(t, url, store, "", func(k *pipeline.Kind) {
		if k.Name == "preprocess" {
			k.Run = func(context.Context, *pipeline.Call) error { // deaf
				<-release
				return nil
			}
		}
	})
	t.Cleanup(func() { close(release) })
	p := start(t, store, "submit", customerFile(t, 100), "--target", "churned", "--redis", url, "--json")
	p.Await("STEP_START +preprocess")
	p.Signal(os.Interrupt)
	p.Await("canceling the run")
	p.Signal(os.Interrupt)
	if got := p.Wait(); got != exitInterrupted {
		t.Fatalf("got exit code %d: %s", got, p.Err)
	}
	if d := p.document(); d.Status != pipeline.Interrupted || d.RunID == "" || d.Error.Class != pipeline.ClassCanceled {
		t.Errorf("got %s, %+v", d.Status, d.Error)
	}
}

func TestDetach(t *testing.T) {
	t.Parallel()
	url, store := needs.Redis(t).URL(), t.TempDir()
	p := start(t, store, "submit", customerFile(t, 100), "--target", "churned", "--redis", url, "--queue", "other", "--detach", "--json")
	if got := p.Wait(); got != 0 {
		t.Fatalf("got exit code %d: %s", got, p.Err)
	}
	d := p.document()
	if d.Status != "DETACHED" || d.FinishedAt != nil || d.Error != nil {
		t.Errorf("got %+v", d)
	}
	id := string(d.RunID)
	if out, _, _ := call(t, store, "show", id, "--redis", url); !strings.Contains(out, pipeline.Running) {
		t.Errorf("show: got %s", out)
	}
	if out, _, _ := call(t, store, "show", id, "--redis", url); !matches(`(?m)^time +[0-9.]+ s so far; `, out) || strings.Contains(out, " 0.000 s so far") {
		t.Errorf("the time of a run that is not over: got %s", out)
	}
	// Under another prefix there is no trace of the run: nobody says that it was interrupted, which a worker of the store could tell.
	other := []string{"--redis", url, "--redis-prefix", "mistyped"}
	if out, _, _ := call(t, store, append([]string{"runs"}, other...)...); !matches(id+` +UNKNOWN`, out) {
		t.Errorf("runs under another prefix: got %s", out)
	}
	if out, stderr, code := call(t, store, append([]string{"show", id}, other...)...); code != 0 || !strings.Contains(out, "UNKNOWN") || !strings.Contains(stderr, "give the --redis and --redis-prefix that it was submitted with") {
		t.Errorf("show under another prefix: got %d, %s%s", code, out, stderr)
	}
	if _, stderr, code := call(t, store, append([]string{"cancel", id}, other...)...); code != 2 || !strings.Contains(stderr, "Redis has no trace of run "+id) {
		t.Errorf("cancel under another prefix: got %d, %s", code, stderr)
	}
	if _, stderr, code := call(t, store, "events", id); code != 2 || !strings.Contains(stderr, "is not over; its events are in Redis") {
		t.Errorf("events without --redis: got %d, %s", code, stderr)
	}
	if out, _, code := call(t, store, "events", id, "--redis", url); code != 0 || !strings.Contains(out, "RUN_ENQUEUED") || strings.Contains(out, "RUN_SUCCESS") {
		t.Errorf("events so far: got %d, %s", code, out)
	}
	follower := start(t, store, "events", id, "--redis", url, "--follow")
	worker(t, url, store, "other", nil)
	if got := follower.Wait(); got != 0 || !strings.Contains(follower.Out.String(), "RUN_SUCCESS") {
		t.Errorf("events --follow: got %d, %s%s", got, follower.Out, follower.Err)
	}
	if out, stderr, _ := call(t, store, "show", id, "--redis", url); !strings.Contains(out, pipeline.Succeeded) {
		t.Errorf("show: got %s%s", out, stderr)
	}
	if out, _, _ := call(t, store, "submit", customerFile(t, 100), "--target", "churned", "--redis", url, "--queue", "other", "--detach"); !strings.Contains(out, "is submitted") {
		t.Errorf("in words: got %s", out)
	}
}

func TestPasswordStaysSecret(t *testing.T) {
	t.Parallel()
	const password = "swordfish"
	addr, store := needs.Redis(t, "--requirepass", password).Addr, t.TempDir()
	for _, c := range []struct{ name, url string }{{"wrong", "redis://:guess@" + addr}, {"none", "redis://" + addr}} {
		out, stderr, code := call(t, store, "submit", "--redis", c.url)
		if code != 3 || !strings.Contains(stderr, "refuses: ") || strings.Contains(out+stderr, "guess") {
			t.Errorf("%s password: got %d, %s", c.name, code, stderr)
		}
	}
	url := "redis://:" + password + "@" + addr
	worker(t, url, store, "", nil)
	if p := start(t, store, "submit", customerFile(t, 100), "--target", "churned", "--redis", url, "--json"); p.Wait() != 0 {
		t.Fatal(p.Err)
	}
	err := filepath.WalkDir(store, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), password) || strings.Contains(string(b), addr) {
			t.Errorf("%s holds where Redis is", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A server that takes connections and says nothing is as good as none.
func TestSilentRedis(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, _, code := call(t, t.TempDir(), "submit", "--json", "--redis", "redis://"+l.Addr().String())
	if d := parseDocument(t, out); code != 3 || d.Error.Class != pipeline.ClassUnreachable || !strings.Contains(d.Error.Message, "in time") {
		t.Errorf("got %d, %+v", code, d.Error)
	}
}

// A stage that fails ends the command with 1, and the document names the stage.
func TestStageFails(t *testing.T) {
	t.Parallel()
	url, store := needs.Redis(t).URL(), t.TempDir()
	worker(t, url, store, "", func(k *pipeline.Kind) {
		if k.Name == "eda" {
			k.Run = func(context.Context, *pipeline.Call) error { return errors.New("out of luck\nproducer: forged") }
		}
	})
	p := start(t, store, "submit", customerFile(t, 100), "--target", "churned", "--redis", url, "--json", "--out", filepath.Join(store, "out"))
	if got := p.Wait(); got != 1 {
		t.Fatalf("got exit code %d: %s", got, p.Err)
	}
	d := p.document()
	if d.Status != pipeline.Failed || d.ExitCode != 1 || d.Error == nil || d.Error.Class != pipeline.ClassStageFailed || d.Error.Stage != "eda" {
		t.Errorf("got %s, %d, %+v", d.Status, d.ExitCode, d.Error)
	}
	for _, wrong := range checkContract("document", wholeContract(), parseJSON(p.Out.String())) {
		t.Error(wrong)
	}
	if len(d.Models) != 3 || d.Counts.Failed != 1 || d.Counts.Skipped != 1 {
		t.Errorf("what did not need the stage went on: got %d models, %+v", len(d.Models), d.Counts)
	}
	words := start(t, store, "submit", customerFile(t, 100), "--target", "churned", "--redis", url, "--quiet")
	if got := words.Wait(); got != 1 || words.Err.String() != "producer: out of luck; producer: forged\n" {
		t.Errorf("got %d, %q", got, words.Err)
	}
	if !strings.Contains(words.Out.String(), "1 failed, 1 skipped") {
		t.Errorf("got %s", words.Out)
	}
}

// TLS with a CA of one's own, a user with the rights of the documentation and a prefix, from flags and from the environment.
func TestRedisWithUserOverTLS(t *testing.T) {
	c, store := needs.NewCertificates(t), t.TempDir()
	user := strings.Fields("app on >secret ~team:* ~asynq:* resetchannels &team:* &asynq:* +@all -@admin -@dangerous +info")
	s := needs.RedisTLS(t, c, append([]string{"--tls-auth-clients", "no", "--user"}, user...)...)
	worker(t, "rediss://app:secret@"+s.Addr+"?prefix=team&ca="+c.CA, store, "", nil)
	t.Setenv("HASHLINE_REDIS_USERNAME", "app")
	t.Setenv("HASHLINE_REDIS_PASSWORD", "secret")
	t.Setenv("HASHLINE_REDIS_PREFIX", "team")
	p := start(t, store, "submit", customerFile(t, 100), "--target", "churned", "--redis", "rediss://"+s.Addr, "--redis-ca", c.CA, "--json")
	if p.Wait() != 0 {
		t.Fatal(p.Err)
	}
	_, stderr, code := call(t, store, "submit", "--redis", "rediss://"+s.Addr)
	if code != 3 || !strings.Contains(stderr, "certificate to trust") || !strings.Contains(stderr, "ca=FILE") {
		t.Errorf("without the CA: got %d, %s", code, stderr)
	}
}

// A run that no replica has is one that a failure may take away: the command says so, and goes on.
func TestSilentReplicaIsWarnedOf(t *testing.T) {
	t.Parallel()
	master, store := needs.Redis(t), t.TempDir()
	host, port, _ := net.SplitHostPort(master.Addr)
	replica := needs.Redis(t, "--replicaof", host, port, "--repl-diskless-sync-delay", "0")
	replica.Await([]string{"master_link_status:up"}, "INFO", "replication")
	replica.Stop()
	out, stderr, code := call(t, store, "submit", customerFile(t, 100), "--target", "churned", "--redis", master.URL(), "--detach")
	if code != 0 || !strings.Contains(stderr, "producer: warning: no replica of Redis has confirmed") || !strings.Contains(out, "is submitted") {
		t.Errorf("got %d, %s%s", code, out, stderr)
	}
}
