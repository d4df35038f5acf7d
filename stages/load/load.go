// Package load is the stage that reads a table of text and gives every column a type.
package load

import (
	"context"
	"fmt"
	"io"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
)

// Params of the stage.
type Params struct {
	Missing []string          `json:"missing,omitempty"` // texts that stand for a missing value, besides csv.MissingTexts
	Types   map[string]string `json:"types,omitempty"`   // types of columns by name, instead of the inferred ones
}

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error {
	_, err := p.types()
	return err
}

func (p *Params) types() (map[string]frame.Type, error) {
	types := make(map[string]frame.Type, len(p.Types))
	for name, text := range p.Types {
		t, err := frame.ParseType(text)
		if err != nil {
			return nil, fmt.Errorf("column %.80q: %w", name, err)
		}
		types[name] = t
	}
	return types, nil
}

// Kind describes the stage. Output notes is a csv.Report.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name: "load_data", Doc: "reads a table of text and gives every column a type", Package: "stages/load",
		Inputs: []pipeline.InputSpec{{Role: "csv"}},
		Outputs: []pipeline.OutputSpec{{Name: "table", Class: pipeline.Result, MediaType: tables.MediaType},
			{Name: "notes", Class: pipeline.Result, MediaType: "application/json"}},
		Params: func() any { return &Params{} },
		Run:    run,
	}
}

func run(ctx context.Context, c *pipeline.Call) error {
	p := c.Params.(*Params)
	blob, err := c.Input("csv")
	if err != nil {
		return err
	}
	types, err := p.types()
	if err != nil {
		return err
	}
	source := func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(blob, 0, blob.Size())), nil }
	f, report, err := csv.Read(ctx, source, csv.Options{Missing: p.Missing, Types: types, Cores: c.Cores})
	if err != nil {
		return tables.Fault(err)
	}
	if len(f.Columns) < 2 {
		return pipeline.BadInput("the file has one column").WithHint("a target and a feature need two; check the delimiter of the file")
	}
	if report.RaggedCount > 0 {
		c.Warn("RAGGED_ROWS", fmt.Sprintf("rows without %d fields were left out: %s", len(f.Columns), report.RaggedLines(10)), "")
	}
	for _, name := range report.Renamed {
		c.Warn("RENAMED_COLUMN", fmt.Sprintf("a column without a name of its own is called %s", csv.Quote(name)), name)
	}
	if err := tables.Write(c, "table", f); err != nil {
		return err
	}
	return c.WriteJSON("notes", report)
}
