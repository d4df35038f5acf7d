package feature

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/frame"
)

// Choice says which features are wanted. The zero value leaves it all to the rules of Choose.
type Choice struct {
	Columns     []string  `json:"columns,omitempty"`      // only these columns, as they are; none: chosen by type
	Include     []string  `json:"include,omitempty"`      // these too, though their type would leave them out
	Exclude     []string  `json:"exclude,omitempty"`      // never these, nor what would be made from them
	Dates       []Parts   `json:"dates,omitempty"`        // parts of dates; none: all of every date, unless Columns says which
	DaysBetween []Between `json:"days_between,omitempty"` // days between dates; none: between all pairs, unless Columns says which
	Ratios      []Ratio   `json:"ratios,omitempty"`       // quotients of numbers; none unless named
	Own         []Feature `json:"own,omitempty"`          // made by operations that the program registered
}

// Parts are wanted parts of a date; none: all of them.
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

// Reasons of what somebody said.
const (
	excluded = "it was excluded"
	unlisted = "the pipeline's list of features does not name it"
)

// LeftOutByRule reports whether the column is left out though nobody said so.
func (d Decision) LeftOutByRule() bool {
	return d.Use == "left_out" && d.Reason != excluded && d.Reason != unlisted
}

// maxPairs bounds the days between dates that are made without being asked for.
const maxPairs = 10

// chooser collects a recipe.
type chooser struct {
	Choice
	columns   map[string]*frame.Column
	used      map[string]bool // columns that features are made from
	taken     map[string]bool // names of features
	recipe    Recipe
	decisions []Decision
}

// Needs reports whether Choose looks at the values of a column of that name and type. Of others it wants name and type
// alone.
func (c *Choice) Needs(name string, t frame.Type) bool {
	in := func(r Ratio) bool { return r.Numerator == name || r.Denominator == name }
	ownIn := func(f Feature) bool { return slices.Contains(f.Inputs, name) }
	switch {
	case slices.Contains(c.Exclude, name):
		return false
	case t == frame.Date, slices.Contains(c.Include, name), slices.Contains(c.Columns, name), slices.ContainsFunc(c.Ratios, in), slices.ContainsFunc(c.Own, ownIn):
		return true
	}
	return len(c.Columns) == 0 && t != frame.Identifier && t != frame.Text
}

// Choose makes the recipe for the columns of a table without those of without (the target's column), and says of every
// column why it is used or not. Numbers, booleans and categories are features, dates give parts and distances;
// identifiers, free text, and columns of a single value are not used unless included. Columns that c does not need may
// come without values. Errors are of type *csv.InputError.
func Choose(columns []*frame.Column, without string, c Choice) (*Recipe, []Decision, error) {
	h := &chooser{Choice: c, columns: map[string]*frame.Column{}, used: map[string]bool{}, taken: map[string]bool{}}
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
	for i := range h.decisions {
		if d := &h.decisions[i]; d.Use == "left_out" && h.used[d.Column] {
			d.Use, d.Reason = "feature", "a feature is made from it"
		}
	}
	if len(h.recipe.Features) == 0 {
		return nil, nil, h.noFeature()
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

// noFeature says why there is none, of the first columns.
func (h *chooser) noFeature() error {
	const most = 3
	message := "no column can be a feature"
	for i, d := range h.decisions[:min(most, len(h.decisions))] {
		message += fmt.Sprintf("%s %s is of type %s: %s", []string{":", ";"}[min(i, 1)], csv.Quote(d.Column), d.Type, d.Reason)
	}
	if more := len(h.decisions) - most; more > 0 {
		message += fmt.Sprintf("; and %d more", more)
	}
	return &csv.InputError{Message: message, Hint: "include one with --include, or give its type with --type"}
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
	for _, f := range h.Own {
		lists = append(lists, f.Inputs)
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
		h.decide(c, "left_out", excluded)
	case c.Type == frame.Date:
		// dates are decided by derived
	case included:
		h.feature(c, "it was included")
	case len(h.Columns) > 0 && !slices.Contains(h.Columns, c.Name):
		h.decide(c, "left_out", unlisted)
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
	for n, base := 2, f.Name; h.taken[f.Name]; n++ {
		f.Name = fmt.Sprintf("%s_%d", base, n)
	}
	h.taken[f.Name] = true
	h.recipe.Features = append(h.recipe.Features, f)
	for _, in := range f.Inputs {
		h.used[in] = true
	}
}

// derived adds parts of dates, distances and ratios, and decides about the dates.
func (h *chooser) derived(columns []*frame.Column, without string) error {
	var dates []*frame.Column
	for _, c := range columns {
		if c.Type == frame.Date && c.Name != without && !slices.Contains(h.Exclude, c.Name) {
			dates = append(dates, c)
		}
	}
	if err := h.addParts(dates); err != nil {
		return err
	}
	between := h.DaysBetween
	if len(h.Columns) == 0 && len(between) == 0 {
		between = pairs(dates)
	}
	for _, b := range between {
		h.addDerived(b.Name, "days from "+b.From+" to "+b.To, OpDaysBetween, b.From, b.To)
	}
	for _, r := range h.Ratios {
		h.addDerived(r.Name, r.Numerator+" / "+r.Denominator, OpRatio, r.Numerator, r.Denominator)
	}
	for _, f := range h.Own {
		h.addDerived(f.Name, f.Op+" of "+strings.Join(f.Inputs, ", "), f.Op, f.Inputs...)
	}
	for _, c := range dates {
		switch {
		case h.used[c.Name]:
			h.decide(c, "feature", "it gives parts of the date or days between dates")
		case constant(c):
			h.decide(c, "left_out", "it has less than two distinct values")
		default:
			h.decide(c, "left_out", unlisted)
		}
	}
	return nil
}

// addParts adds the parts that are asked for, and all parts of the dates that are to be used without saying how.
func (h *chooser) addParts(dates []*frame.Column) error {
	parts := slices.Clone(h.Dates)
	named := func(name string) bool {
		return slices.ContainsFunc(h.Dates, func(p Parts) bool { return p.Column == name })
	}
	for _, c := range dates {
		wanted := slices.Contains(h.Include, c.Name) || slices.Contains(h.Columns, c.Name)
		open := len(h.Columns) == 0 && len(h.Dates) == 0 && !constant(c)
		if (wanted || open) && !named(c.Name) {
			parts = append(parts, Parts{c.Name, DateParts})
		}
	}
	for _, p := range parts {
		list := p.Parts
		if len(list) == 0 {
			list = DateParts
		}
		for _, part := range list {
			if !slices.Contains(DateParts, part) {
				return &csv.InputError{Message: fmt.Sprintf("a date has no part %s", csv.Quote(part)), Hint: fmt.Sprintf("want some of %v", DateParts)}
			}
			h.addDerived("", p.Column+"."+part, part, p.Column)
		}
	}
	return nil
}

// addDerived adds a feature that is made from columns, unless one of them is excluded.
func (h *chooser) addDerived(name, otherwise, op string, inputs ...string) {
	for _, in := range inputs {
		if slices.Contains(h.Exclude, in) {
			return
		}
	}
	h.add(Feature{cmp.Or(name, otherwise), op, inputs})
}

// pairs are the first pairs of dates that differ from row to row.
func pairs(dates []*frame.Column) []Between {
	var all []Between
	dates = slices.DeleteFunc(slices.Clone(dates), constant)
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
