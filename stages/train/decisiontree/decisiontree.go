// Package decisiontree is the stage that trains one decision tree.
package decisiontree

import (
	"errors"
	"fmt"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/tree"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/train"
)

// Params of the stage; names and meanings are scikit-learn's, which has no smoothing of leaves.
type Params struct {
	Criterion       string  `json:"criterion,omitempty"` // gini (the default) or entropy
	MaxDepth        int     `json:"max_depth"`           // 0: no limit
	MaxLeafNodes    int     `json:"max_leaf_nodes,omitempty"`
	MinSamplesLeaf  int     `json:"min_samples_leaf"`
	MinSamplesSplit int     `json:"min_samples_split"`
	MaxBins         int     `json:"max_bins"` // bins of a column
	CCPAlpha        float64 `json:"ccp_alpha,omitempty"`
	// Laplace is the number of rows of each class that a leaf counts more than it has (Provost and Domingos: Tree Induction
	// for Probability-Based Ranking, 2003): pure leaves of few rows rank below those of many, and none is sure. 0: none.
	Laplace     int               `json:"laplace"`
	ClassWeight train.ClassWeight `json:"class_weight,omitzero"`
}

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error {
	_, err := train.Criterion(p.Criterion)
	var alpha error
	if !(p.CCPAlpha >= 0 && p.CCPAlpha <= 1e12) {
		alpha = fmt.Errorf("ccp_alpha is %v, want 0 or more", p.CCPAlpha)
	}
	return errors.Join(err, alpha, train.LeafNodes(p.MaxLeafNodes), p.ClassWeight.Check(), train.Positive("max_depth", p.MaxDepth, 0), train.Positive("min_samples_leaf", p.MinSamplesLeaf, 1),
		train.Positive("min_samples_split", p.MinSamplesSplit, 2), train.Between("max_bins", p.MaxBins, 2, tree.MaxBins), train.Between("laplace", p.Laplace, 0, 1000))
}

// Trainer describes the stage.
func Trainer() train.Trainer {
	return train.New(pipeline.Kind{
		Name: "train_decision_tree", Doc: "trains a decision tree", Package: "stages/train/decisiontree",
		Params: func() any {
			return &Params{MaxDepth: 10, MinSamplesLeaf: 5, MinSamplesSplit: 2, MaxBins: 1024, Laplace: 1}
		},
	}, "decision_tree", "native", func(c *pipeline.Call, p *Params, d *dataset.Dataset, m *model.Model) error {
		weights, err := p.ClassWeight.Weights(d)
		if err != nil {
			return err
		}
		criterion, err := train.Criterion(p.Criterion)
		if err != nil {
			return err
		}
		o := tree.Options{Criterion: criterion, MaxDepth: p.MaxDepth, MaxLeafNodes: p.MaxLeafNodes,
			MinSamplesLeaf: p.MinSamplesLeaf, MinSamplesSplit: p.MinSamplesSplit, MaxBins: p.MaxBins, CCPAlpha: p.CCPAlpha, Laplace: p.Laplace,
			ClassWeight: weights, Cores: c.Cores}
		if d.Numeric() {
			o.Criterion, o.Laplace = 0, 0 // they are of classes
			m.Tree, err = tree.FitTreeRegressor(d.Features, d.Target, o)
			return err
		}
		m.Tree, err = tree.FitTree(d.Features, d.Y, len(d.Classes), o)
		return err
	})
}
