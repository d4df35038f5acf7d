// Package golearntree is the stage that trains a decision tree with golearn's CART.
package golearntree

import (
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/golearn"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/train"
)

// Params of the stage.
type Params struct {
	MaxDepth int `json:"max_depth"` // 0: no limit
}

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error { return train.Positive("max_depth", p.MaxDepth, 0) }

// Trainer describes the stage. Its numeric class is native: golearn's arithmetic may be fused on some machines.
func Trainer() train.Trainer {
	return train.New(pipeline.Kind{
		Name: "train_golearn_tree", Doc: "trains a decision tree with golearn's CART", Package: "stages/train/golearntree", Native: true,
		Params: func() any { return &Params{MaxDepth: 10} },
	}, "decision_tree", "golearn", func(c *pipeline.Call, p *Params, d *dataset.Dataset, m *model.Model) (err error) {
		if len(d.Y) > golearn.MaxRows {
			return pipeline.BadInput("golearn's tree takes at most %d training rows, and there are %d", golearn.MaxRows, len(d.Y)).
				WithHint("use engine: native")
		}
		m.Tree, err = golearn.FitCART(d.Features, d.Y, len(d.Classes), p.MaxDepth)
		return err
	})
}
