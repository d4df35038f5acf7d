// Package dataset is a table ready for learning: features, classes or numbers to predict, and what travels with them.
package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hashline/hashline/ml/frame"
)

// Keys of the metadata of a table.
const (
	metaTarget     = "target"     // name of the column that holds the class names, or the numbers to predict
	metaExpression = "expression" // the expression that gave the target
	metaClasses    = "classes"    // JSON list of the class names in their order; null of numbers
	metaFeatures   = "features"   // JSON list of the feature columns
	metaRecipe     = "recipe"     // how raw columns become features
	metaSplit      = "split"      // name of the column that the split goes by, if any
)

// Dataset is n rows with features and a target: classes (Y and Classes are set), or numbers (Target is).
type Dataset struct {
	Features   []*frame.Column
	Y          []int32 // class of each row, index into Classes
	Classes    []string
	Target     []float64       // number of each row, finite
	Expression string          // of the target
	Recipe     json.RawMessage // how raw columns become Features
	Split      *frame.Column   // the column that the split goes by, or nil; it may be a feature too
}

// Numeric reports whether the target is a number, which makes learning it a regression.
func (d *Dataset) Numeric() bool { return d.Target != nil }

// Rows returns the number of rows.
func (d *Dataset) Rows() int { return max(len(d.Y), len(d.Target)) }

// TargetColumn returns the target under a name that no other column has. Its values are shared.
func (d *Dataset) TargetColumn() *frame.Column {
	if d.Numeric() {
		return &frame.Column{Name: d.targetName(), Type: frame.Float, Num: d.Target}
	}
	return &frame.Column{Name: d.targetName(), Type: frame.Category, Codes: d.Y, Levels: d.Classes}
}

// targetName returns the name of the target's column: one that no other column has.
func (d *Dataset) targetName() string {
	for n := 1; ; n++ {
		name := "target"
		if n > 1 {
			name = fmt.Sprintf("target_%d", n)
		}
		same := func(c *frame.Column) bool { return c.Name == name }
		if !slices.ContainsFunc(d.Features, same) && (d.Split == nil || !same(d.Split)) {
			return name
		}
	}
}

// Frame returns the dataset as one table that describes itself. Columns are shared.
func (d *Dataset) Frame() (*frame.Frame, error) {
	names := make([]string, len(d.Features))
	for i, c := range d.Features {
		names[i] = c.Name
	}
	features, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	classes, err := json.Marshal(d.Classes)
	if err != nil {
		return nil, err
	}
	target := d.TargetColumn()
	f := &frame.Frame{Rows: d.Rows(), Columns: append(slices.Clone(d.Features), target), Meta: map[string]string{
		metaTarget: target.Name, metaExpression: d.Expression, metaClasses: string(classes), metaFeatures: string(features), metaRecipe: string(d.Recipe)}}
	if d.Split != nil {
		f.Meta[metaSplit] = d.Split.Name
		if !slices.ContainsFunc(d.Features, func(c *frame.Column) bool { return c.Name == d.Split.Name }) {
			f.Columns = append(f.Columns, d.Split)
		}
	}
	return f, nil
}

// FromFrame is the inverse of Frame.
func FromFrame(f *frame.Frame) (*Dataset, error) {
	d := &Dataset{Expression: f.Meta[metaExpression], Recipe: json.RawMessage(f.Meta[metaRecipe])}
	var names []string
	if err := json.Unmarshal([]byte(f.Meta[metaFeatures]), &names); err != nil {
		return nil, fmt.Errorf("the table does not name its features: %w", err)
	}
	if err := json.Unmarshal([]byte(f.Meta[metaClasses]), &d.Classes); err != nil {
		return nil, fmt.Errorf("the table does not name its classes: %w", err)
	}
	var err error
	if d.Features, err = f.Select(names...); err != nil {
		return nil, err
	}
	if name := f.Meta[metaSplit]; name != "" {
		if d.Split = f.Column(name); d.Split == nil {
			return nil, fmt.Errorf("the table has no column %.80q to split by", name)
		}
	}
	target := f.Column(f.Meta[metaTarget])
	switch {
	case target == nil:
	case d.Classes == nil && target.Type == frame.Float:
		d.Target = target.Num
		return d, checkNumbers(d.Target)
	case d.Classes != nil && target.Type.Textual():
		d.Y, err = ClassesOf(target, d.Classes)
		return d, err
	}
	return nil, fmt.Errorf("the table has no target in the column %.80q", f.Meta[metaTarget])
}

func checkNumbers(target []float64) error {
	if target == nil {
		return errors.New("the table has no rows")
	}
	for i, v := range target {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("row %d has no finite target", i)
		}
	}
	return nil
}

// ClassesOf returns the class of each row of a column of class names, as an index into classes.
func ClassesOf(c *frame.Column, classes []string) ([]int32, error) {
	byLevel := make([]int32, len(c.Levels))
	for i, l := range c.Levels {
		byLevel[i] = int32(slices.Index(classes, l))
	}
	y := make([]int32, len(c.Codes))
	for i, code := range c.Codes {
		if code < 0 || byLevel[code] < 0 {
			return nil, fmt.Errorf("row %d has no known class", i)
		}
		y[i] = byLevel[code]
	}
	return y, nil
}

// Take returns the given rows.
func (d *Dataset) Take(rows []int32) *Dataset {
	t := *d
	t.Features = make([]*frame.Column, len(d.Features))
	for i, c := range d.Features {
		t.Features[i] = c.Take(rows)
		if c == d.Split {
			t.Split = t.Features[i]
		}
	}
	if d.Split != nil && t.Split == d.Split {
		t.Split = d.Split.Take(rows)
	}
	if d.Numeric() {
		t.Target = make([]float64, len(rows))
		for i, r := range rows {
			t.Target[i] = d.Target[r]
		}
		return &t
	}
	t.Y = make([]int32, len(rows))
	for i, r := range rows {
		t.Y[i] = d.Y[r]
	}
	return &t
}

// Counts returns the number of rows of each class.
func (d *Dataset) Counts() []int {
	counts := make([]int, len(d.Classes))
	for _, c := range d.Y {
		counts[c]++
	}
	return counts
}

// Balanced returns the class weights with which every class counts alike: rows / (classes x rows of the class), and 0 for
// one without rows.
func (d *Dataset) Balanced() []float64 {
	weights := make([]float64, len(d.Classes))
	for c, n := range d.Counts() {
		if n > 0 {
			weights[c] = float64(len(d.Y)) / float64(len(weights)*n)
		}
	}
	return weights
}

// Names returns the names of the features.
func (d *Dataset) Names() []string {
	names := make([]string, len(d.Features))
	for i, c := range d.Features {
		names[i] = c.Name
	}
	return names
}

// Majority returns the class with the most rows, the first of equals.
func (d *Dataset) Majority() int32 {
	best, most := int32(0), math.MinInt
	for c, n := range d.Counts() {
		if n > most {
			best, most = int32(c), n
		}
	}
	return best
}
