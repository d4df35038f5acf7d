package csv

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// rowsBy returns the rows of a table with their lines, the number of ragged ones, and why the reading ended.
func rowsBy(data []byte, delim byte, size, width, cores int) (rows []string, ragged int, err error) {
	s := newScanner(bytes.NewReader(data), delim, "")
	s.size, s.utf8 = size, true
	err = s.each(context.Background(), width, cores, func(b *batch) error {
		for i, line := range b.lines {
			var fields []string
			for j := range width {
				fields = append(fields, string(b.field(i, j)))
			}
			rows = append(rows, fmt.Sprintf("%d: %q", line, fields))
		}
		ragged += b.raggedCount
		return nil
	})
	return rows, ragged, err
}

// FuzzScanner holds rows to be the same wherever the buffers end.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{"a,b\r\n1,2\r\n", "a,\"b\r\n\"\"c\"\r\n\r\n1,2,3\n\"x\"y\",z", "é,ü\r\rß,ä\r", "a , \"b\" \n", "\"a,b\n1,2", "a,b\n1,\xff\n"} {
		f.Add([]byte(seed), uint8(1), uint8(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, size, width uint8) {
		w := int(width)%4 + 1
		want, ragged, err := rowsBy(data, ',', bufferBytes, w, 1)
		for _, cores := range []int{1, 2} {
			got, ragged2, err2 := rowsBy(data, ',', int(size)+1, w, cores)
			if err != nil || err2 != nil {
				if fmt.Sprint(err) != fmt.Sprint(err2) && !(errors.Is(err, errNotUTF8) || errors.Is(err2, errNotUTF8)) {
					t.Fatalf("one buffer: %v\nmany: %v", err, err2)
				}
				return
			}
			if !slices.Equal(got, want) || ragged != ragged2 {
				t.Fatalf("one buffer: %d ragged, %s\nmany: %d ragged, %s", ragged, want, ragged2, got)
			}
		}
	})
}

// TestScannerAgainstStandard reads a table of several buffers like encoding/csv, which knows the same rules for quotes
// that are well formed.
func TestScannerAgainstStandard(t *testing.T) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	pieces := []string{"", "x", "two words", "a,b", "say \"x\"", "line\nend", "\"", "é漢", strings.Repeat("long ", 50), "#", "'"}
	for i := range 20_000 {
		if err := w.Write([]string{fmt.Sprint(i), pieces[i%len(pieces)], pieces[i*7%len(pieces)] + pieces[i/13%len(pieces)], "end"}); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	r := csv.NewReader(bytes.NewReader(b.Bytes()))
	var want []string
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		line, _ := r.FieldPos(0)
		for j := range record {
			record[j] = strings.TrimSpace(record[j])
		}
		want = append(want, fmt.Sprintf("%d: %q", line, record))
	}
	for _, size := range []int{100, 4 << 10, bufferBytes} {
		got, ragged, err := rowsBy(b.Bytes(), ',', size, 4, 2)
		if err != nil || ragged > 0 {
			t.Fatalf("%d ragged rows, error %v", ragged, err)
		}
		if !slices.Equal(got, want) {
			for i := range want {
				if i >= len(got) || got[i] != want[i] {
					t.Fatalf("buffers of %d: row %d differs: want %s", size, i, want[i])
				}
			}
			t.Fatalf("buffers of %d: %d rows, want %d", size, len(got), len(want))
		}
	}
}

func TestSplitDate(t *testing.T) {
	tests := []struct {
		text    string
		a, b, c int
		ok      bool
	}{
		{"2016-11-08", 2016, 11, 8, true}, {"2016/1/2", 2016, 1, 2, true}, {"1.2.2016", 1, 2, 2016, true}, {"1/2/16", 1, 2, 2016, true}, {"1/2/69", 1, 2, 1969, true}, {"1/2/68", 1, 2, 2068, true},
		{"2016-11-08T00:00", 2016, 11, 8, true}, {"2016-11-08 23:59:59.999+02:00", 2016, 11, 8, true}, {"2016-11-08 10:00:00 +0000 UTC", 2016, 11, 8, true}, {"1/2/2016 12:30 am", 1, 2, 2016, true},
		{"2016-11-08T", 0, 0, 0, false}, {"2016-11-08 10", 0, 0, 0, false}, {"2016-11-08 25:00", 0, 0, 0, false}, {"2016-11-08 10:00 CET", 0, 0, 0, false}, {"2016-11-08 10:00:00.1.2", 0, 0, 0, false},
		{"2016-11-08x", 0, 0, 0, false}, {"20161108", 0, 0, 0, false}, {"1-2-16", 0, 0, 0, false}, {"16/1/2", 0, 0, 0, false}, {"12345-1-1", 0, 0, 0, false}, {"1/2", 0, 0, 0, false}, {"1//2016", 0, 0, 0, false},
		{"/1/2016", 0, 0, 0, false}, {"1/2/2016/3", 0, 0, 0, false}, {"192.168.1.1", 0, 0, 0, false}, {"", 0, 0, 0, false}, {"2016-11-", 0, 0, 0, false},
	}
	for _, tt := range tests {
		d, ok := splitDate([]byte(tt.text))
		if ok != tt.ok || (ok && (d.a != tt.a || d.b != tt.b || d.c != tt.c)) {
			t.Errorf("%q: %+v, %v; want %d, %d, %d, %v", tt.text, d, ok, tt.a, tt.b, tt.c, tt.ok)
		}
	}
}
