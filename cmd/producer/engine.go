package main

import (
	"context"
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
