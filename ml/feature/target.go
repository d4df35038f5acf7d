// Package feature turns the columns of a table into features and its target into classes or numbers.
//
// A Target is an expression: the name of a column with classes or of one with numbers, a comparison on a numeric column
// (Profit > 0), several thresholds on one (Profit < 0 | Profit < 100), which make ordered classes, or one value of a column
// against all others (status == churned). A Recipe says how raw columns become
// features; it fits nothing, so the same recipe serves training and the scoring of raw rows.
package feature

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/frame"
)

// Limits of a target.
const (
	MaxClasses  = 100 // classes of any target
	MaxDistinct = 20  // distinct values of a numeric column that are classes by themselves
)

// Target is a parsed target expression.
type Target struct {
	Expression string
	Column     string
	conditions []condition // none: the values of the column are the classes
}

// condition is one comparison with a number, or with a text.
type condition struct {
	op    string
	value float64 // NaN when the text is no number
	text  string
}

// newCondition reads what a column is compared with. A number is finite.
func newCondition(op, text string) condition {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(v, 0) {
		v = math.NaN()
	}
	return condition{op, v, unquoted(text)}
}

func (c condition) notNumber(column string) error {
	return &csv.InputError{Message: fmt.Sprintf("the target compares %s with %s, which is no number", csv.Quote(column), csv.Quote(c.text)),
		Hint: "compare with a number, as in \"Profit > 0\""}
}

// operators, longest first so that >= is not taken for >.
var operators = []string{"<=", ">=", "==", "!=", "<", ">", "="}

// ParseTarget reads an expression for a table with the given columns. An exact column name wins; else the text, or each
// part of it between |, is split at its last operator.
func ParseTarget(expression string, columns []string) (*Target, error) {
	expression = strings.TrimSpace(expression)
	if expression == "" {
		return nil, &csv.InputError{Message: "the target is empty", Hint: "name a column, or a comparison such as \"Profit > 0\""}
	}
	if slices.Contains(columns, expression) {
		return &Target{Expression: expression, Column: expression}, nil
	}
	t, err := parseConditions([]string{expression}, columns)
	if err != nil && strings.Contains(expression, "|") {
		t, err = parseConditions(strings.Split(expression, "|"), columns)
	}
	if err != nil {
		return nil, err
	}
	t.Expression = expression
	return t, nil
}

func parseConditions(parts, columns []string) (*Target, error) {
	t := &Target{}
	for i, part := range parts {
		name, c, err := parseCondition(strings.TrimSpace(part), columns)
		if err != nil {
			return nil, err
		}
		if i > 0 && name != t.Column {
			return nil, &csv.InputError{Message: fmt.Sprintf("the target compares two columns, %s and %s", csv.Quote(t.Column), csv.Quote(name)),
				Hint: "thresholds make ordered classes of one column"}
		}
		t.Column = name
		t.conditions = append(t.conditions, c)
	}
	return t, t.checkOrder()
}

// checkOrder holds several thresholds to one direction, each class following the one before.
func (t *Target) checkOrder() error {
	for i := 1; i < len(t.conditions); i++ {
		a, b := t.conditions[i-1], t.conditions[i]
		up := strings.HasPrefix(a.op, "<") && a.op == b.op && a.value < b.value
		down := strings.HasPrefix(a.op, ">") && a.op == b.op && a.value > b.value
		if !up && !down {
			return &csv.InputError{Message: fmt.Sprintf("the thresholds %s %s and %s %s are not in order", a.op, a.text, b.op, b.text),
				Hint: "write them ascending with <, as in \"Profit < 0 | Profit < 100\""}
		}
	}
	return nil
}

func parseCondition(text string, columns []string) (string, condition, error) {
	at, op := lastOperator(text)
	if at < 0 {
		return "", condition{}, noColumn(text, columns)
	}
	name, value := strings.TrimSpace(text[:at]), strings.TrimSpace(text[at+len(op):])
	if !slices.Contains(columns, name) {
		if name, c, ok := equalityIn(text, columns); ok {
			return name, c, nil
		}
		return "", condition{}, noColumn(name, columns)
	}
	if op == "=" {
		op = "=="
	}
	c := newCondition(op, value)
	if math.IsNaN(c.value) && (!equality(op) || value == "") {
		return "", condition{}, c.notNumber(name)
	}
	return name, c, nil
}

func lastOperator(text string) (int, string) {
	for at := len(text) - 1; at >= 0; at-- {
		for _, op := range operators {
			if strings.HasPrefix(text[at:], op) {
				if at > 0 && slices.Contains(operators, text[at-1:at+1]) && len(op) == 1 {
					return at - 1, text[at-1 : at+1]
				}
				return at, op
			}
		}
	}
	return -1, ""
}

// noColumn says that there is no such column and names the nearest.
func noColumn(name string, columns []string) error {
	e := &csv.InputError{Message: fmt.Sprintf("there is no column %s", csv.Quote(name))}
	if n := Nearest(name, columns); n != "" {
		e.Hint = fmt.Sprintf("did you mean %s?", csv.Quote(n))
	} else {
		e.Hint = "the columns are " + quotedList(columns)
	}
	return e
}

// quotedList shows the first names of a list.
func quotedList(names []string) string {
	quoted := make([]string, 0, 30)
	for _, n := range names[:min(30, len(names))] {
		quoted = append(quoted, csv.Quote(n))
	}
	return strings.Join(quoted, ", ")
}

// Nearest returns the name that is closest to a misspelt one, or nothing when none is close.
func Nearest(name string, names []string) string {
	best, least := "", min(len(name)/2, max(2, len(name)/3))+1
	lower := strings.ToLower(name)
	for _, n := range names[:min(len(names), 2000)] {
		if len(n) > 200 || len(name) > 200 {
			continue
		}
		if d := distance(lower, strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// Compares reports whether the target compares a column with something, so that it has classes whatever the column holds.
func (t *Target) Compares() bool { return len(t.conditions) > 0 }

// Numbers returns the number of every row of the target's column, NaN where it has none: a numeric target, for a regression.
// The values are the column's own. Errors are of type *csv.InputError.
func (t *Target) Numbers(c *frame.Column) ([]float64, error) {
	name := csv.Quote(c.Name)
	switch {
	case t.Compares():
		return nil, &csv.InputError{Message: fmt.Sprintf("a regression predicts a number, and the target compares %s with %s", name, csv.Quote(t.conditions[0].text)),
			Hint: "name the column alone: --target " + csv.ShellQuote(c.Name)}
	case c.Type == frame.Identifier:
		return nil, &csv.InputError{Message: fmt.Sprintf("a regression predicts a number, and the target column %s holds identifiers", name), Hint: asNumber(c)}
	case c.Type != frame.Integer && c.Type != frame.Float:
		return nil, &csv.InputError{Message: fmt.Sprintf("a regression predicts a number, and the target column %s is of type %v", name, c.Type),
			Hint: "choose a numeric column, or learn its values as classes: --set task=classification"}
	}
	least, most := math.Inf(1), math.Inf(-1)
	for _, v := range c.Num {
		if v == v {
			least, most = min(least, v), max(most, v)
		}
	}
	if least == most {
		return nil, &csv.InputError{Message: fmt.Sprintf("every value of the target column %s is %s; learning needs two", name, numberText(least)), Hint: "choose another target"}
	}
	return c.Num, nil
}

// asNumber proposes to take identifiers for numbers.
func asNumber(c *frame.Column) string {
	kind := frame.Integer
	for _, l := range c.Levels[:min(100, len(c.Levels))] {
		if _, err := strconv.ParseInt(l, 10, 64); err != nil {
			kind = frame.Float
		}
	}
	return fmt.Sprintf("if it holds numbers, say so: --type %s", csv.ShellQuote(c.Name+"="+kind.String()))
}

// Labels returns the class of every row of the target's column, -1 where it has no value, and the names of the classes in
// their order. distinct is the number of values up to which those of a numeric column are classes, of other columns it is
// MaxClasses. Errors are of type *csv.InputError.
func (t *Target) Labels(c *frame.Column, distinct int) ([]int32, []string, error) {
	if !t.Compares() {
		return t.values(c, distinct)
	}
	if first := t.conditions[0]; len(t.conditions) == 1 && equality(first.op) && (c.Type.Textual() || c.Type == frame.Boolean && math.IsNaN(first.value)) {
		y, err := first.compareText(c)
		return y, t.classes(), err
	}
	for _, k := range t.conditions {
		if math.IsNaN(k.value) && c.Type.Numeric() {
			return nil, nil, k.notNumber(c.Name)
		}
	}
	if !c.Type.Numeric() {
		e := &csv.InputError{Message: fmt.Sprintf("the target compares the column %s, which is of type %v, with a number", csv.Quote(c.Name), c.Type),
			Hint: fmt.Sprintf("compare a numeric column, or use the column's values as classes: --target %s", csv.ShellQuote(c.Name))}
		if c.Type == frame.Identifier {
			e.Hint = asNumber(c)
		}
		return nil, nil, e
	}
	y := make([]int32, len(c.Num))
	for i, v := range c.Num {
		y[i] = t.class(v)
	}
	return y, t.classes(), nil
}

func (t *Target) class(v float64) int32 {
	if math.IsNaN(v) {
		return -1
	}
	if len(t.conditions) == 1 {
		if t.conditions[0].holds(v) {
			return 1
		}
		return 0
	}
	for i, c := range t.conditions {
		if c.holds(v) {
			return int32(i)
		}
	}
	return int32(len(t.conditions))
}

func (c condition) holds(v float64) bool {
	switch c.op {
	case "<":
		return v < c.value
	case "<=":
		return v <= c.value
	case ">":
		return v > c.value
	case ">=":
		return v >= c.value
	case "!=":
		return v != c.value
	}
	return v == c.value
}

// classes names the classes of comparisons.
func (t *Target) classes() []string {
	if len(t.conditions) == 1 {
		return []string{"false", "true"}
	}
	opposite := map[string]string{"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
	var names []string
	for i, c := range t.conditions {
		name := t.Column + " " + c.op + " " + c.text
		if i > 0 {
			before := t.conditions[i-1]
			name = t.Column + " " + opposite[before.op] + " " + before.text + " and " + c.op + " " + c.text
		}
		names = append(names, name)
	}
	last := t.conditions[len(t.conditions)-1]
	return append(names, t.Column+" "+opposite[last.op]+" "+last.text)
}

// values makes a class of every value of a column.
func (t *Target) values(c *frame.Column, distinct int) ([]int32, []string, error) {
	switch {
	case c.Type == frame.Date:
		return nil, nil, &csv.InputError{Message: fmt.Sprintf("the target column %s holds dates", csv.Quote(c.Name)), Hint: "choose a column with classes, or a comparison on a numeric column"}
	case c.Type.Numeric():
		return numericClasses(c, distinct)
	}
	rows := make([]int, len(c.Levels))
	for _, code := range c.Codes {
		if code >= 0 {
			rows[code]++
		}
	}
	var classes []string
	for l, n := range rows {
		if n > 0 {
			classes = append(classes, c.Levels[l])
		}
	}
	if len(classes) > MaxClasses {
		e := &csv.InputError{Message: fmt.Sprintf("the target column %s has %d distinct values; a target has at most %d classes", csv.Quote(c.Name), len(classes), MaxClasses),
			Hint: "choose a column with fewer classes, or a comparison on a numeric column"}
		if c.Type == frame.Identifier {
			e.Hint += "; " + asNumber(c)
		}
		return nil, nil, e
	}
	slices.Sort(classes)
	byLevel := make([]int32, len(c.Levels))
	for l, name := range c.Levels {
		at, _ := slices.BinarySearch(classes, name)
		byLevel[l] = int32(at)
	}
	y := make([]int32, len(c.Codes))
	for i, code := range c.Codes {
		y[i] = -1
		if code >= 0 {
			y[i] = byLevel[code]
		}
	}
	return y, classes, nil
}

func numericClasses(c *frame.Column, most int) ([]int32, []string, error) {
	var distinct []float64
	for _, v := range c.Num {
		if v != v {
			continue
		}
		at, found := slices.BinarySearch(distinct, v)
		if found {
			continue
		}
		if len(distinct) == most {
			return nil, nil, tooManyNumbers(c, most)
		}
		distinct = slices.Insert(distinct, at, v)
	}
	classes := make([]string, len(distinct))
	for i, v := range distinct {
		classes[i] = numberText(v)
		if c.Type == frame.Boolean {
			classes[i] = c.TruthText(v != 0)
		}
	}
	y := make([]int32, len(c.Num))
	for i, v := range c.Num {
		y[i] = -1
		if v == v {
			at, _ := slices.BinarySearch(distinct, v)
			y[i] = int32(at)
		}
	}
	return y, classes, nil
}

// numberText writes whole numbers of ordinary size without exponent.
func numberText(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v+0, 'f', -1, 64) // +0: no -0
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// tooManyNumbers refuses classes of a numeric target of many values. It proposes a regression, or a threshold at its median.
func tooManyNumbers(c *frame.Column, most int) error {
	values := make([]float64, 0, len(c.Num))
	for _, v := range c.Num {
		if v == v {
			values = append(values, v)
		}
	}
	slices.SortFunc(values, cmp.Compare[float64])
	median := values[len(values)/2]
	if median == values[len(values)-1] { // nothing lies above it
		median = values[0]
	}
	e := &csv.InputError{Message: fmt.Sprintf("the target column %s is numeric with more than %d distinct values", csv.Quote(c.Name), most),
		Hint: "to predict the number: --set task=regression; for two classes a threshold, as in --target " + csv.ShellQuote(c.Name+" > "+numberText(median))}
	if most < MaxClasses && len(slices.Compact(values)) <= MaxClasses {
		e.Hint += "; if its numbers name classes, --set task=classification"
	}
	return e
}
