package compare

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/parquet"
	"github.com/hashline/hashline/stages"
)

// Data is how two inputs differ, as their tables were read. Row numbers count data rows from 1.
type Data struct {
	DigestA        string       `json:"digest_a"`
	DigestB        string       `json:"digest_b"`
	RowsA          int          `json:"rows_a"`
	RowsB          int          `json:"rows_b"`
	ColumnsAdded   []string     `json:"columns_added"`
	ColumnsRemoved []string     `json:"columns_removed"`
	TypesChanged   []Change     `json:"types_changed"`
	MatchedBy      string       `json:"matched_by"` // column NAME, content, or nothing when a table was not read
	Added          int          `json:"added"`
	Removed        int          `json:"removed"`
	Changed        int          `json:"changed"`
	Rows           []RowChange  `json:"rows"` // the first maxRows of them
	Cells          []CellChange `json:"cells"`
}

// RowChange is a row that only one of the inputs has.
type RowChange struct {
	Change string `json:"change"` // added or removed
	Row    int    `json:"row"`
	Key    string `json:"key"`
}

// CellChange is a value of a row that both inputs have.
type CellChange struct {
	RowA   int    `json:"row_a"`
	RowB   int    `json:"row_b"`
	Key    string `json:"key"`
	Column string `json:"column"`
	A      string `json:"a"`
	B      string `json:"b"`
}

// maxRows bounds the rows and cells that are told one by one.
const maxRows = 100

func data(ctx context.Context, store *artifact.Store, a, b *side) (*Data, error) {
	d := &Data{DigestA: string(a.document.Input.SHA256), DigestB: string(b.document.Input.SHA256), ColumnsAdded: []string{}, ColumnsRemoved: []string{}, TypesChanged: []Change{}, Rows: []RowChange{}, Cells: []CellChange{}}
	left, err := table(ctx, store, a)
	if err != nil {
		return nil, err
	}
	right, err := table(ctx, store, b)
	if err != nil || left == nil || right == nil {
		return d, err
	}
	Tables(d, left, right)
	return d, nil
}

// table reads what load_data made; nil when it did not get so far.
func table(ctx context.Context, store *artifact.Store, s *side) (*frame.Frame, error) {
	r, ok := s.record.Stage(stages.LoadData)
	if !ok {
		return nil, nil
	}
	o, ok := r.Output("table")
	if !ok {
		return nil, nil
	}
	blob, err := store.Open(ctx, o.Ref)
	if err != nil {
		return nil, fmt.Errorf("run %s: table of %s: %w", s.record.RunID, stages.LoadData, err)
	}
	defer blob.Close()
	return parquet.Read(blob, blob.Size())
}

// Tables compares two tables. Rows are matched by a column that tells them apart in both, else by content, and what is
// left by position.
func Tables(d *Data, a, b *frame.Frame) {
	d.RowsA, d.RowsB = a.Rows, b.Rows
	var left, right []*frame.Column
	for _, c := range a.Columns {
		o := b.Column(c.Name)
		if o == nil {
			d.ColumnsRemoved = append(d.ColumnsRemoved, c.Name)
			continue
		}
		left, right = append(left, c), append(right, o)
		if c.Type != o.Type {
			ta, tb := c.Type.String(), o.Type.String()
			d.TypesChanged = append(d.TypesChanged, Change{c.Name, &ta, &tb})
		}
	}
	for _, c := range b.Columns {
		if a.Column(c.Name) == nil {
			d.ColumnsAdded = append(d.ColumnsAdded, c.Name)
		}
	}
	if len(left) == 0 {
		d.MatchedBy, d.Added, d.Removed = "nothing", b.Rows, a.Rows
		return
	}
	m := matcher{Data: d, a: left, b: right, hashA: hashes(left, a.Rows), hashB: hashes(right, b.Rows), key: -1}
	for i := range left {
		if tellsApart(left[i]) && tellsApart(right[i]) {
			m.key = i
			break
		}
	}
	if m.key >= 0 {
		m.byKey()
	} else {
		m.byContent()
	}
}

// matcher matches the rows of two lists of columns with the same names.
type matcher struct {
	*Data
	a, b         []*frame.Column
	hashA, hashB [][2]uint64
	key          int
}

func hashes(columns []*frame.Column, rows int) [][2]uint64 {
	one, two := frame.RowHashes(columns, rows, 1), frame.RowHashes(columns, rows, 2)
	h := make([][2]uint64, rows)
	for i := range h {
		h[i] = [2]uint64{one[i], two[i]}
	}
	return h
}

// tellsApart reports whether a column has a different value in every row and is made for that: a text or a whole number.
func tellsApart(c *frame.Column) bool {
	if c.Len() < 2 || !(c.Type.Textual() || c.Type == frame.Integer) {
		return false
	}
	seen := make(map[string]struct{}, c.Len())
	for i := range c.Len() {
		if c.Missing(i) {
			return false
		}
		text := Cell(c, i)
		if _, ok := seen[text]; ok {
			return false
		}
		seen[text] = struct{}{}
	}
	return true
}

func (m *matcher) byKey() {
	m.MatchedBy = "column " + m.a[m.key].Name
	ka, kb := m.a[m.key], m.b[m.key]
	at := make(map[string]int, ka.Len())
	for i := range ka.Len() {
		at[Cell(ka, i)] = i
	}
	for j := range kb.Len() {
		key := Cell(kb, j)
		i, ok := at[key]
		if !ok {
			m.added(j)
			continue
		}
		delete(at, key)
		if m.hashA[i] != m.hashB[j] {
			m.changed(i, j)
		}
	}
	var gone []int
	for _, i := range at {
		gone = append(gone, i)
	}
	slices.Sort(gone)
	for _, i := range gone {
		m.removed(i)
	}
}

func (m *matcher) byContent() {
	m.MatchedBy = "content"
	at := make(map[[2]uint64][]int, len(m.hashA))
	for i, h := range m.hashA {
		at[h] = append(at[h], i)
	}
	var left, right []int
	for j, h := range m.hashB {
		if rows := at[h]; len(rows) > 0 {
			at[h] = rows[1:]
		} else {
			right = append(right, j)
		}
	}
	for _, rows := range at {
		left = append(left, rows...)
	}
	slices.Sort(left)
	if len(left) == len(right) {
		for n, i := range left {
			m.changed(i, right[n])
		}
		return
	}
	for len(left) > 0 || len(right) > 0 {
		switch {
		case len(right) == 0 || (len(left) > 0 && left[0] < right[0]):
			m.removed(left[0])
			left = left[1:]
		case len(left) == 0 || right[0] < left[0]:
			m.added(right[0])
			right = right[1:]
		default:
			m.changed(left[0], right[0])
			left, right = left[1:], right[1:]
		}
	}
}

func (m *matcher) keyOf(columns []*frame.Column, i int) string {
	if m.key < 0 {
		return ""
	}
	return Cell(columns[m.key], i)
}

func (m *matcher) added(j int) {
	m.Added++
	if len(m.Rows) < maxRows {
		m.Rows = append(m.Rows, RowChange{"added", j + 1, m.keyOf(m.b, j)})
	}
}

func (m *matcher) removed(i int) {
	m.Removed++
	if len(m.Rows) < maxRows {
		m.Rows = append(m.Rows, RowChange{"removed", i + 1, m.keyOf(m.a, i)})
	}
}

func (m *matcher) changed(i, j int) {
	m.Changed++
	for c := range m.a {
		if len(m.Cells) >= maxRows {
			return
		}
		if va, vb := Cell(m.a[c], i), Cell(m.b[c], j); va != vb {
			m.Cells = append(m.Cells, CellChange{i + 1, j + 1, m.keyOf(m.a, i), m.a[c].Name, va, vb})
		}
	}
}

// Cell is the text of a value; a missing one is empty.
func Cell(c *frame.Column, i int) string {
	switch {
	case c.Missing(i):
		return ""
	case c.Type == frame.Boolean:
		return strconv.FormatBool(c.Num[i] != 0)
	case c.Type.Numeric():
		if v := c.Num[i]; v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.FormatFloat(v, 'f', 0, 64)
		}
		return strconv.FormatFloat(c.Num[i], 'g', -1, 64)
	case c.Type == frame.Date:
		return time.Unix(int64(c.Days[i])*86400, 0).UTC().Format(time.DateOnly)
	}
	return c.Levels[c.Codes[i]]
}
