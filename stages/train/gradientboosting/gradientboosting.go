// Package gradientboosting is the stage that trains gradient boosting over histograms.
package gradientboosting

import (
	"errors"
	"fmt"

	"github.com/hashline/hashline/ml/boost"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/train"
)

// Params of the stage; names and meanings are those of scikit-learn's HistGradientBoostingClassifier and -Regressor.
type Params struct {
	LearningRate       float64           `json:"learning_rate"`
	MaxIter            int               `json:"max_iter"`       // rounds
	MaxLeafNodes       int               `json:"max_leaf_nodes"` // of a tree
	MaxDepth           int               `json:"max_depth"`      // 0: no limit
	MinSamplesLeaf     int               `json:"min_samples_leaf"`
	L2Regularization   float64           `json:"l2_regularization"`
	MaxBins            int               `json:"max_bins"`
	ClassWeight        train.ClassWeight `json:"class_weight,omitzero"`
	EarlyStopping      bool              `json:"early_stopping"` // stop when rows held back get no better
	ValidationFraction float64           `json:"validation_fraction"`
	NIterNoChange      int               `json:"n_iter_no_change"`
}

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error {
	share := func(name string, v float64, least float64, includingOne bool) error {
		if !(v >= least && (v < 1 || includingOne && v == 1)) {
			return fmt.Errorf("%s is %v, want a number from %v to 1", name, v, least)
		}
		return nil
	}
	var l2 error
	if !(p.L2Regularization >= 0 && p.L2Regularization <= 1e12) {
		l2 = fmt.Errorf("l2_regularization is %v, want 0 or more", p.L2Regularization)
	}
	return errors.Join(share("learning_rate", p.LearningRate, 1e-6, true), train.Between("max_iter", p.MaxIter, 1, 100_000), train.Between("max_leaf_nodes", p.MaxLeafNodes, 2, 1<<15),
		train.Positive("max_depth", p.MaxDepth, 0), train.Positive("min_samples_leaf", p.MinSamplesLeaf, 1), l2, train.Between("max_bins", p.MaxBins, 2, 255),
		p.ClassWeight.Check(), share("validation_fraction", p.ValidationFraction, 1e-6, false), train.Positive("n_iter_no_change", p.NIterNoChange, 1))
}

// Trainer describes the stage.
func Trainer() train.Trainer {
	return train.New(pipeline.Kind{
		Name: "train_gradient_boosting", Doc: "trains gradient boosting", Package: "stages/train/gradientboosting", Seeded: true,
		Params: func() any {
			return &Params{LearningRate: 0.1, MaxIter: 100, MaxLeafNodes: 31, MinSamplesLeaf: 20, MaxBins: 255, ValidationFraction: 0.1, NIterNoChange: 10}
		},
	}, "gradient_boosting", "native", func(c *pipeline.Call, p *Params, d *dataset.Dataset, m *model.Model) error {
		weights, err := p.ClassWeight.Weights(d)
		if err != nil {
			return err
		}
		if d.Rows() > boost.MaxRows {
			return pipeline.BadInput("gradient boosting takes at most %d training rows, and there are %d", boost.MaxRows, d.Rows()).WithHint("use a random_forest")
		}
		o := boost.Options{LearningRate: p.LearningRate, Iterations: p.MaxIter,
			MaxLeafNodes: p.MaxLeafNodes, MaxDepth: p.MaxDepth, MinSamplesLeaf: p.MinSamplesLeaf, L2: p.L2Regularization, MaxBins: p.MaxBins, ClassWeight: weights,
			EarlyStopping: p.EarlyStopping, ValidationFraction: p.ValidationFraction, NoChange: p.NIterNoChange, Seed: c.Seed, Cores: c.Cores}
		if d.Numeric() {
			m.Tree, err = boost.FitRegressor(d.Features, d.Target, o)
			return err
		}
		m.Tree, err = boost.FitClassifier(d.Features, d.Y, len(d.Classes), o)
		return err
	})
}
