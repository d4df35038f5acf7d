package tree

import "math/bits"

// blockPermuter takes some rows through all trees, with their own values and with those that the permutations give them.
// It visits every tree from the root, dividing the rows at each node.
type blockPermuter struct {
	*permuter
	from, n int
	codes   []uint16 // of the rows, column by column: two codes for each feature
	others  []uint16 // for each feature at hand and row the codes that the permutations give, the higher one of a value's two
	turned  []uint64 // for each row and feature at hand the permutations that have left the row's path; zero between trees
	onPath  []int32  // for each feature the number of nodes on the path that ask for it
	path    []int32  // the features at hand that the path asks for
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
	b := &blockPermuter{permuter: p, from: from, n: n, codes: make([]uint16, n*p.x.width), onPath: make([]int32, len(p.m.features))}
	for i := range n {
		for c, code := range p.x.codes[(from+i)*p.x.width : (from+i+1)*p.x.width] {
			b.codes[c*n+i] = code
		}
	}
	b.turned = make([]uint64, (p.end-p.first)*n)
	b.others = make([]uint16, 0, len(b.turned)*len(p.permutations))
	for f := p.first; f < p.end; f++ {
		for i := range n {
			for _, permutation := range p.permutations {
				b.others = append(b.others, p.x.codes[int(permutation[from+i])*p.x.width+2*f+1])
			}
		}
	}
	return b
}

func (b *blockPermuter) run() {
	all := make([]int32, b.n)
	for i := range all {
		all[i] = int32(i)
	}
	for _, root := range b.m.roots {
		b.visit(root, 0, all, nil)
	}
}

// visit takes rows and detours on from a node.
func (b *blockPermuter) visit(at uint32, depth int, rows []int32, detours []detour) {
	if len(rows)+len(detours) == 0 {
		return
	}
	n := b.nodes[at]
	if n.left == at {
		b.leaf(at, rows, detours)
		return
	}
	l := b.level(depth, len(rows), len(detours))
	b.divide(n, l, rows)
	f := int(n.column >> 1)
	var turned [2][]detour
	if f >= b.first && f < b.end {
		if b.onPath[f]++; b.onPath[f] == 1 {
			b.path = append(b.path, int32(f))
		}
		turned[1] = b.turn(n, l.rows[0], 0, l.detours[1][:0])
		turned[0] = b.turn(n, l.rows[1], 1, l.detours[0][:0])
	}
	l.detours[0], l.detours[1] = b.follow(n, detours, l.detours[0], len(turned[0]), l.detours[1], len(turned[1]))
	b.visit(n.left, depth+1, l.rows[0], l.detours[0])
	b.visit(n.left+1, depth+1, l.rows[1], l.detours[1])
	if f >= b.first && f < b.end {
		if b.onPath[f]--; b.onPath[f] == 0 {
			b.path = b.path[:len(b.path)-1]
		}
	}
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
	turned := b.turned[f-b.first:]
	all, width := uint64(1)<<len(b.permutations)-1, b.end-b.first
	for _, r := range rows {
		was := &turned[int(r)*width]
		off := (b.rights(n, f, int(r)) ^ -side) & all &^ *was
		*was |= off
		if off != 0 {
			detours = append(detours, detour{which: off, row: r, feature: int32(f)})
		}
	}
	return detours
}

// rights returns a bit for each permutation that sends the row to the right of node n, which asks for feature f.
func (b *blockPermuter) rights(n walker, f, row int) (right uint64) {
	width := len(b.permutations)
	missing := uint64(n.column & 1) // the side of missing values
	for r, code := range b.others[((f-b.first)*b.n+row)*width:][:width] {
		side := uint64(uint32(int32(n.cut)-int32(code)) >> 31)
		if code == missingHigh {
			side = missing
		}
		right |= side << r
	}
	return right
}

// follow sends detours left and right, behind the nl and nr that are there already.
func (b *blockPermuter) follow(n walker, detours, left []detour, nl int, right []detour, nr int) (l, r []detour) {
	column := b.codes[int(n.column)*b.n:][:b.n]
	f := int32(n.column >> 1)
	for _, t := range detours {
		if t.feature != f {
			s := int(uint32(int32(n.cut)-int32(column[t.row])) >> 31)
			left[nl], right[nr] = t, t
			nl += 1 - s
			nr += s
			continue
		}
		goRight := b.rights(n, int(f), int(t.row)) & t.which
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

// leaf adds the leaf's shares to what ends there, and takes them from the permutations that left the paths of the rows.
func (b *blockPermuter) leaf(at uint32, rows []int32, detours []detour) {
	width := b.m.classes - 1
	value := b.m.value[int(at)*width:][:width]
	for _, r := range rows {
		b.m.addLeaf(b.base, b.from+int(r), at)
		turned := b.turned[int(r)*(b.end-b.first):][:b.end-b.first]
		for _, f := range b.path {
			if which := turned[int(f)-b.first]; which != 0 {
				b.change(int(f), r, which, value, ^uint64(0))
				turned[int(f)-b.first] = 0
			}
		}
	}
	for _, t := range detours {
		b.change(int(t.feature), t.row, t.which, value, 1)
	}
}

// change adds sign times value to the changes of a row by some permutations of feature f.
func (b *blockPermuter) change(f int, row int32, which uint64, value []uint32, sign uint64) {
	changes := b.changesOf(f, b.from+int(row))
	for ; which != 0; which &= which - 1 {
		at := bits.TrailingZeros64(which) * len(value)
		for c, v := range value {
			changes[at+c] += sign * uint64(v)
		}
	}
}
