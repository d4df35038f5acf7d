package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/linear"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/parquet"
	"github.com/hashline/hashline/ml/split"
	"github.com/hashline/hashline/ml/tree"
)

// raw makes a table as it comes from a file: numbers, a date, texts, with values missing.
func raw(n int) *frame.Frame {
	rng := num.NewRNG(12)
	amount, pieces := &frame.Column{Name: "amount", Type: frame.Float}, &frame.Column{Name: "pieces", Type: frame.Integer}
	day, city := &frame.Column{Name: "day", Type: frame.Date}, &frame.Column{Name: "city", Type: frame.Category}
	for i := range 40 {
		city.Levels = append(city.Levels, fmt.Sprintf("city %02d", i*7%40))
	}
	for range n {
		a, p, d, c := rng.Float64()*1e4, float64(rng.Intn(9)), int32(15000+rng.Intn(2000)), int32(rng.Intn(40))
		switch rng.Intn(15) {
		case 0:
			a = math.NaN()
		case 1:
			d = frame.MissingDay
		case 2:
			c = frame.MissingCode
		}
		amount.Num, pieces.Num, day.Days, city.Codes = append(amount.Num, a), append(pieces.Num, p), append(day.Days, d), append(city.Codes, c)
	}
	return &frame.Frame{Rows: n, Columns: []*frame.Column{amount, pieces, day, city}}
}

func recipe() *feature.Recipe {
	r := &feature.Recipe{Schema: feature.RecipeSchema, Columns: []feature.Source{{Name: "amount", Type: "float"}, {Name: "pieces", Type: "integer"}, {Name: "day", Type: "date"}, {Name: "city", Type: "category"}}}
	r.Features = []feature.Feature{{Name: "amount", Op: feature.OpColumn, Inputs: []string{"amount"}}, {Name: "each", Op: feature.OpRatio, Inputs: []string{"amount", "pieces"}},
		{Name: "month", Op: "month", Inputs: []string{"day"}}, {Name: "weekday", Op: "weekday", Inputs: []string{"day"}}, {Name: "city", Op: feature.OpColumn, Inputs: []string{"city"}}}
	return r
}

// prepared is the table as a dataset that went through a file.
func prepared(t *testing.T, f *frame.Frame, classes int) *dataset.Dataset {
	t.Helper()
	features, err := recipe().Apply(f)
	if err != nil {
		t.Fatal(err)
	}
	d := &dataset.Dataset{Features: features, Expression: "class", Recipe: mustJSON(t, recipe())}
	for c := range classes {
		d.Classes = append(d.Classes, fmt.Sprint("class ", c))
	}
	for i := range f.Rows {
		d.Y = append(d.Y, int32((i*31+int(f.Columns[1].Num[i]))%7%classes))
	}
	table, err := d.Frame()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := parquet.Write(&b, table); err != nil {
		t.Fatal(err)
	}
	if table, err = parquet.Read(bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil {
		t.Fatal(err)
	}
	if d, err = dataset.FromFrame(table); err != nil {
		t.Fatal(err)
	}
	return d
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fitted trains every kind of model.
func fitted(t *testing.T, d *dataset.Dataset) map[string]*Model {
	t.Helper()
	models := map[string]*Model{}
	for _, kind := range []string{"decision_tree", "random_forest", "logistic_regression"} {
		m := &Model{Schema: Schema, Kind: kind, Engine: "native", Target: d.Expression, Classes: d.Classes, Recipe: d.Recipe, Columns: d.Names()}
		var err error
		switch kind {
		case "decision_tree":
			m.Tree, err = tree.FitTree(d.Features, d.Y, len(d.Classes), tree.Options{MaxDepth: 8, MinSamplesLeaf: 3, Laplace: 1})
		case "random_forest":
			m.Tree, err = tree.FitForest(d.Features, d.Y, len(d.Classes), tree.Options{Trees: 15, Seed: 1, MaxFeatures: 0.5})
		default:
			m.Linear, err = linear.Fit(d.Features, d.Y, len(d.Classes), linear.Options{})
		}
		if err != nil {
			t.Fatal(err)
		}
		models[kind] = m
	}
	return models
}

// A saved model gives a raw row, alone and with codes of its own, the bits that it gave the same row in the test part.
func TestRawRowsGetTheSameBits(t *testing.T) {
	for _, classes := range []int{2, 4} {
		f := raw(600)
		d := prepared(t, f, classes)
		parts, err := split.Stratified(d.Y, classes, split.Keys(d.Features, len(d.Y), 42), 0.2)
		if err != nil {
			t.Fatal(err)
		}
		test := d.Take(parts.Test)
		for kind, m := range fitted(t, d.Take(parts.Train)) {
			want, err := m.Estimator().Predict(test.Features, 2)
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := Parse(mustJSON(t, m))
			if err != nil {
				t.Fatal(err)
			}
			r, err := feature.ParseRecipe(loaded.Recipe)
			if err != nil {
				t.Fatal(err)
			}
			for i, row := range parts.Test {
				features, err := r.Apply(alone(f, row))
				if err != nil {
					t.Fatal(err)
				}
				got, err := loaded.Predict(&frame.Frame{Rows: 1, Columns: features}, 1)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want[i*classes:(i+1)*classes]) {
					t.Fatalf("%s, %d classes: raw row %d has %v, evaluation saw %v", kind, classes, row, got, want[i*classes:(i+1)*classes])
				}
			}
		}
	}
}

// alone is one row as if it had been read from a file of its own.
func alone(f *frame.Frame, row int32) *frame.Frame {
	one := f.Take([]int32{row})
	for _, c := range one.Columns {
		if c.Type.Textual() && c.Codes[0] >= 0 {
			c.Levels, c.Codes = []string{c.Levels[c.Codes[0]]}, []int32{0}
		}
	}
	return one
}

func TestParseRefuses(t *testing.T) {
	d := prepared(t, raw(50), 2)
	good := string(mustJSON(t, fitted(t, d)["logistic_regression"]))
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]string{
		"empty":         "",
		"no JSON":       "model",
		"cut off":       good[:len(good)/2],
		"other schema":  strings.Replace(good, Schema, "hashline.model/2", 1),
		"no estimator":  strings.Replace(good, `"linear":`, `"other":`, 1),
		"classes":       strings.Replace(good, `"classes":["class 0","class 1"]`, `"classes":["class 0"]`, 1),
		"no features":   strings.Replace(good, `"features":["amount"`, `"features":[],"x":["amount"`, 1),
		"other names":   strings.Replace(good, `"features":["amount"`, `"features":["sum"`, 1),
		"null":          "null",
		"two of them":   strings.Replace(good, `"linear":`, `"tree":`+string(mustJSON(t, fitted(t, d)["decision_tree"].Tree))+`,"linear":`, 1),
		"hostile names": `{"schema":"hashline.model/1","classes":["\u001b[2J"],"features":["<script>"]}`,
	} {
		if m, err := Parse([]byte(b)); err == nil || !strings.HasPrefix(err.Error(), "model: ") {
			t.Errorf("%s: %v, error %v", name, m, err)
		}
	}
}

// FuzzParse: no file makes Parse panic, nor a model that it accepts.
func FuzzParse(f *testing.F) {
	x, y := []*frame.Column{{Name: "x", Type: frame.Float, Num: []float64{1, 2, 3, 4}}}, []int32{0, 0, 1, 1}
	one, err := tree.FitTree(x, y, 2, tree.Options{})
	if err != nil {
		f.Fatal(err)
	}
	other, err := linear.Fit(x, y, 2, linear.Options{})
	if err != nil {
		f.Fatal(err)
	}
	m := Model{Schema: Schema, Classes: []string{"a", "b"}, Columns: []string{"x"}, Recipe: json.RawMessage("{}"), Tree: one}
	f.Add(mustJSON(f, m))
	m.Tree, m.Linear = nil, other
	f.Add(mustJSON(f, m))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		var columns []*frame.Column
		for _, name := range m.Columns {
			columns = append(columns, &frame.Column{Name: name, Type: frame.Float, Num: []float64{math.NaN(), 1e308}})
		}
		p, err := m.Predict(&frame.Frame{Rows: 2, Columns: columns}, 1)
		if err == nil && len(p) != 2*len(m.Classes) {
			t.Fatalf("%d probabilities for 2 rows of %d classes", len(p), len(m.Classes))
		}
	})
}
