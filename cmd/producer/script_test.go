package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/text/encoding/unicode"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"producer": main})
}

// TestScript runs the scripts of testdata/script against the command. Each has a home, and so a store, of its own.
//
//	table FILE [ROWS]        writes a table of customers with the class "churned", the same each time
//	field FILE PATH [VALUE]  holds a value of a JSON document, such as error.class or stages.0.cache, to VALUE; without
//	                         VALUE it must be neither null nor empty
//	keep NAME FILE PATH      sets a variable to a value of a JSON document
//	lines FILE N             holds the number of lines of FILE to N
//	prefix NAME RUN          sets a variable to the first four of the random characters at the end of a run id
//	interrupt RUN            makes of a run one whose process died; damage RUN flips a byte of its record
//	rewrite CSV TSV          writes a table of customers without the class, with a column more, reversed, in UTF-16
//	edit CSV LINE OLD NEW    replaces text in a line of a file, counted from 1; without OLD and NEW the line goes
//	hostile FILE             writes a table whose names and values mean to do harm
//	quotelate, random, wide  write files that are no good
//	printable FILE           finds nothing in FILE that a terminal would obey
func TestScript(t *testing.T) {
	needs.NoRace(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("ESC", "\x1b")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"table": scriptTable, "field": scriptField, "keep": scriptKeep, "printable": scriptPrintable,
			"lines": scriptLines, "prefix": scriptPrefix, "interrupt": scriptInterrupt, "damage": scriptDamage, "rewrite": scriptRewrite,
			"edit": scriptEdit, "hostile": scriptHostile, "quotelate": scriptQuoteLate, "random": scriptRandom, "grow": scriptGrow, "wide": scriptWide},
	})
}

// customers is a table in which the class follows the columns, though not strictly.
func customers(rows int) []byte {
	var b bytes.Buffer
	b.WriteString("customer,joined,plan,calls,spend,churned\n")
	for i := range rows {
		calls, spend := i*7%11, float64(i*13%97)/4
		plan := []string{"basic", "plus", "pro"}[i*5%3]
		churned := "stayed"
		if calls > 6 && plan != "pro" || i%17 == 0 {
			churned = "left"
		}
		fmt.Fprintf(&b, "C-%05d,2024-%02d-%02d,%s,%d,%.2f,%s\n", i+1, 1+i%12, 1+i%28, plan, calls, spend, churned)
	}
	return b.Bytes()
}

func scriptTable(ts *testscript.TestScript, neg bool, args []string) {
	rows := 300
	if len(args) > 1 {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		rows = n
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), customers(rows), 0o644))
}

// lookup finds a value of a JSON document.
func lookup(ts *testscript.TestScript, file, path string) any {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(file)))
	d.UseNumber()
	var v any
	ts.Check(d.Decode(&v))
	if d.More() {
		ts.Fatalf("%s holds more than one document", file)
	}
	for _, p := range strings.Split(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[p]
			if !ok {
				ts.Fatalf("%s: there is no %s in %s", file, p, path)
			}
			v = next
		case []any:
			i, err := strconv.Atoi(p)
			ts.Check(err)
			if i >= len(at) {
				ts.Fatalf("%s: %s: there are %d", file, path, len(at))
			}
			v = at[i]
		default:
			ts.Fatalf("%s: there is no %s in %s", file, p, path)
		}
	}
	return v
}

func jsonText(ts *testscript.TestScript, v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	var b strings.Builder
	ts.Check(writeJSON(&b, v))
	return strings.TrimSpace(b.String())
}

func scriptField(ts *testscript.TestScript, neg bool, args []string) {
	got := jsonText(ts, lookup(ts, args[0], args[1]))
	if len(args) == 2 {
		if got == "" || got == "null" || got == "[]" {
			ts.Fatalf("%s is %q", args[1], got)
		}
		return
	}
	if (got == args[2]) == neg {
		ts.Fatalf("%s is %q, want %q (not: %v)", args[1], got, args[2], neg)
	}
}

func scriptKeep(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], jsonText(ts, lookup(ts, args[1], args[2])))
}

func scriptPrintable(ts *testscript.TestScript, neg bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		line = strings.TrimSuffix(line, "\n")
		if plain(line) != line {
			ts.Fatalf("%s: %q is not fit for a terminal", args[0], line)
		}
	}
}

func scriptLines(ts *testscript.TestScript, neg bool, args []string) {
	if got := strings.Count(ts.ReadFile(args[0]), "\n"); strconv.Itoa(got) != args[1] {
		ts.Fatalf("%s has %d lines, want %s", args[0], got, args[1])
	}
}

func scriptPrefix(ts *testscript.TestScript, neg bool, args []string) {
	_, end, _ := strings.Cut(args[1][len("20060102-"):], "-")
	ts.Setenv(args[0], end[:4])
}

// runDocument is a document of a run in the store of the script's home.
func runDocument(ts *testscript.TestScript, run, name string) string {
	return filepath.Join(ts.Getenv("HOME"), ".local", "share", "hashline", "runs", run, name)
}

func scriptInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range []string{pipeline.RecordDocument, pipeline.EventsDocument} {
		ts.Check(os.Remove(runDocument(ts, args[0], name)))
	}
}

func scriptDamage(ts *testscript.TestScript, neg bool, args []string) {
	path := runDocument(ts, args[0], pipeline.StartedDocument)
	b, err := os.ReadFile(path)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.Remove(path))
	ts.Check(os.WriteFile(path, b, 0o644))
}

func scriptRewrite(ts *testscript.TestScript, neg bool, args []string) {
	records, err := csv.NewReader(strings.NewReader(ts.ReadFile(args[0]))).ReadAll()
	ts.Check(err)
	var b strings.Builder
	for i, r := range records {
		r = append(r[:len(r)-1], fmt.Sprintf("column \t %d", i))
		slices.Reverse(r)
		for c, v := range r {
			if c > 0 {
				b.WriteByte('\t')
			}
			fmt.Fprintf(&b, "%q", strings.ReplaceAll(v, "\t", " "))
		}
		b.WriteString("\r\n")
	}
	utf16, err := unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().String(b.String())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(utf16), 0o644))
}

func scriptQuoteLate(ts *testscript.TestScript, neg bool, args []string) {
	text := "a,b\n" + strings.Repeat("1,x\n", 40_000) + "2,\"y\n" + strings.Repeat("1,x\n", 40_000)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// scriptGrow writes a table whose column late has few values in the part that is looked at before the run.
func scriptGrow(ts *testscript.TestScript, neg bool, args []string) {
	var b strings.Builder
	b.WriteString("x,late\n")
	for i := range 30_000 {
		fmt.Fprintf(&b, "%d.5,%d\n", i*7919%30_011, i%(5+40*(i/25_000)))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o644))
}

func scriptRandom(ts *testscript.TestScript, neg bool, args []string) {
	b := make([]byte, 100_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

func scriptWide(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
	}
	row := strings.Repeat("1,", n-1) + "1\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(names, ",")+"\n"+row+row), 0o644))
}

func scriptEdit(ts *testscript.TestScript, neg bool, args []string) {
	lines := strings.SplitAfter(ts.ReadFile(args[0]), "\n")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	if len(args) == 2 {
		lines = slices.Delete(lines, n-1, n)
	} else {
		if !strings.Contains(lines[n-1], args[2]) {
			ts.Fatalf("line %d is %q", n, lines[n-1])
		}
		lines[n-1] = strings.Replace(lines[n-1], args[2], args[3], 1)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(lines, "")), 0o644))
}

// scriptHostile writes HTML, quotes, paths, formulas, terminal escapes, line ends and marks that turn text around, as
// names of columns, as values and as classes.
func scriptHostile(ts *testscript.TestScript, neg bool, args []string) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	ts.Check(w.Write([]string{"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "../../etc/passwd", "=cmd|calc", "\x1b[31mred\a", "a\nproducer: forged", "\u202erev", "$(reboot)'`", "target"}))
	for i := range 240 {
		class := []string{"=HYPERLINK(\"http://x\")", "\x1b[31mno\u202e\nproducer: forged"}[i*7%5/3]
		ts.Check(w.Write([]string{strconv.Itoa(i * 7 % 5), strconv.Itoa(i % 9), []string{"../x", "=1+1", "<b>", "@SUM(A1)", "\x1b[2J"}[i%5], strconv.Itoa(i * i % 31), strconv.Itoa(i % 4),
			strconv.Itoa(i * 3 % 7), []string{"\u202eabc", `d"e`}[i%2], []string{"`id`", "$HOME", "'; rm"}[i%3], class}))
	}
	w.Flush()
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o644))
}
