package csv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/frame"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

func source(data []byte) csv.Source {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

func read(data string, o csv.Options) (*frame.Frame, *csv.Report, error) {
	return csv.Read(context.Background(), source([]byte(data)), o)
}

// values writes a column as texts: a missing value is _, a date is in ISO.
func values(c *frame.Column) []string {
	texts := make([]string, c.Len())
	for i := range texts {
		switch {
		case c.Missing(i):
			texts[i] = "_"
		case c.Type.Numeric():
			texts[i] = fmt.Sprint(c.Num[i])
		case c.Type == frame.Date:
			texts[i] = time.Unix(int64(c.Days[i])*86400, 0).UTC().Format(time.DateOnly)
		default:
			texts[i] = c.Levels[c.Codes[i]]
		}
	}
	return texts
}

// shown writes a table: a line for each column with its name, its type and its values.
func shown(f *frame.Frame) string {
	var b strings.Builder
	for _, c := range f.Columns {
		fmt.Fprintf(&b, "%s %v: %s\n", c.Name, c.Type, strings.Join(values(c), "|"))
	}
	return b.String()
}

// everyWay reads a table on one core and on three, and holds both to the same result.
func everyWay(t *testing.T, data string, o csv.Options) (*frame.Frame, *csv.Report) {
	t.Helper()
	o.Cores = 1
	f, report, err := read(data, o)
	if err != nil {
		t.Fatalf("error %v", err)
	}
	if err := f.Validate(); err != nil {
		t.Fatal(err)
	}
	o.Cores = 3
	again, report3, err := read(data, o)
	if err != nil {
		t.Fatal(err)
	}
	if shown(f) != shown(again) || fmt.Sprint(report) != fmt.Sprint(report3) {
		t.Errorf("one core gives\n%s%v\nthree give\n%s%v", shown(f), report, shown(again), report3)
	}
	return f, report
}

func TestRead(t *testing.T) {
	const plain = "a integer: 1|2\nb category: x|y\n"
	tests := []struct{ name, data, want string }{
		{"comma", "a,b\n1,x\n2,y\n", plain},
		{"semicolon", "a;b\n1;x\n2;y\n", plain},
		{"tab", "a\tb\n1\tx\n2\ty\n", plain},
		{"bar", "a|b\n1|x\n2|y\n", plain},
		{"sep line", "sep=;\r\na;b\r\n1;x\r\n2;y\r\n", plain},
		{"sep line against the look of it", "sep=|\na|b,c\n1|x,1\n2|y,1\n", "a integer: 1|2\nb,c category: x,1|y,1\n"},
		{"no line end at the end", "a,b\n1,x\n2,y", plain},
		{"Windows line ends", "a,b\r\n1,x\r\n2,y\r\n", plain},
		{"old Mac line ends", "a,b\r1,x\r2,y\r", plain},
		{"mixed line ends", "a,b\r\n1,x\n2,y\r", plain},
		{"blank lines", "\n\na,b\n\n1,x\r\n\r\n2,y\n\n", plain},
		{"white space around values", " a , b\n 1 ,x \n\t2,\u00a0y\u3000\n", plain},
		{"quotes", "\"a\",\"b\"\n\"1\",\"x\"\n2,\"y\"", plain},
		{"spaces around quotes", "a, \"b\"\n1 , \"x\" \n2,\"y\"  ", plain},
		{"delimiter in quotes", "a,b\n1,\"x,x\"\n2,\"y,y\"\n", "a integer: 1|2\nb category: x,x|y,y\n"},
		{"line ends in quotes", "a,b\r\n1,\"x\r\n,x\"\r\n2,\"y\ny\"\r\n", "a integer: 1|2\nb category: x\r\n,x|y\ny\n"},
		{"doubled quotes", "a,b\n1,\"say \"\"x\"\"\"\n2,\"\"\"\"\n", "a integer: 1|2\nb category: say \"x\"|\"\n"},
		{"quote in an unquoted field", "a,b\n1,5\" pipe\n2,6\" pipe\n", "a integer: 1|2\nb category: 5\" pipe|6\" pipe\n"},
		{"quote inside quotes that closes nothing", "a,b\n1,\"x\"y\"\n2,\"y\"\n", "a integer: 1|2\nb category: x\"y|y\n"},
		{"empty values", "a,b\n1,\n,z\n", "a integer: 1|_\nb category: _|z\n"},
		{"empty quoted values", "a,b\n\"\",x\n2,\"\"\n", "a integer: _|2\nb category: x|_\n"},
		{"all values empty", "a,b\n,x\n,y\n", "a category: _|_\nb category: x|y\n"},
		{"row of empty values", "a,b\n1,x\n,\n2,y\n", "a integer: 1|_|2\nb category: x|_|y\n"},
		{"missing texts", "a,b\nNA,n/a\n2,NULL\nnan,z\n#N/A,None\n-nan,<NA>\n", "a integer: _|2|_|_|_\nb category: _|_|z|_|_\n"},
		{"almost missing texts", "a,b\n1,na\n2,none\n", "a integer: 1|2\nb category: na|none\n"},
		{"names repeated", "a,a,a\n1,2,3\n", "a integer: 1\na_2 integer: 2\na_3 integer: 3\n"},
		{"names repeated and taken", "a,a,a_2\n1,2,3\n", "a integer: 1\na_3 integer: 2\na_2 integer: 3\n"},
		{"names empty", ",b, \n1,2,3\n", "column_1 integer: 1\nb integer: 2\ncolumn_3 integer: 3\n"},
		{"names empty and taken", "column_2,\n1,2\n", "column_2 integer: 1\ncolumn_2_2 integer: 2\n"},
		{"name with a line end", "\"a\nb\",c\n1,2\n", "a\nb integer: 1\nc integer: 2\n"},
		{"ragged rows", "a,b\n1,x\n1\n1,2,3\n2,y\n", plain},
		{"UTF-8", "a,b\n1,é\n2,漢\n", "a integer: 1|2\nb category: é|漢\n"},
		{"mark of UTF-8", "\ufeffa,b\n1,x\n2,y\n", plain},
		{"mark of UTF-8 before a quote", "\ufeff\"a\",b\n1,x\n2,y\n", plain},
		{"Windows-1252", "a,b\n1,\x80 5\n2,M\xfcller\n", "a integer: 1|2\nb category: € 5|Müller\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, _ := everyWay(t, tt.data, csv.Options{})
			if got := shown(f); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestEncodings(t *testing.T) {
	const text = "naïve;größe\r\n\"1;5\";\"ä\"\"\n漢\"\r\n2;€\r\n"
	const western = "naïve;größe\r\n\"1;5\";\"ä\"\"\nß\"\r\n2;€\r\n"
	utf16 := func(e unicode.Endianness) []byte {
		b, err := unicode.UTF16(e, unicode.UseBOM).NewEncoder().Bytes([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	w1252, err := charmap.Windows1252.NewEncoder().Bytes([]byte(western))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := everyWay(t, text, csv.Options{})
	wantWestern, _ := everyWay(t, western, csv.Options{})
	for _, tt := range []struct {
		name string
		data []byte
		want *frame.Frame
	}{
		{"utf-8", []byte(text), want},
		{"utf-8", append([]byte{0xEF, 0xBB, 0xBF}, text...), want},
		{"utf-16le", utf16(unicode.LittleEndian), want},
		{"utf-16be", utf16(unicode.BigEndian), want},
		{"windows-1252", w1252, wantWestern},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, report := everyWay(t, string(tt.data), csv.Options{})
			if report.Encoding != tt.name {
				t.Errorf("encoding %s, want %s", report.Encoding, tt.name)
			}
			if got, want := shown(f), shown(tt.want); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// TestTruths keeps how a file writes truth values: the first text of each.
func TestTruths(t *testing.T) {
	tests := []struct {
		name, values string
		o            csv.Options
		want         [2]string
	}{
		{"words", "yes\nno\nyes\n", csv.Options{}, [2]string{"no", "yes"}},
		{"letters and spaces", " N \n\nY\nn\n", csv.Options{}, [2]string{"N", "Y"}},
		{"the first spelling", "False\nTRUE\nfalse\ntrue\n", csv.Options{}, [2]string{"False", "TRUE"}},
		{"one value", "t\nt\n", csv.Options{}, [2]string{"", "t"}},
		{"digits", "1\n0\nyes\n", csv.Options{Types: types("b", frame.Boolean)}, [2]string{"0", "1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := "a,b\nx," + strings.ReplaceAll(strings.TrimSuffix(tt.values, "\n"), "\n", "\nx,") + "\n"
			f, _ := everyWay(t, data, tt.o)
			if c := f.Column("b"); c.Type != frame.Boolean || c.Truths != tt.want {
				t.Errorf("got %v, %q, want a boolean, %q", c.Type, c.Truths, tt.want)
			}
		})
	}
}

// TestLateWindows finds the first byte that is no UTF-8 far behind the head.
func TestLateWindows(t *testing.T) {
	data := "a,b\n" + strings.Repeat("1,"+strings.Repeat("x", 100)+"\n", 10_000) + "1,M\xfcller\n"
	f, report := everyWay(t, data, csv.Options{})
	if report.Encoding != "windows-1252" || f.Column("b").Levels[1] != "Müller" {
		t.Errorf("encoding %s, levels %q", report.Encoding, f.Column("b").Levels)
	}
}

func TestOptions(t *testing.T) {
	tests := []struct {
		name, data string
		o          csv.Options
		want       string
	}{
		{"missing text", "a,b\n-,x\n2,?\n", csv.Options{Missing: []string{"-", " ? "}}, "a integer: _|2\nb category: x|_\n"},
		{"long missing text", "a,b\n1,no answer was given\n2, no answer was given here\n3, no answer was given \n", csv.Options{Missing: []string{"no answer was given"}}, "a integer: 1|2|3\nb category: _|no answer was given here|_\n"},
		{"delimiter", "a,b;c\n1,x;z\n", csv.Options{Delimiter: ';'}, "a,b category: 1,x\nc category: z\n"},
		{"number as category", "a,b\n01,1\n1,1.0\n", csv.Options{Types: types("b", frame.Category)}, "a category: 01|1\nb category: 1|1.0\n"},
		{"integer as float", "a,b\n1,2\n", csv.Options{Types: types("a", frame.Float)}, "a float: 1\nb integer: 2\n"},
		{"whole fractions as integers", "a,b\n1.0,2\n2.00,2\n", csv.Options{Types: types("a", frame.Integer)}, "a integer: 1|2\nb integer: 2|2\n"},
		{"digits as truth", "a,b\n1,2\n0,2\n", csv.Options{Types: types("a", frame.Boolean)}, "a boolean: 1|0\nb integer: 2|2\n"},
		{"mixed truth", "a,b\nyes,2\nF,2\n", csv.Options{Types: types("a", frame.Boolean)}, "a boolean: 1|0\nb integer: 2|2\n"},
		{"mixed dates", "a,b\n2016-02-03,2\n2/4/2016,2\n", csv.Options{Types: types("a", frame.Date)}, "a date: 2016-02-03|2016-02-04\nb integer: 2|2\n"},
		{"decimal comma that is asked for", "a;b\n1,5;2\n7;2\n", csv.Options{Types: types("a", frame.Float)}, "a float: 1.5|7\nb integer: 2|2\n"},
		{"identifier", "a,b\n1,2\n1,2\n", csv.Options{Types: types("a", frame.Identifier)}, "a identifier: 1|1\nb integer: 2|2\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, _ := everyWay(t, tt.data, tt.o)
			if got := shown(f); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func types(name string, t frame.Type) map[string]frame.Type { return map[string]frame.Type{name: t} }

func manyRows(header, row string, n int) string { return header + "\n" + strings.Repeat(row+"\n", n) }

func TestErrors(t *testing.T) {
	wide := func(n int) string { return strings.Repeat("a,", n-1) + "a\n" }
	tests := []struct {
		name, data   string
		o            csv.Options
		message      string
		line, column int
	}{
		{"empty", "", csv.Options{}, "the file is empty", 0, 0},
		{"only a mark", "\ufeff", csv.Options{}, "the file is empty", 0, 0},
		{"only blank lines", "\n\r\n\n", csv.Options{}, "the file is empty", 0, 0},
		{"header only", "\na,b\n", csv.Options{}, "the file has a header but no rows", 2, 0},
		{"header without line end", "a,b", csv.Options{}, "the file has a header but no rows", 1, 0},
		{"binary", "a,b\n1,\x00\n", csv.Options{}, "the file is not text: it has zero bytes", 0, 0},
		{"UTF-16 without mark", "a\x00,\x00b\x00\n\x00", csv.Options{}, "the file is not text: it has zero bytes", 0, 0},
		{"gzip", "\x1f\x8b\x08\x01\x02\x03", csv.Options{}, "the file is no table of text: it is compressed with gzip", 0, 0},
		{"ZIP", "PK\x03\x04\x14\x01\x02", csv.Options{}, "the file is no table of text: it is a ZIP archive or an office document", 0, 0},
		{"quote never closed", "a,b\n1,x\n\n2,\"y\n3,z\n", csv.Options{}, "the quote that opens on line 4 is never closed", 4, 0},
		{"quote never closed behind lines in quotes", "a,b\n\"1\n\n\",\"y\n3,z\n", csv.Options{}, "the quote that opens on line 4 is never closed", 4, 0},
		{"quote never closed in the header", "\"a,b\n1,x\n", csv.Options{}, "the quote that opens on line 1 is never closed", 1, 0},
		{"too many columns", wide(10_001) + wide(10_001), csv.Options{}, "line 1 has more than 10000 columns", 1, 0},
		{"far too many columns", wide(100_000) + wide(100_000), csv.Options{}, "line 1 has more than 10000 columns", 1, 0},
		{"every row ragged", "a,b,c\n1,2\n3,4\n", csv.Options{}, "2 of 2 rows do not have 3 fields like the header: line 2 has 2, line 3 has 2", 2, 0},
		{"too many ragged rows", manyRows("a,b", "1,2", 500) + strings.Repeat("1,2,3\n", 11), csv.Options{},
			"11 of 511 rows do not have 2 fields like the header: line 502 has 3, line 503 has 3, line 504 has 3, line 505 has 3, line 506 has 3, and 6 more", 502, 0},
		{"broken UTF-8 behind a mark", "\ufeffa,b\n1,x\n2,\xff\n", csv.Options{}, "the file is not UTF-8 all through: a character before line 4 is broken", 4, 0},
		{"broken UTF-8 that is asked for", "a,b\n1,x\n2,\xff\n", csv.Options{Encoding: "utf-8"}, "the file is not UTF-8 all through: a character before line 4 is broken", 4, 0},
		{"unknown encoding", "a,b\n1,x\n", csv.Options{Encoding: "ebcdic"}, `"ebcdic" is no encoding that can be read`, 0, 0},
		{"bad delimiter", "a,b\n1,x\n", csv.Options{Delimiter: '"'}, `"\"" cannot be a delimiter`, 0, 0},
		{"type of no column", "a,b\n1,x\n", csv.Options{Types: map[string]frame.Type{"d": frame.Float, "c": frame.Float}}, `a type is given for the column "c", which the file does not have`, 0, 0},
		{"no number", "a,b\n1,1\nx,2\n", csv.Options{Types: types("a", frame.Float)}, `line 3, column "a": "x" is no number`, 3, 1},
		{"no whole number", "a,b\n1,1\n1.5,2\n", csv.Options{Types: types("a", frame.Integer)}, `line 3, column "a": "1.5" is no whole number`, 3, 1},
		{"no date", "a,b\n1,30/1/2016\n2,12/31/2016\n", csv.Options{Types: types("b", frame.Date)}, `line 3, column "b": "12/31/2016" is no date`, 3, 2},
		{"no truth", "a,b\n1,yes\n2,maybe\n", csv.Options{Types: types("b", frame.Boolean)}, `line 3, column "b": "maybe" is no truth value`, 3, 2},
		{"the first of two", "a,b\n1,1\nx,2\n2,y\n", csv.Options{Types: map[string]frame.Type{"a": frame.Float, "b": frame.Float}}, `line 3, column "a": "x" is no number`, 3, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, cores := range []int{1, 3} {
				tt.o.Cores, tt.o.File = cores, "f.csv"
				_, _, err := read(tt.data, tt.o)
				e, ok := errors.AsType[*csv.InputError](err)
				if !ok {
					t.Fatalf("error %v, want an input error", err)
				}
				if e.Message != tt.message || e.Line != tt.line || e.Column != tt.column {
					t.Errorf("got %q at line %d, column %d\nwant %q at line %d, column %d", e.Message, e.Line, e.Column, tt.message, tt.line, tt.column)
				}
				if e.Hint == "" {
					t.Error("no hint")
				}
			}
		})
	}
}

func TestRagged(t *testing.T) {
	tests := []struct {
		name           string
		good, bad      int
		refused        bool
		wantFirst, all int
	}{
		{"ten of few", 10, 10, false, 12, 10},
		{"eleven of few", 10, 11, true, 0, 0},
		{"eleven, just one percent", 1089, 11, false, 1091, 11},
		{"eleven, just above one percent", 1088, 11, true, 0, 0},
		{"more than are listed", 20_000, 150, false, 20_002, 150},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, report, err := read(manyRows("a,b", "1,2", tt.good)+strings.Repeat("1\n", tt.bad), csv.Options{})
			if tt.refused {
				if err == nil {
					t.Error("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.Rows != tt.good || report.RaggedCount != tt.all || len(report.Ragged) != min(tt.all, 100) {
				t.Errorf("%d rows, %d ragged, %d listed", f.Rows, report.RaggedCount, len(report.Ragged))
			}
			if report.Ragged[0] != (csv.RaggedRow{Line: tt.wantFirst, Fields: 1}) {
				t.Errorf("first ragged row %+v, want line %d", report.Ragged[0], tt.wantFirst)
			}
		})
	}
}

func TestManyColumns(t *testing.T) {
	for _, delim := range []string{",", ";", "\t"} {
		names := make([]string, 10_000)
		for i := range names {
			names[i] = fmt.Sprintf("column %d", i) // a header longer than what the delimiter is sought in
		}
		row := strings.Repeat("1"+delim, len(names)-1) + "1\n"
		f, _ := everyWay(t, strings.Join(names, delim)+"\n"+row+row, csv.Options{})
		if f.Rows != 2 || len(f.Columns) != len(names) || f.Columns[9_999].Name != "column 9999" {
			t.Errorf("%q: %d rows, %d columns", delim, f.Rows, len(f.Columns))
		}
	}
}

func TestManyEqualNames(t *testing.T) {
	f, report := everyWay(t, strings.Repeat("a,", 9_999)+"a\n"+strings.Repeat("1,", 9_999)+"1\n", csv.Options{})
	if f.Columns[9_999].Name != "a_10000" || len(report.Renamed) != 9_999 {
		t.Errorf("last name %s, %d renamed", f.Columns[9_999].Name, len(report.Renamed))
	}
}

// endless is a table whose second line never ends. It counts what is read of it.
type endless struct {
	text string
	n    int
}

func (e *endless) Read(p []byte) (int, error) {
	k := 0
	if e.n < len(e.text) {
		k = copy(p, e.text[e.n:])
	}
	for i := k; i < len(p); i++ {
		p[i] = 'x'
	}
	e.n += len(p)
	return len(p), nil
}

func (e *endless) Close() error { return nil }

func TestEndlessRecord(t *testing.T) {
	tests := []struct{ name, text, message string }{
		{"line", "a,b\n1,", "the record on line 2 is longer than 16 MB"},
		{"first line", "a,", "the record on line 1 is longer than 16 MB"},
		{"quote", "a,b\n\"1\n\n\",\"", "the quote that opens on line 4 is not closed within 16 MB"},
		{"closed quotes", "a,b\n\"1\",2", "the record on line 2 is longer than 16 MB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &endless{text: tt.text}
			_, _, err := csv.Read(context.Background(), func() (io.ReadCloser, error) { return e, nil }, csv.Options{})
			got, ok := errors.AsType[*csv.InputError](err)
			if !ok || got.Message != tt.message {
				t.Errorf("error %v, want %q", err, tt.message)
			}
			if e.n > 20<<20 {
				t.Errorf("%d bytes were read", e.n)
			}
		})
	}
}

// TestLongRecord reads a record that is just within the limit.
func TestLongRecord(t *testing.T) {
	long := strings.Repeat("x", csv.MaxRecordBytes-20)
	f, _ := everyWay(t, "a,b\n1,\""+long+"\"\n2,y\n", csv.Options{})
	if got := len(f.Column("b").Levels[0]); got != len(long) {
		t.Errorf("a value of %d bytes, want %d", got, len(long))
	}
}

// TestChunks holds a table to the same result however its bytes arrive.
func TestChunks(t *testing.T) {
	data := "a,b\r\n" + strings.Repeat("1,\"x\r\n\"\"y\"\"\"\r\n2,é\r\n,\"\"\r\n1\r\n3,plain\r\n", 40)
	data = strings.Replace(data, "1\r\n3", "3", 35)
	want, wantReport := everyWay(t, data, csv.Options{})
	for name, wrap := range map[string]func(io.Reader) io.Reader{"bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "data with error": iotest.DataErrReader} {
		src := func() (io.ReadCloser, error) { return io.NopCloser(wrap(strings.NewReader(data))), nil }
		f, report, err := csv.Read(context.Background(), src, csv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if shown(f) != shown(want) || fmt.Sprint(report) != fmt.Sprint(wantReport) {
			t.Errorf("%s: got\n%s%v", name, shown(f), report)
		}
	}
}

func TestBrokenReader(t *testing.T) {
	broken := errors.New("the disk is on fire")
	src := func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(manyRows("a,b", "1,2", 300_000)), iotest.ErrReader(broken))), nil
	}
	for _, cores := range []int{1, 3} {
		if _, _, err := csv.Read(context.Background(), src, csv.Options{Cores: cores}); !errors.Is(err, broken) {
			t.Errorf("error %v, want %v", err, broken)
		}
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, cores := range []int{1, 3} {
		if _, _, err := csv.Read(ctx, source([]byte(manyRows("a,b", "1,2", 100))), csv.Options{Cores: cores}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that of the context", err)
		}
	}
}

// TestSecondPass reads columns with more different numbers than are kept while their type is open.
func TestSecondPass(t *testing.T) {
	const rows = 70_000
	var b strings.Builder
	b.WriteString("n,f,t,d,late\n")
	for i := range rows {
		late := fmt.Sprint(i)
		if i == rows-1 {
			late = "x"
		}
		fmt.Fprintf(&b, "%d,%d.5,t%d,2016-01-01 00:00:%02d.%06d,%s\n", rows-i, i, i, i%60, i, late)
	}
	f, report := everyWay(t, b.String(), csv.Options{})
	for i, want := range []frame.Type{frame.Integer, frame.Float, frame.Identifier, frame.Date, frame.Identifier} {
		if got := f.Columns[i].Type; got != want {
			t.Errorf("column %s is %v, want %v: %s", f.Columns[i].Name, got, want, report.Columns[i].Evidence)
		}
	}
	for _, i := range []int{0, 1, 65_535, 65_536, 65_537, rows - 1} {
		if f.Columns[0].Num[i] != float64(rows-i) || f.Columns[1].Num[i] != float64(i)+0.5 || f.Columns[3].Days[i] != 16801 {
			t.Errorf("row %d: %v, %v, %v", i, f.Columns[0].Num[i], f.Columns[1].Num[i], f.Columns[3].Days[i])
		}
		if got := values(f.Columns[2])[i]; got != fmt.Sprintf("t%d", i) {
			t.Errorf("row %d: %s", i, got)
		}
	}
	if got := values(f.Columns[4])[rows-1]; got != "x" {
		t.Errorf("last value %s", got)
	}
	if got := report.Columns[2].Distinct; got != rows {
		t.Errorf("%d distinct texts, want %d", got, rows)
	}
	_, _, err := read(b.String(), csv.Options{Types: types("late", frame.Integer)})
	if e, ok := errors.AsType[*csv.InputError](err); !ok || e.Line != rows+1 {
		t.Errorf("error %v, want one on line %d", err, rows+1)
	}
}

func TestChangedInput(t *testing.T) {
	var b strings.Builder
	b.WriteString("n,m\n")
	for i := range 70_000 {
		fmt.Fprintf(&b, "%d,1\n", i*7)
	}
	n := 0
	src := func() (io.ReadCloser, error) {
		n++
		return io.NopCloser(strings.NewReader(b.String() + strings.Repeat("1,1\n", n))), nil
	}
	if _, _, err := csv.Read(context.Background(), src, csv.Options{}); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("error %v", err)
	}
}

func TestNumbersThatAreMissing(t *testing.T) {
	f, report := everyWay(t, "a,b\ninf,1\n-Infinity,1e999\nNaN,3\n1e308,4\n", csv.Options{})
	if got, want := shown(f), "a float: _|_|_|1e+308\nb float: 1|_|3|4\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	a := report.Column("a")
	if a.Missing != 3 || a.Infinite != 2 {
		t.Errorf("%d missing, %d infinite, want 3 and 2", a.Missing, a.Infinite)
	}
	if v := f.Column("a").Num[0]; !math.IsNaN(v) {
		t.Errorf("infinity is %v", v)
	}
}
