package tree

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/hashline/hashline/ml/frame"
)

// FuzzFit: whatever the numbers and options are, a fit gives an error or a model that predicts, saves and loads.
func FuzzFit(f *testing.F) {
	f.Add([]byte{}, uint8(2), uint8(0), uint16(0))
	f.Add([]byte("numbers of any kind, eight bytes each, and one of the class"), uint8(3), uint8(7), uint16(3))
	special := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e308, -1e308, 5e-324, 1, 1, 1}
	var b []byte
	for i, v := range special {
		b = append(binary.LittleEndian.AppendUint64(b, math.Float64bits(v)), byte(i))
	}
	for kind := range uint8(8) {
		f.Add(b, uint8(2), kind, uint16(5))
		f.Add(b, uint8(5), kind, uint16(1000))
	}
	f.Fuzz(func(t *testing.T, b []byte, classes, kind uint8, options uint16) {
		if len(b) > 9*300 || classes > 40 {
			return
		}
		x, copied, c := &frame.Column{Name: "x", Type: frame.Float}, &frame.Column{Name: "copy", Type: frame.Float}, &frame.Column{Name: "c", Type: frame.Category, Levels: []string{"", "a", "b", "c"}}
		empty := &frame.Column{Name: "empty", Type: frame.Float}
		var y []int32
		for ; len(b) >= 9; b = b[9:] {
			v := math.Float64frombits(binary.LittleEndian.Uint64(b))
			x.Num, copied.Num, empty.Num = append(x.Num, v), append(copied.Num, v), append(empty.Num, math.NaN())
			c.Codes = append(c.Codes, int32(b[8]>>4%5)-1)
			y = append(y, int32(b[8])%max(1, int32(classes)))
		}
		columns := []*frame.Column{x, copied, c, empty}
		o := Options{Trees: 3, MaxDepth: int(options & 7), MinSamplesLeaf: int(options >> 3 & 3), MaxBins: 2 + int(options>>5&31), Criterion: Criterion(options >> 10 & 1),
			OutOfBag: true, MaxLeafNodes: int(options >> 11 & 7), Seed: 1}
		if options>>15 == 1 {
			o.ClassWeight = BalancedWeights(y, int(classes))
		}
		m, err := fuzzed(columns, y, int(classes), kind, o)
		if err != nil {
			return
		}
		p, err := m.Predict(columns, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range p {
			if math.IsNaN(v) || math.IsInf(v, 0) || m.Classes() > 0 && (v < 0 || v > 1) {
				t.Fatalf("a prediction of %v", v)
			}
		}
		var loaded Ensemble
		if err := loaded.UnmarshalJSON(bytesOf(t, m)); err != nil {
			t.Fatal(err)
		}
	})
}

func fuzzed(columns []*frame.Column, y []int32, classes int, kind uint8, o Options) (*Ensemble, error) {
	numbers := make([]float64, len(y))
	for i := range numbers {
		numbers[i] = columns[0].Num[(i+1)%len(y)]
	}
	switch kind % 7 {
	case 0:
		return FitTree(columns, y, classes, o)
	case 1:
		return FitForest(columns, y, classes, o)
	case 2:
		return FitExtraTrees(columns, y, classes, o)
	case 3:
		o.CCPAlpha = 0.01
		return FitTree(columns, y, classes, o)
	case 4:
		o.Criterion, o.ClassWeight = Gini, nil
		return FitForestRegressor(columns, numbers, o)
	case 5:
		o.Criterion, o.ClassWeight, o.CCPAlpha = Gini, nil, 0.01
		return FitTreeRegressor(columns, numbers, o)
	}
	o.Criterion, o.ClassWeight = Gini, nil
	return FitExtraTreesRegressor(columns, numbers, o)
}
