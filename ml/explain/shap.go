// Package explain tells why a model predicts what it does: exact SHAP values of trees, and partial dependence of any model.
package explain

import (
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/tree"
)

// Values are the SHAP values of rows: what each feature adds to each output of a model, on top of Base. A row's values and
// Base add up to its output.
type Values struct {
	Features []string  `json:"features"`
	Outputs  int       `json:"outputs"`
	Base     []float64 `json:"base"`   // the outputs' mean over the background rows, tree by tree
	Values   []float64 `json:"values"` // rows x features x outputs
}

// At returns the values of a feature of a row, one for each output.
func (v *Values) At(row, feature int) []float64 {
	at := (row*len(v.Features) + feature) * v.Outputs
	return v.Values[at : at+v.Outputs : at+v.Outputs]
}

// Trees returns the exact SHAP values of a tree, a forest or boosting for rows, by the path-dependent algorithm of
// Lundberg, Erion and Lee (Consistent Individualized Feature Attribution for Tree Ensembles, 2018, algorithm 2): a feature
// that is not known goes down both sides of a split, as often as the background rows do; where none of them come by, one
// half each.
//
// Outputs are the shares of the classes after the first, for boosting the scores before the logistic function or softmax,
// or the number that a regression predicts: see tree.Ensemble's Width. Base and values add up to them within rounding of
// sums, 1e-9 of their size and better.
//
// background and rows are features as Predict takes them. The time is rows x leaves x depth^2, where the depth counts each
// feature of a path once, on cores goroutines, which never change the result.
func Trees(m *tree.Ensemble, background, rows []*frame.Column, cores int) (*Values, error) {
	known, err := m.Codes(background)
	if err != nil {
		return nil, fmt.Errorf("background: %w", err)
	}
	codes, err := m.Codes(rows)
	if err != nil {
		return nil, err
	}
	if len(known[0]) == 0 {
		return nil, errors.New("there are no background rows")
	}
	trees := make([]weighted, m.Trees())
	for t := range trees {
		trees[t] = weigh(m, t, known)
	}
	v := &Values{Features: m.Features(), Outputs: m.Width(), Base: base(m, trees)}
	n := len(codes[0])
	v.Values = make([]float64, n*len(codes)*v.Outputs)
	const block = 16
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for from := 0; from < n; from += block {
		g.Go(func() error {
			w := newWalk(m)
			for r := from; r < min(n, from+block); r++ {
				size := len(codes) * v.Outputs
				w.row(trees, codes, r, v.Values[r*size:(r+1)*size])
			}
			return nil
		})
	}
	return v, g.Wait()
}

// weighted is a tree with the shares of the background rows that go left and right of each node, and the sums that leaves
// add to.
type weighted struct {
	nodes []tree.Node
	left  []float64 // share of the rows of a node that go left
	sums  []float64 // nodes x outputs
}

// weigh sends the background rows down tree t.
func weigh(m *tree.Ensemble, t int, codes [][]uint16) weighted {
	w := weighted{nodes: m.Tree(t)}
	width := m.Width()
	rows := make([]int, len(w.nodes))
	for r := range codes[0] {
		at := 0
		for rows[0]++; w.nodes[at].Left != 0; rows[at]++ {
			at = w.nodes[at].Goes(codes[w.nodes[at].Feature][r])
		}
	}
	w.left, w.sums = make([]float64, len(w.nodes)), make([]float64, len(w.nodes)*width)
	for i, n := range w.nodes {
		switch {
		case n.Left == 0:
			m.Leaf(t, i, w.sums[i*width:(i+1)*width])
		case rows[i] == 0:
			w.left[i] = 0.5
		default:
			w.left[i] = float64(rows[n.Left]) / float64(rows[i])
		}
	}
	return w
}

// base is the mean of the outputs over the background rows.
func base(m *tree.Ensemble, trees []weighted) []float64 {
	width := m.Width()
	total := make([]float64, width)
	for _, t := range trees {
		means := append([]float64(nil), t.sums...)
		for i := len(t.nodes) - 1; i >= 0; i-- { // children lie behind their parents
			n := t.nodes[i]
			for o := 0; n.Left != 0 && o < width; o++ {
				means[i*width+o] = float64(t.left[i]*means[n.Left*width+o]) + float64((1-t.left[i])*means[n.Right*width+o])
			}
		}
		for o := range total {
			total[o] += means[o]
		}
	}
	return finish(m, total, true)
}

// finish makes the mean over the trees of their sum, or puts boosting's base under it.
func finish(m *tree.Ensemble, total []float64, based bool) []float64 {
	if !m.Boosted() {
		for i := range total {
			total[i] /= float64(m.Trees())
		}
		return total
	}
	if based {
		for o, b := range m.Base() {
			total[o] += b
		}
	}
	return total
}

// step is a feature on the path to a node: the shares of the sets of unknown and of known features that come through, and
// the weight of all sets of so many known features.
type step struct {
	feature        int
	unknown, known float64
	weight         float64
}

// walk goes down trees for one row at a time.
type walk struct {
	model *tree.Ensemble
	paths [][]step // one for each depth, so that a path is copied and not undone
	tree  *weighted
	codes [][]uint16
	r     int
	phi   []float64
}

func newWalk(m *tree.Ensemble) *walk { return &walk{model: m} }

func (w *walk) row(trees []weighted, codes [][]uint16, r int, phi []float64) {
	w.codes, w.r, w.phi = codes, r, phi
	for t := range trees {
		w.tree = &trees[t]
		w.visit(0, 0, nil, 1, 1, -1)
	}
	finish(w.model, phi, false)
}

// path returns room for a path at a depth of the tree.
func (w *walk) path(depth, n int) []step {
	for len(w.paths) <= depth {
		w.paths = append(w.paths, nil)
	}
	if cap(w.paths[depth]) < n {
		w.paths[depth] = make([]step, 0, 2*n)
	}
	return w.paths[depth][:0]
}

// visit goes to a node by a feature with the given shares.
func (w *walk) visit(node, depth int, above []step, unknown, known float64, feature int) {
	path := append(w.path(depth, len(above)+1), above...)
	path = extend(path, unknown, known, feature)
	w.paths[depth] = path
	n := w.tree.nodes[node]
	if n.Left == 0 {
		w.leaf(node, path)
		return
	}
	unknown, known = 1, 1
	for i := 1; i < len(path); i++ {
		if path[i].feature == n.Feature {
			unknown, known = path[i].unknown, path[i].known
			path = unwind(path, i)
			break
		}
	}
	goes := n.Goes(w.codes[n.Feature][w.r])
	for _, child := range [2]int{n.Left, n.Right} {
		share := w.tree.left[node]
		if child == n.Right {
			share = 1 - share
		}
		k := 0.0
		if child == goes {
			k = known
		}
		if u := float64(unknown * share); u != 0 || k != 0 { // else nothing comes here
			w.visit(child, depth+1, path, u, k, n.Feature)
		}
	}
}

// leaf adds what a leaf is worth to each feature of the path to it.
func (w *walk) leaf(node int, path []step) {
	width := w.model.Width()
	sums := w.tree.sums[node*width : (node+1)*width]
	for i := 1; i < len(path); i++ {
		s := &path[i]
		share := float64(unwoundSum(path, i) * (s.known - s.unknown))
		for o, v := range sums {
			w.phi[s.feature*width+o] += float64(share * v)
		}
	}
}

// extend adds a feature to a path and updates the weights of the sets of each size.
func extend(path []step, unknown, known float64, feature int) []step {
	last := len(path)
	path = append(path, step{feature, unknown, known, 0})
	if last == 0 {
		path[0].weight = 1
	}
	for i := last - 1; i >= 0; i-- {
		path[i+1].weight += float64(known*path[i].weight) * float64(i+1) / float64(last+1)
		path[i].weight = float64(unknown*path[i].weight) * float64(last-i) / float64(last+1)
	}
	return path
}

// unwind takes feature i off a path: the inverse of extend.
func unwind(path []step, i int) []step {
	last := len(path) - 1
	known, unknown := path[i].known, path[i].unknown
	next := path[last].weight
	for j := last - 1; j >= 0; j-- {
		if known != 0 {
			before := path[j].weight
			path[j].weight = float64(next*float64(last+1)) / float64(float64(j+1)*known)
			next = before - float64(path[j].weight*unknown)*float64(last-j)/float64(last+1)
			continue
		}
		path[j].weight = float64(path[j].weight*float64(last+1)) / float64(unknown*float64(last-j))
	}
	for j := i; j < last; j++ {
		path[j].feature, path[j].unknown, path[j].known = path[j+1].feature, path[j+1].unknown, path[j+1].known
	}
	return path[:last]
}

// unwoundSum is the sum of the weights that unwind would leave.
func unwoundSum(path []step, i int) float64 {
	last := len(path) - 1
	known, unknown := path[i].known, path[i].unknown
	next, total := path[last].weight, 0.0
	for j := last - 1; j >= 0; j-- {
		if known != 0 {
			w := float64(next*float64(last+1)) / float64(float64(j+1)*known)
			total += w
			next = path[j].weight - float64(w*unknown)*float64(last-j)/float64(last+1)
			continue
		}
		total += float64(path[j].weight*float64(last+1)) / float64(unknown*float64(last-j))
	}
	return total
}
