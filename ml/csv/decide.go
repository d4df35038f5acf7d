package csv

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashline/hashline/ml/frame"
)

// decide turns what a column can be into what it is. commas says that a comma may be a decimal mark in this file.
func (c *column) decide(commas bool) ColumnReport {
	r := ColumnReport{Name: c.name, Missing: c.missing, Distinct: c.distinct(), Examples: c.examples}
	numbers := c.numbers(commas)
	switch {
	case c.wanted != "":
		c.obey(&r, commas)
	case c.values == 0:
		r.Type, r.Evidence = frame.Category.String(), "it has no values"
	case numbers != nil:
		c.decideNumber(&r, numbers, commas)
	case !c.iso.out || !c.mdy.out || !c.dmy.out:
		c.decideDate(&r)
	case !c.boolean.out && c.booleans&(c.booleans-1) == 0:
		r.Type, r.Evidence = frame.Boolean.String(), "every value is a truth value"
	default:
		c.decideText(&r)
	}
	return r
}

// obey gives the column the type that was asked for, and the layout that fits its values longest.
func (c *column) obey(r *ColumnReport, commas bool) {
	r.Type, r.Evidence = c.wanted, "it was asked for"
	switch c.wanted {
	case frame.Integer.String(), frame.Float.String():
		f := c.numbers(commas)
		if f == nil {
			f = slices.MaxFunc(c.numberFormats(commas), laterStruck)
		}
		r.Numbers = c.formatName(f)
	case frame.Date.String():
		c.decideDate(r)
		if c.iso.out && c.mdy.out && c.dmy.out {
			layouts := map[*format]string{&c.iso: layoutISO, &c.mdy: layoutMDY, &c.dmy: layoutDMY}
			r.DateLayout = layouts[slices.MaxFunc([]*format{&c.iso, &c.mdy, &c.dmy}, laterStruck)]
		}
		r.Evidence = "it was asked for"
	}
}

func laterStruck(a, b *format) int { return a.line - b.line }

func (c *column) numberFormats(commas bool) []*format {
	if commas {
		return []*format{&c.plain, &c.comma, &c.thousands}
	}
	return []*format{&c.plain, &c.thousands, &c.comma}
}

// numbers returns the first format that all values have, or nil.
func (c *column) numbers(commas bool) *format {
	for _, f := range c.numberFormats(commas) {
		if !f.out {
			return f
		}
	}
	return nil
}

func (c *column) formatName(f *format) string {
	name := plainNumbers
	switch f {
	case &c.thousands:
		name = thousandsNumbers
	case &c.comma:
		name = commaNumbers
	}
	if c.affix != "" {
		name += " " + c.affix
	}
	return name
}

func (c *column) decideNumber(r *ColumnReport, f *format, commas bool) {
	r.Numbers = c.formatName(f)
	hint := nameHint(c.name)
	unique := c.dict != nil && c.distinct() == c.values
	switch {
	case c.affix != "":
		r.Type, r.Evidence = frame.Float.String(), fmt.Sprintf("every value is a number with %s, which is left off", c.affix)
	case f.fraction:
		r.Type, r.Evidence = frame.Float.String(), "every value is a number, some with a fraction"
	case c.big:
		r.Type, r.Evidence = frame.Identifier.String(), "its whole numbers are too big for exact arithmetic"
	case c.increases && c.values > 20:
		r.Type, r.Evidence = frame.Identifier.String(), "it numbers the rows: every value is one more than the one before"
	case unique && hint != "" && c.values > 20:
		r.Type, r.Evidence = frame.Identifier.String(), fmt.Sprintf("every whole number occurs once, and its name says %q", hint)
	case hint != "" && c.distinct() > 50:
		r.Type, r.Evidence = frame.Identifier.String(), fmt.Sprintf("its whole numbers are names, as its own name says %q", hint)
	default:
		r.Type, r.Evidence = frame.Integer.String(), "every value is a whole number"
	}
	if f != &c.plain && c.hasComma && c.comma.out == c.thousands.out {
		r.Evidence += map[bool]string{true: "; a comma is taken for the decimal mark", false: "; a comma is taken to group thousands"}[commas]
	}
}

func (c *column) decideDate(r *ColumnReport) {
	r.Type = frame.Date.String()
	switch {
	case !c.iso.out:
		r.DateLayout, r.Evidence = layoutISO, "every value is a date, year first"
	case c.dmy.out:
		r.DateLayout, r.Evidence = layoutMDY, fmt.Sprintf("every value is a date, month first: line %d has %s", c.dmy.line, c.dmy.example)
	case c.mdy.out:
		r.DateLayout, r.Evidence = layoutDMY, fmt.Sprintf("every value is a date, day first: line %d has %s", c.mdy.line, c.mdy.example)
	case c.dots:
		r.DateLayout, r.Evidence = layoutDMY, "every value is a date; day first, as is usual with dots, though month first would fit too"
	default:
		r.DateLayout, r.Evidence = layoutMDY, "every value is a date; month first is assumed, though day first would fit too"
	}
	if c.times {
		r.Evidence += "; times of day are dropped"
	}
}

// decideText tells categories, identifiers and prose apart by how often values repeat and what they look like.
func (c *column) decideText(r *ColumnReport) {
	d := c.distinct()
	codes := c.codeLike*10 >= c.observed*9
	often := d <= 1000 && d*20 <= c.values
	hint := nameHint(c.name)
	switch {
	case d > 2 && c.length > 50*c.observed && c.spaced*2 > c.observed:
		r.Type, r.Evidence = frame.Text.String(), "it is prose: long values with spaces"
	case d > 50 && (hint != "" || (codes && !often)):
		r.Type, r.Evidence = frame.Identifier.String(), fmt.Sprintf("%s values that look like codes", countText(d))
		if !codes {
			r.Evidence = fmt.Sprintf("%s values, and its name says %q", countText(d), hint)
		}
	case d == 1:
		r.Type, r.Evidence = frame.Category.String(), "every value is the same text"
	case d <= 2 || (d <= 20 && d*2 <= c.values) || (d <= 1000 && d*5 <= c.values):
		r.Type, r.Evidence = frame.Category.String(), fmt.Sprintf("%s texts that repeat", countText(d))
	case d*2 > c.values && c.spaced*2 <= c.observed:
		r.Type, r.Evidence = frame.Identifier.String(), "its texts hardly repeat and have no spaces"
	default:
		r.Type, r.Evidence = frame.Text.String(), fmt.Sprintf("%s different texts", countText(d))
	}
	r.Evidence += c.whyNot()
}

// whyNot names the value with which a column stopped being one of numbers, dates or truth values, if it was one for a
// while.
func (c *column) whyNot() string {
	best, what := &format{}, ""
	for _, f := range []struct {
		format *format
		what   string
	}{{&c.plain, "number"}, {&c.thousands, "number"}, {&c.comma, "number"}, {&c.iso, "date"}, {&c.mdy, "date"}, {&c.dmy, "date"}, {&c.boolean, "truth value"}} {
		if f.format.at > best.at {
			best, what = f.format, f.what
		}
	}
	if best.at == 0 {
		return ""
	}
	return fmt.Sprintf("; line %d has %s, which is no %s like those before", best.line, best.example, what)
}

func countText(n int) string {
	if n == maxDistinct {
		return fmt.Sprintf("%d or more", n)
	}
	return fmt.Sprint(n)
}

// hints are words that name identifiers when they are the last word of a column's name, or its only one.
var hints = []string{"id", "key", "uuid", "guid", "code", "zip", "zipcode", "postcode", "postalcode", "phone", "telephone", "tel", "mobile", "number", "no", "nr"}

func nameHint(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == ' ' || r == '_' || r == '-' || r == '.' })
	if len(words) == 0 {
		return ""
	}
	if last := words[len(words)-1]; slices.Contains(hints, last) {
		return last
	}
	for _, suffix := range []string{"Id", "ID"} { // orderID, though not PAID
		if head, ok := strings.CutSuffix(name, suffix); ok && lowerAtEnd(head) {
			return "id"
		}
	}
	return ""
}

func lowerAtEnd(s string) bool {
	return s != "" && (s[len(s)-1] >= 'a' && s[len(s)-1] <= 'z' || s[len(s)-1] >= '0' && s[len(s)-1] <= '9')
}
