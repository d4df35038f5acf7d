package csv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/hashline/hashline/ml/frame"
)

// Batches reads a table in parts, with types that are known, so that a file of any length needs little memory.
type Batches struct {
	scanner    *scanner
	converters *converters
	batch      batch
	rows       int
	names      map[string]bool
}

// NewBatches starts reading r. Columns that known describes get its types and, where the file's own dates leave it open,
// its layouts; other columns are texts. A batch has at most rows rows. The head of the file decides about its encoding,
// delimiter, date layouts and number formats.
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
	columns, report, err := inspect(head, complete, &o)
	if err != nil {
		return nil, err
	}
	if o.Encoding == utf8Name && ascii(head) {
		o.Encoding = lateName
	}
	byName := make(map[string]*ColumnReport, len(known))
	for i := range known {
		byName[known[i].Name] = &known[i]
	}
	b := &Batches{rows: rows, names: map[string]bool{}, converters: &converters{o: &o, reports: report.Columns, missing: newMissingTexts(o.Missing)}}
	for i := range report.Columns {
		b.names[columns[i].name] = true
		adapt(&report.Columns[i], &columns[i], byName[columns[i].name])
		if err := b.converters.add(i); err != nil {
			return nil, err
		}
	}
	if b.scanner, _, err = o.open(io.MultiReader(bytes.NewReader(head), r)); err != nil {
		return nil, err
	}
	_, _, err = b.scanner.next()
	return b, err
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// adapt gives a column of the file at hand the type that is known for it, if it is, and the known formats where its own
// values leave them open.
func adapt(r *ColumnReport, c *column, k *ColumnReport) {
	if k == nil {
		r.Type = frame.Text.String()
		return
	}
	kind, affix := splitFormat(k.Numbers)
	if c.values > 0 {
		affix = c.affix
	}
	if own, _ := splitFormat(r.Numbers); r.Numbers != "" && c.formatOf(kind).out {
		kind = own
	}
	r.Numbers = strings.TrimSpace(kind + " " + affix)
	if r.DateLayout == "" || !c.layoutOf(k.DateLayout).out {
		r.DateLayout = k.DateLayout
	}
	r.Type = k.Type
}

func (c *column) formatOf(kind string) *format {
	switch kind {
	case thousandsNumbers:
		return &c.thousands
	case commaNumbers:
		return &c.comma
	}
	return &c.plain
}

func (c *column) layoutOf(layout string) *format {
	switch layout {
	case layoutMDY:
		return &c.mdy
	case layoutDMY:
		return &c.dmy
	}
	return &c.iso
}

// Has reports whether the file has a column of that name.
func (b *Batches) Has(name string) bool { return b.names[name] }

// Next returns the next rows, or io.EOF. A row with another number of fields than the header is an *InputError, since
// leaving it out would shift every answer behind it.
func (b *Batches) Next(ctx context.Context) (*frame.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := b.converters
	err := b.scanner.batch(&b.batch, len(c.list), b.rows)
	if len(b.batch.ragged) > 0 {
		r := b.batch.ragged[0]
		return nil, &InputError{Message: fmt.Sprintf("line %d has %d fields, the header %d", r.Line, r.Fields, len(c.list)),
			File: c.o.File, Line: r.Line, Hint: "mend the row: every row gets an answer"}
	}
	if err != nil {
		return nil, c.o.encodingError(b.scanner, err)
	}
	if err := c.addBatch(&b.batch); err != nil {
		return nil, err
	}
	f := &frame.Frame{Rows: b.batch.rows(), Columns: make([]*frame.Column, len(c.list))}
	for i, v := range c.list {
		f.Columns[i] = v.take()
	}
	return f, nil
}
