package linear

import "math"

// curvature is the Hessian of the k linear functions of a design: a block for every pair of functions a >= b, each
// symmetric. A block keeps its rows of weight i as the core numbers at i*core; of rows below core the lower triangle
// counts. What is left, between two weights of the last category, is the diagonal diag.
//
// So a category of many levels costs little: it is eliminated exactly (the block is diagonal), and only the core is
// decomposed. With k functions that takes levels x k x (k core)^2/2 + (k core)^3/6 steps.
type curvature struct {
	k, core, params int
	blocks          [][]float64 // (a, b) at a(a+1)/2 + b; params x core each
	diag            [][]float64 // params - core each
}

func newCurvature(k int, m *design) *curvature {
	h := &curvature{k: k, core: m.core, params: m.params}
	for range k * (k + 1) / 2 {
		h.blocks = append(h.blocks, make([]float64, m.params*m.core))
		h.diag = append(h.diag, make([]float64, m.params-m.core))
	}
	return h
}

func (h *curvature) add(other *curvature) {
	for i := range h.blocks {
		addTo(h.blocks[i], other.blocks[i])
		addTo(h.diag[i], other.diag[i])
	}
}

// addRows adds h[i] times the outer product of row from+i with itself to one block.
func (m *design) addRows(block, diag []float64, from int, h, scratch []float64) {
	q := m.d + 1
	i := 0
	for ; i+4 <= len(h); i += 4 {
		x := m.x[(from+i)*q : (from+i+4)*q]
		addOuter4(block, m.core, x[:q], x[q:2*q], x[2*q:3*q], x[3*q:], [4]float64(h[i:i+4]))
	}
	for ; i < len(h); i++ {
		x, _ := m.row(from + i)
		addOuter(block, m.core, x, h[i])
	}
	hx := scratch[:q]
	for i, hi := range h {
		x, cats := m.row(from + i)
		for j, v := range x {
			hx[j] = float64(hi * v)
		}
		for j, c := range cats {
			row := block[int(c)*m.core : int(c+1)*m.core]
			addTo(row[:q], hx)
			for _, other := range cats[:j] {
				row[other] += hi
			}
			if int(c) < m.core {
				row[c] += hi
			} else {
				diag[int(c)-m.core] += hi
			}
		}
	}
}

// addOuter adds h x x' to the lower triangle of a matrix with stride numbers a row.
func addOuter(a []float64, stride int, x []float64, h float64) {
	for j, v := range x {
		hv := float64(h * v)
		row := a[j*stride : j*stride+j+1]
		for k, u := range x[:len(row)] {
			row[k] += float64(hv * u)
		}
	}
}

// addOuter4 adds four outer products at once, so that each element is loaded and stored once.
func addOuter4(a []float64, stride int, x0, x1, x2, x3 []float64, h [4]float64) {
	for j := range x0 {
		h0, h1, h2, h3 := float64(h[0]*x0[j]), float64(h[1]*x1[j]), float64(h[2]*x2[j]), float64(h[3]*x3[j])
		row := a[j*stride : j*stride+j+1]
		y0, y1, y2, y3 := x0[:len(row)], x1[:len(row)], x2[:len(row)], x3[:len(row)]
		for k := range row {
			row[k] += (float64(h0*y0[k]) + float64(h1*y1[k])) + (float64(h2*y2[k]) + float64(h3*y3[k]))
		}
	}
}

// at returns the element of rows i and j of block (a, b), a >= b.
func (h *curvature) at(a, b, i, j int) float64 {
	block := a*(a+1)/2 + b
	if i < j {
		i, j = j, i
	}
	switch {
	case j < h.core:
		return h.blocks[block][i*h.core+j]
	case i == j:
		return h.diag[block][i-h.core]
	}
	return 0
}

// factor is a decomposed curvature.
type factor struct {
	k, core, params int
	levels          []float64 // for each weight of the last category, the k x k lower triangle of its own block
	border          []float64 // for each such weight and function, k x core numbers: the level's triangle solved for its border
	rest            []float64 // the lower triangle of the (k core)^2 complement
}

// factor decomposes the curvature plus the penalty of each weight on its diagonal. It reports whether the sum is positive
// definite.
func (h *curvature) factor(penalty func(j int) float64) (*factor, bool) {
	k, core := h.k, h.core
	n := k * core
	f := &factor{k: k, core: core, params: h.params, levels: make([]float64, (h.params-core)*k*k), border: make([]float64, (h.params-core)*k*n), rest: make([]float64, n*n)}
	for a := range k {
		for b := range a + 1 {
			for i := range core {
				row := f.rest[(a*core+i)*n+b*core:]
				if a == b {
					copy(row[:i+1], h.blocks[a*(a+1)/2+b][i*core:i*core+i+1])
					row[i] += penalty(i)
					continue
				}
				for j := range core {
					row[j] = h.at(a, b, i, j)
				}
			}
		}
	}
	for l := range h.params - core {
		if !h.eliminate(f, l, penalty(core+l)) {
			return nil, false
		}
	}
	f.complement()
	return f, cholesky(f.rest, n)
}

// eliminate decomposes the block of one weight of the last category and solves it for its border.
func (h *curvature) eliminate(f *factor, l int, penalty float64) bool {
	k, core := h.k, h.core
	own := f.levels[l*k*k : (l+1)*k*k]
	for a := range k {
		for b := range a + 1 {
			own[a*k+b] = h.diag[a*(a+1)/2+b][l]
		}
		own[a*k+a] += penalty
	}
	if !cholesky(own, k) {
		return false
	}
	rows := f.border[l*k*k*core : (l+1)*k*k*core]
	for a := range k {
		row := rows[a*k*core : (a+1)*k*core]
		for b := range k {
			block := max(a, b)*(max(a, b)+1)/2 + min(a, b)
			copy(row[b*core:(b+1)*core], h.blocks[block][(core+l)*core:(core+l+1)*core])
		}
		for b := range a {
			axpy(row, -own[a*k+b], rows[b*k*core:(b+1)*k*core])
		}
		for i := range row {
			row[i] /= own[a*k+a]
		}
	}
	return true
}

// complement takes what the eliminated weights explain off the rest.
func (f *factor) complement() {
	n := f.k * f.core
	rows := f.border
	for ; len(rows) >= 4*n; rows = rows[4*n:] {
		addOuter4(f.rest, n, rows[:n], rows[n:2*n], rows[2*n:3*n], rows[3*n:4*n], [4]float64{-1, -1, -1, -1})
	}
	for ; len(rows) > 0; rows = rows[n:] {
		addOuter(f.rest, n, rows[:n], -1)
	}
}

// solve returns the x with (curvature + penalty) x = g; both are k x params.
func (f *factor) solve(g []float64) []float64 {
	k, core, n := f.k, f.core, f.k*f.core
	x := append([]float64(nil), g...)
	c := make([]float64, n)
	for a := range k {
		copy(c[a*core:(a+1)*core], x[a*f.params:])
	}
	for l := range f.params - core {
		own := f.levels[l*k*k : (l+1)*k*k]
		for a := range k {
			s := x[a*f.params+core+l]
			for b := range a {
				s -= float64(own[a*k+b] * x[b*f.params+core+l])
			}
			s /= own[a*k+a]
			x[a*f.params+core+l] = s
			axpy(c, -s, f.border[(l*k+a)*n:(l*k+a+1)*n])
		}
	}
	forward(f.rest, c, n)
	backward(f.rest, c, n)
	for l := range f.params - core {
		own := f.levels[l*k*k : (l+1)*k*k]
		for a := k - 1; a >= 0; a-- {
			s := x[a*f.params+core+l] - dot(f.border[(l*k+a)*n:(l*k+a+1)*n], c)
			for b := a + 1; b < k; b++ {
				s -= float64(own[b*k+a] * x[b*f.params+core+l])
			}
			x[a*f.params+core+l] = s / own[a*k+a]
		}
	}
	for a := range k {
		copy(x[a*f.params:a*f.params+core], c[a*core:])
	}
	return x
}

// cholesky replaces the lower triangle of a symmetric positive definite n x n matrix by that of its decomposition. It
// reports whether the matrix is positive definite.
func cholesky(a []float64, n int) bool {
	for i := range n {
		row := a[i*n : i*n+i+1]
		for j := range i {
			other := a[j*n : j*n+j+1]
			row[j] = (row[j] - dot(other[:j], row)) / other[j]
		}
		s := row[i] - dot(row[:i], row)
		if !(s > 0) || math.IsInf(s, 0) {
			return false
		}
		row[i] = math.Sqrt(s)
	}
	return true
}

// forward replaces b by the solution of l x = b, backward by that of l' x = b.
func forward(l, b []float64, n int) {
	for i := range n {
		b[i] = (b[i] - dot(l[i*n:i*n+i], b)) / l[i*n+i]
	}
}

func backward(l, b []float64, n int) {
	for i := n - 1; i >= 0; i-- {
		b[i] /= l[i*n+i]
		axpy(b, -b[i], l[i*n:i*n+i])
	}
}

// axpy adds s x to the beginning of y.
func axpy(y []float64, s float64, x []float64) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += float64(s * v)
	}
}

// dot returns the sum of a[i] b[i] over a, in four partial sums.
func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		x, y := a[i:i+4:i+4], b[i:i+4:i+4]
		s0 += float64(x[0] * y[0])
		s1 += float64(x[1] * y[1])
		s2 += float64(x[2] * y[2])
		s3 += float64(x[3] * y[3])
	}
	for ; i < len(a); i++ {
		s0 += float64(a[i] * b[i])
	}
	return (s0 + s1) + (s2 + s3)
}
