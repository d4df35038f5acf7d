package tree

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/frame"
)

// document is the JSON of an Ensemble. Lists of nodes are base64 of little-endian numbers: a forest has tens of
// thousands of nodes, and so it reads in milliseconds.
type document struct {
	Classes  int               `json:"classes"`
	Features []featureDocument `json:"features"`
	Roots    []uint32          `json:"roots"`
	Left     string            `json:"left"`   // uint32: index of the left child, the right one follows; a leaf names itself
	Cut      string            `json:"cut"`    // uint16: codes up to it go left
	Column   string            `json:"column"` // uint16: 2 x feature, + 1 where missing values go right
	Value    string            `json:"value"`  // uint32: shares of the classes after the first, in units of 2^-31
}

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
	d := document{Classes: m.classes, Roots: m.roots, Left: pack(m.left, binary.LittleEndian.AppendUint32), Cut: pack(m.cut, binary.LittleEndian.AppendUint16),
		Column: pack(m.column, binary.LittleEndian.AppendUint16), Value: pack(m.value, binary.LittleEndian.AppendUint32)}
	for _, f := range m.features {
		edges := slices.Clone(f.Edges)
		for i, e := range edges { // JSON has no infinity; nothing finite lies beyond these
			edges[i] = max(-math.MaxFloat64, min(math.MaxFloat64, e))
		}
		d.Features = append(d.Features, featureDocument{f.Name, f.Type.String(), edges, f.Levels, f.Bins})
	}
	return json.Marshal(d)
}

func pack[T any](v []T, add func([]byte, T) []byte) string {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = add(b, x)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func unpack[T any](s string, size int, get func([]byte) T) ([]T, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, err
	}
	if len(b)%size != 0 {
		return nil, errors.New("a list of nodes has a part of a number")
	}
	v := make([]T, len(b)/size)
	for i := range v {
		v[i] = get(b[i*size:])
	}
	return v, nil
}

// UnmarshalJSON reads a model and checks that no row can leave it or walk it for ever.
func (m *Ensemble) UnmarshalJSON(b []byte) error {
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return fmt.Errorf("tree model: %w", err)
	}
	var e [4]error
	*m = Ensemble{classes: d.Classes, roots: d.Roots}
	m.left, e[0] = unpack(d.Left, 4, binary.LittleEndian.Uint32)
	m.cut, e[1] = unpack(d.Cut, 2, binary.LittleEndian.Uint16)
	m.column, e[2] = unpack(d.Column, 2, binary.LittleEndian.Uint16)
	m.value, e[3] = unpack(d.Value, 4, binary.LittleEndian.Uint32)
	if err := errors.Join(e[:]...); err != nil {
		return fmt.Errorf("tree model: %w", err)
	}
	for _, f := range d.Features {
		t, err := frame.ParseType(f.Type)
		if err != nil {
			return fmt.Errorf("tree model: %w", err)
		}
		m.features = append(m.features, feature{f.Name, t, f.Edges, f.Levels, f.Bins})
	}
	if err := m.validate(); err != nil {
		return fmt.Errorf("tree model: %w", err)
	}
	return nil
}

func (m *Ensemble) validate() error {
	n := len(m.left)
	if m.classes < 2 || m.classes > maxClasses || len(m.features) == 0 || len(m.features) > maxFeatures {
		return errors.New("no classes or features, or too many")
	}
	if n == 0 || len(m.cut) != n || len(m.column) != n || len(m.value) != n*(m.classes-1) || len(m.roots) == 0 || len(m.roots) > 1<<20 {
		return errors.New("its lists do not have the same number of nodes")
	}
	for i, f := range m.features {
		if f.Type.Numeric() {
			if len(f.Edges) > maxBinCount || !slices.IsSorted(f.Edges) || len(f.Levels)+len(f.Bins) > 0 {
				return fmt.Errorf("feature %d: bad edges", i)
			}
			continue
		}
		if f.Type != frame.Category || len(f.Levels) != len(f.Bins) || !slices.IsSorted(f.Levels) || f.bins() > maxBinCount {
			return fmt.Errorf("feature %d: bad levels", i)
		}
	}
	for t, root := range m.roots {
		end := uint32(n)
		if t+1 < len(m.roots) {
			end = m.roots[t+1]
		}
		if root >= end || end > uint32(n) || (t == 0 && root != 0) {
			return errors.New("bad roots")
		}
		if err := m.validateTree(root, end); err != nil {
			return err
		}
	}
	return nil
}

func (m *Ensemble) validateTree(root, end uint32) error {
	for i := root; i < end; i++ {
		leaf := m.left[i] == i
		switch {
		case leaf && (m.cut[i] != leafCut || m.column[i] != 0):
			return fmt.Errorf("node %d: bad leaf", i)
		case !leaf && (m.left[i] <= i || m.left[i] >= end-1 || m.cut[i] >= missingHigh):
			return fmt.Errorf("node %d: bad children", i)
		case int(m.column[i]) >= 2*len(m.features):
			return fmt.Errorf("node %d: bad feature", i)
		}
		sum := uint64(0)
		for _, v := range m.value[int(i)*(m.classes-1) : (int(i)+1)*(m.classes-1)] {
			sum += uint64(v)
		}
		if sum > unit+maxClasses {
			return fmt.Errorf("node %d: bad shares", i)
		}
	}
	return nil
}
