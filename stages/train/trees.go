package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/hashline/hashline/ml/tree"
)

// MaxFeatures says how many features a split looks at, as scikit-learn does: a share of them from 0 to 1, a whole number
// above 1, or "sqrt" or "log2" of their number. The zero value is the square root.
type MaxFeatures struct {
	share float64
	count int
	log2  bool
}

// ShareOfFeatures is a share from 0 to 1; 0 stands for the square root.
func ShareOfFeatures(share float64) MaxFeatures { return MaxFeatures{share: share} }

// MarshalJSON implements json.Marshaler.
func (m MaxFeatures) MarshalJSON() ([]byte, error) {
	switch {
	case m.log2:
		return json.Marshal("log2")
	case m.count > 0:
		return json.Marshal(m.count)
	}
	return json.Marshal(m.share)
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *MaxFeatures) UnmarshalJSON(b []byte) error {
	var word string
	var number float64
	switch {
	case json.Unmarshal(b, &word) == nil && word == "sqrt":
		*m = MaxFeatures{}
	case json.Unmarshal(b, &word) == nil && word == "log2":
		*m = MaxFeatures{log2: true}
	case json.Unmarshal(b, &number) == nil && number >= 0 && number <= 1:
		*m = MaxFeatures{share: number}
	case json.Unmarshal(b, &number) == nil && number > 1 && number <= tree.MaxFeatures && number == math.Trunc(number):
		*m = MaxFeatures{count: int(number)}
	default:
		return errors.New("max_features is no share from 0 to 1, no whole number above 1, and neither sqrt nor log2")
	}
	return nil
}

// Set sets the options of a forest on so many features.
func (m MaxFeatures) Set(o *tree.Options, features int) {
	o.MaxFeatures, o.SplitFeatures = m.share, m.count
	for m.log2 && 1<<(o.SplitFeatures+1) <= max(2, features) {
		o.SplitFeatures++
	}
}

// Criterion returns the criterion of that name; the empty one is gini.
func Criterion(name string) (tree.Criterion, error) {
	switch name {
	case "", "gini":
		return tree.Gini, nil
	case "entropy", "log_loss":
		return tree.Entropy, nil
	}
	return 0, fmt.Errorf("criterion is %.40q, want gini or entropy", name)
}

// LeafNodes refuses a limit of leaves that allows for no split; 0 is none.
func LeafNodes(n int) error {
	if n < 0 || n == 1 {
		return fmt.Errorf("max_leaf_nodes is %d, want at least 2, or 0 for no limit", n)
	}
	return nil
}

// Forest are the parameters of a forest; names and meanings are scikit-learn's, where trees is n_estimators.
type Forest struct {
	Trees           int         `json:"trees"`
	Criterion       string      `json:"criterion,omitempty"` // gini (the default) or entropy
	MaxDepth        int         `json:"max_depth"`           // 0: no limit
	MaxLeafNodes    int         `json:"max_leaf_nodes,omitempty"`
	MinSamplesLeaf  int         `json:"min_samples_leaf"`
	MinSamplesSplit int         `json:"min_samples_split"`
	MaxFeatures     MaxFeatures `json:"max_features"`
	MaxBins         int         `json:"max_bins"` // bins of a column
	ClassWeight     ClassWeight `json:"class_weight,omitzero"`
}

// Validate implements pipeline's check of parameters.
func (p *Forest) Validate() error {
	_, err := Criterion(p.Criterion)
	return errors.Join(err, Between("trees", p.Trees, 1, 100_000), Positive("max_depth", p.MaxDepth, 0), LeafNodes(p.MaxLeafNodes), Positive("min_samples_leaf", p.MinSamplesLeaf, 1),
		Positive("min_samples_split", p.MinSamplesSplit, 2), Between("max_bins", p.MaxBins, 2, tree.MaxBins), p.ClassWeight.Check())
}

// Options returns those of a fit.
func (p *Forest) Options(features int, weights []float64, seed uint64, cores int) tree.Options {
	criterion, _ := Criterion(p.Criterion) // Validate has seen it
	o := tree.Options{Trees: p.Trees, Criterion: criterion, MaxDepth: p.MaxDepth, MaxLeafNodes: p.MaxLeafNodes, MinSamplesLeaf: p.MinSamplesLeaf,
		MinSamplesSplit: p.MinSamplesSplit, MaxBins: p.MaxBins, ClassWeight: weights, Seed: seed, Cores: cores}
	p.MaxFeatures.Set(&o, features)
	return o
}
