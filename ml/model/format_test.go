package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashline/hashline/ml/boost"
	"github.com/hashline/hashline/ml/calibrate"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/linear"
	"github.com/hashline/hashline/ml/tree"
)

// reader is FORMAT.md in Go: it knows nothing of the packages that write the files.
type reader struct {
	Classes []string `json:"classes"`
	Recipe  struct {
		Features []struct {
			Op     string   `json:"op"`
			Inputs []string `json:"inputs"`
		} `json:"features"`
	} `json:"recipe"`
	Tree   *treeReader   `json:"tree"`
	Linear *linearReader `json:"linear"`

	Calibration *struct {
		Method string `json:"method"`
		Curves []struct {
			A, B float64
			X, Y []float64
		} `json:"curves"`
	} `json:"calibration"`
}

// value is a number or a text.
type value struct {
	number  float64
	text    string
	missing bool
}

// raw columns of a row: numbers, texts, or days since 1970.
type rawRow map[string]value

func (r *reader) predict(row rawRow) []float64 {
	var features []value
	for _, f := range r.Recipe.Features {
		a := row[f.Inputs[0]]
		date := time.Unix(int64(a.number)*86400, 0).UTC()
		switch f.Op {
		case "year":
			a.number = float64(date.Year())
		case "quarter":
			a.number = float64((date.Month()-1)/3 + 1)
		case "month":
			a.number = float64(date.Month())
		case "weekday":
			a.number = float64((date.Weekday() + 6) % 7)
		case "day":
			a.number = float64(date.Day())
		case "days_between":
			b := row[f.Inputs[1]]
			a.number, a.missing = b.number-a.number, a.missing || b.missing
		case "ratio":
			b := row[f.Inputs[1]]
			a.missing = a.missing || b.missing || b.number == 0
			a.number /= b.number
			a.missing = a.missing || math.IsInf(a.number, 0)
		case "column":
		default:
			panic(f.Op)
		}
		features = append(features, a)
	}
	var p []float64
	if r.Tree != nil {
		p = r.Tree.predict(features)
	} else {
		p = r.Linear.predict(features)
	}
	if r.Calibration != nil {
		r.calibrate(p)
	}
	return p
}

func (r *reader) calibrate(p []float64) {
	sum := 0.0
	for i := range p {
		curve := 0
		if len(p) > 2 {
			curve = i
		} else if i == 0 {
			continue
		}
		c := r.Calibration.Curves[curve]
		if r.Calibration.Method == "sigmoid" {
			q := max(0x1p-52, min(1-0x1p-52, p[i]))
			p[i] = 1 / (1 + math.Exp(c.A*math.Log(q/(1-q))+c.B))
		} else {
			p[i] = alongLine(c.X, c.Y, p[i])
		}
		sum += p[i]
	}
	if len(p) == 2 {
		p[0] = 1 - p[1]
		return
	}
	for i := range p {
		if p[i] /= sum; sum == 0 {
			p[i] = 1 / float64(len(p))
		}
	}
}

// alongLine is the y of a line from point to point at x.
func alongLine(xs, ys []float64, x float64) float64 {
	for i := range xs {
		if x <= xs[i] {
			if i == 0 {
				return ys[0]
			}
			return ys[i-1] + (ys[i]-ys[i-1])*(x-xs[i-1])/(xs[i]-xs[i-1])
		}
	}
	return ys[len(ys)-1]
}

type treeReader struct {
	Task     string `json:"task"`
	Classes  int    `json:"classes"`
	Features []struct {
		Type   string    `json:"type"`
		Edges  []float64 `json:"edges"`
		Levels []string  `json:"levels"`
		Bins   []int     `json:"bins"`
	} `json:"features"`
	Trees    int     `json:"trees"`
	Column   []byte  `json:"column"`
	Cut      []byte  `json:"cut"`
	Value    []byte  `json:"value"`
	Pairs    []byte  `json:"pairs"`
	Class    []byte  `json:"class"`
	Exponent int     `json:"exponent"`
	Base     []int64 `json:"base"`
}

func next(list *[]byte, bytes int) (v uint64) {
	for i := range bytes {
		v |= uint64((*list)[i]) << (8 * i)
	}
	*list = (*list)[bytes:]
	return v
}

func (r *treeReader) predict(features []value) []float64 {
	codes, missing := make([]int, len(features)), make([]bool, len(features))
	for i, v := range features {
		f := r.Features[i]
		missing[i] = v.missing
		if f.Type == "category" {
			at := slices.Index(f.Levels, v.text)
			missing[i] = missing[i] || at < 0
			if at >= 0 {
				codes[i] = f.Bins[at]
			}
			continue
		}
		for _, e := range f.Edges {
			if e < v.number {
				codes[i]++
			}
		}
	}
	columns, cut, values, pairs, class := r.Column, r.Cut, r.Value, r.Pairs, r.Class
	shares := make([]uint64, max(1, r.Classes)) // of classes
	numbers := slices.Clone(r.Base)
	if numbers == nil {
		numbers = []int64{0}
	}
	for t := range r.Trees {
		// The shape: which nodes there are, and their left children.
		left, free, open := map[int]int{}, 1, []int{0}
		for len(open) > 0 {
			at := open[len(open)-1]
			open = open[:len(open)-1]
			if binary.LittleEndian.Uint16(columns[2*at:]) != 65535 {
				left[at] = free
				open = append(open, free+1, free)
				free += 2
			}
		}
		column, cuts, leaf := make([]int, free), make([]int, free), make([]func(), free)
		for i := range free {
			column[i] = int(next(&columns, 2))
			switch {
			case column[i] != 65535:
				cuts[i] = int(next(&cut, 2))
			case r.Task != "":
				v := int64(next(&values, 8))
				leaf[i] = func() { numbers[t%len(numbers)] += v }
			case r.Classes == 2:
				v := next(&values, 4)
				leaf[i] = func() { shares[1] += v }
			default:
				of := map[int]uint64{}
				for range next(&pairs, 2) {
					of[int(next(&class, 2))] = next(&values, 4)
				}
				leaf[i] = func() {
					for c, v := range of {
						shares[c] += v
					}
				}
			}
		}
		at := 0
		for column[at] != 65535 {
			f := column[at] / 2
			right := codes[f] > cuts[at]
			if missing[f] {
				right = column[at]%2 == 1
			}
			at = left[at]
			if right {
				at++
			}
		}
		leaf[at]()
	}
	switch r.Task {
	case "means":
		return []float64{float64(numbers[0]) / float64(r.Trees) * math.Ldexp(1, r.Exponent)}
	case "sums":
		var v []float64
		for _, n := range numbers {
			v = append(v, float64(n)*math.Ldexp(1, r.Exponent))
		}
		return link(v, r.Classes)
	}
	whole := float64(r.Trees) * (1 << 31)
	out, rest := make([]float64, r.Classes), 1.0
	for c := 1; c < r.Classes; c++ {
		out[c] = min(rest, float64(shares[c])/whole)
		rest -= out[c]
	}
	out[0] = rest
	return out
}

// link makes probabilities of v.
func link(v []float64, classes int) []float64 {
	switch classes {
	case 0:
		return v
	case 2:
		p := 1 / (1 + math.Exp(-v[0]))
		return []float64{1 - p, p}
	}
	sum, top := 0.0, slices.Max(v)
	for i := range v {
		v[i] = math.Exp(v[i] - top)
		sum += v[i]
	}
	for i := range v {
		v[i] /= sum
	}
	return v
}

type linearReader struct {
	Classes int `json:"classes"`
	Terms   []struct {
		Type   string   `json:"type"`
		Unit   float64  `json:"unit"`
		Mean   float64  `json:"mean"`
		Scale  float64  `json:"scale"`
		Absent bool     `json:"absent"`
		Levels []string `json:"levels"`
	} `json:"terms"`
	Weights []float64 `json:"weights"`
}

func (r *linearReader) predict(features []value) []float64 {
	lists := max(1, r.Classes)
	if r.Classes == 2 {
		lists = 1
	}
	var v []float64
	for w := range slices.Chunk(r.Weights, len(r.Weights)/lists) {
		sum := 0.0
		take := func(x float64) {
			sum += w[0] * x
			w = w[1:]
		}
		for i, t := range r.Terms {
			if t.Type == "category" {
				continue
			}
			z, absent := max(-1e6, min(1e6, (features[i].number/t.Unit-t.Mean)/t.Scale)), 0.0
			if features[i].missing {
				z, absent = 0, 1
			}
			take(z)
			if t.Absent {
				take(absent)
			}
		}
		take(1)
		for i, t := range r.Terms {
			if t.Type != "category" {
				continue
			}
			at := slices.Index(t.Levels, features[i].text)
			if at < 0 || features[i].missing {
				at = len(t.Levels)
			}
			sum += w[at]
			w = w[len(t.Levels)+1:]
		}
		v = append(v, sum)
	}
	return link(v, r.Classes)
}

// formatRecipe has every operation.
func formatRecipe() *feature.Recipe {
	r := recipe()
	r.Columns = append(r.Columns, feature.Source{Name: "paid", Type: "date"})
	for _, part := range []string{"year", "quarter", "day"} {
		r.Features = append(r.Features, feature.Feature{Name: part, Op: part, Inputs: []string{"day"}})
	}
	r.Features = append(r.Features, feature.Feature{Name: "wait", Op: feature.OpDaysBetween, Inputs: []string{"day", "paid"}})
	return r
}

// formatTable is the raw table with a second date. Values of column paid are missing where those of day are not, too.
func formatTable(n int) *frame.Frame {
	f := raw(n)
	paid := &frame.Column{Name: "paid", Type: frame.Date}
	for i, d := range f.Columns[2].Days {
		if d != frame.MissingDay {
			d += int32(i * 7 % 90)
		}
		if i%17 == 0 {
			d = frame.MissingDay
		}
		paid.Days = append(paid.Days, d)
	}
	f.Columns = append(f.Columns, paid)
	return f
}

// every trains each kind of model on d, whose target are numbers where numbers are given.
func every(t *testing.T, d *dataset.Dataset, numbers []float64) map[string]*Model {
	t.Helper()
	models, k := map[string]*Model{}, len(d.Classes)
	add := func(kind string, e *tree.Ensemble, l *linear.Model, err error) {
		if err != nil {
			t.Fatal(kind, err)
		}
		models[kind] = &Model{Schema: Schema, Kind: kind, Engine: "native", Target: d.Expression, Classes: d.Classes, Recipe: d.Recipe, Tree: e, Linear: l, Columns: d.Names()}
	}
	forest := tree.Options{Trees: 7, MaxFeatures: 0.5, MinSamplesLeaf: 2, Seed: 1, OutOfBag: true}
	boosting := boost.Options{Iterations: 5, MaxLeafNodes: 6, MinSamplesLeaf: 5}
	if numbers != nil {
		e, err := tree.FitTreeRegressor(d.Features, numbers, tree.Options{MaxDepth: 6})
		add("decision_tree", e, nil, err)
		e, err = tree.FitForestRegressor(d.Features, numbers, forest)
		add("random_forest", e, nil, err)
		forest.OutOfBag = false
		e, err = tree.FitExtraTreesRegressor(d.Features, numbers, forest)
		add("extra_trees", e, nil, err)
		e, err = boost.FitRegressor(d.Features, numbers, boosting)
		add("gradient_boosting", e, nil, err)
		l, err := linear.FitRegression(d.Features, numbers, linear.RegressionOptions{})
		add("ridge", nil, l, err)
		return models
	}
	e, err := tree.FitTree(d.Features, d.Y, k, tree.Options{MaxDepth: 6, Laplace: 1})
	add("decision_tree", e, nil, err)
	e, err = tree.FitForest(d.Features, d.Y, k, forest)
	add("random_forest", e, nil, err)
	forest.OutOfBag = false
	e, err = tree.FitExtraTrees(d.Features, d.Y, k, forest)
	add("extra_trees", e, nil, err)
	e, err = boost.FitClassifier(d.Features, d.Y, k, boosting)
	add("gradient_boosting", e, nil, err)
	l, err := linear.Fit(d.Features, d.Y, k, linear.Options{})
	add("logistic_regression", nil, l, err)
	for _, method := range []string{calibrate.Sigmoid, calibrate.Isotonic} {
		m := *models["random_forest"]
		proba, err := m.Estimator().Predict(d.Features, 1)
		if err != nil {
			t.Fatal(err)
		}
		if m.Calibration, err = calibrate.Fit(method, proba, d.Y, k); err != nil {
			t.Fatal(err)
		}
		if k == 2 {
			m.Decision = &Decision{0.25, 1, 3}
		}
		models["random_forest, "+method] = &m
	}
	return models
}

// Whoever has the file and FORMAT.md gets what the program computes, of rows that the models have not seen, with missing values
// and levels that are new. And the document has the fields that files have, all of them and no others.
func TestFormat(t *testing.T) {
	table := formatTable(700)
	for i, c := range table.Columns[3].Codes[:350] {
		if c == 3 { // a level that only the rows to judge by have
			table.Columns[3].Codes[i] = 4
		}
	}
	features, err := formatRecipe().Apply(table)
	if err != nil {
		t.Fatal(err)
	}
	all := &dataset.Dataset{Features: features, Expression: "class", Recipe: mustJSON(t, formatRecipe())}
	var numbers []float64
	for i := range table.Rows {
		amount, pieces := table.Columns[0].Num[i], table.Columns[1].Num[i]
		if amount != amount {
			amount = 5000
		}
		numbers = append(numbers, amount*pieces+float64(table.Columns[3].Codes[i]))
	}
	rows := func(from, to int) (list []int32) {
		for r := from; r < to; r++ {
			list = append(list, int32(r))
		}
		return list
	}
	fields := map[string]bool{}
	for _, classes := range []int{0, 2, 4} {
		all.Classes, all.Y = nil, make([]int32, table.Rows)
		for c := range classes {
			all.Classes = append(all.Classes, fmt.Sprint("class ", c))
		}
		for i := range all.Y {
			if classes > 0 {
				all.Y[i] = int32(int(numbers[i]/7000+float64(i%3)) % classes)
			}
		}
		train, target := all.Take(rows(0, 350)), numbers[:350]
		if classes > 0 {
			target = nil
		}
		for kind, m := range every(t, train, target) {
			want, err := m.Estimator().Predict(all.Take(rows(350, 700)).Features, 1)
			if err != nil {
				t.Fatal(err)
			}
			file := mustJSON(t, m)
			collect(t, file, fields)
			var r reader
			if err := json.Unmarshal(file, &r); err != nil {
				t.Fatal(err)
			}
			width := max(1, classes)
			for i := 350; i < 700; i++ {
				got := r.predict(rowOf(table, i))
				for c, w := range want[(i-350)*width : (i-349)*width] {
					tolerance := 1e-12
					if m.Calibration != nil && m.Calibration.Method == calibrate.Isotonic { // whose line is nearly upright where two points are close
						tolerance = 1e-6
					}
					if math.Abs(got[c]-w) > tolerance*max(1, math.Abs(w)) {
						t.Fatalf("%s of %d classes, row %d: by the document %v, the program says %v", kind, classes, i, got, want[(i-350)*width:(i-349)*width])
					}
				}
			}
		}
	}
	compareFields(t, fields)
}

func rowOf(f *frame.Frame, i int) rawRow {
	row := rawRow{}
	for _, c := range f.Columns {
		v := value{missing: c.Missing(i)}
		switch {
		case v.missing:
		case c.Type == frame.Date:
			v.number = float64(c.Days[i])
		case c.Type.Textual():
			v.text = c.Levels[c.Codes[i]]
		default:
			v.number = c.Num[i]
		}
		row[c.Name] = v
	}
	return row
}

// collect adds the names of the fields of a JSON document.
func collect(t *testing.T, b []byte, fields map[string]bool) {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, each := range v {
				fields[k] = true
				walk(each)
			}
		case []any:
			for _, each := range v {
				walk(each)
			}
		}
	}
	walk(v)
}

// compareFields holds the document to the fields of files: each is in the first cell of a line of a table, or named there beside
// the field that holds it.
func compareFields(t *testing.T, fields map[string]bool) {
	t.Helper()
	b, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	fields["own"] = true // which needs a program of its own
	word := regexp.MustCompile("`([a-z_]+)`")
	named, first := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		for _, w := range word.FindAllStringSubmatch(line, -1) {
			named[w[1]] = true
		}
		for _, w := range word.FindAllStringSubmatch(cells[1], -1) {
			first[w[1]] = true
		}
	}
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		if !named[f] {
			t.Errorf("FORMAT.md does not say what %s is", f)
		}
	}
	operations := append([]string{"op", "column", feature.OpDaysBetween, feature.OpRatio}, feature.DateParts...)
	for _, f := range slices.Sorted(maps.Keys(first)) {
		if !fields[f] && !slices.Contains(operations, f) {
			t.Errorf("FORMAT.md has a field %s, which no file has", f)
		}
	}
}
