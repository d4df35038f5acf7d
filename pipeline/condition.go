package pipeline

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Condition compares a value in the JSON output of an earlier stage. It holds when the value is there and the comparison
// is true.
type Condition struct {
	Stage  string          `json:"stage"`
	Output string          `json:"output"`
	Path   string          `json:"path,omitempty"`  // JSON pointer (RFC 6901) to the value; empty: the whole output
	Op     string          `json:"op"`              // ==, !=, <, <=, >, >= or exists
	Value  json.RawMessage `json:"value,omitempty"` // what to compare with; none for exists
}

// OpExists is the operator that only asks for a value to be there, null included.
const OpExists = "exists"

var (
	equalities = []string{"==", "!="}           // any values; numbers by value, objects whatever the order of their fields
	orders     = []string{"<", "<=", ">", ">="} // two numbers, or two texts by their bytes
)

// MaxConditionValue bounds the bytes of Condition.Value.
const MaxConditionValue = 4096

// check refuses a condition that can never be evaluated, and writes its value in the one way.
func (c *Condition) check() error {
	if _, err := parsePointer(c.Path); err != nil {
		return err
	}
	if c.Op == OpExists {
		if len(c.Value) > 0 {
			return errors.New("operator exists takes no value")
		}
		return nil
	}
	order := slices.Contains(orders, c.Op)
	if !order && !slices.Contains(equalities, c.Op) {
		return fmt.Errorf("operator %.20q, want ==, !=, <, <=, >, >= or exists", c.Op)
	}
	if len(c.Value) == 0 || len(c.Value) > MaxConditionValue {
		return fmt.Errorf("operator %s wants a value of at most %d bytes", c.Op, MaxConditionValue)
	}
	v, err := decodeValue(c.Value)
	if err != nil {
		return fmt.Errorf("value: %w", err)
	}
	if order {
		switch v.(type) {
		case json.Number, string:
		default:
			return fmt.Errorf("operator %s compares numbers or texts, not %.40s", c.Op, c.Value)
		}
	}
	c.Value, err = json.Marshal(v)
	return err
}

// parsePointer splits a JSON pointer into its unescaped parts.
func parsePointer(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	if path[0] != '/' || len(path) > MaxConditionValue {
		return nil, fmt.Errorf("path %.40q is no JSON pointer: it starts with / or is empty", path)
	}
	parts := strings.Split(path[1:], "/")
	for i, p := range parts {
		if rest := strings.NewReplacer("~0", "", "~1", "").Replace(p); strings.Contains(rest, "~") {
			return nil, fmt.Errorf("path %.40q is no JSON pointer: write ~0 for ~ and ~1 for /", path)
		}
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
	}
	return parts, nil
}

// decodeValue reads one JSON value; numbers keep their digits.
func decodeValue(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text behind its end")
	}
	return v, nil
}

// subject is what the condition looks at, for people.
func (c *Condition) subject() string { return c.Stage + "." + c.Output }

// Evaluate tells whether the condition holds on the bytes of its output, and if not, why, in words such as
// "evaluate.metrics /accuracy is 0.91, not >= 0.95". A value that is absent, or of a type that does not compare, makes it not
// hold. The error says that the output is not JSON, or that the condition is none that Validate takes.
func (c *Condition) Evaluate(output []byte) (holds bool, reason string, err error) {
	parts, err := parsePointer(c.Path)
	if err != nil {
		return false, "", fmt.Errorf("if: %w", err)
	}
	document, err := decodeValue(output)
	if err != nil {
		return false, "", fmt.Errorf("%s is not JSON, which a condition looks at: %w", c.subject(), err)
	}
	found, ok := lookAt(document, parts)
	if !ok {
		return false, fmt.Sprintf("%s has no %s", c.subject(), c.Path), nil
	}
	if c.Op == OpExists {
		return true, "", nil
	}
	want, err := decodeValue(c.Value)
	if err != nil {
		return false, "", fmt.Errorf("if: value: %w", err)
	}
	if holds, err = compareValues(found, c.Op, want); holds || err != nil {
		return holds, "", err
	}
	subject := c.subject()
	if c.Path != "" {
		subject += " " + c.Path
	}
	return false, fmt.Sprintf("%s is %s, not %s %s", subject, brief(found), c.Op, brief(want)), nil
}

// lookAt follows a pointer.
func lookAt(v any, parts []string) (any, bool) {
	for _, p := range parts {
		switch t := v.(type) {
		case map[string]any:
			child, ok := t[p]
			if !ok {
				return nil, false
			}
			v = child
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || strconv.Itoa(i) != p || i < 0 || i >= len(t) {
				return nil, false
			}
			v = t[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// compareValues says whether a op b holds. Values that have no order are in none.
func compareValues(a any, op string, b any) (bool, error) {
	switch op {
	case "==":
		return equalValues(a, b), nil
	case "!=":
		return !equalValues(a, b), nil
	}
	order, ok := orderValues(a, b)
	switch op {
	case "<":
		return ok && order < 0, nil
	case "<=":
		return ok && order <= 0, nil
	case ">":
		return ok && order > 0, nil
	case ">=":
		return ok && order >= 0, nil
	}
	return false, fmt.Errorf("if: operator %.20q", op)
}

// orderValues compares two numbers or two texts.
func orderValues(a, b any) (order int, ok bool) {
	switch a := a.(type) {
	case json.Number:
		if b, ok := b.(json.Number); ok {
			return compareNumbers(a, b), true
		}
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b), true
		}
	}
	return 0, false
}

// compareNumbers compares whole numbers of 64 bits exactly, and others as float64.
func compareNumbers(a, b json.Number) int {
	i, errA := a.Int64()
	j, errB := b.Int64()
	if errA == nil && errB == nil {
		return cmp.Compare(i, j)
	}
	x, _ := a.Float64() // one out of range is infinite
	y, _ := b.Float64()
	return cmp.Compare(x, y)
}

// equalValues reports whether two JSON values are the same, numbers by value.
func equalValues(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equalValues)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equalValues)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && compareNumbers(a, b) == 0
	}
	switch b.(type) { // of another type than a, and not comparable
	case map[string]any, []any:
		return false
	}
	return a == b
}

// brief is a value for people, cut where it is long.
func brief(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	text := shown(string(b))
	if r := []rune(text); len(r) > 60 {
		return string(r[:59]) + "…"
	}
	return text
}
