package feature

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hashline/hashline/ml/frame"
)

// RecipeSchema is the schema of Recipe.
const RecipeSchema = "hashline.recipe/1"

// Recipe says how raw columns become features. It says nothing of the file that the columns came from.
type Recipe struct {
	Schema   string    `json:"schema"`
	Columns  []Source  `json:"columns"` // the raw columns that features are made from
	Features []Feature `json:"features"`
}

// Source is a raw column.
type Source struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Feature is one feature: an operation on raw columns.
type Feature struct {
	Name   string   `json:"name"`
	Op     string   `json:"op"` // column, a date part, days_between, ratio, or one that the program registered
	Inputs []string `json:"inputs"`
}

// Operations of features.
const (
	OpColumn      = "column"       // the column itself
	OpDaysBetween = "days_between" // days from the first date to the second
	OpRatio       = "ratio"        // first / second; missing where the second is 0
)

// DateParts are the operations on one date, in the order in which they are made: weekday counts from Monday = 0.
var DateParts = []string{"year", "quarter", "month", "weekday", "day"}

// ParseRecipe reads a recipe and checks it.
func ParseRecipe(b []byte) (*Recipe, error) {
	var r Recipe
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	if r.Schema != RecipeSchema {
		return nil, fmt.Errorf("recipe: schema %.40q, want %s", r.Schema, RecipeSchema)
	}
	return &r, r.check()
}

func (r *Recipe) check() error {
	types := map[string]frame.Type{}
	for _, s := range r.Columns {
		t, err := frame.ParseType(s.Type)
		if err != nil {
			return fmt.Errorf("recipe: column %.80q: %w", s.Name, err)
		}
		types[s.Name] = t
	}
	names := map[string]bool{}
	for _, f := range r.Features {
		if names[f.Name] {
			return fmt.Errorf("recipe: two features are named %.80q", f.Name)
		}
		names[f.Name] = true
		if err := f.check(types); err != nil {
			return fmt.Errorf("recipe: feature %.80q: %w", f.Name, err)
		}
	}
	return nil
}

func (f *Feature) check(types map[string]frame.Type) error {
	if op, ok := own[f.Op]; ok {
		return op.check(f, types)
	}
	want, fits := 1, func(t frame.Type) bool { return t == frame.Date }
	switch {
	case f.Op == OpColumn:
		fits = func(t frame.Type) bool { return t != frame.Date }
	case f.Op == OpDaysBetween:
		want = 2
	case f.Op == OpRatio:
		want, fits = 2, func(t frame.Type) bool { return t.Numeric() }
	case !slices.Contains(DateParts, f.Op):
		return fmt.Errorf("unknown operation %.40q: want column, days_between, ratio, a part of a date, or one that this program registers", f.Op)
	}
	if len(f.Inputs) != want {
		return fmt.Errorf("%s of %d columns, want %d", f.Op, len(f.Inputs), want)
	}
	for _, in := range f.Inputs {
		t, ok := types[in]
		if !ok {
			return fmt.Errorf("there is no column %.80q", in)
		}
		if !fits(t) {
			return fmt.Errorf("%s of the column %.80q, which is of type %v", f.Op, in, t)
		}
	}
	return nil
}

// Apply makes the features of the rows of f, which must have the recipe's columns; others are ignored. Columns that are
// features as they are share their values with f.
func (r *Recipe) Apply(f *frame.Frame) ([]*frame.Column, error) {
	names := make([]string, len(r.Columns))
	for i, s := range r.Columns {
		names[i] = s.Name
	}
	selected, err := f.Select(names...)
	if err != nil {
		return nil, err
	}
	columns := make(map[string]*frame.Column, len(r.Columns))
	for i, s := range r.Columns {
		c := selected[i]
		t, err := frame.ParseType(s.Type)
		if err != nil {
			return nil, err
		}
		if c.Type.Numeric() != t.Numeric() || c.Type.Textual() != t.Textual() {
			return nil, fmt.Errorf("the column %.80q is of type %v, want %v", s.Name, c.Type, t)
		}
		columns[s.Name] = c
	}
	features := make([]*frame.Column, len(r.Features))
	for i := range r.Features {
		if features[i], err = r.Features[i].apply(columns); err != nil {
			return nil, err
		}
	}
	return features, nil
}

func (f *Feature) apply(columns map[string]*frame.Column) (*frame.Column, error) {
	if op, ok := own[f.Op]; ok {
		return op.apply(f, columns)
	}
	a := columns[f.Inputs[0]]
	switch f.Op {
	case OpColumn:
		c := *a
		c.Name = f.Name
		if c.Type.Textual() {
			c.Type = frame.Category
		}
		return &c, nil
	case OpDaysBetween:
		return &frame.Column{Name: f.Name, Type: frame.Integer, Num: daysBetween(a.Days, columns[f.Inputs[1]].Days)}, nil
	case OpRatio:
		return &frame.Column{Name: f.Name, Type: frame.Float, Num: ratio(a.Num, columns[f.Inputs[1]].Num)}, nil
	}
	return &frame.Column{Name: f.Name, Type: frame.Integer, Num: datePart(f.Op, a.Days)}, nil
}

func daysBetween(from, to []int32) []float64 {
	v := make([]float64, len(from))
	for i := range v {
		v[i] = math.NaN()
		if from[i] != frame.MissingDay && to[i] != frame.MissingDay {
			v[i] = float64(int64(to[i]) - int64(from[i]))
		}
	}
	return v
}

func ratio(a, b []float64) []float64 {
	v := make([]float64, len(a))
	for i := range v {
		v[i] = a[i] / b[i]
		if b[i] == 0 || math.IsInf(v[i], 0) {
			v[i] = math.NaN()
		}
	}
	return v
}

// datePart looks days up in a table when they lie close together, as those of most files do.
func datePart(part string, days []int32) []float64 {
	v := make([]float64, len(days))
	first, last := dayRange(days)
	var known []float64
	if span := int64(last) - int64(first); span >= 0 && span < max(1<<16, int64(len(days))) {
		known = make([]float64, span+1)
		for i := range known {
			known[i] = partOf(part, int64(first)+int64(i))
		}
	}
	for i, d := range days {
		switch {
		case d == frame.MissingDay:
			v[i] = math.NaN()
		case known != nil:
			v[i] = known[d-first]
		default:
			v[i] = partOf(part, int64(d))
		}
	}
	return v
}

// dayRange returns the first and the last day; first > last says that there is none.
func dayRange(days []int32) (first, last int32) {
	first, last = math.MaxInt32, math.MinInt32
	for _, d := range days {
		if d != frame.MissingDay {
			first, last = min(first, d), max(last, d)
		}
	}
	return first, last
}

func partOf(part string, day int64) float64 {
	t := time.Unix(day*86400, 0).UTC()
	switch part {
	case "year":
		return float64(t.Year())
	case "quarter":
		return float64((int(t.Month())-1)/3 + 1)
	case "month":
		return float64(t.Month())
	case "weekday":
		return float64((int(t.Weekday()) + 6) % 7)
	}
	return float64(t.Day())
}
