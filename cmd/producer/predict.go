package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hashline/hashline/artifact"
	table "github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/stages/load"
	"github.com/hashline/hashline/stages/tables"
	"github.com/hashline/hashline/summary"
)

// predictRows is the number of rows that are scored together.
const predictRows = 8192

func (a *app) predictCommand() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "predict RUN FILE",
		Short: "Score raw rows with a model of a run",
		Long: `Predict reads a table of the kind that the run was trained on, with or without the target, and prints a CSV with the
predicted label and the probability of every class for each row, in order; of a regression, the predicted number. It needs little memory, whatever the length of
the file; - is standard input. The model is the one with the largest ROC AUC, or the least RMSE, unless --model names another.

The file may be of another encoding, delimiter and order of columns than the training data, and may have more columns.
A class that a spreadsheet would take for a formula gets a ' before it.`,
		Example: "  producer predict k3f9 new.csv > scores.csv\n  producer predict k3f9 - --model logistic_regression < new.csv",
		Args:    cobra.ExactArgs(2), ValidArgsFunction: a.completeRuns(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			r, err := a.resolve(ctx, args[0])
			if err != nil {
				return err
			}
			p, err := newPredictor(ctx, r, name)
			if err != nil {
				return err
			}
			src, err := a.openSource(ctx, args[1])
			if err != nil {
				return err
			}
			defer src.close()
			return tables.Fault(p.explain(p.stream(ctx, src, a.out)))
		},
	}
	c.Flags().StringVar(&name, "model", "", "`name` of the model")
	return c
}

// predictor scores raw rows.
type predictor struct {
	model   *model.Model
	recipe  *feature.Recipe
	known   []table.ColumnReport
	missing []string
}

// modelOf returns the file of a model of a run, by default of the best.
func modelOf(ctx context.Context, r *resolved, name string) ([]byte, *summary.Details, error) {
	d, x, err := summary.Build(ctx, r.store, r.record)
	if err != nil {
		return nil, nil, err
	}
	if len(d.Models) == 0 || x.Load == nil {
		return nil, nil, usage("run %s has no model", d.RunID).WithHint("its status is %s; `producer runs` lists others", d.Status)
	}
	if name == "" {
		name = d.Best().Name
	}
	stage, ok := r.record.Stage(stages.TrainPrefix + name)
	var out artifact.Output
	if ok {
		out, ok = stage.Output("model")
	}
	if !ok {
		return nil, nil, usage("run %s has no model %.60q", d.RunID, name).WithHint("it has %s", modelList(d))
	}
	b, err := r.store.ReadOutput(ctx, out)
	return b, x, err
}

func newPredictor(ctx context.Context, r *resolved, name string) (*predictor, error) {
	b, x, err := modelOf(ctx, r, name)
	if err != nil {
		return nil, err
	}
	p := &predictor{}
	if p.model, err = model.Parse(b); err != nil {
		return nil, foreign(r, err)
	}
	if p.recipe, err = feature.ParseRecipe(p.model.Recipe); err != nil {
		return nil, err
	}
	for _, c := range p.recipe.Columns { // the others, the target among them, may hold anything
		if known := x.Load.Column(c.Name); known != nil {
			p.known = append(p.known, *known)
		}
	}
	p.missing, err = missingTexts(ctx, r)
	return p, err
}

// foreign says of a model that another program registers what to do.
func foreign(r *resolved, err error) error {
	if !errors.Is(err, model.ErrUnknownKind) {
		return err
	}
	return usage("run %s: %v", r.record.RunID, err).WithHint("--format json exports the file for it; of the run's other models, name one that this program knows")
}

// explain gives an error about a value a hint that fits scoring.
func (p *predictor) explain(err error) error {
	e, ok := errors.AsType[*table.InputError](err)
	if !ok || e.Column == 0 {
		return err
	}
	mended := *e
	mended.Hint = "the model was trained on values of another type there; mend the value, or leave it empty if it is not known"
	return &mended
}

func modelList(d *summary.Document) string {
	var names []string
	for _, m := range d.Models {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}

// missingTexts are those that the run was told of.
func missingTexts(ctx context.Context, r *resolved) ([]string, error) {
	b, err := r.store.ReadAll(ctx, r.record.Plan)
	if err != nil {
		return nil, err
	}
	plan, err := pipeline.ParsePlan(b)
	if err != nil {
		return nil, err
	}
	st, ok := plan.Stage(stages.LoadData)
	if !ok {
		return nil, nil
	}
	var p load.Params
	err = json.Unmarshal(st.Params, &p)
	return p.Missing, err
}

// cellOf makes a cell of a class that does nothing but show it: no escapes for a terminal, no formula for a spreadsheet.
func cellOf(class string) string {
	text := plain(class)
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return text
	}
	if strings.IndexAny(strings.TrimLeft(text, " "), "=+-@") == 0 {
		return "'" + text
	}
	return text
}

// stream scores all rows of a file.
func (p *predictor) stream(ctx context.Context, src *source, w io.Writer) error {
	batches, err := table.NewBatches(newHeadReader(src), p.known, table.Options{File: src.name, Missing: p.missing}, predictRows)
	if err != nil {
		return err
	}
	for _, c := range p.recipe.Columns {
		if !batches.Has(c.Name) {
			return badFile(src.name, "the file has no column %s, which the model needs", table.Quote(c.Name)).WithHint("give a file with the columns of the training data")
		}
	}
	header := []string{"label"}
	if len(p.model.Classes) == 0 {
		header = []string{"prediction"}
	}
	for _, c := range p.model.Classes {
		header = append(header, "probability of "+cellOf(c))
	}
	if err := writeRow(w, header); err != nil {
		return err
	}
	labels := make([][]byte, len(p.model.Classes))
	for i, c := range p.model.Classes {
		var b bytes.Buffer
		if err := writeRow(&b, []string{cellOf(c)}); err != nil {
			return err
		}
		labels[i] = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	}
	var text []byte
	for part := range readAhead(ctx, batches) {
		if errors.Is(part.err, io.EOF) {
			break
		}
		if part.err != nil {
			return part.err
		}
		if text, err = p.score(text[:0], part.rows, labels); err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// part is some rows of the file, or why there are none.
type part struct {
	rows *frame.Frame
	err  error
}

// readAhead reads the next rows while the last are scored. Who stops early leaves the reader behind, which may wait for
// its input.
func readAhead(ctx context.Context, batches *table.Batches) func(yield func(part) bool) {
	return func(yield func(part) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		parts := make(chan part, 1)
		go func() {
			defer close(parts)
			for {
				f, err := batches.Next(ctx)
				select {
				case parts <- part{f, err}:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		}()
		for {
			select {
			case p, ok := <-parts:
				if !ok || !yield(p) {
					return
				}
			case <-ctx.Done():
				yield(part{err: ctx.Err()})
				return
			}
		}
	}
}

func writeRow(w io.Writer, fields []string) error {
	out := csv.NewWriter(w)
	if err := out.Write(fields); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// score appends a line for each row.
func (p *predictor) score(text []byte, f *frame.Frame, labels [][]byte) ([]byte, error) {
	features, err := p.recipe.Apply(f)
	if err != nil {
		return nil, err
	}
	proba, err := p.model.Estimator().Predict(features, runtime.GOMAXPROCS(0))
	if err != nil {
		return nil, err
	}
	k := len(labels)
	if k == 0 {
		for _, v := range proba {
			text = append(strconv.AppendFloat(text, v, 'g', -1, 64), '\n')
		}
		return text, nil
	}
	for i := range f.Rows {
		shares := proba[i*k : (i+1)*k]
		text = append(text, labels[p.model.Label(shares)]...)
		for _, v := range shares {
			text = strconv.AppendFloat(append(text, ','), v, 'g', -1, 64)
		}
		text = append(text, '\n')
	}
	return text, nil
}
