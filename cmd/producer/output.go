package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/chart"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/report"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/stages/plots"
	"github.com/hashline/hashline/summary"
)

// Documents of a run that this command makes.
const (
	reportDocument  = "report.html"
	metricsDocument = "metrics.json"
)

func renderReport(ctx context.Context, store *artifact.Store, r *pipeline.RunRecord, d *summary.Document, x *summary.Details) ([]byte, error) {
	var b bytes.Buffer
	err := report.Write(ctx, &b, store, r, d, x)
	return b.Bytes(), err
}

// printSummary shows people what came of a run.
func printSummary(w io.Writer, d *summary.Document) {
	fmt.Fprintf(w, "\n%s  %s  %s\n", d.RunID, d.Status, plain(d.Input.Name))
	if d.Input.Rows > 0 {
		fmt.Fprintf(w, "%d rows, %d columns; target %s", d.Input.Rows, d.Input.Columns, plain(d.Target.Expression))
		if d.Split.TestRows > 0 {
			fmt.Fprintf(w, "; %d rows to train, %d to test (%s split, seed %d)", d.Split.TrainRows, d.Split.TestRows, d.Split.Method, d.Seed)
		}
		fmt.Fprintln(w)
	}
	printLeftOut(w, d.LeftOut)
	if len(d.Models) > 0 {
		fmt.Fprintln(w)
		printModels(w, d)
	}
	if d.Validation != nil {
		fmt.Fprintln(w)
		printValidation(w, string(d.RunID), d.Validation)
	}
	fmt.Fprintln(w)
	for _, warning := range d.Warnings {
		fmt.Fprintf(w, "warning: %s\n", plain(warning.Message))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "stages\t%d: %d computed, %d cached", d.Counts.Stages, d.Counts.Computed, d.Counts.Cached)
	if d.Counts.Failed > 0 || d.Counts.Skipped > 0 {
		fmt.Fprintf(t, ", %d failed, %d skipped", d.Counts.Failed, d.Counts.Skipped)
	}
	if d.Counts.Canceled > 0 {
		fmt.Fprintf(t, ", %d canceled", d.Counts.Canceled)
	}
	fmt.Fprintln(t)
	queued, fetch, compute, stored := d.Times()
	wall := fmt.Sprintf("%.3f s; ", d.WallS)
	switch {
	case d.FinishedAt == nil && d.WallS == 0: // nobody knows when it ended
		wall = ""
	case d.FinishedAt == nil:
		wall = fmt.Sprintf("%.3f s so far; ", d.WallS)
	}
	fmt.Fprintf(t, "time\t%sover all stages: queued %.3f, fetch %.3f, compute %.3f, store %.3f\n", wall, queued, fetch, compute, stored)
	if d.ResultDigest != "" {
		fmt.Fprintf(t, "result\t%s\n", d.ResultDigest)
	}
	if d.ReportPath != "" {
		fmt.Fprintf(t, "report\t%s\n", plain(string(d.ReportPath)))
	}
	if d.OutDir != nil {
		fmt.Fprintf(t, "files\t%s\n", plain(*d.OutDir))
	}
	_ = t.Flush()
}

// printLeftOut names the columns that no model uses though nobody asked for that.
func printLeftOut(w io.Writer, columns []summary.LeftOut) {
	if len(columns) == 0 {
		return
	}
	const most = 10
	var parts []string
	for _, c := range columns[:min(most, len(columns))] {
		why := map[string]string{frame.Identifier.String(): "identifier", frame.Text.String(): "free text"}[c.Type]
		parts = append(parts, short(plain(c.Column), 30)+" ("+cmp.Or(why, c.Reason)+")")
	}
	if more := len(columns) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	fmt.Fprintf(w, "left out: %s; --include COLUMN takes one all the same\n", strings.Join(parts, ", "))
}

func printModels(w io.Writer, d *summary.Document) {
	if d.Target.Task == stages.Regression {
		printRegression(w, d)
		return
	}
	t := figureTable{heads: []string{"accuracy", "balanced", "F1", "ROC AUC", "avg. precision", "log loss", "Brier"}}
	for _, m := range d.Models {
		f := m.Metrics
		t.row(m.Name, f.Accuracy, f.BalancedAccuracy, f.F1, f.ROCAUC, f.AveragePrecision, f.LogLoss, f.Brier)
	}
	if s := d.Baseline.Stump; s != nil {
		nan := num.Float(math.NaN())
		t.row("baseline: stump on "+short(plain(s.Feature), 30), s.Accuracy, nan, nan, s.ROCAUC)
	}
	if m := d.Baseline.Majority; m != nil {
		t.row("baseline: always "+short(plain(m.Class), 30), m.Accuracy)
	}
	t.print(w)
	if p := d.Target.Positive; p != nil {
		fmt.Fprintf(w, "F1, ROC AUC and avg. precision are those of the class %s\n", short(plain(*p), 30))
	} else {
		fmt.Fprintf(w, "F1, ROC AUC and avg. precision are unweighted means over %d classes\n", len(d.Target.Classes))
	}
	for _, m := range d.Models {
		if c := m.Decision; c != nil && d.Target.Positive != nil {
			fmt.Fprintf(w, "%s takes a row for %s from a probability of %s on, which costs %s a row; from 0.5 on it would cost %s\n",
				plain(m.Name), short(plain(*d.Target.Positive), 30), summary.Figure(c.Threshold), summary.Figure(c.Cost), summary.Figure(c.AtHalf))
		}
	}
}

func printRegression(w io.Writer, d *summary.Document) {
	t := figureTable{heads: []string{"RMSE", "MAE", "median error", "largest error", "R²"}, inUnits: 4}
	add := func(name string, r metrics.Regression) {
		t.row(name, r.RMSE, r.MAE, r.MedianAbsolute, r.MaxError, r.R2)
	}
	for _, m := range d.Models {
		if m.Regression != nil {
			add(m.Name, *m.Regression)
		}
	}
	if c := d.Baseline.Cut; c != nil {
		add("baseline: one cut on "+short(plain(c.Feature), 30), c.Regression)
	}
	if m := d.Baseline.Mean; m != nil {
		add("baseline: always "+summary.Value(m.Value), m.Regression)
	}
	t.print(w)
	fmt.Fprintln(w, "errors are in the unit of the target; R² is the share of its variance that a model explains")
}

// figureTable is a table of figures by model. Undefined figures are left empty.
type figureTable struct {
	heads   []string
	inUnits int // so many of the first figures are in the unit of the target
	names   []string
	rows    [][]num.Float
}

func (t *figureTable) row(name string, figures ...num.Float) {
	t.names, t.rows = append(t.names, plain(name)), append(t.rows, figures)
}

func (t *figureTable) print(w io.Writer) {
	widest := len("model")
	for _, n := range t.names {
		widest = max(widest, len([]rune(n)))
	}
	texts := make([][]string, len(t.rows))
	widths := make([]int, len(t.heads))
	for i, h := range t.heads {
		widths[i] = max(6, utf8.RuneCountInString(h))
	}
	for r, row := range t.rows {
		texts[r] = make([]string, len(row))
		for i, f := range row {
			if f.Defined() {
				texts[r][i] = summary.FigureOf(metrics.Named{InUnits: i < t.inUnits}, f)
				widths[i] = max(widths[i], utf8.RuneCountInString(texts[r][i]))
			}
		}
	}
	line := func(name string, figures []string) {
		l := fmt.Sprintf("%-*s", widest, name)
		for i, text := range figures {
			l += fmt.Sprintf("  %*s", widths[i], text)
		}
		fmt.Fprintln(w, strings.TrimRight(l, " "))
	}
	line("model", t.heads)
	for r, name := range t.names {
		line(name, texts[r])
	}
}

// makeOut finds out before the work begins whether its results can be written to where they shall go.
func (s *submission) makeOut() error {
	if s.outDir == "" {
		return nil
	}
	err := os.MkdirAll(s.outDir, 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(s.outDir, ".hashline-"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return usage("--out: %v", err).WithHint("choose a directory that can be written to")
	}
	return nil
}

// writeOut writes report, metrics, plots and models to the directory that the user asked for.
func (s *submission) writeOut(ctx context.Context, store *artifact.Store, r *pipeline.RunRecord, d *summary.Document, report []byte) error {
	path, err := filepath.Abs(s.outDir)
	if err != nil {
		return err
	}
	d.OutDir = &path
	o := outWriter{dir: path}
	o.file(reportDocument, report)
	document, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return err
	}
	o.file(metricsDocument, append(document, '\n'))
	var pictures []picture
	for _, st := range r.Stages {
		for _, out := range st.Outputs {
			name := safeName(strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(st.Name, stages.PlotPrefix), stages.TrainPrefix), stages.EvaluatePrefix))
			switch {
			case out.MediaType == "image/svg+xml":
				b, err := store.ReadOutput(ctx, out)
				if err != nil {
					return err
				}
				o.file(filepath.Join("plots", name+"-"+out.Name+".svg"), b)
				if s.png {
					pictures = append(pictures, picture{stage: st.Name, output: out.Name, file: filepath.Join("plots", name+"-"+out.Name+".png")})
				}
			case out.Name == "model":
				b, err := store.ReadOutput(ctx, out)
				if err != nil {
					return err
				}
				o.file(filepath.Join("models", name+".json"), b)
			}
		}
	}
	if err := drawAll(ctx, store, r, pictures); err != nil {
		return err
	}
	for _, p := range pictures {
		o.file(p.file, p.png)
	}
	if o.err != nil {
		return usage("--out: %v", o.err).WithHint("choose a directory that can be written to")
	}
	return nil
}

// picture is a plot to be drawn as PNG, and where to.
type picture struct {
	stage, output, file string
	png                 []byte
}

// drawAll draws pictures on all cores, as one takes tens of milliseconds.
func drawAll(ctx context.Context, store *artifact.Store, r *pipeline.RunRecord, pictures []picture) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range pictures {
		p := &pictures[i]
		g.Go(func() (err error) {
			p.png, err = renderPNG(ctx, store, r, p.stage, p.output)
			return err
		})
	}
	return g.Wait()
}

// outWriter writes files below a directory and keeps the first error.
type outWriter struct {
	dir string
	err error
}

func (o *outWriter) file(name string, b []byte) {
	if o.err != nil {
		return
	}
	path := filepath.Join(o.dir, name)
	if o.err = os.MkdirAll(filepath.Dir(path), 0o755); o.err == nil {
		o.err = os.WriteFile(path, b, 0o644)
	}
}

// renderPNG draws a plot again, from the inputs of the stage that drew it.
func renderPNG(ctx context.Context, store *artifact.Store, r *pipeline.RunRecord, stage, output string) ([]byte, error) {
	b, err := store.ReadAll(ctx, r.Plan)
	if err != nil {
		return nil, err
	}
	plan, err := pipeline.ParsePlan(b)
	if err != nil {
		return nil, err
	}
	st, ok := plan.Stage(stage)
	if !ok {
		return nil, fmt.Errorf("the plan has no stage %q", stage)
	}
	in := plots.Inputs{}
	for _, n := range st.Needs {
		from, ok := r.Stage(n.Stage)
		if !ok {
			return nil, fmt.Errorf("the run has no stage %q", n.Stage)
		}
		o, ok := from.Output(n.Output)
		if !ok {
			return nil, fmt.Errorf("stage %s has no output %s", n.Stage, n.Output)
		}
		text, err := store.ReadOutput(ctx, o)
		if err != nil {
			return nil, err
		}
		in[n.Role] = append(in[n.Role], text)
	}
	return plots.Render(st, output, chart.PNG, in)
}
