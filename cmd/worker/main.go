// Command worker runs stages from a Redis queue until it is told to stop; then it finishes what it has begun.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hashline/hashline"
	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/tasks"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		e := pipeline.AsError(err)
		if e.Class == pipeline.ClassStageFailed { // cobra's own complaints are about the command line
			e.Class = pipeline.ClassUsage
		}
		fmt.Fprintln(os.Stderr, "worker:", e.Message)
		if e.Hint != "" {
			fmt.Fprintln(os.Stderr, "        "+e.Hint)
		}
		os.Exit(pipeline.ExitCode(e.Class))
	}
}

// settings are the flags.
type settings struct {
	redis, store, queue string
	concurrency, cores  int
	grace               time.Duration
	logFormat, logLevel string
}

func command() *cobra.Command {
	var s settings
	c := &cobra.Command{
		Use:   "worker --redis URL --store DIR",
		Short: "Runs stages of Hashline pipelines from a Redis queue",
		Long: `Worker takes stages from a queue on Redis, runs them against the store, and publishes what they made.
Any number of workers may share a queue; each needs the same store as the producer.

On SIGTERM or Ctrl-C it takes no more stages, lets those in progress finish for the grace, hands the others over to
other workers, and exits with 0. Exit codes: 2 usage, 3 Redis or the store cannot be reached.

Environment: HASHLINE_REDIS and HASHLINE_STORE stand for the flags of these names.`,
		Args: cobra.NoArgs, SilenceErrors: true, SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error { return s.run(c.Context()) },
	}
	f := c.Flags()
	f.StringVar(&s.redis, "redis", os.Getenv("HASHLINE_REDIS"), "Redis `URL`: redis://host:port/db, rediss:// or unix://")
	f.StringVar(&s.store, "store", os.Getenv("HASHLINE_STORE"), "`directory` of the store, shared with the producer")
	f.StringVar(&s.queue, "queue", "", "queue to take stages from (default \"hashline\")")
	f.IntVar(&s.concurrency, "concurrency", runtime.GOMAXPROCS(0), "stages at a time")
	f.IntVar(&s.cores, "cores", runtime.GOMAXPROCS(0), "goroutines that one stage may keep busy")
	f.DurationVar(&s.grace, "grace", 20*time.Second, "how long stages may run on after SIGTERM")
	f.StringVar(&s.logFormat, "log-format", "text", "text or json")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	return c
}

func usage(message, hint string) error {
	return &pipeline.Error{Class: pipeline.ClassUsage, Message: message, Hint: hint}
}

func (s *settings) run(ctx context.Context) error {
	log, err := s.log()
	if err != nil {
		return err
	}
	switch {
	case s.redis == "":
		return usage("--redis is missing", "give the URL of the Redis that the producer submits to")
	case s.store == "":
		return usage("--store is missing", "give the directory of the store that the producer uses")
	case s.concurrency < 1 || s.concurrency > 1024:
		return usage(fmt.Sprintf("--concurrency is %d", s.concurrency), "want 1 to 1024")
	}
	store, err := artifact.Open(ctx, s.store)
	if err != nil {
		return err
	}
	conn, err := tasks.Dial(ctx, s.redis)
	if err != nil {
		return err
	}
	defer conn.Close()
	registry, err := pipeline.NewRegistry(pipeline.NewCode(hashline.Module, hashline.Sources, hashline.Modules), stages.Kinds()...)
	if err != nil {
		return err
	}
	w, err := tasks.NewWorker(tasks.Config{Conn: conn, Store: store, Registry: registry, Queue: s.queue, Log: log},
		tasks.WorkerOptions{Concurrency: s.concurrency, Cores: s.cores, Grace: s.grace})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

func (s *settings) log() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return nil, usage(fmt.Sprintf("--log-level %.40q is none", s.logLevel), "want debug, info, warn or error")
	}
	o := &slog.HandlerOptions{Level: level}
	switch s.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, o)), nil
	}
	return nil, usage(fmt.Sprintf("--log-format %.40q is none", s.logFormat), "want text or json")
}
