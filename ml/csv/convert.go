package csv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/hashline/hashline/ml/frame"
)

// table converts records into columns of known types.
type table struct {
	scanner    *scanner
	missing    missingTexts
	file       string
	converters []converter
	rows       int
	ragged     Report
	scratch    [64]byte
}

// newTable reads the header of r and readies columns for about rows rows. The header must name the given columns.
func newTable(r io.Reader, o Options, columns []ColumnReport, rows int) (*table, error) {
	s, _, err := o.open(r)
	if err != nil {
		return nil, err
	}
	header, _, err := s.next()
	if err != nil {
		return nil, headerError(err, o.File)
	}
	if len(header) != len(columns) {
		return nil, fmt.Errorf("the header has %d columns, want %d", len(header), len(columns))
	}
	t := &table{scanner: s, missing: o.missing(), file: o.File, converters: make([]converter, len(columns))}
	for i, c := range columns {
		if t.converters[i], err = newConverter(c, rows); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// fill converts up to limit further rows; io.EOF says that the table has ended.
func (t *table) fill(ctx context.Context, limit int) (int, error) {
	for n := 0; n < limit; {
		fields, line, err := t.scanner.next()
		if err != nil {
			return n, err
		}
		if len(fields) != len(t.converters) {
			t.ragged.ragged(line, len(fields))
			continue
		}
		for i, f := range fields {
			f = trim(f)
			if t.missing.has(f) {
				t.converters[i].addMissing()
			} else if err := t.converters[i].add(f, t.scratch[:]); err != nil {
				return n, &InputError{Message: fmt.Sprintf("line %d, column %s: %v", line, Quote(t.converters[i].column.Name), err), File: t.file, Line: line, Column: i + 1,
					Hint: fmt.Sprintf("give the column another type, or add the text to the missing ones with --missing %s", Quote(string(f)))}
			}
		}
		n++
		if t.rows++; t.rows&0xfff == 0 && ctx.Err() != nil {
			return n, ctx.Err()
		}
	}
	return limit, nil
}

// frame hands out the columns filled so far and starts new ones.
func (t *table) frame() *frame.Frame {
	f := &frame.Frame{Columns: make([]*frame.Column, len(t.converters))}
	for i := range t.converters {
		f.Columns[i] = t.converters[i].take()
		f.Rows = f.Columns[i].Len()
	}
	return f
}

// converter fills one column.
type converter struct {
	column *frame.Column
	layout string
	format string
	dict   *dict
}

func newConverter(r ColumnReport, rows int) (converter, error) {
	t, err := frame.ParseType(r.Type)
	if err != nil {
		return converter{}, err
	}
	c := converter{column: &frame.Column{Name: r.Name, Type: t}, layout: r.DateLayout, format: r.Numbers}
	switch {
	case t.Numeric():
		c.column.Num = make([]float64, 0, rows)
	case t == frame.Date:
		c.column.Days = make([]int32, 0, rows)
	default:
		c.column.Codes = make([]int32, 0, rows)
		c.dict = newDict()
	}
	return c, nil
}

func (c *converter) take() *frame.Column {
	done := c.column
	c.column = &frame.Column{Name: done.Name, Type: done.Type}
	if c.dict != nil {
		done.Levels = c.dict.levels()
		c.dict = newDict() // the next part has levels of its own, so that memory stays bounded
	}
	return done
}

func (c *converter) addMissing() {
	switch {
	case c.column.Type.Numeric():
		c.column.Num = append(c.column.Num, math.NaN())
	case c.column.Type == frame.Date:
		c.column.Days = append(c.column.Days, frame.MissingDay)
	default:
		c.column.Codes = append(c.column.Codes, frame.MissingCode)
	}
}

func (c *converter) add(b, scratch []byte) error {
	switch c.column.Type {
	case frame.Integer, frame.Float:
		return c.addNumber(b, scratch)
	case frame.Boolean:
		return c.addBool(b)
	case frame.Date:
		return c.addDate(b)
	}
	c.column.Codes = append(c.column.Codes, c.dict.code(b))
	return nil
}

func (c *converter) addNumber(b, scratch []byte) error {
	v, whole, ok := parseNumber(b, c.format, scratch)
	if !ok {
		return fmt.Errorf("%s is no number", Quote(string(b)))
	}
	if c.column.Type == frame.Integer && !whole && !math.IsInf(v, 0) && v != math.Trunc(v) {
		return fmt.Errorf("%s is no whole number", Quote(string(b)))
	}
	if math.IsInf(v, 0) {
		v = math.NaN()
	}
	c.column.Num = append(c.column.Num, v)
	return nil
}

func (c *converter) addBool(b []byte) error {
	v, _, ok := parseBool(b)
	if len(b) == 1 && (b[0] == '0' || b[0] == '1') {
		v, ok = b[0] == '1', true
	}
	if !ok {
		return fmt.Errorf("%s is no truth value", Quote(string(b)))
	}
	number := 0.0
	if v {
		number = 1
	}
	c.column.Num = append(c.column.Num, number)
	return nil
}

func (c *converter) addDate(b []byte) error {
	if d, ok := splitDate(b); ok {
		layout := c.layout
		if d.yearIn == 0 {
			layout = layoutISO // never in doubt
		} else if layout == layoutISO {
			layout = layoutMDY
		}
		if day, ok := d.day(layout); ok {
			c.column.Days = append(c.column.Days, day)
			return nil
		}
	}
	return fmt.Errorf("%s is no date", Quote(string(b)))
}

// Batches reads a table in parts, with types that are known, so that a file of any length needs little memory.
type Batches struct {
	table *table
	rows  int
	names map[string]bool
}

// NewBatches starts reading r. Columns that known describes get its types and, where the file's own dates leave it open,
// its layouts; other columns are texts. rows is the number of rows of a batch. The head of the file decides about its
// encoding, delimiter, date layouts and number formats.
func NewBatches(r io.Reader, known []ColumnReport, o Options, rows int) (*Batches, error) {
	const headBytes = 4 << 20
	head := make([]byte, headBytes)
	n, err := io.ReadFull(r, head)
	complete := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
	if err != nil && !complete {
		return nil, err
	}
	head = head[:n]
	o.Types = nil
	report, err := Inspect(head, complete, o)
	if err != nil {
		return nil, err
	}
	o.Encoding, o.Delimiter = report.Encoding, []rune(report.Delimiter)[0]
	names := map[string]bool{}
	for i := range report.Columns {
		c := &report.Columns[i]
		names[c.Name] = true
		adapt(c, known)
	}
	t, err := newTable(io.MultiReader(bytes.NewReader(head), r), o, report.Columns, rows)
	if err != nil {
		return nil, err
	}
	return &Batches{table: t, rows: rows, names: names}, nil
}

// adapt gives a column of the file at hand the type that is known for it.
func adapt(c *ColumnReport, known []ColumnReport) {
	for _, k := range known {
		if k.Name != c.Name {
			continue
		}
		if c.Numbers == "" {
			c.Numbers = k.Numbers
		}
		if c.Numbers == "" {
			c.Numbers = plainNumbers
		}
		ambiguous := c.DateLayout == "" || (c.DateLayout == layoutMDY && k.DateLayout == layoutDMY && strings.Contains(c.Evidence, "assumed"))
		if ambiguous {
			c.DateLayout = k.DateLayout
		}
		c.Type = k.Type
		return
	}
	c.Type = frame.Text.String()
}

// Has reports whether the file has a column of that name.
func (b *Batches) Has(name string) bool { return b.names[name] }

// Next returns the next rows, or io.EOF. A row with another number of fields than the header is an *InputError, since
// leaving it out would shift every answer behind it.
func (b *Batches) Next(ctx context.Context) (*frame.Frame, error) {
	n, err := b.table.fill(ctx, b.rows)
	if r := b.table.ragged; r.RaggedCount > 0 {
		return nil, &InputError{Message: fmt.Sprintf("line %d has %d fields, the header %d", r.Ragged[0].Line, r.Ragged[0].Fields, len(b.table.converters)),
			File: b.table.file, Line: r.Ragged[0].Line, Hint: "mend the row: every row gets an answer"}
	}
	if err != nil && (n == 0 || !errors.Is(err, io.EOF)) {
		return nil, err
	}
	return b.table.frame(), nil
}
