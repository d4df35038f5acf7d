// Package golearntrees are the stages that train trees with golearn's CART: one, or many on samples of the rows.
//
// Their numeric class is native: golearn's arithmetic may be fused on some machines, so that the trees repeat on machines of
// one kind.
package golearntrees

import (
	"errors"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/golearn"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/train"
)

// TreeParams are those of the single tree.
type TreeParams struct {
	MaxDepth int `json:"max_depth"` // 0: no limit
}

// Validate implements pipeline's check of parameters.
func (p *TreeParams) Validate() error { return train.Positive("max_depth", p.MaxDepth, 0) }

// Tree describes the stage that trains one tree.
func Tree() train.Trainer {
	return train.New(pipeline.Kind{
		Name: "train_golearn_tree", Doc: "trains a decision tree with golearn's CART", Package: "stages/train/golearntrees", Native: true,
		Params: func() any { return &TreeParams{MaxDepth: 10} },
	}, "decision_tree", "golearn", func(_ *pipeline.Call, p *TreeParams, d *dataset.Dataset, m *model.Model) (err error) {
		if err := few(d); err != nil {
			return err
		}
		m.Tree, err = golearn.FitCART(d.Features, d.Y, len(d.Classes), p.MaxDepth)
		return err
	})
}

// ForestParams are those of the forest. Its defaults keep golearn's time within seconds.
type ForestParams struct {
	Trees    int `json:"trees"`
	MaxDepth int `json:"max_depth"` // 0: no limit
	MaxBins  int `json:"max_bins"`  // a column of more distinct values is cut into so many groups; 0: never
}

// Validate implements pipeline's check of parameters.
func (p *ForestParams) Validate() error {
	bins := train.Between("max_bins", p.MaxBins, 2, golearn.MaxRows)
	if p.MaxBins == 0 {
		bins = nil
	}
	return errors.Join(train.Between("trees", p.Trees, 1, 1000), train.Positive("max_depth", p.MaxDepth, 0), bins)
}

// Forest describes the stage that trains a forest.
func Forest() train.Trainer {
	return train.New(pipeline.Kind{
		Name: "train_golearn_forest", Doc: "trains golearn's CART on samples of the rows", Package: "stages/train/golearntrees", Native: true, Seeded: true,
		Params: func() any { return &ForestParams{Trees: 10, MaxDepth: 10, MaxBins: 64} },
	}, "random_forest", "golearn", func(c *pipeline.Call, p *ForestParams, d *dataset.Dataset, m *model.Model) (err error) {
		if err := few(d); err != nil {
			return err
		}
		m.Tree, err = golearn.FitBaggedCART(d.Features, d.Y, len(d.Classes),
			golearn.Bagging{Trees: p.Trees, MaxDepth: p.MaxDepth, MaxBins: p.MaxBins, Seed: c.Seed, Cores: c.Cores})
		return err
	})
}

// few refuses more rows than golearn learns from in reasonable time, and numbers, which it does not.
func few(d *dataset.Dataset) error {
	if err := train.WantClasses(d, "golearn", "engine: native"); err != nil {
		return err
	}
	if len(d.Y) <= golearn.MaxRows {
		return nil
	}
	return pipeline.BadInput("golearn's trees take at most %d training rows, and there are %d", golearn.MaxRows, len(d.Y)).WithHint("use engine: native")
}
