package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/summary"
	"github.com/hashline/hashline/tasks"
)

// controlled finds a run that is not over, and connects to its Redis.
func (a *app) controlled(ctx context.Context, prefix string) (*resolved, *tasks.Client, error) {
	r, err := a.resolve(ctx, prefix)
	if err != nil {
		return nil, nil, err
	}
	id := r.record.RunID
	switch {
	case r.record.Status == summary.Unknown:
		return nil, nil, unknown(id)
	case !r.live && r.record.Status == pipeline.Succeeded:
		return nil, nil, usage("run %s is over: %s", id, r.record.Status).WithHint("`producer retry %s --all` or `producer rerun %s` runs it again", id, id)
	case !r.live:
		return nil, nil, usage("run %s is over: %s", id, r.record.Status).WithHint("`producer retry %s` runs it again", id)
	case r.record.Mode == embeddedMode:
		return nil, nil, usage("run %s works in a process of its own, where no other can reach it", id).WithHint("press Ctrl-C in its terminal to cancel it")
	case a.redis == "":
		return nil, nil, usage("run %s is not over; its state is in Redis", id).WithHint("give --redis URL")
	}
	client, err := a.client(ctx, r.store)
	return r, client, err
}

func (a *app) cancelCommand() *cobra.Command {
	var reason string
	c := a.control("cancel", "Cancel runs: what runs is told to stop at once, what waits never starts", "run %s is canceled",
		func(client *tasks.Client, ctx context.Context, id string) error {
			return client.Cancel(ctx, id, reason)
		})
	c.Flags().StringVar(&reason, "reason", "canceled by a user", "`text` to keep with the run")
	return c
}

func (a *app) pauseCommand() *cobra.Command {
	return a.control("pause", "Let no further stage of runs start until they are resumed; what runs goes on", "run %s is paused; `producer resume %[1]s` lets it go on",
		(*tasks.Client).Pause)
}

func (a *app) resumeCommand() *cobra.Command {
	return a.control("resume", "Let paused runs go on", "run %s goes on", (*tasks.Client).Resume)
}

// control is a command that does something to runs that are not over, one after the other, and says so of each. One that it
// cannot be done to keeps no other from it, unless Redis or the store is away.
func (a *app) control(name, short, done string, do func(*tasks.Client, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " RUN...", Short: short, Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeRuns(-1),
		RunE: func(c *cobra.Command, args []string) error {
			var failed error // told when there is another, or returned
			for _, prefix := range args {
				r, client, err := a.controlled(c.Context(), prefix)
				if err == nil {
					err = do(client, c.Context(), r.record.RunID)
				}
				if err == nil {
					fmt.Fprintf(a.out, done+"\n", r.record.RunID)
					continue
				}
				if failed != nil {
					a.fail(failed)
				}
				if failed = err; asError(err).Class == pipeline.ClassUnreachable {
					break
				}
			}
			return failed
		},
	}
}

func (a *app) approveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "approve RUN STAGE|SIGNAL", Short: "Let a stage go on that waits for a signal", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeWithin(func(ctx context.Context, r *resolved) ([]string, error) {
			p, err := r.plan(ctx)
			if err != nil {
				return nil, err
			}
			return signals(p), nil
		}),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			r, client, err := a.controlled(ctx, args[0])
			if err != nil {
				return err
			}
			plan, err := r.plan(ctx)
			if err != nil {
				return err
			}
			signal, err := signalOf(plan, args[1])
			if err != nil {
				return err
			}
			if err := client.Signal(ctx, r.record.RunID, signal); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "run %s has the signal %s\n", r.record.RunID, signal)
			return nil
		},
	}
}

// plan reads the plan of a run.
func (r *resolved) plan(ctx context.Context) (*pipeline.Plan, error) {
	b, err := r.store.ReadAll(ctx, r.record.Plan)
	if err != nil {
		return nil, err
	}
	return pipeline.ParsePlan(b)
}

// signals returns the signals that stages of a plan wait for, each once.
func signals(p *pipeline.Plan) []string {
	var list []string
	for _, s := range p.Stages {
		if s.Wait != nil && s.Wait.Signal != "" && !slices.Contains(list, s.Wait.Signal) {
			list = append(list, s.Wait.Signal)
		}
	}
	return list
}

// signalOf finds the signal that a stage waits for, or the one of that name.
func signalOf(p *pipeline.Plan, name string) (string, error) {
	list := signals(p)
	if s, ok := p.Stage(name); ok && s.Wait != nil && s.Wait.Signal != "" {
		return s.Wait.Signal, nil
	}
	if slices.Contains(list, name) {
		return name, nil
	}
	e := usage("%.80q is neither a stage that waits for a signal nor a signal", name)
	if len(list) == 0 {
		return "", e.WithHint("no stage of the run waits for one")
	}
	return "", e.WithHint("stages wait for %s", strings.Join(list, ", "))
}

// queueClient connects to a queue for a command that needs Redis, and no store.
func (a *app) queueClient(ctx context.Context, command, queue string) (*tasks.Client, error) {
	if a.redis == "" {
		return nil, usage("%s needs --redis", command).WithHint("without Redis a run has the workers of its own process")
	}
	return a.clientOf(ctx, nil, queue, nil)
}

func (a *app) poolsCommand() *cobra.Command {
	var asJSON bool
	var queue string
	c := &cobra.Command{
		Use: "pools", Short: "List the pools of a queue, which bound how many stages run at a time over all workers; or set one", Args: cobra.NoArgs,
		Example: "  producer pools\n  producer pools set train 2\n  producer pools set train none",
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.queueClient(c.Context(), "pools", queue)
			if err != nil {
				return err
			}
			list, err := client.Pools(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.out, map[string]any{"schema": "hashline.pools/1", "pools": list})
			}
			if len(list) == 0 {
				fmt.Fprintln(a.out, "no pool is bounded; `producer pools set NAME NUMBER` bounds one")
				return nil
			}
			t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "POOL\tLIMIT\tUSED")
			for _, p := range list {
				fmt.Fprintf(t, "%s\t%d\t%d\n", plain(p.Name), p.Limit, p.Used)
			}
			return t.Flush()
		},
	}
	c.PersistentFlags().StringVar(&queue, "queue", "", "`name` of the queue (default \"hashline\")")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	c.AddCommand(&cobra.Command{
		Use: "set NAME NUMBER|none", Short: "Bound a pool: 0 holds all its stages, none bounds nothing any more", Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			limit, err := strconv.Atoi(args[1])
			if args[1] == "none" {
				limit, err = -1, nil
			} else if err != nil || limit < 0 {
				return usage("%.40q is no bound", args[1]).WithHint("want a number of stages, or none")
			}
			client, err := a.queueClient(c.Context(), "pools", queue)
			if err != nil {
				return err
			}
			if err := client.SetPool(c.Context(), args[0], limit); err != nil {
				return err
			}
			if limit < 0 {
				fmt.Fprintf(a.out, "pool %s is not bounded\n", args[0])
			} else {
				fmt.Fprintf(a.out, "pool %s runs %s at a time\n", args[0], counted(limit, "stage"))
			}
			return nil
		},
	})
	return c
}

func (a *app) workersCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "workers", Short: "List the workers that are alive, and what they do", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.queueClient(c.Context(), "workers", "")
			if err != nil {
				return err
			}
			store, err := a.knownStore(c.Context())
			if err != nil {
				return err
			}
			list, err := client.Workers(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				if list == nil {
					list = []tasks.WorkerInfo{}
				}
				return writeJSON(a.out, map[string]any{"schema": "hashline.workers/1", "workers": list})
			}
			if len(list) == 0 {
				where := a.storeLocation()
				if store != nil {
					where = store.Location()
				}
				fmt.Fprintf(a.out, "no worker is alive; start one with `worker --redis URL --store %s`\n", plain(where))
				return nil
			}
			t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "WORKER\tQUEUE\tSTORE\tSLOTS\tBUSY\tSINCE\tSTATE\tSTAGES")
			for _, w := range list {
				state, where := "works", "this one"
				if w.Draining {
					state = "stops"
				}
				if store == nil || w.Store != store.ID() {
					where = short(w.Store, 12)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", plain(w.ID), plain(w.Queue), plain(where), w.Concurrency, len(w.Attempts), w.StartedAt.Local().Format(time.DateTime), state, short(plain(strings.Join(w.Attempts, " ")), 80))
			}
			return t.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

func (a *app) logsCommand() *cobra.Command {
	var attempt int
	c := &cobra.Command{
		Use: "logs RUN [STAGE]", Short: "Print what a stage logged; without STAGE, list the stages that did", Args: cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeWithin(func(_ context.Context, r *resolved) (names []string, _ error) {
			for _, s := range r.record.Stages {
				names = append(names, s.Name)
			}
			return names, nil
		}),
		Long: `Logs prints what a stage logged in its last attempt, or in an earlier one. What an attempt logs is kept when it is over.`,
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			r, err := a.resolve(ctx, args[0])
			if err != nil {
				return err
			}
			kept, err := a.keptLogs(ctx, r)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return a.listLogs(kept)
			}
			l, err := findLog(r.record, kept, args[1], attempt)
			if err != nil {
				return err
			}
			b, err := r.store.ReadAll(ctx, l.ref)
			if errors.Is(err, artifact.ErrNotFound) {
				return usage("the log of stage %s is gone from the store", args[1])
			}
			if err != nil {
				return err
			}
			return a.print(b)
		},
	}
	c.Flags().IntVar(&attempt, "attempt", 0, "`number` of the attempt (default the last that logged something)")
	return c
}

// keptLog is what one attempt logged.
type keptLog struct {
	stage   string
	attempt int
	ref     artifact.Ref
}

// keptLogs finds the logs of a run's attempts in its events, and the last of each stage in its record too.
func (a *app) keptLogs(ctx context.Context, r *resolved) ([]keptLog, error) {
	var list []keptLog
	err := a.runEvents(ctx, r, "", false, func(e pipeline.Event) error {
		if e.Type != pipeline.LogsCaptured {
			return nil
		}
		d, err := artifact.ParseDigest(e.Data["logs"])
		size, bad := strconv.ParseInt(strings.TrimSuffix(e.Message, " bytes"), 10, 64)
		if err == nil && bad == nil {
			list = append(list, keptLog{e.Stage, e.Attempt, artifact.Ref{Digest: d, Size: size}})
		}
		return nil
	})
	if err != nil && !errors.Is(err, errNoEvents) {
		return nil, err
	}
	for _, s := range r.record.Stages {
		if s.Logs != nil && !slices.ContainsFunc(list, func(l keptLog) bool { return l.stage == s.Name }) {
			list = append(list, keptLog{s.Name, s.Attempts, *s.Logs})
		}
	}
	return list, nil
}

func (a *app) listLogs(list []keptLog) error {
	if len(list) == 0 {
		fmt.Fprintln(a.out, "no stage logged anything")
		return nil
	}
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STAGE\tATTEMPT\tBYTES")
	for _, l := range list {
		fmt.Fprintf(t, "%s\t%d\t%d\n", plain(l.stage), l.attempt, l.ref.Size)
	}
	return t.Flush()
}

// findLog returns what an attempt of a stage logged, 0 for the last.
func findLog(r *pipeline.RunRecord, list []keptLog, stage string, attempt int) (keptLog, error) {
	if err := hasStage(r, stage); err != nil {
		return keptLog{}, err
	}
	for _, l := range slices.Backward(list) {
		if l.stage == stage && (attempt == 0 || attempt == l.attempt) {
			return l, nil
		}
	}
	return keptLog{}, usage("stage %s of run %s logged nothing", stage, r.RunID).WithHint("`producer logs %s` lists what was logged", r.RunID)
}

// hasStage returns an error that names the stages of a run if it has none of that name.
func hasStage(r *pipeline.RunRecord, name string) error {
	if _, ok := r.Stage(name); ok {
		return nil
	}
	var names []string
	for _, s := range r.Stages {
		names = append(names, s.Name)
	}
	return usage("run %s has no stage %.80q", r.RunID, name).WithHint("its stages are %s", short(strings.Join(names, ", "), 1000))
}
