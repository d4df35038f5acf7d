package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hashline/hashline"
	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/internal/process"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/sample"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/tasks"
)

// asCommand in the environment makes the test binary the command itself.
const asCommand = "TEST_AS_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		os.Exit(0)
	}
	testscript.Main(m, map[string]func(){"worker": main})
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "script")})
}

func start(t *testing.T, args ...string) *process.Process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return process.Start(t, cmd)
}

// submit creates a run of the program's own data, with the tree alone, and returns a client and the run's id.
func submit(t *testing.T, url, store, queue string) (*tasks.Client, string) {
	t.Helper()
	ctx := t.Context()
	s, err := artifact.Open(ctx, store)
	if err != nil {
		t.Fatal(err)
	}
	data, err := sample.Superstore()
	if err != nil {
		t.Fatal(err)
	}
	input, err := s.PutBytes(ctx, data)
	if err != nil {
		t.Fatal(err)
	}
	spec := stages.Default()
	spec.Target = stages.SuperstoreTarget
	if err := spec.KeepModels([]string{stages.DecisionTree}); err != nil {
		t.Fatal(err)
	}
	plan, err := spec.Build(input)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tasks.Dial(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	registry, err := pipeline.NewRegistry(pipeline.NewCode(hashline.Module, hashline.Sources, hashline.Modules), stages.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tasks.NewClient(tasks.Config{Conn: conn, Store: s, Registry: registry, Queue: queue})
	if err != nil {
		t.Fatal(err)
	}
	id, err := client.Submit(ctx, tasks.Request{Plan: plan, Mode: "redis"})
	if err != nil {
		t.Fatal(err)
	}
	return client, id
}

func finish(t *testing.T, client *tasks.Client, id string) *pipeline.RunRecord {
	t.Helper()
	if err := client.Watch(t.Context(), id, "", func(pipeline.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	r, err := client.Record(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A worker that is told to stop in the middle of a run ends with 0 and loses nothing: another finishes the run.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			url, store := needs.Redis(t).URL(), t.TempDir()
			args := []string{"--redis", url, "--store", store, "--log-format", "json"}
			client, id := submit(t, url, store, "")
			first := start(t, args...)
			first.Await(`"stage started"`)
			first.Signal(signal)
			if code := first.Wait(); code != 0 || !strings.Contains(first.Err.String(), `"worker stops"`) {
				t.Errorf("got exit code %d, log %s", code, first.Err)
			}
			second := start(t, args...)
			r := finish(t, client, id)
			if r.Status != pipeline.Succeeded || r.ResultDigest == "" {
				t.Errorf("got %s, %v", r.Status, r.Error)
			}
			for _, s := range r.Stages {
				if s.Attempts > 2 {
					t.Errorf("%s took %d attempts", s.Name, s.Attempts)
				}
			}
			second.Signal(signal)
			if code := second.Wait(); code != 0 {
				t.Errorf("idle: got exit code %d", code)
			}
		})
	}
}

// The log is one JSON document a line, or text.
func TestLog(t *testing.T) {
	t.Parallel()
	url, store := needs.Redis(t).URL(), t.TempDir()
	asJSON := start(t, "--redis", url, "--store", store, "--log-format", "json", "--concurrency", "3", "--queue", "mine")
	var line struct {
		Time        time.Time
		Level       string
		Msg         string
		Worker      string
		Queue       string
		Concurrency int
	}
	d := json.NewDecoder(strings.NewReader(asJSON.Await(".*worker started.*")))
	if err := d.Decode(&line); err != nil || line.Level != "INFO" || line.Queue != "mine" || line.Concurrency != 3 || line.Worker == "" || line.Time.IsZero() {
		t.Errorf("got %+v, %v", line, err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Errorf("more on the line: %v", err)
	}
	client, id := submit(t, url, store, "mine")
	if r := finish(t, client, id); r.Status != pipeline.Succeeded {
		t.Errorf("got %s", r.Status)
	}
	asJSON.Signal(syscall.SIGTERM)
	asJSON.Wait()
	for l := range strings.Lines(asJSON.Err.String()) {
		if !json.Valid([]byte(l)) {
			t.Errorf("no JSON: %s", l)
		}
	}
	text := start(t, "--redis", url, "--store", store)
	if l := text.Await(".*worker started.*"); !strings.Contains(l, "level=INFO") || !strings.Contains(l, "queue=hashline") {
		t.Errorf("got %s", l)
	}
	quiet := start(t, "--redis", url, "--store", store, "--log-level", "error")
	client, id = submit(t, url, store, "")
	finish(t, client, id)
	quiet.Signal(syscall.SIGTERM)
	quiet.Wait()
	if log := quiet.Err.String(); log != "" {
		t.Errorf("got %q", log)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "1": 1, "1000000": 1000000, "2K": 2048, "512MiB": 512 << 20, "4GiB": 4 << 30, "4GB": 4 << 30, "1T": 1 << 40, "7B": 7,
		"x": -1, "-1": -1, "0": -1, "4GG": -1, "1.5G": -1, "GiB": -1, "9999999999G": -1, "4 G": -1} {
		got, err := parseSize(text)
		if want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
}
