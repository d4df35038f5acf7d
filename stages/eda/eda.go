// Package eda is the stage that describes the features and the target in numbers.
package eda

import (
	"context"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/eda"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
)

// Summary is the output of that name.
type Summary struct {
	Table artifact.Digest `json:"table"` // what it describes
	*eda.Summary
}

// Kind describes the stage. Output summary is a Summary.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name: "eda", Doc: "describes the features and the target in numbers", Package: "stages/eda",
		Inputs:  []pipeline.InputSpec{{Role: "table"}},
		Outputs: []pipeline.OutputSpec{{Name: "summary", Class: pipeline.Result, MediaType: "application/json"}},
		Run: func(_ context.Context, c *pipeline.Call) error {
			d, err := tables.ReadDataset(c, "table")
			if err != nil {
				return err
			}
			table, _ := c.Ref("table")
			if d.Numeric() {
				target := d.TargetColumn()
				target.Name = d.Expression
				return c.WriteJSON("summary", Summary{table.Digest, eda.SummarizeNumbers(d.Features, target, c.Cores)})
			}
			return c.WriteJSON("summary", Summary{table.Digest, eda.Summarize(d.Features, d.Y, d.Classes, c.Cores)})
		},
	}
}
