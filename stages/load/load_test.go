package load_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/parquet"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/load"
)

// loaded executes the stage on a table of text, over a store of its own.
func loaded(t *testing.T, data string, params string) (*artifact.Store, *pipeline.Outcome, error) {
	t.Helper()
	ctx := context.Background()
	store, err := artifact.Open(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	registry, err := pipeline.NewRegistry(nil, load.Kind())
	if err != nil {
		t.Fatal(err)
	}
	x := &pipeline.Executor{Store: store, Registry: registry, Worker: "w", Cores: 2, Log: slog.New(slog.DiscardHandler)}
	ref, err := store.Put(ctx, strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := x.Execute(ctx, pipeline.Stage{Name: "load", Kind: "load_data", Params: json.RawMessage(params)}, 0, []pipeline.Input{{Role: "csv", Ref: ref}})
	return store, out, err
}

func output(t *testing.T, store *artifact.Store, out *pipeline.Outcome, name string) []byte {
	t.Helper()
	i := slices.IndexFunc(out.Outputs, func(o artifact.Output) bool { return o.Name == name })
	if i < 0 {
		t.Fatalf("no output %s", name)
	}
	b, err := store.ReadAll(context.Background(), out.Outputs[i].Ref)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLoad(t *testing.T) {
	store, out, err := loaded(t, "\ufeffn;n;when\r\n1,5;x;13/2/2016\r\n-;\"y;\r\n\";1/3/2016\r\n7\r\n", `{"missing":["-"],"types":{"n_2":"text"}}`)
	if err != nil {
		t.Fatal(err)
	}
	b := output(t, store, out, "table")
	f, err := parquet.Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	n, text, when := f.Column("n"), f.Column("n_2"), f.Column("when")
	if f.Rows != 2 || n.Type != frame.Float || n.Num[0] != 1.5 || !n.Missing(1) {
		t.Errorf("%d rows, n is %+v", f.Rows, n)
	}
	if text.Type != frame.Text || text.Levels[text.Codes[1]] != "y;" {
		t.Errorf("n_2 is %+v", text)
	}
	if when.Type != frame.Date || !slices.Equal(when.Days, []int32{16844, 16861}) { // 2016-02-13, 2016-03-01
		t.Errorf("when is %+v", when)
	}
	want := []artifact.Warning{
		{Code: "RAGGED_ROWS", Message: "rows without 3 fields were left out: line 5 has 1"},
		{Code: "RENAMED_COLUMN", Message: `a column without a name of its own is called "n_2"`, Column: "n_2"},
	}
	if !slices.Equal(out.Warnings, want) {
		t.Errorf("warnings %+v, want %+v", out.Warnings, want)
	}
	var notes csv.Report
	if err := json.Unmarshal(output(t, store, out, "notes"), &notes); err != nil {
		t.Fatal(err)
	}
	if notes.Rows != 2 || notes.RaggedCount != 1 || notes.Ragged[0].Line != 5 || notes.Delimiter != ";" || notes.Column("when").DateLayout != "DMY" || notes.Column("n_2").Evidence != "it was asked for" {
		t.Errorf("notes %+v", notes)
	}
}

func TestBadInput(t *testing.T) {
	tests := []struct {
		name, data, params string
		message            string
		line, column       int
	}{
		{"one column", "a\n1\n2\n", `{}`, "the file has one column", 0, 0},
		{"empty", "", `{}`, "the file is empty", 0, 0},
		{"header only", "a,b\n", `{}`, "the file has a header but no rows", 1, 0},
		{"open quote", "a,b\n1,\"2\n", `{}`, "the quote that opens on line 2 is never closed", 2, 0},
		{"wrong type", "a,b\n1,2\n1,x\n", `{"types":{"b":"integer"}}`, `line 3, column "b": "x" is no number`, 3, 2},
		{"type of no column", "a,b\n1,2\n", `{"types":{"c":"integer"}}`, `a type is given for the column "c"`, 0, 0},
		{"ragged", "a,b\n" + strings.Repeat("1,2\n1\n", 11), `{}`, "11 of 22 rows do not have 2 fields", 3, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := loaded(t, tt.data, tt.params)
			e := pipeline.AsError(err)
			if e == nil || e.Class != pipeline.ClassBadInput || !strings.Contains(e.Message, tt.message) || e.Line != tt.line || e.Column != tt.column || e.Hint == "" {
				t.Errorf("error %+v, want %q at %d:%d", e, tt.message, tt.line, tt.column)
			}
		})
	}
}

func TestParams(t *testing.T) {
	for params, good := range map[string]bool{`{}`: true, `{"types":{"a":"date"}}`: true, `{"types":{"a":"shape"}}`: false, `{"typs":{}}`: false} {
		_, _, err := loaded(t, "a,b\n2016-01-01,2\n", params)
		if (err == nil) != good {
			t.Errorf("%s: error %v", params, err)
		}
	}
}

// The table does not depend on how the text was written.
func TestSameContentSameTable(t *testing.T) {
	digest := func(data string) string {
		_, out, err := loaded(t, data, `{}`)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(out.Outputs[0].Ref)
	}
	want := digest("a,b,c\n1,x,2016-02-13\n,y,2016-02-01\n")
	for _, same := range []string{"a;b;c\r\n1;\"x\";13/2/2016\r\nNA;y;1/2/2016", "\ufeffa\tb\tc\n 1\tx\t2016/2/13\n\ty \t2016/02/01\n"} {
		if got := digest(same); got != want {
			t.Errorf("%q gives %s, want %s", same, got, want)
		}
	}
	if digest("a,b,c\n1,x,2016-02-13\n,z,2016-02-01\n") == want {
		t.Error("another value gives the same table")
	}
}
