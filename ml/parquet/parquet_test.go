package parquet_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	library "github.com/parquet-go/parquet-go"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/parquet"
)

func table(rows int) *frame.Frame {
	f := &frame.Frame{Rows: rows, Meta: map[string]string{"recipe": `{"a":1}`, "b": "2"}}
	add := func(c *frame.Column) { f.Columns = append(f.Columns, c) }
	nan := math.NaN()
	z := &frame.Column{Name: "z whole", Type: frame.Integer}
	a := &frame.Column{Name: "a", Type: frame.Float}
	h := &frame.Column{Name: "with gaps", Type: frame.Float}
	b := &frame.Column{Name: "bool", Type: frame.Boolean, Truths: [2]string{"no", "yes"}}
	d := &frame.Column{Name: "day", Type: frame.Date}
	g := &frame.Column{Name: "day with gaps", Type: frame.Date}
	s := &frame.Column{Name: "state", Type: frame.Category, Levels: []string{"é<b>", "", "Texas\x1b[31m"}}
	m := &frame.Column{Name: "text", Type: frame.Text}
	for i := range rows {
		z.Num = append(z.Num, float64(i*3))
		a.Num = append(a.Num, float64(i)/7)
		v := float64(i)
		if i%3 == 0 {
			v = nan
		}
		h.Num = append(h.Num, v)
		b.Num = append(b.Num, float64(i%2))
		d.Days = append(d.Days, int32(i-100))
		day := int32(i)
		if i%5 == 0 {
			day = frame.MissingDay
		}
		g.Days = append(g.Days, day)
		s.Codes = append(s.Codes, int32(i%3))
		code := int32(len(m.Levels))
		if i%4 == 3 {
			code = frame.MissingCode
		} else {
			m.Levels = append(m.Levels, fmt.Sprint("text ", i))
		}
		m.Codes = append(m.Codes, code)
	}
	if rows == 0 {
		s.Levels = nil
	}
	for _, c := range []*frame.Column{z, a, h, b, d, g, s, m} {
		add(c)
	}
	return f
}

// same compares frames, taking NaN for equal to NaN.
func same(t *testing.T, got, want *frame.Frame) {
	t.Helper()
	if got.Rows != want.Rows || !reflect.DeepEqual(got.Meta, want.Meta) || len(got.Columns) != len(want.Columns) {
		t.Fatalf("got %d rows, %d columns, meta %v; want %d, %d, %v", got.Rows, len(got.Columns), got.Meta, want.Rows, len(want.Columns), want.Meta)
	}
	for i, w := range want.Columns {
		g := got.Columns[i]
		if g.Name != w.Name || g.Type != w.Type || g.Truths != w.Truths {
			t.Errorf("column %d: got %q %v, want %q %v", i, g.Name, g.Type, w.Name, w.Type)
		}
		for r := range want.Rows {
			if g.Missing(r) != w.Missing(r) {
				t.Fatalf("column %q, row %d: missing %v, want %v", w.Name, r, g.Missing(r), w.Missing(r))
			}
			if w.Missing(r) {
				continue
			}
			switch {
			case w.Type.Numeric() && g.Num[r] != w.Num[r],
				w.Type == frame.Date && g.Days[r] != w.Days[r],
				w.Type.Textual() && g.Levels[g.Codes[r]] != w.Levels[w.Codes[r]]:
				t.Fatalf("column %q, row %d differs", w.Name, r)
			}
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, rows := range []int{0, 1, 7, 3000, 300_000} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			f := table(rows)
			var b, again bytes.Buffer
			if err := parquet.Write(&b, f); err != nil {
				t.Fatal(err)
			}
			got, err := parquet.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, f)
			if err := parquet.Write(&again, got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again.Bytes(), b.Bytes()) {
				t.Error("the bytes of a table read back and written again differ")
			}
		})
	}
}

// The bytes are the same on every machine: the digests were taken on amd64 and confirmed on arm64 under qemu.
func TestBytes(t *testing.T) {
	for _, test := range []struct {
		rows int
		want string
	}{
		{0, "3bcb5f9edb1fbde1cb0186318dce82a70566bb6fedc11dbd1bbf93920fe85dd6"},
		{3000, "0de324491db72a28f6e8c74756a2d25440e0a4aa4ecec5671f4ed7c24a65a524"},
		{300_000, "6a7a3f65f81953d26fb545e2a85e1ced0554f0d9cb68ca17d99257179203a8e5"},
	} {
		h := sha256.New()
		if err := parquet.Write(h, table(test.rows)); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != test.want {
			t.Errorf("%d rows: digest %s, want %s", test.rows, got, test.want)
		}
	}
}

// Runs and packed groups meet in every way: the codes of a column come back as they were.
func TestCodes(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		levels := 1 + random.IntN(1<<(seed%17))
		f := &frame.Frame{Meta: map[string]string{}}
		c := &frame.Column{Name: "c", Type: frame.Category}
		for l := range levels {
			c.Levels = append(c.Levels, fmt.Sprint(l))
		}
		for range random.IntN(60) {
			code := int32(random.IntN(levels+1)) - 1
			for range 1 + random.IntN(20) {
				if random.IntN(3) == 0 {
					code = int32(random.IntN(levels))
				}
				c.Codes = append(c.Codes, code)
			}
		}
		f.Rows, f.Columns = len(c.Codes), []*frame.Column{c}
		var b bytes.Buffer
		if err := parquet.Write(&b, f); err != nil {
			t.Fatal(err)
		}
		got, err := parquet.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		same(t, got, f)
	}
}

func TestReadSomeColumns(t *testing.T) {
	var b bytes.Buffer
	if err := parquet.Write(&b, table(100)); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.Read(bytes.NewReader(b.Bytes()), int64(b.Len()), "day", "a")
	if err != nil || len(f.Columns) != 2 || f.Columns[0].Name != "day" || f.Columns[1].Name != "a" {
		t.Errorf("got %v, %v; want the columns day and a", f, err)
	}
	if _, err := parquet.Read(bytes.NewReader(b.Bytes()), int64(b.Len()), "no such"); err == nil {
		t.Error("an absent column was read")
	}
}

// Another reader finds the same values and gaps in the files.
func TestLibraryReads(t *testing.T) {
	f := table(70_000)
	var b bytes.Buffer
	if err := parquet.Write(&b, f); err != nil {
		t.Fatal(err)
	}
	file, err := library.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range f.Columns {
		row := 0
		for _, group := range file.RowGroups() {
			pages := group.ColumnChunks()[i].Pages()
			for page, err := pages.ReadPage(); !errors.Is(err, io.EOF); page, err = pages.ReadPage() {
				if err != nil {
					t.Fatal(err)
				}
				values := make([]library.Value, page.NumValues())
				if n, err := page.Values().ReadValues(values); n != len(values) || err != nil && !errors.Is(err, io.EOF) {
					t.Fatalf("column %q: %d values, %v", c.Name, n, err)
				}
				for _, v := range values {
					if got, want := v.String(), text(c, row); got != want {
						t.Fatalf("column %q, row %d: %s, want %s", c.Name, row, got, want)
					}
					row++
				}
			}
			pages.Close()
		}
		if row != f.Rows {
			t.Errorf("column %q: %d rows, want %d", c.Name, row, f.Rows)
		}
	}
}

// text is a value as the library prints it.
func text(c *frame.Column, row int) string {
	switch {
	case c.Missing(row):
		return "<null>"
	case c.Type.Textual():
		return c.Levels[c.Codes[row]]
	case c.Type == frame.Date:
		return fmt.Sprint(c.Days[row])
	case c.Type == frame.Boolean:
		return fmt.Sprint(c.Num[row] != 0)
	case c.Type == frame.Integer:
		return fmt.Sprint(int64(c.Num[row]))
	}
	return fmt.Sprint(c.Num[row])
}

// Whatever happens to a byte, a file gives an error or a table.
func TestDamage(t *testing.T) {
	var b bytes.Buffer
	if err := parquet.Write(&b, table(20)); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	for at := range whole {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			damaged := bytes.Clone(whole)
			damaged[at] ^= mask
			if f, err := parquet.Read(bytes.NewReader(damaged), int64(len(damaged))); err == nil && f.Validate() != nil {
				t.Errorf("byte %d ^ %#x gives a table that is not sound: %v", at, mask, f.Validate())
			}
		}
		if _, err := parquet.Read(bytes.NewReader(whole[:at]), int64(at)); err == nil {
			t.Errorf("the first %d bytes were read", at)
		}
	}
}

// A footer of a few bytes may claim a list of billions.
func TestClaims(t *testing.T) {
	footer := []byte{0x15, 0x02, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07} // version 1, a schema of 2^31-1 elements
	b := append([]byte("PAR1"), footer...)
	b = append(append(b, byte(len(footer)), 0, 0, 0), "PAR1"...)
	if _, err := parquet.Read(bytes.NewReader(b), int64(len(b))); err == nil {
		t.Error("it was read")
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := parquet.Write(&b, table(20)); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := parquet.Read(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			if err := table.Validate(); err != nil {
				t.Error(err)
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	f := table(10_000)
	for b.Loop() {
		var out bytes.Buffer
		if err := parquet.Write(&out, f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	var out bytes.Buffer
	if err := parquet.Write(&out, table(10_000)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := parquet.Read(bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
			b.Fatal(err)
		}
	}
}
