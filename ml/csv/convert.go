package csv

import (
	"fmt"
	"math"

	"github.com/hashline/hashline/ml/frame"
)

// converter makes values of a known type from texts.
type converter struct {
	column *frame.Column
	layout string
	kind   string // of numbers
	affix  string
	dict   *dict
}

func newConverter(r *ColumnReport) (*converter, error) {
	t, err := frame.ParseType(r.Type)
	if err != nil {
		return nil, err
	}
	c := &converter{column: &frame.Column{Name: r.Name, Type: t}, layout: r.DateLayout}
	c.kind, c.affix = splitFormat(r.Numbers)
	if t.Textual() {
		c.dict = newDict(nil)
	}
	return c, nil
}

// grow makes room for all rows of a table.
func (c *converter) grow(rows int) {
	switch {
	case c.column.Type.Numeric():
		c.column.Num = make([]float64, 0, rows)
	case c.column.Type == frame.Date:
		c.column.Days = make([]int32, 0, rows)
	default:
		c.column.Codes = make([]int32, 0, rows)
	}
}

// take returns the column filled so far and starts a new one, with levels of its own, so that memory stays bounded.
func (c *converter) take() *frame.Column {
	done := c.column
	c.column = &frame.Column{Name: done.Name, Type: done.Type}
	if c.dict != nil {
		done.Levels = c.dict.levels
		c.dict = newDict(nil)
	}
	return done
}

// valueError says which value does not have the column's type.
type valueError struct {
	line, column int
	text, reason string
}

// addBatch converts what a batch has in column i. The first value that does not fit is an error.
func (c *converter) addBatch(b *batch, i int, missing *missingTexts) *valueError {
	if c.dict != nil {
		c.addTexts(b, i, missing)
		return nil
	}
	var scratch [scratchBytes]byte
	for row, line := range b.lines {
		f := b.field(row, i)
		if missing.has(f) {
			c.addMissing()
			continue
		}
		if reason := c.add(f, scratch[:]); reason != "" {
			return &valueError{line, i, string(f), reason}
		}
	}
	return nil
}

// addTexts adds the texts that a batch has in column i.
func (c *converter) addTexts(b *batch, i int, missing *missingTexts) {
	w := lookUpsPool.Get().(*lookUps)
	defer lookUpsPool.Put(w)
	for row := 0; row < b.rows(); row += blockRows {
		codes := w.codes[:min(blockRows, b.rows()-row)]
		for _, k := range c.dict.lookUp(b, i, row, codes, w) {
			f := b.field(row+int(k), i)
			if missing.has(f) {
				codes[k] = frame.MissingCode
				continue
			}
			code, known := c.dict.find(f)
			if !known {
				code = c.dict.add(f)
			}
			codes[k] = code
		}
		c.column.Codes = append(c.column.Codes, codes...)
	}
}

// addMissing adds a missing number or date.
func (c *converter) addMissing() {
	if c.column.Type == frame.Date {
		c.column.Days = append(c.column.Days, frame.MissingDay)
	} else {
		c.column.Num = append(c.column.Num, math.NaN())
	}
}

// add adds a number or date and returns what is wrong with its text, or nothing.
func (c *converter) add(b, scratch []byte) (wrong string) {
	if c.column.Type == frame.Date {
		day, wrong := c.date(b)
		c.column.Days = append(c.column.Days, day)
		return wrong
	}
	v, wrong := c.number(b, scratch)
	c.column.Num = append(c.column.Num, v)
	return wrong
}

// number reads a number or a truth value. What has no finite value is missing.
func (c *converter) number(b, scratch []byte) (v float64, wrong string) {
	if c.column.Type == frame.Boolean {
		return c.truth(b)
	}
	v, whole, ok := parseNumber(b, c.kind, c.affix, scratch)
	switch {
	case !ok:
		return 0, "is no number"
	case math.IsInf(v, 0):
		return math.NaN(), ""
	case c.column.Type == frame.Integer && !whole && v != math.Trunc(v):
		return 0, "is no whole number"
	}
	return v, ""
}

// truth reads a truth value and keeps the first text of each.
func (c *converter) truth(b []byte) (v float64, wrong string) {
	is, _, ok := parseBool(b)
	if len(b) == 1 && (b[0] == '0' || b[0] == '1') {
		is, ok = b[0] == '1', true
	}
	if !ok {
		return 0, "is no truth value"
	}
	i := 0
	if is {
		i = 1
	}
	if c.column.Truths[i] == "" {
		c.column.Truths[i] = string(b)
	}
	return float64(i), ""
}

func (c *converter) date(b []byte) (day int32, wrong string) {
	if d, ok := splitDate(b); ok {
		layout := c.layout
		if d.yearIn == 0 {
			layout = layoutISO // never in doubt
		} else if layout == layoutISO || layout == "" {
			layout = layoutMDY
		}
		if day, ok := d.day(layout); ok {
			return day, ""
		}
	}
	return 0, "is no date"
}

// finish makes the frame's column of the codes, each distinct text converted once. It returns nil when the column waits
// for a second pass, or holds a text that is not of its type, whose line only a second pass can tell.
func (c *column) finish(r *ColumnReport) (*frame.Column, error) {
	if c.dict == nil {
		return nil, nil
	}
	v, err := newConverter(r)
	if err != nil {
		return nil, err
	}
	if v.dict != nil {
		v.column.Codes, v.column.Levels = c.codes.take(), c.dict.levels
		c.dict = nil
		return v.column, nil
	}
	var scratch [scratchBytes]byte
	var text []byte
	v.addMissing() // the value of missing ones comes before those of the levels
	for _, level := range c.dict.levels {
		text = append(text[:0], level...)
		if wrong := v.add(text, scratch[:]); wrong != "" {
			return nil, nil
		}
	}
	levels := v.take()
	c.dict = nil
	switch {
	case levels.Type == frame.Date:
		v.column.Days = spread(&c.codes, levels.Days)
	default:
		v.column.Num, v.column.Truths = spread(&c.codes, levels.Num), levels.Truths
	}
	return v.column, nil
}

// countInfinite corrects the report on a column of numbers: what is missing beyond the missing texts was infinite.
func countInfinite(c *frame.Column, r *ColumnReport) {
	if !c.Type.Numeric() {
		return
	}
	missing := 0
	for _, v := range c.Num {
		if math.IsNaN(v) {
			missing++
		}
	}
	r.Missing, r.Infinite = missing, missing-r.Missing
}

func (e *valueError) input(name, file string) error {
	return &InputError{Message: fmt.Sprintf("line %d, column %s: %s %s", e.line, Quote(name), Quote(e.text), e.reason), File: file, Line: e.line, Column: e.column + 1,
		Hint: fmt.Sprintf("give the column another type, or add the text to the missing ones with --missing %s", ShellQuote(e.text))}
}
