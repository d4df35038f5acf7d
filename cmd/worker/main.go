// Command worker runs stages from a Redis queue until it is told to stop; then it finishes what it has begun.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hashline/hashline"
	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/artifact/s3"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/tasks"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := command().ExecuteContext(ctx); err != nil {
		e := pipeline.AsError(err)
		fmt.Fprintln(os.Stderr, "worker:", plain(e.Message))
		if e.Hint != "" {
			fmt.Fprintln(os.Stderr, "        "+plain(e.Hint))
		}
		os.Exit(pipeline.ExitCode(e.Class))
	}
}

// plain makes what a terminal would obey visible and harmless.
func plain(s string) string {
	quoted := strconv.QuoteToGraphic(s)
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
}

// settings are the flags.
type settings struct {
	redis, store, queue string
	redisCA, prefix     string
	memory, webhook     string
	concurrency, cores  int
	grace               time.Duration
	logFormat, logLevel string
}

func command() *cobra.Command {
	var s settings
	c := &cobra.Command{
		Use:   "worker --redis URL --store PLACE",
		Short: "Runs stages of Hashline pipelines from a Redis queue",
		Long: `Worker takes stages from a queue on Redis, runs them against the store, and publishes what they made.
Any number of workers may share a queue; each needs the same store as the producer.

On SIGTERM or Ctrl-C it takes no more stages, lets those in progress finish for the grace, hands the others over to
other workers, and exits with 0; a second signal ends it at once, and others notice within seconds.
Exit codes: 2 usage, 3 Redis or the store cannot be reached.

The URL of Redis is one of
  redis://[user:password@]host:port/db            one server
  redis-sentinel://host,host,.../db?master=NAME   the master that Sentinels watch
  redis-cluster://host,host,...                   a Cluster
  unix:///path                                    one server, by its socket
and rediss, rediss-sentinel, rediss-cluster with TLS (?cert=FILE&key=FILE for a certificate of ours).

Environment: HASHLINE_REDIS, HASHLINE_REDIS_CA, HASHLINE_REDIS_PREFIX, HASHLINE_STORE, HASHLINE_QUEUE and HASHLINE_WEBHOOK stand for the
flags of these names, which go before them. HASHLINE_REDIS_USERNAME and HASHLINE_REDIS_PASSWORD are used where the URL has neither.
For a store on S3, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or the role of the machine give the credentials,
AWS_REGION the region unless the store's address does, and TMPDIR is where large tables pass through.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Sprintf("worker takes no argument such as %.60q", args[0]), "`worker --help` lists the flags")
			}
			return nil
		},
		SilenceErrors: true, SilenceUsage: true,
		Example: `  worker --redis redis://localhost:6379/0 --store /srv/hashline
  worker --redis redis://localhost:6379/0 --store /srv/hashline --concurrency 1 --log-format json
  worker --redis redis://redis:6379/0 --store 's3://tables/hashline?endpoint=http://minio:9000'`,
		RunE: func(c *cobra.Command, _ []string) error {
			s.redis = cmp.Or(s.redis, os.Getenv("HASHLINE_REDIS"))
			s.redisCA = cmp.Or(s.redisCA, os.Getenv("HASHLINE_REDIS_CA"))
			s.prefix = cmp.Or(s.prefix, os.Getenv("HASHLINE_REDIS_PREFIX"))
			s.store = cmp.Or(s.store, os.Getenv("HASHLINE_STORE"))
			s.queue = cmp.Or(s.queue, os.Getenv("HASHLINE_QUEUE"))
			s.webhook = cmp.Or(s.webhook, os.Getenv("HASHLINE_WEBHOOK"))
			return s.run(c.Context())
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err.Error(), "`worker --help` lists the flags") })
	f := c.Flags()
	f.StringVar(&s.redis, "redis", "", "Redis `URL`, see above")
	f.StringVar(&s.redisCA, "redis-ca", "", "PEM `file` with the CA of Redis' certificate (default: the system's)")
	f.StringVar(&s.prefix, "redis-prefix", "", "`text` that the names of keys begin with, as the producer's (default \"hashline\")")
	f.StringVar(&s.store, "store", "", "`place` of the store, shared with the producer: a directory, or s3://BUCKET/PREFIX?endpoint=http://HOST:PORT")
	f.StringVar(&s.queue, "queue", "", "`name` of the queue to take stages from (default \"hashline\")")
	f.IntVar(&s.concurrency, "concurrency", runtime.GOMAXPROCS(0), "`number` of stages at a time")
	f.IntVar(&s.cores, "cores", runtime.GOMAXPROCS(0), "`number` of goroutines that one stage may keep busy")
	f.StringVar(&s.memory, "memory", "", "`size`, such as 4GiB, that stages may declare to need at a time (default: what this process may have)")
	f.StringVar(&s.webhook, "webhook", "", "http or https `URL` that is sent a JSON summary of every run that ends from now on, for a day until it takes it; give it to all workers")
	f.DurationVar(&s.grace, "grace", 20*time.Second, "`duration` for which stages may run on after SIGTERM")
	f.StringVar(&s.logFormat, "log-format", "text", "`format` of the log: text or json")
	f.StringVar(&s.logLevel, "log-level", "info", "`level` of the log: debug, info, warn or error")
	return c
}

// parseSize reads a number of bytes with an optional unit of 1024s: K, M, G or T, also as KiB and the like. Nothing is 0.
func parseSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	digits := strings.TrimRight(text, "KMGTiB")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit := strings.TrimSuffix(strings.TrimSuffix(text[len(digits):], "B"), "i")
	shift := 10 * (strings.Index("KMGT", unit) + 1)
	if unit == "" {
		shift = 0
	}
	if err != nil || n <= 0 || len(unit) > 1 || shift < 0 || n > math.MaxInt64>>shift {
		return 0, usage(fmt.Sprintf("--memory is %.40q", text), "want a size such as 512MiB or 4GiB")
	}
	return n << shift, nil
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
		return usage("--store is missing", "give the directory or the s3:// address of the store that the producer uses")
	case s.concurrency < 1 || s.concurrency > 1024:
		return usage(fmt.Sprintf("--concurrency is %d", s.concurrency), "want 1 to 1024")
	case s.cores < 1 || s.cores > 1024:
		return usage(fmt.Sprintf("--cores is %d", s.cores), "want 1 to 1024")
	case s.grace < 0:
		return usage(fmt.Sprintf("--grace is %v", s.grace), "want a duration such as 20s")
	}
	memory, err := parseSize(s.memory)
	if err != nil {
		return err
	}
	store, err := artifact.Open(ctx, s.store, s3.Scheme)
	if err != nil {
		return err
	}
	conn, err := tasks.Dial(ctx, s.redis, tasks.WithCA(s.redisCA), tasks.WithPrefix(s.prefix),
		tasks.WithCredentials(os.Getenv("HASHLINE_REDIS_USERNAME"), os.Getenv("HASHLINE_REDIS_PASSWORD")))
	if err != nil {
		return err
	}
	defer conn.Close()
	registry, err := pipeline.NewRegistry(pipeline.NewCode(hashline.Module, hashline.Sources, hashline.Modules), stages.Kinds()...)
	if err != nil {
		return err
	}
	s.grace = max(s.grace, time.Nanosecond) // 0 stands for the default there
	w, err := tasks.NewWorker(tasks.Config{Conn: conn, Store: store, Registry: registry, Queue: s.queue, Log: log, Webhook: s.webhook},
		tasks.WorkerOptions{Concurrency: s.concurrency, Cores: s.cores, Memory: memory, Grace: s.grace})
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
