package split

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// sizes returns the rows of each fold and class.
func sizes(folds, y []int32, k, classes int) [][]int {
	counts := make([][]int, k)
	for f := range counts {
		counts[f] = make([]int, classes)
	}
	for i, f := range folds {
		c := int32(0)
		if y != nil {
			c = y[i]
		}
		counts[f][c]++
	}
	return counts
}

func TestFoldsAreEven(t *testing.T) {
	for _, c := range []struct {
		n, k, classes int
		shares        []int
	}{
		{1000, 5, 2, []int{80, 20}}, {997, 10, 3, []int{90, 8, 2}}, {100, 100, 2, []int{50, 50}}, {23, 7, 4, []int{40, 30, 20, 10}}, {50, 3, 1, nil},
	} {
		columns, y := table(c.n, c.shares...)
		if c.shares == nil {
			y = nil
		}
		folds, err := Folds(y, c.classes, Keys(columns, c.n, 7), c.k)
		if err != nil {
			t.Fatal(err)
		}
		counts := sizes(folds, y, c.k, c.classes)
		for class := range c.classes {
			var of []int
			for f := range c.k {
				of = append(of, counts[f][class])
			}
			if slices.Max(of)-slices.Min(of) > 1 {
				t.Errorf("%+v: class %d has %v rows in the folds", c, class, of)
			}
		}
		var all []int
		for f := range c.k {
			all = append(all, int(num.Sum(floats(counts[f]))))
		}
		if slices.Max(all)-slices.Min(all) > 1 {
			t.Errorf("%+v: folds of %v rows", c, all)
		}
		for f := range c.k {
			whole(t, fmt.Sprint(c, f), Fold(folds, f, false), c.n)
		}
	}
}

func floats(v []int) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// A class of fewer rows than folds has one in as many folds.
func TestFoldsOfARareClass(t *testing.T) {
	columns, y := table(60, 100)
	y[4], y[40] = 1, 1
	folds, err := Folds(y, 2, Keys(columns, 60, 1), 10)
	if err != nil {
		t.Fatal(err)
	}
	if folds[4] == folds[40] {
		t.Errorf("both are in fold %d", folds[4])
	}
}

// One more row moves few others to another fold, wherever it stands.
func TestFoldsHoldStill(t *testing.T) {
	const n, k = 2000, 5
	columns, y := table(n, 70, 30)
	before, err := Folds(y, 2, Keys(columns, n, 3), k)
	if err != nil {
		t.Fatal(err)
	}
	more := &frame.Column{Name: "x", Type: frame.Float, Num: slices.Insert(slices.Clone(columns[0].Num), 17, 0.123)}
	after, err := Folds(slices.Insert(slices.Clone(y), 17, 1), 2, Keys([]*frame.Column{more}, n+1, 3), k)
	if err != nil {
		t.Fatal(err)
	}
	moved := 0
	for i, f := range slices.Delete(after, 17, 18) {
		if f != before[i] {
			moved++
		}
	}
	if moved > 2*2*(k-1) {
		t.Errorf("%d of %d rows moved", moved, n)
	}
}

func TestGroupFolds(t *testing.T) {
	const n, k = 300, 4
	column := &frame.Column{Name: "g", Type: frame.Category}
	for g := range 40 {
		column.Levels = append(column.Levels, fmt.Sprint(g))
	}
	rng := num.NewRNG(5)
	keys := make([]uint64, n)
	for i := range n {
		column.Codes = append(column.Codes, int32(rng.Intn(40)))
		keys[i] = rng.Uint64()
	}
	column.Codes[0], column.Codes[1] = -1, -1
	folds, err := GroupFolds(column, keys, k, 9)
	if err != nil {
		t.Fatal(err)
	}
	foldOf := map[int32]int32{}
	for i, g := range column.Codes {
		if f, seen := foldOf[g]; seen && g >= 0 && f != folds[i] {
			t.Fatalf("group %d is in folds %d and %d", g, f, folds[i])
		}
		foldOf[g] = folds[i]
	}
	for f, c := range sizes(folds, nil, k, 1) {
		if c[0] < n/k-10 || c[0] > n/k+10 {
			t.Errorf("fold %d has %d rows", f, c[0])
		}
	}
	if _, err := GroupFolds(&frame.Column{Name: "g", Type: frame.Category, Codes: make([]int32, n), Levels: []string{"a"}}, keys, 2, 1); err == nil || err.Error() != "1 groups cannot be divided into 2 folds" {
		t.Errorf("one group: %v", err)
	}
}

// Each fold is later than what is learned from for it, and rows of one moment stay together.
func TestTimeFolds(t *testing.T) {
	const n, k = 500, 4
	column := &frame.Column{Name: "t", Type: frame.Float}
	rng := num.NewRNG(2)
	for range n {
		column.Num = append(column.Num, float64(rng.Intn(60)))
	}
	column.Num[7] = math.NaN()
	folds, err := TimeFolds(column, k)
	if err != nil {
		t.Fatal(err)
	}
	if folds[7] != Past {
		t.Errorf("the row without a time is in fold %d", folds[7])
	}
	for f := range k {
		p := Fold(folds, f, true)
		if len(p.Test) < n/(k+1)-20 || len(p.Test) > n/(k+1)+20 {
			t.Errorf("fold %d has %d rows", f, len(p.Test))
		}
		latest, earliest := 0.0, 100.0
		for _, r := range p.Train {
			latest = max(latest, zero(column.Num[r]))
		}
		for _, r := range p.Test {
			earliest = min(earliest, column.Num[r])
		}
		if latest >= earliest {
			t.Errorf("fold %d begins at %v, and was learned from rows up to %v", f, earliest, latest)
		}
	}
	for name, c := range map[string]*frame.Column{"two moments": {Name: "t", Type: frame.Float, Num: []float64{1, 1, 1, 2, 2, 2}}, "texts": {Name: "t", Type: frame.Text, Codes: []int32{0}, Levels: []string{"x"}}} {
		if _, err := TimeFolds(c, 3); err == nil {
			t.Errorf("%s have folds", name)
		}
	}
}

func zero(v float64) float64 {
	if v != v {
		return 0
	}
	return v
}

func TestTooManyFolds(t *testing.T) {
	columns, y := table(10, 50, 50)
	for _, k := range []int{-1, 0, 1, 11, MaxFolds + 1} {
		if _, err := Folds(y, 2, Keys(columns, 10, 1), k); err == nil {
			t.Errorf("10 rows have %d folds", k)
		}
	}
}
