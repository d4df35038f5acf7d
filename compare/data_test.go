package compare

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/frame"
)

func read(t testing.TB, text string) *frame.Frame {
	t.Helper()
	f, _, err := csv.Read(t.Context(), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }, csv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// row is one of a table with a name and two numbers.
type row struct {
	id   string
	x, y int
}

func numbered(n int) []row {
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{fmt.Sprintf("ID-%04d", i+1), i * 7 % 5, i / 3}
	}
	return rows
}

func text(rows []row, id bool) string {
	var b strings.Builder
	if id {
		b.WriteString("id,")
	}
	b.WriteString("x,y\n")
	for _, r := range rows {
		if id {
			b.WriteString(r.id + ",")
		}
		fmt.Fprintf(&b, "%d,%d\n", r.x, r.y)
	}
	return b.String()
}

// told is what was found, one line for each row and value.
func told(d *Data) []string {
	lines := []string{fmt.Sprintf("%s: +%d -%d ~%d", d.MatchedBy, d.Added, d.Removed, d.Changed)}
	for _, r := range d.Rows {
		lines = append(lines, fmt.Sprintf("%s %d %s", r.Change, r.Row, r.Key))
	}
	for _, c := range d.Cells {
		lines = append(lines, fmt.Sprintf("%d->%d %s %s: %s->%s", c.RowA, c.RowB, c.Key, c.Column, c.A, c.B))
	}
	return lines
}

func TestTables(t *testing.T) {
	with := func(change func([]row) []row) []row { return change(numbered(60)) }
	for _, c := range []struct {
		name string
		id   bool
		b    []row
		want []string
	}{
		{"identifier: one value", true, with(func(r []row) []row { r[9].x = 99; return r }), []string{"column id: +0 -0 ~1", "10->10 ID-0010 x: 3->99"}},
		{"identifier: rows in another order", true, with(func(r []row) []row { slices.Reverse(r); return r }), []string{"column id: +0 -0 ~0"}},
		{"identifier: one changed, moved to the end", true, with(func(r []row) []row { m := r[9]; m.y = 99; return append(slices.Delete(r, 9, 10), m) }),
			[]string{"column id: +0 -0 ~1", "10->60 ID-0010 y: 3->99"}},
		{"identifier: one removed, one added", true, with(func(r []row) []row { return append(r[1:], row{"ID-9999", 77, 78}) }),
			[]string{"column id: +1 -1 ~0", "added 60 ID-9999", "removed 1 ID-0001"}},
		{"identifier: changed itself", true, with(func(r []row) []row { r[9].id = "ID-9999"; return r }), []string{"column id: +0 -0 ~1", "10->10 ID-0010 id: ID-0010->ID-9999"}},
		{"content: one value", false, with(func(r []row) []row { r[9].x = 99; return r }), []string{"content: +0 -0 ~1", "10->10  x: 3->99"}},
		{"content: rows in another order", false, with(func(r []row) []row { slices.Reverse(r); return r }), []string{"content: +0 -0 ~0"}},
		{"content: first row removed", false, with(func(r []row) []row { return r[1:] }), []string{"content: +0 -1 ~0", "removed 1 "}},
		{"content: a row more", false, with(func(r []row) []row { return slices.Insert(r, 20, row{"", 50, 51}) }), []string{"content: +1 -0 ~0", "added 21 "}},
		{"position: removed, changed and added apart", false, with(func(r []row) []row {
			r[30].x = 99
			r = slices.Insert(r, 50, row{"", 50, 51})
			return slices.Delete(r, 5, 6)
		}), []string{"content: +1 -1 ~1", "added 50 ", "removed 6 ", "31->30  x: 0->99"}},
		{"position: a new row right before a changed one", false, with(func(r []row) []row {
			r[30].x = 99
			return slices.Insert(r, 30, row{"", 50, 51})
		}), []string{"content: +1 -0 ~1", "added 31 ", "31->32  x: 0->99"}},
		{"position: two changed side by side", false, with(func(r []row) []row { r[30].x, r[31].x = 98, 99; return r }), []string{"content: +0 -0 ~2", "31->31  x: 0->98", "32->32  x: 2->99"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &Data{}
			tables(d, read(t, text(numbered(60), c.id)), read(t, text(c.b, c.id)))
			if got := told(d); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestTablesOfOtherColumns(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		want       []string
		columns    string
	}{
		{"a text in a column of numbers", "x,y\n1.50,a\n2,b\n3,c\n3,c\n", "x,y\n1.5,a\n2,b\n?,c\n3,c\n", []string{"content: +0 -0 ~1", "3->3  x: 3->?"}, "type of x"},
		{"a column more", "x,y\n1,a\n2,a\n3,a\n", "x,y,z\n1,a,5\n2,a,6\n3,a,7\n", []string{"column x: +0 -0 ~0"}, "+z"},
		{"no column in common", "x,y\n1,a\n2,b\n", "u,v\n1,a\n2,b\n3,c\n", []string{"nothing: +3 -2 ~0"}, "+u +v -x -y"},
		{"a unique measurement that changed", "pay,team\n1001,a\n1007,b\n1020,a\n1033,b\n", "pay,team\n1001,a\n1008,b\n1020,a\n1033,b\n", []string{"column pay: +0 -0 ~1", "2->2 1007 pay: 1007->1008"}, ""},
		{"a value missing", "x,y\n1,a\n2,a\n2,b\n", "x,y\n1,a\n,a\n2,b\n", []string{"content: +0 -0 ~1", "2->2  x: 2->"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &Data{}
			tables(d, read(t, c.a), read(t, c.b))
			if got := told(d); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			var columns []string
			for _, n := range d.ColumnsAdded {
				columns = append(columns, "+"+n)
			}
			for _, n := range d.ColumnsRemoved {
				columns = append(columns, "-"+n)
			}
			for _, n := range d.TypesChanged {
				columns = append(columns, "type of "+n.Where)
			}
			if got := strings.Join(columns, " "); got != c.columns {
				t.Errorf("columns: got %q, want %q", got, c.columns)
			}
		})
	}
}

// Whatever is done to a table, the counts add up: every row is matched once or told of.
func TestTablesAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 60 {
		rows := numbered(1 + r.IntN(40))
		for range r.IntN(12) {
			switch at := r.IntN(len(rows)); r.IntN(3) {
			case 0:
				rows[at].x = r.IntN(9)
			case 1:
				rows = slices.Insert(rows, at, row{fmt.Sprintf("N-%d", r.IntN(1000)), r.IntN(3), r.IntN(3)})
			case 2:
				if len(rows) > 1 {
					rows = slices.Delete(rows, at, at+1)
				}
			}
		}
		a, b := read(t, text(numbered(30), n%2 == 0)), read(t, text(rows, n%2 == 0))
		there, back := &Data{}, &Data{}
		tables(there, a, b)
		tables(back, b, a)
		if got, want := there.RowsA-there.Removed, there.RowsB-there.Added; got != want || there.Added < 0 || there.Changed > got {
			t.Errorf("table %d: %d rows of a and %d of b are matched, %d changed", n, got, want, there.Changed)
		}
		if there.Added != back.Removed || there.Removed != back.Added {
			t.Errorf("table %d: there +%d -%d, back +%d -%d", n, there.Added, there.Removed, back.Added, back.Removed)
		}
	}
}
