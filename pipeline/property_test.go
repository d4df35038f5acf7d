package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
)

// pick returns one of several.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomPlan makes a plan that is valid for the kinds of graphKinds, with all that a plan can say.
func randomPlan(r *rand.Rand) *Plan {
	p := &Plan{Schema: PlanSchema2, Seed: r.Uint64()}
	kinds := []string{"source", "step", "free", "sweep", "small", "cleanup"}
	var withOutputs, expanding []string
	for i := range 1 + r.IntN(8) {
		s := Stage{Name: fmt.Sprintf("s%d", i), Kind: pick(r, kinds...), Params: pick(r, nil, json.RawMessage("{}"), json.RawMessage("null"))}
		if len(withOutputs) == 0 {
			s.Kind = "source"
		}
		if s.Kind == "step" {
			s.Needs = append(s.Needs, Need{Role: "one", Stage: pick(r, withOutputs...), Output: "out", OnFailure: pick(r, "", SkipOnFailure, FailRun)})
		}
		if s.Kind != "source" && s.Kind != "small" && s.Kind != "cleanup" {
			for range r.IntN(3) {
				s.Needs = append(s.Needs, Need{Role: "many", Stage: pick(r, withOutputs...), Output: pick(r, "out", "text"), OnFailure: pick(r, "", SkipOnFailure, FailRun, GoOn)})
			}
			if len(expanding) > 0 {
				s.Needs = append(s.Needs, Need{Role: "many", Stage: pick(r, expanding...), Output: "anything", Each: true})
			}
			s.Needs = append(s.Needs, Need{Role: "many", Artifact: &artifact.Ref{Digest: artifact.DigestOf([]byte{byte(i)}), Size: 1}})
		}
		if len(withOutputs) > 0 {
			for range r.IntN(2) {
				s.Needs = append(s.Needs, Need{Stage: pick(r, withOutputs...), OnFailure: pick(r, "", SkipOnFailure, GoOn)})
			}
			if r.IntN(2) == 0 {
				s.If = &Condition{Stage: pick(r, withOutputs...), Output: "out", Path: pick(r, "", "/a", "/a~1b/0"), Op: pick(r, "==", "<", ">="), Value: json.RawMessage(pick(r, " 1", `"<&>"`, "1e3", `"\u003c"`))}
			}
		}
		s.Timeout, s.Memory, s.Pool = Duration(r.IntN(2)*r.IntN(1e12)), int64(r.IntN(2)*r.IntN(1e12)), pick(r, "", "gpu")
		s.Always = s.Kind != "step" && r.IntN(4) == 0
		if r.IntN(2) == 0 {
			s.Retry = &Retry{Attempts: r.IntN(3), Backoff: Duration(r.IntN(2) * 1e9), Factor: pick(r, 0, 1, 2, 2.5), Max: Duration(r.IntN(2) * 1e10)}
		}
		if r.IntN(2) == 0 {
			s.Wait = &Wait{Delay: Duration(r.IntN(2) * 1e9), Signal: "go"}
		}
		p.Stages = append(p.Stages, s)
		if s.Kind == "sweep" {
			expanding = append(expanding, s.Name)
		}
		if s.Kind != "cleanup" && s.Kind != "small" {
			withOutputs = append(withOutputs, s.Name)
		}
	}
	return p
}

// respell writes a plan in another way: other white space, the fields in another order, other spellings of what Validate
// writes in one way.
func respell(t *testing.T, text []byte) []byte {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	for _, stage := range v.(map[string]any)["stages"].([]any) {
		s := stage.(map[string]any)
		delete(s, "params") // no kind here has any
		if timeout, ok := s["timeout"].(string); ok && strings.HasSuffix(timeout, "s") {
			s["timeout"] = "0h" + timeout
		}
		if retry, ok := s["retry"].(map[string]any); ok && retry["factor"] == nil {
			retry["factor"] = 2
		}
		needs, _ := s["needs"].([]any)
		for _, need := range needs {
			if n := need.(map[string]any); n["on_failure"] == nil && n["artifact"] == nil {
				n["on_failure"] = SkipOnFailure
			}
		}
	}
	b, err := json.MarshalIndent(v, "", "\t") // sorted
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Plans that mean the same have one text, which reads back as itself.
func TestCanonicalForm(t *testing.T) {
	registry := graphKinds(t)
	r := rand.New(rand.NewPCG(1, 2))
	validated := func(p *Plan) []byte {
		t.Helper()
		if err := p.Validate(registry); err != nil {
			t.Fatalf("%+v: %v", p, err)
		}
		text, err := p.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	parsed := func(text []byte) *Plan {
		t.Helper()
		p, err := ParsePlan(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return p
	}
	for range 500 {
		p := randomPlan(r)
		raw, err := p.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		text := validated(p)
		for name, other := range map[string][]byte{"as it was given": raw, "canonical": text, "respelled": respell(t, text)} {
			q := parsed(other)
			q.Schema = PlanSchema2
			if got := validated(q); !bytes.Equal(got, text) {
				t.Fatalf("%s:\n%s\nbecomes\n%s\nwant\n%s", name, other, got, text)
			}
		}
	}
}

func FuzzParseStages(f *testing.F) {
	f.Add([]byte(`{"schema":"hashline.stages/1","stages":[]}`))
	f.Add([]byte(`{"schema":"hashline.stages/1","stages":[{"name":"s:1","kind":"step","needs":[{"role":"one","stage":"a","output":"out"}]},{"name":"s:2","kind":"sweep","needs":[{"role":"","stage":"s:1","on_failure":"skip"}]}]}`))
	registry := graphKinds(f)
	parent := Stage{Name: "s", Kind: "sweep"}
	f.Fuzz(func(t *testing.T, b []byte) {
		stages, err := ParseStages(b)
		if err != nil || CheckExpansion(parent, nil, stages, registry) != nil {
			return
		}
		text, err := marshalStages(stages)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseStages(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := CheckExpansion(parent, nil, back, registry); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if again, err := marshalStages(back); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%s becomes %s, %v", text, again, err)
		}
		for _, s := range back {
			s.WithReturned("s:2", back, registry).Upstream()
		}
	})
}
