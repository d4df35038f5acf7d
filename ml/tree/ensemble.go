package tree

import (
	"math"

	"github.com/hashline/hashline/ml/num"
)

// Ensemble is a tree or several whose leaves are added up. It is immutable and safe for concurrent use.
//
// Leaves hold integers, so that sums are exact and their order is nobody's business. What a sum means is the ensemble's
// task: votes are class shares in units of 2^-31, to be divided by the number of trees (Predict gives n x classes); means
// are values of a numeric target in units of 2^exponent, divided likewise (Predict gives n); sums are the scores of
// boosting in units of 2^exponent on top of a base: log odds of two classes, a score for each of more (tree t adds to that
// of class t modulo classes), or values of a numeric target.
type Ensemble struct {
	task     task
	classes  int // 0: a numeric target
	features []feature
	trees    []grown
	exponent int     // means and sums
	base     []int64 // sums: what they start from
	outOfBag *OutOfBag
}

type task uint8

const (
	votes task = iota
	means
	sums
)

// grown is one tree. Node 0 is its root, and the children of a node are neighbours.
type grown struct {
	nodes  []walker
	value  []uint32 // of each leaf: with two classes the share of the second, otherwise where in leaves its values begin
	leaves []uint64 // votes of more classes: pairs share | class<<32, the last of a leaf marked; means and sums: int64
}

// walker is one node as a walk reads it: eight bytes. column says which code of a row the node compares: 2f is feature f
// with missing values below every cut, 2f+1 with missing values above. A leaf is its own left child.
type walker struct {
	left   uint32 // index of the left child in the tree, the right one follows
	cut    uint16 // codes up to it go left
	column uint16
}

// leafCut is the cut of a leaf: no code is above it, so that a leaf leads to itself.
const leafCut = math.MaxUint16

// unit is the share 1 of a vote.
const unit = 1 << 31

// lastPair marks the last pair of a leaf.
const lastPair = 1 << 63

// OutOfBag is how a forest does on the rows that its trees have not seen (Breiman: Out-of-bag Estimation, 1996). Levels of
// categories are put in order by the targets of all rows, so that with categories of many levels it promises too much.
type OutOfBag struct {
	Score num.Float `json:"score"` // accuracy, or R2 of a numeric target
	Rows  int       `json:"rows"`  // that some tree has not seen
}

// Trees returns the number of trees.
func (m *Ensemble) Trees() int { return len(m.trees) }

// Nodes returns the number of nodes of all trees.
func (m *Ensemble) Nodes() int {
	n := 0
	for i := range m.trees {
		n += len(m.trees[i].nodes)
	}
	return n
}

// Classes returns the number of classes, 0 of a model of a numeric target.
func (m *Ensemble) Classes() int { return m.classes }

// OutOfBag returns nil unless Options.OutOfBag asked for it.
func (m *Ensemble) OutOfBag() *OutOfBag { return m.outOfBag }

// Features returns the names of the features in their order.
func (m *Ensemble) Features() []string {
	names := make([]string, len(m.features))
	for i, f := range m.features {
		names[i] = f.Name
	}
	return names
}

// width is the number of sums that a row has.
func (m *Ensemble) width() int {
	switch {
	case m.classes <= 2:
		return 1
	case m.task == votes:
		return m.classes - 1
	}
	return m.classes
}

// outputs is the number of values that Predict gives a row.
func (m *Ensemble) outputs() int { return max(1, m.classes) }

// addLeaf adds sign times the values of a leaf of tree t to the sums of one row.
func (m *Ensemble) addLeaf(t int, leaf uint32, row []uint64, sign uint64) {
	tree := &m.trees[t]
	at := tree.value[leaf]
	switch {
	case m.task == sums:
		row[t%len(row)] += sign * tree.leaves[at]
	case m.task == means:
		row[0] += sign * tree.leaves[at]
	case m.classes == 2:
		row[0] += sign * uint64(at)
	default:
		for {
			pair := tree.leaves[at]
			row[pair>>32&(maxClasses-1)] += sign * (pair & weightMask)
			if pair&lastPair != 0 {
				return
			}
			at++
		}
	}
}

// appendPairs appends the shares of the classes after the first, those that are not 0.
func appendPairs(leaves []uint64, shares []uint32) []uint64 {
	begin := len(leaves)
	for c, s := range shares {
		if s > 0 {
			leaves = append(leaves, uint64(s)|uint64(c)<<32)
		}
	}
	if len(leaves) == begin {
		leaves = append(leaves, 0)
	}
	leaves[len(leaves)-1] |= lastPair
	return leaves
}

// finish turns the sums of rows into predictions. Shares of votes are exact integers below 2^53 for up to 2^22 trees.
func (m *Ensemble) finish(total []uint64, out []float64) {
	switch {
	case m.task == votes:
		m.finishVotes(total, out)
	case m.task == means:
		scale := math.Ldexp(1, m.exponent)
		for i, s := range total {
			out[i] = float64(int64(s)) / float64(len(m.trees)) * scale
		}
	default:
		m.finishSums(total, out)
	}
}

func (m *Ensemble) finishVotes(total []uint64, proba []float64) {
	k := m.classes
	whole := float64(uint64(len(m.trees)) * unit)
	for i := range len(proba) / k {
		rest := uint64(len(m.trees)) * unit
		for c, s := range total[i*(k-1) : (i+1)*(k-1)] {
			s = min(s, rest) // rounding of many shares may pass the whole by a few units
			rest -= s
			proba[i*k+c+1] = float64(s) / whole
		}
		proba[i*k] = float64(rest) / whole
	}
}

func (m *Ensemble) finishSums(total []uint64, out []float64) {
	w, scale := m.width(), math.Ldexp(1, m.exponent)
	for i, s := range total {
		v := float64(int64(s)+m.base[i%w]) * scale
		if m.classes != 2 {
			out[i] = v
			continue
		}
		p := num.Sigmoid(v)
		out[2*i], out[2*i+1] = 1-p, p
	}
	if m.classes > 2 {
		for i := 0; i < len(out); i += w {
			num.Softmax(out[i : i+w])
		}
	}
}

// trim drops what no node asks for: of numbers the cut points that none compares with, and everything of features that are
// not used.
func (m *Ensemble) trim() {
	used := make([][]bool, len(m.features))
	for i := range m.features {
		used[i] = make([]bool, m.features[i].bins())
	}
	m.inner(func(n *walker) { used[n.column>>1][n.cut] = true })
	ranks := make([][]uint16, len(m.features))
	for i := range m.features {
		ranks[i] = m.features[i].keep(used[i])
	}
	m.inner(func(n *walker) {
		if r := ranks[n.column>>1]; r != nil {
			n.cut = r[n.cut]
		}
	})
}

func (m *Ensemble) inner(visit func(n *walker)) {
	for t := range m.trees {
		nodes := m.trees[t].nodes
		for i := range nodes {
			if nodes[i].cut != leafCut {
				visit(&nodes[i])
			}
		}
	}
}

// keep drops the cut points that are not used, and returns the new place of each; nil where places stay.
func (f *feature) keep(used []bool) []uint16 {
	any := false
	for _, u := range used {
		any = any || u
	}
	if !any {
		f.Edges, f.Levels, f.Bins = nil, nil, nil
		return nil
	}
	if !f.Type.Numeric() {
		return nil
	}
	ranks := make([]uint16, len(used))
	kept := make([]float64, 0, len(f.Edges))
	for i, u := range used {
		ranks[i] = uint16(len(kept))
		if u && i < len(f.Edges) {
			kept = append(kept, f.Edges[i])
		}
	}
	// The cut behind the last edge has every number on its left and the missing values on its right.
	f.Edges = kept
	return ranks
}
