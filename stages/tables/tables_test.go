package tables_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/parquet"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/tables"
)

// within runs a function as a stage with the input "in" and the output "out".
func within(t *testing.T, in []byte, cores int, run func(c *pipeline.Call) error) (*artifact.Store, *pipeline.Outcome, error) {
	t.Helper()
	ctx := context.Background()
	store, err := artifact.Open(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	kind := pipeline.Kind{Name: "kind", Inputs: []pipeline.InputSpec{{Role: "in"}}, Outputs: []pipeline.OutputSpec{{Name: "out", Class: pipeline.Result, MediaType: tables.MediaType}},
		Run: func(_ context.Context, c *pipeline.Call) error { return run(c) }}
	registry, err := pipeline.NewRegistry(nil, kind)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := store.Put(ctx, bytes.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	x := &pipeline.Executor{Store: store, Registry: registry, Worker: "w", Cores: cores, Log: slog.New(slog.DiscardHandler)}
	out, err := x.Execute(ctx, pipeline.Stage{Name: "s", Kind: "kind"}, 0, []pipeline.Input{{Role: "in", Ref: ref}})
	return store, out, err
}

// wide is a table of many columns of all kinds.
func wide(rows, columns int) *frame.Frame {
	f := &frame.Frame{Rows: rows, Meta: map[string]string{}}
	for j := range columns {
		c := &frame.Column{Name: fmt.Sprint("c", j), Type: frame.Float}
		if j%3 == 1 {
			c.Type, c.Levels = frame.Category, []string{"a", "b"}
		}
		for i := range rows {
			if c.Type == frame.Float {
				c.Num = append(c.Num, float64(i*j)/2)
			} else {
				c.Codes = append(c.Codes, int32(i%2))
			}
		}
		if c.Type == frame.Float {
			c.Num[0] = math.NaN()
		}
		f.Columns = append(f.Columns, c)
	}
	return f
}

func encoded(t *testing.T, f *frame.Frame) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Columns read one after the other, on any number of cores, are those of the whole table.
func TestTable(t *testing.T) {
	for _, size := range [][3]int{{3, 1, 1}, {3, 10, 0}, {3, 10, 3}, {3, 10, 16}, {200_000, 7, 1}} {
		f, cores := wide(size[0], size[1]), size[2]
		_, _, err := within(t, encoded(t, f), cores, func(c *pipeline.Call) error {
			table, err := tables.Open(c, "in")
			if err != nil {
				return err
			}
			d := table.Describe()
			if d.Rows != f.Rows || len(d.Columns) != len(f.Columns) {
				t.Errorf("described as %d rows, %d columns", d.Rows, len(d.Columns))
			}
			d.Columns[0] = nil // the caller's own
			got := &frame.Frame{Rows: f.Rows}
			if err := table.Each(func(c *frame.Column) error { got.Columns = append(got.Columns, c); return nil }); err != nil {
				return err
			}
			got.Meta = f.Meta
			if !bytes.Equal(encoded(t, got), encoded(t, f)) {
				t.Errorf("%d rows, %d columns on %d cores: another table", size[0], size[1], cores)
			}
			return tables.Write(c, "out", got)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTableStops(t *testing.T) {
	enough := errors.New("enough")
	_, _, err := within(t, encoded(t, wide(3, 10)), 2, func(c *pipeline.Call) error {
		table, err := tables.Open(c, "in")
		if err != nil {
			return err
		}
		n := 0
		err = table.Each(func(*frame.Column) error {
			if n++; n == 4 {
				return enough
			}
			return nil
		})
		if n != 4 || !errors.Is(err, enough) {
			t.Errorf("%d columns, error %v", n, err)
		}
		return err
	})
	if !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
}

func TestNoTable(t *testing.T) {
	whole := encoded(t, wide(1000, 5))
	damaged := slices.Clone(whole)
	copy(damaged[200:], bytes.Repeat([]byte{0xff}, 400))
	for name, data := range map[string][]byte{"nothing": nil, "text": []byte("a,b\n1,2\n"), "half": whole[:len(whole)/2]} {
		for how, open := range map[string]func(c *pipeline.Call) error{
			"open": func(c *pipeline.Call) error { _, err := tables.Open(c, "in"); return err },
			"read": func(c *pipeline.Call) error { _, err := tables.Read(c, "in"); return err },
			"data": func(c *pipeline.Call) error { _, err := tables.ReadDataset(c, "in"); return err },
		} {
			if _, _, err := within(t, data, 1, open); err == nil || !strings.Contains(err.Error(), "input in") {
				t.Errorf("%s, %s: error %v", how, name, err)
			}
		}
	}
	_, _, err := within(t, damaged, 2, func(c *pipeline.Call) error {
		table, err := tables.Open(c, "in")
		if err != nil {
			return err
		}
		return table.Each(func(*frame.Column) error { return nil })
	})
	if err == nil {
		t.Error("no error for damaged pages")
	}
}

func TestDataset(t *testing.T) {
	d := &dataset.Dataset{Features: wide(3, 2).Columns, Y: []int32{1, 0, 1}, Classes: []string{"no", "yes"}, Expression: "x", Recipe: []byte("{}")}
	store, out, err := within(t, nil, 1, func(c *pipeline.Call) error { return tables.WriteDataset(c, "out", d) })
	if err != nil {
		t.Fatal(err)
	}
	b, err := store.ReadAll(context.Background(), out.Outputs[0].Ref)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = within(t, b, 1, func(c *pipeline.Call) error {
		got, err := tables.ReadDataset(c, "in")
		if err != nil {
			return err
		}
		if !slices.Equal(got.Y, d.Y) || !slices.Equal(got.Classes, d.Classes) || !slices.Equal(got.Names(), d.Names()) {
			t.Errorf("got %+v", got)
		}
		w, err := c.Create("out")
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, "x")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFault(t *testing.T) {
	found := &csv.InputError{Message: "m", File: "f", Line: 1, Column: 2, Hint: "h"}
	e := pipeline.AsError(tables.Fault(fmt.Errorf("reading: %w", found)))
	if e.Class != pipeline.ClassBadInput || e.Message != "m" || e.File != "f" || e.Line != 1 || e.Column != 2 || e.Hint != "h" {
		t.Errorf("got %+v", e)
	}
	if other := errors.New("other"); tables.Fault(other) != other {
		t.Error("another error did not stay as it is")
	}
	if tables.Fault(nil) != nil {
		t.Error("an error of nothing")
	}
}
