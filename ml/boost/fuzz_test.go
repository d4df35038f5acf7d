package boost

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/tree"
)

// FuzzFit: whatever the numbers and options are, a fit gives an error or a model with finite predictions.
func FuzzFit(f *testing.F) {
	f.Add([]byte{}, uint8(2), uint16(0))
	var b []byte
	for i, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e308, -1e308, 5e-324, 1, 1, 1} {
		b = append(binary.LittleEndian.AppendUint64(b, math.Float64bits(v)), byte(i))
	}
	for classes := range uint8(5) {
		f.Add(b, classes, uint16(1))
		f.Add(b, classes, uint16(0xffff))
	}
	f.Fuzz(func(t *testing.T, b []byte, classes uint8, options uint16) {
		if len(b) > 9*200 || classes > 20 {
			return
		}
		x, c, empty := &frame.Column{Name: "x", Type: frame.Float}, &frame.Column{Name: "c", Type: frame.Category, Levels: []string{"", "a", "b", "c"}}, &frame.Column{Name: "empty", Type: frame.Float}
		var y []int32
		for ; len(b) >= 9; b = b[9:] {
			x.Num = append(x.Num, math.Float64frombits(binary.LittleEndian.Uint64(b)))
			empty.Num, c.Codes, y = append(empty.Num, math.NaN()), append(c.Codes, int32(b[8]>>4%5)-1), append(y, int32(b[8])%max(1, int32(classes)))
		}
		columns := []*frame.Column{x, c, empty}
		o := Options{Iterations: 1 + int(options&7), MinSamplesLeaf: 1 + int(options>>3&3), MaxBins: 2 + int(options>>5&31), L2: float64(options >> 10 & 3), EarlyStopping: options>>12&1 == 1,
			LearningRate: 1, MaxDepth: int(options >> 13 & 3), Cores: 2}
		m, err := (*tree.Ensemble)(nil), error(nil)
		if classes == 0 {
			target := make([]float64, len(y))
			for i := range target {
				target[i] = x.Num[(i+1)%len(y)]
			}
			m, err = FitRegressor(columns, target, o)
		} else {
			m, err = FitClassifier(columns, y, int(classes), o)
		}
		if err != nil {
			return
		}
		p, err := m.Predict(columns, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range p {
			if math.IsNaN(v) || math.IsInf(v, 0) || classes > 0 && (v < 0 || v > 1) {
				t.Fatalf("a prediction of %v", v)
			}
		}
		if err := new(tree.Ensemble).UnmarshalJSON(bytesOf(t, m)); err != nil {
			t.Fatal(err)
		}
	})
}
