package feature

import (
	"fmt"
	"slices"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/frame"
)

// Choice says which features are wanted. The zero value leaves it all to the rules of Choose.
type Choice struct {
	Columns     []string  `json:"columns,omitempty"`      // only these columns, as they are; none: chosen by type
	Include     []string  `json:"include,omitempty"`      // these too, though their type would leave them out
	Exclude     []string  `json:"exclude,omitempty"`      // never these
	Dates       []Parts   `json:"dates,omitempty"`        // parts of dates; none: all of every date, unless Columns says which
	DaysBetween []Between `json:"days_between,omitempty"` // days between dates; none: between all pairs, unless Columns says which
	Ratios      []Ratio   `json:"ratios,omitempty"`       // quotients of numbers; none unless named
}

// Parts are wanted parts of a date.
type Parts struct {
	Column string   `json:"column"`
	Parts  []string `json:"parts"`
}

// Between is the days from one date to another.
type Between struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Ratio is the quotient of two numbers.
type Ratio struct {
	Name        string `json:"name"`
	Numerator   string `json:"numerator"`
	Denominator string `json:"denominator"`
}

// Decision says what became of a column, and why.
type Decision struct {
	Column string `json:"column"`
	Type   string `json:"type"`
	Use    string `json:"use"` // feature, target, split or left_out
	Reason string `json:"reason"`
}

// maxPairs bounds the days between dates that are made without being asked for.
const maxPairs = 10

// chooser collects a recipe.
type chooser struct {
	Choice
	columns   map[string]*frame.Column
	used      map[string]bool
	recipe    Recipe
	decisions []Decision
}

// Choose makes the recipe for the columns of a table without those of without (the target's column), and says of every
// column why it is used or not. Numbers, booleans and categories are features, dates give parts and distances;
// identifiers, free text, and columns of a single value are not used unless included. Errors are of type *csv.InputError.
func Choose(columns []*frame.Column, without string, c Choice) (*Recipe, []Decision, error) {
	h := &chooser{Choice: c, columns: map[string]*frame.Column{}, used: map[string]bool{}}
	names := make([]string, len(columns))
	for i, col := range columns {
		names[i] = col.Name
		h.columns[col.Name] = col
	}
	if err := h.checkNames(names, without); err != nil {
		return nil, nil, err
	}
	for _, col := range columns {
		if col.Name != without {
			h.column(col)
		}
	}
	if err := h.derived(columns, without); err != nil {
		return nil, nil, err
	}
	if len(h.recipe.Features) == 0 {
		return nil, nil, &csv.InputError{Message: "no column can be a feature", Hint: "include one with --include, or give its type with --type"}
	}
	h.recipe.Schema = RecipeSchema
	for _, col := range columns {
		if h.used[col.Name] {
			h.recipe.Columns = append(h.recipe.Columns, Source{col.Name, col.Type.String()})
		}
	}
	if err := h.recipe.check(); err != nil {
		return nil, nil, &csv.InputError{Message: err.Error(), Hint: "check the features of the pipeline file"}
	}
	return &h.recipe, h.decisions, nil
}

// checkNames refuses names that the table does not have, and the target's own column.
func (h *chooser) checkNames(names []string, without string) error {
	lists := [][]string{h.Columns, h.Include, h.Exclude}
	for _, d := range h.Dates {
		lists = append(lists, []string{d.Column})
	}
	for _, d := range h.DaysBetween {
		lists = append(lists, []string{d.From, d.To})
	}
	for _, r := range h.Ratios {
		lists = append(lists, []string{r.Numerator, r.Denominator})
	}
	for i, list := range lists {
		for _, n := range list {
			if h.columns[n] == nil {
				return noColumn(n, names)
			}
			if n == without && i != 2 {
				return &csv.InputError{Message: fmt.Sprintf("the target's own column %s cannot be a feature", csv.Quote(n)), Hint: "leave it out of the features"}
			}
		}
	}
	return nil
}

func (h *chooser) decide(c *frame.Column, use, reason string) {
	h.decisions = append(h.decisions, Decision{c.Name, c.Type.String(), use, reason})
}

// column decides about a column as it is.
func (h *chooser) column(c *frame.Column) {
	included := slices.Contains(h.Include, c.Name)
	switch {
	case slices.Contains(h.Exclude, c.Name):
		h.decide(c, "left_out", "it was excluded")
	case c.Type == frame.Date:
		// dates are decided by derived
	case included:
		h.feature(c, "it was included")
	case len(h.Columns) > 0 && !slices.Contains(h.Columns, c.Name):
		h.decide(c, "left_out", "the pipeline's list of features does not name it")
	case len(h.Columns) > 0:
		h.feature(c, "the pipeline's list of features names it")
	case c.Type == frame.Identifier:
		h.decide(c, "left_out", "identifiers tell rows apart and say nothing about new ones")
	case c.Type == frame.Text:
		h.decide(c, "left_out", "free text is no category")
	case constant(c):
		h.decide(c, "left_out", "it has less than two distinct values")
	default:
		h.feature(c, "its type is "+c.Type.String())
	}
}

func (h *chooser) feature(c *frame.Column, reason string) {
	h.decide(c, "feature", reason)
	h.add(Feature{c.Name, OpColumn, []string{c.Name}})
}

func (h *chooser) add(f Feature) {
	for n, base := 2, f.Name; slices.ContainsFunc(h.recipe.Features, func(o Feature) bool { return o.Name == f.Name }); n++ {
		f.Name = fmt.Sprintf("%s_%d", base, n)
	}
	h.recipe.Features = append(h.recipe.Features, f)
	for _, in := range f.Inputs {
		h.used[in] = true
	}
}

// derived adds parts of dates, distances and ratios.
func (h *chooser) derived(columns []*frame.Column, without string) error {
	var dates []*frame.Column
	for _, c := range columns {
		if c.Type == frame.Date && c.Name != without && !slices.Contains(h.Exclude, c.Name) {
			dates = append(dates, c)
		}
	}
	parts, between := h.Dates, h.DaysBetween
	if len(h.Columns) == 0 && len(parts) == 0 {
		for _, c := range dates {
			if !constant(c) {
				parts = append(parts, Parts{c.Name, DateParts})
			}
		}
	}
	if len(h.Columns) == 0 && len(between) == 0 {
		between = pairs(dates)
	}
	for _, p := range parts {
		for _, part := range p.Parts {
			if !slices.Contains(DateParts, part) {
				return &csv.InputError{Message: fmt.Sprintf("a date has no part %s", csv.Quote(part)), Hint: fmt.Sprintf("want some of %v", DateParts)}
			}
			h.add(Feature{p.Column + "." + part, part, []string{p.Column}})
		}
	}
	for _, b := range between {
		name := b.Name
		if name == "" {
			name = "days from " + b.From + " to " + b.To
		}
		h.add(Feature{name, OpDaysBetween, []string{b.From, b.To}})
	}
	for _, r := range h.Ratios {
		name := r.Name
		if name == "" {
			name = r.Numerator + " / " + r.Denominator
		}
		h.add(Feature{name, OpRatio, []string{r.Numerator, r.Denominator}})
	}
	for _, c := range dates {
		switch {
		case h.used[c.Name]:
			h.decide(c, "feature", "it gives parts of the date or days between dates")
		case constant(c):
			h.decide(c, "left_out", "it has less than two distinct values")
		default:
			h.decide(c, "left_out", "the pipeline's list of features does not name it")
		}
	}
	return nil
}

func pairs(dates []*frame.Column) []Between {
	var all []Between
	for i, a := range dates {
		for _, b := range dates[i+1:] {
			if len(all) < maxPairs {
				all = append(all, Between{From: a.Name, To: b.Name})
			}
		}
	}
	return all
}

// constant reports whether a column has less than two distinct values that are not missing.
func constant(c *frame.Column) bool {
	first := -1
	for i := range c.Len() {
		if c.Missing(i) {
			continue
		}
		if first < 0 {
			first = i
			continue
		}
		switch {
		case c.Type.Numeric() && c.Num[i] != c.Num[first], c.Type == frame.Date && c.Days[i] != c.Days[first], c.Type.Textual() && c.Codes[i] != c.Codes[first]:
			return false
		}
	}
	return true
}
