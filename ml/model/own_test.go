package model

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/tree"
)

// wrapped is a tree as an estimator of somebody's own.
type wrapped struct{ *tree.Ensemble }

func (w wrapped) MarshalJSON() ([]byte, error) { return json.Marshal(w.Ensemble) }

func registerWrapped(t *testing.T) {
	t.Helper()
	Register("wrapped", func(b []byte, features []string, classes int) (Predictor, error) {
		w := wrapped{new(tree.Ensemble)}
		err := json.Unmarshal(b, w.Ensemble)
		if err == nil && (!slices.Equal(w.Features(), features) || w.Classes() != classes) {
			err = errors.New("another tree")
		}
		return w, err
	})
	t.Cleanup(func() { delete(own, "wrapped") })
}

// An estimator of one's own goes through a file, and gives the probabilities and the permuted ones that the same tree gives.
func TestOwn(t *testing.T) {
	d := prepared(t, raw(300), 3)
	m := fitted(t, d)["decision_tree"]
	native := m.Tree
	m.Kind, m.Own, m.Tree = "wrapped", wrapped{native}, nil
	file := mustJSON(t, m)
	if _, err := Parse(file); err == nil || !strings.Contains(err.Error(), `does not know the kind "wrapped"`) {
		t.Errorf("before it is registered: %v", err)
	}
	registerWrapped(t)
	loaded, err := Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	if again := mustJSON(t, loaded); string(again) != string(file) {
		t.Errorf("written again it is\n%s, was\n%s", again, file)
	}
	got, err := loaded.Predict(&frame.Frame{Rows: len(d.Y), Columns: d.Features}, 2)
	if err != nil {
		t.Fatal(err)
	}
	want, err := native.Predict(d.Features, 1)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("other probabilities than the tree's, %v", err)
	}
	backwards := make([]int32, len(d.Y))
	for i := range backwards {
		backwards[i] = int32(len(d.Y) - 1 - i)
	}
	permuted := func(e Estimator) map[int][]float64 {
		var mu sync.Mutex
		seen := map[int][]float64{}
		err := e.PredictPermuted(d.Features, [][]int32{backwards}, 2, func(f, _ int, proba []float64) {
			mu.Lock()
			defer mu.Unlock()
			seen[f] = slices.Clone(proba)
			if proba == nil {
				seen[f] = want
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	ours, trees := permuted(loaded.Estimator()), permuted(native)
	for f := range d.Features {
		if !slices.Equal(ours[f], trees[f]) {
			t.Errorf("feature %d permuted: other probabilities than the tree's", f)
		}
	}
	for name, text := range map[string]string{
		"two of them": strings.Replace(string(file), `"own":`, `"tree":`+string(mustJSON(t, native))+`,"own":`, 1),
		"damaged":     strings.Replace(string(file), `"own":{"classes":3`, `"own":{"classes":2`, 1),
		"misfit":      strings.Replace(string(file), `"features":["amount"`, `"features":["sum"`, 1),
	} {
		if _, err := Parse([]byte(text)); err == nil || text == string(file) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestRegisterRefuses(t *testing.T) {
	registerWrapped(t)
	for _, kind := range []string{"", "wrapped"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was registered", kind)
				}
			}()
			Register(kind, func([]byte, []string, int) (Predictor, error) { return nil, nil })
		}()
	}
}
