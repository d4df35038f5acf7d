// Package randomforest is the stage that trains a random forest.
package randomforest

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
	OOBScore bool `json:"oob_score,omitempty"` // keep with the model how it does on rows that its trees have not seen
}

// Trainer describes the stage.
func Trainer() train.Trainer {
	return train.New(pipeline.Kind{
		Name: "train_random_forest", Doc: "trains a random forest", Package: "stages/train/randomforest", Seeded: true,
		Params: func() any {
			return &Params{Forest: train.Forest{Trees: 100, MinSamplesLeaf: 3, MinSamplesSplit: 2, MaxFeatures: train.ShareOfFeatures(0.5), MaxBins: 255}}
		},
	}, "random_forest", "native", func(c *pipeline.Call, p *Params, d *dataset.Dataset, m *model.Model) error {
		weights, err := p.ClassWeight.Weights(d)
		if err != nil {
			return err
		}
		o := p.Options(len(d.Features), weights, c.Seed, c.Cores)
		o.OutOfBag = p.OOBScore
		if d.Numeric() {
			o.Criterion = 0 // it is of classes
			m.Tree, err = tree.FitForestRegressor(d.Features, d.Target, o)
			return err
		}
		m.Tree, err = tree.FitForest(d.Features, d.Y, len(d.Classes), o)
		return err
	})
}
