package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
)

type mixParams struct {
	Factor int    `json:"factor"`
	Word   string `json:"word"`
}

func (p *mixParams) Defaults() { p.Factor = 2 }

func (p *mixParams) Validate() error {
	if p.Factor == 0 {
		return errors.New("factor is 0")
	}
	return nil
}

type tree struct {
	Name     string
	At       time.Time
	Children []*tree
	ByName   map[string]tree
	Raw      json.RawMessage
	Any      any
}

type mixInputs struct {
	Base      tree
	TrainRows []int
	Note      *string
	Bytes     []byte
	Parts     [][]byte `json:"all_parts"`
	Text      json.RawMessage
	_         func()
	Left      chan int `json:"-"`
}

type mixOutputs struct {
	SumOfRows int
	HTTPBody  []byte
	Tree2     tree
	ID        *string
}

func mix(_ context.Context, c *Call, p mixParams, in mixInputs) (mixOutputs, error) {
	out := mixOutputs{HTTPBody: append(slices.Clone(in.Bytes), slices.Concat(in.Parts...)...), Tree2: in.Base, ID: in.Note}
	for _, n := range in.TrainRows {
		out.SumOfRows += n * p.Factor
	}
	out.Tree2.Name += p.Word + string(in.Text) + c.Stage
	return out, nil
}

func inlineInput(role, s string) Input {
	return Input{Role: role, Ref: artifact.Ref{Digest: artifact.DigestOf([]byte(s)), Size: int64(len(s))}, Inline: []byte(s)}
}

func TestTyped(t *testing.T) {
	x, _ := newExecutor(t, Typed("mix", mix, func(k *Kind) { k.Doc, k.NeverCache = "Mixes.", true }))
	k, _ := x.Registry.Kind("mix")
	wantIn := []InputSpec{{Role: "base"}, {Role: "train_rows", Many: true}, {Role: "note", Optional: true}, {Role: "bytes"}, {Role: "all_parts", Many: true}, {Role: "text"}}
	const isJSON = "application/json"
	wantOut := []OutputSpec{{"sum_of_rows", Result, isJSON}, {"http_body", Result, "application/octet-stream"}, {"tree2", Result, isJSON}, {"id", Result, isJSON}}
	if !k.Inline || !k.NeverCache || !slices.Equal(k.Inputs, wantIn) || !slices.Equal(k.Outputs, wantOut) {
		t.Errorf("%+v", k)
	}
	inputs := []Input{
		inlineInput("base", `{"Name":"a","Children":[{"Name":"b"}],"More":1}`), inlineInput("train_rows", "1"), inlineInput("train_rows", "2\n"), inlineInput("bytes", "\x00x"),
		inlineInput("all_parts", "p"), inlineInput("all_parts", ""), inlineInput("text", `"t"`),
	}
	st := Stage{Name: "s", Kind: "mix", Params: json.RawMessage(`{"word":"w"}`)}
	out, err := x.Execute(context.Background(), st, 0, inputs)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range out.Outputs {
		got = append(got, string(o.Inline))
	}
	want := []string{"6\n", "\x00xp", `{"Name":"aw\"t\"s","At":"0001-01-01T00:00:00Z","Children":[{"Name":"b","At":"0001-01-01T00:00:00Z","Children":null,"ByName":null,"Raw":null,"Any":null}],"ByName":null,"Raw":null,"Any":null}` + "\n", "null\n"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	note := append(slices.Clone(inputs), inlineInput("note", `"hi"`))
	if out, err = x.Execute(context.Background(), st, 0, note); err != nil || string(out.Outputs[3].Inline) != "\"hi\"\n" {
		t.Errorf("%+v, %v", out, err)
	}
	for name, c := range map[string]struct {
		inputs []Input
		want   string
	}{
		"of another type": {append(slices.Clone(inputs), inlineInput("note", `1`)), "input note: json: cannot unmarshal number"},
		"one of several":  {append(slices.Clone(inputs), inlineInput("train_rows", `"x"`)), "input train_rows: json: cannot unmarshal string"},
		"absent":          {inputs[1:], "input base is absent"},
	} {
		if _, err := x.Execute(context.Background(), st, 0, c.inputs); !IsPermanent(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	lost := append(slices.Clone(inputs), Input{Role: "note", Ref: artifact.Ref{Digest: artifact.DigestOf([]byte("lost")), Size: 4}})
	if _, err := x.Execute(context.Background(), st, 0, lost); err == nil || IsPermanent(err) {
		t.Errorf("an input that is gone: %v", err)
	}
	st.Params = json.RawMessage(`{"factor":0}`)
	if _, err := x.Execute(context.Background(), st, 0, inputs); err == nil || !strings.Contains(err.Error(), "factor is 0") {
		t.Errorf("%v", err)
	}
}

func TestTypedOfNothing(t *testing.T) {
	failure := errors.New("no")
	x, _ := newExecutor(t,
		Typed("nothing", func(context.Context, *Call, struct{}, struct{}) (struct{}, error) { return struct{}{}, nil }),
		Typed("fails", func(context.Context, *Call, struct{}, struct{}) (struct{ X int }, error) {
			return struct{ X int }{}, failure
		}),
		Typed("nan", func(context.Context, *Call, struct{}, struct{}) (struct{ X float64 }, error) {
			return struct{ X float64 }{math.NaN()}, nil
		}))
	if out, err := x.Execute(context.Background(), Stage{Kind: "nothing"}, 0, nil); err != nil || len(out.Outputs) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := x.Execute(context.Background(), Stage{Kind: "fails"}, 0, nil); !errors.Is(err, failure) || IsPermanent(err) {
		t.Errorf("%v", err)
	}
	if _, err := x.Execute(context.Background(), Stage{Kind: "nan"}, 0, nil); !IsPermanent(err) || !strings.Contains(err.Error(), "output x: json: unsupported value: NaN") {
		t.Errorf("%v", err)
	}
	if _, err := x.Execute(context.Background(), Stage{Kind: "nothing", Params: json.RawMessage(`{"a":1}`)}, 0, nil); err == nil {
		t.Error("parameters were taken")
	}
}

// typed is a kind of a function that does nothing.
func typed[P, I, O any](opts ...func(*Kind)) Kind {
	return Typed("k", func(context.Context, *Call, P, I) (o O, err error) { return o, nil }, opts...)
}

func TestTypedRefuses(t *testing.T) {
	type none = struct{}
	type embedded struct{ tree }
	type deep struct {
		A []map[string]struct{ F func() }
	}
	type badKey struct{ M map[[2]int]int }
	for name, c := range map[string]struct {
		kind Kind
		want string
	}{
		"no function":          {Typed[none, none, none]("k", nil), "no Run"},
		"params":               {typed[int, none, none](), "parameters: int is no struct"},
		"a channel in params":  {typed[struct{ C chan int }, none, none](), "parameters: struct { C chan int }.C: chan int cannot be JSON"},
		"inputs":               {typed[none, []int, none](), "inputs: []int is no struct"},
		"outputs":              {typed[none, none, *tree](), "outputs: *pipeline.tree is no struct"},
		"embedded":             {typed[none, embedded, none](), "inputs: field tree is embedded"},
		"a function":           {typed[none, none, struct{ F func() }](), "outputs: field F: func() cannot be JSON"},
		"deep":                 {typed[none, none, struct{ Deep deep }](), "outputs: field Deep: pipeline.deep.A: struct { F func() }.F: func() cannot be JSON"},
		"an interface to read": {typed[none, struct{ S fmt.Stringer }, none](), "inputs: field S: fmt.Stringer cannot be read from JSON"},
		"keys":                 {typed[none, none, struct{ B badKey }](), "field B: pipeline.badKey.M: a map with keys of type [2]int cannot be JSON"},
		"complex":              {typed[none, struct{ C []complex64 }, none](), "inputs: field C: complex64 cannot be JSON"},
		"name": {typed[none, struct {
			X int `json:"Not a name"`
		}, none](), `input "Not a name"`},
		"twice": {typed[none, struct {
			A int
			B int `json:"a"`
		}, none](), `input "a"`},
		"other params": {typed[tree, none, none](func(k *Kind) { k.Params = func() any { return &mixParams{} } }), "Params returns *pipeline.mixParams, and the function takes pipeline.tree"},
	} {
		if _, err := NewRegistry(nil, c.kind); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for name, k := range map[string]Kind{
		"an interface to write": typed[none, none, struct{ S fmt.Stringer }](),
		"all that JSON has":     typed[tree, struct{ T *tree }, struct{ T map[time.Time]*tree }](),
		"own defaults":          typed[mixParams, none, none](func(k *Kind) { k.Params = func() any { return &mixParams{Factor: 9} } }),
	} {
		if _, err := NewRegistry(nil, k); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFieldNames(t *testing.T) {
	type names struct {
		A, ID, HTTPStatus, TrainRows, X2, Row2D, A_B, JSON int
	}
	fields, err := fieldsOf(reflect.TypeFor[names](), true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range fields {
		got = append(got, f.name)
	}
	if want := []string{"a", "id", "http_status", "train_rows", "x2", "row2_d", "a_b", "json"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestStageInputs(t *testing.T) {
	ref := func(s string) artifact.Ref {
		return artifact.Ref{Digest: artifact.DigestOf([]byte(s)), Size: int64(len(s))}
	}
	given := ref("given")
	outputs := func(stage string) ([]artifact.Output, bool) {
		if stage != "a" {
			return nil, false
		}
		return []artifact.Output{{Name: "x", Ref: ref("ax"), Inline: []byte("ax")}, {Name: "y", Ref: ref("ay")}}, true
	}
	s := Stage{Name: "s", Needs: []Need{{Role: "r", Artifact: &given}, {Role: "r", Stage: "a", Output: "y"}, {Stage: "b"}, {Role: "q", Stage: "b", Output: "x", OnFailure: GoOn}}, If: &Condition{Stage: "a", Output: "x"}}
	in, err := s.Inputs(outputs)
	if err != nil {
		t.Fatal(err)
	}
	want := []Input{{Role: "r", Ref: given}, {Role: "r", Ref: ref("ay")}, {Role: ConditionRole, Ref: ref("ax"), Inline: []byte("ax")}}
	if fmt.Sprint(in) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", in, want)
	}
	s.If.Stage, s.Always = "b", true
	s.Needs[3].OnFailure = ""
	if in, err := s.Inputs(outputs); err != nil || len(in) != 2 {
		t.Errorf("a stage that always runs: %v, %v", in, err)
	}
	s.Always = false
	if _, err := s.Inputs(outputs); err == nil || err.Error() != "stage s: its input q, output x of stage b, is not there" {
		t.Errorf("%v", err)
	}
	s.Needs = []Need{{Role: "r", Stage: "a", Output: "x", Each: true}}
	if _, err := s.Inputs(outputs); err == nil {
		t.Error("an unknown number of inputs was resolved")
	}
}

// BenchmarkExecuteTyped is BenchmarkExecuteInline with parameters and values to decode.
func BenchmarkExecuteTyped(b *testing.B) {
	x, _ := newExecutor(b, Typed("sum", func(_ context.Context, _ *Call, p mixParams, in struct{ N []int }) (struct{ Sum int }, error) {
		var out struct{ Sum int }
		for _, n := range in.N {
			out.Sum += n * p.Factor
		}
		return out, nil
	}, func(k *Kind) { k.NeverCache = true }))
	x.Emit = nil
	st := Stage{Name: "s", Kind: "sum", Params: json.RawMessage(`{"factor":3,"word":""}`)}
	inputs := []Input{inlineInput("n", "1\n"), inlineInput("n", "2\n")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Execute(context.Background(), st, 0, inputs); err != nil {
			b.Fatal(err)
		}
	}
}
