package tree

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/frame"
)

// document is the JSON of an Ensemble. A forest has tens of thousands of nodes, so their lists are little-endian numbers
// (in base64, as JSON has it), and it reads in milliseconds.
//
// Nodes come tree by tree. A tree begins with its root; then, from the root down and the left side first, every inner node
// adds its two children to the list. So a list of which nodes are leaves tells the whole shape.
type document struct {
	Task     string            `json:"task,omitempty"` // what leaves hold: votes (the default), means or sums; see Ensemble
	Classes  int               `json:"classes"`        // 0: a numeric target
	Features []featureDocument `json:"features"`
	Trees    int               `json:"trees"`
	Column   []byte            `json:"column"`          // uint16 of every node: 2 x feature, + 1 where missing values go right; 65535 for a leaf
	Cut      []byte            `json:"cut"`             // uint16 of every inner node: codes up to it go left
	Value    []byte            `json:"value"`           // of every leaf, votes of two classes: uint32 share of the second in units of 2^-31; means and sums: int64
	Pairs    []byte            `json:"pairs,omitempty"` // votes of more classes: uint16 of every leaf, how many classes after the first it has
	Class    []byte            `json:"class,omitempty"` // uint16 of each of these: the class; Value has its share
	Exponent int               `json:"exponent,omitempty"`
	Base     []int64           `json:"base,omitempty"`
	OutOfBag *OutOfBag         `json:"out_of_bag,omitempty"`
}

// leafColumn stands for a leaf in the file.
const leafColumn = 1<<16 - 1

// Limits of what leaves of numbers hold, so that no sum of them overflows.
const (
	maxLeaf     = 1 << 44
	maxExponent = 1 << 11
)

var taskNames = [...]string{votes: "", means: "means", sums: "sums"}

// featureDocument tells how a value becomes a code: a number's is the index of the first edge not below it, a level's is
// its bin.
type featureDocument struct {
	Name   string    `json:"name"`
	Type   string    `json:"type"`
	Edges  []float64 `json:"edges,omitempty"`
	Levels []string  `json:"levels,omitempty"`
	Bins   []uint16  `json:"bins,omitempty"`
}

// MarshalJSON writes the model; equal models give equal bytes.
func (m *Ensemble) MarshalJSON() ([]byte, error) {
	n := m.Nodes()
	d := document{Task: taskNames[m.task], Classes: m.classes, Trees: len(m.trees), Exponent: m.exponent, Base: m.base, OutOfBag: m.outOfBag,
		Column: make([]byte, 0, 2*n), Cut: make([]byte, 0, n), Value: make([]byte, 0, 4*(n/2+1))}
	for _, f := range m.features {
		d.Features = append(d.Features, featureDocument{f.Name, f.Type.String(), f.Edges, f.Levels, f.Bins})
	}
	for t := range m.trees {
		for i, node := range m.trees[t].nodes {
			if node.cut == leafCut {
				d.Column = binary.LittleEndian.AppendUint16(d.Column, leafColumn)
				m.appendLeaf(&d, &m.trees[t], i)
				continue
			}
			d.Column = binary.LittleEndian.AppendUint16(d.Column, node.column)
			d.Cut = binary.LittleEndian.AppendUint16(d.Cut, node.cut)
		}
	}
	return json.Marshal(d)
}

func (m *Ensemble) appendLeaf(d *document, t *grown, leaf int) {
	at := t.value[leaf]
	switch {
	case m.task != votes:
		d.Value = binary.LittleEndian.AppendUint64(d.Value, t.leaves[at])
	case m.classes == 2:
		d.Value = binary.LittleEndian.AppendUint32(d.Value, at)
	default:
		begin := len(d.Class)
		for last := false; !last; at++ {
			pair := t.leaves[at]
			last = pair&lastPair != 0
			if share := uint32(pair); share > 0 {
				d.Class = binary.LittleEndian.AppendUint16(d.Class, uint16(pair>>32)&(maxClasses-1)+1)
				d.Value = binary.LittleEndian.AppendUint32(d.Value, share)
			}
		}
		d.Pairs = binary.LittleEndian.AppendUint16(d.Pairs, uint16((len(d.Class)-begin)/2))
	}
}

// UnmarshalJSON reads a model and checks that no row can leave it or walk it for ever.
func (m *Ensemble) UnmarshalJSON(b []byte) error {
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return fmt.Errorf("tree model: %w", err)
	}
	*m = Ensemble{classes: d.Classes, exponent: d.Exponent, base: d.Base, outOfBag: d.OutOfBag}
	err := m.readTask(&d)
	if err == nil {
		err = m.readFeatures(&d)
	}
	if err == nil {
		err = m.readNodes(&d)
	}
	if err != nil {
		return fmt.Errorf("tree model: %w", err)
	}
	return nil
}

func (m *Ensemble) readTask(d *document) error {
	i := slices.Index(taskNames[:], d.Task)
	if i < 0 {
		return fmt.Errorf("unknown task %.40q", d.Task)
	}
	m.task = task(i)
	base := 0
	if m.task == sums {
		base = m.width()
	}
	numeric := d.Classes == 0 && m.task != votes
	if !numeric && (d.Classes < 2 || d.Classes > maxClasses || m.task == means) {
		return errors.New("no classes, or too many")
	}
	if len(d.Base) != base || d.Exponent < -maxExponent || d.Exponent > maxExponent {
		return errors.New("bad base or exponent")
	}
	for _, b := range d.Base {
		if b < -maxLeaf || b > maxLeaf {
			return errors.New("bad base")
		}
	}
	return nil
}

func (m *Ensemble) readFeatures(d *document) error {
	if len(d.Features) == 0 || len(d.Features) > MaxFeatures {
		return errors.New("no features, or too many")
	}
	for i, f := range d.Features {
		t, err := frame.ParseType(f.Type)
		switch {
		case err != nil:
			return err
		case t.Numeric() && (len(f.Edges) > MaxBins || !slices.IsSorted(f.Edges) || len(f.Levels)+len(f.Bins) > 0):
			return fmt.Errorf("feature %d: bad edges", i)
		case t.Numeric():
		case t != frame.Category || len(f.Levels) != len(f.Bins) || !slices.IsSorted(f.Levels) || len(f.Edges) > 0:
			return fmt.Errorf("feature %d: bad levels", i)
		}
		m.features = append(m.features, feature{Name: f.Name, Type: t, Edges: f.Edges, Levels: f.Levels, Bins: f.Bins})
		if m.features[i].bins() > MaxBins {
			return fmt.Errorf("feature %d: too many bins", i)
		}
	}
	return nil
}

// reader hands out the lists of a document from their beginnings.
type reader struct {
	column, cut, value, pairs, class []byte
	failed                           bool
}

func (r *reader) uint16(list *[]byte) uint16 {
	if len(*list) < 2 {
		r.failed = true
		return 0
	}
	v := binary.LittleEndian.Uint16(*list)
	*list = (*list)[2:]
	return v
}

func (r *reader) uint32(list *[]byte) uint32 {
	return uint32(r.uint16(list)) | uint32(r.uint16(list))<<16
}

func (r *reader) uint64(list *[]byte) uint64 {
	return uint64(r.uint32(list)) | uint64(r.uint32(list))<<32
}

// readNodes reads the nodes and lays out the trees.
func (m *Ensemble) readNodes(d *document) error {
	if d.Trees < 1 || d.Trees > maxTrees {
		return errors.New("no trees, or too many")
	}
	r := &reader{column: d.Column, cut: d.Cut, value: d.Value, pairs: d.Pairs, class: d.Class}
	for t := range d.Trees {
		if err := m.readTree(r); err != nil {
			return fmt.Errorf("tree %d: %w", t, err)
		}
	}
	if len(r.column)+len(r.cut)+len(r.value)+len(r.pairs)+len(r.class) > 0 {
		return errors.New("the lists of nodes do not fit each other")
	}
	return nil
}

// readTree gives the inner nodes their children. They follow from the leaves alone, so that a child lies behind its parent
// and in the same tree.
func (m *Ensemble) readTree(r *reader) error {
	var t grown
	t.addLeaf()
	open := []uint32{0} // nodes to be read, the next one last
	columns := r.column
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		if int(at) >= len(columns)/2 {
			return errors.New("it has no end")
		}
		column := binary.LittleEndian.Uint16(columns[2*at:])
		if column == leafColumn {
			continue
		}
		left := uint32(t.addLeaf())
		t.addLeaf()
		t.nodes[at] = walker{left: left, column: column}
		open = append(open, left+1, left)
	}
	r.column = columns[2*len(t.nodes):]
	for i := range t.nodes {
		n := &t.nodes[i]
		if n.cut == leafCut {
			if err := m.readLeaf(r, &t, i); err != nil {
				return err
			}
			continue
		}
		if n.cut = r.uint16(&r.cut); int(n.column) >= 2*len(m.features) || n.cut >= missingHigh {
			return fmt.Errorf("node %d: bad cut", i)
		}
	}
	if r.failed {
		return errors.New("the lists of nodes do not fit each other")
	}
	m.trees = append(m.trees, t)
	return nil
}

func (m *Ensemble) readLeaf(r *reader, t *grown, leaf int) error {
	if m.task != votes {
		v := r.uint64(&r.value)
		if int64(v) < -maxLeaf || int64(v) > maxLeaf {
			return fmt.Errorf("node %d: bad value", leaf)
		}
		t.value[leaf] = uint32(len(t.leaves))
		t.leaves = append(t.leaves, v)
		return nil
	}
	s := make([]uint32, m.classes-1)
	sum := uint64(0)
	if m.classes == 2 {
		s[0] = r.uint32(&r.value)
		sum = uint64(s[0])
	} else {
		for range r.uint16(&r.pairs) {
			class := int(r.uint16(&r.class))
			if class < 1 || class >= m.classes || r.failed {
				return fmt.Errorf("node %d: bad class", leaf)
			}
			s[class-1] = r.uint32(&r.value)
			sum += uint64(s[class-1])
		}
	}
	if sum > unit+maxClasses {
		return fmt.Errorf("node %d: bad shares", leaf)
	}
	t.setShares(leaf, s)
	return nil
}

// exponentFor returns an exponent so that values up to size fit into leaves.
func exponentFor(size float64) int {
	if !(size > 0) {
		return 0
	}
	_, e := math.Frexp(size)
	return max(e-44, -1074)
}
