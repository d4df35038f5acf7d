package dataset

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
)

func sample() *Dataset {
	return &Dataset{
		Features: []*frame.Column{{Name: "x", Type: frame.Float, Num: []float64{1, math.NaN(), 3, 4}},
			{Name: "target", Type: frame.Category, Codes: []int32{0, 1, -1, 0}, Levels: []string{"a", "b"}}},
		Y: []int32{0, 2, 2, 0}, Classes: []string{"no", "perhaps", "yes"}, Expression: "y > 1 | y > 2", Recipe: json.RawMessage(`{"a":1}`),
	}
}

func same(a, b *frame.Column) bool {
	return a.Name == b.Name && a.Type == b.Type && slices.Equal(a.Codes, b.Codes) && slices.Equal(a.Levels, b.Levels) &&
		slices.EqualFunc(a.Num, b.Num, func(x, y float64) bool { return x == y || x != x && y != y })
}

func TestFrameRoundTrip(t *testing.T) {
	for _, c := range []struct {
		name  string
		split func(d *Dataset) *frame.Column
	}{
		{"no split", func(*Dataset) *frame.Column { return nil }},
		{"split by a feature", func(d *Dataset) *frame.Column { return d.Features[1] }},
		{"split by another column", func(*Dataset) *frame.Column {
			return &frame.Column{Name: "target_2", Type: frame.Category, Codes: []int32{0, 0, 1, 1}, Levels: []string{"g", "h"}}
		}},
	} {
		d := sample()
		d.Split = c.split(d)
		f, err := d.Frame()
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		back, err := FromFrame(f)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(back.Features, d.Features, same) || !slices.Equal(back.Y, d.Y) || !slices.Equal(back.Classes, d.Classes) ||
			back.Expression != d.Expression || string(back.Recipe) != string(d.Recipe) || (back.Split == nil) != (d.Split == nil) {
			t.Errorf("%s: %+v comes back as %+v", c.name, d, back)
		}
		if d.Split != nil && !same(back.Split, d.Split) {
			t.Errorf("%s: the split's column comes back as %+v", c.name, back.Split)
		}
	}
}

func numbers() *Dataset {
	d := sample()
	d.Y, d.Classes, d.Target, d.Expression = nil, nil, []float64{1.5, -2, 1e300, 0}, "y"
	return d
}

func TestNumbersRoundTrip(t *testing.T) {
	d := numbers()
	f, err := d.Frame()
	if err != nil {
		t.Fatal(err)
	}
	back, err := FromFrame(f)
	if err != nil {
		t.Fatal(err)
	}
	if !back.Numeric() || back.Rows() != 4 || !slices.Equal(back.Target, d.Target) || back.Y != nil || back.Classes != nil || back.Expression != "y" || len(back.Features) != 2 {
		t.Errorf("%+v comes back as %+v", d, back)
	}
	if got := back.Take([]int32{3, 0}); !slices.Equal(got.Target, []float64{0, 1.5}) || got.Rows() != 2 {
		t.Errorf("took %+v", got)
	}
	for name, change := range map[string]func(target *frame.Column){
		"a gap":    func(c *frame.Column) { c.Num = []float64{1, math.NaN(), 3, 4} },
		"infinite": func(c *frame.Column) { c.Num = []float64{1, 2, 3, math.Inf(1)} },
		"no rows":  func(c *frame.Column) { c.Num = nil },
		"texts": func(c *frame.Column) {
			*c = frame.Column{Name: c.Name, Type: frame.Category, Codes: make([]int32, 4), Levels: []string{"a"}}
		},
	} {
		if f, err = numbers().Frame(); err != nil {
			t.Fatal(err)
		}
		change(f.Column(f.Meta[metaTarget]))
		if _, err := FromFrame(f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFromFrameRefuses(t *testing.T) {
	for name, change := range map[string]func(f *frame.Frame){
		"no features":     func(f *frame.Frame) { delete(f.Meta, metaFeatures) },
		"no classes":      func(f *frame.Frame) { f.Meta[metaClasses] = "?" },
		"feature gone":    func(f *frame.Frame) { f.Meta[metaFeatures] = `["z"]` },
		"target gone":     func(f *frame.Frame) { f.Meta[metaTarget] = "z" },
		"target a number": func(f *frame.Frame) { f.Meta[metaTarget] = "x" },
		"class unknown":   func(f *frame.Frame) { f.Meta[metaClasses] = `["no"]` },
		"class missing":   func(f *frame.Frame) { f.Column(f.Meta[metaTarget]).Codes = []int32{0, -1, 0, 0} },
		"split gone":      func(f *frame.Frame) { f.Meta[metaSplit] = "z" },
		"no metadata":     func(f *frame.Frame) { f.Meta = nil },
	} {
		f, err := sample().Frame()
		if err != nil {
			t.Fatal(err)
		}
		change(f)
		if _, err := FromFrame(f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTakeCountsMajority(t *testing.T) {
	d := sample()
	d.Split = d.Features[1]
	taken := d.Take([]int32{3, 1, 2})
	if !slices.Equal(taken.Y, []int32{0, 2, 2}) || taken.Features[0].Num[0] != 4 || taken.Split != taken.Features[1] {
		t.Errorf("took %+v", taken)
	}
	if got, want := taken.Counts(), []int{1, 0, 2}; !slices.Equal(got, want) {
		t.Errorf("counts %v, want %v", got, want)
	}
	if got := taken.Majority(); got != 2 {
		t.Errorf("majority %d, want 2", got)
	}
	if got := d.Majority(); got != 0 {
		t.Errorf("majority %d, want the first of equals", got)
	}
	if got := d.Names(); !reflect.DeepEqual(got, []string{"x", "target"}) {
		t.Errorf("names %v", got)
	}
	d.Split = &frame.Column{Name: "g", Type: frame.Date, Days: []int32{1, 2, 3, 4}}
	if got := d.Take([]int32{2}).Split.Days; !slices.Equal(got, []int32{3}) {
		t.Errorf("the split's column has %v, want its row", got)
	}
}
