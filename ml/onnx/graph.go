package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Types of elements, from onnx.proto.
const (
	typeFloat  = 1
	typeUint8  = 2
	typeInt64  = 7
	typeString = 8
	typeDouble = 11
)

// learning is the domain of the operators for machine learning; that of the others is "".
const learning = "ai.onnx.ml"

// graph is a computation in the making: a value is named by a text, and every node makes one.
type graph struct {
	nodes, constants, inputs, outputs []message
	known                             map[string]string // constants by their bytes
	taken                             map[string]bool   // names of values
	next                              int
	dates                             bool // it takes texts apart, for which a younger set of operators is needed
}

func newGraph() *graph { return &graph{known: map[string]string{}, taken: map[string]bool{}} }

func (g *graph) name() string {
	for {
		g.next++
		if n := fmt.Sprint("v", g.next); !g.taken[n] {
			return n
		}
	}
}

// input declares a column of any number of rows.
func (g *graph) input(name string, elem int) {
	g.taken[name] = true
	g.inputs = append(g.inputs, valueInfo(name, elem, 1))
}

// output declares a result with so many columns; 0 makes it a list.
func (g *graph) output(name string, elem, columns int) {
	g.outputs = append(g.outputs, valueInfo(name, elem, columns))
}

func valueInfo(name string, elem, columns int) message {
	var rows, shape, tensor, kind, info message
	rows.string(2, "rows")
	shape.bytes(1, rows)
	if columns > 0 {
		var d message
		d.int(1, int64(columns))
		shape.bytes(1, d)
	}
	tensor.int(1, int64(elem))
	tensor.bytes(2, shape)
	kind.bytes(1, tensor)
	info.string(1, name)
	info.bytes(2, kind)
	return info
}

// attribute of a node.
type attribute struct {
	name  string
	value any // int64, float32, string, []int64, []float32, []string or tensor
}

// tensor is a constant.
type tensor struct {
	elem int
	dims []int64
	raw  []byte
	text []string
}

func doubles(v []float64, dims ...int64) tensor {
	raw := make([]byte, 0, 8*len(v))
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(x))
	}
	return tensor{elem: typeDouble, dims: shapeOf(dims, len(v)), raw: raw}
}

func int64s(v []int64, dims ...int64) tensor {
	raw := make([]byte, 0, 8*len(v))
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(x))
	}
	return tensor{elem: typeInt64, dims: shapeOf(dims, len(v)), raw: raw}
}

func texts(v ...string) tensor {
	return tensor{elem: typeString, dims: []int64{int64(len(v))}, text: v}
}

func shapeOf(dims []int64, n int) []int64 {
	if dims == nil {
		return []int64{int64(n)}
	}
	return dims
}

func (t tensor) message(name string) message {
	var m message
	for _, d := range t.dims {
		m.int(1, d)
	}
	m.int(2, int64(t.elem))
	m.strings(6, t.text)
	if name != "" {
		m.string(8, name)
	}
	if t.elem != typeString {
		m.bytes(9, t.raw)
	}
	return m
}

// constant returns the name of a constant.
func (g *graph) constant(t tensor) string {
	key := string(t.message(""))
	if n, ok := g.known[key]; ok {
		return n
	}
	n := g.name()
	g.known[key] = n
	g.constants = append(g.constants, t.message(n))
	return n
}

// number is a constant that fits any shape.
func (g *graph) number(v float64) string { return g.constant(doubles([]float64{v})) }

func (g *graph) whole(v int64) string { return g.constant(int64s([]int64{v})) }

// add adds a node of the domain "" and returns the name of its value.
func (g *graph) add(op string, inputs []string, attributes ...attribute) string {
	return g.addOf("", op, inputs, attributes...)
}

func (g *graph) addOf(domain, op string, inputs []string, attributes ...attribute) string {
	out := g.name()
	g.addTo(out, domain, op, inputs, attributes...)
	return out
}

// addTo adds a node whose value has the given name.
func (g *graph) addTo(out, domain, op string, inputs []string, attributes ...attribute) {
	var m message
	m.strings(1, inputs)
	m.string(2, out)
	m.string(4, op)
	for _, a := range attributes {
		m.bytes(5, a.message())
	}
	if domain != "" {
		m.string(7, domain)
	}
	g.nodes = append(g.nodes, m)
}

func (a attribute) message() message {
	var m message
	m.string(1, a.name)
	switch v := a.value.(type) {
	case float32:
		m.float(2, v)
		m.int(20, 1)
	case int64:
		m.int(3, v)
		m.int(20, 2)
	case string:
		m.string(4, v)
		m.int(20, 3)
	case tensor:
		m.bytes(5, v.message(""))
		m.int(20, 4)
	case []float32:
		m.floats(7, v)
		m.int(20, 6)
	case []int64:
		m.ints(8, v)
		m.int(20, 7)
	case []string:
		m.strings(9, v)
		m.int(20, 8)
	default:
		panic(fmt.Sprintf("onnx: attribute of type %T", v))
	}
	return m
}

func (g *graph) binary(op, a, b string) string { return g.add(op, []string{a, b}) }

func (g *graph) cast(v string, elem int) string {
	return g.add("Cast", []string{v}, attribute{"to", int64(elem)})
}

// Versions of the format and of the sets of operators: the oldest that have what a graph uses.
const (
	irVersion       = 9
	opset           = 17
	opsetOfTexts    = 20 // StringSplit and StringConcat
	opsetOfLearning = 5  // TreeEnsemble, which reckons in doubles
)

// model returns the graph as an ONNX file.
func (g *graph) model(name string, properties [][2]string) []byte {
	var graph message
	for _, n := range g.nodes {
		graph.bytes(1, n)
	}
	graph.string(2, name)
	for _, c := range g.constants {
		graph.bytes(5, c)
	}
	for _, in := range g.inputs {
		graph.bytes(11, in)
	}
	for _, out := range g.outputs {
		graph.bytes(12, out)
	}
	version := opset
	if g.dates {
		version = opsetOfTexts
	}
	var m message
	m.int(1, irVersion)
	m.string(2, "hashline")
	m.bytes(7, graph)
	m.bytes(8, operatorSet("", version))
	m.bytes(8, operatorSet(learning, opsetOfLearning))
	for _, p := range properties {
		var entry message
		entry.string(1, p[0])
		entry.string(2, p[1])
		m.bytes(14, entry)
	}
	return m
}

func operatorSet(domain string, version int) message {
	var m message
	m.string(1, domain)
	m.int(2, int64(version))
	return m
}
