package csv_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/frame"
)

// join reads all batches and writes them like shown, a value after the other.
func join(t *testing.T, b *csv.Batches, rows int) (string, error) {
	t.Helper()
	var names []string
	all := map[string][]string{}
	for {
		f, err := b.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if err := f.Validate(); err != nil {
			t.Fatal(err)
		}
		if f.Rows == 0 || f.Rows > rows {
			t.Errorf("a batch of %d rows, want 1 to %d", f.Rows, rows)
		}
		for _, c := range f.Columns {
			if len(all[c.Name]) == 0 {
				names = append(names, c.Name)
			}
			all[c.Name] = append(all[c.Name], values(c)...)
		}
	}
	var out strings.Builder
	for _, n := range names {
		out.WriteString(n + ": " + strings.Join(all[n], "|") + "\n")
	}
	return out.String(), nil
}

func TestBatches(t *testing.T) {
	known := func(data string) []csv.ColumnReport {
		_, report, err := read(data, csv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return report.Columns
	}
	dayFirst := known("d,n\n13/2/2016,1\n")
	comma := known("d;n\n13/2/2016;1,5\n")
	percent := known("d,n\n13/2/2016,50%\n")
	tests := []struct {
		name  string
		known []csv.ColumnReport
		data  string
		want  string
	}{
		{"order of the training data", dayFirst, "n,d\n2,1/2/2016\n3,2/3/2016\n4,\n", "n: 2|3|4\nd: 2016-02-01|2016-03-02|_\n"},
		{"own order where it is clear", dayFirst, "d,n\n1/2/2016,2\n1/31/2016,3\n", "d: 2016-01-02|2016-01-31\nn: 2|3\n"},
		{"own layout", dayFirst, "d,n\n2016-03-04,2\n", "d: 2016-03-04\nn: 2\n"},
		{"only missing values", dayFirst, "d,n\n,NA\n", "d: _\nn: _\n"},
		{"decimal comma that the head does not show", comma, "d;n\n1/2/2016;7\n1/2/2016;8\n", "d: 2016-02-01|2016-02-01\nn: 7|8\n"},
		{"thousands and decimal comma", comma, "d;n\n1/2/2016;1.234\n", "d: 2016-02-01\nn: 1234\n"},
		{"decimal point of its own", comma, "d;n\n1/2/2016;1.5\n", "d: 2016-02-01\nn: 1.5\n"},
		{"percent", percent, "d,n\n1/2/2016,5%\n1/2/2016,\n", "d: 2016-02-01|2016-02-01\nn: 5|_\n"},
		{"percent left off", percent, "d,n\n1/2/2016,5\n", "d: 2016-02-01\nn: 5\n"},
		{"unknown column", dayFirst, "n,new\n2,7\n", "n: 2\nnew: 7\n"},
		{"another encoding", dayFirst, "n,M\xfcller\n2,7\n", "n: 2\nMüller: 7\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := csv.NewBatches(strings.NewReader(tt.data), tt.known, csv.Options{}, 2)
			if err != nil {
				t.Fatal(err)
			}
			got, err := join(t, b, 2)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
			if !b.Has("n") || b.Has("absent") {
				t.Error("Has is wrong")
			}
		})
	}
}

// TestBatchesLateEncoding meets the first byte beyond ASCII behind the head that decides.
func TestBatchesLateEncoding(t *testing.T) {
	for name, last := range map[string]string{"utf-8": "é\n", "windows-1252": "\xe9\n"} {
		data := "n,c\n" + strings.Repeat("1,"+strings.Repeat("x", 100)+"\n", 45_000) + "2," + last
		b, err := csv.NewBatches(strings.NewReader(data), nil, csv.Options{}, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var f *frame.Frame
		for {
			next, err := b.Next(context.Background())
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			f = next
		}
		if got := values(f.Column("c"))[f.Rows-1]; got != "é" {
			t.Errorf("%s: the last value is %q", name, got)
		}
	}
}

func TestBatchesErrors(t *testing.T) {
	known := []csv.ColumnReport{{Name: "n", Type: "integer"}, {Name: "c", Type: "category"}}
	tests := []struct {
		name, data, message string
		line                int
	}{
		{"ragged row", "n,c\n1,x\n2\n", "line 3 has 1 fields, the header 2", 3},
		{"only ragged rows", "n,c\n1,x,y\n", "1 of 1 rows do not have 2 fields", 2},
		{"no number", "n,c\n1,x\nx,x\n", `line 3, column "n": "x" is no number`, 3},
		{"empty", "", "the file is empty", 0},
		{"header only", "n,c\n", "the file has a header but no rows", 1},
		{"quote", "n,c\n1,x\n2,\"y\n", "the quote that opens on line 3 is never closed", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := csv.NewBatches(strings.NewReader(tt.data), known, csv.Options{}, 10)
			if err == nil {
				_, err = join(t, b, 10)
			}
			e, ok := errors.AsType[*csv.InputError](err)
			if !ok || !strings.Contains(e.Message, tt.message) || e.Line != tt.line {
				t.Errorf("error %v, want %q on line %d", err, tt.message, tt.line)
			}
		})
	}
	if _, err := csv.NewBatches(strings.NewReader("n,c\n1,2\n"), []csv.ColumnReport{{Name: "n", Type: "shape"}}, csv.Options{}, 10); err == nil {
		t.Error("no error for an unknown type")
	}
}
