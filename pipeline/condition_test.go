package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
)

const metricsText = `{"accuracy":0.91,"n":9007199254740993,"name":"tree","null":null,"list":[{"x":1.0},2,"<b>\u001b"],"a/b":{"~":true},"":0,"big":1e400}`

func TestConditionEvaluate(t *testing.T) {
	for _, c := range []struct {
		path, op, value string
		holds           bool
		reason          string
	}{
		{"/accuracy", ">=", "0.95", false, "evaluate.metrics /accuracy is 0.91, not >= 0.95"},
		{"/accuracy", ">=", "0.910", true, ""},
		{"/accuracy", "<", "9.1e-1", false, "evaluate.metrics /accuracy is 0.91, not < 9.1e-1"},
		{"/accuracy", "<=", "0.91", true, ""},
		{"/accuracy", ">", "1", false, "evaluate.metrics /accuracy is 0.91, not > 1"},
		{"/accuracy", "==", "91e-2", true, ""},
		{"/accuracy", "!=", "0.91", false, "evaluate.metrics /accuracy is 0.91, not != 0.91"},
		{"/n", "==", "9007199254740992", false, "evaluate.metrics /n is 9007199254740993, not == 9007199254740992"},
		{"/n", ">", "9007199254740992", true, ""},
		{"/big", ">", "1e300", true, ""},
		{"/name", "==", `"tree"`, true, ""},
		{"/name", "<", `"uree"`, true, ""},
		{"/name", ">=", "1", false, `evaluate.metrics /name is "tree", not >= 1`},
		{"/name", "!=", "1", true, ""},
		{"/null", "<", "1", false, "evaluate.metrics /null is null, not < 1"},
		{"/null", "==", "null", true, ""},
		{"/null", "exists", "", true, ""},
		{"/nothing", "exists", "", false, "evaluate.metrics has no /nothing"},
		{"/nothing", "!=", "1", false, "evaluate.metrics has no /nothing"},
		{"/accuracy/x", "exists", "", false, "evaluate.metrics has no /accuracy/x"},
		{"/list/0/x", "==", "1", true, ""},
		{"/list/0", "==", `{"x":1}`, true, ""},
		{"/list/0", "==", `{"y":1}`, false, `evaluate.metrics /list/0 is {"x":1.0}, not == {"y":1}`},
		{"/list", "==", `[{"x":1},2,"<b>\u001b"]`, true, ""},
		{"/list", "==", `[2]`, false, `evaluate.metrics /list is [{"x":1.0},2,"\u003cb\u003e\u001b"], not == [2]`},
		{"/list/1", "==", "[]", false, "evaluate.metrics /list/1 is 2, not == []"},
		{"/name", "==", "{}", false, `evaluate.metrics /name is "tree", not == {}`},
		{"/list/2", "==", `"x"`, false, `evaluate.metrics /list/2 is "<b>\x1b", not == "x"`},
		{"/list/01", "exists", "", false, "evaluate.metrics has no /list/01"},
		{"/list/-", "exists", "", false, "evaluate.metrics has no /list/-"},
		{"/list/3", "exists", "", false, "evaluate.metrics has no /list/3"},
		{"/a~1b/~0", "==", "true", true, ""},
		{"/", "==", "0", true, ""},
		{"", "exists", "", true, ""},
		{"", "==", "[]", false, "evaluate.metrics is {\"\":0,\"a/b\":{\"~\":true},\"accuracy\":0.91,\"big\":1e400,\"list\":[…, not == []"},
	} {
		condition := &Condition{Stage: "evaluate", Output: "metrics", Path: c.path, Op: c.op, Value: json.RawMessage(c.value)}
		if err := condition.check(); err != nil {
			t.Errorf("%s %s %s: %v", c.path, c.op, c.value, err)
			continue
		}
		holds, reason, err := condition.Evaluate([]byte(metricsText))
		if err != nil || holds != c.holds || reason != c.reason {
			t.Errorf("%s %s %s: %v, %s, %v; want %v, %s", c.path, c.op, c.value, holds, reason, err, c.holds, c.reason)
		}
	}
	for _, c := range []Condition{{Path: "x", Op: "exists"}, {Op: "?", Value: json.RawMessage("1")}, {Op: "=="}} {
		if _, _, err := c.Evaluate([]byte("1")); err == nil {
			t.Errorf("%+v was evaluated", c)
		}
	}
	if _, _, err := (&Condition{Stage: "a", Output: "b", Op: "exists"}).Evaluate([]byte("1 2")); err == nil || !strings.Contains(err.Error(), "a.b is not JSON") {
		t.Errorf("%v", err)
	}
}

func TestExecuteCondition(t *testing.T) {
	x, events := newExecutor(t, echo(true))
	ctx := context.Background()
	ref, err := x.Store.PutBytes(ctx, []byte(metricsText))
	if err != nil {
		t.Fatal(err)
	}
	st := Stage{Name: "s", Kind: "echo", Params: text("x", 1), If: &Condition{Stage: "e", Output: "m", Path: "/accuracy", Op: ">=", Value: json.RawMessage("0.95")}}
	in := Input{Role: "in", Ref: ref}
	for name, c := range map[string]struct {
		inputs []Input
		reason string
	}{
		"inline":    {[]Input{in, {Role: ConditionRole, Ref: ref, Inline: []byte(metricsText)}}, "e.m /accuracy is 0.91, not >= 0.95"},
		"stored":    {[]Input{{Role: ConditionRole, Ref: ref}, in}, "e.m /accuracy is 0.91, not >= 0.95"},
		"not there": {[]Input{in}, "e.m is not there"},
	} {
		out, err := x.Execute(ctx, st, 0, c.inputs)
		if skipped, ok := errors.AsType[*SkippedError](err); !ok || skipped.Reason != c.reason || !out.ActionKey.IsZero() || out.Computed || out.Cache != "" {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	if len(*events) != 0 {
		t.Errorf("a skipped stage told %+v", *events)
	}
	// What the condition looks at is no input: the action is the same as without.
	plain, err := x.Execute(ctx, Stage{Kind: "echo", Params: st.Params}, 0, []Input{in})
	if err != nil {
		t.Fatal(err)
	}
	st.If.Value = json.RawMessage("0.9")
	if out, err := x.Execute(ctx, st, 0, []Input{{Role: ConditionRole, Ref: ref}, in}); err != nil || out.ActionKey != plain.ActionKey || out.Cache != CacheHit {
		t.Errorf("%+v, %v", out, err)
	}
	lost := artifact.Ref{Digest: artifact.DigestOf([]byte("lost")), Size: 4}
	_, err = x.Execute(ctx, st, 0, []Input{{Role: ConditionRole, Ref: lost}})
	if damaged, ok := errors.AsType[*DamagedInput](err); !ok || damaged.Role != ConditionRole || !strings.Contains(err.Error(), "the output that the condition looks at") {
		t.Errorf("%v", err)
	}
	broken := []byte("{")
	_, err = x.Execute(ctx, st, 0, []Input{{Role: ConditionRole, Ref: artifact.Ref{Digest: artifact.DigestOf(broken), Size: 1}, Inline: broken}})
	if !IsPermanent(err) || !strings.Contains(err.Error(), "e.m is not JSON") {
		t.Errorf("%v", err)
	}
	_, err = x.Execute(ctx, st, 0, []Input{{Role: ConditionRole, Ref: artifact.Ref{Digest: artifact.DigestOf(broken), Size: maxConditionOutput + 1}}})
	if !IsPermanent(err) {
		t.Errorf("a large output: %v", err)
	}
}

func FuzzCondition(f *testing.F) {
	f.Add("/list/0/x", "==", []byte("1"), []byte(metricsText))
	f.Add("/a~1b", "<", []byte(`"x"`), []byte(`{"a/b":"w"}`))
	f.Add("", "!=", []byte(`{"a":[1]}`), []byte(`{"a":[1.0]}`))
	f.Fuzz(func(t *testing.T, path, op string, value, output []byte) {
		c := &Condition{Stage: "s", Output: "o", Path: path, Op: op, Value: value}
		if c.check() != nil {
			_, _, _ = c.Evaluate(output)
			return
		}
		holds, reason, err := c.Evaluate(output)
		if err == nil && holds == (reason != "") {
			t.Errorf("holds %v for the reason %q", holds, reason)
		}
		again := *c
		if err := again.check(); err != nil || string(again.Value) != string(c.Value) {
			t.Errorf("value %s becomes %s, %v", c.Value, again.Value, err)
		}
		h, r, e := again.Evaluate(output)
		if h != holds || r != reason || (e == nil) != (err == nil) {
			t.Errorf("evaluated twice: %v %q %v, then %v %q %v", holds, reason, err, h, r, e)
		}
	})
}
