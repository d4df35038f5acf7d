// Package extratrees is the stage that trains extremely randomized trees.
package extratrees

import (
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/tree"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/train"
)

// Params of the stage; names and meanings are scikit-learn's.
type Params struct {
	train.Forest
}

// Trainer describes the stage.
func Trainer() train.Trainer {
	return train.New(pipeline.Kind{
		Name: "train_extra_trees", Doc: "trains extremely randomized trees", Package: "stages/train/extratrees", Seeded: true,
		Params: func() any {
			return &Params{train.Forest{Trees: 100, MinSamplesLeaf: 3, MinSamplesSplit: 2, MaxFeatures: train.ShareOfFeatures(0.5), MaxBins: 255}}
		},
	}, "extra_trees", "native", func(c *pipeline.Call, p *Params, d *dataset.Dataset, m *model.Model) error {
		weights, err := p.ClassWeight.Weights(d)
		if err != nil {
			return err
		}
		o := p.Options(len(d.Features), weights, c.Seed, c.Cores)
		if d.Numeric() {
			o.Criterion = 0 // it is of classes
			m.Tree, err = tree.FitExtraTreesRegressor(d.Features, d.Target, o)
			return err
		}
		m.Tree, err = tree.FitExtraTrees(d.Features, d.Y, len(d.Classes), o)
		return err
	})
}
