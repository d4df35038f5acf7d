package csv

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"math"
	"strings"

	"github.com/hashline/hashline/ml/frame"
)

// column collects what the values of one column can be. A kind of value is struck out by the first one that does not
// fit, which is kept as evidence.
type column struct {
	name    string
	missing int
	values  int // not missing

	plain, thousands, comma format
	mdy, dmy, iso           format
	boolean                 format
	booleans                int // families seen

	infinite  int
	increases bool // every integer is one more than the one before
	last      float64
	big       bool // an integer beyond 2**53
	dots      bool
	times     bool

	distinct set
	examples []string
	codeLike int // values with a digit and no space
	spaced   int // values with a space
	length   int // of all values together, in bytes
	longest  int
}

// format is one way to read a column: out of the question from the first value that does not fit.
type format struct {
	out      bool
	line     int
	example  string
	fraction bool // numbers: some have a fraction
}

func (f *format) strike(b []byte, line int) {
	f.out, f.line, f.example = true, line, Quote(string(b))
}

func (c *column) add(b []byte, line int, scratch []byte) {
	c.values++
	c.distinct.add(b)
	if len(c.examples) < maxExamples && !containsText(c.examples, b) {
		c.examples = append(c.examples, shorten(string(b)))
	}
	c.addNumber(b, line, scratch)
	c.addDate(b, line)
	if !c.boolean.out {
		if _, family, ok := parseBool(b); ok {
			c.booleans |= family
		} else {
			c.boolean.strike(b, line)
		}
	}
	if c.plain.out && c.comma.out && c.thousands.out {
		c.addText(b)
	}
}

func (c *column) addText(b []byte) {
	space := bytes.IndexByte(b, ' ') >= 0
	if space {
		c.spaced++
	} else if bytes.ContainsAny(b, "0123456789") {
		c.codeLike++
	}
	c.length += len(b)
	c.longest = max(c.longest, len(b))
}

func (c *column) addNumber(b []byte, line int, scratch []byte) {
	for _, f := range [...]struct {
		format *format
		name   string
	}{{&c.plain, plainNumbers}, {&c.thousands, thousandsNumbers}, {&c.comma, commaNumbers}} {
		if f.format.out {
			continue
		}
		v, whole, ok := parseNumber(b, f.name, scratch)
		if !ok {
			f.format.strike(b, line)
			continue
		}
		f.format.fraction = f.format.fraction || !whole
		if f.name != plainNumbers {
			continue
		}
		if math.IsInf(v, 0) {
			c.infinite++
		}
		c.big = c.big || (whole && math.Abs(v) > 1<<53)
		if c.values > 1 && v != c.last+1 {
			c.increases = false
		}
		c.last = v
	}
}

func (c *column) addDate(b []byte, line int) {
	if c.iso.out && c.mdy.out && c.dmy.out {
		return
	}
	d, ok := splitDate(b)
	for _, f := range [...]struct {
		format *format
		layout string
	}{{&c.iso, layoutISO}, {&c.mdy, layoutMDY}, {&c.dmy, layoutDMY}} {
		if f.format.out {
			continue
		}
		if fits := ok; fits {
			_, fits = d.day(f.layout)
			if fits {
				continue
			}
		}
		f.format.strike(b, line)
	}
	c.dots = c.dots || d.dots
	c.times = c.times || d.time
}

func containsText(texts []string, b []byte) bool {
	for _, t := range texts {
		if t == string(b) {
			return true
		}
	}
	return false
}

func shorten(s string) string {
	if runes := []rune(s); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return s
}

// decide turns what a column can be into what it is. commas says that a comma may be a decimal mark in this file.
func (c *column) decide(commas bool) ColumnReport {
	r := ColumnReport{Name: c.name, Missing: c.missing + c.infinite, Infinite: c.infinite, Distinct: c.distinct.len(), Examples: c.examples}
	numbers := c.numbers(commas)
	switch {
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

func (c *column) numbers(commas bool) *format {
	candidates := []*format{&c.plain, &c.thousands, &c.comma}
	if commas {
		candidates = []*format{&c.plain, &c.comma, &c.thousands}
	}
	for _, f := range candidates {
		if !f.out {
			return f
		}
	}
	return nil
}

func (c *column) decideNumber(r *ColumnReport, f *format, commas bool) {
	switch f {
	case &c.thousands:
		r.Numbers = thousandsNumbers
	case &c.comma:
		r.Numbers = commaNumbers
	default:
		r.Numbers = plainNumbers
	}
	hint := nameHint(c.name)
	unique := c.distinct.len() == c.values
	switch {
	case f.fraction:
		r.Type, r.Evidence = frame.Float.String(), "every value is a number, some with a fraction"
	case c.big:
		r.Type, r.Evidence = frame.Identifier.String(), "its whole numbers are too big for exact arithmetic"
	case unique && c.increases && c.values > 20:
		r.Type, r.Evidence = frame.Identifier.String(), "it numbers the rows: every value is one more than the one before"
	case unique && hint != "" && c.values > 20:
		r.Type, r.Evidence = frame.Identifier.String(), fmt.Sprintf("every whole number occurs once, and its name says %q", hint)
	case hint != "" && c.distinct.len() > 50:
		r.Type, r.Evidence = frame.Identifier.String(), fmt.Sprintf("its whole numbers are names, as its own name says %q", hint)
	default:
		r.Type, r.Evidence = frame.Integer.String(), "every value is a whole number"
	}
	if r.Numbers != plainNumbers && c.comma.out == c.thousands.out {
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
	d := c.distinct.len()
	codes := c.codeLike*10 >= c.values*9
	hint := nameHint(c.name)
	why := ""
	if f := c.closestNumber(); f != nil {
		why = fmt.Sprintf("; line %d has %s, which is no number", f.line, f.example)
	}
	switch {
	case d > 2 && c.length > 50*c.values && c.spaced*2 > c.values:
		r.Type, r.Evidence = frame.Text.String(), "it is prose: long values with spaces"
	case (codes || hint != "") && d > 50:
		r.Type, r.Evidence = frame.Identifier.String(), fmt.Sprintf("%s values that look like codes", countText(d))
	case d <= 2 || (d <= 20 && d*2 <= c.values) || (d <= 1000 && d*5 <= c.values):
		r.Type, r.Evidence = frame.Category.String(), fmt.Sprintf("%s texts that repeat", countText(d))
	case d*2 > c.values && c.spaced*2 <= c.values:
		r.Type, r.Evidence = frame.Identifier.String(), "its texts hardly repeat and have no spaces"
	default:
		r.Type, r.Evidence = frame.Text.String(), fmt.Sprintf("%s different texts", countText(d))
	}
	r.Evidence += why
}

// closestNumber returns where a column stopped being numeric, if that was not at its first value.
func (c *column) closestNumber() *format {
	if c.plain.out && c.plain.line > 0 && c.values > 1 && c.plain.example != Quote(firstOr(c.examples)) {
		return &c.plain
	}
	return nil
}

func firstOr(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}

func countText(n int) string {
	if n >= maxDistinct {
		return fmt.Sprintf("more than %d", maxDistinct)
	}
	return fmt.Sprint(n)
}

// hints are words that name identifiers when they are the last word of a column's name, or its only one.
var hints = []string{"id", "key", "uuid", "guid", "code", "zip", "zipcode", "postcode", "postalcode", "phone", "number", "no", "nr"}

func nameHint(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == ' ' || r == '_' || r == '-' || r == '.' })
	if len(words) == 0 {
		return ""
	}
	last := words[len(words)-1]
	for _, h := range hints {
		if last == h {
			return h
		}
	}
	if strings.HasSuffix(name, "Id") || strings.HasSuffix(name, "ID") {
		return "id"
	}
	return ""
}

// set counts distinct values up to maxDistinct by their hashes, in open addressing.
type set struct {
	slots []uint64
	used  int
}

var seed = maphash.MakeSeed()

func (s *set) len() int { return s.used }

func (s *set) add(b []byte) {
	if s.used >= maxDistinct {
		return
	}
	s.put(maphash.Bytes(seed, b) | 1) // 0 is a free slot
}

func (s *set) put(h uint64) {
	if 4*s.used >= 3*len(s.slots) {
		old := s.slots
		s.slots, s.used = make([]uint64, max(64, 4*len(old))), 0
		for _, o := range old {
			if o != 0 {
				s.put(o)
			}
		}
	}
	for i := h >> 7 & uint64(len(s.slots)-1); ; i = (i + 1) & uint64(len(s.slots)-1) {
		switch s.slots[i] {
		case h:
			return
		case 0:
			s.slots[i] = h
			s.used++
			return
		}
	}
}
