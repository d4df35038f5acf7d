package parquet

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/hashline/hashline/ml/frame"
)

// maxRows bounds what a reader believes.
const maxRows = 1 << 31

// errDamaged says that a file contradicts itself.
var errDamaged = errors.New("damaged file")

// Read reads the named columns of a table, in that order, or all of them in the table's order when none is named. A file
// that Write did not make, is damaged or made to harm gives an error, and takes no more memory than it has bytes for: a
// page stands for pageRows rows at most.
func Read(r io.ReaderAt, size int64, names ...string) (*frame.Frame, error) {
	t, err := open(r, size)
	if err != nil {
		return nil, fmt.Errorf("reading parquet: %w", err)
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
		c, err := t.read(i)
		if err != nil {
			return nil, fmt.Errorf("reading column %.80q: %w", name, err)
		}
		t.frame.Columns = append(t.frame.Columns, c)
	}
	return t.frame, t.frame.Validate()
}

// Describe returns a table's number of rows, its metadata and its columns without their values.
func Describe(r io.ReaderAt, size int64) (*frame.Frame, error) {
	t, err := open(r, size)
	if err != nil {
		return nil, fmt.Errorf("reading parquet: %w", err)
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

// table is an open file, and the frame that it gives, without columns.
type table struct {
	r      io.ReaderAt
	size   int64
	schema []format.SchemaElement // of the columns
	groups []format.RowGroup
	types  []columnType
	frame  *frame.Frame
	buffer []byte
}

// open reads the metadata at the end of a file.
func open(r io.ReaderAt, size int64) (*table, error) {
	t := &table{r: r, size: size}
	tail, err := t.bytes(size-8, 8)
	if err != nil || string(tail[4:]) != magic {
		return nil, errors.New("this is no Parquet file")
	}
	length := int64(binary.LittleEndian.Uint32(tail))
	footer, err := t.bytes(size-8-length, length)
	if err != nil {
		return nil, err
	}
	var meta format.FileMetaData
	if _, err := decode(bytes.Clone(footer), &meta); err != nil { // texts of the metadata share its memory
		return nil, err
	}
	if meta.NumRows < 0 || meta.NumRows > maxRows {
		return nil, fmt.Errorf("%d rows", meta.NumRows)
	}
	t.frame = &frame.Frame{Rows: int(meta.NumRows), Meta: map[string]string{}}
	for _, kv := range meta.KeyValueMetadata {
		if kv.Key == typesKey {
			if err := json.Unmarshal([]byte(kv.Value), &t.types); err != nil {
				return nil, fmt.Errorf("types: %w", err)
			}
		} else if key, ok := strings.CutPrefix(kv.Key, metaPrefix); ok {
			t.frame.Meta[key] = kv.Value
		}
	}
	if len(meta.Schema) != len(t.types)+1 {
		return nil, errors.New("this file was not written by Hashline")
	}
	t.schema, t.groups = meta.Schema[1:], meta.RowGroups
	return t, nil
}

// bytes reads a part of the file; they are valid until the next call.
func (t *table) bytes(from, n int64) ([]byte, error) {
	if from < 0 || n < 0 || from > t.size || n > t.size-from {
		return nil, errDamaged
	}
	t.buffer = slices.Grow(t.buffer[:0], int(n))[:n]
	if _, err := t.r.ReadAt(t.buffer, from); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return t.buffer, nil
}

// decode reads a structure of the format and returns its length. The library may panic on damaged bytes.
func decode(b []byte, v any) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	r := bounded{new(thrift.CompactProtocol).NewReaderFromBytes(b), len(b)}
	if err := thrift.NewDecoder(r).Decode(v); err != nil {
		return 0, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return r.BytesRead(), nil
}

// bounded does not believe in lists that are longer than the bytes that are left: the library would make room for them.
type bounded struct {
	thrift.BytesReader
	size int
}

func (r bounded) ReadList() (thrift.List, error) {
	l, err := r.BytesReader.ReadList()
	if err == nil && int(l.Size) > r.size-r.BytesRead() {
		err = io.ErrUnexpectedEOF
	}
	return l, err
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

// read reads column i.
func (t *table) read(i int) (*frame.Column, error) {
	c, err := t.types[i].column()
	if err != nil {
		return nil, err
	}
	r := columnReader{column: c, rows: t.frame.Rows, optional: t.schema[i].RepetitionType.V == format.Optional}
	if err := t.makeRoom(c, i); err != nil {
		return nil, err
	}
	for g := range t.groups {
		m := &t.groups[g].Columns[i].MetaData
		from := m.DataPageOffset
		if m.DictionaryPageOffset > 0 {
			from = m.DictionaryPageOffset
		}
		b, err := t.bytes(from, m.TotalCompressedSize)
		if err != nil {
			return nil, err
		}
		if m.Codec != format.Uncompressed || !fits(m.Type, c.Type) {
			return nil, errors.New("its values are not of the column's type")
		}
		if err := r.chunk(b, m.Type); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// makeRoom makes room for as many rows as the bytes of column i can hold at a bit a row; runs that hold more find it as
// they come.
func (t *table) makeRoom(c *frame.Column, i int) error {
	bits := int64(0)
	for _, g := range t.groups {
		if i >= len(g.Columns) {
			return errDamaged
		}
		bits += 8 * min(t.size, max(0, g.Columns[i].MetaData.TotalCompressedSize))
	}
	room := int(min(int64(t.frame.Rows), bits))
	switch {
	case c.Type.Numeric():
		c.Num = make([]float64, 0, room)
	case c.Type == frame.Date:
		c.Days = make([]int32, 0, room)
	default:
		c.Codes = make([]int32, 0, room)
	}
	return nil
}

// fits reports whether Write gives values of a column of type t that form.
func fits(physical format.Type, t frame.Type) bool {
	switch {
	case t.Textual():
		return physical == format.ByteArray
	case t == frame.Date:
		return physical == format.Int32
	case t == frame.Boolean:
		return physical == format.Boolean
	}
	return physical == format.Int64 || physical == format.Double
}

// columnReader appends the pages of one column.
type columnReader struct {
	column   *frame.Column
	rows     int              // that it is to have
	optional bool             // pages say which of their values are there
	known    map[string]int32 // level -> code, from the second dictionary on

	codes   []int32 // index in the dictionary of the chunk -> code
	present []int32 // of the page's rows: 1 where there is a value
	indexes []int32 // the page's values, where they are codes
}

// chunk reads the pages of one chunk.
func (r *columnReader) chunk(b []byte, physical format.Type) error {
	r.codes = r.codes[:0]
	for len(b) > 0 {
		var h format.PageHeader
		n, err := decode(b, &h)
		if err != nil {
			return err
		}
		b = b[n:]
		if size := int(h.CompressedPageSize); size < 0 || size > len(b) {
			return errDamaged
		}
		page := b[:h.CompressedPageSize]
		b = b[len(page):]
		switch {
		case h.Type == format.DictionaryPage && r.column.Type.Textual():
			err = r.dictionary(page, int(h.DictionaryPageHeader.V.NumValues))
		case h.Type == format.DataPage:
			err = r.page(page, int(h.DataPageHeader.V.NumValues), physical)
		default:
			err = errDamaged
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dictionary gives each of n entries its code. Entries stand in the order of their first use, so codes do too. Those of the
// first dictionary are all new, and share the memory of one text.
func (r *columnReader) dictionary(page []byte, n int) error {
	if n < 0 || n > len(page)/4 {
		return errDamaged
	}
	c, first, text := r.column, len(r.column.Levels) == 0, ""
	if first {
		c.Levels, text = make([]string, 0, n), string(page)
	} else if r.known == nil {
		r.known = make(map[string]int32, len(c.Levels))
		for code, level := range c.Levels {
			r.known[level] = int32(code)
		}
	}
	for at := 0; n > 0; n-- {
		if at+4 > len(page) {
			return errDamaged
		}
		length := int(binary.LittleEndian.Uint32(page[at:]))
		at += 4
		if length > len(page)-at {
			return errDamaged
		}
		code, old := int32(len(c.Levels)), false
		if first {
			c.Levels = append(c.Levels, text[at:at+length])
		} else if code, old = r.known[string(page[at:at+length])]; !old {
			level := string(page[at : at+length])
			code = int32(len(c.Levels))
			c.Levels = append(c.Levels, level)
			r.known[level] = code
		}
		r.codes = append(r.codes, code)
		at += length
	}
	return nil
}

// page appends n rows: the values that are there, and then the missing ones among them.
func (r *columnReader) page(b []byte, n int, physical format.Type) (err error) {
	if n < 0 || n > pageRows || n > r.rows-r.column.Len() {
		return errDamaged
	}
	values := n
	r.present = r.present[:0]
	if r.optional {
		if b, err = r.levels(b, n); err != nil {
			return err
		}
		values = 0
		for _, p := range r.present {
			values += int(p)
		}
	}
	c := r.column
	from := c.Len()
	switch {
	case c.Type.Textual():
		if err := r.appendCodes(b, values); err != nil {
			return err
		}
		c.Codes = withGaps(c.Codes, from, r.present, frame.MissingCode)
	case len(b) < sizeOf(physical, values):
		return errDamaged
	case c.Type == frame.Date:
		for i := range values {
			c.Days = append(c.Days, int32(binary.LittleEndian.Uint32(b[4*i:])))
		}
		c.Days = withGaps(c.Days, from, r.present, frame.MissingDay)
	default:
		c.Num = withGaps(appendNumbers(c.Num, b, values, physical), from, r.present, math.NaN())
	}
	return nil
}

// levels reads which of n values are there, and returns what follows.
func (r *columnReader) levels(b []byte, n int) ([]byte, error) {
	if len(b) < 4 {
		return nil, errDamaged
	}
	length := int(binary.LittleEndian.Uint32(b))
	if b = b[4:]; length > len(b) {
		return nil, errDamaged
	}
	r.present = slices.Grow(r.present[:0], n)[:n]
	return b[length:], decodeHybrid(b[:length], 1, r.present)
}

// appendCodes reads indexes into the dictionary, behind a byte that tells their width.
func (r *columnReader) appendCodes(b []byte, n int) error {
	if len(b) == 0 {
		return errDamaged
	}
	r.indexes = slices.Grow(r.indexes[:0], n)[:n]
	if err := decodeHybrid(b[1:], int(b[0]), r.indexes); err != nil {
		return err
	}
	for _, i := range r.indexes {
		if uint(i) >= uint(len(r.codes)) {
			return errDamaged
		}
		r.column.Codes = append(r.column.Codes, r.codes[i])
	}
	return nil
}

// sizeOf is the number of bytes of n plain values.
func sizeOf(physical format.Type, n int) int {
	switch physical {
	case format.Boolean:
		return (n + 7) / 8
	case format.Int32:
		return 4 * n
	}
	return 8 * n
}

// appendNumbers appends n plain values, for which b is long enough.
func appendNumbers(v []float64, b []byte, n int, physical format.Type) []float64 {
	from := len(v)
	v = slices.Grow(v, n)[:from+n]
	now := v[from:]
	switch physical {
	case format.Boolean:
		for i := range now {
			now[i] = float64(b[i/8] >> (i % 8) & 1)
		}
	case format.Int64:
		for i := range now {
			now[i] = float64(int64(binary.LittleEndian.Uint64(b[8*i:])))
		}
	default:
		for i := range now {
			now[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
	}
	return v
}

// withGaps spreads the values v[from:] over the rows of a page and fills the gaps. present has a 1 for each row that has a
// value, or is empty when all have one.
func withGaps[T any](v []T, from int, present []int32, missing T) []T {
	next := len(v)
	if from+len(present) <= next { // all are there
		return v
	}
	v = slices.Grow(v, from+len(present)-next)[:from+len(present)]
	for i := len(present) - 1; i >= 0; i-- { // a value never moves to the left, so none is written over unread
		at := &v[from+i]
		if present[i] == 0 {
			*at = missing
			continue
		}
		next--
		*at = v[next]
	}
	return v
}
