package validate

import (
	"strings"
	"testing"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/train"
)

// Options that do not go with the target are refused before a training that may take long.
func TestOptionsAreHeldToTheTargetFirst(t *testing.T) {
	never := train.Trainer{Fit: func(*pipeline.Call, any, *dataset.Dataset) (*model.Model, error) {
		t.Error("a model was trained")
		return &model.Model{}, nil
	}}
	three := &dataset.Dataset{Classes: []string{"a", "b", "c"}, Y: []int32{0, 1, 2}}
	number := &dataset.Dataset{Target: []float64{1, 2}}
	for _, c := range []struct {
		options Options
		data    *dataset.Dataset
		want    string
	}{
		{Options{Threshold: &Costs{FalsePositive: 1, FalseNegative: 2}}, three, "a threshold decides between two classes, and the target has 3"},
		{Options{Threshold: &Costs{FalsePositive: 1, FalseNegative: 2}}, number, "the target is a number"},
		{Options{Calibration: "sigmoid"}, number, "the target is a number"},
	} {
		_, err := c.options.fit(nil, never, nil, c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) || pipeline.AsError(err).Class != pipeline.ClassBadInput {
			t.Errorf("%+v: got %v, want %q", c.options, err, c.want)
		}
	}
}

func TestRareClassInWords(t *testing.T) {
	for n, want := range map[int]string{1: "has 1 row to train on, fewer than the 3 folds", 2: "has 2 rows to train on, fewer"} {
		if got := rare("x", n, 3); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
