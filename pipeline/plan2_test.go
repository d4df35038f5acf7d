package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
)

// graphKinds has a kind for each thing that a plan of the second schema can say.
func graphKinds(t testing.TB) *Registry {
	t.Helper()
	run := func(context.Context, *Call) error { return nil }
	out := []OutputSpec{{Name: "out", Class: Result, MediaType: "application/json; charset=utf-8"}, {Name: "text", Class: View, MediaType: "text/plain"}}
	in := []InputSpec{{Role: "one"}, {Role: "maybe", Optional: true}, {Role: "many", Many: true, Optional: true}}
	r, err := NewRegistry(nil,
		Kind{Name: "source", Run: run, Outputs: out},
		Kind{Name: "step", Run: run, Outputs: out, Inputs: in, Pool: "steps"},
		Kind{Name: "free", Run: run, Outputs: out, Inputs: in[1:]},
		Kind{Name: "sweep", Run: run, Outputs: out, Inputs: in[1:], Expands: true},
		Kind{Name: "small", Run: run, Outputs: out, Inline: true},
		Kind{Name: "cleanup", Run: run},
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// graphPlan uses all of the second schema.
func graphPlan() *Plan {
	return &Plan{Schema: PlanSchema2, Seed: 1, Stages: []Stage{
		{Name: "a", Kind: "source", Timeout: Duration(90 * time.Second), Retry: &Retry{Attempts: 3, Backoff: Duration(time.Second), Factor: 2}},
		{Name: "b", Kind: "step", Needs: []Need{{Role: "one", Stage: "a", Output: "out"}, {Role: "maybe", Stage: "a", Output: "text", OnFailure: GoOn}, {Stage: "a", OnFailure: SkipOnFailure}},
			If: &Condition{Stage: "a", Output: "out", Path: "/x~1y", Op: ">=", Value: json.RawMessage(" 0.5 ")}, Pool: "gpu", Memory: 1 << 30},
		{Name: "s", Kind: "sweep", Wait: &Wait{Delay: Duration(time.Minute), Signal: "approve"}},
		{Name: "all", Kind: "free", Needs: []Need{{Role: "many", Stage: "s", Output: "out", Each: true, OnFailure: FailRun}}},
		{Name: "end", Kind: "cleanup", Always: true, Needs: []Need{{Stage: "all"}, {Stage: "s", Each: true}}},
	}}
}

func TestPlanSchema2(t *testing.T) {
	r := graphKinds(t)
	p := graphPlan()
	if err := p.Validate(r); err != nil {
		t.Fatal(err)
	}
	text, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"schema":"hashline.plan/2","seed":1,"stages":[` +
		`{"name":"a","kind":"source","params":{},"timeout":"1m30s","retry":{"attempts":3,"backoff":"1s"}},` +
		`{"name":"b","kind":"step","params":{},"needs":[{"role":"one","stage":"a","output":"out"},{"role":"maybe","stage":"a","output":"text","on_failure":"continue"},{"role":"","stage":"a"}],` +
		`"if":{"stage":"a","output":"out","path":"/x~1y","op":"\u003e=","value":0.5},"pool":"gpu","memory":1073741824},` +
		`{"name":"s","kind":"sweep","params":{},"wait":{"delay":"1m0s","signal":"approve"}},` +
		`{"name":"all","kind":"free","params":{},"needs":[{"role":"many","stage":"s","output":"out","each":true,"on_failure":"fail"}]},` +
		`{"name":"end","kind":"cleanup","params":{},"needs":[{"role":"","stage":"all"},{"role":"","stage":"s","each":true}],"always":true}]}`
	if string(text) != want {
		t.Errorf("canonical text\n%s\nwant\n%s", text, want)
	}
	back, err := ParsePlan(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Validate(r); err != nil {
		t.Fatal(err)
	}
	if again, err := back.Canonical(); err != nil || string(again) != want {
		t.Errorf("read again: %s, %v", again, err)
	}
	if got := p.Stages[1].Upstream(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("upstream %v", got)
	}
	if got := (Stage{Needs: []Need{{Stage: "b"}}, If: &Condition{Stage: "a"}}).Upstream(); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("upstream with a condition: %v", got)
	}
	if r.Pool(p.Stages[1]) != "gpu" || r.Pool(Stage{Kind: "step"}) != "steps" || r.Pool(p.Stages[0]) != "" {
		t.Error("the pools of stages")
	}
}

// A plan that uses nothing new has the text that it always had, whichever schema it came with; one that does has the second.
func TestPlanSchemaIsTheLowest(t *testing.T) {
	r := graphKinds(t)
	const old = `{"schema":"hashline.plan/1","seed":7,"stages":[{"name":"a","kind":"source","params":{}},{"name":"b","kind":"step","params":{},"needs":[{"role":"one","stage":"a","output":"out"}]}]}`
	for _, text := range []string{old, strings.Replace(old, "plan/1", "plan/2", 1)} {
		p, err := ParsePlan([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Validate(r); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Canonical(); err != nil || string(got) != old {
			t.Errorf("%s, %v; want %s", got, err, old)
		}
	}
	for name, stage := range map[string]Stage{
		"timeout": {Kind: "source", Timeout: 1}, "retry": {Kind: "source", Retry: &Retry{Attempts: 1}}, "always": {Kind: "source", Always: true},
		"wait": {Kind: "source", Wait: &Wait{Signal: "x"}}, "pool": {Kind: "source", Pool: "x"}, "memory": {Kind: "source", Memory: 1},
		"if":         {Kind: "source", If: &Condition{Stage: "first", Output: "out", Op: OpExists}},
		"order only": {Kind: "source", Needs: []Need{{Stage: "first"}}},
		"on_failure": {Kind: "free", Needs: []Need{{Role: "maybe", Stage: "first", Output: "out", OnFailure: GoOn}}},
		"inline":     {Kind: "small"}, "expands": {Kind: "sweep"},
	} {
		stage.Name = "s"
		p := &Plan{Schema: PlanSchema, Stages: []Stage{{Name: "first", Kind: "source"}, stage}}
		text, err := p.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParsePlan(text); (err == nil) != (name == "inline" || name == "expands") {
			t.Errorf("%s: read as the first schema: %v", name, err)
		}
		if err := p.Validate(r); err != nil || p.Schema != PlanSchema2 {
			t.Errorf("%s: schema %s, %v", name, p.Schema, err)
		}
	}
	made, err := NewPlan(r, Stage{Name: "a", Kind: "source"})
	if err != nil || made.Schema != PlanSchema {
		t.Errorf("a plan that a program makes: %+v, %v", made, err)
	}
	empty := &Plan{Schema: PlanSchema, Stages: []Stage{{Name: "a", Kind: "source", Retry: &Retry{Factor: 3, Max: 5}}}}
	if err := empty.Validate(r); err != nil || empty.Schema != PlanSchema || empty.Stages[0].Retry != nil {
		t.Errorf("a retry that says nothing: %+v, %v", empty, err)
	}
}

func TestPlanRefuses(t *testing.T) {
	r := graphKinds(t)
	ref := artifact.Ref{Digest: artifact.DigestOf(nil)}
	cond := func(edit func(*Condition)) func(*Plan) {
		return func(p *Plan) { edit(p.Stages[1].If) }
	}
	for name, c := range map[string]struct {
		edit func(*Plan)
		want string
	}{
		"negative timeout":        {func(p *Plan) { p.Stages[0].Timeout = -1 }, "timeout is negative"},
		"negative memory":         {func(p *Plan) { p.Stages[0].Memory = -1 }, "memory is negative"},
		"pool":                    {func(p *Plan) { p.Stages[0].Pool = "A b" }, `pool "A b"`},
		"attempts":                {func(p *Plan) { p.Stages[0].Retry.Attempts = -1 }, "-1 attempts"},
		"too many attempts":       {func(p *Plan) { p.Stages[0].Retry.Attempts = 1001 }, "want 0 to 1000"},
		"negative pause":          {func(p *Plan) { p.Stages[0].Retry.Backoff = -1 }, "a pause is negative"},
		"negative longest pause":  {func(p *Plan) { p.Stages[0].Retry.Max = -1 }, "a pause is negative"},
		"longest before first":    {func(p *Plan) { p.Stages[0].Retry.Max = 1 }, "longest pause 1ns is shorter"},
		"factor":                  {func(p *Plan) { p.Stages[0].Retry.Factor = 0.5 }, "factor 0.5"},
		"empty wait":              {func(p *Plan) { p.Stages[0].Wait = &Wait{} }, "give a delay"},
		"negative delay":          {func(p *Plan) { p.Stages[2].Wait.Delay = -1 }, "delay is negative"},
		"signal":                  {func(p *Plan) { p.Stages[2].Wait.Signal = "go!" }, `signal "go!"`},
		"on_failure":              {func(p *Plan) { p.Stages[1].Needs[1].OnFailure = "ignore" }, `on_failure "ignore", want skip, fail or continue`},
		"continue on what is due": {func(p *Plan) { p.Stages[1].Needs[0].OnFailure = GoOn }, "may run without its input one"},
		"always on what is due":   {func(p *Plan) { p.Stages[1].Always = true }, "may run without its input one"},
		"each of no expansion":    {func(p *Plan) { p.Stages[1].Needs[2].Each = true }, "kind source returns none"},
		"each for one":            {func(p *Plan) { p.Stages[3].Needs[0].Role = "maybe" }, "takes one artifact, not each"},
		"each without an output":  {func(p *Plan) { p.Stages[3].Needs[0].Output = "" }, "no name of an output"},
		"role without an output":  {func(p *Plan) { p.Stages[1].Needs[0].Output = "" }, `no output ""`},
		"output without a role":   {func(p *Plan) { p.Stages[1].Needs[0].Role = "" }, `no input ""`},
		"artifact of a stage":     {func(p *Plan) { p.Stages[3].Needs[0].Artifact = &ref }, "either a stage or an artifact"},
		"artifact with each":      {func(p *Plan) { p.Stages[3].Needs[0] = Need{Role: "many", Artifact: &ref, Each: true} }, "an artifact has a role"},
		"artifact with a policy":  {func(p *Plan) { p.Stages[3].Needs[0] = Need{Role: "many", Artifact: &ref, OnFailure: GoOn} }, "an artifact has a role"},
		"artifact for order":      {func(p *Plan) { p.Stages[3].Needs[0] = Need{Artifact: &ref} }, "an artifact has a role"},
		"condition on a later":    {cond(func(c *Condition) { c.Stage = "s" }), "if: it needs \"s\", which is no earlier stage"},
		"condition's output":      {cond(func(c *Condition) { c.Output = "x" }), `if: stage a has no output "x"`},
		"condition on text":       {cond(func(c *Condition) { c.Output = "text" }), "text/plain, not JSON"},
		"operator":                {cond(func(c *Condition) { c.Op = "=" }), `operator "="`},
		"pointer":                 {cond(func(c *Condition) { c.Path = "x" }), "no JSON pointer"},
		"pointer's escape":        {cond(func(c *Condition) { c.Path = "/~2" }), "write ~0 for ~"},
		"no value":                {cond(func(c *Condition) { c.Value = nil }), "wants a value"},
		"a value that is none":    {cond(func(c *Condition) { c.Value = json.RawMessage("0.5.") }), "value: "},
		"two values":              {cond(func(c *Condition) { c.Value = json.RawMessage("1 2") }), "text behind its end"},
		"order of lists":          {cond(func(c *Condition) { c.Value = json.RawMessage("[1]") }), "compares numbers or texts"},
		"exists with a value":     {cond(func(c *Condition) { c.Op = OpExists }), "takes no value"},
		"name of a returned one":  {func(p *Plan) { p.Stages[3].Name, p.Stages[4].Needs[0].Stage = "s:1", "s:1" }, "names that start with s: are for the stages that s returns"},
		"long name":               {func(p *Plan) { p.Stages[4].Name = strings.Repeat("x", 65) }, "1 to 64"},
	} {
		p := graphPlan()
		c.edit(p)
		if err := p.Validate(r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]string{`"90s"`: `"1m30s"`, `"1h30m"`: `"1h30m0s"`, `"1.5ms"`: `"1.5ms"`, `"0s"`: `"0s"`} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got, err := json.Marshal(d); err != nil || string(got) != want {
			t.Errorf("%s becomes %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{`90`, `"90"`, `"0"`, `""`, `"-1s"`, `"+1s"`, `" 1s"`, `"1 s"`, `"1e3s"`, `"9999999h"`, `true`, `{}`} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s is taken for %s", text, d)
		}
	}
}

func TestPause(t *testing.T) {
	second := Duration(time.Second)
	for _, c := range []struct {
		retry    *Retry
		failures int
		want     time.Duration
	}{
		{nil, 1, 0}, {&Retry{Attempts: 3}, 2, 0}, {&Retry{Backoff: second}, 0, time.Second}, {&Retry{Backoff: second}, 1, time.Second}, {&Retry{Backoff: second}, 3, 4 * time.Second},
		{&Retry{Backoff: second, Factor: 1}, 30, time.Second}, {&Retry{Backoff: second, Factor: 10, Max: 30 * second}, 2, 10 * time.Second},
		{&Retry{Backoff: second, Factor: 10, Max: 30 * second}, 3, 30 * time.Second}, {&Retry{Backoff: second}, 1 << 40, MaxPause}, {&Retry{Backoff: second, Factor: 1000, Max: second}, 900, time.Second},
	} {
		if got := c.retry.Pause(c.failures); got != c.want {
			t.Errorf("%+v after %d failures: %s, want %s", c.retry, c.failures, got, c.want)
		}
	}
}

func TestCheckExpansion(t *testing.T) {
	r := graphKinds(t)
	parent := Stage{Name: "s", Kind: "sweep"}
	upstream := func(name string) (Stage, bool) { return Stage{Name: "a", Kind: "source"}, name == "a" }
	good := func() []Stage {
		return []Stage{
			{Name: "s:1", Kind: "step", Needs: []Need{{Role: "one", Stage: "a", Output: "out"}, {Stage: "s"}}},
			{Name: "s:2", Kind: "sweep", Needs: []Need{{Role: "many", Stage: "s:1", Output: "out", OnFailure: SkipOnFailure}, {Role: "many", Stage: "s", Output: StagesOutput}}},
			{Name: "s:3", Kind: "free", Needs: []Need{{Role: "many", Stage: "s:2", Output: "out", Each: true}}},
		}
	}
	stages := good()
	if err := CheckExpansion(parent, upstream, stages, r); err != nil {
		t.Fatal(err)
	}
	text, err := marshalStages(stages)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseStages(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckExpansion(parent, nil, back, r); err != nil {
		t.Error(err)
	}
	if again, err := marshalStages(back); err != nil || string(again) != string(text) || !strings.Contains(string(text), `"params":{}`) {
		t.Errorf("%s becomes %s, %v", text, again, err)
	}
	for name, c := range map[string]struct {
		edit    func([]Stage)
		trusted bool // a place that does not know the run cannot tell
	}{
		"foreign name":        {func(s []Stage) { s[0].Name = "t:1" }, false},
		"the parent's name":   {func(s []Stage) { s[0].Name = "s" }, false},
		"no name":             {func(s []Stage) { s[0].Name = "s:A" }, false},
		"twice":               {func(s []Stage) { s[1].Name = "s:1" }, false},
		"kind":                {func(s []Stage) { s[0].Kind = "x" }, false},
		"params":              {func(s []Stage) { s[0].Params = json.RawMessage("[1]") }, false},
		"no such stage":       {func(s []Stage) { s[0].Needs[0].Stage = "b" }, true},
		"no such output":      {func(s []Stage) { s[0].Needs[0].Output = "x" }, true},
		"no such sibling":     {func(s []Stage) { s[0].Needs[0].Stage = "s:9" }, false},
		"a later sibling":     {func(s []Stage) { s[0].Needs[0].Stage = "s:2" }, false},
		"each of its own":     {func(s []Stage) { s[2].Needs[0].Stage = "s" }, false},
		"name of a returned":  {func(s []Stage) { s[2].Name = "s:2:x" }, false},
		"no output of parent": {func(s []Stage) { s[1].Needs[1].Output = "x" }, false},
	} {
		for _, up := range []func(string) (Stage, bool){upstream, nil} {
			stages := good()
			c.edit(stages)
			if err := CheckExpansion(parent, up, stages, r); (err == nil) != (c.trusted && up == nil) {
				t.Errorf("%s, the run known %v: %v", name, up != nil, err)
			}
		}
	}
	if err := CheckExpansion(Stage{Name: "s", Kind: "source"}, upstream, good(), r); err == nil {
		t.Error("a kind that does not expand returned stages")
	}
	if err := CheckExpansion(parent, upstream, make([]Stage, MaxStages+1), r); err == nil {
		t.Error("too many stages were taken")
	}
	for _, bad := range []string{"", "[]", `{"schema":"x"}`, string(text) + "x", `{"schema":"hashline.stages/1","stages":[{"x":1}]}`} {
		if _, err := ParseStages([]byte(bad)); err == nil {
			t.Errorf("%q was taken for stages", bad)
		}
	}
}

func TestWithReturned(t *testing.T) {
	r := graphKinds(t)
	returned := []Stage{{Name: "s:1", Kind: "source"}, {Name: "s:end", Kind: "cleanup"}, {Name: "s:2", Kind: "free"}}
	s := Stage{Name: "all", Needs: []Need{{Role: "maybe", Stage: "a", Output: "out"}, {Role: "many", Stage: "s", Output: "out", Each: true, OnFailure: GoOn}, {Stage: "s", Each: true}, {Role: "many", Stage: "b", Output: "out"}}}
	before := slices.Clone(s.Needs)
	got := s.WithReturned("s", returned, r)
	if want := []string{"a", "s", "s:1", "s:2", "s:end", "b"}; !slices.Equal(got.Upstream(), want) {
		t.Errorf("upstream %v, want %v", got.Upstream(), want)
	}
	var inputs []string
	for _, n := range got.Needs {
		if !n.orderOnly() {
			inputs = append(inputs, n.Role+" "+n.Stage+" "+n.Output+" "+n.OnFailure)
		}
	}
	if want := []string{"maybe a out ", "many s:1 out continue", "many s:2 out continue", "many b out "}; !slices.Equal(inputs, want) {
		t.Errorf("inputs %q, want %q", inputs, want)
	}
	if !slices.Equal(s.Needs, before) {
		t.Errorf("the stage itself is changed: %+v", s.Needs)
	}
	if same := s.WithReturned("x", returned, r); &same.Needs[0] != &s.Needs[0] {
		t.Error("a stage without such a need is copied")
	}
}

// A failure that everybody goes on without fails no run; the rule is the same for stages and for their records.
func TestRunGoesOn(t *testing.T) {
	on := func(policy string) []Need { return []Need{{Stage: "f", OnFailure: policy}} }
	for name, c := range map[string]struct {
		stages []Stage
		want   string
	}{
		"nobody needs it":          {[]Stage{{Name: "f"}}, Failed},
		"one goes on":              {[]Stage{{Name: "f"}, {Name: "a", Needs: on(GoOn)}}, Succeeded},
		"one goes on, one not":     {[]Stage{{Name: "f"}, {Name: "a", Needs: on(GoOn)}, {Name: "b", Needs: on("")}}, Failed},
		"one not, one goes on":     {[]Stage{{Name: "f"}, {Name: "b", Needs: on(FailRun)}, {Name: "a", Needs: on(GoOn)}}, Failed},
		"a cleanup says nothing":   {[]Stage{{Name: "f"}, {Name: "z", Needs: on(""), Always: true}, {Name: "a", Needs: on(GoOn)}}, Succeeded},
		"only a cleanup":           {[]Stage{{Name: "f"}, {Name: "z", Needs: on(""), Always: true}}, Failed},
		"a cleanup that says it":   {[]Stage{{Name: "f"}, {Name: "z", Needs: on(GoOn), Always: true}}, Succeeded},
		"one of two needs":         {[]Stage{{Name: "f"}, {Name: "a", Needs: append(on(GoOn), on("")...)}}, Failed},
		"the other of two needs":   {[]Stage{{Name: "f"}, {Name: "a", Needs: append(on(""), on(GoOn)...)}}, Failed},
		"its condition looks, too": {[]Stage{{Name: "f"}, {Name: "a", Needs: on(GoOn), If: &Condition{Stage: "f"}}}, Failed},
	} {
		r := &RunRecord{Status: Running}
		for _, s := range c.stages {
			sr := NewStageRecord(s)
			sr.Status = Succeeded
			if s.Name == "f" {
				sr.Status, sr.Error = Failed, BadInput("x")
			}
			r.Stages = append(r.Stages, sr)
		}
		r.Close()
		if r.Status != c.want || (r.Error != nil) != (c.want == Failed) || (r.ResultDigest != "") != (c.want == Succeeded) {
			t.Errorf("%s: %s, %v; want %s", name, r.Status, r.Error, c.want)
		}
		if got := GoneOnWithout(c.stages); got["f"] != (c.want == Succeeded) || len(got) > 1 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSkippedStagesFailNoRun(t *testing.T) {
	for _, c := range []struct {
		statuses []string
		want     string
	}{
		{[]string{Succeeded, Skipped}, Succeeded}, {[]string{Skipped}, Succeeded}, {[]string{Failed, Skipped}, Failed}, {[]string{Canceled, Skipped}, Canceled},
		{[]string{Succeeded, Waiting}, Waiting}, {[]string{Interrupted, Failed}, Failed},
	} {
		r := &RunRecord{Status: Running}
		for _, s := range c.statuses {
			r.Stages = append(r.Stages, StageRecord{Status: s})
		}
		r.Close()
		if r.Status != c.want {
			t.Errorf("%v give %s, want %s", c.statuses, r.Status, c.want)
		}
	}
}

func TestSkipAndPermanent(t *testing.T) {
	skipped, ok := errors.AsType[*SkippedError](fmt.Errorf("a: %w", Skip("nothing to do")))
	if !ok || skipped.Reason != "nothing to do" || skipped.Error() != "skipped: nothing to do" {
		t.Errorf("%+v", skipped)
	}
	plain := errors.New("x")
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false}, {Permanent(nil), false}, {plain, false}, {Permanent(plain), true}, {fmt.Errorf("a: %w", Permanent(plain)), true}, {BadInput("x"), true}, {&Error{Class: ClassUsage}, true},
		{&Error{Class: ClassStageFailed}, false}, {Permanent(&Error{Class: ClassStageFailed}), true}, {context.Canceled, false},
	} {
		if IsPermanent(c.err) != c.want {
			t.Errorf("%v is permanent: %v, want %v", c.err, !c.want, c.want)
		}
	}
	if err := Permanent(plain); !errors.Is(err, plain) || err.Error() != "x" || AsError(err).Class != ClassStageFailed {
		t.Errorf("%v lost what it wraps", err)
	}
}
