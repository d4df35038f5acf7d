package compare

import (
	"slices"
	"strconv"

	"github.com/hashline/hashline/ml/frame"
)

// matcher matches the rows of two lists of columns with the same names.
type matcher struct {
	*Data
	a, b         []*frame.Column
	rowsA, rowsB int
	key          int   // the column that tells rows apart, or -1
	toB          []int // for every row of a the row of b that it is, or -1
	toA          []int
}

func newMatcher(d *Data, a, b []*frame.Column) *matcher {
	m := &matcher{Data: d, a: a, b: b, rowsA: a[0].Len(), rowsB: b[0].Len(), key: -1}
	m.toB, m.toA = slices.Repeat([]int{-1}, m.rowsA), slices.Repeat([]int{-1}, m.rowsB)
	return m
}

// match pairs what belongs together.
func (m *matcher) match() {
	var shared map[string]int
	m.key, shared = m.findKey()
	if m.key < 0 {
		m.MatchedBy = "content"
		m.byContent()
		m.byPlace()
		return
	}
	m.MatchedBy = "column " + m.a[m.key].Name
	for j := range m.rowsB {
		if i, ok := shared[cell(m.b[m.key], j)]; ok {
			m.pair(i, j)
		}
	}
	m.byContent() // a row may have got another identifier
	if m.a[m.key].Type != frame.Identifier && m.b[m.key].Type != frame.Identifier {
		m.byPlace() // then what differs in it need not be another row
	}
}

func (m *matcher) pair(i, j int) { m.toB[i], m.toA[j] = j, i }

// findKey returns the column that tells rows apart in both tables and has the most values that both have, at least half
// of the smaller table's; identifiers come first, then the column further left. With it come its values in a, by row.
func (m *matcher) findKey() (key int, at map[string]int) {
	key, most, identifier := -1, 0, false
	for c := range m.a {
		inA, inB := distinct(m.a[c]), map[string]int(nil)
		if inA != nil {
			inB = distinct(m.b[c])
		}
		if inB == nil {
			continue
		}
		shared := 0
		for v := range inB {
			if _, ok := inA[v]; ok {
				shared++
			}
		}
		named := m.a[c].Type == frame.Identifier || m.b[c].Type == frame.Identifier
		if 2*shared < min(m.rowsA, m.rowsB) || shared == 0 || identifier && !named {
			continue
		}
		if shared > most || named && !identifier {
			key, at, most, identifier = c, inA, shared, named
		}
	}
	return key, at
}

// distinct returns the rows of a column by value; nil if a value is missing or occurs twice, or if the column is not of
// a type that names rows: a text or a whole number.
func distinct(c *frame.Column) map[string]int {
	if c.Len() < 2 || !(c.Type.Textual() || c.Type == frame.Integer) {
		return nil
	}
	rows := map[string]int{}
	for i := range c.Len() {
		if c.Missing(i) {
			return nil
		}
		text := cell(c, i)
		if _, ok := rows[text]; ok {
			return nil
		}
		rows[text] = i
	}
	return rows
}

// byContent pairs rows that are equal, the first with the first, in all columns but the key and those whose kind of type
// differs, as every value of such a column may look different.
func (m *matcher) byContent() {
	var left, right []*frame.Column
	for c := range m.a {
		if c != m.key && kindOf(m.a[c]) == kindOf(m.b[c]) {
			left, right = append(left, m.a[c]), append(right, m.b[c])
		}
	}
	if len(left) == 0 {
		return
	}
	hashA, hashB := hashes(left, m.rowsA), hashes(right, m.rowsB)
	at := make(map[[2]uint64][]int)
	for i, h := range hashA {
		if m.toB[i] < 0 {
			at[h] = append(at[h], i)
		}
	}
	for j, h := range hashB {
		if rows := at[h]; m.toA[j] < 0 && len(rows) > 0 {
			m.pair(rows[0], j)
			at[h] = rows[1:]
		}
	}
}

// kindOf is what frame.RowHashes tells apart.
func kindOf(c *frame.Column) int {
	switch {
	case c.Type.Numeric():
		return 0
	case c.Type.Textual():
		return 1
	}
	return 2
}

func hashes(columns []*frame.Column, rows int) [][2]uint64 {
	one, two := frame.RowHashes(columns, rows, 1), frame.RowHashes(columns, rows, 2)
	h := make([][2]uint64, rows)
	for i := range h {
		h[i] = [2]uint64{one[i], two[i]}
	}
	return h
}

// byPlace pairs rows that are left over between the same two matched rows.
func (m *matcher) byPlace() {
	left, right := gaps(m.toB), gaps(m.toA)
	for len(left) > 0 && len(right) > 0 {
		switch l, r := left[0], right[0]; {
		case l.after < r.after:
			left = left[1:]
		case r.after < l.after:
			right = right[1:]
		default:
			m.align(l.rows, r.rows)
			left, right = left[1:], right[1:]
		}
	}
}

// gap is a stretch of rows without a match.
type gap struct {
	after int // how many rows before it have one
	rows  []int
}

func gaps(matched []int) []gap {
	var list []gap
	n := 0
	for i, other := range matched {
		switch {
		case other >= 0:
			n++
		case len(list) == 0 || list[len(list)-1].after != n:
			list = append(list, gap{n, []int{i}})
		default:
			list[len(list)-1].rows = append(list[len(list)-1].rows, i)
		}
	}
	return list
}

// maxAligned bounds the pairs of rows that align looks at.
const maxAligned = 10_000

// align pairs rows in order. Where there are more on one side, it leaves out those without which the pairs have the most
// values in common.
func (m *matcher) align(left, right []int) {
	if len(left) == len(right) || len(left)*len(right) > maxAligned {
		for n := range min(len(left), len(right)) {
			m.pair(left[n], right[n])
		}
		return
	}
	// best[x][y] is the most that rows from x on the left and from y on the right can have in common.
	best := make([][]int, len(left)+1)
	for x := range best {
		best[x] = make([]int, len(right)+1)
	}
	for x := len(left) - 1; x >= 0; x-- {
		for y := len(right) - 1; y >= 0; y-- {
			best[x][y] = max(best[x+1][y], best[x][y+1], best[x+1][y+1]+m.common(left[x], right[y]))
		}
	}
	for x, y := 0, 0; x < len(left) && y < len(right); {
		switch best[x][y] {
		case best[x+1][y]:
			x++
		case best[x][y+1]:
			y++
		default:
			m.pair(left[x], right[y])
			x, y = x+1, y+1
		}
	}
}

// common counts the columns in which two rows agree.
func (m *matcher) common(i, j int) int {
	n := 0
	for c := range m.a {
		if same(m.a[c], i, m.b[c], j) {
			n++
		}
	}
	return n
}

// same reports whether two values are the same, though one column may be of numbers and the other of text.
func same(a *frame.Column, i int, b *frame.Column, j int) bool {
	va, vb := cell(a, i), cell(b, j)
	if va == vb {
		return true
	}
	if kindOf(a) == kindOf(b) || va == "" || vb == "" {
		return false
	}
	x, errA := strconv.ParseFloat(va, 64)
	y, errB := strconv.ParseFloat(vb, 64)
	return errA == nil && errB == nil && x == y
}

// tell records what came of the matching: what b has first, in its order, then what only a has.
func (m *matcher) tell() {
	for j, i := range m.toA {
		if i < 0 {
			m.Added++
			m.row("added", m.b, j)
		} else {
			m.changed(i, j)
		}
	}
	for i, j := range m.toB {
		if j < 0 {
			m.Removed++
			m.row("removed", m.a, i)
		}
	}
}

func (m *matcher) keyOf(columns []*frame.Column, i int) string {
	if m.key < 0 {
		return ""
	}
	return cell(columns[m.key], i)
}

func (m *matcher) row(change string, columns []*frame.Column, i int) {
	if len(m.Rows) < maxRows {
		m.Rows = append(m.Rows, RowChange{change, i + 1, m.keyOf(columns, i)})
	}
}

func (m *matcher) changed(i, j int) {
	differs := false
	for c := range m.a {
		if same(m.a[c], i, m.b[c], j) {
			continue
		}
		differs = true
		if len(m.Cells) < maxRows {
			m.Cells = append(m.Cells, CellChange{i + 1, j + 1, m.keyOf(m.a, i), m.a[c].Name, cell(m.a[c], i), cell(m.b[c], j)})
		}
	}
	if differs {
		m.Changed++
	}
}
