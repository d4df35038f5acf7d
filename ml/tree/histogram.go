package tree

// histogram counts the rows of one node by the bins of one column. A bin is one word; of many classes it is
// classes words of weights, or in a small node a chain of rows.
type histogram struct {
	words   []uint64
	touched []uint64 // one bit for each bin, kept for small nodes
	lanes   [4][lane]uint64
	tiny    [16]int64 // codes of the rows of a tiny node

	// for many classes
	heads   []int32  // of each bin the place behind its last row among the node's, 0 for none
	next    []int32  // of each row the one before it in its bin, as in heads
	left    []uint64 // by class: weights of the bins scanned so far
	missing []uint64 // by class: weights without a value
}

func newHistogram(bins, classes int, many bool) *histogram {
	h := &histogram{touched: make([]uint64, bins/64+1)}
	if !many {
		h.words = make([]uint64, bins+1)
		return h
	}
	h.words = make([]uint64, (bins+1)*classes)
	h.heads, h.next = make([]int32, bins+1), make([]int32, bins)
	h.left, h.missing = make([]uint64, classes), make([]uint64, classes)
	return h
}

func fill[T uint8 | uint16](h *histogram, rows []int32, words []uint64, column []T) {
	bins, words := h.words, words[:len(rows)]
	for i, r := range rows {
		bins[column[r]] += words[i]
	}
}

// fillTouched also notes which bins it used.
func fillTouched[T uint8 | uint16](h *histogram, rows []int32, words []uint64, column []T) {
	bins, touched, words := h.words, h.touched, words[:len(rows)]
	for i, r := range rows {
		b := column[r]
		bins[b] += words[i]
		touched[b>>6] |= 1 << (b & 63)
	}
}

// lane is the number of codes of a column that is counted in four histograms at once. Where there are few bins, one row
// often falls into the bin of the row before, and a single histogram would wait for its own last sum.
const lane = 64

func fillLanes[T uint8 | uint16](h *histogram, bins int, rows []int32, words []uint64, column []T) {
	l := &h.lanes
	words = words[:len(rows)]
	i := 0
	for ; i+4 <= len(rows); i += 4 {
		r, p := rows[i:i+4:i+4], words[i:i+4:i+4]
		l[0][column[r[0]]&(lane-1)] += p[0]
		l[1][column[r[1]]&(lane-1)] += p[1]
		l[2][column[r[2]]&(lane-1)] += p[2]
		l[3][column[r[3]]&(lane-1)] += p[3]
	}
	for ; i < len(rows); i++ {
		l[0][column[rows[i]]&(lane-1)] += words[i]
	}
	for b := range h.words[:bins+1] {
		h.words[b] = l[0][b&(lane-1)] + l[1][b&(lane-1)] + l[2][b&(lane-1)] + l[3][b&(lane-1)]
	}
	for b := range bins + 1 {
		l[0][b], l[1][b], l[2][b], l[3][b] = 0, 0, 0, 0
	}
}

func fillMany[T uint8 | uint16](h *histogram, classes int, rows []int32, words []uint64, column []T) {
	words = words[:len(rows)]
	for i, r := range rows {
		h.words[int(column[r])*classes+int(words[i]>>32)] += words[i] & weightMask
	}
}

// fillChains notes which bins it used, and the rows of each, of which there are fewer than classes in most.
func fillChains[T uint8 | uint16](h *histogram, rows []int32, column []T) {
	next := h.next[:len(rows)]
	for i, r := range rows {
		b := column[r]
		next[i] = h.heads[b]
		h.heads[b] = int32(i) + 1
		h.touched[b>>6] |= 1 << (b & 63)
	}
}
