package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

// schedulerProcess is one call of schedule run.
type schedulerProcess struct {
	*app
	queue    string
	poll     time.Duration
	folders  []string
	store    *artifact.Store
	registry *pipeline.Registry
}

func (a *app) scheduleRunCommand() *cobra.Command {
	s := &schedulerProcess{app: a}
	c := &cobra.Command{
		Use: "run", Short: "Submit what schedules ask for, until it is told to stop", Args: cobra.NoArgs, Annotations: map[string]string{handlesSignals: "yes"},
		Long: `Run is the scheduler process. It submits the runs of the schedules of its store and queue; workers do the work. Start two
or more, on different machines, and one that dies is not missed.

Schedules come from Redis, and what they read ends in the store. So a scheduler reads files only below its --files folders.`,
		Example: `  producer schedule run --redis redis://localhost:6379/0 --store /srv/hashline --files /srv/inbox --files /srv/sales`,
		RunE: func(c *cobra.Command, _ []string) error {
			if s.poll < 0 {
				return usage("--poll is %v", s.poll).WithHint("want a duration such as 1s")
			}
			return s.run(c.Context())
		},
	}
	c.Flags().StringVar(&s.queue, "queue", "", "`name` of the queue that the runs go to (default \"hashline\")")
	c.Flags().DurationVar(&s.poll, "poll", time.Second, "`duration` between looks for what is due")
	c.Flags().StringArrayVar(&s.folders, "files", []string{"."}, "`folder` that schedules may read files from (repeatable; default the working directory)")
	return c
}

func (s *schedulerProcess) run(ctx context.Context) error {
	for i, f := range s.folders {
		path, err := filepath.Abs(f)
		if err != nil {
			return err
		}
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			return usage("--files: there is no folder %s that can be read", path).WithHint("make it, or name the folder with the files that schedules submit")
		}
		s.folders[i] = path
	}
	ctx, stop := s.interruptible(ctx)
	defer stop()
	client, err := s.scheduleClient(ctx, s.openStore, s.queue, slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return interrupted(ctx, err)
	}
	if s.store, err = s.openStore(ctx); err != nil {
		return err
	}
	if s.registry, err = newRegistry(); err != nil {
		return err
	}
	scheduler, err := tasks.NewScheduler(client, tasks.SchedulerOptions{Submit: s.request, MayRead: s.mayRead, Poll: s.poll, Told: s.told})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "scheduler %s reads files below %s\n", scheduler.ID(), plain(strings.Join(s.folders, ", ")))
	return scheduler.Run(ctx) // a signal is how it ends well
}

// mayRead refuses paths outside the folders.
func (s *schedulerProcess) mayRead(path string) error {
	for _, folder := range s.folders {
		if rel, err := filepath.Rel(folder, path); err == nil && filepath.IsLocal(rel) {
			return nil
		}
	}
	return usage("%s lies below none of the folders that this scheduler reads (%s)", path, strings.Join(s.folders, ", ")).WithHint("start it with --files and the folder")
}

func (s *schedulerProcess) told(schedule tasks.Schedule, r tasks.TickRecord) {
	line := fmt.Sprintf("%s  %s %s %s", time.Now().Format("15:04:05.000"), schedule.Name, r.Key, r.Status)
	if r.Run != "" {
		line += " run " + r.Run
	}
	if r.Message != "" {
		line += " " + r.Message
	}
	fmt.Fprintln(s.err, plain(line))
}

// request makes of a tick what submit makes of its command line.
func (s *schedulerProcess) request(ctx context.Context, t tasks.Tick) (tasks.Request, error) {
	var sub scheduled
	if err := json.Unmarshal(t.Schedule.Submission, &sub); err != nil {
		return tasks.Request{}, usage("the schedule's submission cannot be read: %v", err)
	}
	zone, err := time.LoadLocation(t.Schedule.Zone)
	if err != nil {
		return tasks.Request{}, usage("the schedule's zone: %v", err)
	}
	at := t.Time.In(zone)
	own, err := sub.submission(s.app, at)
	if err != nil {
		return tasks.Request{}, err
	}
	src, err := s.source(ctx, t, sub, at)
	if err != nil {
		return tasks.Request{}, err
	}
	defer src.close()
	own.document = s.rejected(src.name)
	spec, err := own.look(src)
	if err != nil {
		return tasks.Request{}, err
	}
	plan, err := own.plan(ctx, src, spec, s.store, s.registry)
	if err != nil {
		return tasks.Request{}, err
	}
	own.args = append([]string{"submit", src.name}, sub.Flags...)
	if src.builtin {
		own.args = append([]string{"submit"}, sub.Flags...)
	}
	return own.request(plan, redisMode)
}

// source opens what a tick submits: the content that was seen, or the file as it is now.
func (s *schedulerProcess) source(ctx context.Context, t tasks.Tick, sub scheduled, at time.Time) (*source, error) {
	if t.Content != nil {
		blob, err := s.store.Open(ctx, *t.Content)
		if err != nil {
			return nil, err
		}
		src, err := newSource(t.Path, blob, blob.Close)
		if err != nil {
			_ = blob.Close()
		}
		return src, err
	}
	path, err := expand(sub.File, at)
	if err != nil {
		return nil, err
	}
	if path != "" {
		if err := s.mayRead(path); err != nil {
			return nil, err
		}
	}
	return s.openSource(ctx, path)
}
