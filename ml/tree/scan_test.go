package tree

import (
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/num"
)

// Small and large nodes are counted in different ways. Both find the same cut and leave nothing behind.
func TestScansAgree(t *testing.T) {
	const bins = 30
	rng := num.NewRNG(3)
	for round := range 500 {
		classes, rows := 3+rng.Intn(5), 1+rng.Intn(bins-1)
		column, y, weights := make([]uint8, rows), make([]int32, rows), make([]uint16, rows)
		for i := range column {
			column[i], y[i], weights[i] = uint8(rng.Intn(bins)), int32(rng.Intn(classes)), uint16(rng.Intn(4))
			if rng.Intn(5) == 0 {
				column[i] = bins // missing
			}
		}
		d := &data[uint8]{training: &training{classes: classes, y: y, shift: classShift, many: true}, columns: [][]uint8{column}, bins: []int{bins}, opts: Options{MinSamplesLeaf: 1 + rng.Intn(4)}}
		g := newGrower(d, 1)
		g.start(weights)
		n, h := g.tallyOf(0, len(g.rows)), g.hists[0]
		fillMany(h, classes, g.rows, g.words, column)
		want, wantVaries := g.scanMany(h, 0, bins, n)
		fillChains(h, g.rows, column)
		got, varies := g.scanChains(h, 0, bins, n, g.words)
		if got != want || varies != wantVaries {
			t.Fatalf("round %d: %+v, %v by chains, %+v, %v by bins", round, got, varies, want, wantVaries)
		}
		if slices.Max(h.words) > 0 || slices.Max(h.touched) > 0 || slices.Max(h.heads) > 0 {
			t.Fatalf("round %d: the histogram is not empty", round)
		}
	}
}
