// Package tables moves tables between stages and turns findings about the data into errors that cross the queue.
package tables

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/parquet"
	"github.com/hashline/hashline/pipeline"
)

// MediaType is that of Parquet files.
const MediaType = "application/vnd.apache.parquet"

// Table is a table of an input whose columns are read when they are needed.
type Table struct {
	blob  *artifact.Blob
	role  string
	head  *frame.Frame
	cores int
}

// partValues is about how many values one goroutine of Each reads at once: opening the file anew for every part costs
// less than holding many columns of a long table.
const partValues = 1 << 20

// Open opens the table of an input.
func Open(c *pipeline.Call, role string) (*Table, error) {
	blob, err := c.Input(role)
	if err != nil {
		return nil, err
	}
	head, err := parquet.Describe(blob, blob.Size())
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", role, err)
	}
	return &Table{blob, role, head, max(1, c.Cores)}, nil
}

// Describe returns the columns without their values. The frame is the caller's.
func (t *Table) Describe() *frame.Frame {
	f := *t.head
	f.Columns = slices.Clone(f.Columns)
	return &f
}

// Each calls use with every column in turn, in the table's order. It reads a part of the columns on every core at once
// and holds no more.
func (t *Table) Each(use func(*frame.Column) error) error {
	n := len(t.head.Columns)
	part := min(max(1, partValues/max(1, t.head.Rows)), (n+t.cores-1)/t.cores)
	for from := 0; from < n; from += part * t.cores {
		columns, err := t.read(t.head.Columns[from:min(from+part*t.cores, n)], part)
		if err != nil {
			return fmt.Errorf("input %s: %w", t.role, err)
		}
		for i, c := range columns {
			columns[i] = nil
			if err := use(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// read returns the columns with their values, read in parts side by side.
func (t *Table) read(heads []*frame.Column, part int) ([]*frame.Column, error) {
	columns := make([]*frame.Column, len(heads))
	var g errgroup.Group
	for from := 0; from < len(heads); from += part {
		g.Go(func() error {
			var names []string
			for _, c := range heads[from:min(from+part, len(heads))] {
				names = append(names, c.Name)
			}
			f, err := parquet.Read(t.blob, t.blob.Size(), names...)
			if err == nil {
				copy(columns[from:], f.Columns)
			}
			return err
		})
	}
	return columns, g.Wait()
}

// Read reads the table of an input.
func Read(c *pipeline.Call, role string) (*frame.Frame, error) {
	blob, err := c.Input(role)
	if err != nil {
		return nil, err
	}
	f, err := parquet.Read(blob, blob.Size())
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", role, err)
	}
	return f, nil
}

// ReadDataset reads the dataset of an input.
func ReadDataset(c *pipeline.Call, role string) (*dataset.Dataset, error) {
	f, err := Read(c, role)
	if err != nil {
		return nil, err
	}
	d, err := dataset.FromFrame(f)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", role, err)
	}
	return d, nil
}

// Write writes a table as an output.
func Write(c *pipeline.Call, output string, f *frame.Frame) error {
	w, err := c.Create(output)
	if err != nil {
		return err
	}
	if err := parquet.Write(w, f); err != nil {
		return fmt.Errorf("output %s: %w", output, err)
	}
	return nil
}

// WriteDataset writes a dataset as an output.
func WriteDataset(c *pipeline.Call, output string, d *dataset.Dataset) error {
	f, err := d.Frame()
	if err != nil {
		return fmt.Errorf("output %s: %w", output, err)
	}
	return Write(c, output, f)
}

// Fault makes what was found about the data a bad_input error; other errors stay as they are.
func Fault(err error) error {
	if e, ok := errors.AsType[*csv.InputError](err); ok {
		return &pipeline.Error{Class: pipeline.ClassBadInput, Message: e.Message, File: e.File, Line: e.Line, Column: e.Column, Hint: e.Hint}
	}
	return err
}
