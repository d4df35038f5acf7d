package onnx

import (
	"math"

	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/tree"
)

// ensemble reckons the outputs of a tree or forest, or of boosting. Leaves are multiples of one power of two, so that sums in
// doubles are exact and labels cannot differ where two classes are level.
func (g *graph) ensemble(m *tree.Ensemble, values []string, textual []bool) *outcome {
	codes := make([]string, len(values))
	for f, v := range values {
		codes[f] = v
		if c := m.Coding(f); textual[f] {
			codes[f] = g.levels(v, c.Levels, c.Bins)
		}
	}
	x := g.add("Concat", codes, attribute{"axis", int64(1)})
	e := &ensemble{model: m}
	for t := range m.Trees() {
		for target := range m.Width() {
			if !m.Boosted() || t%m.Width() == target { // the others it leaves as they are
				e.addTree(t, target)
			}
		}
	}
	sums := g.addOf(learning, "TreeEnsemble", []string{x}, e.attributes(m.Width())...)
	if m.Boosted() {
		return g.boosted(m, sums)
	}
	trees := g.number(float64(m.Trees()))
	if m.Classes() > 0 {
		others := g.add("ReduceSum", []string{sums, g.whole(1)}, attribute{"keepdims", int64(1)})
		rest := g.binary("Max", g.number(0), g.binary("Sub", trees, others))
		sums = g.add("Concat", []string{rest, sums}, attribute{"axis", int64(1)})
	}
	o := &outcome{results: g.binary("Div", sums, trees)}
	if m.Classes() == 2 {
		o.score, o.ofScore = g.column(o.results, 1), func(p float64) float64 { return max(0, min(1, p)) }
	}
	return o
}

// boosted turns the sums of boosting into probabilities, or numbers.
func (g *graph) boosted(m *tree.Ensemble, sums string) *outcome {
	scores := g.binary("Add", sums, g.constant(doubles(m.Base(), 1, int64(m.Width()))))
	switch m.Classes() {
	case 0:
		return &outcome{results: scores}
	case 2:
		p := g.sigmoid(scores)
		both := g.add("Concat", []string{g.binary("Sub", g.number(1), p), p}, attribute{"axis", int64(1)})
		return &outcome{results: both, score: scores, ofScore: num.Sigmoid}
	}
	return &outcome{results: g.add("Softmax", []string{scores}, attribute{"axis", int64(1)})}
}

// levels gives each text the bin of its level, NaN if it has none.
func (g *graph) levels(v string, levels []string, bins []uint16) string {
	if len(levels) == 0 {
		unknown := float32(math.NaN())
		return g.cast(g.encode(v, []string{""}, []float32{unknown}, unknown), typeDouble) // the operator wants some
	}
	numbers := make([]float32, len(bins))
	for i, b := range bins {
		numbers[i] = float32(b)
	}
	return g.cast(g.encode(v, levels, numbers, float32(math.NaN())), typeDouble)
}

func (g *graph) encode(v string, levels []string, numbers []float32, otherwise float32) string {
	return g.addOf(learning, "LabelEncoder", []string{v}, attribute{"keys_strings", levels}, attribute{"values_floats", numbers}, attribute{"default_float", otherwise})
}

// ensemble collects the nodes and leaves of all trees, as the operator has them.
type ensemble struct {
	model *tree.Ensemble

	roots                                       []int64
	features, yes, no, yesLeaf, noLeaf, missing []int64
	splits                                      []float64
	leafTargets                                 []int64
	leafWeights                                 []float64
}

// addTree adds a tree for one target. Of the nodes below which the leaves agree on it, one leaf is left.
func (e *ensemble) addTree(t, target int) {
	nodes := e.model.Tree(t)
	sums := make([]float64, e.model.Width())
	value := make([]float64, len(nodes))
	same := make([]bool, len(nodes))
	for i := len(nodes) - 1; i >= 0; i-- { // children lie behind their parents
		n := nodes[i]
		if n.Left == 0 {
			e.model.Leaf(t, i, sums)
			value[i], same[i] = sums[target], true
			continue
		}
		value[i] = value[n.Left]
		same[i] = same[n.Left] && same[n.Right] && value[n.Left] == value[n.Right]
	}
	e.roots = append(e.roots, int64(len(e.features)))
	if same[0] { // the operator has no tree without a node
		at := e.node(0, 0, false)
		e.yes[at], e.yesLeaf[at] = e.leaf(target, value[0]), 1
		e.no[at], e.noLeaf[at] = e.leaf(target, value[0]), 1
		return
	}
	type child struct {
		node int
		link *[]int64 // where its number goes
		at   int
	}
	open := []child{{0, new([]int64), 0}}
	*open[0].link = make([]int64, 1)
	for len(open) > 0 {
		c := open[len(open)-1]
		open = open[:len(open)-1]
		n := nodes[c.node]
		at := e.node(n.Feature, e.split(n), n.MissingLeft)
		(*c.link)[c.at] = int64(at)
		for _, side := range []struct {
			node         int
			link, isLeaf *[]int64
		}{{n.Right, &e.no, &e.noLeaf}, {n.Left, &e.yes, &e.yesLeaf}} {
			if same[side.node] {
				(*side.link)[at], (*side.isLeaf)[at] = e.leaf(target, value[side.node]), 1
				continue
			}
			open = append(open, child{side.node, side.link, at})
		}
	}
}

// node adds a node whose children are still to be set.
func (e *ensemble) node(feature int, split float64, missingLeft bool) int {
	e.features, e.splits = append(e.features, int64(feature)), append(e.splits, split)
	e.yes, e.no, e.yesLeaf, e.noLeaf = append(e.yes, 0), append(e.no, 0), append(e.yesLeaf, 0), append(e.noLeaf, 0)
	tracks := int64(0)
	if missingLeft {
		tracks = 1
	}
	e.missing = append(e.missing, tracks)
	return len(e.features) - 1
}

func (e *ensemble) leaf(target int, value float64) int64 {
	e.leafTargets, e.leafWeights = append(e.leafTargets, int64(target)), append(e.leafWeights, value)
	return int64(len(e.leafTargets) - 1)
}

// split returns the largest number that goes left.
func (e *ensemble) split(n tree.Node) float64 {
	c := e.model.Coding(n.Feature)
	switch {
	case !c.Type.Numeric():
		return float64(n.Cut)
	case int(n.Cut) < len(c.Edges):
		return c.Edges[n.Cut]
	}
	return math.Inf(1) // all but missing values
}

// attributes are those of the operator TreeEnsemble with so many sums.
func (e *ensemble) attributes(targets int) []attribute {
	modes := make([]byte, len(e.features)) // 0: a number up to the split goes the way of yes
	n := int64(len(e.features))
	return []attribute{
		{"aggregate_function", int64(1)},
		{"leaf_targetids", e.leafTargets},
		{"leaf_weights", doubles(e.leafWeights)},
		{"n_targets", int64(targets)},
		{"nodes_falseleafs", e.noLeaf},
		{"nodes_falsenodeids", e.no},
		{"nodes_featureids", e.features},
		{"nodes_missing_value_tracks_true", e.missing},
		{"nodes_modes", tensor{elem: typeUint8, dims: []int64{n}, raw: modes}},
		{"nodes_splits", doubles(e.splits)},
		{"nodes_trueleafs", e.yesLeaf},
		{"nodes_truenodeids", e.yes},
		{"post_transform", int64(0)},
		{"tree_roots", e.roots},
	}
}
