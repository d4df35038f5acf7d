// Package tables moves tables between stages and turns findings about the data into errors that cross the queue.
package tables

import (
	"errors"
	"fmt"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/parquet"
	"github.com/hashline/hashline/pipeline"
)

// MediaType is that of Parquet files.
const MediaType = "application/vnd.apache.parquet"

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
