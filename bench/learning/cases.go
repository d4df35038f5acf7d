package main

import (
	"runtime"
	"time"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/ml/boost"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/tree"
)

// benchCase is one learner on one set of data, on all sides with the same settings. Its JSON goes to the peers' script.
type benchCase struct {
	Name           string  `json:"name"`
	Learner        string  `json:"learner"` // forest, tree or boosting
	Trees          int     `json:"trees"`
	MaxFeatures    float64 `json:"max_features"` // share; 0: square root
	MinSamplesLeaf int     `json:"min_samples_leaf"`
	MaxDepth       int     `json:"max_depth"`

	about string
	data  func() (*data, error)
	peers []string
}

var cases = []benchCase{
	{Name: "superstore", Learner: "forest", Trees: 100, about: "forest, square root of the features", data: superstore, peers: []string{"scikit-learn"}},
	{Name: "superstore-half", Learner: "forest", Trees: 100, MaxFeatures: 0.5, MinSamplesLeaf: 3, about: "forest, half the features, 3 rows in a leaf", data: superstore, peers: []string{"scikit-learn"}},
	{Name: "superstore-tree", Learner: "tree", Trees: 1, about: "one full tree", data: superstore, peers: []string{"scikit-learn"}},
	{Name: "superstore-tier", Learner: "forest", Trees: 100, MaxFeatures: 0.5, MinSamplesLeaf: 3, about: "forest of three classes", data: superstoreTier, peers: []string{"scikit-learn"}},
	{Name: "forest-100k", Learner: "forest", Trees: 100, about: "forest", data: synthetic(100_000), peers: []string{"scikit-learn"}},
	{Name: "forest-200k", Learner: "forest", Trees: 100, about: "forest", data: synthetic(200_000), peers: []string{"scikit-learn", "xgboost"}},
	{Name: "forest-1m", Learner: "forest", Trees: 4, about: "forest", data: synthetic(1_000_000), peers: []string{"scikit-learn"}},
	{Name: "boost-200k", Learner: "boosting", Trees: 100, about: "gradient boosting", data: synthetic(200_000), peers: []string{"scikit-learn", "lightgbm", "xgboost"}},
	{Name: "boost-superstore", Learner: "boosting", Trees: 100, about: "gradient boosting", data: superstore, peers: []string{"scikit-learn", "lightgbm", "xgboost"}},
	{Name: "boost-tier", Learner: "boosting", Trees: 100, about: "gradient boosting, three classes", data: superstoreTier, peers: []string{"scikit-learn", "lightgbm", "xgboost"}},
	{Name: "extra-100k", Learner: "extra", Trees: 100, about: "extra trees", data: synthetic(100_000), peers: []string{"scikit-learn"}},
	{Name: "tree-100k", Learner: "tree", Trees: 1, about: "one full tree", data: synthetic(100_000), peers: []string{"scikit-learn"}},
	{Name: "tree-1m", Learner: "tree", Trees: 1, about: "one full tree", data: synthetic(1_000_000), peers: []string{"scikit-learn"}},
}

// ours fits and judges with the learners of this module, on all cores.
func (c *benchCase) ours(d *data) (outcome, error) {
	train, test := d.split()
	runtime.GC()
	o := tree.Options{Trees: c.Trees, MaxDepth: c.MaxDepth, MaxFeatures: c.MaxFeatures, MinSamplesLeaf: c.MinSamplesLeaf, Seed: 1, Cores: runtime.GOMAXPROCS(0)}
	fit := tree.FitForest
	switch c.Learner {
	case "tree":
		fit = tree.FitTree
	case "extra":
		fit = tree.FitExtraTrees
	case "boosting":
		fit = func(columns []*frame.Column, y []int32, classes int, o tree.Options) (*tree.Ensemble, error) {
			return boost.FitClassifier(columns, y, classes, boost.Options{Iterations: o.Trees, Cores: o.Cores})
		}
	}
	start, cpu := time.Now(), program.Processor()
	m, err := fit(train, d.y[:d.train], d.classes, o)
	if err != nil {
		return outcome{}, err
	}
	out := outcome{Fit: time.Since(start).Seconds(), CPU: program.Processor() - cpu, Nodes: m.Nodes()}
	return out, out.judge(m, test, d)
}

type predictor interface {
	Predict(columns []*frame.Column, cores int) ([]float64, error)
}

func (o *outcome) judge(m predictor, test []*frame.Column, d *data) error {
	start := time.Now()
	p, err := m.Predict(test, runtime.GOMAXPROCS(0))
	if err != nil {
		return err
	}
	o.Predict = time.Since(start).Seconds()
	e, _, err := metrics.Evaluate(p, d.y[d.train:], make([]string, d.classes))
	if err != nil {
		return err
	}
	o.Peak = program.Peak()
	o.Accuracy, o.AUC, o.LogLoss = float64(e.Metrics.Accuracy), float64(e.Metrics.ROCAUC), float64(e.Metrics.LogLoss)
	return nil
}
