package boost

import "math/bits"

// segment is a share of the training rows, and what is needed to part and count them. A goroutine works on the same segment
// again and again, so that its rows stay in the cache of one core.
type segment struct {
	train  []int32  // its rows, ascending
	rows   []int32  // those of a node side by side
	temp   []int32  // scratch of part
	gather []uint64 // the words of the rows of a node, side by side
	counts []pair   // its part of the histogram of a node
	block  block
}

// segmentRows is the number of rows that is worth a segment.
const segmentRows = 8 << 10

func newSegment(train []int32, bins int) segment {
	n := len(train)
	return segment{train: train, rows: make([]int32, n), temp: make([]int32, n), gather: make([]uint64, n), counts: make([]pair, bins)}
}

// worth is how many values have to be looked at for the help of other goroutines to be worth it.
const worth = 1 << 13

// parallel calls work for every segment, concurrently where so many rows are worth it.
func (g *grower) parallel(rows int, work func(i int, s *segment)) {
	g.each(len(g.segments), rows*len(g.b.Columns), func(i int) { work(i, &g.segments[i]) })
}

// each calls work for 0 to n-1, which are to look at so many values, concurrently where that is worth it.
func (g *grower) each(n, values int, work func(i int)) {
	if values >= worth {
		g.crew.do(n, work)
		return
	}
	for i := range n {
		work(i)
	}
}

// part moves the rows of the left side of a split to the front of their span, keeping both sides in order, and returns how
// many they are. It has no branches for the data to mislead.
func (g *grower) part(s *segment, p span, by *split) int {
	rows, temp := s.rows[p.from:p.to], s.temp[:p.rows()]
	column, cut, missing := g.b.Columns[by.feature], by.cut, -1
	if by.missingLeft {
		missing = g.b.Bins[by.feature]
	}
	nl, end := 0, len(rows)-1
	for _, r := range rows {
		code := int(column[r])
		if code == missing {
			code = 0
		}
		temp[nl], temp[end] = r, r // the right side backwards from the end
		l := int(uint(code-cut-1) >> (bits.UintSize - 1))
		nl += l
		end -= 1 - l
	}
	copy(rows, temp[:nl])
	right := rows[nl:]
	for i := range right {
		right[i] = temp[len(rows)-1-i]
	}
	return nl
}

// together is the number of features that are counted in one pass over the rows, at most.
const together = 4

// block is the words of up to blockRows rows added up, by the bins of some features. It is all 0 between uses.
type block [together][256]uint64

// count makes the histogram of a span of a segment's rows.
func (g *grower) count(s *segment, p span) {
	rows := s.rows[p.from:p.to]
	words := g.wordsOf(s, rows)
	clear(s.counts)
	for at := 0; at < len(rows); at += blockRows {
		end := min(at+blockRows, len(rows))
		rows, words := rows[at:end], words[at:end]
		for first := 0; first < len(g.b.Columns); {
			columns := g.b.Columns[first:min(first+together, len(g.b.Columns))]
			if len(columns) == together {
				s.block.countTogether(rows, words, columns)
			} else {
				for c, column := range columns {
					countOne(&s.block[c], rows, words, column)
				}
			}
			for c := range columns {
				g.flush(&s.block[c], s.counts[g.offsets[first+c]:g.offsets[first+c+1]])
			}
			first += len(columns)
		}
	}
}

// wordsOf returns the words of some rows, which ascend, side by side.
func (g *grower) wordsOf(s *segment, rows []int32) []uint64 {
	n := len(rows)
	if n == 0 {
		return nil
	}
	if int(rows[n-1]-rows[0]) == n-1 { // they are already
		return g.words[rows[0]:][:n]
	}
	gather := s.gather[:n]
	for i, r := range rows {
		gather[i] = g.words[r]
	}
	return gather
}

func (k *block) countTogether(rows []int32, words []uint64, columns [][]uint8) {
	c0, c1, c2, c3 := columns[0], columns[1], columns[2], columns[3]
	c1, c2, c3 = c1[:len(c0)], c2[:len(c0)], c3[:len(c0)]
	words = words[:len(rows)]
	for i, r := range rows {
		w := words[i]
		k[0][c0[r]] += w
		k[1][c1[r]] += w
		k[2][c2[r]] += w
		k[3][c3[r]] += w
	}
}

func countOne(k *[256]uint64, rows []int32, words []uint64, column []uint8) {
	words = words[:len(rows)]
	for i, r := range rows {
		k[column[r]] += words[i]
	}
}

// flush moves the sums of a block to a histogram.
func (g *grower) flush(k *[256]uint64, h []pair) {
	s := g.scale // a copy, which nothing in the loop can change
	h = h[:min(len(h), len(k))]
	for b, w := range k[:len(h)] {
		p := s.pair(w)
		h[b].g += p.g
		h[b].hc += p.hc
		k[b] = 0
	}
}
