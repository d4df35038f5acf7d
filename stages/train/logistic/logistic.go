// Package logistic is the stage that trains a logistic regression.
package logistic

import (
	"errors"
	"fmt"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/linear"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/train"
)

// Params of the stage.
type Params struct {
	C       float64 `json:"c"`        // inverse strength of the penalty, as scikit-learn's
	MaxIter int     `json:"max_iter"` // 0: 100 steps of Newton's method, 1000 of L-BFGS
	L1Ratio float64 `json:"l1_ratio"` // share of the penalty that is on absolute values: 0 is ridge, 1 lasso

	ClassWeight train.ClassWeight `json:"class_weight,omitzero"`
}

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error {
	var strength error
	if !(p.C > 0 && p.C <= 1e12) {
		strength = fmt.Errorf("c is %v, want a positive number", p.C)
	}
	var share error
	if !(p.L1Ratio >= 0 && p.L1Ratio <= 1) {
		share = fmt.Errorf("l1_ratio is %v, want 0 to 1", p.L1Ratio)
	}
	return errors.Join(strength, share, train.Positive("max_iter", p.MaxIter, 0), p.ClassWeight.Check())
}

// Trainer describes the stage.
func Trainer() train.Trainer {
	return train.New(pipeline.Kind{
		Name: "train_logistic_regression", Doc: "trains a logistic regression", Package: "stages/train/logistic",
		Params: func() any { return &Params{C: 1} },
	}, "logistic_regression", "native", func(c *pipeline.Call, p *Params, d *dataset.Dataset, m *model.Model) error {
		if err := train.WantClasses(d, "logistic_regression", "ridge"); err != nil {
			return err
		}
		weights, err := p.ClassWeight.Weights(d)
		if err != nil {
			return err
		}
		m.Linear, err = linear.Fit(d.Features, d.Y, len(d.Classes),
			linear.Options{C: p.C, L1Ratio: p.L1Ratio, ClassWeights: weights, MaxIter: p.MaxIter, Cores: c.Cores})
		if err == nil && !m.Linear.Converged {
			c.Warn("NOT_CONVERGED", fmt.Sprintf("the logistic regression stopped after %d iterations before it converged", m.Linear.Iterations), "")
		}
		return err
	})
}
