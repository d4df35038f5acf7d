package stages

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/pipeline"
)

// yamlFault turns an error of the YAML library into a sentence with a place.
func yamlFault(name string, err error) *pipeline.Error {
	e := fault(name, nil, "%s", firstLine(err.Error()))
	if y, ok := errors.AsType[yaml.Error](err); ok {
		e.Message = mismatch(err, y.GetMessage())
		if t := y.GetToken(); t != nil && t.Position != nil {
			e.Line, e.Column = t.Position.Line, t.Position.Column
		}
	}
	if field, ok := strings.CutPrefix(e.Message, "unknown field "); ok {
		e.Hint = "`producer init` writes a file that explains every field"
		field = strings.Trim(field, `"`)
		if n := feature.Nearest(field, fieldNames); n != "" && n != field { // else it stands in the wrong section
			e.Hint = fmt.Sprintf("did you mean %s?", n)
		}
	}
	return e
}

// mismatch says in our words that a value is of the wrong type.
func mismatch(err error, message string) string {
	var want reflect.Type
	if t, ok := errors.AsType[*yaml.TypeError](err); ok {
		want = t.DstType
	} else if o, ok := errors.AsType[*yaml.OverflowError](err); ok {
		want = o.DstType
	} else {
		return message
	}
	switch want.Kind() {
	case reflect.Uint64:
		return "the value is no whole number from 0 to 18446744073709551615"
	case reflect.Int:
		return "the value is no whole number"
	case reflect.Float64:
		return "the value is no number"
	case reflect.String:
		return "the value is no text"
	}
	return message
}

// wholeNumbers are the fields that take one. The YAML library would cut the fraction off without a word.
var wholeNumbers = []string{"seed", "cv", "samples", "repeats", "max_depth", "min_samples_leaf", "min_samples_split", "max_bins", "laplace", "trees", "max_iter", "max_leaf_nodes", "n_iter_no_change"}

// decode reads a file strictly into v; io.EOF says that it is empty. A whole number may be written as 1e3 or 10.0. what is the file.
func decode(name, what string, b []byte, v any) error {
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return yamlFault(name, err)
	}
	var docs []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			docs = append(docs, doc.Body)
		}
	}
	if len(docs) == 0 {
		return io.EOF
	}
	ast.Walk(exactVisitor{}, docs[0])
	if err := yaml.NewDecoder(bytes.NewReader(nil), yaml.Strict()).DecodeFromNode(docs[0], v); err != nil {
		return yamlFault(name, err)
	}
	whole := &wholeVisitor{name: name}
	ast.Walk(whole, docs[0])
	switch {
	case whole.err != nil:
		return whole.err
	case len(docs) > 1:
		return fault(name, nil, "the %s has more than one document", what)
	}
	return nil
}

// walk parses a file and visits its nodes.
func walk(name string, b []byte, v ast.Visitor) error {
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return yamlFault(name, err)
	}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			ast.Walk(v, doc.Body)
		}
	}
	return nil
}

// exactVisitor makes whole numbers of those fields that take one and hold one with an exponent or a point.
type exactVisitor struct{}

// Visit implements ast.Visitor.
func (v exactVisitor) Visit(n ast.Node) ast.Visitor {
	m, ok := n.(*ast.MappingValueNode)
	if !ok || !slices.Contains(wholeNumbers, m.Key.GetToken().Value) {
		return v
	}
	var number any
	switch value := m.Value.(type) {
	case *ast.StringNode:
		number = withExponent(value.Value)
	case *ast.FloatNode:
		if number = value.Value; value.Value == math.Trunc(value.Value) && math.Abs(value.Value) < 1<<53 {
			number = int64(value.Value)
		}
	}
	if whole, ok := number.(int64); ok {
		digits := *m.Value.GetToken()
		digits.Value = strconv.FormatInt(whole, 10)
		m.Value = ast.Integer(&digits)
	}
	return v
}

type wholeVisitor struct {
	name string
	err  *pipeline.Error
}

// Visit implements ast.Visitor.
func (v *wholeVisitor) Visit(n ast.Node) ast.Visitor {
	m, ok := n.(*ast.MappingValueNode)
	if !ok || v.err != nil {
		return v
	}
	key := m.Key.GetToken().Value
	if !slices.Contains(wholeNumbers, key) {
		return v
	}
	bad := m.Value.Type() == ast.FloatType
	if text, ok := m.Value.(*ast.StringNode); ok { // so is a number that is too large, or has an exponent and is not whole
		_, err := strconv.ParseUint(strings.TrimPrefix(text.Value, "-"), 10, 64)
		bad = err != nil
	}
	switch {
	case bad && key == "seed":
		v.err = fault(v.name, m.Value, "seed: the value is no whole number from 0 to 18446744073709551615")
	case bad:
		v.err = fault(v.name, m.Value, "%s: the value is no whole number", key)
	}
	return v
}

// maxAliases bounds the aliases of a file: each may stand for much of it.
const maxAliases = 100

// checkAliases refuses a file that is short and stands for billions of values. The YAML library would read them all.
func checkAliases(name string, b []byte) error {
	c := &aliasCheck{name: name}
	if err := walk(name, b, aliasVisitor{aliasCheck: c}); err != nil {
		return err
	}
	if c.err != nil {
		return c.err
	}
	return nil
}

type aliasCheck struct {
	name    string
	aliases int
	err     *pipeline.Error
}

type aliasVisitor struct {
	*aliasCheck
	anchored bool // what is visited has a name, by which aliases repeat it
}

// Visit implements ast.Visitor.
func (v aliasVisitor) Visit(n ast.Node) ast.Visitor {
	switch n.(type) {
	case *ast.AnchorNode:
		v.anchored = true
	case *ast.AliasNode:
		if v.aliases++; v.err == nil && (v.anchored || v.aliases > maxAliases) {
			v.err = fault(v.name, n, "an alias stands in what another one repeats, or there are more than %d", maxAliases).WithHint("write the values themselves")
		}
	}
	return v
}

// fieldNames are those of a pipeline file, for proposals.
var fieldNames = []string{"target", "task", "seed", "missing", "types", "features", "columns", "include", "exclude", "dates", "days_between", "ratios", "column", "parts", "name", "from", "to",
	"numerator", "denominator", "own", "op", "inputs", "params", "split", "method", "test_size", "cv", "search", "samples", "scoring", "calibration", "threshold", "cost_false_positive", "cost_false_negative", "importance", "repeats", "explain", "learning_curve", "models", "kind", "engine", "max_depth", "min_samples_leaf", "min_samples_split", "max_bins",
	"laplace", "trees", "max_features", "c", "alpha", "max_iter", "l1_ratio", "class_weight", "criterion", "max_leaf_nodes", "ccp_alpha", "oob_score", "learning_rate",
	"l2_regularization", "early_stopping", "validation_fraction", "n_iter_no_change"}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func fault(name string, node ast.Node, format string, args ...any) *pipeline.Error {
	e := pipeline.BadInput(format, args...)
	e.File = name
	if node != nil && node.GetToken() != nil {
		e.Line, e.Column = node.GetToken().Position.Line, node.GetToken().Position.Column
	}
	return e
}

// nodeAt finds a field in the file, for messages; nil when it is not there.
func nodeAt(b []byte, path string) ast.Node {
	p, err := yaml.PathString(path)
	if err != nil {
		return nil
	}
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil
	}
	n, err := p.FilterFile(file)
	if err != nil {
		return nil
	}
	return n
}
