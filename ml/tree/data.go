package tree

import (
	"math"
	"math/bits"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// training is what the rows are to be told from: classes, or numbers.
//
// A row goes through growth as one word: its weight below, and above what its target adds: the weight if it is of the
// second class, or the weight times the number as an integer. A histogram is then one addition for a row, and both of its
// sums are exact. A few more classes have a field each after the first where as many rows fit into one, 21 bits of three
// classes; otherwise the class stands above the weight, and histograms are by bin and class.
type training struct {
	classes int // 0: numbers
	y       []int32
	shift   uint // where a word's upper part begins, and the bits of a field
	many    bool // more classes than fit into fields

	// numbers
	target   []float64
	steps    []int64 // the targets' distances from their mean, rounded, as splits see them
	fixed    []int64 // the targets in units of 2^exponent, as leaves see them
	exponent int
}

// classShift leaves 32 bits for weights.
const classShift = 32

func newClasses(y []int32, classes int) *training {
	t := &training{y: y, classes: classes, shift: classShift, many: classes > 2}
	if bits := uint(64 / classes); t.many && len(y) < 1<<bits {
		t.shift, t.many = bits, false
	}
	return t
}

// field returns the weight of a class in a word of more than two classes, after the first.
func (t *training) field(word uint64, class int) uint64 {
	return word >> (uint(class) * t.shift) & (1<<t.shift - 1)
}

// weightMask leaves the weight of a word of two or more classes, or the share of a pair.
const weightMask = 1<<32 - 1

func newTargets(target []float64) *training {
	n := bits.Len(uint(len(target)))
	t := &training{target: target, shift: uint(n) + 1}
	most := 0.0
	for _, v := range target {
		most = max(most, math.Abs(v))
	}
	t.exponent = exponentFor(most) + max(0, n-18) // sums of all rows stay below 2^62
	t.fixed = make([]int64, len(target))
	for i, v := range target {
		t.fixed[i] = int64(math.RoundToEven(math.Ldexp(v, -t.exponent)))
	}
	t.steps = stepsAround(target, min(30, 61-2*n))
	return t
}

// stepsAround returns the distances of the values from their mean in steps, of which the largest has 2^bits.
func stepsAround(v []float64, bits int) []int64 {
	halves := make([]float64, len(v)) // a sum of the values themselves may be too large
	for i, x := range v {
		halves[i] = x / float64(len(v))
	}
	mean := num.Sum(halves)
	most := 0.0
	for _, x := range v {
		most = max(most, math.Abs(float64(x/2)-float64(mean/2)))
	}
	steps := make([]int64, len(v))
	if most == 0 {
		return steps
	}
	_, e := math.Frexp(most)
	for i, x := range v {
		steps[i] = int64(math.RoundToEven(math.Ldexp(float64(x/2)-float64(mean/2), max(2, bits)-e)))
	}
	return steps
}

// word packs a row of some weight.
func (t *training) word(row int, weight uint64) uint64 {
	switch {
	case t.classes == 2:
		return weight | weight*uint64(t.y[row])<<t.shift
	case t.many:
		return weight | uint64(t.y[row])<<t.shift
	case t.classes > 2:
		if t.y[row] == 0 {
			return weight
		}
		return weight | weight<<(uint(t.y[row])*t.shift)
	}
	return weight | uint64(t.steps[row]*int64(weight))<<t.shift
}

// data is the training set: codes by column, and what every tree shares.
type data[T uint8 | uint16] struct {
	*training
	columns [][]T
	bins    []int  // codes of each column that are not missing
	holes   []bool // columns in which some are missing
	places  [][]float64
	weights []float64 // of the classes; nil: 1
	opts    Options
	mtry    int
}

func newData[T uint8 | uint16](features []feature, columns []*frame.Column, t *training, o Options) *data[T] {
	k := len(columns)
	d := &data[T]{training: t, columns: make([][]T, k), bins: make([]int, k), holes: make([]bool, k), weights: o.ClassWeight, opts: o, mtry: k}
	if o.random {
		d.places = make([][]float64, k)
	}
	var g errgroup.Group
	g.SetLimit(o.Cores)
	for i, c := range columns {
		g.Go(func() error {
			d.bins[i] = features[i].bins()
			d.columns[i] = make([]T, c.Len())
			d.holes[i] = encode(&features[i], c, T(d.bins[i]), d.columns[i])
			if o.random {
				d.places[i] = features[i].places()
			}
			return nil
		})
	}
	_ = g.Wait()
	return d
}

func (d *data[T]) rows() int { return len(d.columns[0]) }
