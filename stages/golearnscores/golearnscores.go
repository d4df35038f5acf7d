// Package golearnscores is the stage that judges the predictions of a model of golearn's with golearn's package evaluation
// too. It fails where that and package metrics do not agree.
package golearnscores

import (
	"context"
	"fmt"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/golearn"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
)

// Params of the stage.
type Params struct {
	Model string `json:"model"` // its name, for the document
}

// Scores is the output of that name.
type Scores struct {
	Model string `json:"model"`
	golearn.Scores
}

// Kind describes the stage. Its inputs are outputs of the stage that evaluates.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name: "golearn_scores", Doc: "judges predictions with golearn's package evaluation", Package: "stages/golearnscores", Native: true,
		Inputs:  []pipeline.InputSpec{{Role: "predictions"}, {Role: "metrics"}},
		Outputs: []pipeline.OutputSpec{{Name: "scores", Class: pipeline.Result, MediaType: "application/json"}},
		Params:  func() any { return &Params{} },
		Run:     run,
	}
}

func run(_ context.Context, c *pipeline.Call) error {
	var ours metrics.Evaluation
	if err := c.ReadJSON("metrics", &ours); err != nil {
		return err
	}
	f, err := tables.Read(c, "predictions")
	if err != nil {
		return err
	}
	columns, err := f.Select("class", "label")
	if err != nil {
		return err
	}
	truth, err := dataset.ClassesOf(columns[0], ours.Classes)
	if err != nil {
		return err
	}
	labels, err := dataset.ClassesOf(columns[1], ours.Classes)
	if err != nil {
		return err
	}
	scores, err := golearn.Score(truth, labels, ours.Classes)
	if err != nil {
		return err
	}
	if d := scores.Differ(&ours); d != "" {
		return fmt.Errorf("golearn's evaluation and ours do not agree: %s", d)
	}
	return c.WriteJSON("scores", Scores{c.Params.(*Params).Model, *scores})
}
