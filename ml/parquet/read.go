package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/hashline/hashline/ml/frame"
)

// maxRows bounds what a reader believes, chunk is how many values it takes at once where it cannot take whole arrays.
const (
	maxRows = 1 << 31
	chunk   = 1 << 10
)

// Read reads the named columns of a table, in that order, or all of them in the table's order when none is named. A file
// that is no table of ours, damaged or made to harm gives an error.
func Read(r io.ReaderAt, size int64, names ...string) (f *frame.Frame, err error) {
	defer func() { // the library may panic on a damaged file
		if p := recover(); p != nil {
			f, err = nil, fmt.Errorf("reading parquet: damaged file: %v", p)
		}
	}()
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("reading parquet: %w", err)
	}
	f, types, err := describe(file)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		for _, t := range types {
			names = append(names, t.Name)
		}
	}
	for _, name := range names {
		i := slices.IndexFunc(types, func(t columnType) bool { return t.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("the table has no column %.80q", name)
		}
		c, err := readColumn(file, types[i], i, f.Rows)
		if err != nil {
			return nil, fmt.Errorf("reading column %.80q: %w", name, err)
		}
		f.Columns = append(f.Columns, c)
	}
	return f, f.Validate()
}

// Describe returns a table's number of rows, its metadata and its columns without their values.
func Describe(r io.ReaderAt, size int64) (f *frame.Frame, err error) {
	defer func() {
		if p := recover(); p != nil {
			f, err = nil, fmt.Errorf("reading parquet: damaged file: %v", p)
		}
	}()
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("reading parquet: %w", err)
	}
	f, types, err := describe(file)
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		c, err := t.column()
		if err != nil {
			return nil, err
		}
		f.Columns = append(f.Columns, c)
	}
	return f, nil
}

func describe(file *parquet.File) (*frame.Frame, []columnType, error) {
	if n := file.NumRows(); n < 0 || n > maxRows {
		return nil, nil, fmt.Errorf("reading parquet: %d rows", n)
	}
	f := &frame.Frame{Rows: int(file.NumRows()), Meta: map[string]string{}}
	var types []columnType
	for _, kv := range file.Metadata().KeyValueMetadata {
		if kv.Key == typesKey {
			if err := json.Unmarshal([]byte(kv.Value), &types); err != nil {
				return nil, nil, fmt.Errorf("reading parquet: types: %w", err)
			}
		} else if len(kv.Key) > len(metaPrefix) && kv.Key[:len(metaPrefix)] == metaPrefix {
			f.Meta[kv.Key[len(metaPrefix):]] = kv.Value
		}
	}
	if len(types) != len(file.Root().Columns()) {
		return nil, nil, errors.New("reading parquet: this file was not written by Hashline")
	}
	return f, types, nil
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

func readColumn(file *parquet.File, t columnType, index, rows int) (*frame.Column, error) {
	c, err := t.column()
	if err != nil {
		return nil, err
	}
	r := columnReader{column: c, codes: map[string]int32{}}
	switch {
	case c.Type.Numeric():
		c.Num = make([]float64, 0, rows)
	case c.Type == frame.Date:
		c.Days = make([]int32, 0, rows)
	default:
		c.Codes = make([]int32, 0, rows)
	}
	for _, group := range file.RowGroups() {
		if err := r.chunk(group.ColumnChunks()[index]); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// columnReader appends pages to a column.
type columnReader struct {
	column *frame.Column
	codes  map[string]int32 // level -> code
	values []parquet.Value
}

func (r *columnReader) chunk(c parquet.ColumnChunk) error {
	pages := c.Pages()
	defer pages.Close()
	var levels []int32 // index in the chunk's dictionary -> code
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if d := page.Dictionary(); d != nil && r.column.Type.Textual() && levels == nil {
			levels = r.levels(d)
		}
		if !r.direct(page, levels) {
			err = r.slow(page)
		}
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
}

// levels gives every entry of a dictionary its code. Entries stand in the order of their first use, so codes do too.
func (r *columnReader) levels(d parquet.Dictionary) []int32 {
	levels := make([]int32, d.Len())
	for i := range levels {
		levels[i] = r.code(d.Index(int32(i)).ByteArray())
	}
	return levels
}

func (r *columnReader) code(b []byte) int32 {
	code, ok := r.codes[string(b)]
	if !ok {
		code = int32(len(r.column.Levels))
		r.column.Levels = append(r.column.Levels, string(b))
		r.codes[string(b)] = code
	}
	return code
}

// direct takes a page without missing values as the arrays that it is made of.
func (r *columnReader) direct(page parquet.Page, levels []int32) bool {
	if page.NumNulls() > 0 || len(page.DefinitionLevels()) > 0 {
		return false
	}
	c, data := r.column, page.Data()
	switch {
	case levels != nil:
		for _, i := range data.Int32() {
			c.Codes = append(c.Codes, levels[i])
		}
	case page.Dictionary() != nil:
		return false
	case c.Type == frame.Date:
		c.Days = append(c.Days, data.Int32()...)
	case page.Type().Kind() == parquet.Double && c.Type.Numeric():
		c.Num = append(c.Num, data.Double()...)
	case page.Type().Kind() == parquet.Int64 && c.Type.Numeric():
		for _, v := range data.Int64() {
			c.Num = append(c.Num, float64(v))
		}
	default:
		return false
	}
	return true
}

func (r *columnReader) slow(page parquet.Page) error {
	if r.values == nil {
		r.values = make([]parquet.Value, chunk)
	}
	reader := page.Values()
	for {
		n, err := reader.ReadValues(r.values)
		for _, v := range r.values[:n] {
			r.append(v)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *columnReader) append(v parquet.Value) {
	c := r.column
	switch {
	case c.Type.Numeric():
		c.Num = append(c.Num, number(v))
	case c.Type == frame.Date:
		day := int32(frame.MissingDay)
		if !v.IsNull() {
			day = v.Int32()
		}
		c.Days = append(c.Days, day)
	case v.IsNull():
		c.Codes = append(c.Codes, frame.MissingCode)
	default:
		c.Codes = append(c.Codes, r.code(v.ByteArray()))
	}
}

func number(v parquet.Value) float64 {
	switch {
	case v.IsNull():
		return math.NaN()
	case v.Kind() == parquet.Boolean:
		if v.Boolean() {
			return 1
		}
		return 0
	case v.Kind() == parquet.Int64:
		return float64(v.Int64())
	}
	return v.Double()
}
