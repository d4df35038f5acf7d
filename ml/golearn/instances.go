package golearn

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sjwhitworth/golearn/base"

	"github.com/hashline/hashline/ml/frame"
)

// Instances copies rows into golearn's form: numbers become FloatAttributes, a missing one NaN, and categories
// CategoricalAttributes, a missing one the value "". The class attribute is the last one, a CategoricalAttribute whose
// values are classes; it is named "class", or "class_2" and so on where a column has that name. Names of columns must
// differ: golearn takes equal ones for the same. columns may be empty. Time grows with the square of the levels of a column,
// as golearn looks each up in a list.
func Instances(columns []*frame.Column, y []int32, classes []string) (*base.DenseInstances, error) {
	d, taken := base.NewDenseInstances(), map[string]bool{}
	attributes := make([]base.Attribute, 0, len(columns)+1)
	for _, c := range columns {
		if taken[c.Name] || c.Len() != len(y) || c.Type == frame.Date {
			return nil, fmt.Errorf("the column %.80q cannot be an attribute: want another name, %d rows, and numbers or categories", c.Name, len(y))
		}
		taken[c.Name] = true
		if c.Type.Numeric() {
			attributes = append(attributes, base.NewFloatAttribute(c.Name))
			continue
		}
		attributes = append(attributes, categorical(c.Name, append(slices.Clone(c.Levels), "")))
	}
	name := "class"
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("class_%d", n)
	}
	class := categorical(name, classes)
	attributes = append(attributes, class)
	specs, err := layOut(d, attributes, len(y))
	if err != nil {
		return nil, err
	}
	for i, c := range columns {
		for r := range y {
			value := []byte(nil)
			switch {
			case c.Type.Numeric():
				value = base.PackFloatToBytes(c.Num[r])
			case c.Codes[r] < 0:
				value = base.PackU64ToBytes(uint64(len(c.Levels)))
			default:
				value = base.PackU64ToBytes(uint64(c.Codes[r]))
			}
			d.Set(specs[i], r, value)
		}
	}
	for r, v := range y {
		if v < 0 || int(v) >= len(classes) {
			return nil, fmt.Errorf("row %d has class %d of %d", r, v, len(classes))
		}
		d.Set(specs[len(columns)], r, base.PackU64ToBytes(uint64(v)))
	}
	return d, nil
}

// FromInstances is the inverse of Instances, for any golearn table of FloatAttributes and CategoricalAttributes with one
// class attribute, a CategoricalAttribute.
func FromInstances(d base.FixedDataGrid) (columns []*frame.Column, y []int32, classes []string, err error) {
	if len(d.AllClassAttributes()) != 1 {
		return nil, nil, nil, errors.New("golearn's instances have no class attribute, or more than one")
	}
	class, ok := d.AllClassAttributes()[0].(*base.CategoricalAttribute)
	if !ok {
		return nil, nil, nil, errors.New("the class attribute of golearn's instances is no CategoricalAttribute")
	}
	for _, a := range base.NonClassAttributes(d) {
		c, err := column(d, a)
		if err != nil {
			return nil, nil, nil, err
		}
		columns = append(columns, c)
	}
	c, err := column(d, class)
	if err == nil && slices.Contains(c.Codes, frame.MissingCode) {
		err = errors.New("golearn's instances have rows without a class")
	}
	if err != nil {
		return nil, nil, nil, err
	}
	return columns, c.Codes, c.Levels, nil
}

// column copies one attribute.
func column(d base.FixedDataGrid, a base.Attribute) (*frame.Column, error) {
	spec, err := d.GetAttribute(a)
	if err != nil {
		return nil, err
	}
	_, rows := d.Size()
	switch a := a.(type) {
	case *base.FloatAttribute:
		c := &frame.Column{Name: a.Name, Type: frame.Float, Num: make([]float64, rows)}
		for r := range rows {
			c.Num[r] = base.UnpackBytesToFloat(d.Get(spec, r))
		}
		return c, nil
	case *base.CategoricalAttribute:
		c := &frame.Column{Name: a.GetName(), Type: frame.Category, Codes: make([]int32, rows)}
		codes := make([]int32, len(a.GetValues()))
		for i, v := range a.GetValues() {
			codes[i] = frame.MissingCode
			if v != "" {
				codes[i] = int32(len(c.Levels))
				c.Levels = append(c.Levels, v)
			}
		}
		for r := range rows {
			v := base.UnpackBytesToU64(d.Get(spec, r))
			if v >= uint64(len(codes)) {
				return nil, fmt.Errorf("row %d of golearn's attribute %.80q has value %d of %d", r, c.Name, v, len(codes))
			}
			c.Codes[r] = codes[v]
		}
		return c, nil
	}
	return nil, fmt.Errorf("golearn's attribute %.80q is of type %T: want a FloatAttribute or a CategoricalAttribute", a.GetName(), a)
}

func categorical(name string, values []string) *base.CategoricalAttribute {
	a := base.NewCategoricalAttribute()
	a.SetName(name)
	for _, v := range values {
		a.GetSysValFromString(v) // adds it
	}
	return a
}

// numbers copies features and classes, all as numbers: what CART takes.
func numbers(features [][]float64, y []int32) *base.DenseInstances {
	d := base.NewDenseInstances()
	var attributes []base.Attribute
	for i := range features {
		attributes = append(attributes, base.NewFloatAttribute(fmt.Sprintf("f%05d", i)))
	}
	specs, err := layOut(d, append(attributes, base.NewFloatAttribute("class")), len(y))
	if err != nil {
		panic(err) // the attributes are new, and nothing else holds the instances
	}
	for i, column := range features {
		for r, v := range column {
			d.Set(specs[i], r, base.PackFloatToBytes(v))
		}
	}
	for r, v := range y {
		d.Set(specs[len(features)], r, base.PackFloatToBytes(float64(v)))
	}
	return d
}

// layOut adds attributes, of which the last is the class, and rows.
func layOut(d *base.DenseInstances, attributes []base.Attribute, rows int) ([]base.AttributeSpec, error) {
	specs := make([]base.AttributeSpec, len(attributes))
	for i, a := range attributes {
		specs[i] = d.AddAttribute(a)
	}
	if err := d.AddClassAttribute(attributes[len(attributes)-1]); err != nil {
		return nil, err
	}
	return specs, d.Extend(rows)
}
