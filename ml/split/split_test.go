package split

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// table makes n different rows with classes of the given shares, in parts of 100.
func table(n int, shares ...int) ([]*frame.Column, []int32) {
	rng := num.NewRNG(1)
	x := &frame.Column{Name: "x", Type: frame.Float}
	var y []int32
	for range n {
		x.Num = append(x.Num, rng.Float64())
		at, class := rng.Intn(100), 0
		for class < len(shares)-1 && at >= shares[class] {
			at -= shares[class]
			class++
		}
		y = append(y, int32(class))
	}
	return []*frame.Column{x}, y
}

func classesOf(rows, y []int32, classes int) []int {
	counts := make([]int, classes)
	for _, r := range rows {
		counts[y[r]]++
	}
	return counts
}

// whole checks that both parts together are all rows, each in order.
func whole(t *testing.T, name string, p Parts, n int) {
	t.Helper()
	all := slices.Sorted(slices.Values(append(slices.Clone(p.Train), p.Test...)))
	for i, r := range all {
		if int(r) != i {
			t.Fatalf("%s: row %d is missing or twice", name, i)
		}
	}
	if len(all) != n || !slices.IsSorted(p.Train) || !slices.IsSorted(p.Test) || len(p.Train) == 0 || len(p.Test) == 0 {
		t.Fatalf("%s: %d and %d rows of %d", name, len(p.Train), len(p.Test), n)
	}
}

func TestQuotas(t *testing.T) {
	for _, c := range []struct {
		name  string
		sizes []int
		want  int
		quota []int
	}{
		{"even", []int{50, 50}, 20, []int{10, 10}},
		{"largest remainder", []int{13, 7}, 4, []int{3, 1}},
		{"the first of equal remainders", []int{15, 15}, 5, []int{3, 2}},
		{"one of two rows at least", []int{98, 2}, 20, []int{19, 1}},
		{"never the last row", []int{98, 2}, 99, []int{97, 1}},
		{"the only row stays", []int{99, 1}, 50, []int{50, 0}},
		{"what single rows leave goes to the others", []int{70, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 16, []int{16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"more classes than test rows", []int{2, 2, 2, 2, 2}, 2, []int{1, 1, 1, 1, 1}},
		{"a class without rows", []int{10, 0, 10}, 4, []int{2, 0, 2}},
		{"small classes take from the large", []int{90, 2, 2, 2, 2, 2}, 10, []int{5, 1, 1, 1, 1, 1}},
	} {
		n := 0
		for _, s := range c.sizes {
			n += s
		}
		if got := quotas(c.sizes, c.want, n); !slices.Equal(got, c.quota) {
			t.Errorf("%s: %v, want %v", c.name, got, c.quota)
		}
	}
}

func TestStratifiedCounts(t *testing.T) {
	for _, c := range []struct {
		rows   int
		share  float64
		shares []int
	}{
		{1000, 0.2, []int{80, 20}}, {999, 0.25, []int{50, 30, 20}}, {997, 0.01, []int{97, 3}}, {1000, 0.99, []int{50, 50}}, {5, 0.5, []int{50, 50}},
	} {
		columns, y := table(c.rows, c.shares...)
		k := len(c.shares)
		p, err := Stratified(y, k, Keys(append(columns, &frame.Column{Name: "y", Type: frame.Category, Codes: y, Levels: []string{"a", "b", "c"}}), c.rows, 7), c.share)
		if err != nil {
			t.Fatal(err)
		}
		whole(t, fmt.Sprint(c), p, c.rows)
		if want := int(math.Ceil(c.share*float64(c.rows) - 1e-9)); len(p.Test) != want {
			t.Errorf("%v: %d test rows, want %d", c, len(p.Test), want)
		}
		all := make([]int32, c.rows)
		for i := range all {
			all[i] = int32(i)
		}
		sizes, test := classesOf(all, y, k), classesOf(p.Test, y, k)
		for class, n := range test {
			if exact := float64(sizes[class]) * float64(len(p.Test)) / float64(c.rows); math.Abs(float64(n)-exact) > 1 {
				t.Errorf("%v: class %d has %d test rows, want %v within one", c, class, n, exact)
			}
		}
	}
}

func TestCountRefuses(t *testing.T) {
	for _, c := range []struct {
		share float64
		n     int
		want  int // 0: refused
	}{
		{0.2, 10, 2}, {0.2, 9, 2}, {1e-9, 10, 1}, {1e-12, 10, 0}, {0.5, 2, 1}, {0.5, 1, 0}, {0.999, 10, 0}, {0, 10, 0}, {1, 10, 0}, {-1, 10, 0}, {math.NaN(), 10, 0}, {0.1, 30, 3}, {0.2, 0, 0}, {0.2, 9994, 1999},
	} {
		got, err := count(c.share, c.n)
		if got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("count(%v, %d) = %d, %v, want %d", c.share, c.n, got, err, c.want)
		}
	}
}

// A row more moves no other row, but for the one whose place the larger test part may take.
func TestOneRowMoreMovesNoOther(t *testing.T) {
	columns, y := table(1000, 70, 30)
	test := func(rows []int32) map[float64]bool {
		x := columns[0].Take(rows)
		labels := make([]int32, len(rows))
		for i, r := range rows {
			labels[i] = y[r]
		}
		p, err := Stratified(labels, 2, Keys([]*frame.Column{x}, len(rows), 42), 0.2)
		if err != nil {
			t.Fatal(err)
		}
		values := map[float64]bool{}
		for _, r := range p.Test {
			values[x.Num[r]] = true
		}
		return values
	}
	all := make([]int32, 1000)
	for i := range all {
		all[i] = int32(i)
	}
	before := test(all[1:])
	for _, at := range []int{0, 1, 500, 999} {
		after := test(slices.Insert(slices.Clone(all[1:]), at, 0)) // row 0 comes in at another place
		moved := 0
		for v := range after {
			if !before[v] && v != columns[0].Num[0] {
				moved++
			}
		}
		for v := range before {
			if !after[v] {
				moved++
			}
		}
		if moved > 2 { // 200 test rows instead of 200, but perhaps one of the other class
			t.Errorf("a row more at %d moves %d others", at, moved)
		}
	}
	// The order of rows has no say at all.
	shuffled := slices.Clone(all)
	num.NewRNG(1).Perm(shuffled)
	if got, want := test(shuffled), test(all); len(got) != len(want) {
		t.Errorf("%d test rows after shuffling, want %d", len(got), len(want))
	} else {
		for v := range want {
			if !got[v] {
				t.Errorf("shuffling takes %v out of the test part", v)
			}
		}
	}
}

func TestKeys(t *testing.T) {
	columns := []*frame.Column{{Name: "x", Type: frame.Float, Num: []float64{1, 2, 1, math.NaN(), 1, math.NaN()}}}
	keys := Keys(columns, 6, 1)
	if len(slices.Compact(slices.Sorted(slices.Values(keys)))) != 6 {
		t.Errorf("equal rows have equal keys: %v", keys)
	}
	if slices.Equal(keys, Keys(columns, 6, 2)) {
		t.Error("the seed does not matter")
	}
	if first := Keys([]*frame.Column{columns[0].Take([]int32{0, 1})}, 2, 1); !slices.Equal(first, keys[:2]) {
		t.Error("keys depend on later rows")
	}
}

func TestGroup(t *testing.T) {
	groups := func(sizes ...int) *frame.Column {
		c := &frame.Column{Name: "order", Type: frame.Identifier}
		for g, n := range sizes {
			c.Levels = append(c.Levels, fmt.Sprint("order ", g))
			for range n {
				c.Codes = append(c.Codes, int32(g))
			}
		}
		return c
	}
	twos := make([]int, 500)
	for i := range twos {
		twos[i] = 2
	}
	huge := append([]int{900}, twos[:50]...)
	for _, c := range []struct {
		name      string
		column    *frame.Column
		share     float64
		low, high int // test rows
	}{
		{"pairs", groups(twos...), 0.2, 199, 200},
		{"one huge group stays in the training part", groups(huge...), 0.2, 100, 100},
		{"all groups larger than the test part: the smallest", groups(50, 30, 40), 0.1, 30, 30},
		{"two groups", groups(1, 99), 0.5, 1, 1},
	} {
		n := c.column.Len()
		p, err := Group(c.column, Keys([]*frame.Column{c.column}, n, 1), c.share, 1)
		if err != nil {
			t.Fatal(err)
		}
		whole(t, c.name, p, n)
		if len(p.Test) < c.low || len(p.Test) > c.high {
			t.Errorf("%s: %d test rows, want %d to %d", c.name, len(p.Test), c.low, c.high)
		}
		inTest := map[int32]bool{}
		for _, r := range p.Test {
			inTest[c.column.Codes[r]] = true
		}
		for _, r := range p.Train {
			if inTest[c.column.Codes[r]] {
				t.Errorf("%s: group %d is in both parts", c.name, c.column.Codes[r])
				break
			}
		}
	}
	one := groups(10)
	if _, err := Group(one, Keys([]*frame.Column{one}, 10, 1), 0.2, 1); err == nil {
		t.Error("one group: no error")
	}
}

// Rows without a value are groups of their own, even if they are equal.
func TestGroupMissing(t *testing.T) {
	c := &frame.Column{Name: "g", Type: frame.Float}
	for range 100 {
		c.Num = append(c.Num, math.NaN())
	}
	p, err := Group(c, Keys([]*frame.Column{c}, 100, 1), 0.2, 1)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, "missing", p, 100)
	if len(p.Test) != 20 {
		t.Errorf("%d test rows, want 20", len(p.Test))
	}
}

func TestTime(t *testing.T) {
	nan := math.NaN()
	days := func(d ...int32) *frame.Column { return &frame.Column{Name: "day", Type: frame.Date, Days: d} }
	numbers := func(v ...float64) *frame.Column { return &frame.Column{Name: "t", Type: frame.Float, Num: v} }
	for _, c := range []struct {
		name   string
		column *frame.Column
		share  float64
		test   []int32 // nil: refused
	}{
		{"the latest", days(5, 1, 4, 2, 3), 0.4, []int32{0, 2}},
		{"numbers", numbers(1, 9, 3, 4), 0.25, []int32{1}},
		{"a moment stays together, on the nearer side", numbers(1, 2, 3, 3, 3), 0.4, []int32{2, 3, 4}},
		{"a moment too large goes to the training part", numbers(1, 1, 1, 1, 2), 0.4, []int32{4}},
		{"not all to the test part", numbers(1, 1, 1, 2, 2), 0.7, []int32{3, 4}},
		{"without a value to the training part", numbers(nan, 1, 2, nan, 3), 0.2, []int32{4}},
		{"few with a value", numbers(nan, nan, nan, 7), 0.5, []int32{3}},
		{"missing date", days(frame.MissingDay, 1, 2, 3), 0.25, []int32{3}},
		{"one moment", numbers(2, 2, 2), 0.4, nil},
		{"no moment", numbers(nan, nan), 0.5, nil},
		{"an identifier that counts", &frame.Column{Name: "c", Type: frame.Identifier, Codes: []int32{0, 1, 2, -1}, Levels: []string{"9", "10", "8.5"}}, 0.25, []int32{1}},
		{"texts", &frame.Column{Name: "c", Type: frame.Category, Codes: []int32{0, 1}, Levels: []string{"a", "b"}}, 0.5, nil},
		{"no rows", numbers(), 0.5, nil},
	} {
		p, err := Time(c.column, c.share)
		if (err == nil) != (c.test != nil) || !slices.Equal(p.Test, c.test) {
			t.Errorf("%s: test rows %v, error %v, want %v", c.name, p.Test, err, c.test)
		}
		if err == nil {
			whole(t, c.name, p, c.column.Len())
		}
	}
}

func BenchmarkStratified(b *testing.B) {
	columns, y := table(10_000, 80, 20)
	for b.Loop() {
		if _, err := Stratified(y, 2, Keys(columns, len(y), 42), 0.2); err != nil {
			b.Fatal(err)
		}
	}
}
