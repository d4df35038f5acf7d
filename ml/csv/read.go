package csv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashline/hashline/ml/frame"
)

// Read reads a whole table: every row that has the header's number of fields, every column with its inferred or given
// type, in bounded memory beyond the table itself. Errors about the content are of type *InputError.
func Read(ctx context.Context, src Source, o Options) (*frame.Frame, *Report, error) {
	columns, report, err := inferFile(ctx, src, &o)
	if err != nil {
		return nil, nil, err
	}
	f := &frame.Frame{Rows: report.Rows, Columns: make([]*frame.Column, len(columns))}
	errs := make([]error, len(columns))
	parallel(o.Cores, len(columns), func(i int) { f.Columns[i], errs[i] = columns[i].finish(&report.Columns[i]) })
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	if err := o.convertRest(ctx, src, f, report); err != nil {
		return nil, nil, err
	}
	for i, c := range f.Columns {
		countInfinite(c, &report.Columns[i])
	}
	return f, report, nil
}

// convertRest goes over the input again and makes the columns that f lacks.
func (o *Options) convertRest(ctx context.Context, src Source, f *frame.Frame, report *Report) error {
	rest := &converters{o: o, reports: report.Columns, missing: newMissingTexts(o.Missing)}
	for i, c := range f.Columns {
		if c != nil {
			continue
		}
		if err := rest.add(i); err != nil {
			return err
		}
		rest.list[len(rest.list)-1].grow(f.Rows)
	}
	if len(rest.list) == 0 {
		return nil
	}
	r, err := src()
	if err != nil {
		return err
	}
	defer r.Close()
	s, _, err := o.open(r)
	if err != nil {
		return err
	}
	if _, _, err := s.next(); err != nil {
		return headerError(err, o.File)
	}
	if err := s.each(ctx, len(f.Columns), o.Cores, rest.addBatch); err != nil {
		return err
	}
	for k, i := range rest.at {
		f.Columns[i] = rest.list[k].take()
		if f.Columns[i].Len() != f.Rows {
			return fmt.Errorf("the input changed while it was read: %d rows, then %d", f.Rows, f.Columns[i].Len())
		}
	}
	return nil
}

// converters convert some columns of a table.
type converters struct {
	o       *Options
	reports []ColumnReport
	missing *missingTexts
	list    []*converter
	at      []int // the column of each
}

func (c *converters) add(column int) error {
	v, err := newConverter(&c.reports[column])
	c.list, c.at = append(c.list, v), append(c.at, column)
	return err
}

// addBatch converts a batch. Of several values that do not fit, the first in the text is the error.
func (c *converters) addBatch(b *batch) error {
	wrong := make([]*valueError, len(c.list))
	parallel(c.o.Cores, len(c.list), func(k int) {
		wrong[k] = c.list[k].addBatch(b, c.at[k], c.missing)
	})
	var first *valueError
	for _, w := range wrong {
		if w != nil && (first == nil || w.line < first.line) {
			first = w
		}
	}
	if first == nil {
		return nil
	}
	return first.input(c.reports[first.column].Name, c.o.File)
}

// inferFile makes the first pass. A file without byte order mark that turns out not to be UTF-8 is gone over again as
// Windows-1252, in which every byte is a character. It fills in o.Encoding and o.Delimiter.
func inferFile(ctx context.Context, src Source, o *Options) ([]column, *Report, error) {
	for {
		r, err := src()
		if err != nil {
			return nil, nil, err
		}
		columns, report, err := infer(ctx, r, o, false)
		_ = r.Close()
		if errors.Is(err, errNotUTF8) && o.Encoding == "" {
			o.Encoding = windows
			continue
		}
		return columns, report, err
	}
}

// Inspect infers from the head of a table alone, leaving out a record that is cut there. A table that ends before is
// reported as Complete.
func Inspect(head []byte, complete bool, o Options) (*Report, error) {
	_, report, err := inspect(head, complete, &o)
	return report, err
}

func inspect(head []byte, complete bool, o *Options) ([]column, *Report, error) {
	columns, report, err := infer(context.Background(), bytes.NewReader(head), o, !complete)
	if errors.Is(err, errNotUTF8) && o.Encoding == "" {
		o.Encoding = windows
		columns, report, err = infer(context.Background(), bytes.NewReader(head), o, !complete)
	}
	if err != nil {
		return nil, nil, err
	}
	report.Complete = complete
	return columns, report, nil
}

// infer reads all of r, or a head of a table.
func infer(ctx context.Context, r io.Reader, o *Options, head bool) ([]column, *Report, error) {
	s, name, err := o.open(r)
	if err != nil {
		return nil, nil, err
	}
	s.partial = head
	header, line, err := s.next()
	if err != nil {
		if head && errors.Is(err, io.EOF) {
			return nil, nil, &InputError{Message: "the header does not end in the head of the file", File: o.File, Line: s.line, Hint: "check the line ends of the file"}
		}
		return nil, nil, headerError(o.encodingError(s, err), o.File)
	}
	report := &Report{Encoding: name, Delimiter: string(rune(s.delim)), Complete: true, Ragged: []RaggedRow{}, Renamed: []string{}}
	missing := newMissingTexts(o.Missing)
	columns, err := o.header(header, missing, report)
	if err != nil {
		return nil, nil, err
	}
	err = inferRows(ctx, s, o, columns, missing, report)
	switch {
	case err != nil:
		return nil, nil, err
	case report.Rows == 0 && report.RaggedCount == 0 && !head:
		return nil, nil, &InputError{Message: "the file has a header but no rows", File: o.File, Line: line, Hint: "check that the export is complete"}
	}
	if err := report.tooRagged(len(columns), o.File); err != nil {
		return nil, nil, err
	}
	o.Encoding, o.Delimiter = name, rune(s.delim)
	report.Columns = make([]ColumnReport, len(columns))
	for i := range columns {
		report.Columns[i] = columns[i].decide(s.delim != ',')
	}
	return columns, report, nil
}

func headerError(err error, file string) error {
	if errors.Is(err, io.EOF) {
		return &InputError{Message: "the file is empty", File: file, Hint: "check that the export is complete"}
	}
	return err
}

func inferRows(ctx context.Context, s *scanner, o *Options, columns []column, missing *missingTexts, report *Report) error {
	err := s.each(ctx, len(columns), o.Cores, func(b *batch) error {
		report.addRagged(b)
		report.Rows += b.rows()
		parallel(o.Cores, len(columns), func(i int) {
			columns[i].addBatch(b, i, missing)
		})
		return nil
	})
	return o.encodingError(s, err)
}

// encodingError makes a fault of the encoding that nothing can be done about an error of the input.
func (o *Options) encodingError(s *scanner, err error) error {
	if !errors.Is(err, errNotUTF8) || (o.Encoding == "" && !s.marked) {
		return err
	}
	return &InputError{Message: fmt.Sprintf("the file is not UTF-8 all through: a character before line %d is broken", s.line), File: o.File, Line: s.line, Hint: "save the file as UTF-8"}
}

func (r *Report) addRagged(b *batch) {
	r.RaggedCount += b.raggedCount
	r.Ragged = append(r.Ragged, b.ragged[:min(len(b.ragged), maxRaggedKept-len(r.Ragged))]...)
}

// header names the columns. A name that is empty or taken is made up, so that every column can be named; a name that
// stands in the header as it is keeps its column.
func (o *Options) header(fields [][]byte, missing *missingTexts, report *Report) ([]column, error) {
	columns := make([]column, len(fields))
	names := make([]string, len(fields))
	taken := make(map[string]bool, len(fields))
	for i, f := range fields {
		names[i] = string(bytes.TrimSpace(f))
		if names[i] != "" && !taken[names[i]] {
			taken[names[i]] = true
			columns[i].name = names[i]
		}
	}
	next := map[string]int{}
	for i, name := range names {
		if columns[i].name == "" {
			columns[i].name = freeName(name, i, taken, next)
			report.Renamed = append(report.Renamed, columns[i].name)
		}
		columns[i] = newColumn(columns[i].name, missing)
	}
	return columns, o.applyTypes(columns)
}

// freeName makes a name that no column has; next remembers the number to try for each name.
func freeName(name string, column int, taken map[string]bool, next map[string]int) string {
	if name == "" {
		if name = fmt.Sprintf("column_%d", column+1); !taken[name] {
			taken[name] = true
			return name
		}
	}
	for n := max(2, next[name]); ; n++ {
		if free := fmt.Sprintf("%s_%d", name, n); !taken[free] {
			taken[free], next[name] = true, n+1
			return free
		}
	}
}

// applyTypes notes the types that were asked for.
func (o *Options) applyTypes(columns []column) error {
	wanted := make([]string, 0, len(o.Types))
	for name := range o.Types {
		wanted = append(wanted, name)
	}
	slices.Sort(wanted)
	for _, name := range wanted {
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == name })
		if i < 0 {
			return &InputError{Message: fmt.Sprintf("a type is given for the column %s, which the file does not have", Quote(name)), File: o.File,
				Hint: "names are exact: " + nameList(columns)}
		}
		columns[i].wanted = o.Types[name].String()
	}
	return nil
}

func nameList(columns []column) string {
	names := make([]string, 0, len(columns))
	for _, c := range columns[:min(30, len(columns))] {
		names = append(names, Quote(c.name))
	}
	return strings.Join(names, ", ")
}
