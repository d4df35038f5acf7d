package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/pipeline"
)

// ClassWeight says how much the rows of each class count: 1, as those of a numeric target do, unless it is "balanced" (every class counts alike) or names
// classes and their weights.
type ClassWeight struct {
	balanced bool
	of       map[string]float64
}

// IsZero reports whether every row counts 1.
func (w ClassWeight) IsZero() bool { return !w.balanced && len(w.of) == 0 }

// MarshalJSON implements json.Marshaler.
func (w ClassWeight) MarshalJSON() ([]byte, error) {
	if w.balanced {
		return json.Marshal("balanced")
	}
	return json.Marshal(w.of)
}

// UnmarshalJSON implements json.Unmarshaler.
func (w *ClassWeight) UnmarshalJSON(b []byte) error {
	var word string
	if json.Unmarshal(b, &word) == nil && word == "balanced" {
		*w = ClassWeight{balanced: true}
		return nil
	}
	w.balanced = false
	if err := json.Unmarshal(b, &w.of); err != nil {
		return errors.New("class_weight is neither balanced nor a weight for each of some classes, as in {yes: 5, no: 1}")
	}
	return nil
}

const maxClassWeight = 1e6

// Check refuses weights that are no positive numbers.
func (w ClassWeight) Check() error {
	for _, class := range slices.Sorted(maps.Keys(w.of)) {
		if v := w.of[class]; !(v > 0 && v <= maxClassWeight) {
			return fmt.Errorf("class_weight of %.40q is %v, want a positive number up to %v", class, v, float64(maxClassWeight))
		}
	}
	return nil
}

// Weights returns the weight of each class of a dataset, or nil where all are 1.
func (w ClassWeight) Weights(d *dataset.Dataset) ([]float64, error) {
	switch {
	case w.IsZero():
		return nil, nil
	case d.Numeric():
		return nil, pipeline.BadInput("class_weight is for classes, and the target is a number").WithHint("leave it out")
	case w.balanced:
		return d.Balanced(), nil
	}
	weights := make([]float64, len(d.Classes))
	for i := range weights {
		weights[i] = 1
	}
	for _, class := range slices.Sorted(maps.Keys(w.of)) {
		i := slices.Index(d.Classes, class)
		if i < 0 {
			return nil, pipeline.BadInput("class_weight names the class %.60q, which the target does not have", class).WithHint("its classes are %s", strings.Join(d.Classes[:min(20, len(d.Classes))], ", "))
		}
		weights[i] = w.of[class]
	}
	return weights, nil
}
