package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("text behind its end")
	}
	return v, nil
}
