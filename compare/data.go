package compare

import (
	"context"
	"fmt"
	"math"
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
	MatchedBy      string       `json:"matched_by"` // column NAME or content; empty when a table was not read, nothing when they share no column
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
	tables(d, left, right)
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
	blob, err := store.OpenOutput(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("run %s: table of %s: %w", s.record.RunID, stages.LoadData, err)
	}
	defer blob.Close()
	return parquet.Read(blob, blob.Size())
}

// tables compares two tables. Rows are matched by a column that tells them apart in both, else by content, and what is
// left by position: by the matched rows that it lies between.
func tables(d *Data, a, b *frame.Frame) {
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
	m := newMatcher(d, left, right)
	m.match()
	m.tell()
}

// cell is the text of a value; a missing one is empty.
func cell(c *frame.Column, i int) string {
	switch {
	case c.Missing(i):
		return ""
	case c.Type == frame.Boolean:
		return c.TruthText(c.Num[i] != 0)
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
