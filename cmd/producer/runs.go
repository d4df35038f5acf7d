package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

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
			ctx := c.Context()
			store, err := a.openStore(ctx)
			if err != nil {
				return err
			}
			ids, err := store.Runs(ctx, limit)
			if err != nil {
				return err
			}
			rows := []runRow{}
			for _, id := range ids {
				r, _, err := a.record(ctx, store, id)
				if errors.Is(err, artifact.ErrNotFound) {
					continue // its submitter died before it began
				}
				if errors.Is(err, artifact.ErrCorrupt) {
					rows = append(rows, runRow{RunID: id, Tags: map[string]string{}, Status: damaged})
					continue
				}
				if err != nil {
					return err
				}
				rows = append(rows, newRunRow(r))
			}
			if asJSON {
				return writeJSON(a.out, map[string]any{"schema": "hashline.runs/1", "runs": rows})
			}
			if len(rows) == 0 {
				fmt.Fprintf(a.out, "there are no runs in %s; `producer submit` makes one\n", plain(store.Location()))
				return nil
			}
			t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "RUN\tSTATUS\tWALL\tINPUT\tTARGET\tNAME\tRESULT")
			for _, r := range rows {
				wall := ""
				if r.WallS > 0 {
					wall = fmt.Sprintf("%.3f s", r.WallS)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.RunID, r.Status, wall, short(plain(r.Input), 30), short(plain(r.Target), 30), short(plain(r.Name), 20), shortDigest(r.ResultDigest))
			}
			return t.Flush()
		},
	}
	c.Flags().IntVarP(&limit, "limit", "n", 20, "at most this many; 0 for all")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

// damaged is the status of a run whose record is not what was stored.
const damaged = "DAMAGED"

// runRow is one run of the list.
type runRow struct {
	RunID        string            `json:"run_id"`
	Name         string            `json:"name"`
	Tags         map[string]string `json:"tags"`
	Status       string            `json:"status"`
	Mode         string            `json:"mode"`
	CreatedAt    time.Time         `json:"created_at"`
	WallS        float64           `json:"wall_s"`
	Input        string            `json:"input"`
	Target       string            `json:"target"`
	ResultDigest string            `json:"result_digest"`
}

func newRunRow(r *pipeline.RunRecord) runRow {
	row := runRow{RunID: r.RunID, Name: r.Name, Tags: r.Tags, Status: r.Status, Mode: r.Mode, CreatedAt: r.CreatedAt, ResultDigest: r.ResultDigest}
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
		Use: "show RUN", Short: "Show one run: models, stages, outputs", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRuns,
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
			if _, err := r.store.Run(ctx, d.RunID, reportDocument); err == nil {
				d.ReportPath = r.store.RunPath(d.RunID, reportDocument)
			}
			if asJSON {
				return writeJSON(a.out, d)
			}
			printSummary(a.out, d)
			return a.printStages(d)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the document of `submit --json`")
	return c
}

func (a *app) printStages(d *summary.Document) error {
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
	for _, s := range d.Stages {
		if s.Error != nil {
			fmt.Fprintf(a.out, "\n%s failed: %s\n", s.Name, sentence(s.Error))
		}
	}
	if d.Error != nil && d.Error.Stage == "" {
		fmt.Fprintf(a.out, "\n%s\n", sentence(d.Error))
	}
	return nil
}

// completeRuns offers run ids to the shell.
func (a *app) completeRuns(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	store, err := a.openStore(context.Background())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ids, _ := store.Runs(context.Background(), 50)
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) eventsCommand() *cobra.Command {
	var follow, asJSON bool
	c := &cobra.Command{
		Use: "events RUN", Short: "Print what happened in a run, in order", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRuns,
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			r, err := a.resolve(ctx, args[0])
			if err != nil {
				return err
			}
			show := func(e pipeline.Event) error {
				if asJSON {
					return writeJSON(a.out, e)
				}
				_, err := fmt.Fprintln(a.out, eventLine(e))
				return err
			}
			b, err := r.store.Run(ctx, r.record.RunID, pipeline.EventsDocument)
			switch {
			case err == nil:
				return eachEvent(b, show)
			case !errors.Is(err, artifact.ErrNotFound):
				return err
			case r.record.Mode == embeddedMode:
				return usage("run %s keeps its events in its own process until it ends", r.record.RunID).WithHint("they can be read when it is over; a run that died has none")
			case a.redis == "":
				return usage("run %s is not over; its events are in Redis", r.record.RunID).WithHint("give --redis URL")
			}
			return a.liveEvents(ctx, r, follow, show)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more until the run is over")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document for each event")
	return c
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

func (a *app) liveEvents(ctx context.Context, r *resolved, follow bool, show func(pipeline.Event) error) error {
	client, closeClient, err := a.client(ctx, r.store)
	if err != nil {
		return err
	}
	defer closeClient()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-a.signals:
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	}()
	until := time.Now()
	if !follow {
		ctx2, stop := context.WithTimeoutCause(ctx, time.Second, errCaughtUp)
		defer stop()
		ctx = ctx2
	}
	err = client.Watch(ctx, r.record.RunID, "", func(e pipeline.Event) error {
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

func (a *app) getCommand() *cobra.Command {
	var file, format string
	c := &cobra.Command{
		Use:   "get RUN OUTPUT",
		Short: "Print an output of a run, or write it to a file",
		Long: `Get prints the bytes of an output, checked against their digest. OUTPUT is STAGE/NAME, or NAME alone where only one stage
has it; "report" is the HTML report and "record" the run's record. Without OUTPUT it lists what there is.`,
		Example: `  producer get k3f9 train:random_forest/model -o forest.json
  producer get k3f9 plot:random_forest/roc --format png -o roc.png
  producer get k3f9 report -o report.html`,
		Args: cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeRuns,
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			r, err := a.resolve(ctx, args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return a.listOutputs(r.record)
			}
			b, err := a.output(ctx, r, args[1], format)
			if err != nil {
				return err
			}
			if file == "" || file == "-" {
				_, err = a.out.Write(b)
				return err
			}
			if err := os.WriteFile(file, b, 0o644); err != nil {
				return usage("--output: %v", err)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&file, "output", "o", "", "`file` to write to instead of standard output")
	c.Flags().StringVar(&format, "format", "", "png: draw a plot as PNG instead of SVG")
	return c
}

func (a *app) listOutputs(r *pipeline.RunRecord) error {
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "OUTPUT\tCLASS\tBYTES\tTYPE\tDIGEST")
	for _, s := range r.Stages {
		for _, o := range s.Outputs {
			fmt.Fprintf(t, "%s/%s\t%s\t%d\t%s\t%s\n", s.Name, o.Name, o.Class, o.Size, o.MediaType, o.Digest)
		}
	}
	return t.Flush()
}

func (a *app) output(ctx context.Context, r *resolved, name, format string) ([]byte, error) {
	if format != "" && format != "png" && format != "svg" {
		return nil, usage("--format %.40q is none", format).WithHint("want png or svg")
	}
	switch name {
	case "report":
		return a.report(ctx, r)
	case "record":
		return r.store.Run(ctx, r.record.RunID, pipeline.RecordDocument)
	}
	stage, o, err := findOutput(r.record, name)
	if err != nil {
		return nil, err
	}
	if format == "png" {
		if o.MediaType != "image/svg+xml" {
			return nil, usage("%s/%s is no plot", stage, o.Name)
		}
		return renderPNG(ctx, r.store, r.record, stage, o.Name)
	}
	b, err := r.store.ReadAll(ctx, o.Ref)
	if errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) {
		return nil, (&pipeline.Error{Class: pipeline.ClassStageFailed, Message: fmt.Sprintf("the output %s/%s (%s) is damaged or gone", stage, o.Name, o.Digest)}).
			WithHint("submit the same file again: what is missing is computed again")
	}
	return b, err
}

// report returns the stored report, or renders it.
func (a *app) report(ctx context.Context, r *resolved) ([]byte, error) {
	if b, err := r.store.Run(ctx, r.record.RunID, reportDocument); err == nil {
		return b, nil
	}
	d, x, err := summary.Build(ctx, r.store, r.record)
	if err != nil {
		return nil, err
	}
	return renderReport(ctx, r.store, r.record, d, x)
}

// findOutput finds STAGE/NAME, or NAME where only one stage has it.
func findOutput(r *pipeline.RunRecord, name string) (string, artifact.Output, error) {
	var stages []string
	var found artifact.Output
	for _, s := range r.Stages {
		for _, o := range s.Outputs {
			if s.Name+"/"+o.Name == name {
				return s.Name, o, nil
			}
			if o.Name == name {
				stages = append(stages, s.Name)
				found = o
			}
		}
	}
	switch len(stages) {
	case 0:
		return "", found, usage("run %s has no output %.80q", r.RunID, name).WithHint("`producer get %s` lists the outputs", r.RunID)
	case 1:
		return stages[0], found, nil
	}
	return "", found, usage("%d stages have an output %s", len(stages), name).WithHint("say which: %s/%s", stages[0], name)
}
