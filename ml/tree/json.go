package tree

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/hashline/hashline/ml/frame"
)

// document is the JSON of an Ensemble. A forest has tens of thousands of nodes, so their lists are little-endian numbers
// (in base64, as JSON has it), and it reads in milliseconds.
//
// Nodes come tree by tree. A tree begins with its root; then, from the root down and the left side first, every inner node
// adds its two children to the list. So a list of which nodes are leaves tells the whole shape.
type document struct {
	Classes  int               `json:"classes"`
	Features []featureDocument `json:"features"`
	Trees    int               `json:"trees"`
	Column   []byte            `json:"column"` // uint16 of every node: 2 x feature, + 1 where missing values go right; 65535 for a leaf
	Cut      []byte            `json:"cut"`    // uint16 of every inner node: codes up to it go left
	Value    []byte            `json:"value"`  // uint32 of every leaf: shares of the classes after the first, in units of 2^-31
}

// leafColumn stands for a leaf in the file.
const leafColumn = 1<<16 - 1

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
	n, k := len(m.left), m.classes-1
	d := document{Classes: m.classes, Trees: len(m.roots), Column: make([]byte, 0, 2*n), Cut: make([]byte, 0, n), Value: make([]byte, 0, 4*k*(n/2+1))}
	for _, f := range m.features {
		d.Features = append(d.Features, featureDocument{f.Name, f.Type.String(), f.Edges, f.Levels, f.Bins})
	}
	for i := range n {
		if m.left[i] != uint32(i) {
			d.Column = binary.LittleEndian.AppendUint16(d.Column, m.column[i])
			d.Cut = binary.LittleEndian.AppendUint16(d.Cut, m.cut[i])
			continue
		}
		d.Column = binary.LittleEndian.AppendUint16(d.Column, leafColumn)
		for _, v := range m.value[i*k : (i+1)*k] {
			d.Value = binary.LittleEndian.AppendUint32(d.Value, v)
		}
	}
	return json.Marshal(d)
}

// UnmarshalJSON reads a model and checks that no row can leave it or walk it for ever.
func (m *Ensemble) UnmarshalJSON(b []byte) error {
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return fmt.Errorf("tree model: %w", err)
	}
	*m = Ensemble{classes: d.Classes}
	err := m.readFeatures(&d)
	if err == nil {
		err = m.readNodes(&d)
	}
	if err != nil {
		return fmt.Errorf("tree model: %w", err)
	}
	return nil
}

func (m *Ensemble) readFeatures(d *document) error {
	if d.Classes < 2 || d.Classes > maxClasses || len(d.Features) == 0 || len(d.Features) > MaxFeatures {
		return errors.New("no classes or features, or too many")
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
		m.features = append(m.features, feature{f.Name, t, f.Edges, f.Levels, f.Bins})
		if m.features[i].bins() > MaxBins {
			return fmt.Errorf("feature %d: too many bins", i)
		}
	}
	return nil
}

// readNodes reads the nodes and lays out the trees.
func (m *Ensemble) readNodes(d *document) error {
	n, k := len(d.Column)/2, d.Classes-1
	inner := 0
	for i := range n {
		if binary.LittleEndian.Uint16(d.Column[2*i:]) != leafColumn {
			inner++
		}
	}
	// Each tree has one leaf more than it has inner nodes.
	if d.Trees < 1 || d.Trees > maxTrees || n != 2*inner+d.Trees || 2*n != len(d.Column) || 2*inner != len(d.Cut) || 4*k*(n-inner) != len(d.Value) {
		return errors.New("the lists of nodes do not fit each other")
	}
	m.left, m.cut, m.column, m.value = make([]uint32, n), make([]uint16, n), make([]uint16, n), make([]uint32, n*k)
	cuts, values := d.Cut, d.Value
	for i := range n {
		column := binary.LittleEndian.Uint16(d.Column[2*i:])
		if column != leafColumn {
			m.column[i], m.cut[i] = column, binary.LittleEndian.Uint16(cuts)
			if cuts = cuts[2:]; int(column) >= 2*len(m.features) || m.cut[i] >= missingHigh {
				return fmt.Errorf("node %d: bad cut", i)
			}
			continue
		}
		m.left[i], m.cut[i] = uint32(i), leafCut
		sum := uint64(0)
		for c := range k {
			v := binary.LittleEndian.Uint32(values[4*c:])
			m.value[i*k+c] = v
			sum += uint64(v)
		}
		if values = values[4*k:]; sum > unit+maxClasses {
			return fmt.Errorf("node %d: bad shares", i)
		}
	}
	return m.layOut(d.Trees)
}

// layOut gives the inner nodes their children. They follow from the leaves alone, so that a child lies behind its parent
// and in the same tree.
func (m *Ensemble) layOut(trees int) error {
	n := uint32(len(m.left))
	var open []uint32 // nodes to be visited, the next one last
	for next := uint32(0); next < n; {
		m.roots = append(m.roots, next)
		open = append(open, next)
		next++
		for len(open) > 0 {
			at := open[len(open)-1]
			open = open[:len(open)-1]
			if m.cut[at] == leafCut {
				continue
			}
			if next+2 > n {
				return errors.New("a tree has no end")
			}
			m.left[at] = next
			open = append(open, next+1, next)
			next += 2
		}
	}
	if len(m.roots) != trees {
		return fmt.Errorf("%d trees, want %d", len(m.roots), trees)
	}
	return nil
}
