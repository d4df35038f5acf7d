package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

// onS3 starts a server and returns the location of a store there. Processes of the test find the credentials in their
// environment, which is why these tests do not run beside each other.
func onS3(t *testing.T) (*needs.Bucket, string) {
	t.Helper()
	b := needs.S3(t)
	for _, v := range b.Environment() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	return b, b.Location("team/a")
}

// Everything that works with a store in a directory works with one in a bucket.
func TestStoreInBucket(t *testing.T) {
	bucket, store := onS3(t)
	file, out := customerFile(t, 300), filepath.Join(t.TempDir(), "out")
	ok := func(args ...string) string {
		t.Helper()
		stdout, stderr, code := call(t, store, args...)
		if code != 0 {
			t.Fatalf("%v: exit code %d, %s", args, code, stderr)
		}
		return stdout
	}
	if _, stderr, code := call(t, store, "runs"); code != 2 || !strings.Contains(stderr, "there is no store in s3://bucket/team/a?endpoint=") {
		t.Errorf("before there is a store: exit code %d, %s", code, stderr)
	}
	first := parseDocument(t, ok("submit", file, "--target", "churned", "--json", "--out", out))
	id := string(first.RunID)
	if want := "s3://bucket/team/a/runs/" + id + "/report.html"; first.Status != pipeline.Succeeded || string(first.ReportPath) != want {
		t.Errorf("got %s, report %s, want %s", first.Status, first.ReportPath, want)
	}
	again := parseDocument(t, ok("submit", file, "--target", "churned", "--json", "--seed", "43"))
	if again.Counts.Cached == 0 || again.Counts.Computed == 0 {
		t.Errorf("with another seed: %+v", again.Counts)
	}
	report, err := os.ReadFile(filepath.Join(out, "report.html"))
	if err != nil || ok("get", id, "report") != string(report) {
		t.Errorf("the report that was written and the one in the store differ: %v", err)
	}
	if text := ok("runs"); !strings.Contains(text, id) || !strings.Contains(text, string(again.RunID)) {
		t.Errorf("runs: %s", text)
	}
	if text := ok("show", id[len(id)-6:]); !strings.Contains(text, "s3://bucket/team/a/runs/"+id) {
		t.Errorf("show: %s", text)
	}
	if text := ok("events", id); !strings.Contains(text, "RUN_SUCCESS") {
		t.Errorf("events: %s", text)
	}
	if text := ok("diff", id, string(again.RunID)); !strings.Contains(text, "seed") {
		t.Errorf("diff: %s", text)
	}
	if text := ok("predict", id, file); strings.Count(text, "\n") != 301 {
		t.Errorf("predict: %d lines", strings.Count(text, "\n"))
	}
	if text := ok("get", id, "record"); !json.Valid([]byte(text)) {
		t.Errorf("record: %s", text)
	}
	stored := bucket.File("team/a/runs/" + id)
	entries, err := os.ReadDir(stored)
	if err != nil || len(entries) < 3 {
		t.Fatalf("the run's documents: %v, %v", entries, err)
	}
	for _, e := range entries {
		if b, err := os.ReadFile(filepath.Join(stored, e.Name())); err != nil || strings.Contains(string(b), bucket.Secret) || strings.Contains(string(b), bucket.AccessKey) {
			t.Errorf("%s holds a secret, or cannot be read: %v", e.Name(), err)
		}
	}
}

// Workers that share the bucket do the work; one with a directory is told that it has another store.
func TestWorkersOnBucket(t *testing.T) {
	_, store := onS3(t)
	url, local := needs.Redis(t).URL(), t.TempDir()
	worker(t, url, local, "", nil)
	p := start(t, store, "submit", customerFile(t, 200), "--target", "churned", "--redis", url, "--json")
	p.Await("waiting: no worker that is alive uses the store s3://bucket/team/a\\?endpoint=http://127.0.0.1:[0-9]+&region=us-east-1 " +
		"\\(id [0-9a-f]{32}\\); start one with `worker --redis URL --store 's3://bucket/team/a\\?endpoint=.*'`")
	worker(t, url, store, "", nil)
	if got := p.Wait(); got != 0 {
		t.Fatalf("got exit code %d: %s", got, p.Err)
	}
	d := p.document()
	if d.Status != pipeline.Succeeded || d.Counts.Computed != d.Counts.Stages {
		t.Errorf("got %s, %+v", d.Status, d.Counts)
	}
	if text, _, _ := call(t, store, "events", string(d.RunID), "--redis", url); !strings.Contains(text, "it has another store") {
		t.Errorf("the events do not say that a worker has another store:\n%s", text)
	}
	if names, err := os.ReadDir(filepath.Join(local, "cas")); err == nil {
		t.Errorf("the worker with the other store wrote %v", names)
	}
}

// A run in the process of its command is told from one whose process died, on another machine too.
func TestDeadRunOnBucket(t *testing.T) {
	bucket, store := onS3(t)
	p := start(t, store, "submit", customerFile(t, 50_000), "--target", "churned", "--json")
	p.Await("STEP_START +load_data")
	p.Signal(syscall.SIGKILL)
	p.Wait()
	status := func() string {
		t.Helper()
		text, stderr, code := call(t, store, "runs", "--json")
		var d struct {
			Runs []struct {
				RunID  string `json:"run_id"`
				Status string
			}
		}
		if err := json.Unmarshal([]byte(text), &d); err != nil || code != 0 || len(d.Runs) != 1 {
			t.Fatalf("%v: %s%s", err, text, stderr)
		}
		lock := bucket.File("team/a/locks/run-" + d.Runs[0].RunID)
		old := time.Now().Add(-time.Minute)
		if err := os.Chtimes(lock, old, old); err != nil { // as if a minute had passed
			t.Fatal(err)
		}
		return d.Runs[0].Status
	}
	if got := status(); got != pipeline.Running {
		t.Errorf("just after its death: got %s, want %s", got, pipeline.Running)
	}
	if got := status(); got != pipeline.Interrupted {
		t.Errorf("a minute later: got %s, want %s", got, pipeline.Interrupted)
	}
}
