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

// Read reads a whole table: every row that has the header's number of fields, every column with its inferred or given
// type, in bounded memory beyond the table itself. Errors about the content are of type *InputError.
func Read(ctx context.Context, src Source, o Options) (*frame.Frame, *Report, error) {
	report, err := inferFile(ctx, src, &o)
	if err != nil {
		return nil, nil, err
	}
	r, err := src()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	t, err := newTable(r, o, report.Columns, report.Rows)
	if err != nil {
		return nil, nil, err
	}
	if _, err := t.fill(ctx, report.Rows+1); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	f := t.frame()
	if f.Rows != report.Rows {
		return nil, nil, fmt.Errorf("the input changed while it was read: %d rows, then %d", report.Rows, f.Rows)
	}
	return f, report, nil
}

// inferFile makes the first pass. A file without byte order mark that turns out not to be UTF-8 is gone over again as
// Windows-1252, in which every byte is a character. It fills in o.Encoding and o.Delimiter.
func inferFile(ctx context.Context, src Source, o *Options) (*Report, error) {
	for {
		r, err := src()
		if err != nil {
			return nil, err
		}
		report, err := infer(ctx, r, o, -1)
		_ = r.Close()
		if errors.Is(err, errNotUTF8) && o.Encoding == "" {
			o.Encoding = windows
			continue
		}
		return report, err
	}
}

// Inspect infers from the head of a table alone: up to limit bytes, leaving out a record that is cut there. A table that
// ends before is reported as Complete.
func Inspect(head []byte, complete bool, o Options) (*Report, error) {
	limit := -1
	if !complete {
		limit = len(head)
	}
	report, err := infer(context.Background(), bytes.NewReader(head), &o, limit)
	if errors.Is(err, errNotUTF8) && o.Encoding == "" {
		o.Encoding = windows
		report, err = infer(context.Background(), bytes.NewReader(head), &o, limit)
	}
	if err == nil {
		report.Complete = complete
	}
	return report, err
}

var errNotUTF8 = errors.New("the text is not UTF-8")

// infer reads all of r. With limit >= 0, r is a head of that many bytes and its last record does not count.
func infer(ctx context.Context, r io.Reader, o *Options, limit int) (*Report, error) {
	s, name, err := o.open(r)
	if err != nil {
		return nil, err
	}
	header, _, err := s.next()
	if err != nil {
		return nil, headerError(err, o.File)
	}
	report := &Report{Encoding: name, Delimiter: string(rune(s.delim)), Complete: true, Ragged: []RaggedRow{}, Renamed: []string{}}
	columns, err := o.header(header, report)
	if err != nil {
		return nil, err
	}
	if err := inferRows(ctx, s, o, columns, report, limit >= 0); err != nil {
		return nil, err
	}
	if report.Rows == 0 && limit < 0 {
		return nil, &InputError{Message: "the file has a header but no rows", File: o.File, Line: 1, Hint: "check that the export is complete"}
	}
	if err := report.tooRagged(len(columns), o.File); err != nil {
		return nil, err
	}
	o.Encoding = name
	o.Delimiter = rune(s.delim)
	for i := range columns {
		report.Columns = append(report.Columns, columns[i].decide(s.delim != ','))
	}
	return report, o.force(report)
}

func headerError(err error, file string) error {
	if errors.Is(err, io.EOF) {
		return &InputError{Message: "the file is empty", File: file, Hint: "check that the export is complete"}
	}
	return err
}

func inferRows(ctx context.Context, s *scanner, o *Options, columns []column, report *Report, head bool) error {
	missing := o.missing()
	var scratch [64]byte
	for {
		fields, line, err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			if _, bad := errors.AsType[*InputError](err); bad && head && s.eof {
				return nil // a quote that is closed behind the head
			}
			return err
		}
		if head && s.eof && s.start == s.end {
			return nil // may be cut
		}
		if len(fields) != len(columns) {
			report.ragged(line, len(fields))
			continue
		}
		report.Rows++
		if report.Rows&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		for i, f := range fields {
			c := &columns[i]
			f = trim(f)
			if missing.has(f) {
				c.missing++
				continue
			}
			if !utf8.Valid(f) {
				return errNotUTF8
			}
			c.add(f, line, scratch[:])
		}
	}
}

func (r *Report) ragged(line, fields int) {
	r.RaggedCount++
	if len(r.Ragged) < maxRaggedKept {
		r.Ragged = append(r.Ragged, RaggedRow{Line: line, Fields: fields})
	}
}

// trim removes white space around a value; most values have none.
func trim(b []byte) []byte {
	if len(b) > 0 && (b[0] <= ' ' || b[len(b)-1] <= ' ' || b[0] == 0xC2 || b[len(b)-1] == 0xA0) {
		return bytes.TrimSpace(b)
	}
	return b
}

// open starts a scanner over r behind its encoding and with its delimiter.
func (o *Options) open(r io.Reader) (*scanner, string, error) {
	text, name, err := decoded(r, o.Encoding, o.File)
	if err != nil {
		return nil, "", err
	}
	delim := byte(o.Delimiter)
	if o.Delimiter == 0 {
		head := make([]byte, sniffBytes)
		n, err := io.ReadFull(text, head)
		whole := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
		if err != nil && !whole {
			return nil, "", err
		}
		head = head[:n]
		delim = findDelimiter(head, whole, o.File)
		text = io.MultiReader(bytes.NewReader(head), text)
	} else if o.Delimiter > 127 || o.Delimiter < 9 || strings.ContainsRune("\n\r\"", o.Delimiter) {
		return nil, "", &InputError{Message: fmt.Sprintf("%s cannot be a delimiter", Quote(string(o.Delimiter))), Hint: "want one ASCII character, such as , or ;"}
	}
	return newScanner(text, delim, o.File), name, nil
}

// header names the columns: an empty name is made up, a repeated one is numbered.
func (o *Options) header(fields [][]byte, report *Report) ([]column, error) {
	columns := make([]column, len(fields))
	taken := make(map[string]bool, len(fields))
	for i, f := range fields {
		if !utf8.Valid(f) {
			return nil, errNotUTF8
		}
		name := string(bytes.TrimSpace(f))
		original := name
		if name == "" {
			name = fmt.Sprintf("column_%d", i+1)
		}
		for n, base := 2, name; taken[name]; n++ {
			name = fmt.Sprintf("%s_%d", base, n)
		}
		if name != original {
			report.Renamed = append(report.Renamed, name)
		}
		taken[name] = true
		columns[i] = column{name: name, increases: true}
	}
	return columns, nil
}

// force applies the types that were asked for.
func (o *Options) force(report *Report) error {
	for name, t := range o.Types {
		c := report.Column(name)
		if c == nil {
			return &InputError{Message: fmt.Sprintf("a type is given for the column %s, which the file does not have", Quote(name)), File: o.File,
				Hint: "names are exact: " + nameList(report)}
		}
		if c.Type == t.String() {
			continue
		}
		if t.Numeric() && c.Numbers == "" {
			c.Numbers = plainNumbers
		}
		if t == frame.Date && c.DateLayout == "" {
			c.DateLayout = layoutISO
		}
		c.Type, c.Evidence = t.String(), "it was asked for"
	}
	return nil
}

func nameList(r *Report) string {
	names := make([]string, 0, len(r.Columns))
	for _, c := range r.Columns[:min(30, len(r.Columns))] {
		names = append(names, Quote(c.Name))
	}
	return strings.Join(names, ", ")
}

// missingTexts finds the texts that stand for a missing value.
type missingTexts struct {
	texts   map[string]bool
	longest int
}

func (o *Options) missing() missingTexts {
	m := missingTexts{texts: make(map[string]bool, len(MissingTexts)+len(o.Missing))}
	for _, list := range [][]string{MissingTexts, o.Missing} {
		for _, t := range list {
			t = strings.TrimSpace(t)
			m.texts[t] = true
			m.longest = max(m.longest, len(t))
		}
	}
	return m
}

func (m missingTexts) has(b []byte) bool {
	return len(b) == 0 || (len(b) <= m.longest && m.texts[string(b)])
}
