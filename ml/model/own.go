package model

import (
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
)

// Predictor is an estimator of a program's own. Encoded as JSON it is what its kind's Decode reads.
type Predictor interface {
	// Predict returns the class probabilities of n rows of the features, which are in the order of the model's and may have
	// other levels than in training: n x classes, row-major, each row adding up to 1; for a numeric target n numbers. It must not change the columns, must
	// give the same bits on any number of goroutines (cores is how many it may use), and may be called from several.
	Predict(columns []*frame.Column, cores int) ([]float64, error)
}

// Decode reads a Predictor for features and a number of classes, 0 for a numeric target. What does not fit them, or is damaged, is an error: Predict must
// not panic whatever the file holds.
type Decode func(b []byte, features []string, classes int) (Predictor, error)

// ErrUnknownKind says that a model is of a kind that another program registers.
var ErrUnknownKind = errors.New("this program does not know the kind")

// own are the registered kinds.
var own = map[string]Decode{}

// Register makes a kind of model known to Parse, under a name that is not taken. It is for init functions, or the begin of
// main: not while anything runs. Every program that reads such models needs it.
func Register(kind string, decode Decode) {
	if _, taken := own[kind]; taken || kind == "" || decode == nil {
		panic(fmt.Sprintf("model: the kind %q has no name or no Decode, or is registered twice", kind))
	}
	own[kind] = decode
}

func (m *Model) readOwn(b []byte) error {
	decode, ok := own[m.Kind]
	if !ok {
		return fmt.Errorf("model: %w %.40q; read it with the program that registers it", ErrUnknownKind, m.Kind)
	}
	var err error
	if m.Own, err = decode(b, m.Columns, len(m.Classes)); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return nil
}

// permuted adds what the permutation importance asks for.
type permuted struct{ Predictor }

// PredictPermuted predicts anew for every feature and permutation; see tree.Ensemble.PredictPermuted.
func (p permuted) PredictPermuted(columns []*frame.Column, permutations [][]int32, cores int, visit func(feature, permutation int, proba []float64)) error {
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for f := range columns {
		for r, rows := range permutations {
			g.Go(func() error {
				changed := append([]*frame.Column(nil), columns...)
				changed[f] = columns[f].Take(rows)
				proba, err := p.Predict(changed, 1)
				if err == nil {
					visit(f, r, proba)
				}
				return err
			})
		}
	}
	return g.Wait()
}
