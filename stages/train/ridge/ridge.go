// Package ridge is the stage that trains a linear regression with a penalty on its weights.
package ridge

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
	Alpha   float64 `json:"alpha"`    // strength of the penalty on the weights of standardised features, as scikit-learn's Ridge
	L1Ratio float64 `json:"l1_ratio"` // share of the penalty that is on absolute values: 0 is ridge, 1 lasso
	MaxIter int     `json:"max_iter"` // of the solver; 0: as many as it needs, up to 100, or 1000 of L-BFGS
}

// Validate implements pipeline's check of parameters.
func (p *Params) Validate() error {
	var strength, share error
	if !(p.Alpha > 0 && p.Alpha <= 1e12) {
		strength = fmt.Errorf("alpha is %v, want a positive number", p.Alpha)
	}
	if !(p.L1Ratio >= 0 && p.L1Ratio <= 1) {
		share = fmt.Errorf("l1_ratio is %v, want 0 to 1", p.L1Ratio)
	}
	return errors.Join(strength, share, train.Positive("max_iter", p.MaxIter, 0))
}

// Trainer describes the stage.
func Trainer() train.Trainer {
	return train.New(pipeline.Kind{
		Name: "train_ridge", Doc: "trains a ridge regression", Package: "stages/train/ridge",
		Params: func() any { return &Params{Alpha: 1} },
	}, "ridge", "native", func(c *pipeline.Call, p *Params, d *dataset.Dataset, m *model.Model) (err error) {
		if !d.Numeric() {
			return pipeline.BadInput("ridge learns numbers, and the target has classes").WithHint("use logistic_regression")
		}
		m.Linear, err = linear.FitRegression(d.Features, d.Target, linear.RegressionOptions{Alpha: p.Alpha, L1Ratio: p.L1Ratio, MaxIter: p.MaxIter, Cores: c.Cores})
		if errors.Is(err, linear.ErrTooLarge) {
			return pipeline.BadInput("the numbers of the target are too large for ridge").WithHint("divide them by a constant, or name other --models")
		}
		if err == nil && !m.Linear.Converged {
			c.Warn("NOT_CONVERGED", fmt.Sprintf("the ridge regression stopped after %d iterations before it converged", m.Linear.Iterations), "")
		}
		return err
	})
}
