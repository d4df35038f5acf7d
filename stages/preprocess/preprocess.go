// Package preprocess is the stage that makes features and classes of a table, without fitting anything.
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
	Features feature.Choice `json:"features"`
	Split    string         `json:"split,omitempty"` // a column that the split goes by, kept beside the features
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
	Classes    []ClassCount `json:"classes"`
}

// ClassCount is a class and its rows.
type ClassCount struct {
	Class string `json:"class"`
	Rows  int    `json:"rows"`
}

// Kind describes the stage. Output table is a dataset, output notes are Notes.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name: "preprocess", Doc: "makes features and classes, drops repeated rows", Package: "stages/preprocess",
		Inputs: []pipeline.InputSpec{{Role: "table"}},
		Outputs: []pipeline.OutputSpec{{Name: "table", Class: pipeline.Result, MediaType: tables.MediaType},
			{Name: "notes", Class: pipeline.Result, MediaType: "application/json"}},
		Params: func() any { return &Params{} },
		Run:    run,
	}
}

func run(_ context.Context, c *pipeline.Call) error {
	p := c.Params.(*Params)
	f, err := tables.Read(c, "table")
	if err != nil {
		return err
	}
	d, notes, err := Prepare(f, p)
	if err != nil {
		return tables.Fault(err)
	}
	if notes.Duplicates > 0 {
		c.Warn("DUPLICATE_ROWS", fmt.Sprintf("%d rows are equal to an earlier one in every column and were left out", notes.Duplicates), "")
	}
	if notes.MissingTarget > 0 {
		c.Warn("MISSING_TARGET", fmt.Sprintf("%d rows have no value in the target's column and were left out", notes.MissingTarget), notes.Target.Column)
	}
	if err := tables.WriteDataset(c, "table", d); err != nil {
		return err
	}
	return c.WriteJSON("notes", notes)
}

// Prepare does the work of the stage. Findings about the data are of type *csv.InputError.
func Prepare(f *frame.Frame, p *Params) (*dataset.Dataset, *Notes, error) {
	names := make([]string, len(f.Columns))
	for i, c := range f.Columns {
		names[i] = c.Name
	}
	target, err := feature.ParseTarget(p.Target, names)
	if err != nil {
		return nil, nil, err
	}
	notes := &Notes{RowsIn: f.Rows, Target: TargetNotes{Expression: target.Expression, Column: target.Column}}
	y, classes, err := target.Labels(f.Column(target.Column))
	if err != nil {
		return nil, nil, err
	}
	rows := notes.keep(f, y)
	if len(rows) == 0 {
		return nil, nil, &csv.InputError{Message: fmt.Sprintf("every value of the target column %s is missing", csv.Quote(target.Column)), Hint: "choose another target, or check which texts count as missing"}
	}
	if len(rows) < f.Rows {
		f = f.Take(rows)
		kept := make([]int32, len(rows))
		for i, r := range rows {
			kept[i] = y[r]
		}
		y = kept
	}
	recipe, decisions, err := feature.Choose(f.Columns, target.Column, p.Features)
	if err != nil {
		return nil, nil, err
	}
	d := &dataset.Dataset{Y: y, Classes: classes, Expression: target.Expression}
	if d.Features, err = recipe.Apply(f); err != nil {
		return nil, nil, err
	}
	if d.Recipe, err = json.Marshal(recipe); err != nil {
		return nil, nil, err
	}
	if err := splitColumn(d, f, p.Split); err != nil {
		return nil, nil, err
	}
	notes.RowsOut, notes.Features = len(y), recipe.Features
	notes.Columns = append(decisions, feature.Decision{Column: target.Column, Type: f.Column(target.Column).Type.String(), Use: "target", Reason: "the target is made from it"})
	for i, n := range d.Counts() {
		notes.Target.Classes = append(notes.Target.Classes, ClassCount{classes[i], n})
	}
	return d, notes, nil
}

// keep returns the rows that have a class and are no repetition, and counts the others.
func (n *Notes) keep(f *frame.Frame, y []int32) []int32 {
	// Two hashes of different keys make 128 bits: no two different rows agree by chance.
	a, b := frame.RowHashes(f.Columns, f.Rows, 1), frame.RowHashes(f.Columns, f.Rows, 2)
	seen := make(map[[2]uint64]struct{}, f.Rows)
	rows := make([]int32, 0, f.Rows)
	for i := range f.Rows {
		key := [2]uint64{a[i], b[i]}
		if _, repeated := seen[key]; repeated {
			n.Duplicates++
			continue
		}
		seen[key] = struct{}{}
		if y[i] < 0 {
			n.MissingTarget++
			continue
		}
		rows = append(rows, int32(i))
	}
	return rows
}

func splitColumn(d *dataset.Dataset, f *frame.Frame, name string) error {
	if name == "" {
		return nil
	}
	column := f.Column(name)
	if column == nil {
		return &csv.InputError{Message: fmt.Sprintf("there is no column %s to split by", csv.Quote(name)), Hint: "names are exact"}
	}
	d.Split = column
	for _, c := range d.Features {
		if c.Name == name { // a feature of that name and another content would be taken for it
			d.Split = c
		}
	}
	return nil
}
