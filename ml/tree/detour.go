package tree

import "math/bits"

// blockPermuter takes some rows through all trees, with their own values and with those that the permutations give them.
// It visits every tree from the root, dividing the rows at each node.
type blockPermuter struct {
	*permuter
	from, n int
	tree    int // at hand
	nodes   []walker
	codes   []uint16   // of the rows, column by column: two codes for each feature
	others  [][]uint16 // for each column of a feature at hand the codes that the permutations give, row by row
	leaves  []uint32   // where the rows end in the tree with their own values
	turned  []uint64   // for each row and feature at hand the permutations that have left the row's path; zero between trees
	levels  []*level
}

// detour is a row that has left its path because some permutations give it other values of a feature. They stay together
// until a node asks for the feature again and tells them apart.
type detour struct {
	which   uint64 // the permutations, a bit each
	row     int32
	feature int32
}

// level is scratch space for one depth: what goes left and right.
type level struct {
	rows    [2][]int32
	detours [2][]detour
}

func newBlockPermuter(p *permuter, from, n int) *blockPermuter {
	b := &blockPermuter{permuter: p, from: from, n: n, codes: make([]uint16, n*p.x.width), leaves: make([]uint32, n)}
	for i := range n {
		for c, code := range p.x.codes[(from+i)*p.x.width : (from+i+1)*p.x.width] {
			b.codes[c*n+i] = code
		}
	}
	b.turned = make([]uint64, (p.end-p.first)*n)
	for f := p.first; f < p.end; f++ {
		low, same := b.give(2 * f)
		high := low
		if !same {
			high, _ = b.give(2*f + 1)
		}
		b.others = append(b.others, low, high)
	}
	return b
}

// give returns the codes of a column that the permutations give the rows, and whether they are those of the column beside
// it too, as no value is missing.
func (b *blockPermuter) give(column int) (codes []uint16, same bool) {
	codes, same = make([]uint16, 0, b.n*len(b.permutations)), true
	for i := range b.n {
		for _, permutation := range b.permutations {
			at := int(permutation[b.from+i]) * b.x.width
			code := b.x.codes[at+column]
			same = same && code == b.x.codes[at+column^1]
			codes = append(codes, code)
		}
	}
	return codes, same
}

func (b *blockPermuter) run() {
	all := make([]int32, b.n)
	for i := range all {
		all[i] = int32(i)
	}
	block := &matrix{rows: b.n, width: b.x.width, codes: b.x.codes[b.from*b.x.width : (b.from+b.n)*b.x.width]}
	base := b.base[b.from*b.width : (b.from+b.n)*b.width]
	for t := range b.m.trees {
		b.tree, b.nodes = t, b.m.trees[t].nodes
		b.m.walkTree(t, block, base, b.leaves)
		b.visit(0, 0, all, nil)
		clear(b.turned)
	}
}

// visit takes rows and detours on from a node.
func (b *blockPermuter) visit(at uint32, depth int, rows []int32, detours []detour) {
	if len(rows)+len(detours) == 0 {
		return
	}
	n := b.nodes[at]
	if n.left == at {
		b.leaf(at, detours)
		return
	}
	l := b.level(depth, len(rows), len(detours))
	b.divide(n, l, rows)
	f := int(n.column >> 1)
	var turned [2][]detour
	if f >= b.first && f < b.end {
		turned[1] = b.turn(n, l.rows[0], 0, l.detours[1][:0])
		turned[0] = b.turn(n, l.rows[1], 1, l.detours[0][:0])
	}
	l.detours[0], l.detours[1] = b.follow(n, detours, l.detours[0], len(turned[0]), l.detours[1], len(turned[1]))
	b.visit(n.left, depth+1, l.rows[0], l.detours[0])
	b.visit(n.left+1, depth+1, l.rows[1], l.detours[1])
}

// level returns the scratch space of a depth, large enough for rows and detours that come to a node.
func (b *blockPermuter) level(depth, rows, detours int) *level {
	if depth == len(b.levels) {
		b.levels = append(b.levels, &level{})
	}
	l := b.levels[depth]
	for s := range 2 {
		if cap(l.rows[s]) < rows {
			l.rows[s] = make([]int32, 2*rows)
		}
		if cap(l.detours[s]) < rows+detours {
			l.detours[s] = make([]detour, 2*(rows+detours))
		}
		l.rows[s] = l.rows[s][:rows]
		l.detours[s] = l.detours[s][:rows+detours]
	}
	return l
}

// divide sends rows with their own values left and right, without branches that depend on the data.
func (b *blockPermuter) divide(n walker, l *level, rows []int32) {
	column := b.codes[int(n.column)*b.n:][:b.n]
	left, right := l.rows[0], l.rows[1]
	nl, nr := 0, 0
	for _, r := range rows {
		s := int(uint32(int32(n.cut)-int32(column[r])) >> 31)
		left[nl], right[nr] = r, r
		nl += 1 - s
		nr += s
	}
	l.rows[0], l.rows[1] = left[:nl], right[:nr]
}

// turn appends the detours that rows which go to side begin at node n.
func (b *blockPermuter) turn(n walker, rows []int32, side uint64, detours []detour) []detour {
	f := int(n.column >> 1)
	turned, width := b.turned[f-b.first:], b.end-b.first
	others := b.others[int(n.column)-2*b.first]
	all := uint64(1)<<len(b.permutations) - 1
	for _, r := range rows {
		was := &turned[int(r)*width]
		off := (b.rights(n, others, r) ^ -side) & all &^ *was
		*was |= off
		if off != 0 {
			detours = append(detours, detour{which: off, row: r, feature: int32(f)})
		}
	}
	return detours
}

// rights returns a bit for each permutation that sends the row to the right of node n. others are the codes of the node's
// column.
func (b *blockPermuter) rights(n walker, others []uint16, row int32) (right uint64) {
	width := len(b.permutations)
	for r, code := range others[int(row)*width:][:width] {
		right |= uint64(uint32(int32(n.cut)-int32(code))>>31) << (r & 63)
	}
	return right
}

// follow sends detours left and right, behind the nl and nr that are there already.
func (b *blockPermuter) follow(n walker, detours, left []detour, nl int, right []detour, nr int) (l, r []detour) {
	column := b.codes[int(n.column)*b.n:][:b.n]
	f := int32(n.column >> 1)
	var others []uint16
	if int(f) >= b.first && int(f) < b.end {
		others = b.others[int(n.column)-2*b.first]
	}
	for _, t := range detours {
		if t.feature != f {
			s := int(uint32(int32(n.cut)-int32(column[t.row])) >> 31)
			left[nl], right[nr] = t, t
			nl += 1 - s
			nr += s
			continue
		}
		goRight := b.rights(n, others, t.row) & t.which
		if goRight != t.which {
			left[nl] = detour{which: t.which &^ goRight, row: t.row, feature: f}
			nl++
		}
		if goRight != 0 {
			right[nr] = detour{which: goRight, row: t.row, feature: f}
			nr++
		}
	}
	return left[:nl], right[:nr]
}

// leaf notes by how much the leaf's values differ from those of the leaves where the rows end with their own.
func (b *blockPermuter) leaf(at uint32, detours []detour) {
	width := b.permuter.width
	for i := range detours {
		t := &detours[i]
		leaf := b.leaves[t.row]
		if leaf == at {
			continue
		}
		changes := b.changesOf(int(t.feature), b.from+int(t.row))
		for which := t.which; which != 0; which &= which - 1 {
			first := bits.TrailingZeros64(which) * width
			row := changes[first : first+width]
			b.m.addLeaf(b.tree, at, row, 1)
			b.m.addLeaf(b.tree, leaf, row, ^uint64(0))
		}
	}
}
