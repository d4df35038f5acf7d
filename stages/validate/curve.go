package validate

import (
	"context"
	"fmt"

	"github.com/hashline/hashline/ml/learning"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/split"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/splitdata"
	"github.com/hashline/hashline/stages/tables"
	"github.com/hashline/hashline/stages/train"
)

// CurveParams are the parameters of a stage that measures a learning curve.
type CurveParams struct {
	Scoring string `json:"scoring"` // empty: the area under the ROC curve, or of numbers the RMSE
	Method  string `json:"method"`  // of splitdata, by which rows are left out
	Repeats int    `json:"repeats"`
	Params  any    `json:"params"`
}

// Validate implements pipeline's check of parameters.
func (p *CurveParams) Validate() error {
	if p.Repeats < 1 || p.Repeats > 100 {
		return fmt.Errorf("repeats is %d, want 1 to 100", p.Repeats)
	}
	if err := CheckScoring(p.Scoring); err != nil {
		return err
	}
	return checkParams(p.Params)
}

// Curve is the output of that name: how the score grows with the rows of the training part that are learned from. Test
// scores are of a fifth of the training part that is left out, by time the latest one.
type Curve struct {
	Scoring string           `json:"scoring"`
	Judged  int              `json:"judged"` // rows that are left out
	Repeats int              `json:"repeats"`
	Points  []learning.Point `json:"points"`
}

const (
	curveFolds   = 5
	curveRepeats = 3
	saltCurve    = 0x63757276
)

// CurveKindOf names the kind of stage that measures the learning curve of the named kind.
func CurveKindOf(trainer string) string { return "learn_" + trainer }

// CurveKind describes the stage that measures a learning curve of what t trains. Its inputs are those of t.
func CurveKind(t train.Trainer) pipeline.Kind {
	k := pipeline.Kind{
		Name: CurveKindOf(t.Name), Doc: t.Doc + " on growing shares of the rows", Seeded: true, Native: t.Native, Inputs: t.Inputs, Inline: true,
		Outputs: []pipeline.OutputSpec{{Name: "curve", Class: pipeline.Result, MediaType: "application/json"}},
		Params: func() any {
			return &CurveParams{Method: splitdata.Stratified, Repeats: curveRepeats, Params: paramsOf(t)}
		},
	}
	k.Package, k.Uses = codeOf(t)
	k.Run = func(_ context.Context, c *pipeline.Call) error { return curve(c, t) }
	return k
}

func curve(c *pipeline.Call, t train.Trainer) error {
	p := c.Params.(*CurveParams)
	d, err := tables.ReadDataset(c, "train")
	if err != nil {
		return err
	}
	params, err := t.Settings(c, p.Params)
	if err != nil {
		return err
	}
	seed := num.Mix(c.Seed, saltCurve)
	folds, err := foldsOf(d, &Params{Folds: curveFolds, Method: p.Method}, seed)
	if err != nil {
		return pipeline.BadInput("learning curve: %v", err).WithHint("leave it out")
	}
	parts := split.Fold(folds, curveFolds-1, p.Method == splitdata.Time)
	learn, judge := d.Take(parts.Train), d.Take(parts.Test)
	if err := learnable(learn, curveFolds); err != nil {
		return err
	}
	r := Curve{Scoring: p.Scoring, Judged: judge.Rows(), Repeats: p.Repeats}
	r.Points, err = learning.Curve(learn.Rows(), learn.Y, len(learn.Classes), learning.DefaultSizes, p.Repeats, seed, func(rows []int32) (train, test float64, err error) {
		part := learn.Take(rows)
		m, err := t.Fit(c, params, part)
		if err != nil {
			return 0, 0, err
		}
		scores, err := score(m, judge, c.Cores)
		if err != nil {
			return 0, 0, err
		}
		own, err := score(m, part, c.Cores)
		if err != nil {
			return 0, 0, err
		}
		if r.Scoring, err = scoringOf(r.Scoring, scores); err != nil {
			return 0, 0, err
		}
		return float64(own[r.Scoring]), float64(scores[r.Scoring]), nil
	})
	if err != nil {
		return err
	}
	return c.WriteJSON("curve", r)
}
