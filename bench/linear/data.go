package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// table is one problem: features and a target of classes, or of numbers for a regression.
type table struct {
	name    string
	columns []*frame.Column
	y       []int32
	classes int
	numbers []float64
	folds   int
}

// superstore returns the Superstore data without Profit and what is derived from it: 16 features ("B16"), or 17 with the
// cities. The target is Profit > 0, or the tier of the margin (a loss, below a quarter, above), or for a regression the
// margin itself.
func superstore(name string, cities bool) (*table, error) {
	f, err := program.Raw(map[string]frame.Type{"City": frame.Category})
	if err != nil {
		return nil, err
	}
	r := feature.Recipe{Schema: feature.RecipeSchema}
	for _, c := range f.Columns {
		r.Columns = append(r.Columns, feature.Source{Name: c.Name, Type: c.Type.String()})
	}
	add := func(name, op string, inputs ...string) {
		r.Features = append(r.Features, feature.Feature{Name: name, Op: op, Inputs: inputs})
	}
	for _, c := range []string{"Sales", "Quantity", "Discount", "Ship Mode", "Segment", "Region", "State", "Category", "Sub-Category"} {
		add(c, feature.OpColumn, c)
	}
	add("ship_days", feature.OpDaysBetween, "Order Date", "Ship Date")
	add("UnitPrice", feature.OpRatio, "Sales", "Quantity")
	for _, part := range feature.DateParts {
		add(part, part, "Order Date")
	}
	if cities {
		add("City", feature.OpColumn, "City")
	}
	t := &table{name: name, classes: 2, folds: 5}
	if t.columns, err = r.Apply(f); err != nil {
		return nil, err
	}
	profit, sales := f.Column("Profit").Num, f.Column("Sales").Num
	for i, p := range profit {
		t.numbers = append(t.numbers, p/sales[i])
		t.y = append(t.y, 0)
		if p > 0 {
			t.y[i] = 1
		}
	}
	return t, nil
}

func (t *table) tiers() *table {
	t.classes = 3
	for i, margin := range t.numbers {
		switch {
		case margin <= 0:
			t.y[i] = 0
		case margin < 0.25:
			t.y[i] = 1
		default:
			t.y[i] = 2
		}
	}
	return t
}

// synthetic returns n rows of 14 numbers and 6 categories of 3 to 200 levels, which make a noisy label together.
func synthetic(n int) *table {
	t := &table{name: fmt.Sprintf("synthetic %dk", n/1000), y: make([]int32, n), classes: 2, folds: 1}
	rng := num.NewRNG(7)
	score := make([]float64, n)
	for j := range 14 {
		c := &frame.Column{Name: fmt.Sprint("x", j), Type: frame.Float, Num: make([]float64, n)}
		w := 2*rng.Float64() - 1
		for i := range c.Num {
			c.Num[i] = rng.Float64() + rng.Float64() + rng.Float64() - 1.5
			score[i] += w * c.Num[i]
		}
		t.columns = append(t.columns, c)
	}
	for j, levels := range []int{3, 5, 12, 24, 60, 200} {
		c := &frame.Column{Name: fmt.Sprint("c", j), Type: frame.Category, Codes: make([]int32, n)}
		effects := make([]float64, levels)
		for l := range effects {
			effects[l] = 2*rng.Float64() - 1
			c.Levels = append(c.Levels, fmt.Sprint(l))
		}
		for i := range c.Codes {
			l := rng.Intn(levels)
			c.Codes[i] = int32(l)
			score[i] += effects[l]
		}
		t.columns = append(t.columns, c)
	}
	for i, s := range score {
		if rng.Float64() < num.Sigmoid(s) {
			t.y[i] = 1
		}
	}
	return t
}

// take returns some rows.
func (t *table) take(rows []int32) *table {
	part := *t
	part.columns, part.y, part.numbers = nil, nil, nil
	for _, c := range t.columns {
		part.columns = append(part.columns, c.Take(rows))
	}
	for _, r := range rows {
		part.y = append(part.y, t.y[r])
		if t.numbers != nil {
			part.numbers = append(part.numbers, t.numbers[r])
		}
	}
	return &part
}

// write puts the table into a folder for the peer: a file of little-endian numbers for each column, and a description.
func (t *table) write(dir string) error {
	type column struct {
		File   string `json:"file"`
		Levels int    `json:"levels"` // 0 for a number
	}
	d := struct {
		Rows    int      `json:"rows"`
		Classes int      `json:"classes"`
		Folds   int      `json:"folds"`
		Columns []column `json:"columns"`
	}{Rows: len(t.y), Classes: t.classes, Folds: t.folds}
	put := func(name string, v any) error {
		var b bytes.Buffer
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644)
	}
	for i, c := range t.columns {
		name := fmt.Sprint("column", i)
		d.Columns = append(d.Columns, column{name, len(c.Levels)})
		var v any = c.Num
		if !c.Type.Numeric() {
			v = c.Codes
		}
		if err := put(name, v); err != nil {
			return err
		}
	}
	if t.numbers != nil {
		if err := put("numbers", t.numbers); err != nil {
			return err
		}
	}
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return errors.Join(put("y", t.y), os.WriteFile(filepath.Join(dir, "table.json"), b, 0o644))
}

// readFolds returns the rows of each training part, as the peer chose them.
func (t *table) readFolds(dir string) ([][]int32, error) {
	b, err := os.ReadFile(filepath.Join(dir, "folds"))
	if err != nil {
		return nil, err
	}
	if len(b) != len(t.y) {
		return nil, fmt.Errorf("%d fold numbers for %d rows", len(b), len(t.y))
	}
	parts := make([][]int32, t.folds)
	for i, fold := range b {
		for k := range parts {
			if t.folds == 1 || int(fold) != k {
				parts[k] = append(parts[k], int32(i))
			}
		}
	}
	return parts, nil
}

func mean(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x
	}
	if len(v) == 0 {
		return math.NaN()
	}
	return s / float64(len(v))
}
