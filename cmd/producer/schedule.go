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
	_ "time/tzdata" // a container may have none

	"github.com/spf13/cobra"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/summary"
	"github.com/hashline/hashline/tasks"
)

func (a *app) scheduleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "schedule",
		Short: "Submit by the clock, or whenever a file is new: add, list, show, pause, resume, remove, tick, backfill, run",
		Long: `A schedule submits a table to a pipeline at the times of a cron expression, or for every new content of a file or a
folder. Schedules live in Redis; "producer schedule run" is the process that submits. Any number of those may run: each tick
and each content makes exactly one run, and what one of them leaves behind when it dies, another takes up.`,
		Example: `  producer schedule add nightly sales-{date}.csv --cron '30 2 * * *' --zone Europe/Berlin --target 'Profit > 0'
  producer schedule add inbox --watch /srv/inbox --match '*.csv' --target churned
  producer schedule backfill nightly --from 2026-01-01 --to 2026-01-31
  producer schedule run --redis redis://localhost:6379/0 --files /srv`,
	}
	c.AddCommand(a.scheduleAddCommand(), a.scheduleListCommand(), a.scheduleShowCommand(), a.scheduleChangeCommand("pause", "Stop the ticks of schedules for a while", "paused", (*tasks.Schedules).Pause),
		a.scheduleChangeCommand("resume", "Let paused schedules go on", "resumed", (*tasks.Schedules).Resume), a.scheduleChangeCommand("remove", "Forget schedules; their runs stay", "removed", (*tasks.Schedules).Remove),
		a.scheduleTickCommand(), a.scheduleBackfillCommand(), a.scheduleRunCommand())
	return c
}

// schedules connects to the schedules in Redis, for a command that neither adds nor submits one.
func (a *app) schedules(ctx context.Context) (*tasks.Schedules, error) {
	client, err := a.scheduleClient(ctx, a.knownStore, "", nil)
	if err != nil {
		return nil, err
	}
	return client.Schedules(), nil
}

// scheduleClient connects to the Redis of schedules. Those that are added are the queue's and the store's.
func (a *app) scheduleClient(ctx context.Context, open func(context.Context) (*artifact.Store, error), queue string, log *slog.Logger) (*tasks.Client, error) {
	if a.redis == "" {
		return nil, usage("schedule needs --redis").WithHint("schedules live in Redis, and outlast this process")
	}
	store, err := open(ctx)
	if err != nil {
		return nil, err
	}
	return a.clientOf(ctx, store, queue, log)
}

// scheduled is what a schedule submits: the command line of submit, as far as it shapes the run.
type scheduled struct {
	Schema string `json:"schema"`
	File   string `json:"file"` // of a schedule with a timetable; empty: the data that the program carries
	summary.Shape
	Name     string        `json:"name,omitempty"`
	Tags     []string      `json:"tags,omitempty"`
	Priority int           `json:"priority,omitempty"`
	Timeout  time.Duration `json:"timeout,omitempty"`
	Attempts int           `json:"max_attempts,omitempty"`
}

const scheduledSchema = "hashline.scheduled/1"

// scheduleAdd is one call of schedule add.
type scheduleAdd struct {
	*app
	submission submission
	schedule   tasks.Schedule
	watch      tasks.Watch
	queue      string
	replace    bool
}

func (a *app) scheduleAddCommand() *cobra.Command {
	s := &scheduleAdd{app: a, submission: submission{app: a}}
	c := &cobra.Command{
		Use:   "add NAME [FILE] (--cron EXPRESSION | --watch PATH)",
		Short: "Add a schedule; without FILE, one with --cron submits the Superstore data that the program carries",
		Long: `Add stores a schedule in Redis. The flags that shape the pipeline are those of submit; a pipeline file is read now and
kept with the schedule. FILE and PATH are read by "producer schedule run", when the time has come.

In FILE, --name and --tag, {date} stands for the day of the tick as 2026-11-24, and {year}, {month}, {day}, {hour} and
{minute} for its parts, in the zone of the schedule.

With --cron, a time of day that is left out when the clocks change comes at the change, and one that comes twice counts
once; an expression with * as its hour follows real time. A tick is missed when no scheduler takes it within --grace. Of
missed ticks the latest is submitted (--missed once), none (skip), or each of the latest --missed-limit (all).

With --watch, what counts is content: the same bytes are submitted once, however the file is called and however often it
is touched. A file counts when it has not changed for --settle, or at once when it was moved into place. Names that begin
with a dot or end with .tmp, .part and the like never count.`,
		Example: `  producer schedule add nightly /srv/sales.csv --cron '30 2 * * *' --zone Europe/Berlin --target 'Profit > 0'
  producer schedule add quarterly --cron '@every 15m' --missed skip
  producer schedule add inbox --watch /srv/inbox --match '*.csv' --target churned --tag source=inbox`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error { return s.run(c, args) },
	}
	s.submission.flags(c)
	f := c.Flags()
	f.StringVar(&s.schedule.Cron, "cron", "", "`expression`: minute hour day month weekday, or @hourly, @daily, @weekly, @monthly, \"@every 15m\"")
	f.StringVar(&s.schedule.Zone, "zone", "", "time `zone` of the expression, such as Europe/Berlin (default UTC)")
	f.StringVar(&s.schedule.Missed, "missed", tasks.MissedOnce, "what becomes of missed ticks: once, skip or all")
	f.IntVar(&s.schedule.MissedLimit, "missed-limit", 100, "`number` of missed ticks that --missed all submits at most")
	f.DurationVar(&s.schedule.Grace, "grace", time.Minute, "`duration` after which a tick is missed")
	f.StringVar(&s.watch.Path, "watch", "", "`path` of a file or folder to watch")
	f.StringVar(&s.watch.Match, "match", "", "`pattern` for the names of files in the folder, such as *.csv")
	f.DurationVar(&s.watch.Every, "every", 2*time.Second, "`duration` between looks at the path")
	f.DurationVar(&s.watch.Settle, "settle", 5*time.Second, "`duration` for which a file must not have changed")
	f.BoolVar(&s.watch.NewOnly, "new-only", false, "leave out what is older than the schedule")
	f.StringVar(&s.submission.name, "name", "", "a `name` for the runs")
	f.StringArrayVar(&s.submission.tags, "tag", nil, "`KEY=VALUE` to keep with the runs (repeatable)")
	f.IntVar(&s.submission.priority, "priority", 0, "`number` from -100 to 100: stages of runs of a higher one go first")
	f.DurationVar(&s.submission.timeout, "timeout", 0, "`duration` after which a run fails (default none)")
	f.IntVar(&s.submission.attempts, "max-attempts", 1, "`number` of times that a stage may be tried which fails for another reason than bad input")
	f.StringVar(&s.queue, "queue", "", "`name` of the queue that the runs go to (default \"hashline\")")
	f.BoolVar(&s.replace, "replace", false, "take the place of a schedule of the same name; what it has submitted is not submitted again")
	return c
}

func (s *scheduleAdd) run(c *cobra.Command, args []string) error {
	ctx := c.Context()
	s.schedule.Name = args[0]
	sub := scheduled{Schema: scheduledSchema, Name: s.submission.name, Tags: s.submission.tags, Priority: s.submission.priority, Timeout: s.submission.timeout, Attempts: s.submission.attempts}
	if err := s.paths(c, args, &sub); err != nil {
		return err
	}
	if err := s.submission.check(); err != nil {
		return err
	}
	var err error
	if sub.Shape, err = shapeOf(c.Flags(), &s.submission.pipelineOptions); err != nil {
		return err
	}
	if err := s.schedule.Check(); err != nil {
		return err
	}
	if err := s.tryOut(ctx, sub); err != nil {
		return err
	}
	if s.schedule.Submission, err = json.Marshal(sub); err != nil {
		return err
	}
	client, err := s.scheduleClient(ctx, s.openStore, s.queue, nil)
	if err != nil {
		return err
	}
	list := client.Schedules()
	add := list.Add
	if s.replace {
		add = list.Replace
	}
	if err := add(ctx, s.schedule); err != nil {
		return err
	}
	state, err := list.Get(ctx, s.schedule.Name)
	if err != nil {
		return err
	}
	if err := s.tellNext(state); err != nil {
		return err
	}
	return s.tellSchedulers(ctx, list, []tasks.ScheduleState{*state})
}

// paths takes the file or the path to watch from the command line. A scheduler may work in another folder.
func (s *scheduleAdd) paths(c *cobra.Command, args []string, sub *scheduled) error {
	for _, f := range []string{"match", "every", "settle", "new-only"} {
		if s.watch.Path == "" && c.Flags().Changed(f) {
			return usage("--%s goes with --watch", f)
		}
	}
	for _, f := range []string{"zone", "missed", "missed-limit", "grace"} {
		if s.watch.Path != "" && c.Flags().Changed(f) {
			return usage("--%s goes with --cron", f)
		}
	}
	var err error
	if s.watch.Path != "" {
		if len(args) > 1 {
			return usage("a schedule that watches takes no FILE").WithHint("what it submits is what comes to the path")
		}
		if s.watch.Path, err = filepath.Abs(s.watch.Path); err != nil {
			return err
		}
		s.schedule.Watch = &s.watch
	} else if len(args) > 1 {
		if args[1] == "-" || args[1] == "" {
			return usage("a schedule takes no standard input").WithHint("give a file that a scheduler can read")
		}
		if sub.File, err = filepath.Abs(args[1]); err != nil {
			return err
		}
	}
	for _, text := range append([]string{sub.File, sub.Name}, sub.Tags...) {
		if _, err := expand(text, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// submission is the call of submit that the schedule stands for, at a tick.
func (sub *scheduled) submission(a *app, at time.Time) (*submission, error) {
	if sub.Schema != scheduledSchema {
		return nil, usage("the schedule's submission has the schema %.40q, want %s", sub.Schema, scheduledSchema).WithHint("add it again with this version of the program")
	}
	s, err := a.submissionOf(sub.Shape)
	if err != nil {
		return nil, err
	}
	s.priority, s.timeout, s.attempts = sub.Priority, sub.Timeout, sub.Attempts
	if s.name, err = expand(sub.Name, at); err != nil {
		return nil, err
	}
	for _, t := range sub.Tags {
		if t, err = expand(t, at); err != nil {
			return nil, err
		}
		s.tags = append(s.tags, t)
	}
	return s, nil
}

// tryOut finds before the first tick what submit would complain of: all of it when the file can be read here, else what
// does not depend on it.
func (s *scheduleAdd) tryOut(ctx context.Context, sub scheduled) error {
	try, err := sub.submission(s.app, time.Now())
	if err != nil {
		return err
	}
	try.document = s.rejected(sub.File)
	if s.schedule.Watch == nil {
		path, err := expand(sub.File, time.Now())
		if err != nil {
			return err
		}
		if info, err := os.Stat(path); path == "" || err == nil && info.Mode().IsRegular() {
			src, err := s.openSource(ctx, path)
			if err != nil {
				return err
			}
			defer src.close()
			_, err = try.look(src)
			return err
		}
		fmt.Fprintln(s.err, plain("producer: "+path+" cannot be read here; whether it fits the pipeline turns out at the tick"))
	}
	spec := stages.Default()
	if try.file != "" {
		if spec, err = try.readFile(); err != nil {
			return err
		}
	}
	_, err = try.apply(spec, nil)
	return err
}

// expand puts the parts of a moment into a text. Braces stand for nothing else.
func expand(text string, at time.Time) (string, error) {
	if !strings.ContainsAny(text, "{}") {
		return text, nil
	}
	r := strings.NewReplacer("{date}", at.Format("2006-01-02"), "{year}", at.Format("2006"), "{month}", at.Format("01"), "{day}", at.Format("02"), "{hour}", at.Format("15"), "{minute}", at.Format("04"))
	done := r.Replace(text)
	if strings.ContainsAny(done, "{}") {
		return "", usage("%.80q has braces around something else than a part of the tick's time", text).WithHint("want {date}, {year}, {month}, {day}, {hour} or {minute}")
	}
	return done, nil
}

func (a *app) scheduleChangeCommand(verb, short, done string, change func(*tasks.Schedules, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME...", Short: short, Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeSchedules(-1),
		RunE: func(c *cobra.Command, args []string) error {
			list, err := a.schedules(c.Context())
			if err != nil {
				return err
			}
			for _, name := range args {
				if err := change(list, c.Context(), name); err != nil {
					return err
				}
				fmt.Fprintf(a.out, "%s is %s\n", plain(name), done)
			}
			return nil
		},
	}
}

func (a *app) scheduleTickCommand() *cobra.Command {
	return &cobra.Command{
		Use: "tick NAME", Aliases: []string{"trigger"}, Short: "Submit the run of a schedule now, paused or not, besides its other ticks", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeSchedules(1),
		RunE: func(c *cobra.Command, args []string) error {
			list, err := a.schedules(c.Context())
			if err != nil {
				return err
			}
			run, err := list.Trigger(c.Context(), args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "run %s will be submitted by the next scheduler\n", run)
			return a.tellSchedulersOf(c.Context(), list, args[0])
		},
	}
}

func (a *app) scheduleBackfillCommand() *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use: "backfill NAME --from TIME --to TIME", Short: "Submit the runs of past ticks that have none", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeSchedules(1),
		Long: `Backfill makes the ticks that a schedule's expression has from one time to another. A tick that has a run already, or was
backfilled before, makes no other; so a backfill may be repeated. TIME is a day, 2026-11-24, in the zone of the schedule, the
day of --to included; or a moment, 2026-11-24T06:00 or 2026-11-24T06:00:00+01:00.`,
		RunE: func(c *cobra.Command, args []string) error {
			if from == "" || to == "" {
				return usage("backfill needs --from and --to").WithHint("for example --from 2026-11-01 --to 2026-11-24")
			}
			list, err := a.schedules(c.Context())
			if err != nil {
				return err
			}
			state, err := list.Get(c.Context(), args[0])
			if err != nil {
				return err
			}
			zone, err := time.LoadLocation(state.Zone)
			if err != nil {
				return err
			}
			begin, _, err := parseTime("--from", from, zone)
			if err != nil {
				return err
			}
			_, end, err := parseTime("--to", to, zone)
			if err != nil {
				return err
			}
			queued, present, err := list.Backfill(c.Context(), args[0], begin, end)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s will be submitted; %d had a run already or waited for it\n", counted(queued, "tick"), present)
			return a.tellSchedulers(c.Context(), list, []tasks.ScheduleState{*state})
		},
	}
	c.Flags().StringVar(&from, "from", "", "first `time`")
	c.Flags().StringVar(&to, "to", "", "last `time`")
	return c
}

// parseTime reads a moment, or a day, which has a first and a last one.
func parseTime(flag, text string, zone *time.Location) (first, last time.Time, err error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, t, nil
		}
	}
	t, err := time.ParseInLocation("2006-01-02", text, zone)
	if err != nil {
		return t, t, usage("%s %.40q is no time", flag, text).WithHint("want 2026-11-24, 2026-11-24T06:00 or 2026-11-24T06:00:00+01:00")
	}
	return t, t.AddDate(0, 0, 1).Add(-time.Second), nil
}

// completeSchedules offers the names of schedules to the shell, for so many arguments; any number when negative.
func (a *app) completeSchedules(most int) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		if err := environment(c.Flags()); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		list, err := a.schedules(context.Background())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		states, _ := list.List(context.Background())
		var names []string
		for _, s := range states {
			names = append(names, s.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
