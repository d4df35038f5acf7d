package csv_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/ml/csv"
)

// repeated makes n values of the given ones in turn.
func repeated(n int, values ...string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = values[i%len(values)]
	}
	return all
}

// numbered makes n values of a format of their number.
func numbered(n int, format string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return all
}

// lettered makes n different words.
func lettered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = "na" + string(rune('a'+i/26)) + string(rune('a'+i%26))
	}
	return all
}

// grouped are n whole numbers in steps, with a comma between thousands.
func grouped(from, n, step int) []string {
	list := make([]string, n)
	for i := range list {
		v := from + i*step
		list[i] = fmt.Sprint(v)
		if v >= 1000 {
			list[i] = fmt.Sprintf("%d,%03d", v/1000, v%1000)
		}
	}
	return list
}

func TestInference(t *testing.T) {
	prose := numbered(60, "the customer called %d times to say that the parcel did not arrive on time")
	tests := []struct {
		name     string
		column   string
		values   []string
		want     string // type
		evidence string // a part of it
		first    string // the first value as read, where it is not as written
	}{
		{"integers", "n", []string{"1", "-2", "+3"}, "integer", "every value is a whole number", ""},
		{"floats", "n", []string{"1", "-.5", "3."}, "float", "some with a fraction", ""},
		{"exponents", "n", []string{"1e3", "2E-5", "1e308"}, "float", "", "1000"},
		{"too large", "n", []string{"1e309", "5"}, "float", "", "_"},
		{"infinities", "n", []string{"inf", "-Infinity", "1.5"}, "float", "", "_"},
		{"hexadecimal", "n", []string{"0x10", "0x11"}, "category", "", ""},
		{"underscores", "n", []string{"1_000", "2_000"}, "category", "", ""},
		{"sign alone", "n", []string{"-", "1"}, "category", "", ""},
		{"two signs", "n", []string{"--1", "1"}, "category", "", ""},
		{"two points", "n", []string{"1.2.3", "1"}, "category", "", ""},
		{"largest exact integer", "n", []string{"9007199254740991", "1"}, "integer", "", ""},
		{"integers beyond exactness", "n", []string{"9007199254740993", "1"}, "identifier", "too big for exact arithmetic", ""},
		{"grouped integers beyond exactness", "n", []string{"9,007,199,254,740,993", "1"}, "identifier", "too big", ""},
		{"leading zeros", "zip", numbered(60, "%05d"), "identifier", "60 values that look like codes", ""},
		{"a leading zero late", "n", append(numbered(30, "1%d"), "007"), "identifier", `line 32 has "007", which is no number`, ""},
		{"zero", "n", []string{"0", "0.5", "-0"}, "float", "", ""},
		{"thousands", "n", []string{"1,234", "12,345,678.5", "7"}, "float", "", "1234"},
		{"thousands or decimal", "n", []string{"1,234", "5,678"}, "integer", "a comma is taken to group thousands", "1234"},
		{"bad groups", "n", []string{"1,23,456", "1"}, "category", "", ""},
		{"group at the start", "n", []string{",123,456", "1"}, "category", "", ""},
		{"decimal comma", "n", []string{"1,5", "12.345,25", "7"}, "float", "", "1.5"},
		{"percent", "n", []string{"45%", "5.5 %", "-1%"}, "float", "a number with %, which is left off", "45"},
		{"some percent", "n", []string{"45%", "0.45"}, "category", `line 3 has "0.45", which is no number`, ""},
		{"thousands between spaces", "n", []string{"1 234.5", "12\u00a0345\u202f678.5", "7"}, "float", "some with a fraction", "1234.5"},
		{"whole thousands between spaces", "n", []string{"1 234", "555", "-12 345"}, "integer", "every value is a whole number", "1234"},
		{"thousands between apostrophes", "n", []string{"1'234.5", "1’234’567", "7"}, "float", "", "1234.5"},
		{"spaces and decimal comma", "n", []string{"1 234,5 €", "1\u202f234\u202f567,25\u00a0€", "7 €"}, "float", "with €", "1234.5"},
		{"two sorts of groups", "n", []string{"1 234 567.5", "1 234'567.5", "1,234 567.5"}, "text", "is no number like those before", "1 234 567.5"},
		{"groups of two", "n", []string{"12 34", "1 23"}, "category", "", "12 34"},
		{"dollars", "n", []string{"$1,234.50", "-$2", "$ 3"}, "float", "with $", "1234.5"},
		{"euros behind", "n", []string{"1.234,50 €", "2 €"}, "float", "with €", "1234.5"},
		{"currencies", "n", []string{"$1", "€1"}, "category", "", ""},
		{"a sign alone with dollars", "n", []string{"$", "$1"}, "category", "", ""},
		{"ISO dates", "d", []string{"2016-11-08", "2016/1/9"}, "date", "year first", ""},
		{"ISO dates with time", "d", []string{"2016-11-08T10:20:30Z", "2016-11-09 01:02:03.5+01:00", "2016-11-09 1:02 PM"}, "date", "times of day are dropped", "2016-11-08"},
		{"month first", "d", []string{"2/3/2016", "2/13/2016"}, "date", `month first: line 3 has "2/13/2016"`, "2016-02-03"},
		{"day first", "d", []string{"2/3/2016", "13/2/2016"}, "date", `day first: line 3 has "13/2/2016"`, "2016-03-02"},
		{"open order", "d", []string{"2/3/2016", "4/5/2016"}, "date", "month first is assumed", "2016-02-03"},
		{"open order with dots", "d", []string{"2.3.2016", "4.5.2016"}, "date", "day first, as is usual with dots", "2016-03-02"},
		{"both orders", "d", []string{"2/13/2016", "13/2/2016"}, "category", `line 3 has "13/2/2016", which is no date`, ""},
		{"day first with time", "d", []string{"13/2/2016 10:00", "1/2/2016 11:59:59 pm"}, "date", "day first", "2016-02-13"},
		{"short years with dots", "d", []string{"08.05.11", "31.12.69"}, "date", "day first", "2011-05-08"},
		{"versions", "d", []string{"1.2.13", "1.10.14"}, "category", "", ""},
		{"short years", "d", []string{"2/13/16", "2/14/99"}, "date", "month first", "2016-02-13"},
		{"no such day", "d", []string{"2016-02-28", "2016-02-30"}, "category", `line 3 has "2016-02-30", which is no date`, ""},
		{"leap day", "d", []string{"2016-02-29", "2000-02-29"}, "date", "", ""},
		{"no leap day", "d", []string{"2015-02-29", "1900-02-29"}, "category", "", ""},
		{"no time of day", "d", []string{"2016-02-28 soon", "2016-02-28 99:99"}, "category", "", ""},
		{"mixed separators in a date", "d", []string{"2016-02/28", "2016-02/27"}, "category", "", ""},
		{"truth", "b", []string{"true", "FALSE"}, "boolean", "every value is a truth value", "1"},
		{"yes and no", "b", []string{"Yes", "no"}, "boolean", "", "1"},
		{"letters of truth", "b", []string{"t", "F"}, "boolean", "", "1"},
		{"spellings of truth mixed", "b", []string{"yes", "false"}, "category", "", ""},
		{"zeros and ones", "b", []string{"0", "1"}, "integer", "", ""},
		{"truth and more", "b", repeated(9, "yes", "no", "maybe"), "category", `line 4 has "maybe", which is no truth value`, ""},
		{"category", "c", repeated(100, "red", "green", "dark blue"), "category", "3 texts that repeat", ""},
		{"many levels that repeat", "c", repeated(1000, numbered(150, "place no %d")...), "category", "150 texts", ""},
		{"codes", "c", numbered(60, "A%d"), "identifier", "60 values that look like codes", ""},
		{"one text", "c", repeated(100, "red"), "category", "every value is the same text", ""},
		{"codes that repeat often", "c", repeated(2000, numbered(60, "A%d")...), "category", "60 texts that repeat", ""},
		{"codes named so", "product_id", repeated(2000, numbered(60, "A%d")...), "identifier", "60 values", ""},
		{"names", "c", lettered(60), "identifier", "hardly repeat and have no spaces", ""},
		{"prose", "c", prose, "text", "it is prose", ""},
		{"different texts", "c", numbered(60, "Jane Doe the %dth"), "text", "60 different texts", ""},
		{"row number", "anything", numbered(25, "%d"), "identifier", "it numbers the rows", ""},
		{"row number with groups", "anything", grouped(990, 40, 1), "identifier", "it numbers the rows", ""},
		{"different numbers with groups", "anything", grouped(1990, 40, 37), "integer", "every value is a whole number", "1990"},
		{"few consecutive numbers", "anything", numbered(10, "%d"), "integer", "", ""},
		{"unique numbers with a name", "Order ID", strings.Fields(strings.Join(numbered(25, "7%d3"), " ")), "identifier", `its name says "id"`, ""},
		{"repeated numbers with a name", "Postal Code", repeated(300, numbered(60, "1%d")...), "identifier", `its own name says "code"`, ""},
		{"few numbers with a name", "dept_code", repeated(300, "10", "20"), "integer", "", ""},
		{"a name that only ends like one", "PAID", repeated(300, numbered(60, "1%d")...), "integer", "", ""},
		{"a name in camel case", "customerId", repeated(300, numbered(60, "1%d")...), "identifier", `"id"`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			fmt.Fprintf(&b, "\"%s\",other\n", tt.column)
			for _, v := range tt.values {
				fmt.Fprintf(&b, "\"%s\",1\n", v)
			}
			f, report := everyWay(t, b.String(), csv.Options{})
			c := report.Columns[0]
			if c.Type != tt.want || !strings.Contains(c.Evidence, tt.evidence) {
				t.Errorf("type %s, %q; want %s, %q", c.Type, c.Evidence, tt.want, tt.evidence)
			}
			if got := values(f.Columns[0])[0]; tt.first != "" && got != tt.first {
				t.Errorf("first value %s, want %s", got, tt.first)
			}
		})
	}
}

// TestCommaByDelimiter reads the same numbers under two delimiters.
func TestCommaByDelimiter(t *testing.T) {
	f, _ := everyWay(t, "a;b\n1,234;2\n", csv.Options{})
	if got := f.Columns[0].Num[0]; got != 1.234 {
		t.Errorf("between semicolons 1,234 is %v, want 1.234", got)
	}
	f, _ = everyWay(t, "a,b\n\"1,234\",2\n", csv.Options{})
	if got := f.Columns[0].Num[0]; got != 1234 {
		t.Errorf("between commas 1,234 is %v, want 1234", got)
	}
}

func TestReport(t *testing.T) {
	_, report := everyWay(t, "a;b;;a\n1;x;;2\nNA;y;;2\n1;z;;2\n", csv.Options{})
	if report.Encoding != "utf-8" || report.Delimiter != ";" || report.Rows != 3 || !report.Complete {
		t.Errorf("report %+v", report)
	}
	if want := []string{"column_3", "a_2"}; !slices.Equal(report.Renamed, want) {
		t.Errorf("renamed %q, want %q", report.Renamed, want)
	}
	a := report.Column("a")
	if a.Missing != 1 || a.Distinct != 1 || !slices.Equal(a.Examples, []string{"1"}) {
		t.Errorf("column a %+v", a)
	}
	if c := report.Column("column_3"); c.Missing != 3 || c.Distinct != 0 {
		t.Errorf("column_3 %+v", c)
	}
	if report.Column("c") != nil {
		t.Error("there is a column c")
	}
}

func TestInspect(t *testing.T) {
	const data = "a,b\n1,x\n2,\"y\n3,z\"\n4,w"
	tests := []struct {
		name     string
		bytes    int
		complete bool
		rows     int
		message  string
	}{
		{"all", len(data), true, 3, ""},
		{"a head with a cut record", len(data), false, 2, ""},
		{"a head in a quote", 14, false, 1, ""},
		{"a head that ends with a record", 8, false, 1, ""},
		{"a header", 4, false, 0, ""},
		{"a cut header", 3, false, 0, "the header does not end"},
		{"a cut quote in a whole file", 14, true, 0, "the quote that opens on line 3 is never closed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			report, err := csv.Inspect([]byte(data[:tt.bytes]), tt.complete, csv.Options{})
			if tt.message != "" {
				if err == nil || !strings.Contains(err.Error(), tt.message) {
					t.Errorf("error %v, want %q", err, tt.message)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if report.Rows != tt.rows || report.Complete != tt.complete || len(report.Columns) != 2 {
				t.Errorf("%d rows, complete %v, %d columns", report.Rows, report.Complete, len(report.Columns))
			}
		})
	}
}

func TestQuote(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain", `"plain"`},
		{"\x1b[31mred\x07", `"\x1b[31mred\a"`},
		{"a\nb", `"a\nb"`},
		{"a\u202eb", `"a\u202eb"`},
		{strings.Repeat("é", 100), `"` + strings.Repeat("é", 60) + `…"`},
		{"\xff", `"\xff"`},
	}
	for _, tt := range tests {
		if got := csv.Quote(tt.in); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
