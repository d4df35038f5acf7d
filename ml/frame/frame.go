// Package frame holds a table in memory, column by column.
//
// Numbers are float64 with NaN for a missing value, dates are days, and texts are codes into the column's own list of
// levels, in the order in which they first appear. A Frame is not safe for concurrent writing; readers may share it.
package frame

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
)

// Type is what a column holds.
type Type uint8

// The types of columns. Identifier and Text are texts that no model uses: an identifier tells rows apart, a text is
// prose.
const (
	Integer Type = iota
	Float
	Boolean
	Date
	Category
	Text
	Identifier
)

var typeNames = [...]string{"integer", "float", "boolean", "date", "category", "text", "identifier"}

func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// ParseType is the inverse of String.
func ParseType(s string) (Type, error) {
	for i, n := range typeNames {
		if n == s {
			return Type(i), nil
		}
	}
	return 0, fmt.Errorf("%.40q is no column type: want one of %v", s, typeNames)
}

// Numeric reports whether columns of the type keep their values in Num.
func (t Type) Numeric() bool { return t == Integer || t == Float || t == Boolean }

// Textual reports whether columns of the type keep their values in Codes and Levels.
func (t Type) Textual() bool { return t == Category || t == Text || t == Identifier }

// MissingDay is the missing value of a date, MissingCode that of a text.
const (
	MissingDay  = math.MinInt32
	MissingCode = -1
)

// Column is one column of n rows. Exactly one of Num, Days and Codes has n elements, as its Type says.
type Column struct {
	Name   string
	Type   Type
	Num    []float64 // Integer, Float, Boolean (0 or 1); NaN is missing
	Days   []int32   // Date: days since 1970-01-01; MissingDay is missing
	Codes  []int32   // Category, Text, Identifier: index into Levels; MissingCode is missing
	Levels []string  // distinct texts, in the order of their first row
	Truths [2]string // Boolean: how the table writes false and true; empty is not known
}

// TruthText returns the table's text for a truth value, or else "false" or "true".
func (c *Column) TruthText(v bool) string {
	i := 0
	if v {
		i = 1
	}
	return cmp.Or(c.Truths[i], strconv.FormatBool(v))
}

// Len returns the number of rows.
func (c *Column) Len() int {
	switch {
	case c.Type.Numeric():
		return len(c.Num)
	case c.Type == Date:
		return len(c.Days)
	}
	return len(c.Codes)
}

// Missing reports whether row i has no value.
func (c *Column) Missing(i int) bool {
	switch {
	case c.Type.Numeric():
		return math.IsNaN(c.Num[i])
	case c.Type == Date:
		return c.Days[i] == MissingDay
	}
	return c.Codes[i] < 0
}

// Take returns a new column of the given rows, in their order. Levels are shared, so some may be unused.
func (c *Column) Take(rows []int32) *Column {
	t := &Column{Name: c.Name, Type: c.Type, Levels: c.Levels, Truths: c.Truths}
	switch {
	case c.Type.Numeric():
		t.Num = take(c.Num, rows)
	case c.Type == Date:
		t.Days = take(c.Days, rows)
	default:
		t.Codes = take(c.Codes, rows)
	}
	return t
}

func take[T any](from []T, rows []int32) []T {
	to := make([]T, len(rows))
	for i, r := range rows {
		to[i] = from[r]
	}
	return to
}

// Frame is a table: columns of the same length with distinct names.
type Frame struct {
	Rows    int
	Columns []*Column
	Meta    map[string]string // travels with the table
}

// Column returns the column of that name, or nil.
func (f *Frame) Column(name string) *Column {
	for _, c := range f.Columns {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Take returns a new frame of the given rows.
func (f *Frame) Take(rows []int32) *Frame {
	t := &Frame{Rows: len(rows), Meta: f.Meta, Columns: make([]*Column, len(f.Columns))}
	for i, c := range f.Columns {
		t.Columns[i] = c.Take(rows)
	}
	return t
}

// Select returns the named columns, or an error that names the first absent one.
func (f *Frame) Select(names ...string) ([]*Column, error) {
	byName := make(map[string]*Column, len(f.Columns)) // a table may have thousands
	for _, c := range f.Columns {
		byName[c.Name] = c
	}
	columns := make([]*Column, len(names))
	for i, n := range names {
		if columns[i] = byName[n]; columns[i] == nil {
			return nil, fmt.Errorf("the table has no column %.80q", n)
		}
	}
	return columns, nil
}

// Validate checks lengths, names and codes, for frames that come from outside.
func (f *Frame) Validate() error {
	seen := make(map[string]bool, len(f.Columns))
	for _, c := range f.Columns {
		if seen[c.Name] {
			return fmt.Errorf("two columns are named %.80q", c.Name)
		}
		seen[c.Name] = true
		if c.Len() != f.Rows {
			return fmt.Errorf("column %.80q has %d rows, want %d", c.Name, c.Len(), f.Rows)
		}
		for _, code := range c.Codes {
			if int(code) >= len(c.Levels) {
				return fmt.Errorf("column %.80q has a code beyond its levels", c.Name)
			}
		}
	}
	return nil
}
