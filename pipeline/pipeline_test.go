package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hashline/hashline/artifact"
)

type params struct {
	Text string `json:"text"`
	N    int    `json:"n"`
}

func (p *params) Validate() error {
	if p.N < 0 {
		return errors.New("n is negative")
	}
	return nil
}

// calls counts what ran.
type calls map[string]int

func (n calls) kinds() []Kind {
	in := []InputSpec{{Role: "in", Many: true, Optional: true}, {Role: "one", Optional: true}}
	out := []OutputSpec{{Name: "out", Class: Result, MediaType: "text/plain"}, {Name: "view", Class: View, MediaType: "text/plain"}}
	kind := func(name string, run func(c *Call) error) Kind {
		out := slices.Clone(out)
		if name == "json" {
			out[0].MediaType = "application/json"
		}
		return Kind{Name: name, Inputs: in, Outputs: out, Params: func() any { return &params{N: 1} }, Seeded: true, Run: func(_ context.Context, c *Call) error {
			n[name]++
			return run(c)
		}}
	}
	write := func(c *Call, text string) error {
		for _, o := range []string{"out", "view"} {
			w, err := c.Create(o)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
		}
		return nil
	}
	never := kind("never", func(c *Call) error { return write(c, "x") })
	never.NeverCache = true
	random := kind("random", func(c *Call) error { return write(c, fmt.Sprint(n["random"])) })
	return []Kind{
		kind("text", func(c *Call) error {
			text := c.Params.(*params).Text + fmt.Sprint(c.Seed)
			blobs, err := c.Inputs("in")
			if err != nil {
				return err
			}
			for _, b := range blobs {
				part, err := io.ReadAll(b)
				if err != nil {
					return err
				}
				text += string(part)
			}
			c.Warn("CODE", "message", "column")
			return write(c, text)
		}),
		kind("panics", func(*Call) error { panic("boom") }),
		kind("forgets", func(c *Call) error { _, err := c.Create("out"); return err }),
		kind("twice", func(c *Call) error { return errors.Join(write(c, "a"), write(c, "b")) }),
		kind("unknown", func(c *Call) error { _, err := c.Create("nothing"); return err }),
		kind("json", func(c *Call) error {
			var v map[string]int
			if err := c.ReadJSON("one", &v); err != nil {
				return err
			}
			return errors.Join(c.WriteJSON("out", v), c.WriteJSON("view", v))
		}),
		never, random,
	}
}

type bench struct {
	*Executor
	calls  calls
	events []Event
}

func newBench(t *testing.T) *bench {
	t.Helper()
	store, err := artifact.Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{calls: calls{}}
	r, err := NewRegistry(nil, b.calls.kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	b.Executor = &Executor{Store: store, Registry: r, Worker: "w", Emit: func(e Event) { b.events = append(b.events, e) }}
	return b
}

func (b *bench) run(t *testing.T, kind string, p any, seed uint64, inputs ...Input) (*Outcome, error) {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return b.Execute(context.Background(), Stage{Name: "s", Kind: kind, Params: raw}, seed, inputs)
}

func (b *bench) happened(kind string) bool {
	for _, e := range b.events {
		if e.Type == kind {
			return true
		}
	}
	return false
}

func TestExecuteCaches(t *testing.T) {
	b := newBench(t)
	first, err := b.run(t, "text", params{Text: "a", N: 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.run(t, "text", map[string]any{"text": "a"}, 1) // n has its default
	if err != nil {
		t.Fatal(err)
	}
	if first.Cache != CacheMiss || again.Cache != CacheHit || b.calls["text"] != 1 || again.Computed || !first.Computed {
		t.Errorf("%s, then %s; %d calls", first.Cache, again.Cache, b.calls["text"])
	}
	if len(again.Warnings) != 1 || !again.Outputs[0].Same(first.Outputs[0]) {
		t.Errorf("the hit gives %+v", again)
	}
}

// Everything that can change the result changes the key, and nothing else.
func TestKey(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	x, err := b.Store.PutBytes(ctx, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Store.PutBytes(ctx, []byte("y"))
	if err != nil {
		t.Fatal(err)
	}
	base, err := b.run(t, "text", params{Text: "a", N: 1}, 1, Input{Role: "in", Ref: x}, Input{Role: "in", Ref: y})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		p      params
		seed   uint64
		inputs []Input
		reason string
	}{
		"parameter":       {params{"b > 0 & \x1b", 1}, 1, []Input{{Role: "in", Ref: x}, {Role: "in", Ref: y}}, `params.text "a" -> "b > 0 & \x1b"`},
		"seed":            {params{"a", 1}, 2, []Input{{Role: "in", Ref: x}, {Role: "in", Ref: y}}, "seed 1 -> 2"},
		"input":           {params{"a", 1}, 1, []Input{{Role: "in", Ref: x}, {Role: "in", Ref: x}}, "input.in"}, // the reason depends on what ran before
		"order of inputs": {params{"a", 1}, 1, []Input{{Role: "in", Ref: y}, {Role: "in", Ref: x}}, "input.in"},
		"fewer inputs":    {params{"a", 1}, 1, []Input{{Role: "in", Ref: x}}, "input.in"},
	} {
		out, err := b.run(t, "text", c.p, c.seed, c.inputs...)
		if err != nil {
			t.Fatal(err)
		}
		if out.ActionKey == base.ActionKey {
			t.Errorf("%s: the key is the same", name)
		}
		if !strings.Contains(out.MissReason, c.reason) {
			t.Errorf("%s: reason %q, want %q", name, out.MissReason, c.reason)
		}
	}
	renamed, err := b.Execute(ctx, Stage{Name: "another", Kind: "text", Params: json.RawMessage(`{"n":1,"text":"a"}`)}, 1, []Input{{Role: "in", Ref: x}, {Role: "in", Ref: y}})
	if err != nil || renamed.Cache != CacheHit {
		t.Errorf("another stage name: %s, %v; want a hit", renamed.Cache, err)
	}
}

// No two parameters give the same components.
func TestFlatten(t *testing.T) {
	seen := map[string]string{}
	for _, raw := range []string{`{}`, `{"a":{}}`, `{"a":null}`, `{"a":{"b":1}}`, `{"a.b":1}`, `{"\"a.b\"":1}`, `{"a":{"":1}}`, `{"":{"a":1}}`, `{"a":["b"]}`, `{"a":"{}"}`, `1`, `{"a":1,"b":1}`} {
		flat := map[string]string{}
		if err := flatten(flat, "p", json.RawMessage(raw)); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%q", flat)
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s both give %s", raw, other, text)
		}
		seen[text] = raw
	}
}

func TestDamageIsComputedAgain(t *testing.T) {
	for name, damage := range map[string]func(file string) error{
		"flipped": func(f string) error { return errors.Join(os.Chmod(f, 0o600), os.WriteFile(f, []byte("zz"), 0o600)) },
		"gone":    os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			first, err := b.run(t, "text", params{Text: "a"}, 1)
			if err != nil {
				t.Fatal(err)
			}
			d := first.Outputs[0].Digest.Hex()
			if err := damage(filepath.Join(b.Store.Location(), "cas", "v1", "sha256", d[:2], d)); err != nil {
				t.Fatal(err)
			}
			again, err := b.run(t, "text", params{Text: "a"}, 1)
			if err != nil || again.Cache != CacheMiss || !again.Outputs[0].Same(first.Outputs[0]) {
				t.Errorf("%+v, %v", again, err)
			}
			if name == "flipped" && !b.happened(BlobCorrupt) {
				t.Error("no event tells of the damage")
			}
			if err := b.Store.Verify(context.Background(), first.Outputs[0].Ref); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDamagedInputIsNamed(t *testing.T) {
	b := newBench(t)
	missing := artifact.Ref{Digest: artifact.DigestOf([]byte("never stored")), Size: 12}
	_, err := b.run(t, "text", params{}, 1, Input{Role: "in", Ref: missing})
	damaged, ok := errors.AsType[*DamagedInput](err)
	if !ok || damaged.Ref != missing || damaged.Role != "in" || AsError(err).Class != ClassStageFailed || damaged.Error() == "" {
		t.Errorf("%v", err)
	}
}

func TestFaultyKinds(t *testing.T) {
	b := newBench(t)
	for _, kind := range []string{"panics", "forgets", "twice", "unknown", "json", "none"} {
		if out, err := b.run(t, kind, params{}, 1); err == nil {
			t.Errorf("%s: no error, %+v", kind, out)
		}
	}
	if _, err := b.run(t, "text", params{N: -1}, 1); err == nil {
		t.Error("parameters that do not validate were taken")
	}
	if left, err := os.ReadDir(filepath.Join(b.Store.Location(), "tmp")); err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
	in, err := b.Store.PutBytes(context.Background(), []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.run(t, "json", params{}, 1, Input{Role: "one", Ref: in}); err != nil {
		t.Error(err)
	}
}

func TestNeverCacheAndNonDeterminism(t *testing.T) {
	b := newBench(t)
	for range 2 {
		if out, err := b.run(t, "never", params{}, 1); err != nil || out.Cache != CacheOff {
			t.Errorf("%+v, %v", out, err)
		}
	}
	if b.calls["never"] != 2 {
		t.Errorf("%d calls, want 2", b.calls["never"])
	}
	first, err := b.run(t, "random", params{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	d := first.Outputs[1].Digest.Hex() // the same bytes as output out: both are gone
	if err := os.Remove(filepath.Join(b.Store.Location(), "cas", "v1", "sha256", d[:2], d)); err != nil {
		t.Fatal(err)
	}
	second, err := b.run(t, "random", params{}, 1)
	if err != nil || len(second.Warnings) != 1 || !b.happened(NonDeterminism) {
		t.Errorf("%+v, %v", second, err)
	}
	if third, err := b.run(t, "random", params{}, 1); err != nil || third.Cache != CacheHit || !third.Outputs[0].Same(second.Outputs[0]) {
		t.Errorf("%+v, %v; want a hit on what is there", third, err)
	}
}

func TestCanceledPublishesNothing(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.Execute(ctx, Stage{Kind: "text"}, 1, nil); err == nil {
		t.Error("no error")
	}
}

func TestRegistryRefuses(t *testing.T) {
	run := func(context.Context, *Call) error { return nil }
	ok := Kind{Name: "a", Run: run}
	for name, kinds := range map[string][]Kind{
		"name":           {{Name: "A/b", Run: run}},
		"no Run":         {{Name: "a"}},
		"twice":          {ok, ok},
		"class":          {{Name: "a", Run: run, Outputs: []OutputSpec{{Name: "o", Class: "x"}}}},
		"output twice":   {{Name: "a", Run: run, Outputs: []OutputSpec{{Name: "o", Class: Result}, {Name: "o", Class: View}}}},
		"role":           {{Name: "a", Run: run, Inputs: []InputSpec{{Role: "../x"}}}},
		"the same roles": {{Name: "a", Run: run, Inputs: []InputSpec{{Role: "x"}, {Role: "x"}}}},
	} {
		if _, err := NewRegistry(nil, kinds...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	r, err := NewRegistry(nil, ok)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Fingerprint("b"); err == nil || len(r.Names()) != 1 {
		t.Error("a kind that is not registered has a fingerprint")
	}
}

func TestPlan(t *testing.T) {
	b := newBench(t)
	ref := artifact.Ref{Digest: artifact.DigestOf(nil)}
	good := func() *Plan {
		return &Plan{Schema: PlanSchema, Seed: 1, Stages: []Stage{
			{Name: "a", Kind: "text", Needs: []Need{{Role: "in", Artifact: &ref}}},
			{Name: "b:1", Kind: "text", Needs: []Need{{Role: "in", Stage: "a", Output: "out"}, {Role: "in", Stage: "a", Output: "view"}}},
		}}
	}
	p := good()
	if err := p.Validate(b.Registry); err != nil {
		t.Fatal(err)
	}
	if got := p.Stages[1].Upstream(); len(got) != 1 || got[0] != "a" {
		t.Errorf("upstream %v", got)
	}
	text, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParsePlan(text)
	if err != nil {
		t.Fatal(err)
	}
	d1, _ := p.Digest()
	d2, err := back.Digest()
	if err != nil || d1 != d2 {
		t.Errorf("digests %s and %s, %v", d1, d2, err)
	}
	if _, ok := p.Stage("b:1"); !ok {
		t.Error("the stage is not found")
	}
	if _, ok := p.Stage("c"); ok {
		t.Error("a stage that is not there is found")
	}
	for name, edit := range map[string]func(*Plan){
		"schema":       func(p *Plan) { p.Schema = "x" },
		"no stages":    func(p *Plan) { p.Stages = nil },
		"name":         func(p *Plan) { p.Stages[0].Name = "a/b" },
		"twice":        func(p *Plan) { p.Stages[1].Name = "a" },
		"kind":         func(p *Plan) { p.Stages[0].Kind = "x" },
		"role":         func(p *Plan) { p.Stages[1].Needs[0].Role = "x" },
		"later":        func(p *Plan) { p.Stages[1].Needs[0].Stage = "b:1" },
		"output":       func(p *Plan) { p.Stages[1].Needs[0].Output = "x" },
		"neither":      func(p *Plan) { p.Stages[0].Needs[0].Artifact = nil },
		"no digest":    func(p *Plan) { p.Stages[0].Needs[0].Artifact = &artifact.Ref{Size: 1} },
		"no size":      func(p *Plan) { p.Stages[0].Needs[0].Artifact.Size = -1 },
		"one of many":  func(p *Plan) { p.Stages[1].Needs[0].Role, p.Stages[1].Needs[1].Role = "one", "one" },
		"params":       func(p *Plan) { p.Stages[0].Params = json.RawMessage(`{"x":1}`) },
		"not validate": func(p *Plan) { p.Stages[0].Params = json.RawMessage(`{"n":-1}`) },
	} {
		p := good()
		edit(p)
		if err := p.Validate(b.Registry); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParsePlan(f *testing.F) {
	f.Add([]byte(`{"schema":"hashline.plan/1","seed":1,"stages":[{"name":"a","kind":"b"}]}`))
	f.Add([]byte(`{"schema":"hashline.plan/2","seed":1,"stages":[{"name":"a","kind":"json"},{"name":"b","kind":"text","needs":[{"role":"in","stage":"a","output":"out","on_failure":"skip"},{"role":"","stage":"a"}],` +
		`"timeout":"1m","retry":{"attempts":3,"backoff":"1s","factor":2},"if":{"stage":"a","output":"out","path":"/x","op":"<","value":1.0},"wait":{"signal":"go"},"memory":1}]}`))
	r, err := NewRegistry(nil, calls{}.kinds()...)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePlan(b)
		if err != nil {
			return
		}
		if err := p.Validate(r); err != nil {
			return
		}
		text, err := p.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePlan(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := again.Validate(r); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if back, err := again.Canonical(); err != nil || !bytes.Equal(back, text) {
			t.Errorf("%s becomes %s, %v", text, back, err)
		}
	})
}

func TestFingerprint(t *testing.T) {
	print := func(files map[string]string) string {
		t.Helper()
		sources := fstest.MapFS{}
		for name, text := range files {
			sources[name] = &fstest.MapFile{Data: []byte(text)}
		}
		p, err := NewCode("example.com/m", sources, "# package modules\na\nb\n").Fingerprint("a")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	base := map[string]string{"a/a.go": "package a\n\nimport \"example.com/m/b\"\n\nvar X = b.Y + 1\n", "b/b.go": "package b\n\nvar Y = 1\n", "c/c.go": "package c\n"}
	with := func(name, text string) map[string]string {
		m := map[string]string{name: text}
		for n, t := range base {
			if n != name {
				m[n] = t
			}
		}
		return m
	}
	want := print(base)
	for name, files := range map[string]map[string]string{
		"a comment":         with("a/a.go", "// Package a.\npackage a\n\nimport \"example.com/m/b\"\n\n/* x */ var X = b.Y + 1 // y\n"),
		"white space":       with("a/a.go", "package a\nimport \"example.com/m/b\"\nvar X   =   b.Y+1"),
		"a test":            with("a/a_test.go", "package a"),
		"a package outside": with("c/c.go", "package c\nvar Z = 1\n"),
	} {
		if got := print(files); got != want {
			t.Errorf("%s changes the fingerprint", name)
		}
	}
	for name, files := range map[string]map[string]string{
		"a constant":            with("a/a.go", "package a\n\nimport \"example.com/m/b\"\n\nvar X = b.Y + 2\n"),
		"an imported package":   with("b/b.go", "package b\n\nvar Y = 2\n"),
		"a directive":           with("b/b.go", "//go:debug x=1\npackage b\n\nvar Y = 1\n"),
		"a file":                with("a/c.go", "package a\n"),
		"a string with comment": with("b/b.go", "package b\n\nvar Y = len(\"// x\")\n"),
	} {
		if got := print(files); got == want {
			t.Errorf("%s does not change the fingerprint", name)
		}
	}
	code := NewCode("example.com/m", fstest.MapFS{"a/a.go": {Data: []byte("package a")}, "bad/x.go": {Data: []byte("pack")}}, "a example.com/other\n")
	if p, err := code.Fingerprint("a"); err != nil || !strings.HasPrefix(p, "executable:") {
		t.Errorf("a module without a version: %q, %v; want the executable", p, err)
	}
	for _, none := range []string{"nowhere", "bad"} {
		if _, err := code.Fingerprint(none); err == nil {
			t.Errorf("package %s has a fingerprint", none)
		}
	}
	files := fstest.MapFS{"a/a.go": {Data: []byte("package a")}, "b/b.go": {Data: []byte("package b")}}
	both := func() string {
		p, err := NewCode("example.com/m", files, "").Fingerprint("a", "b")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	before := both()
	alone, err := NewCode("example.com/m", files, "").Fingerprint("a")
	if err != nil || alone == before {
		t.Errorf("a package that is used besides does not count (%v)", err)
	}
	if files["b/b.go"] = (&fstest.MapFile{Data: []byte("package b\nvar X = 1")}); both() == before {
		t.Error("a change in a package that is used besides does not count")
	}
	if c, err := code.closure("a"); err != nil || len(c) != 1 {
		t.Errorf("closure %v, %v", c, err)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		err   error
		class string
		code  int
	}{
		{BadInput("x %d", 1).WithHint("y"), ClassBadInput, 2}, {errors.New("x"), ClassStageFailed, 1}, {context.Canceled, ClassCanceled, 130},
		{fmt.Errorf("a: %w", artifact.ErrUnreachable), ClassUnreachable, 3}, {fmt.Errorf("a: %w", artifact.ErrLocation), ClassUsage, 2}, {fmt.Errorf("a: %w", &Error{Class: ClassUsage}), ClassUsage, 2},
		{&Error{Class: ClassInternal}, ClassInternal, 1},
	} {
		e := AsError(c.err)
		if e.Class != c.class || ExitCode(e.Class) != c.code {
			t.Errorf("%v: class %s, code %d; want %s, %d", c.err, e.Class, ExitCode(e.Class), c.class, c.code)
		}
	}
	if AsError(nil) != nil || ExitCode("") != 0 {
		t.Error("no error is an error")
	}
}

func TestRecord(t *testing.T) {
	out := func(name, class, text string) artifact.Output {
		return artifact.Output{Name: name, Class: class, Ref: artifact.Ref{Digest: artifact.DigestOf([]byte(text)), Size: 1}}
	}
	r := &RunRecord{Schema: RunSchema, Status: Running, Stages: []StageRecord{
		{Name: "a", Kind: "k", Status: Succeeded, Code: "1", Outputs: []artifact.Output{out("o", Result, "x"), out("v", View, "y")}},
		{Name: "b", Kind: "k", Status: Succeeded, Code: "2", Warnings: []artifact.Warning{{Code: "W"}}},
	}}
	before := ResultDigest(r.Stages)
	r.Stages[0].Outputs[1].Size = 9
	if ResultDigest(r.Stages) != before {
		t.Error("a view is part of the result digest")
	}
	r.Stages[0].Outputs[0].Size = 9
	if ResultDigest(r.Stages) == before {
		t.Error("a size is no part of the result digest")
	}
	r.Close()
	if r.Status != Succeeded || !r.MixedCode || len(r.Warnings) != 1 || r.ResultDigest == "" {
		t.Errorf("%+v", r)
	}
	b, err := r.MarshalIndented()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseRecord(b)
	if err != nil || back.ResultDigest != r.ResultDigest {
		t.Errorf("%+v, %v", back, err)
	}
	if s, ok := back.Stage("a"); !ok {
		t.Error("the stage is not found")
	} else if _, ok := s.Output("o"); !ok {
		t.Error("the output is not found")
	}
	for _, bad := range []string{"{", `{"schema":"x"}`} {
		if _, err := ParseRecord([]byte(bad)); err == nil {
			t.Errorf("%s was taken for a record", bad)
		}
	}
	failed := &RunRecord{Stages: []StageRecord{{Status: Succeeded}, {Status: Failed, Error: &Error{Message: "m"}}, {Status: Skipped}}}
	failed.Close()
	if failed.Status != Failed || failed.Error == nil || failed.ResultDigest != "" {
		t.Errorf("%+v", failed)
	}
	if !(Event{Type: RunCanceled}).EndsRun() || (Event{Type: StepSuccess}).EndsRun() {
		t.Error("which events end a run")
	}
}
