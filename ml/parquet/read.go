package parquet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"github.com/hashline/hashline/ml/frame"
)

// maxRows bounds what a reader believes.
const maxRows = 1 << 31

// Read reads the named columns of a table, in that order, or all of them in the table's order when none is named. A file
// that Write did not make, is damaged or made to harm gives an error.
func Read(r io.ReaderAt, size int64, names ...string) (f *frame.Frame, err error) {
	defer catch(&err)
	t, err := open(r, size)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		for _, c := range t.types {
			names = append(names, c.Name)
		}
	}
	places := make(map[string]int, len(t.types))
	for i, c := range t.types {
		places[c.Name] = i
	}
	for _, name := range names {
		i, ok := places[name]
		if !ok {
			return nil, fmt.Errorf("the table has no column %.80q", name)
		}
		c, err := t.read(i, size)
		if err != nil {
			return nil, fmt.Errorf("reading column %.80q: %w", name, err)
		}
		t.frame.Columns = append(t.frame.Columns, c)
	}
	return t.frame, t.frame.Validate()
}

// Describe returns a table's number of rows, its metadata and its columns without their values.
func Describe(r io.ReaderAt, size int64) (f *frame.Frame, err error) {
	defer catch(&err)
	t, err := open(r, size)
	if err != nil {
		return nil, err
	}
	for i := range t.types {
		c, err := t.types[i].column()
		if err != nil {
			return nil, err
		}
		t.frame.Columns = append(t.frame.Columns, c)
	}
	return t.frame, nil
}

// catch makes an error of a panic: the library may panic on a damaged file.
func catch(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("reading parquet: damaged file: %v", p)
	}
}

// table is an open file, and the frame that it gives, without columns.
type table struct {
	file  *parquet.File
	types []columnType
	frame *frame.Frame
}

func open(r io.ReaderAt, size int64) (*table, error) {
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("reading parquet: %w", err)
	}
	if n := file.NumRows(); n < 0 || n > maxRows {
		return nil, fmt.Errorf("reading parquet: %d rows", n)
	}
	t := &table{file: file, frame: &frame.Frame{Rows: int(file.NumRows()), Meta: map[string]string{}}}
	for _, kv := range file.Metadata().KeyValueMetadata {
		if kv.Key == typesKey {
			if err := json.Unmarshal([]byte(kv.Value), &t.types); err != nil {
				return nil, fmt.Errorf("reading parquet: types: %w", err)
			}
		} else if key, ok := strings.CutPrefix(kv.Key, metaPrefix); ok {
			t.frame.Meta[key] = kv.Value
		}
	}
	if len(t.types) != len(file.Root().Columns()) {
		return nil, errors.New("reading parquet: this file was not written by Hashline")
	}
	return t, nil
}

// column returns the column without its values.
func (t *columnType) column() (*frame.Column, error) {
	kind, err := frame.ParseType(t.Type)
	if err != nil {
		return nil, err
	}
	c := &frame.Column{Name: t.Name, Type: kind}
	if t.Truths != nil {
		c.Truths = *t.Truths
	}
	return c, nil
}

// read reads column i. Room is made beforehand for what a file of that size can hold at a bit a row; runs that hold more
// find it as they come.
func (t *table) read(i int, size int64) (*frame.Column, error) {
	c, err := t.types[i].column()
	if err != nil {
		return nil, err
	}
	room := int(min(int64(t.frame.Rows), 8*size))
	switch {
	case c.Type.Numeric():
		c.Num = make([]float64, 0, room)
	case c.Type == frame.Date:
		c.Days = make([]int32, 0, room)
	default:
		c.Codes = make([]int32, 0, room)
	}
	r := columnReader{column: c, rows: t.frame.Rows}
	for _, group := range t.file.RowGroups() {
		if err := r.chunk(group.ColumnChunks()[i]); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// columnReader appends pages to a column.
type columnReader struct {
	column *frame.Column
	rows   int              // that the column is to have
	codes  map[string]int32 // level -> code, from the second dictionary on
}

func (r *columnReader) chunk(c parquet.ColumnChunk) error {
	pages := c.Pages()
	defer pages.Close()
	var codes []int32 // index in the chunk's dictionary -> code
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if d := page.Dictionary(); d != nil && codes == nil {
			codes = r.dictionary(d)
		}
		err = r.page(page, codes)
		parquet.Release(page)
		if err != nil {
			return err
		}
		if n := r.column.Len(); n > r.rows {
			return fmt.Errorf("%d rows and more, want %d", n, r.rows)
		}
	}
}

// dictionary gives every entry of a dictionary its code. Entries stand in the order of their first use, so codes do too.
func (r *columnReader) dictionary(d parquet.Dictionary) []int32 {
	entries := d.Page().Data()
	data, offsets := entries.ByteArray()
	codes := make([]int32, d.Len())
	levels := &r.column.Levels
	if len(*levels) == 0 { // all are new, and share the memory of one text
		*levels = make([]string, len(codes))
		text := string(data)
		for i := range codes {
			codes[i], (*levels)[i] = int32(i), text[offsets[i]:offsets[i+1]]
		}
		return codes
	}
	if r.codes == nil {
		r.codes = make(map[string]int32, len(*levels))
		for i, level := range *levels {
			r.codes[level] = int32(i)
		}
	}
	for i := range codes {
		entry := data[offsets[i]:offsets[i+1]]
		code, ok := r.codes[string(entry)]
		if !ok {
			level := string(entry)
			code = int32(len(*levels))
			*levels = append(*levels, level)
			r.codes[level] = code
		}
		codes[i] = code
	}
	return codes
}

// page appends the values of a page, and then puts the missing ones among them.
func (r *columnReader) page(page parquet.Page, codes []int32) (err error) {
	c, data, present := r.column, page.Data(), page.DefinitionLevels()
	from := c.Len()
	switch {
	case c.Type.Textual():
		for _, i := range data.Int32() {
			c.Codes = append(c.Codes, codes[i])
		}
		c.Codes, err = withGaps(c.Codes, from, present, frame.MissingCode)
	case c.Type == frame.Date:
		c.Days, err = withGaps(append(c.Days, data.Int32()...), from, present, frame.MissingDay)
	case (c.Type == frame.Boolean) != (data.Kind() == encoding.Boolean):
		return errors.New("its values are not of the column's type")
	default:
		c.Num = appendNumbers(c.Num, data, int(page.NumValues()-page.NumNulls()))
		c.Num, err = withGaps(c.Num, from, present, math.NaN())
	}
	return err
}

// appendNumbers appends n values of a page.
func appendNumbers(v []float64, data encoding.Values, n int) []float64 {
	switch data.Kind() {
	case encoding.Boolean:
		packed := data.Boolean()
		for i := range n {
			v = append(v, float64(packed[i/8]>>(i%8)&1))
		}
	case encoding.Int64:
		for _, x := range data.Int64() {
			v = append(v, float64(x))
		}
	default:
		v = append(v, data.Double()...)
	}
	return v
}

// withGaps spreads the values v[from:] over the rows of a page and fills the gaps. present has a 1 for every row that has a
// value, or is empty when all have one.
func withGaps[T any](v []T, from int, present []byte, missing T) ([]T, error) {
	if len(present) == 0 {
		return v, nil
	}
	next := len(v)
	if bytes.Count(present, []byte{1}) != next-from {
		return nil, errors.New("a page has more or fewer values than it says")
	}
	v = slices.Grow(v, from+len(present)-next)[:from+len(present)]
	for i := len(present) - 1; i >= 0; i-- { // a value never moves to the left, so none is written over unread
		at := &v[from+i]
		if present[i] != 1 {
			*at = missing
			continue
		}
		next--
		*at = v[next]
	}
	return v, nil
}
