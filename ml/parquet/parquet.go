// Package parquet writes and reads tables as Parquet files whose bytes depend on the table alone.
//
// Integers are INT64 (DOUBLE when a value is not whole), floats DOUBLE, truth values BOOLEAN, dates DATE, and texts
// STRING with dictionaries, so pandas and DuckDB open the files. The types of the columns and the table's own metadata lie in
// the key-value metadata. Files are uncompressed, have row groups of rowGroup rows and a fixed created_by: nothing in
// them comes from the build.
package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/hashline/hashline/ml/frame"
)

const (
	rowGroup   = 1 << 18 // rows of a row group
	chunk      = 1 << 10 // values handed over at once
	pageBytes  = 1 << 20
	typesKey   = "hashline.types"
	metaPrefix = "hashline.meta."
	// maxRows bounds what a reader believes.
	maxRows = 1 << 31
)

// columnType is the metadata of one column.
type columnType struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Write writes the table.
func Write(w io.Writer, f *frame.Frame) error {
	schema, nodes, err := schemaOf(f)
	if err != nil {
		return err
	}
	options := []parquet.WriterOption{
		schema, parquet.CreatedBy("hashline", "1", ""), parquet.Compression(&parquet.Uncompressed),
		parquet.PageBufferSize(pageBytes), parquet.DataPageVersion(1), parquet.DataPageStatistics(false),
	}
	metadata, err := metadataOf(f)
	if err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		options = append(options, parquet.KeyValueMetadata(k, metadata[k]))
	}
	p := parquet.NewWriter(w, options...)
	values := make([]parquet.Value, chunk)
	for from := 0; from < f.Rows; from += rowGroup {
		to := min(from+rowGroup, f.Rows)
		for i, column := range p.ColumnWriters() {
			if err := writeColumn(column, f.Columns[i], nodes[i], i, from, to, values); err != nil {
				return fmt.Errorf("writing column %q: %w", f.Columns[i].Name, err)
			}
		}
		if err := p.Flush(); err != nil {
			return fmt.Errorf("writing parquet: %w", err)
		}
	}
	if err := p.Close(); err != nil {
		return fmt.Errorf("writing parquet: %w", err)
	}
	return nil
}

func metadataOf(f *frame.Frame) (map[string]string, error) {
	types := make([]columnType, len(f.Columns))
	for i, c := range f.Columns {
		types[i] = columnType{Name: c.Name, Type: c.Type.String()}
	}
	b, err := json.Marshal(types)
	if err != nil {
		return nil, err
	}
	metadata := map[string]string{typesKey: string(b)}
	for k, v := range f.Meta {
		metadata[metaPrefix+k] = v
	}
	return metadata, nil
}

// ordered is a group whose fields keep the table's order instead of being sorted.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

func (o ordered) Fields() []parquet.Field { return o.fields }

// schemaOf also returns the node of every column.
func schemaOf(f *frame.Frame) (*parquet.Schema, []parquet.Node, error) {
	if err := f.Validate(); err != nil {
		return nil, nil, err
	}
	group := parquet.Group{}
	for _, c := range f.Columns {
		group[c.Name] = nodeOf(c)
	}
	byName := map[string]parquet.Field{}
	for _, field := range group.Fields() {
		byName[field.Name()] = field
	}
	o := ordered{Group: group}
	var nodes []parquet.Node
	for _, c := range f.Columns {
		o.fields = append(o.fields, byName[c.Name])
		nodes = append(nodes, group[c.Name])
	}
	return parquet.NewSchema("table", o), nodes, nil
}

// nodeOf gives a column its Parquet type; it is optional only where values are missing.
func nodeOf(c *frame.Column) parquet.Node {
	var node parquet.Node
	switch {
	case c.Type == frame.Boolean:
		node = parquet.Leaf(parquet.BooleanType)
	case c.Type == frame.Integer && whole(c.Num):
		node = parquet.Int(64)
	case c.Type.Numeric():
		node = parquet.Leaf(parquet.DoubleType)
	case c.Type == frame.Date:
		node = parquet.Date()
	default:
		node = parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	}
	for i := range c.Len() {
		if c.Missing(i) {
			return parquet.Optional(node)
		}
	}
	return node
}

func whole(v []float64) bool {
	for _, x := range v {
		if !math.IsNaN(x) && (x != math.Trunc(x) || math.Abs(x) > 1<<53) {
			return false
		}
	}
	return true
}

func writeColumn(w *parquet.ColumnWriter, c *frame.Column, node parquet.Node, index, from, to int, values []parquet.Value) error {
	value := valueOf(c, node.Type().Kind())
	var levels []parquet.Value
	if c.Type.Textual() {
		levels = make([]parquet.Value, len(c.Levels))
		for i, l := range c.Levels {
			levels[i] = parquet.ByteArrayValue([]byte(l))
		}
		value = func(i int) parquet.Value { return levels[c.Codes[i]] }
	}
	defined := 0
	if node.Optional() {
		defined = 1
	}
	for ; from < to; from += len(values) {
		n := min(len(values), to-from)
		for i := range n {
			if defined == 1 && c.Missing(from+i) {
				values[i] = parquet.NullValue().Level(0, 0, index)
			} else {
				values[i] = value(from+i).Level(0, defined, index)
			}
		}
		if _, err := w.WriteRowValues(values[:n]); err != nil {
			return err
		}
	}
	return nil
}

func valueOf(c *frame.Column, kind parquet.Kind) func(i int) parquet.Value {
	switch {
	case kind == parquet.Boolean:
		return func(i int) parquet.Value { return parquet.BooleanValue(c.Num[i] != 0) }
	case kind == parquet.Int64:
		return func(i int) parquet.Value { return parquet.Int64Value(int64(c.Num[i])) }
	case c.Type == frame.Date:
		return func(i int) parquet.Value { return parquet.Int32Value(c.Days[i]) }
	}
	return func(i int) parquet.Value { return parquet.DoubleValue(c.Num[i]) }
}

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
		kind, err := frame.ParseType(t.Type)
		if err != nil {
			return nil, err
		}
		f.Columns = append(f.Columns, &frame.Column{Name: t.Name, Type: kind})
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

func readColumn(file *parquet.File, t columnType, index, rows int) (*frame.Column, error) {
	kind, err := frame.ParseType(t.Type)
	if err != nil {
		return nil, err
	}
	c := &frame.Column{Name: t.Name, Type: kind}
	r := columnReader{column: c, codes: map[string]int32{}}
	switch {
	case kind.Numeric():
		c.Num = make([]float64, 0, rows)
	case kind == frame.Date:
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
