package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// data is rows to learn from, the first train ones, and rows to judge by.
type data struct {
	columns []*frame.Column
	y       []int32
	classes int
	train   int
}

func (d *data) rows() int { return len(d.y) }

// split returns the columns of the rows to learn from, and of those to judge by.
func (d *data) split() (train, test []*frame.Column) {
	for _, c := range d.columns {
		a, b := *c, *c
		if c.Type.Numeric() {
			a.Num, b.Num = c.Num[:d.train], c.Num[d.train:]
		} else {
			a.Codes, b.Codes = c.Codes[:d.train], c.Codes[d.train:]
		}
		train, test = append(train, &a), append(test, &b)
	}
	return train, test
}

// superstore is the Superstore data with the features that it allows without knowing the profit, and a fifth of the rows
// to judge by.
func superstore() (*data, error) { return superstoreFor("Profit > 0") }

// superstoreTier has three classes of profit.
func superstoreTier() (*data, error) { return superstoreFor("Profit <= 0 | Profit <= 30") }

func superstoreFor(target string) (*data, error) {
	all, parts, err := program.Superstore(target)
	if err != nil {
		return nil, err
	}
	d := all.Take(append(slices.Clone(parts.Train), parts.Test...))
	return &data{columns: d.Features, y: d.Y, classes: len(d.Classes), train: len(parts.Train)}, nil
}

// levels of the categories of the synthetic data.
var levels = []int{3, 5, 12, 24, 60, 200}

// floats is the number of its numeric columns.
const floats = 14

// judged is the number of rows to judge by.
const judged = 200_000

// synthetic returns n rows to learn from: 14 numbers, some of them the sums of three uniform ones, and 6 categories whose
// levels have effects of their own. The logit of the class is linear in some columns and has products and steps of others;
// the class is drawn with its probability.
func synthetic(n int) func() (*data, error) {
	return func() (*data, error) {
		rng := num.NewRNG(20, 14, 6)
		rows := n + judged
		d := &data{classes: 2, train: n, y: make([]int32, rows)}
		for i := range floats {
			d.columns = append(d.columns, &frame.Column{Name: "x" + strconv.Itoa(i), Type: frame.Float, Num: make([]float64, rows)})
		}
		effects := make([][]float64, len(levels))
		for i, l := range levels {
			c := &frame.Column{Name: "c" + strconv.Itoa(i), Type: frame.Category, Codes: make([]int32, rows)}
			for j := range l {
				c.Levels = append(c.Levels, strconv.Itoa(j))
				effects[i] = append(effects[i], 1.2*(rng.Float64()-0.5))
			}
			d.columns = append(d.columns, c)
		}
		x := make([]float64, floats)
		for r := range rows {
			for i := range x {
				x[i] = rng.Float64() - 0.5
				if i >= floats/2 {
					x[i] += rng.Float64() + rng.Float64() - 1
				}
				x[i] = float64(float32(x[i])) // what the peers get
				d.columns[i].Num[r] = x[i]
			}
			z := 1.5*x[0] - 1.2*x[7] + 3*x[1]*x[8] + x[2]*x[2] + 0.8*x[9] - 2*x[3]*x[10]
			if x[4] > 0.2 && x[11] > 0 {
				z += 1.2
			}
			for i, l := range levels {
				code := rng.Intn(l)
				d.columns[floats+i].Codes[r] = int32(code)
				z += effects[i][code]
			}
			if rng.Float64() < num.Sigmoid(1.3*z) {
				d.y[r] = 1
			}
		}
		return d, nil
	}
}

// write lays the data out for the peers: x.f32 column by column, y.i32, and about.json.
func (d *data) write(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	about, err := json.Marshal(map[string]any{"rows": d.rows(), "columns": len(d.columns), "train": d.train, "classes": d.classes})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "about.json"), about, 0o666); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "y.i32"), d.y); err != nil {
		return err
	}
	values := make([]float32, 0, len(d.columns)*d.rows())
	for _, c := range d.columns {
		for _, v := range c.Num {
			values = append(values, float32(v))
		}
		for _, v := range c.Codes {
			values = append(values, float32(v))
		}
	}
	return writeFile(filepath.Join(dir, "x.f32"), values)
}

func writeFile(name string, v any) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err := binary.Write(w, binary.LittleEndian, v); err != nil {
		f.Close()
		return err
	}
	if err := w.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
