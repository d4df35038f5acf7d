package calibrate

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/num"
)

// rows are those of testdata/reference.py: probabilities that are too high, and two classes.
func rows() (proba []float64, y []int32) {
	for i := range 300 {
		p := float64(i*37%101+1) / 103
		noise := float64(i*7919%1009) / 1009
		class := int32(0)
		if noise < p*p {
			class = 1
		}
		proba, y = append(proba, 1-p, p), append(y, class)
	}
	return proba, y
}

func mustFit(t testing.TB, method string, proba []float64, y []int32, classes int) *Calibrator {
	t.Helper()
	c, err := Fit(method, proba, y, classes)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	return c
}

// Expected values are scikit-learn 1.9.1's, from testdata/reference.py. Its sigmoid stops at a gradient of 1e-5 or so.
func TestIsScikitLearns(t *testing.T) {
	proba, y := rows()
	c := mustFit(t, Sigmoid, proba, y, 2)
	if a, b := float64(c.Curves[0].A), float64(c.Curves[0].B); math.Abs(a+1.148180954) > 1e-4 || math.Abs(b-1.144129976) > 1e-4 {
		t.Errorf("sigmoid: A %.9f, B %.9f", a, b)
	}
	c = mustFit(t, Isotonic, proba, y, 2)
	want := []float64{0.027777777778, 0.027777777778, 0.073170731707, 0.222222222222, 0.590000000000, 0.812745098039, 1}
	for i, p := range []float64{0.001, 0.1, 0.333, 0.5, 0.77, 0.9, 0.999} {
		if got := c.Apply([]float64{1 - p, p})[1]; math.Abs(got-want[i]) > 1e-12 {
			t.Errorf("isotonic at %v: %.12f, want %.12f", p, got, want[i])
		}
	}
}

// loss is the mean log loss.
func loss(proba []float64, y []int32, classes int) float64 {
	s := 0.0
	for i, c := range y {
		s -= math.Log(max(1e-15, proba[i*classes+int(c)]))
	}
	return s / float64(len(y))
}

// Calibration mends probabilities that are sharper than the truth, of two classes and of three.
func TestMends(t *testing.T) {
	for _, classes := range []int{2, 3} {
		rng := num.NewRNG(4)
		part := func(n int) (proba []float64, y []int32) {
			for range n {
				truth, told := make([]float64, classes), make([]float64, classes)
				sum, sharp := 0.0, 0.0
				for c := range truth {
					truth[c] = rng.Float64() + 0.1
					sum += truth[c]
					told[c] = math.Pow(truth[c], 3)
					sharp += told[c]
				}
				u, class := rng.Float64()*sum, 0
				for u -= truth[0]; u > 0 && class < classes-1; u -= truth[class] {
					class++
				}
				for c := range told {
					proba = append(proba, told[c]/sharp)
				}
				y = append(y, int32(class))
			}
			return proba, y
		}
		proba, y := part(4000)
		test, truth := part(4000)
		for _, method := range []string{Sigmoid, Isotonic} {
			c := mustFit(t, method, proba, y, classes)
			mended := c.Apply(test)
			if before, after := loss(test, truth, classes), loss(mended, truth, classes); after > before-0.02 {
				t.Errorf("%s, %d classes: log loss %v before, %v after", method, classes, before, after)
			}
			for i := 0; i < len(mended); i += classes {
				sum := 0.0
				for _, p := range mended[i : i+classes] {
					sum += p
				}
				if math.Abs(sum-1) > 1e-12 {
					t.Fatalf("%s: probabilities add up to %v", method, sum)
				}
			}
			b, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			var loaded Calibrator
			if err := json.Unmarshal(b, &loaded); err != nil || loaded.Check() != nil || !slices.Equal(loaded.Apply(test), mended) {
				t.Errorf("%s: other probabilities after loading, %v", method, err)
			}
		}
	}
}

// Whatever the rows, probabilities come out.
func TestHardRows(t *testing.T) {
	for name, c := range map[string]struct {
		p []float64
		y []int32
	}{
		"one row":        {[]float64{0.3, 0.7}, []int32{1}},
		"one class":      {[]float64{0.3, 0.7, 0.1, 0.9}, []int32{1, 1}},
		"certain":        {[]float64{0, 1, 1, 0, 0, 1}, []int32{1, 0, 0}},
		"all the same":   {[]float64{0.5, 0.5, 0.5, 0.5}, []int32{1, 0}},
		"separated":      {[]float64{0.9, 0.1, 0.8, 0.2, 0.2, 0.8}, []int32{0, 0, 1}},
		"upside down":    {[]float64{0.9, 0.1, 0.8, 0.2, 0.2, 0.8}, []int32{1, 1, 0}},
		"next to nought": {[]float64{1, 5e-324, 1, 1e-300}, []int32{0, 1}},
	} {
		for _, method := range []string{Sigmoid, Isotonic} {
			for _, p := range mustFit(t, method, c.p, c.y, 2).Apply([]float64{1, 0, 0.5, 0.5, 0, 1}) {
				if !(p >= 0 && p <= 1) {
					t.Errorf("%s, %s: a probability of %v", name, method, p)
				}
			}
		}
	}
	three := mustFit(t, Isotonic, []float64{0, 0.5, 0.5, 0.5, 0, 0.5, 0.5, 0.5, 0}, []int32{0, 1, 2}, 3)
	if got := three.Apply([]float64{0.5, 0.5, 0.5}); math.Abs(got[0]+got[1]+got[2]-1) > 1e-12 {
		t.Errorf("three classes: %v", got)
	}
}

func TestRefuses(t *testing.T) {
	for name, fit := range map[string]func() (*Calibrator, error){
		"method":      func() (*Calibrator, error) { return Fit("beta", []float64{0.5, 0.5}, []int32{1}, 2) },
		"no rows":     func() (*Calibrator, error) { return Fit(Sigmoid, nil, nil, 2) },
		"lengths":     func() (*Calibrator, error) { return Fit(Sigmoid, []float64{0.5}, []int32{1}, 2) },
		"probability": func() (*Calibrator, error) { return Fit(Sigmoid, []float64{math.NaN(), 0.5}, []int32{1}, 2) },
		"class":       func() (*Calibrator, error) { return Fit(Sigmoid, []float64{0.5, 0.5}, []int32{2}, 2) },
	} {
		if _, err := fit(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, file := range []string{`{}`, `{"method":"sigmoid","classes":2,"curves":[{"a":null,"b":0}]}`, `{"method":"isotonic","classes":2,"curves":[{}]}`,
		`{"method":"isotonic","classes":2,"curves":[{"x":[0.5,0.5],"y":[0,1]}]}`, `{"method":"isotonic","classes":2,"curves":[{"x":[0.5],"y":[2]}]}`,
		`{"method":"sigmoid","classes":3,"curves":[{"a":1,"b":0}]}`} {
		var c Calibrator
		if json.Unmarshal([]byte(file), &c) == nil && c.Check() == nil {
			t.Errorf("%s: no error", file)
		}
	}
}

// The threshold is the best of all, by trying them.
func TestThreshold(t *testing.T) {
	proba, y := rows()
	var p []float64
	var is []bool
	for i, class := range y {
		p, is = append(p, proba[2*i+1]), append(is, class == 1)
	}
	for _, c := range []Costs{{FalsePositive: 1, FalseNegative: 1}, {FalsePositive: 1, FalseNegative: 10}, {FalsePositive: 50, FalseNegative: 1},
		{TruePositive: -5, FalsePositive: 1}, {FalsePositive: -1, FalseNegative: 3}, {}} {
		d, err := Threshold(p, is, c)
		if err != nil {
			t.Fatal(err)
		}
		cost := func(threshold float64) float64 {
			sum := 0.0
			for i, v := range p {
				switch {
				case v >= threshold && is[i]:
					sum += c.TruePositive
				case v >= threshold:
					sum += c.FalsePositive
				case is[i]:
					sum += c.FalseNegative
				default:
					sum += c.TrueNegative
				}
			}
			return sum / float64(len(p))
		}
		least := cost(2)
		for _, threshold := range p {
			least = min(least, cost(threshold))
		}
		if got := float64(d.Cost); math.Abs(got-least) > 1e-12 || math.Abs(cost(float64(d.Threshold))-got) > 1e-12 {
			t.Errorf("%+v: %+v, the least is %v and its own %v", c, d, least, cost(float64(d.Threshold)))
		}
		if got := float64(d.AtHalf); math.Abs(got-cost(0.5)) > 1e-12 {
			t.Errorf("%+v: at 0.5 %v, want %v", c, got, cost(0.5))
		}
	}
	if d, _ := Threshold(p, is, Costs{FalsePositive: 1, FalseNegative: 4}); float64(d.Ideal) != 0.2 {
		t.Errorf("ideal threshold %v, want 0.2", d.Ideal)
	}
	for name, bad := range map[string]func() (*Decision, error){
		"no rows":     func() (*Decision, error) { return Threshold(nil, nil, Costs{}) },
		"probability": func() (*Decision, error) { return Threshold([]float64{2}, []bool{true}, Costs{}) },
		"cost": func() (*Decision, error) {
			return Threshold([]float64{1}, []bool{true}, Costs{FalsePositive: math.Inf(1)})
		},
	} {
		if _, err := bad(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The bits hold on every architecture.
func TestGolden(t *testing.T) {
	proba, y := rows()
	c := mustFit(t, Sigmoid, proba, y, 2)
	got := fmt.Sprintf("%016x %016x", math.Float64bits(float64(c.Curves[0].A)), math.Float64bits(float64(c.Curves[0].B)))
	if want := "bff25ef2fe064cc1 3ff24e5b3c375454"; got != want {
		t.Errorf("A and B are %s, want %s", got, want)
	}
}
