// Package parquet writes and reads tables as Parquet files whose bytes depend on the table alone.
//
// Integers are INT64 (DOUBLE when a value is not whole), floats DOUBLE, truth values BOOLEAN, dates DATE, and texts
// STRING with dictionaries, so pandas and DuckDB open the files. The types of the columns and the table's own metadata lie in
// the key-value metadata. Files are uncompressed, have row groups of rowGroup rows, pages of pageRows rows and a fixed
// created_by: nothing in them comes from the build.
//
// Structures of the format are those of parquet-go; the pages are laid out and read here. That library packs the same column
// differently with and without AVX2, and makes room for whatever a file claims to hold. Format:
// https://github.com/apache/parquet-format.
package parquet

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/hashline/hashline/ml/frame"
)

const (
	rowGroup   = 1 << 18 // rows of a row group
	pageRows   = 1 << 15 // rows of a page
	magic      = "PAR1"
	typesKey   = "hashline.types"
	metaPrefix = "hashline.meta."
)

// columnType is the metadata of one column.
type columnType struct {
	Name   string     `json:"name"`
	Type   string     `json:"type"`
	Truths *[2]string `json:"truths,omitempty"` // of truth values whose texts are known
}

// Write writes the table. It holds one page and one dictionary in memory beside it.
func Write(w io.Writer, f *frame.Frame) error {
	if err := f.Validate(); err != nil {
		return err
	}
	meta := format.FileMetaData{Version: 1, NumRows: int64(f.Rows), CreatedBy: "hashline version 1"}
	var err error
	if meta.KeyValueMetadata, err = metadataOf(f); err != nil {
		return err
	}
	fw := &fileWriter{w: w}
	fw.write([]byte(magic))
	columns := make([]*columnWriter, len(f.Columns))
	meta.Schema = append(meta.Schema, format.SchemaElement{Name: "table", NumChildren: thrift.New(int32(len(f.Columns)))})
	for i, c := range f.Columns {
		columns[i] = newColumnWriter(fw, c)
		meta.Schema = append(meta.Schema, columns[i].element())
	}
	for from := 0; from < f.Rows; from += rowGroup {
		to := min(from+rowGroup, f.Rows)
		group := format.RowGroup{NumRows: int64(to - from), FileOffset: fw.size, Ordinal: int16(from / rowGroup)}
		for _, c := range columns {
			chunk, err := c.chunk(from, to)
			if err != nil {
				return fmt.Errorf("writing column %q: %w", c.column.Name, err)
			}
			group.Columns = append(group.Columns, chunk)
			group.TotalByteSize += chunk.MetaData.TotalUncompressedSize
		}
		group.TotalCompressedSize = group.TotalByteSize
		meta.RowGroups = append(meta.RowGroups, group)
	}
	return fw.finish(&meta)
}

func metadataOf(f *frame.Frame) ([]format.KeyValue, error) {
	types := make([]columnType, len(f.Columns))
	for i, c := range f.Columns {
		types[i] = columnType{Name: c.Name, Type: c.Type.String()}
		if c.Truths != [2]string{} {
			types[i].Truths = &c.Truths
		}
	}
	b, err := json.Marshal(types)
	if err != nil {
		return nil, err
	}
	list := []format.KeyValue{{Key: typesKey, Value: string(b)}}
	for _, k := range slices.Sorted(maps.Keys(f.Meta)) {
		list = append(list, format.KeyValue{Key: metaPrefix + k, Value: f.Meta[k]})
	}
	return list, nil
}

// fileWriter counts what is written and keeps the first error.
type fileWriter struct {
	w    io.Writer
	size int64
	err  error

	// Columns are written one after the other, and all use the same memory.
	page    []byte  // the page being made
	present []int32 // of the page's rows: 1 where there is a value
	codes   []int32 // the page's values, where they are codes
	local   []int32 // level -> code in the dictionary of the chunk, noCode when it has none
	entries []int32 // code in the dictionary of the chunk -> level
}

func (fw *fileWriter) write(b []byte) {
	if fw.err != nil {
		return
	}
	n, err := fw.w.Write(b)
	fw.size += int64(n)
	if err != nil {
		fw.err = fmt.Errorf("writing parquet: %w", err)
	}
}

// marshal writes a structure of the format and returns its length.
func (fw *fileWriter) marshal(v any) int {
	b, err := thrift.Marshal(new(thrift.CompactProtocol), v)
	if err != nil {
		fw.err = fmt.Errorf("writing parquet: %w", err)
		return 0
	}
	fw.write(b)
	return len(b)
}

func (fw *fileWriter) finish(meta *format.FileMetaData) error {
	n := fw.marshal(meta)
	fw.write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	fw.write([]byte(magic))
	return fw.err
}

// columnWriter writes the chunks of one column.
type columnWriter struct {
	*fileWriter
	column   *frame.Column
	physical format.Type
	optional bool // some value is missing; else the column is required
}

const noCode = -1

func newColumnWriter(fw *fileWriter, c *frame.Column) *columnWriter {
	w := &columnWriter{fileWriter: fw, column: c, physical: physicalType(c)}
	for i := range c.Len() {
		if c.Missing(i) {
			w.optional = true
			break
		}
	}
	return w
}

func physicalType(c *frame.Column) format.Type {
	switch {
	case c.Type == frame.Boolean:
		return format.Boolean
	case c.Type == frame.Integer && whole(c.Num):
		return format.Int64
	case c.Type.Numeric():
		return format.Double
	case c.Type == frame.Date:
		return format.Int32
	}
	return format.ByteArray
}

// whole reports whether every number is an integer that a float64 holds exactly.
func whole(v []float64) bool {
	for _, x := range v {
		if !math.IsNaN(x) && (x != math.Trunc(x) || math.Abs(x) > 1<<53) {
			return false
		}
	}
	return true
}

// element is the column's entry in the schema.
func (w *columnWriter) element() format.SchemaElement {
	e := format.SchemaElement{Name: w.column.Name, Type: thrift.New(w.physical), RepetitionType: thrift.New(format.Required)}
	if w.optional {
		e.RepetitionType = thrift.New(format.Optional)
	}
	switch {
	case w.column.Type == frame.Date:
		e.ConvertedType = thrift.New(deprecated.Date)
		e.LogicalType = format.LogicalType{Value: &format.DateType{}}
	case w.column.Type.Textual():
		e.ConvertedType = thrift.New(deprecated.UTF8)
		e.LogicalType = format.LogicalType{Value: &format.StringType{}}
	}
	return e
}

// chunk writes the rows from..to, in pages.
func (w *columnWriter) chunk(from, to int) (format.ColumnChunk, error) {
	meta := format.ColumnMetaData{
		Type: w.physical, Codec: format.Uncompressed, PathInSchema: []string{w.column.Name},
		NumValues: int64(to - from), Encoding: []format.Encoding{format.Plain, format.RLE},
	}
	start := w.size
	if w.column.Type.Textual() {
		meta.Encoding = []format.Encoding{format.Plain, format.RLE, format.RLEDictionary}
		meta.DictionaryPageOffset = start
		if err := w.dictionary(from, to); err != nil {
			return format.ColumnChunk{}, err
		}
	}
	meta.DataPageOffset = w.size
	for ; from < to; from += pageRows {
		missing, err := w.data(from, min(from+pageRows, to))
		if err != nil {
			return format.ColumnChunk{}, err
		}
		meta.Statistics.NullCount += int64(missing)
	}
	w.forget()
	meta.TotalUncompressedSize = w.size - start
	meta.TotalCompressedSize = meta.TotalUncompressedSize
	return format.ColumnChunk{FileOffset: start, MetaData: meta}, nil
}

// dictionary writes the texts that the rows use, in the order of their first use.
func (w *columnWriter) dictionary(from, to int) error {
	w.page = w.page[:0]
	for len(w.local) < len(w.column.Levels) {
		w.local = append(w.local, noCode)
	}
	for _, level := range w.column.Codes[from:to] {
		if level < 0 || w.local[level] != noCode {
			continue
		}
		w.local[level] = int32(len(w.entries))
		w.entries = append(w.entries, level)
		text := w.column.Levels[level]
		w.page = append(binary.LittleEndian.AppendUint32(w.page, uint32(len(text))), text...)
	}
	return w.flush(format.PageHeader{
		Type:                 format.DictionaryPage,
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(len(w.entries)), Encoding: format.Plain}),
	})
}

// forget ends the dictionary of a row group.
func (w *columnWriter) forget() {
	for _, level := range w.entries {
		w.local[level] = noCode
	}
	w.entries = w.entries[:0]
}

// data writes one page and returns how many of its values are missing.
func (w *columnWriter) data(from, to int) (missing int, err error) {
	w.page = w.page[:0]
	if w.optional {
		w.present = w.present[:0]
		for i := from; i < to; i++ {
			there := int32(1)
			if w.column.Missing(i) {
				there = 0
				missing++
			}
			w.present = append(w.present, there)
		}
		w.page = append(w.page, 0, 0, 0, 0)
		w.page = appendHybrid(w.page, w.present, 1)
		binary.LittleEndian.PutUint32(w.page, uint32(len(w.page)-4))
	}
	encoding := format.Plain
	if w.column.Type.Textual() {
		encoding = format.RLEDictionary
	}
	w.values(from, to)
	return missing, w.flush(format.PageHeader{
		Type: format.DataPage,
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(to - from), Encoding: encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
			Statistics: format.Statistics{NullCount: int64(missing)},
		}),
	})
}

// values appends the values that are not missing.
func (w *columnWriter) values(from, to int) {
	c := w.column
	switch w.physical {
	case format.Int32:
		for _, day := range c.Days[from:to] {
			if day != frame.MissingDay {
				w.page = binary.LittleEndian.AppendUint32(w.page, uint32(day))
			}
		}
	case format.Int64:
		for _, v := range c.Num[from:to] {
			if !math.IsNaN(v) {
				w.page = binary.LittleEndian.AppendUint64(w.page, uint64(int64(v)))
			}
		}
	case format.Double:
		for _, v := range c.Num[from:to] {
			if !math.IsNaN(v) {
				w.page = binary.LittleEndian.AppendUint64(w.page, math.Float64bits(v))
			}
		}
	case format.Boolean:
		w.codes = w.codes[:0]
		for _, v := range c.Num[from:to] {
			if !math.IsNaN(v) {
				bit := int32(0)
				if v != 0 {
					bit = 1
				}
				w.codes = append(w.codes, bit)
			}
		}
		w.page = appendPacked(w.page, w.codes, 1)
	default:
		w.codes = w.codes[:0]
		for _, level := range c.Codes[from:to] {
			if level >= 0 {
				w.codes = append(w.codes, w.local[level])
			}
		}
		width := bitWidth(len(w.entries) - 1)
		w.page = appendHybrid(append(w.page, byte(width)), w.codes, width)
	}
}

// flush writes the page behind its header.
func (w *columnWriter) flush(h format.PageHeader) error {
	if len(w.page) > math.MaxInt32 {
		return fmt.Errorf("a page of %d bytes; at most 2 GB of distinct text fit into %d rows", len(w.page), rowGroup)
	}
	h.UncompressedPageSize, h.CompressedPageSize = int32(len(w.page)), int32(len(w.page))
	w.marshal(&h)
	w.write(w.page)
	return w.err
}
