package feature

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/hashline/hashline/ml/frame"
)

func registerHalf(t *testing.T) {
	t.Helper()
	Register("half", Op{Inputs: []frame.Type{frame.Float}, Make: func(in []*frame.Column) *frame.Column {
		c := &frame.Column{Type: frame.Float}
		for _, v := range in[0].Num {
			c.Num = append(c.Num, v/2)
		}
		return c
	}})
	t.Cleanup(func() { delete(own, "half") })
}

func TestOwnFeature(t *testing.T) {
	registerHalf(t)
	table := []*frame.Column{{Name: "pieces", Type: frame.Integer, Num: []float64{1, math.NaN(), 4}}, {Name: "city", Type: frame.Category, Codes: []int32{0, 1, 0}, Levels: []string{"Ulm", "Bonn"}}}
	choice := Choice{Columns: []string{"city"}, Own: []Feature{{Name: "few", Op: "half", Inputs: []string{"pieces"}}, {Op: "half", Inputs: []string{"pieces"}}}}
	if !choice.Needs("pieces", frame.Integer) || choice.Needs("other", frame.Integer) {
		t.Error("it needs pieces alone")
	}
	r, decisions, err := Choose(table, "", choice)
	if err != nil {
		t.Fatal(err)
	}
	if d := decisions[0]; d.Column != "pieces" || d.Use != "feature" {
		t.Errorf("decision %+v, want that a feature is made from pieces", d)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = ParseRecipe(b); err != nil {
		t.Fatal(err)
	}
	features, err := r.Apply(&frame.Frame{Rows: 3, Columns: table})
	if err != nil {
		t.Fatal(err)
	}
	if f := features[1]; f.Name != "few" || f.Num[0] != 0.5 || f.Num[1] == f.Num[1] || f.Num[2] != 2 {
		t.Errorf("feature %+v", f)
	}
	if features[2].Name != "half of pieces" {
		t.Errorf("without a name it is called %q", features[2].Name)
	}
	delete(own, "half")
	if _, err := ParseRecipe(b); err == nil || !strings.Contains(err.Error(), `unknown operation "half"`) {
		t.Errorf("in a program that does not register it: %v", err)
	}
}

func TestOwnFeatureRefuses(t *testing.T) {
	registerHalf(t)
	table := []*frame.Column{{Name: "x", Type: frame.Float, Num: []float64{1, 2}}, {Name: "c", Type: frame.Category, Codes: []int32{0, 1}, Levels: []string{"a", "b"}}}
	for name, f := range map[string]Feature{
		"a text":        {Op: "half", Inputs: []string{"c"}},
		"two columns":   {Op: "half", Inputs: []string{"x", "x"}},
		"no column":     {Op: "half", Inputs: []string{"y"}},
		"no operation":  {Op: "third", Inputs: []string{"x"}},
		"the target":    {Op: "half", Inputs: []string{"t"}},
		"empty, no ops": {},
	} {
		if _, _, err := Choose(append(table, &frame.Column{Name: "t", Type: frame.Float, Num: []float64{1, 2}}), "t", Choice{Own: []Feature{f}}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	op := own["half"]
	defer func() { own["half"] = op }()
	own["half"] = Op{Inputs: op.Inputs, Make: func([]*frame.Column) *frame.Column { return &frame.Column{Type: frame.Float, Num: []float64{1}} }}
	r, _, err := Choose(table, "", Choice{Own: []Feature{{Op: "half", Inputs: []string{"x"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Apply(&frame.Frame{Rows: 2, Columns: table}); err == nil || !strings.Contains(err.Error(), "half") {
		t.Errorf("an operation that makes too few rows: %v", err)
	}
	for name, op := range map[string]Op{"": op, "half": op, "ratio": op, "month": op, "no_inputs": {Make: op.Make}, "no_make": {Inputs: op.Inputs}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was registered", name)
				}
			}()
			Register(name, op)
		}()
	}
}
