package feature

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/frame"
)

// equality reports whether the operator asks for a value or all others, which texts can answer too.
func equality(op string) bool { return op == "==" || op == "!=" }

// equalityIn splits a comparison with a text that has an operator in itself, as in income == >50K. Where a | could
// divide several comparisons it gives none.
func equalityIn(text string, columns []string) (string, condition, bool) {
	if strings.Contains(text, "|") {
		return "", condition{}, false
	}
	for at := range text {
		if op := text[at:min(at+2, len(text))]; equality(op) {
			if name := strings.TrimSpace(text[:at]); slices.Contains(columns, name) {
				return name, newCondition(op, strings.TrimSpace(text[at+2:])), true
			}
		}
	}
	return "", condition{}, false
}

// unquoted takes off the quotes around a text.
func unquoted(s string) string {
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	return s
}

// compareText gives every row of a column of texts or truth values the class of a comparison with one of its values.
func (c condition) compareText(column *frame.Column) ([]int32, error) {
	texts := column.Levels
	if column.Type == frame.Boolean {
		texts = []string{column.TruthText(false), column.TruthText(true)}
	}
	of := make([]int32, len(texts))
	found := false
	for i, t := range texts {
		same := t == c.text
		found = found || same
		if same == (c.op == "==") {
			of[i] = 1
		}
	}
	if !found {
		return nil, noValue(column.Name, c.text, texts)
	}
	y := make([]int32, column.Len())
	for i := range y {
		switch {
		case column.Missing(i):
			y[i] = -1
		case column.Type == frame.Boolean:
			y[i] = of[int(column.Num[i])]
		default:
			y[i] = of[column.Codes[i]]
		}
	}
	return y, nil
}

// noValue says that a column does not have a value and names the nearest, or some.
func noValue(column, text string, texts []string) error {
	e := &csv.InputError{Message: fmt.Sprintf("the target compares the column %s with %s, a value that it does not have", csv.Quote(column), csv.Quote(text))}
	if n := Nearest(text, texts); n != "" {
		e.Hint = fmt.Sprintf("did you mean %s?", csv.Quote(n))
	} else {
		e.Hint = "its values are " + quotedList(texts)
	}
	return e
}
