package csv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hashline/hashline/ml/csv"
)

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", "a,b\n1,x\n", "a;b\r\n1,5;\"x\r\n\"\"y\"\"\"\r\n", "\ufeffa\tb\n2016-01-02\t5%\n", "a|b\r\"|\"|1\r", "sep=;\na;b\n1;2\n",
		"\xff\xfea\x00,\x00b\x00\n\x001\x00,\x002\x00\n\x00", "a,a\n\xe9,1\n", "a, \"b\" \n1, \"2\" \n", "a,b\n$1,1/2/2016\n-$2,13/2/2016 10:00\n", "a,b\n\"1,2\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		table, report, err := csv.Read(context.Background(), source(data), csv.Options{})
		bytewise := func() (io.ReadCloser, error) { return io.NopCloser(iotest.OneByteReader(bytes.NewReader(data))), nil }
		again, report2, err2 := csv.Read(context.Background(), bytewise, csv.Options{Cores: 3})
		if fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("whole: %v\nbyte by byte: %v", err, err2)
		}
		if err != nil {
			if e, ok := errors.AsType[*csv.InputError](err); !ok || e.Message == "" || e.Hint == "" || e.Line < 0 || strings.ContainsAny(e.Message, "\x1b\n") {
				t.Fatalf("%#v is no usable input error", err)
			}
			return
		}
		if err := table.Validate(); err != nil {
			t.Fatal(err)
		}
		if table.Rows != report.Rows {
			t.Fatalf("%d rows, report has %d", table.Rows, report.Rows)
		}
		if shown(table) != shown(again) || fmt.Sprint(report) != fmt.Sprint(report2) {
			t.Fatalf("whole:\n%s%v\nbyte by byte:\n%s%v", shown(table), report, shown(again), report2)
		}
		stream(t, data, report)
		if _, err := csv.Inspect(data[:len(data)/2], false, csv.Options{}); err != nil {
			if _, ok := errors.AsType[*csv.InputError](err); !ok {
				t.Fatalf("inspecting half: %v", err)
			}
		}
	})
}

// stream reads the table again in batches; without ragged rows every row comes.
func stream(t *testing.T, data []byte, report *csv.Report) {
	b, err := csv.NewBatches(bytes.NewReader(data), report.Columns, csv.Options{}, 3)
	if err != nil {
		t.Fatalf("in batches: %v", err)
	}
	rows := 0
	for {
		f, err := b.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if report.RaggedCount > 0 {
				return
			}
			t.Fatalf("in batches: %v", err)
		}
		rows += f.Rows
	}
	if rows != report.Rows {
		t.Fatalf("%d rows in batches, want %d", rows, report.Rows)
	}
}
