package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

// engine is what runs the plan.
type engine struct {
	store    *artifact.Store
	registry *pipeline.Registry
	client   *tasks.Client
	mode     string
	config   tasks.Config
	close    func()
}

// engine connects to Redis, or starts one in this process.
func (s *submission) engine(ctx context.Context) (*engine, error) {
	store, err := s.openStore(ctx)
	if err != nil {
		return nil, err
	}
	registry, err := newRegistry()
	if err != nil {
		return nil, err
	}
	e := &engine{store: store, registry: registry, mode: redisMode}
	var conn *tasks.Conn
	if s.redis != "" {
		conn, err = s.dial(ctx)
	} else {
		e.mode = embeddedMode
		conn, err = tasks.StartEmbedded(ctx)
	}
	if err != nil {
		return nil, err
	}
	e.close = func() {
		if e.mode == redisMode { // an embedded one ends with the process, and so do its workers, which would miss it
			_ = conn.Close()
		}
	}
	e.config = tasks.Config{Conn: conn, Store: store, Registry: registry, Queue: s.queue}
	if e.mode == redisMode {
		e.config.Log = slog.New(warnings{s.err})
	}
	e.client, err = tasks.NewClient(e.config)
	return e, err
}

// work starts workers in this process. There are two at least, so that a stage that waits for the disk holds up nobody.
// input is the size of the table in bytes.
func (e *engine) work(ctx context.Context, input int64) error {
	tuneMemory(input)
	w, err := tasks.NewWorker(e.config, tasks.WorkerOptions{Concurrency: max(2, runtime.GOMAXPROCS(0)), ID: "embedded"})
	if err != nil {
		return err
	}
	go func() { _ = w.Run(ctx) }() // it ends with the process; what it had in progress is of no use to anybody
	return nil
}

// warnings is a log that tells a user what a client warns of.
type warnings struct{ out io.Writer }

func (w warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (w warnings) WithAttrs([]slog.Attr) slog.Handler               { return w }
func (w warnings) WithGroup(string) slog.Handler                    { return w }

func (w warnings) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && err != nil {
			text += ": " + err.Error()
		}
		return true
	})
	_, err := fmt.Fprintln(w.out, "producer: warning: "+plain(text))
	return err
}
