// Package train is what the training stages share: a dataset in, a model file out.
package train

import (
	"fmt"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/tree"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
)

// Inputs and Outputs of every training stage.
func Inputs() []pipeline.InputSpec { return []pipeline.InputSpec{{Role: "train"}} }

// Outputs of every training stage: a model.Model.
func Outputs() []pipeline.OutputSpec {
	return []pipeline.OutputSpec{{Name: "model", Class: pipeline.Result, MediaType: "application/json"}}
}

// Run reads the training part, lets fit set the estimator of a model, and writes it.
func Run(c *pipeline.Call, kind, engine string, fit func(d *dataset.Dataset, m *model.Model) error) error {
	d, err := tables.ReadDataset(c, "train")
	if err != nil {
		return err
	}
	if len(d.Features) > tree.MaxFeatures {
		return pipeline.BadInput("there are %d features; a model takes at most %d", len(d.Features), tree.MaxFeatures).WithHint("leave out columns with --exclude")
	}
	m := &model.Model{Schema: model.Schema, Kind: kind, Engine: engine, Target: d.Expression, Classes: d.Classes, Recipe: d.Recipe, Columns: d.Names()}
	if err := fit(d, m); err != nil {
		return fmt.Errorf("fitting: %w", err)
	}
	return c.WriteJSON("model", m)
}

// Positive refuses a parameter below least.
func Positive(name string, value, least int) error {
	if value < least {
		return fmt.Errorf("%s is %d, want at least %d", name, value, least)
	}
	return nil
}

// Between refuses a parameter outside of a range.
func Between(name string, value, least, most int) error {
	if value < least || value > most {
		return fmt.Errorf("%s is %d, want %d to %d", name, value, least, most)
	}
	return nil
}
