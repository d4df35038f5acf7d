package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/summary"
)

func (a *app) runsCommand() *cobra.Command {
	var limit int
	var asJSON bool
	c := &cobra.Command{
		Use: "runs", Short: "List the runs of the store, newest first", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 0 {
				return usage("--limit is %d", limit).WithHint("want a number of runs, or 0 for all")
			}
			rows, where := []runRow{}, a.storeLocation()
			store, err := a.readStore(c.Context())
			switch {
			case errors.Is(err, artifact.ErrNoStore) && a.store == "": // nothing was submitted yet
			case err != nil:
				return err
			default:
				where = store.Location()
				if rows, err = a.runRows(c.Context(), store, limit); err != nil {
					return err
				}
			}
			if asJSON {
				return writeJSON(a.out, map[string]any{"schema": "hashline.runs/1", "runs": rows})
			}
			if len(rows) == 0 {
				fmt.Fprintf(a.out, "there are no runs in %s; `producer submit` makes one\n", plain(where))
				return nil
			}
			t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "RUN\tSTATUS\tWALL\tINPUT\tTARGET\tNAME\tRESULT")
			for _, r := range rows {
				wall := ""
				if r.WallS > 0 {
					wall = fmt.Sprintf("%.3f s", r.WallS)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.RunID, r.Status, wall, short(plain(r.Input), 30), short(plain(r.Target), 30), short(plain(r.Name), 20), shortDigest(string(r.ResultDigest)))
			}
			return t.Flush()
		},
	}
	c.Flags().IntVarP(&limit, "limit", "n", 20, "`number` of runs at most; 0 for all")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

// damaged is the status of a run whose record is not what was stored. It keeps no other run from being listed.
const damaged = "DAMAGED"

// atOnce is the number of records that are read at a time: in a remote store each takes the time of a request.
const atOnce = 16

func (a *app) runRows(ctx context.Context, store *artifact.Store, limit int) ([]runRow, error) {
	ids, err := store.Runs(ctx, limit)
	if err != nil {
		return nil, err
	}
	found := make([]*runRow, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, id := range ids {
		g.Go(func() (err error) {
			found[i], err = a.runRow(ctx, store, id)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	rows := []runRow{}
	for _, r := range found {
		if r != nil {
			rows = append(rows, *r)
		}
	}
	return rows, nil
}

// runRow reads one run; nil is one that never began.
func (a *app) runRow(ctx context.Context, store *artifact.Store, id string) (*runRow, error) {
	r, _, err := a.record(ctx, store, id)
	switch {
	case errors.Is(err, artifact.ErrNotFound): // its submitter died before it began
		return nil, nil
	case err == nil:
		row := newRunRow(r)
		return &row, nil
	case asError(err).Class == pipeline.ClassUnreachable || ctx.Err() != nil:
		return nil, err
	}
	return &runRow{RunID: id, Tags: map[string]string{}, Status: damaged}, nil
}

// runRow is one run of the list.
type runRow struct {
	RunID        string            `json:"run_id"`
	Name         string            `json:"name"`
	Tags         map[string]string `json:"tags"`
	Status       string            `json:"status"`
	Mode         string            `json:"mode"`
	CreatedAt    *time.Time        `json:"created_at"`
	WallS        float64           `json:"wall_s"`
	Input        string            `json:"input"`
	Target       string            `json:"target"`
	ResultDigest summary.Text      `json:"result_digest"`
}

func newRunRow(r *pipeline.RunRecord) runRow {
	created := r.CreatedAt.UTC()
	row := runRow{RunID: r.RunID, Name: r.Name, Tags: r.Tags, Status: r.Status, Mode: r.Mode, CreatedAt: &created, ResultDigest: summary.Text(r.ResultDigest)}
	if row.Tags == nil {
		row.Tags = map[string]string{}
	}
	if !r.FinishedAt.IsZero() {
		row.WallS = r.FinishedAt.Sub(r.CreatedAt).Seconds()
	}
	var s summary.Submission
	if json.Unmarshal(r.Submission, &s) == nil {
		row.Input, row.Target = filepath.Base(s.Input.Name), s.Target.Expression
	}
	return row
}

func shortDigest(d string) string {
	d = strings.TrimPrefix(d, "sha256:")
	return d[:min(12, len(d))]
}

func (a *app) showCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show RUN", Short: "Show one run: models, stages, outputs", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRuns(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			r, err := a.resolve(ctx, args[0])
			if err != nil {
				return err
			}
			d, _, err := summary.Build(ctx, r.store, r.record)
			if err != nil {
				return err
			}
			if r.live {
				d.WallS = max(0, time.Since(r.record.CreatedAt).Seconds())
			}
			if _, err := r.store.Run(ctx, r.record.RunID, reportDocument); err == nil {
				d.ReportPath = summary.Text(r.store.RunLocation(r.record.RunID, reportDocument))
			}
			if asJSON {
				return writeJSON(a.out, d)
			}
			printSummary(a.out, d)
			if r.record.Status == summary.Unknown {
				a.tell(unknown(r.record.RunID))
			}
			return a.printStages(d, r.record)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the document of submit --json")
	return c
}

func (a *app) printStages(d *summary.Document, r *pipeline.RunRecord) error {
	if r.Parent != "" {
		fmt.Fprintf(a.out, "\nit tries again the run %s\n", plain(r.Parent))
	}
	if !r.PausedAt.IsZero() {
		fmt.Fprintf(a.out, "\nit is paused since %s; `producer resume %s` lets it go on\n", r.PausedAt.Local().Format(time.DateTime), r.RunID)
	}
	fmt.Fprintln(a.out)
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STAGE\tSTATUS\tCACHE\tCOMPUTE\tWORKER\tOUTPUTS")
	for _, s := range d.Stages {
		var outputs []string
		for _, o := range s.Outputs {
			outputs = append(outputs, o.Name+" "+shortDigest(o.Digest.String()))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.3f s\t%s\t%s\n", s.Name, s.Status, s.Cache, s.ComputeS, plain(s.Worker), strings.Join(outputs, ", "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range r.Stages {
		a.printRemarks(r, &r.Stages[i])
	}
	if d.Error != nil && d.Error.Stage == "" {
		fmt.Fprintf(a.out, "\n%s\n", sentence(d.Error))
	}
	return nil
}

// printRemarks says of a stage what is out of the ordinary.
func (a *app) printRemarks(r *pipeline.RunRecord, s *pipeline.StageRecord) {
	name := plain(s.Name)
	if s.WaitReason != "" {
		fmt.Fprintf(a.out, "\n%s waits: %s\n", name, plain(s.WaitReason))
	}
	if s.SkipReason != "" {
		fmt.Fprintf(a.out, "\n%s was not run: %s\n", name, plain(s.SkipReason))
	}
	if s.Error != nil {
		e, what := *s.Error, "failed"
		if s.Status == pipeline.Canceled {
			what = "was canceled"
		}
		fmt.Fprintf(a.out, "\n%s %s: %s\n", name, what, sentence(&e))
	}
	if s.Attempts > 1 {
		fmt.Fprintf(a.out, "  %s has had %d attempts\n", name, s.Attempts)
	}
	if s.Logs != nil {
		fmt.Fprintf(a.out, "  `producer logs %s %s` shows its log, %d bytes\n", r.RunID, name, s.Logs.Size)
	}
}

// completeRuns offers run ids to the shell, for as many arguments as the command takes runs; any number when negative.
func (a *app) completeRuns(runs int) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if runs >= 0 && len(args) >= runs {
			return nil, cobra.ShellCompDirectiveDefault
		}
		if err := environment(c.Flags()); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		store, err := a.readStore(context.Background())
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		ids, _ := store.Runs(context.Background(), 50)
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// completeWithin offers runs, then what list finds in the run.
func (a *app) completeWithin(list func(context.Context, *resolved) ([]string, error)) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return a.completeRuns(1)(c, args, prefix)
		}
		if err := environment(c.Flags()); err != nil || len(args) > 1 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		r, err := a.resolve(context.Background(), args[0])
		if err == nil {
			names, _ = list(context.Background(), r)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *app) eventsCommand() *cobra.Command {
	var follow, asJSON bool
	var after string
	var stages, types []string
	c := &cobra.Command{
		Use: "events RUN", Short: "Print what happened in a run, in order", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRuns(1),
		Annotations: map[string]string{handlesSignals: "yes"},
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			r, err := a.resolve(ctx, args[0])
			if err != nil {
				return err
			}
			for _, s := range stages {
				if err := hasStage(r.record, s); err != nil && !r.live { // one that is not over may get further stages
					return err
				}
			}
			for i := range types {
				types[i] = strings.ToUpper(types[i])
				if !slices.Contains(pipeline.EventTypes(), types[i]) {
					return usage("--type %.40q is no type of events", types[i]).WithHint("the types are %s", strings.Join(pipeline.EventTypes(), ", "))
				}
			}
			return a.runEvents(ctx, r, after, follow, func(e pipeline.Event) error {
				if len(stages) > 0 && !slices.Contains(stages, e.Stage) || len(types) > 0 && !slices.Contains(types, e.Type) {
					return nil
				}
				if asJSON {
					return writeJSON(a.out, e)
				}
				_, err := fmt.Fprintln(a.out, eventLine(e))
				return err
			})
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more until the run is over")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document for each event")
	c.Flags().StringVar(&after, "after", "", "only what came after the event with this `id`, which --json shows")
	c.Flags().StringSliceVar(&stages, "stage", nil, "only events of these `stages`, separated by commas")
	c.Flags().StringSliceVar(&types, "type", nil, "only events of these `types`, such as STEP_FAILURE")
	return c
}

// errNoEvents says that the events of a run cannot be read, now or from here.
var errNoEvents = errors.New("there are no events")

// runEvents calls show for the events of a run behind one: those that are stored when it is over, else those in Redis.
func (a *app) runEvents(ctx context.Context, r *resolved, after string, follow bool, show func(pipeline.Event) error) error {
	if after != "" && !eventID.MatchString(after) {
		return usage("--after %.40q is no id of an event", after).WithHint("`producer events RUN --json` shows them")
	}
	b, err := r.store.Run(ctx, r.record.RunID, pipeline.EventsDocument)
	switch {
	case err == nil:
		return eachEvent(b, func(e pipeline.Event) error {
			if !behind(e.ID, after) {
				return nil
			}
			return show(e)
		})
	case !errors.Is(err, artifact.ErrNotFound):
		return err
	case r.record.Mode == embeddedMode:
		return fmt.Errorf("%w: %w", errNoEvents, usage("run %s keeps its events in its own process until it ends", r.record.RunID).WithHint("they can be read when it is over; a run that died has none"))
	case a.redis == "":
		return fmt.Errorf("%w: %w", errNoEvents, usage("run %s is not over; its events are in Redis", r.record.RunID).WithHint("give --redis URL"))
	}
	return a.liveEvents(ctx, r, after, follow, show)
}

// eventID is the form of the ids of events: milliseconds and a number.
var eventID = regexp.MustCompile(`^[0-9]{1,19}-[0-9]{1,19}$`)

// behind reports whether an event comes after another. The last event of a run may have no id.
func behind(id, after string) bool {
	if after == "" || !eventID.MatchString(id) {
		return true
	}
	part := func(id string) (ms, n uint64) {
		first, second, _ := strings.Cut(id, "-")
		ms, _ = strconv.ParseUint(first, 10, 64)
		n, _ = strconv.ParseUint(second, 10, 64)
		return ms, n
	}
	ms, n := part(id)
	afterMS, afterN := part(after)
	return ms > afterMS || ms == afterMS && n > afterN
}

func eachEvent(b []byte, show func(pipeline.Event) error) error {
	for line := range strings.Lines(string(b)) {
		var e pipeline.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return fmt.Errorf("events: %w", err)
		}
		if err := show(e); err != nil {
			return err
		}
	}
	return nil
}

// errCaughtUp ends the reading of events that does not follow.
var errCaughtUp = errors.New("caught up")

func (a *app) liveEvents(ctx context.Context, r *resolved, after string, follow bool, show func(pipeline.Event) error) error {
	ctx, stop := a.interruptible(ctx)
	defer stop()
	client, err := a.client(ctx, r.store)
	if err != nil {
		return interrupted(ctx, err)
	}
	until := time.Now()
	if !follow {
		short, done := context.WithTimeoutCause(ctx, time.Second, errCaughtUp)
		defer done()
		ctx = short
	}
	err = client.Watch(ctx, r.record.RunID, after, func(e pipeline.Event) error {
		if !follow && e.Time.After(until) {
			return errCaughtUp
		}
		return show(e)
	})
	if errors.Is(err, errCaughtUp) || errors.Is(context.Cause(ctx), errCaughtUp) {
		return nil
	}
	return interrupted(ctx, err)
}
