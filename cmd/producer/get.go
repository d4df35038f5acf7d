package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/summary"
)

func (a *app) getCommand() *cobra.Command {
	var file, format string
	c := &cobra.Command{
		Use:   "get RUN [OUTPUT]",
		Short: "Print an output of a run, or write it to a file; without OUTPUT, list the outputs",
		Long: `Get prints the bytes of an output, checked against their digest. OUTPUT is STAGE/NAME, or NAME alone where only one stage
has it; "report" is the HTML report and "record" the run's record. Without OUTPUT it lists what there is.`,
		Example: `  producer get k3f9 train:random_forest/model -o forest.json
  producer get k3f9 plot:random_forest/roc --format png -o roc.png
  producer get k3f9 report -o report.html`,
		Args: cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeWithin(func(_ context.Context, r *resolved) ([]string, error) {
			return append([]string{"report", "record"}, outputNames(r.record)...), nil
		}),
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
			return a.deliver(b, file)
		},
	}
	outputFlag(c, &file)
	c.Flags().StringVar(&format, "format", "", "`format` of a plot: svg, or png")
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
		b, err := r.store.Run(ctx, r.record.RunID, pipeline.RecordDocument)
		if errors.Is(err, artifact.ErrNotFound) { // it is not over
			return r.record.MarshalIndented()
		}
		return b, err
	}
	stage, o, err := findOutput(r.record, name)
	if err != nil {
		return nil, err
	}
	if format != "" && o.MediaType != "image/svg+xml" {
		return nil, usage("%s/%s is no plot", stage, o.Name).WithHint("leave out --format; its media type is %s", o.MediaType)
	}
	if format == "png" {
		return renderPNG(ctx, r.store, r.record, stage, o.Name)
	}
	b, err := r.store.ReadOutput(ctx, o)
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

// outputFlag says where bytes go that deliver gets.
func outputFlag(c *cobra.Command, file *string) {
	c.Flags().StringVarP(file, "output", "o", "", "`file` to write to instead of standard output")
}

// deliver writes bytes to a file, or to standard output without one.
func (a *app) deliver(b []byte, file string) error {
	if file == "" || file == "-" {
		return a.print(b)
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		return usage("--output: %v", err)
	}
	return nil
}

// print writes bytes to standard output. A terminal gets text alone, without what it would obey.
func (a *app) print(b []byte) error {
	if f, ok := a.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
			return usage("the output is not text, and standard output is a terminal").WithHint("write it to a file with -o FILE")
		}
		var lines []byte
		for line := range bytes.Lines(b) {
			lines = append(append(lines, plain(strings.TrimRight(string(line), "\r\n"))...), '\n')
		}
		b = lines
	}
	_, err := a.out.Write(b)
	return err
}

func outputNames(r *pipeline.RunRecord) []string {
	var names []string
	for _, s := range r.Stages {
		for _, o := range s.Outputs {
			names = append(names, s.Name+"/"+o.Name)
		}
	}
	return names
}

// findOutput finds STAGE/NAME, or NAME where only one stage has it.
func findOutput(r *pipeline.RunRecord, name string) (string, artifact.Output, error) {
	var found []string
	var stage string
	var output artifact.Output
	for _, s := range r.Stages {
		for _, o := range s.Outputs {
			if s.Name+"/"+o.Name == name {
				return s.Name, o, nil
			}
			if o.Name == name {
				found = append(found, s.Name+"/"+o.Name)
				stage, output = s.Name, o
			}
		}
	}
	switch len(found) {
	case 0:
		return "", output, usage("run %s has no output %.80q", r.RunID, name).WithHint("it has report, record, %s", strings.Join(outputNames(r), ", "))
	case 1:
		return stage, output, nil
	}
	return "", output, usage("%d stages have an output %s", len(found), name).WithHint("say which: %s", strings.Join(found, ", "))
}
