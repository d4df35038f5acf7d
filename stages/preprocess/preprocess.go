// Package preprocess is the stage that makes features and a target of a table, without fitting anything.
package preprocess

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
)

// Params of the stage.
type Params struct {
	Target   string         `json:"target"`
	Task     string         `json:"task,omitempty"` // regression, classification, or nothing: classes, of a numeric column if they are few
	Features feature.Choice `json:"features"`
	Split    string         `json:"split,omitempty"` // a column that the split goes by, kept beside the features
}

// Tasks: what is to be learned of the target.
const (
	Classification = "classification" // classes; of a numeric column, its values
	Regression     = "regression"     // numbers
)

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error {
	if p.Task != "" && p.Task != Classification && p.Task != Regression {
		return fmt.Errorf("task %.40q is neither classification nor regression", p.Task)
	}
	return nil
}

// Notes say what was decided, and what was left out.
type Notes struct {
	RowsIn        int                `json:"rows_in"`
	Duplicates    int                `json:"duplicates"`     // rows equal to an earlier one in every column
	MissingTarget int                `json:"missing_target"` // rows without a value in the target's column
	RowsOut       int                `json:"rows_out"`
	Target        TargetNotes        `json:"target"`
	Columns       []feature.Decision `json:"columns"`
	Features      []feature.Feature  `json:"features"`
}

// TargetNotes describe the target.
type TargetNotes struct {
	Expression string       `json:"expression"`
	Column     string       `json:"column"`
	Classes    []ClassCount `json:"classes"` // null of numbers
}

// ClassCount is a class and its rows.
type ClassCount struct {
	Class string `json:"class"`
	Rows  int    `json:"rows"`
}

// Kind describes the stage. Output table is a dataset, output notes are Notes.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name: "preprocess", Doc: "makes features and the target, drops repeated rows", Package: "stages/preprocess",
		Inputs: []pipeline.InputSpec{{Role: "table"}},
		Outputs: []pipeline.OutputSpec{{Name: "table", Class: pipeline.Result, MediaType: tables.MediaType},
			{Name: "notes", Class: pipeline.Result, MediaType: "application/json"}},
		Params: func() any { return &Params{} },
		Run:    run,
	}
}

func run(_ context.Context, c *pipeline.Call) error {
	p := c.Params.(*Params)
	t, err := tables.Open(c, "table")
	if err != nil {
		return err
	}
	d, notes, err := Prepare(t, p)
	if err != nil {
		return tables.Fault(err)
	}
	if notes.Duplicates > 0 {
		c.Warn("DUPLICATE_ROWS", fmt.Sprintf("%s equal to an earlier one in every column and left out", rowsAre(notes.Duplicates)), "")
	}
	if notes.MissingTarget > 0 {
		c.Warn("MISSING_TARGET", fmt.Sprintf("%s without a value in the target's column and left out", rowsAre(notes.MissingTarget)), notes.Target.Column)
	}
	if err := tables.WriteDataset(c, "table", d); err != nil {
		return err
	}
	return c.WriteJSON("notes", notes)
}

func rowsAre(n int) string {
	if n == 1 {
		return "1 row is"
	}
	return fmt.Sprintf("%d rows are", n)
}

// Table is a table whose columns are read when they are needed, so that they need not be in memory together.
type Table interface {
	// Describe returns the columns without their values.
	Describe() *frame.Frame
	// Each calls use with every column in turn, values included, in the table's order.
	Each(use func(*frame.Column) error) error
}

// Prepare does the work of the stage. Findings about the data are of type *csv.InputError.
func Prepare(t Table, p *Params) (*dataset.Dataset, *Notes, error) {
	f := t.Describe()
	names := make([]string, len(f.Columns))
	for i, c := range f.Columns {
		names[i] = c.Name
	}
	target, err := feature.ParseTarget(p.Target, names)
	if err != nil {
		return nil, nil, err
	}
	if p.Split != "" && f.Column(p.Split) == nil {
		return nil, nil, &csv.InputError{Message: fmt.Sprintf("there is no column %s to split by", csv.Quote(p.Split)), Hint: "names are exact"}
	}
	notes := &Notes{RowsIn: f.Rows, Target: TargetNotes{Expression: target.Expression, Column: target.Column}}
	repeats, err := scan(t, f, p, target.Column)
	if err != nil {
		return nil, nil, err
	}
	d := &dataset.Dataset{Expression: target.Expression}
	if err := notes.target(d, f, target, p.Task, repeats); err != nil {
		return nil, nil, err
	}
	if err := notes.features(d, f, p); err != nil {
		return nil, nil, err
	}
	return d, notes, nil
}

// scan goes over all columns once. It fills f with those that are needed, and returns the rows that are equal to an
// earlier one in every column.
func scan(t Table, f *frame.Frame, p *Params, target string) (*repeats, error) {
	r, at := newRepeats(f.Rows), 0
	err := t.Each(func(c *frame.Column) error {
		r.add(c)
		if c.Name == target || c.Name == p.Split || p.Features.Needs(c.Name, c.Type) {
			f.Columns[at] = c
		}
		at++
		return nil
	})
	return r, err
}

// target makes the target of the dataset, and drops the rows that are repetitions or have none.
func (n *Notes) target(d *dataset.Dataset, f *frame.Frame, t *feature.Target, task string, r *repeats) (err error) {
	c := f.Column(t.Column)
	if task == Regression {
		if d.Target, err = t.Numbers(c); err != nil {
			return err
		}
		rows, err := n.keep(f, func(i int) bool { return d.Target[i] == d.Target[i] }, r)
		d.Target = take(d.Target, rows)
		return err
	}
	distinct := feature.MaxDistinct
	if task == Classification {
		distinct = feature.MaxClasses
	}
	if d.Y, d.Classes, err = t.Labels(c, distinct); err != nil {
		return err
	}
	rows, err := n.keep(f, func(i int) bool { return d.Y[i] >= 0 }, r)
	d.Y = take(d.Y, rows)
	return err
}

// take returns the given rows, all for nil.
func take[T any](v []T, rows []int32) []T {
	if rows == nil {
		return v
	}
	kept := make([]T, len(rows))
	for i, r := range rows {
		kept[i] = v[r]
	}
	return kept
}

// keep drops the rows of f that have no target or are repetitions, counts them, and returns the others, nil for all.
func (n *Notes) keep(f *frame.Frame, has func(i int) bool, r *repeats) ([]int32, error) {
	rows := make([]int32, 0, f.Rows)
	for i := range f.Rows {
		switch {
		case r.repeated(i):
			n.Duplicates++
		case !has(i):
			n.MissingTarget++
		default:
			rows = append(rows, int32(i))
		}
	}
	n.RowsOut = len(rows)
	if len(rows) == 0 {
		return nil, &csv.InputError{Message: fmt.Sprintf("every value of the target column %s is missing", csv.Quote(n.Target.Column)),
			Hint: "choose another target, or check which texts count as missing"}
	}
	if len(rows) == f.Rows {
		return nil, nil
	}
	f.Rows = len(rows)
	for i, c := range f.Columns {
		if c.Len() > 0 {
			f.Columns[i] = c.Take(rows) // one at a time: the whole column is garbage then
		}
	}
	return rows, nil
}

// features makes the features of the dataset, and the notes on them.
func (n *Notes) features(d *dataset.Dataset, f *frame.Frame, p *Params) error {
	recipe, decisions, err := feature.Choose(f.Columns, n.Target.Column, p.Features)
	if err != nil {
		return err
	}
	if d.Features, err = recipe.Apply(f); err != nil {
		return err
	}
	if d.Recipe, err = json.Marshal(recipe); err != nil {
		return err
	}
	splitColumn(d, f, p.Split)
	n.Features = recipe.Features
	n.Columns = append(decisions, feature.Decision{Column: n.Target.Column, Type: f.Column(n.Target.Column).Type.String(), Use: "target", Reason: "the target is made from it"})
	for i, rows := range d.Counts() {
		n.Target.Classes = append(n.Target.Classes, ClassCount{d.Classes[i], rows})
	}
	return nil
}

func splitColumn(d *dataset.Dataset, f *frame.Frame, name string) {
	if name == "" {
		return
	}
	d.Split = f.Column(name)
	for _, c := range d.Features {
		if c.Name == name { // a feature of that name and another content would be taken for it
			d.Split = c
		}
	}
}
