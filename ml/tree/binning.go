package tree

import "github.com/hashline/hashline/ml/frame"

// Binning says how the values of one column become codes, as FitTree does it. It is immutable and safe for concurrent use.
type Binning struct {
	feature feature
	bins    int
}

// Bin learns the bins of a column, which is a number or a category, from its rows and their classes, 0 to classes-1. Codes
// are below maxBins, which is 2 to 2^15.
func Bin(c *frame.Column, y []int32, classes, maxBins int) *Binning {
	b := newBinner(y, classes, maxBins)
	f := b.feature(c)
	return &Binning{f, f.bins()}
}

// Bins returns the number of codes of values that are not missing. Missing values, and levels that the column did not have
// when the bins were learned, have this number for their code.
func (b *Binning) Bins() int { return b.bins }

// Codes returns the code of every row of a column of the same kind.
func (b *Binning) Codes(c *frame.Column) []uint16 {
	codes := make([]uint16, c.Len())
	_ = encode(&b.feature, c, uint16(b.bins), codes)
	return codes
}
