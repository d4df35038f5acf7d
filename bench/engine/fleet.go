package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

// childVariable in the environment makes this program a process of workers; it holds a role as JSON.
const childVariable = "HASHLINE_ENGINE_CHILD"

// role is what a process of workers is to do.
type role struct {
	Asynq   string // address: a bare asynq server instead, whose tasks last
	Lasts   time.Duration
	Redis   string // URL
	Store   string // directory; empty: none
	Workers int    // in this process, each with connections of its own
	Slots   int    // of each worker
	Poll    time.Duration
	Grace   time.Duration
	Profile string // file
}

// child is the process of workers: it says "ready", works until its standard input ends or SIGTERM, and exits.
func child() error {
	var r role
	if err := json.Unmarshal([]byte(os.Getenv(childVariable)), &r); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if r.Profile != "" {
		f, err := os.Create(r.Profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if r.Asynq != "" {
		return r.serveAsynq(ctx)
	}
	return r.work(ctx)
}

// asynqTask is the type of the tasks of asynq alone.
const asynqTask = "noop"

func (r role) serveAsynq(ctx context.Context) error {
	s := asynq.NewServer(asynq.RedisClientOpt{Addr: r.Asynq}, asynq.Config{Concurrency: r.Slots, TaskCheckInterval: 10 * time.Millisecond, LogLevel: asynq.ErrorLevel})
	if err := s.Start(asynq.HandlerFunc(func(ctx context.Context, _ *asynq.Task) error { return last(ctx, r.Lasts) })); err != nil {
		return err
	}
	fmt.Println("ready")
	<-ctx.Done()
	s.Shutdown()
	return nil
}

func (r role) work(ctx context.Context) error {
	registry, err := pipeline.NewRegistry(nil, kinds()...)
	if err != nil {
		return err
	}
	var store *artifact.Store
	if r.Store != "" {
		if store, err = artifact.Open(ctx, r.Store); err != nil {
			return err
		}
	}
	var group errgroup.Group
	for range r.Workers {
		conn, err := tasks.Dial(ctx, r.Redis)
		if err != nil {
			return err
		}
		defer conn.Close()
		w, err := tasks.NewWorker(tasks.Config{Conn: conn, Store: store, Registry: registry, Poll: r.Poll}, tasks.WorkerOptions{Concurrency: r.Slots, Grace: r.Grace})
		if err != nil {
			return err
		}
		fmt.Println("worker", w.ID())
		group.Go(func() error { return w.Run(ctx) })
	}
	fmt.Println("ready")
	return group.Wait()
}

// process is a running process of workers.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ids   []string // of its workers
}

// start returns when the process is ready to work.
func (b *bench) start(r role) (*process, error) {
	if r.Workers == 0 {
		r.Workers = 1
	}
	if b.profile != "" {
		r.Profile = filepath.Join(b.profile, "worker-"+strconv.FormatInt(time.Now().UnixNano(), 36)+".pprof")
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(program)}
	p.cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var id string
		if _, err := fmt.Sscanf(lines.Text(), "worker %s", &id); err == nil {
			p.ids = append(p.ids, id)
		}
		if lines.Text() == "ready" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return p, nil
		}
	}
	return nil, fmt.Errorf("the workers do not start: %w", p.cmd.Wait())
}

// stop lets the process end by itself.
func (p *process) stop() error {
	_ = p.stdin.Close()
	return p.cmd.Wait()
}
