// Package linear learns logistic and ridge regressions whose bits do not depend on the machine.
//
// Numbers are standardised; categories have a weight for each level that is not rare. Neither is ever spelled out as zeros
// and ones: a row is its numbers and one index for each category. The category of the most levels is eliminated from the
// Hessian exactly; while what is left has no more than 600 parameters, Newton's method reaches the optimum in about ten
// passes, of which a long table needs three over all rows. Above, L-BFGS with a decomposition for a preconditioner. A penalty
// on absolute values (lasso, elastic net) goes by proximal Newton or orthant-wise L-BFGS. A model says whether it converged.
//
// Sums over rows are made in chunks and blocks that depend on the number of rows alone, so the result is the same for any
// number of cores, and products are rounded before they are added, so it is the same on every processor.
package linear

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// Model is a fitted logistic regression or, without classes, a linear one. It is immutable and safe for concurrent use.
type Model struct {
	Classes    int       `json:"classes"` // 0: a numeric target
	Solver     string    `json:"solver"`  // newton, lbfgs, or, with a penalty on absolute values, proximal newton or orthant-wise lbfgs
	Iterations int       `json:"iterations"`
	Converged  bool      `json:"converged"`
	Objective  num.Float `json:"objective"` // see Fit and FitRegression
	Terms      []term    `json:"terms"`
	// Weights are those of every class in turn (two classes: of the second alone): of the numbers in the order of terms,
	// the intercept, those of the categories in the order of terms.
	Weights []float64 `json:"weights"`

	d, params int
}

// functions is the number of linear functions: one for two classes, and for a numeric target.
func (m *Model) functions() int {
	if m.Classes <= 2 {
		return 1
	}
	return m.Classes
}

// outputs is the number of values that Predict gives a row.
func (m *Model) outputs() int { return max(1, m.Classes) }

// Features returns the names of the features in their order.
func (m *Model) Features() []string {
	names := make([]string, len(m.Terms))
	for i, t := range m.Terms {
		names[i] = t.Name
	}
	return names
}

// rowBlock is the number of rows that are encoded together.
const rowBlock = 4 << 10

// Predict returns the class probabilities of every row: n x classes, row-major, each row adding up to 1 within rounding. Without
// classes it gives n predictions.
// columns are matched to the model's features by position, and must have their names and kinds of types.
func (m *Model) Predict(columns []*frame.Column, cores int) ([]float64, error) {
	if err := checkColumns(columns, m.Terms); err != nil {
		return nil, err
	}
	n := columns[0].Len()
	proba := make([]float64, n*m.outputs())
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for from := 0; from < n; from += rowBlock {
		to := min(from+rowBlock, n)
		g.Go(func() error {
			x := newDesign(m.Terms, slices.Collect(slice(columns, from, to)), m.d, m.params, 1)
			scores := make([]float64, m.functions())
			for r := range to - from {
				for c := range scores {
					scores[c] = x.score(r, m.Weights[c*m.params:(c+1)*m.params])
				}
				m.probabilities(scores, proba[(from+r)*m.outputs():(from+r+1)*m.outputs()])
			}
			return nil
		})
	}
	return proba, g.Wait()
}

// slice gives the columns restricted to rows [from, to).
func slice(columns []*frame.Column, from, to int) func(func(*frame.Column) bool) {
	return func(yield func(*frame.Column) bool) {
		for _, c := range columns {
			part := *c
			if c.Type.Numeric() {
				part.Num = c.Num[from:to]
			} else {
				part.Codes = c.Codes[from:to]
			}
			if !yield(&part) {
				return
			}
		}
	}
}

// probabilities turns the scores of one row, which it overwrites, into class probabilities.
func (m *Model) probabilities(scores, proba []float64) {
	switch m.Classes {
	case 0:
		proba[0] = scores[0]
		return
	case 2:
		proba[1] = num.Sigmoid(scores[0])
		proba[0] = 1 - proba[1]
		return
	}
	num.Softmax(scores)
	copy(proba, scores)
}

// PredictPermuted calls visit for every feature and every permutation of the rows with the class probabilities that the
// model gives if row i has that feature's value of row permutation[i]. Calls come from several goroutines at once; proba
// is only valid during the call. Only the feature's own part of the scores is computed again.
func (m *Model) PredictPermuted(columns []*frame.Column, permutations [][]int32, cores int, visit func(feature, permutation int, proba []float64)) error {
	if err := checkColumns(columns, m.Terms); err != nil {
		return err
	}
	k, n := m.functions(), columns[0].Len()
	x := newDesign(m.Terms, columns, m.d, m.params, cores)
	base := make([]float64, n*k)
	for r := range n {
		for c := range k {
			base[r*k+c] = x.score(r, m.Weights[c*m.params:(c+1)*m.params])
		}
	}
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for f := range m.Terms {
		g.Go(func() error {
			part := make([]float64, n*k)
			for r := range n {
				for c := range k {
					part[r*k+c] = m.part(&m.Terms[f], x, r, m.Weights[c*m.params:(c+1)*m.params])
				}
			}
			scores := make([]float64, k)
			proba := make([]float64, n*m.outputs())
			for p, permutation := range permutations {
				for r := range n {
					for c := range k {
						scores[c] = base[r*k+c] - part[r*k+c] + part[int(permutation[r])*k+c]
					}
					m.probabilities(scores, proba[r*m.outputs():(r+1)*m.outputs()])
				}
				visit(f, p, proba)
			}
			return nil
		})
	}
	return g.Wait()
}

// part is what a term adds to the score of row r.
func (m *Model) part(t *term, x *design, r int, w []float64) float64 {
	row, cats := x.row(r)
	if !t.Type.Numeric() {
		return w[cats[t.slot]]
	}
	s := float64(row[t.at] * w[t.at])
	if t.Absent {
		s += float64(row[t.at+1] * w[t.at+1])
	}
	return s
}

// UnmarshalJSON reads a model and checks that it can predict.
func (m *Model) UnmarshalJSON(b []byte) error {
	type plain Model
	var p plain
	if err := json.Unmarshal(b, &p); err != nil {
		return fmt.Errorf("linear model: %w", err)
	}
	*m = Model(p)
	for i := range m.Terms {
		t := &m.Terms[i]
		var err error
		if t.Type, err = frame.ParseType(t.Kind); err != nil {
			return fmt.Errorf("linear model: %w", err)
		}
		switch {
		case t.Type.Numeric():
			if !(t.Unit > 0) || !(t.Scale > 0) || math.IsInf(t.Unit, 0) {
				return errors.New("linear model: a feature has no scale")
			}
		case t.Type != frame.Category || !slices.IsSorted(t.Levels):
			return errors.New("linear model: a feature is neither a number nor a category with sorted levels")
		}
	}
	m.d, m.params = place(m.Terms)
	if m.Classes < 0 || m.Classes == 1 || m.Classes > maxClasses || len(m.Terms) == 0 || len(m.Weights) != m.functions()*m.params {
		return errors.New("linear model: the number of weights does not fit its features")
	}
	for _, w := range m.Weights {
		if math.Abs(w) > maxWeight { // sums of products with clipped numbers stay finite below
			return errors.New("linear model: a weight is too large")
		}
	}
	return nil
}

// Limits of a model.
const (
	maxClasses = 1 << 10
	maxWeight  = 1e200

	maxClassWeight = 1e6
)
