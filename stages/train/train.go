// Package train is what the training stages share: a dataset in, a model file out.
package train

import (
	"context"
	"fmt"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/tree"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
)

// Trainer is a kind of stage that trains a model, and what it does, for other stages that train.
type Trainer struct {
	pipeline.Kind
	// Fit trains on d. params are those of the kind. Of the call it uses the seed, if the kind is Seeded, the cores and the warnings.
	Fit func(c *pipeline.Call, params any, d *dataset.Dataset) (*model.Model, error)
}

// New describes a kind of stage that trains: k lacks inputs, outputs and what it runs. Its input train is a dataset, its
// input settings, which may be absent, parameters that stand for those of the plan, its output model a model.Model of the
// given kind and engine, whose estimator fit sets. P are the parameters to which k.Params
// points.
func New[P any](k pipeline.Kind, kind, engine string, fit func(c *pipeline.Call, p *P, d *dataset.Dataset, m *model.Model) error) Trainer {
	k.Inputs = []pipeline.InputSpec{{Role: "train"}, {Role: "settings", Optional: true}}
	k.Outputs = []pipeline.OutputSpec{{Name: "model", Class: pipeline.Result, MediaType: "application/json"}}
	t := Trainer{Kind: k}
	t.Fit = func(c *pipeline.Call, params any, d *dataset.Dataset) (*model.Model, error) {
		if len(d.Features) > tree.MaxFeatures {
			return nil, pipeline.BadInput("there are %d features; a model takes at most %d", len(d.Features), tree.MaxFeatures).WithHint("leave out columns with --exclude")
		}
		m := &model.Model{Schema: model.Schema, Kind: kind, Engine: engine, Target: d.Expression, Classes: d.Classes, Recipe: d.Recipe, Columns: d.Names()}
		if err := fit(c, params.(*P), d, m); err != nil {
			return nil, fmt.Errorf("fitting: %w", err)
		}
		return m, nil
	}
	t.Run = func(_ context.Context, c *pipeline.Call) error {
		d, err := tables.ReadDataset(c, "train")
		if err != nil {
			return err
		}
		params, err := t.Settings(c, c.Params)
		if err != nil {
			return err
		}
		m, err := t.Fit(c, params, d)
		if err != nil {
			return err
		}
		return c.WriteJSON("model", m)
	}
	return t
}

// WantClasses refuses a numeric target for a model that learns classes alone.
func WantClasses(d *dataset.Dataset, kind, instead string) error {
	if d.Numeric() {
		return pipeline.BadInput("%s learns classes, and the target is a number", kind).WithHint("use %s", instead)
	}
	return nil
}

// Settings returns the parameters that an earlier stage has chosen, where the input of that name is there, or else given.
func (t Trainer) Settings(c *pipeline.Call, given any) (any, error) {
	if _, ok := c.Ref("settings"); !ok || t.Params == nil {
		return given, nil
	}
	params := t.Params()
	if err := c.ReadJSON("settings", params); err != nil {
		return nil, err
	}
	if v, ok := params.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, fmt.Errorf("input settings: %w", err)
		}
	}
	return params, nil
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
