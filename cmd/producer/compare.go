package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hashline/hashline/compare"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/summary"
)

func (a *app) diffCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Say what differs between two runs: data, parameters, code, stages, metrics",
		Long: `Diff names what differs between two runs and what followed: rows added, removed and changed, parameters, code, then the
stages that were computed again and the metrics that moved. Rows are matched by a column that tells them apart in both
files, else by content, and what is left by position. It exits with 0 whether or not there are differences.`,
		Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeRuns(2),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			left, err := a.resolve(ctx, args[0])
			if err != nil {
				return err
			}
			right, err := a.resolve(ctx, args[1])
			if err != nil {
				return err
			}
			d, err := compare.Runs(ctx, left.store, left.record, right.record)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.out, d)
			}
			printDifference(a.out, d)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

func printDifference(w io.Writer, d *compare.Difference) {
	if d.SameResult {
		fmt.Fprintf(w, "%s and %s have the same result digest: the same bits\n", d.A, d.B)
	} else {
		fmt.Fprintf(w, "%s and %s differ\n", d.A, d.B)
	}
	printData(w, d.Data)
	printChanges(w, "parameters", d.Parameters)
	printChanges(w, "code", d.Code)
	if len(d.Stages) > 0 {
		fmt.Fprintln(w, "\nstages")
		for _, s := range d.Stages {
			what := "its outputs are the same"
			if len(s.Outputs) > 0 {
				what = "differs in " + strings.Join(s.Outputs, ", ")
			}
			if s.StatusA != s.StatusB {
				what = fmt.Sprintf("%s, then %s", orNone(s.StatusA), orNone(s.StatusB))
			}
			if s.Reason != "" {
				what += " (" + s.Reason + ")"
			}
			fmt.Fprintf(w, "  %s: %s\n", s.Stage, plain(what))
		}
	}
	if len(d.Metrics) > 0 {
		fmt.Fprintln(w, "\nmetrics")
		for _, m := range d.Metrics {
			f, _ := metrics.FigureNamed(m.Metric)
			fmt.Fprintf(w, "  %s %s: %s -> %s\n", plain(m.Model), m.Metric, summary.FigureOf(f, m.A), summary.FigureOf(f, m.B))
		}
	}
}

func orNone(s string) string {
	if s == "" {
		return "absent"
	}
	return s
}

func printChanges(w io.Writer, title string, list []compare.Change) {
	if len(list) == 0 {
		return
	}
	text := func(s *string) string {
		if s == nil {
			return "absent"
		}
		return short(plain(*s), 120)
	}
	fmt.Fprintln(w, "\n"+title)
	for _, c := range list {
		fmt.Fprintf(w, "  %s: %s -> %s\n", plain(c.Where), text(c.A), text(c.B))
	}
}

func printData(w io.Writer, d *compare.Data) {
	if d == nil {
		return
	}
	fmt.Fprintf(w, "\ndata\n  %s -> %s\n", shortDigest(d.DigestA), shortDigest(d.DigestB))
	if d.MatchedBy == "" {
		fmt.Fprintln(w, "  one of the tables was not read, so rows cannot be compared")
		return
	}
	for _, c := range d.ColumnsAdded {
		fmt.Fprintf(w, "  column added: %s\n", plain(c))
	}
	for _, c := range d.ColumnsRemoved {
		fmt.Fprintf(w, "  column removed: %s\n", plain(c))
	}
	for _, c := range d.TypesChanged {
		fmt.Fprintf(w, "  type of %s: %s -> %s\n", plain(c.Where), *c.A, *c.B)
	}
	fmt.Fprintf(w, "  rows: %d -> %d; %d added, %d removed, %d changed (matched by %s)\n", d.RowsA, d.RowsB, d.Added, d.Removed, d.Changed, plain(d.MatchedBy))
	const most = 20
	for _, r := range d.Rows[:min(most, len(d.Rows))] {
		fmt.Fprintf(w, "  row %d %s%s\n", r.Row, r.Change, keyText(r.Key))
	}
	for _, c := range d.Cells[:min(most, len(d.Cells))] {
		fmt.Fprintf(w, "  row %d%s, %s: %s -> %s\n", c.RowB, keyText(c.Key), plain(c.Column), cellText(c.A), cellText(c.B))
	}
	if n := max(0, len(d.Rows)-most) + max(0, len(d.Cells)-most); n > 0 {
		fmt.Fprintf(w, "  and %d more; --json has the first hundred\n", n)
	}
}

func keyText(key string) string {
	if key == "" {
		return ""
	}
	return " (" + short(plain(key), 60) + ")"
}

func cellText(s string) string {
	if s == "" {
		return "missing"
	}
	return short(plain(s), 60)
}
