package preprocess_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/parquet"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/sample"
	"github.com/hashline/hashline/stages/load"
	"github.com/hashline/hashline/stages/preprocess"
)

// bench executes stages over a store of its own.
type bench struct {
	t testing.TB
	x *pipeline.Executor
}

func newBench(t testing.TB, cores int) *bench {
	t.Helper()
	store, err := artifact.Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	registry, err := pipeline.NewRegistry(nil, load.Kind(), preprocess.Kind())
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t, &pipeline.Executor{Store: store, Registry: registry, Worker: "w", Cores: cores, Log: slog.New(slog.DiscardHandler)}}
}

func (b *bench) execute(kind string, params any, role string, in artifact.Ref) (*pipeline.Outcome, error) {
	b.t.Helper()
	raw, err := json.Marshal(params)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.x.Execute(context.Background(), pipeline.Stage{Name: kind, Kind: kind, Params: raw}, 0, []pipeline.Input{{Role: role, Ref: in}})
}

// loaded executes load_data on a table of text.
func (b *bench) loaded(data []byte, p load.Params) *pipeline.Outcome {
	b.t.Helper()
	ref, err := b.x.Store.Put(context.Background(), bytes.NewReader(data))
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := b.execute("load_data", p, "csv", ref)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// prepared executes both stages.
func (b *bench) prepared(data []byte, p preprocess.Params) (loaded, prepared *pipeline.Outcome) {
	b.t.Helper()
	loaded = b.loaded(data, load.Params{})
	prepared, err := b.execute("preprocess", p, "table", loaded.Outputs[0].Ref)
	if err != nil {
		b.t.Fatal(err)
	}
	return loaded, prepared
}

func (b *bench) read(ref artifact.Ref) []byte {
	b.t.Helper()
	data, err := b.x.Store.ReadAll(context.Background(), ref)
	if err != nil {
		b.t.Fatal(err)
	}
	return data
}

func (b *bench) dataset(out *pipeline.Outcome) *dataset.Dataset {
	b.t.Helper()
	data := b.read(out.Outputs[0].Ref)
	f, err := parquet.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		b.t.Fatal(err)
	}
	d, err := dataset.FromFrame(f)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

func (b *bench) notes(out *pipeline.Outcome) *preprocess.Notes {
	b.t.Helper()
	var n preprocess.Notes
	if err := json.Unmarshal(b.read(out.Outputs[1].Ref), &n); err != nil {
		b.t.Fatal(err)
	}
	return &n
}

func superstore(t testing.TB) []byte {
	t.Helper()
	data, err := sample.Superstore()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// rewritten changes every record of a table and writes it with another delimiter and line end.
func rewritten(t *testing.T, data []byte, comma rune, crlf bool, change func(row int, r []string)) []byte {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.Comma, w.UseCRLF = comma, crlf
	for i, r := range records {
		change(i, r)
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	return out.Bytes()
}

// dates writes the two dates of a Superstore row in another layout.
func dates(t *testing.T, layout string) func(int, []string) {
	return func(row int, r []string) {
		for _, c := range []int{2, 3} {
			if row == 0 {
				continue
			}
			d, err := time.Parse(time.DateOnly, r[c])
			if err != nil {
				t.Fatal(err)
			}
			r[c] = d.Format(layout)
		}
	}
}

func encoded(t *testing.T, data []byte, with interface{ Bytes([]byte) ([]byte, error) }) []byte {
	t.Helper()
	b, err := with.Bytes(data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The same table in other clothes gives the same features, bit for bit.
func TestSameTableInOtherClothes(t *testing.T) {
	data := superstore(t)
	b := newBench(t, 2)
	p := preprocess.Params{Target: "Profit > 0"}
	_, want := b.prepared(data, p)
	german := func(row int, r []string) {
		dates(t, "02.01.2006")(row, r)
		if row > 0 {
			r[17], r[20] = strings.Replace(r[17], ".", ",", 1), strings.Replace(r[20], ".", ",", 1)
			r[19] = strings.Replace(r[19], ".", ",", 1)
		}
	}
	keep := func(int, []string) {}
	for _, tt := range []struct {
		name string
		data []byte
	}{
		{"Windows-1252, month first, CRLF", encoded(t, rewritten(t, data, ',', true, dates(t, "1/2/2006")), charmap.Windows1252.NewEncoder())},
		{"semicolons, day first, decimal comma", rewritten(t, data, ';', false, german)},
		{"UTF-16, tabs, times of day", encoded(t, rewritten(t, data, '\t', true, dates(t, "2006-01-02T15:04:05Z")), unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder())},
		{"UTF-8 with mark, bars", append([]byte("\ufeff"), rewritten(t, data, '|', false, keep)...)},
		{"old Mac", bytes.ReplaceAll(rewritten(t, data, ',', false, keep), []byte{'\n'}, []byte{'\r'})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			loaded, got := b.prepared(tt.data, p)
			if got.Outputs[0].Ref != want.Outputs[0].Ref {
				n, w := b.notes(got), b.notes(want)
				t.Errorf("table %v, want %v; %s; features %v, want %v", got.Outputs[0].Ref, want.Outputs[0].Ref, b.read(loaded.Outputs[1].Ref), n.Features, w.Features)
			}
		})
	}
}

// A change in a column that is dropped stops at this stage.
func TestChangeInDroppedColumn(t *testing.T) {
	data := superstore(t)
	b := newBench(t, 2)
	p := preprocess.Params{Target: "Profit > 0"}
	loaded, prepared := b.prepared(data, p)
	changed := rewritten(t, data, ',', false, func(row int, r []string) {
		if row == 5000 {
			r[16] += ", Blue"
		}
	})
	loaded2, prepared2 := b.prepared(changed, p)
	if loaded.Outputs[0].Ref == loaded2.Outputs[0].Ref {
		t.Error("the loaded table is the same")
	}
	if prepared.ActionKey == prepared2.ActionKey {
		t.Error("the action is the same")
	}
	if prepared.Outputs[0].Ref != prepared2.Outputs[0].Ref {
		t.Error("the prepared table changed with a column that it does not have")
	}
	changed = rewritten(t, data, ',', false, func(row int, r []string) {
		if row == 5000 {
			r[18] = "77"
		}
	})
	if _, prepared3 := b.prepared(changed, p); prepared.Outputs[0].Ref == prepared3.Outputs[0].Ref {
		t.Error("the prepared table did not change with a feature")
	}
}

func TestCoresDoNotMatter(t *testing.T) {
	data := superstore(t)
	p := preprocess.Params{Target: "Profit < 0 | Profit < 100"}
	_, one := newBench(t, 1).prepared(data, p)
	_, four := newBench(t, 4).prepared(data, p)
	for i := range one.Outputs {
		if one.Outputs[i].Ref != four.Outputs[i].Ref {
			t.Errorf("output %s differs", one.Outputs[i].Name)
		}
	}
}

const small = `id,when,due,x,y,g,note
A1,2016-01-01,2016-01-03,1,10,a,first
A2,2016-02-01,2016-02-03,2,20,b,second
A2,2016-02-01,2016-02-03,2,20,b,second
A3,2016-03-01,,3,,a,third
A4,2016-04-01,2016-04-08,4,40,b,fourth
A5,2016-05-01,2016-05-02,5,50,a,fifth
`

func TestPreprocess(t *testing.T) {
	tests := []struct {
		name    string
		p       preprocess.Params
		columns string // as features
		classes string
		rows    int
	}{
		{"a category", preprocess.Params{Target: "g"}, "x y when.year when.quarter when.month when.weekday when.day due.year due.quarter due.month due.weekday due.day days from when to due", "a b", 5},
		{"a comparison", preprocess.Params{Target: "y > 15", Features: feature.Choice{Columns: []string{"x"}}}, "x", "false true", 4},
		{"thresholds", preprocess.Params{Target: "x < 2 | x < 4", Features: feature.Choice{Columns: []string{"y"}}}, "y", "x < 2,x >= 2 and < 4,x >= 4", 5},
		{"excluded", preprocess.Params{Target: "g", Features: feature.Choice{Exclude: []string{"when", "y"}}}, "x due.year due.quarter due.month due.weekday due.day", "a b", 5},
		{"included", preprocess.Params{Target: "g", Features: feature.Choice{Columns: []string{"x"}, Include: []string{"id", "due"}}}, "id x due.year due.quarter due.month due.weekday due.day", "a b", 5},
		{"ratio", preprocess.Params{Target: "g", Features: feature.Choice{Columns: []string{"x"}, Ratios: []feature.Ratio{{Numerator: "y", Denominator: "x"}}}}, "x y / x", "a b", 5},
		{"excluded though named", preprocess.Params{Target: "g", Features: feature.Choice{Columns: []string{"x"}, Exclude: []string{"y"}, Ratios: []feature.Ratio{{Numerator: "y", Denominator: "x"}}}}, "x", "a b", 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 1)
			_, out := b.prepared([]byte(small), tt.p)
			d, n := b.dataset(out), b.notes(out)
			if got := strings.Join(d.Names(), " "); got != tt.columns {
				t.Errorf("features %s\nwant %s", got, tt.columns)
			}
			sep := " "
			if strings.Contains(tt.classes, ",") {
				sep = ","
			}
			if got := strings.Join(d.Classes, sep); got != tt.classes {
				t.Errorf("classes %s, want %s", got, tt.classes)
			}
			if len(d.Y) != tt.rows || n.RowsOut != tt.rows || n.RowsIn != 6 || n.Duplicates != 1 || n.MissingTarget != 5-tt.rows {
				t.Errorf("%d rows; notes %+v", len(d.Y), n)
			}
			if len(n.Columns) != 7 {
				t.Errorf("%d decisions about 7 columns: %+v", len(n.Columns), n.Columns)
			}
			for _, c := range n.Columns {
				if c.Reason == "" {
					t.Errorf("no reason for %s", c.Column)
				}
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	b := newBench(t, 1)
	_, out := b.prepared([]byte(small), preprocess.Params{Target: "y > 15"})
	want := []artifact.Warning{
		{Code: "DUPLICATE_ROWS", Message: "1 row is equal to an earlier one in every column and left out"},
		{Code: "MISSING_TARGET", Message: "1 row is without a value in the target's column and left out", Column: "y"},
	}
	if !slices.Equal(out.Warnings, want) {
		t.Errorf("warnings %+v, want %+v", out.Warnings, want)
	}
}

func TestSplitColumn(t *testing.T) {
	b := newBench(t, 1)
	for _, column := range []string{"id", "when", "x"} {
		_, out := b.prepared([]byte(small), preprocess.Params{Target: "g", Split: column})
		d := b.dataset(out)
		if d.Split == nil || d.Split.Name != column || d.Split.Len() != 5 {
			t.Errorf("split column %+v, want %s", d.Split, column)
		}
	}
}

func TestBadInput(t *testing.T) {
	const missing = "x,g,h\n1,,p\n2,NA,q\n3,,p\n4,,q\n"
	tests := []struct {
		name, data    string
		p             preprocess.Params
		message, hint string
	}{
		{"no such target", small, preprocess.Params{Target: "gg"}, `there is no column "gg"`, `did you mean "g"?`},
		{"nothing but missing", missing, preprocess.Params{Target: "g"}, `every value of the target column "g" is missing`, "choose another target"},
		{"target as a feature", small, preprocess.Params{Target: "x > 2", Features: feature.Choice{Include: []string{"x"}}}, `the target's own column "x" cannot be a feature`, "leave it out"},
		{"target in a ratio", small, preprocess.Params{Target: "x > 2", Features: feature.Choice{Ratios: []feature.Ratio{{Numerator: "y", Denominator: "x"}}}}, `the target's own column "x" cannot be a feature`, "leave it out"},
		{"no such split column", small, preprocess.Params{Target: "g", Split: "z"}, `there is no column "z" to split by`, "names are exact"},
		{"no such feature", small, preprocess.Params{Target: "g", Features: feature.Choice{Columns: []string{"notes"}}}, `there is no column "notes"`, `did you mean "note"?`},
		{"nothing left", small, preprocess.Params{Target: "g", Features: feature.Choice{Exclude: []string{"when", "due", "x", "y"}}}, `"when" is of type date: it was excluded; "due" is of type date: it was excluded; and 3 more`, "include one"},
		{"ratio of texts", small, preprocess.Params{Target: "g", Features: feature.Choice{Ratios: []feature.Ratio{{Numerator: "x", Denominator: "note"}}}}, "", "check the features"},
		{"unknown part", small, preprocess.Params{Target: "g", Features: feature.Choice{Dates: []feature.Parts{{Column: "when", Parts: []string{"minute"}}}}}, `a date has no part "minute"`, "want some of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 1)
			loaded := b.loaded([]byte(tt.data), load.Params{})
			_, err := b.execute("preprocess", tt.p, "table", loaded.Outputs[0].Ref)
			e := pipeline.AsError(err)
			if e == nil || e.Class != pipeline.ClassBadInput || !strings.Contains(e.Message, tt.message) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %+v, want %q with %q", e, tt.message, tt.hint)
			}
		})
	}
}

// memory is a table in memory that says what was asked of it.
type memory struct{ *frame.Frame }

func (m memory) Describe() *frame.Frame {
	f := &frame.Frame{Rows: m.Rows}
	for _, c := range m.Columns {
		f.Columns = append(f.Columns, &frame.Column{Name: c.Name, Type: c.Type})
	}
	return f
}

func (m memory) Each(use func(*frame.Column) error) error {
	for _, c := range m.Columns {
		if err := use(c); err != nil {
			return err
		}
	}
	return nil
}

// TestRepeats holds the search for repeated rows to a map of their texts.
func TestRepeats(t *testing.T) {
	const rows = 5000
	f := &frame.Frame{Rows: rows, Columns: []*frame.Column{{Name: "n", Type: frame.Float}, {Name: "c", Type: frame.Category, Levels: []string{"a", "b", "c"}}, {Name: "d", Type: frame.Date}}}
	seen, want := map[string]bool{}, 0
	for i := range rows {
		n, c, d := float64(i*i%101), int32(i*7%4-1), int32(i%29)
		if i%10 == 0 {
			n, d = math.NaN(), frame.MissingDay
		}
		f.Columns[0].Num = append(f.Columns[0].Num, n)
		f.Columns[1].Codes = append(f.Columns[1].Codes, c)
		f.Columns[2].Days = append(f.Columns[2].Days, d)
		key := fmt.Sprint(n, c, d)
		if seen[key] {
			want++
		}
		seen[key] = true
	}
	_, notes, err := preprocess.Prepare(memory{f}, &preprocess.Params{Target: "n > 5"})
	if err != nil {
		t.Fatal(err)
	}
	if notes.Duplicates != want || want < 100 {
		t.Errorf("%d repeated rows, want %d", notes.Duplicates, want)
	}
}

func BenchmarkStages(b *testing.B) {
	data := superstore(b)
	w := newBench(b, 2)
	ref, err := w.x.Store.Put(context.Background(), bytes.NewReader(data))
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			n++ // other parameters, else the result is known
			if _, err := w.execute("load_data", load.Params{Missing: []string{fmt.Sprint("missing ", n)}}, "csv", ref); err != nil {
				b.Fatal(err)
			}
		}
	})
	loaded := w.loaded(data, load.Params{})
	b.Run("preprocess", func(b *testing.B) {
		for b.Loop() {
			n++
			if _, err := w.execute("preprocess", preprocess.Params{Target: fmt.Sprintf("Profit > %g", 1/float64(n+1000))}, "table", loaded.Outputs[0].Ref); err != nil {
				b.Fatal(err)
			}
		}
	})
}
