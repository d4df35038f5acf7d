// Package randomforest is the stage that trains a random forest.
package randomforest

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/tree"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/train"
)

// Params of the stage; names and meanings are scikit-learn's.
type Params struct {
	Trees           int     `json:"trees"`
	MaxDepth        int     `json:"max_depth"` // 0: no limit
	MinSamplesLeaf  int     `json:"min_samples_leaf"`
	MinSamplesSplit int     `json:"min_samples_split"`
	MaxFeatures     float64 `json:"max_features"` // share of the features that a split looks at; 0: their square root
	MaxBins         int     `json:"max_bins"`     // bins of a column
}

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error {
	var share error
	if !(p.MaxFeatures >= 0 && p.MaxFeatures <= 1) {
		share = fmt.Errorf("max_features is %v, want a share from 0 to 1", p.MaxFeatures)
	}
	if p.Trees > 100_000 {
		share = errors.Join(share, fmt.Errorf("trees is %d, want at most 100000", p.Trees))
	}
	return errors.Join(share, train.Positive("trees", p.Trees, 1), train.Positive("max_depth", p.MaxDepth, 0), train.Positive("min_samples_leaf", p.MinSamplesLeaf, 1),
		train.Positive("min_samples_split", p.MinSamplesSplit, 2), train.Between("max_bins", p.MaxBins, 2, tree.MaxBins))
}

// Kind describes the stage.
func Kind() pipeline.Kind {
	return pipeline.Kind{
		Name: "train_random_forest", Doc: "trains a random forest", Package: "stages/train/randomforest", Seeded: true,
		Inputs: train.Inputs(), Outputs: train.Outputs(),
		Params: func() any {
			return &Params{Trees: 100, MinSamplesLeaf: 3, MinSamplesSplit: 2, MaxFeatures: 0.5, MaxBins: 255}
		},
		Run: func(_ context.Context, c *pipeline.Call) error {
			p := c.Params.(*Params)
			return train.Run(c, "random_forest", "native", func(d *dataset.Dataset, m *model.Model) (err error) {
				m.Tree, err = tree.FitForest(d.Features, d.Y, len(d.Classes), tree.Options{Trees: p.Trees, MaxDepth: p.MaxDepth, MinSamplesLeaf: p.MinSamplesLeaf,
					MinSamplesSplit: p.MinSamplesSplit, MaxFeatures: p.MaxFeatures, MaxBins: p.MaxBins, Seed: c.Seed, Cores: c.Cores})
				return err
			})
		},
	}
}
