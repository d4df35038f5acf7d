package tree

import (
	"math"

	"github.com/hashline/hashline/ml/frame"
)

// Node is a node of a tree as exports and explanations see it. The root is node 0; a leaf has Left 0.
type Node struct {
	Left, Right int
	Feature     int
	Cut         uint16 // codes of the feature up to it go left; see Coding
	MissingLeft bool
}

// Coding says how the values of a feature become codes: that of a number is the index of the first edge that is not below
// it, that of a level its bin. Missing stands for a missing value, and for a level that the training rows did not have.
type Coding struct {
	Name   string
	Type   frame.Type
	Edges  []float64
	Levels []string // sorted
	Bins   []uint16 // of each level
}

// Missing is the code of a missing value.
const Missing = missingHigh

// Coding returns that of feature i.
func (m *Ensemble) Coding(i int) Coding {
	return Coding(m.features[i])
}

// Tree returns the nodes of tree t.
func (m *Ensemble) Tree(t int) []Node {
	nodes := make([]Node, len(m.trees[t].nodes))
	for i, n := range m.trees[t].nodes {
		if n.cut != leafCut {
			nodes[i] = Node{Left: int(n.left), Right: int(n.left) + 1, Feature: int(n.column >> 1), Cut: n.cut, MissingLeft: n.column&1 == 0}
		}
	}
	return nodes
}

// Width is the number of sums that a row has: one for each class after the first, or one for a numeric target. Boosting has
// one for two classes, and one for each of more.
func (m *Ensemble) Width() int { return m.width() }

// Boosted reports whether a prediction is Base plus the sums of the leaves, to which the logistic function (of two classes)
// or softmax (of more) is applied. Otherwise it is the mean of the leaves over the trees: shares of the classes after the
// first, or a numeric target.
func (m *Ensemble) Boosted() bool { return m.task == sums }

// Base is what the sums of boosting start from.
func (m *Ensemble) Base() []float64 {
	base := make([]float64, m.width())
	for i, b := range m.base {
		base[i] = math.Ldexp(float64(b), m.exponent)
	}
	return base
}

// Leaf writes what a leaf of tree t adds to each sum: multiples of one power of two, so that sums are exact.
func (m *Ensemble) Leaf(t, leaf int, sums []float64) {
	row := make([]uint64, len(sums))
	m.addLeaf(t, uint32(leaf), row, 1)
	exponent := m.exponent
	if m.task == votes {
		exponent = -31
	}
	for i, v := range row {
		sums[i] = math.Ldexp(float64(int64(v)), exponent)
	}
}

// Codes returns the codes of the rows, a list for each feature. columns are those of Predict.
func (m *Ensemble) Codes(columns []*frame.Column) ([][]uint16, error) {
	encoders, err := m.encoders(columns)
	if err != nil {
		return nil, err
	}
	codes := make([][]uint16, len(columns))
	for f := range codes {
		x := &matrix{rows: columns[f].Len(), width: 2}
		x.codes = make([]uint16, 2*x.rows)
		encoders[f].write(x, 0, 0, x.rows)
		codes[f] = make([]uint16, x.rows)
		for i := range codes[f] {
			codes[f][i] = x.codes[2*i+1]
		}
	}
	return codes, nil
}

// Goes returns the child that a row with the given code of the node's feature goes to.
func (n *Node) Goes(code uint16) int {
	if code == Missing {
		if n.MissingLeft {
			return n.Left
		}
		return n.Right
	}
	if code <= n.Cut {
		return n.Left
	}
	return n.Right
}
