package feature

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/frame"
)

// input returns the error as one about the input, or fails.
func input(t *testing.T, err error) *csv.InputError {
	t.Helper()
	e, ok := errors.AsType[*csv.InputError](err)
	if !ok {
		t.Fatalf("error %v, want an input error", err)
	}
	if e.Message == "" || e.Hint == "" {
		t.Errorf("message %q, hint %q", e.Message, e.Hint)
	}
	return e
}

func TestParseTarget(t *testing.T) {
	columns := []string{"Profit", "a > 0", "a", "x>=1", "x", "A|B", "tief < hoch", "Straße"}
	tests := []struct {
		expression string
		column     string
		conditions string // as written by fmt
	}{
		{"Profit", "Profit", "[]"},
		{" Profit ", "Profit", "[]"},
		{"Profit > 0", "Profit", "[{> 0 0}]"},
		{"Profit>0", "Profit", "[{> 0 0}]"},
		{"Profit >= -1.5e2", "Profit", "[{>= -150 -1.5e2}]"},
		{"Profit<=.5", "Profit", "[{<= 0.5 .5}]"},
		{"Profit < 0", "Profit", "[{< 0 0}]"},
		{"Profit == 3", "Profit", "[{== 3 3}]"},
		{"Profit = 3", "Profit", "[{== 3 3}]"},
		{"Profit != 3", "Profit", "[{!= 3 3}]"},
		{"Profit < 0 | Profit < 100", "Profit", "[{< 0 0} {< 100 100}]"},
		{"Profit<0|Profit<100|Profit<200", "Profit", "[{< 0 0} {< 100 100} {< 200 200}]"},
		{"Profit >= 100 | Profit >= 0", "Profit", "[{>= 100 100} {>= 0 0}]"},
		{"a > 0", "a > 0", "[]"},
		{"a > 1", "a", "[{> 1 1}]"},
		{"a > 0 > 1", "a > 0", "[{> 1 1}]"},
		{"Profit == yes", "Profit", "[{== NaN yes}]"},
		{"Profit = 'no way'", "Profit", "[{== NaN no way}]"},
		{"Profit != \"007\"", "Profit", "[{!= NaN 007}]"},
		{"Profit == 007", "Profit", "[{== 7 007}]"},
		{"Profit == >50K", "Profit", "[{== NaN >50K}]"},
		{"A|B == a|b", "A|B", "[{== NaN a|b}]"},
		{"x>=1", "x>=1", "[]"},
		{"x>=2", "x", "[{>= 2 2}]"},
		{"x>=1 <= 5", "x>=1", "[{<= 5 5}]"},
		{"A|B", "A|B", "[]"},
		{"A|B > 1", "A|B", "[{> 1 1}]"},
		{"tief < hoch", "tief < hoch", "[]"},
		{"tief < hoch < 2", "tief < hoch", "[{< 2 2}]"},
		{"Straße != 2", "Straße", "[{!= 2 2}]"},
	}
	for _, tt := range tests {
		got, err := ParseTarget(tt.expression, columns)
		if err != nil {
			t.Errorf("%s: %v", tt.expression, err)
			continue
		}
		if c := fmt.Sprint(got.conditions); got.Column != tt.column || c != tt.conditions || got.Expression != strings.TrimSpace(tt.expression) {
			t.Errorf("%s: column %q, %s; want %q, %s", tt.expression, got.Column, c, tt.column, tt.conditions)
		}
	}
}

func TestParseTargetErrors(t *testing.T) {
	columns := []string{"Profit", "Sales", "Segment"}
	tests := []struct{ expression, message, hint string }{
		{"", "the target is empty", "name a column"},
		{"  ", "the target is empty", "name a column"},
		{"Proft", `there is no column "Proft"`, `did you mean "Profit"?`},
		{"profit", `there is no column "profit"`, `did you mean "Profit"?`},
		{"Porfit > 0", `there is no column "Porfit"`, `did you mean "Profit"?`},
		{"Quantity", `there is no column "Quantity"`, `the columns are "Profit", "Sales", "Segment"`},
		{"> 0", `there is no column ""`, "the columns are"},
		{"Profit >", "no number", "compare with a number"},
		{"Profit > x", `the target compares "Profit" with "x", which is no number`, "compare with a number"},
		{"Profit > 1,000", "no number", "compare with a number"},
		{"Profit > NaN", "no number", "compare with a number"},
		{"Profit > inf", "no number", "compare with a number"},
		{"Profit => 0", `there is no column "Profit ="`, `did you mean "Profit"?`},
		{"Profit < 0 | Sales < 5", "compares two columns", "one column"},
		{"Profit < 5 | Profit < 0", "not in order", "ascending"},
		{"Profit < 5 | Profit < 5", "not in order", "ascending"},
		{"Profit < 5 | Profit > 7", "not in order", "ascending"},
		{"Profit == 5 | Profit == 7", "not in order", "ascending"},
		{"Profit < 5 |", `there is no column ""`, "the columns are"},
		{"\x1b[31m", `there is no column "\x1b[31m"`, "the columns are"},
	}
	for _, tt := range tests {
		_, err := ParseTarget(tt.expression, columns)
		if e := input(t, err); !strings.Contains(e.Message, tt.message) || !strings.Contains(e.Hint, tt.hint) {
			t.Errorf("%q: %q with %q, want %q with %q", tt.expression, e.Message, e.Hint, tt.message, tt.hint)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"Profit > 0", "a|b", "a < 1 | a < 2", "a>=1", "=", "a==", "a!=1e5", "|||"} {
		f.Add(seed, "Profit", "a")
	}
	f.Fuzz(func(t *testing.T, expression, one, two string) {
		columns := []string{one, two}
		got, err := ParseTarget(expression, columns)
		if err != nil {
			input(t, err)
			return
		}
		if !slices.Contains(columns, got.Column) {
			t.Fatalf("column %q is none of %q", got.Column, columns)
		}
		if slices.Contains(columns, strings.TrimSpace(expression)) && (got.Column != strings.TrimSpace(expression) || len(got.conditions) > 0) {
			t.Fatalf("an exact name did not win: %+v", got)
		}
		c := &frame.Column{Name: got.Column, Type: frame.Float, Num: []float64{math.NaN(), -1, 0, 1, 1e300}}
		y, classes, err := got.Labels(c, MaxDistinct)
		if err != nil {
			input(t, err)
			return
		}
		if y[0] != -1 || len(y) != 5 {
			t.Fatalf("labels %v", y)
		}
		for _, k := range y[1:] {
			if k < 0 || int(k) >= len(classes) {
				t.Fatalf("labels %v of classes %q", y, classes)
			}
		}
		seen := slices.Sorted(slices.Values(classes))
		if len(slices.Compact(seen)) != len(classes) {
			t.Fatalf("classes %q", classes)
		}
	})
}

func TestLabels(t *testing.T) {
	nan := math.NaN()
	num := func(v ...float64) *frame.Column { return &frame.Column{Name: "x", Type: frame.Float, Num: v} }
	texts := &frame.Column{Name: "x", Type: frame.Category, Codes: []int32{2, -1, 0, 2, 0}, Levels: []string{"pear", "unused", "apple"}}
	codes := &frame.Column{Name: "x", Type: frame.Identifier, Codes: []int32{0, 1, 0}, Levels: []string{"007", "7"}}
	truths := &frame.Column{Name: "x", Type: frame.Boolean, Num: []float64{1, 0, nan}, Truths: [2]string{"No", "Yes"}}
	tests := []struct {
		name       string
		expression string
		column     *frame.Column
		y          []int32
		classes    []string
	}{
		{"greater", "x > 1", num(0, 1, 2, nan), []int32{0, 0, 1, -1}, []string{"false", "true"}},
		{"at least", "x >= 1", num(0, 1, 2), []int32{0, 1, 1}, []string{"false", "true"}},
		{"less", "x < 1", num(0, 1, 2), []int32{1, 0, 0}, []string{"false", "true"}},
		{"at most", "x <= 1", num(0, 1, 2), []int32{1, 1, 0}, []string{"false", "true"}},
		{"equal", "x = 1", num(0, 1, 2), []int32{0, 1, 0}, []string{"false", "true"}},
		{"different", "x != 1", num(0, 1, nan), []int32{1, 0, -1}, []string{"false", "true"}},
		{"ascending", "x < 0 | x < 100", num(-1, 0, 99, 100, nan), []int32{0, 1, 1, 2, -1}, []string{"x < 0", "x >= 0 and < 100", "x >= 100"}},
		{"ascending, inclusive", "x <= 0 | x <= 100", num(-1, 0, 99, 100, 101), []int32{0, 0, 1, 1, 2}, []string{"x <= 0", "x > 0 and <= 100", "x > 100"}},
		{"descending", "x > 100 | x > 0", num(-1, 0, 99, 101), []int32{2, 2, 1, 0}, []string{"x > 100", "x <= 100 and > 0", "x <= 0"}},
		{"one text", "x == apple", texts, []int32{1, -1, 0, 1, 0}, []string{"false", "true"}},
		{"all texts but one", "x != apple", texts, []int32{0, -1, 1, 0, 1}, []string{"false", "true"}},
		{"a code", "x == 007", codes, []int32{1, 0, 1}, []string{"false", "true"}},
		{"the text of a truth value", "x == No", truths, []int32{0, 1, -1}, []string{"false", "true"}},
		{"a truth value as a number", "x == 1", truths, []int32{1, 0, -1}, []string{"false", "true"}},
		{"texts", "x", texts, []int32{0, -1, 1, 0, 1}, []string{"apple", "pear"}},
		{"numbers", "x", num(3, -1, nan, 3, 1e6, 0.5), []int32{2, 0, -1, 2, 3, 1}, []string{"-1", "0.5", "3", "1000000"}},
		{"both zeros", "x", num(0, math.Copysign(0, -1), 1), []int32{0, 0, 1}, []string{"0", "1"}},
		{"truth values", "x", &frame.Column{Name: "x", Type: frame.Boolean, Num: []float64{1, 0, nan}}, []int32{1, 0, -1}, []string{"false", "true"}},
		{"truth values of the file", "x", &frame.Column{Name: "x", Type: frame.Boolean, Num: []float64{1, 0, nan}, Truths: [2]string{"no", "yes"}}, []int32{1, 0, -1}, []string{"no", "yes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target, err := ParseTarget(tt.expression, []string{"x"})
			if err != nil {
				t.Fatal(err)
			}
			y, classes, err := target.Labels(tt.column, MaxDistinct)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(y, tt.y) || !slices.Equal(classes, tt.classes) {
				t.Errorf("got %v of %q, want %v of %q", y, classes, tt.y, tt.classes)
			}
		})
	}
}

func TestLabelsErrors(t *testing.T) {
	many := &frame.Column{Name: "x", Type: frame.Integer}
	for i := range 21 {
		many.Num = append(many.Num, float64(i))
	}
	most := &frame.Column{Name: "x", Type: frame.Integer, Num: append(slices.Repeat([]float64{50}, 100), many.Num...)}
	texts := &frame.Column{Name: "x", Type: frame.Category}
	for i := range MaxClasses + 1 {
		texts.Levels = append(texts.Levels, fmt.Sprint("level ", i))
		texts.Codes = append(texts.Codes, int32(i))
	}
	tests := []struct {
		name, expression string
		column           *frame.Column
		message, hint    string
	}{
		{"many numbers", "x", many, `the target column "x" is numeric with more than 20 distinct values`, "--target 'x > 10'; if its numbers name classes, --set task=classification"},
		{"a median that nothing exceeds", "x", most, "more than 20 distinct values", "--target 'x > 0'"},
		{"many texts", "x", texts, "101 distinct values", "fewer classes"},
		{"dates", "x", &frame.Column{Name: "x", Type: frame.Date, Days: []int32{1}}, "holds dates", "choose a column"},
		{"a number compared with a text", "x == ten", many, `compares "x" with "ten", which is no number`, "compare with a number"},
		{"an unknown text", "x == levl 7", texts, `the column "x" with "levl 7", a value that it does not have`, `did you mean "level 7"?`},
		{"an unknown truth value", "x != maybe", &frame.Column{Name: "x", Type: frame.Boolean}, "does not have", `its values are "false", "true"`},
		{"dates compared with one", "x == 2020-01-01", &frame.Column{Name: "x", Type: frame.Date, Days: []int32{1}}, "of type date, with a number", "compare a numeric column"},
		{"texts compared", "x > 1", texts, "of type category, with a number", "--target 'x'"},
		{"an identifier compared", "x > 1", &frame.Column{Name: "x", Type: frame.Identifier}, "of type identifier, with a number", "--type 'x=integer'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target, err := ParseTarget(tt.expression, []string{"x"})
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = target.Labels(tt.column, MaxDistinct)
			if e := input(t, err); !strings.Contains(e.Message, tt.message) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("%q with %q, want %q with %q", e.Message, e.Hint, tt.message, tt.hint)
			}
		})
	}
	twenty := &frame.Column{Name: "x", Type: frame.Integer, Num: many.Num[:20]}
	if _, classes, err := (&Target{Column: "x"}).Labels(twenty, MaxDistinct); err != nil || len(classes) != 20 {
		t.Errorf("20 numbers: %d classes, %v", len(classes), err)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"Profit", "Sales", "Sub-Category", "Category", "t"}
	for name, want := range map[string]string{"Proft": "Profit", "PROFIT": "Profit", "Slaes": "Sales", "Categroy": "Category", "SubCategory": "Sub-Category", "tt": "t", "zz": "", "z": "", "": "", "Weather": "",
		strings.Repeat("x", 10_000): ""} {
		if got := Nearest(name, names); got != want {
			t.Errorf("%.20s: %q, want %q", name, got, want)
		}
	}
}
