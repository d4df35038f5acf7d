package leak

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// shop makes rows like those of a shop: the profit follows from discount and margin of the goods, and some chance.
type shop struct {
	profit, sales, discount, quantity []float64
	city, segment                     *frame.Column
}

func newShop(n int, seed uint64) shop {
	rng := num.NewRNG(seed)
	s := shop{city: &frame.Column{Name: "city", Type: frame.Category}, segment: &frame.Column{Name: "segment", Type: frame.Category, Levels: []string{"a", "b", "c"}}}
	for i := range n / 3 { // three rows each: too few to learn from
		s.city.Levels = append(s.city.Levels, fmt.Sprint("city ", i))
	}
	for range n {
		sales, discount := 1+rng.Float64()*500, float64(rng.Intn(9))/10
		margin := 0.35 - discount + rng.Float64()*0.3
		s.sales, s.discount, s.profit = append(s.sales, sales), append(s.discount, discount), append(s.profit, float64(sales*margin))
		s.quantity = append(s.quantity, float64(1+rng.Intn(9)))
		s.city.Codes = append(s.city.Codes, int32(rng.Intn(n/3)))
		s.segment.Codes = append(s.segment.Codes, int32(rng.Intn(3)))
	}
	return s
}

func floats(name string, v []float64) *frame.Column {
	return &frame.Column{Name: name, Type: frame.Float, Num: v}
}

func each(v []float64, f func(i int, x float64) float64) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = f(i, x)
	}
	return w
}

// columns are honest features and leaks; y is the class of each row by ascending thresholds of the profit.
func (s shop) columns(thresholds ...float64) (columns []*frame.Column, y []int32) {
	named := &frame.Column{Name: "leak: outcome as a text", Type: frame.Category}
	for k := range len(thresholds) + 1 {
		named.Levels = append(named.Levels, fmt.Sprint("outcome ", k*7%5))
	}
	for _, p := range s.profit {
		class := int32(0)
		for _, t := range thresholds {
			if p > t {
				class++
			}
		}
		y = append(y, class)
		named.Codes = append(named.Codes, class)
	}
	columns = []*frame.Column{
		floats("discount", s.discount), floats("sales", s.sales), floats("quantity", s.quantity), s.city, s.segment,
		floats("leak: copy", s.profit),
		floats("leak: monotone copy", each(s.profit, func(_ int, p float64) float64 { return -math.Cbrt(p) })),
		floats("leak: some missing", each(s.profit, func(i int, p float64) float64 {
			if i%200 == 0 {
				return math.NaN()
			}
			return p
		})),
		named,
	}
	if len(thresholds) == 1 {
		columns = append(columns, floats("leak: margin", each(s.profit, func(i int, p float64) float64 { return p / s.sales[i] })))
	}
	return columns, y
}

func TestLeaks(t *testing.T) {
	for _, c := range []struct {
		name       string
		thresholds []float64
	}{
		{"two classes", []float64{0}}, {"rare class", []float64{200}}, {"three classes", []float64{0, 60}}, {"five classes", []float64{-50, 0, 20, 60}},
	} {
		columns, y := newShop(2000, 1).columns(c.thresholds...)
		_, leaks, err := Look(columns, columns, y, y, len(c.thresholds)+1, 2)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, l := range leaks {
			got = append(got, l.Feature)
			if float64(l.ROCAUC) < Threshold || l.ROCAUC > 1 {
				t.Errorf("%s: %s has an area of %v", c.name, l.Feature, l.ROCAUC)
			}
		}
		for _, f := range columns {
			// The margin tells the sign of the profit, not its size.
			if len(f.Name) > 5 && f.Name[:5] == "leak:" && !(f.Name == "leak: margin" && c.thresholds[0] != 0) {
				want = append(want, f.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: leaks %q, want %q", c.name, got, want)
		}
	}
}

// A copy of 20 classes needs more leaves than 8 in one tree; judged class by class it does not.
func TestLeakOfManyClasses(t *testing.T) {
	const n, classes = 2000, 20
	number, text, noise := floats("number", nil), &frame.Column{Name: "text", Type: frame.Category}, floats("noise", nil)
	for k := range classes {
		text.Levels = append(text.Levels, fmt.Sprint("level ", k))
	}
	var y []int32
	rng := num.NewRNG(1)
	for range n {
		class := rng.Intn(classes)
		y = append(y, int32(class))
		number.Num, noise.Num = append(number.Num, float64(class)), append(noise.Num, rng.Float64())
		text.Codes = append(text.Codes, int32((class+7)%classes))
	}
	_, leaks, err := Look([]*frame.Column{number, text, noise}, []*frame.Column{number, text, noise}, y, y, classes, 2)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Leak{{"number", 1}, {"text", 1}}; !reflect.DeepEqual(leaks, want) {
		t.Errorf("leaks %v, want %v", leaks, want)
	}
}

// A level for each row tells the target of its own row only, and alternating classes must not hide a leak.
func TestCategoriesAreJudgedOnOtherRows(t *testing.T) {
	id, copied := &frame.Column{Name: "id", Type: frame.Category}, &frame.Column{Name: "copy", Type: frame.Category, Levels: []string{"x", "y"}}
	var y []int32
	for i := range 1000 {
		id.Levels, id.Codes = append(id.Levels, fmt.Sprint(i)), append(id.Codes, int32(i))
		copied.Codes = append(copied.Codes, int32(i%2))
		y = append(y, int32(i%2))
	}
	stump, leaks, err := Look([]*frame.Column{id, copied}, []*frame.Column{id, copied}, y, y, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Leak{{"copy", 1}}; !reflect.DeepEqual(leaks, want) {
		t.Errorf("leaks %v, want %v", leaks, want)
	}
	if want := (Stump{"copy", 1, 1}); *stump != want {
		t.Errorf("stump %v, want %v", *stump, want)
	}
}

// Stumps by hand: the decision, and the ranking of the test rows.
func TestStumpByHand(t *testing.T) {
	nan := math.NaN()
	text := func(values ...string) *frame.Column {
		c := &frame.Column{Name: "f", Type: frame.Category}
		for _, v := range values {
			code := slices.Index(c.Levels, v)
			if v == "" {
				code = -1
			} else if code < 0 {
				code, c.Levels = len(c.Levels), append(c.Levels, v)
			}
			c.Codes = append(c.Codes, int32(code))
		}
		return c
	}
	numbers := func(v ...float64) *frame.Column { return floats("f", v) }
	for _, c := range []struct {
		name          string
		train, test   *frame.Column
		yTrain, yTest []int32
		classes       int
		accuracy, auc float64
	}{
		{"up", numbers(1, 2, 3, 4), numbers(1, 2.4, 2.6, 9), []int32{0, 0, 1, 1}, []int32{0, 0, 1, 1}, 2, 1, 1},
		{"down", numbers(1, 2, 3, 4), numbers(1, 2, 3, 4), []int32{1, 1, 0, 0}, []int32{1, 0, 1, 0}, 2, 0.5, 0.75},
		{"ranked finer than cut", numbers(1, 2, 3, 4, 5), numbers(3, 4, 5), []int32{0, 0, 1, 1, 1}, []int32{0, 1, 1}, 2, 2. / 3, 1},
		{"missing values rank where they were learned to", numbers(1, 2, 3, 4, nan, nan), numbers(nan, 1, 4), []int32{0, 0, 1, 1, 1, 1}, []int32{1, 0, 1}, 2, 1, 1},
		{"levels by their share", text("a", "a", "b", "b", "c", "c"), text("a", "b", "c", "c"), []int32{0, 0, 1, 0, 1, 1}, []int32{0, 0, 1, 1}, 2, 0.75, 1},
		{"an unseen level is average", text("a", "a", "b", "b"), text("a", "z", "b"), []int32{0, 0, 1, 1}, []int32{0, 1, 1}, 2, 2. / 3, 1},
		{"an unseen level goes to the heavier side", text("a", "a", "a", "b"), text("z", "z", "a"), []int32{0, 0, 0, 1}, []int32{0, 1, 0}, 2, 2. / 3, 0.75},
		{"constant", numbers(5, 5, 5), numbers(5, 5), []int32{0, 1, 1}, []int32{0, 1}, 2, 0.5, 0.5},
		{"three classes", numbers(1, 2, 3, 4, 5, 6), numbers(1, 3, 6), []int32{0, 0, 1, 1, 2, 2}, []int32{0, 1, 2}, 3, 2. / 3, (1 + 0.5 + 1) / 3},
		{"one class in the test part", numbers(1, 2), numbers(1), []int32{0, 1}, []int32{0}, 2, 1, nan},
	} {
		s, _, err := Look([]*frame.Column{c.train}, []*frame.Column{c.test}, c.yTrain, c.yTest, c.classes, 1)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(float64(s.Accuracy)-c.accuracy) > 1e-12 {
			t.Errorf("%s: accuracy %v, want %v", c.name, s.Accuracy, c.accuracy)
		}
		if math.Abs(float64(s.ROCAUC)-c.auc) > 1e-12 || s.ROCAUC.Defined() != !math.IsNaN(c.auc) {
			t.Errorf("%s: area %v, want %v", c.name, s.ROCAUC, c.auc)
		}
	}
}

func TestStumpIsTheBestFeature(t *testing.T) {
	columns, y := newShop(2000, 3).columns(0)
	honest := columns[:5]
	stump, leaks, err := Look(honest, honest, y, y, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if stump.Feature != "discount" || stump.Accuracy < 0.8 || stump.ROCAUC < 0.9 || len(leaks) > 0 {
		t.Errorf("stump %v, leaks %v, want the discount and none", *stump, leaks)
	}
	for _, cores := range []int{1, 8} {
		again, _, err := Look(honest, honest, y, y, 2, cores)
		if err != nil || *again != *stump {
			t.Errorf("%d cores: %v, %v, want %v", cores, again, err, stump)
		}
	}
}

func TestLookEdges(t *testing.T) {
	x, y := []*frame.Column{floats("x", []float64{1, 2})}, []int32{0, 1}
	if s, leaks, err := Look(nil, nil, y, y, 2, 1); s != nil || len(leaks) != 0 || err != nil {
		t.Errorf("no features: %v, %v, %v", s, leaks, err)
	}
	for name, call := range map[string]func() error{
		"no test rows": func() error { _, _, err := Look(x, x, y, nil, 2, 1); return err },
		"no rows":      func() error { _, _, err := Look(x, x, nil, y, 2, 1); return err },
		"one class":    func() error { _, _, err := Look(x, x, y, y, 1, 1); return err },
		"features":     func() error { _, _, err := Look(x, nil, y, y, 2, 1); return err },
	} {
		if call() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	nan := math.NaN()
	for name, c := range map[string]*frame.Column{
		"all missing": floats("x", []float64{nan, nan, nan, nan}),
		"no level":    {Name: "x", Type: frame.Category, Codes: []int32{-1, -1, -1, -1}},
		"huge":        floats("x", []float64{1e308, -1e308, math.Inf(1), math.Inf(-1)}),
	} {
		y := []int32{0, 1, 0, 1}
		if s, _, err := Look([]*frame.Column{c}, []*frame.Column{c}, y, y, 2, 1); err != nil || s.Accuracy < 0.5 {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

func BenchmarkLook(b *testing.B) {
	columns, y := newShop(8000, 1).columns(0)
	for b.Loop() {
		if _, _, err := Look(columns, columns, y, y, 2, 2); err != nil {
			b.Fatal(err)
		}
	}
}
