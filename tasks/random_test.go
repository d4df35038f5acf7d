package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hashline/hashline/pipeline"
)

// actParams say how a stage of a random plan ends.
type actParams struct {
	Failures int              `json:"failures,omitempty"` // attempts that fail
	Bad      bool             `json:"bad,omitempty"`      // it fails for good
	Skip     bool             `json:"skip,omitempty"`
	Returns  []pipeline.Stage `json:"returns,omitempty"`
}

// actor runs random plans and watches the bounds of a pool.
type actor struct{ inPool, most atomic.Int64 }

func (a *actor) kinds() []pipeline.Kind {
	act := pipeline.Kind{Name: "act", Inline: true, NeverCache: true, Inputs: []pipeline.InputSpec{{Role: "in", Many: true, Optional: true}}, Outputs: outText,
		Params: func() any { return &actParams{} }, Run: a.run}
	fan := act
	fan.Name, fan.Expands = "fan", true
	return []pipeline.Kind{act, fan}
}

func (a *actor) run(_ context.Context, c *pipeline.Call) error {
	p := c.Params.(*actParams)
	if strings.HasSuffix(c.Stage, "p") {
		a.most.Store(max(a.most.Load(), a.inPool.Add(1)))
		defer a.inPool.Add(-1)
	}
	switch {
	case p.Bad:
		return pipeline.Permanent(errors.New("bad"))
	case c.Attempt <= p.Failures:
		return errors.New("not yet")
	case p.Skip:
		return pipeline.Skip("no need")
	}
	if err := c.Expand(p.Returns...); len(p.Returns) > 0 && err != nil {
		return err
	}
	return join(c, c.Stage)
}

// poolLimit is how many stages whose names end with p may run at a time.
const poolLimit = 2

// drawActs draws a plan whose end is certain, whatever the order in which its stages run.
func drawActs(t *rapid.T) *pipeline.Plan {
	p := &pipeline.Plan{Schema: pipeline.PlanSchema2, Seed: 1}
	for i := range rapid.IntRange(1, 10).Draw(t, "stages") {
		s := drawAct(t, string(rune('a'+i)), p.Stages)
		if one(t, 4) {
			params := actParams{}
			for n := range rapid.IntRange(0, 4).Draw(t, "returned") {
				params.Returns = append(params.Returns, drawAct(t, fmt.Sprintf("%s:%d", s.Name, n), append([]pipeline.Stage{{Name: s.Name, Kind: "act"}}, params.Returns...)))
			}
			s.Kind, s.Params = "fan", mustJSON(params)
		}
		p.Stages = append(p.Stages, s)
	}
	return p
}

func drawAct(t *rapid.T, name string, earlier []pipeline.Stage) pipeline.Stage {
	s := pipeline.Stage{Name: name, Kind: "act", Always: one(t, 8)}
	for _, up := range earlier {
		if one(t, 3) {
			n := pipeline.Need{Role: "in", Stage: up.Name, Output: "out", Each: up.Kind == "fan" && one(t, 2)}
			if one(t, 3) {
				n.OnFailure = pipeline.GoOn
			}
			s.Needs = append(s.Needs, n)
		}
	}
	params := actParams{Failures: rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "failures"), Bad: one(t, 10), Skip: one(t, 10)}
	s.Params = mustJSON(params)
	if one(t, 3) {
		s.Retry = &pipeline.Retry{Attempts: rapid.IntRange(1, 3).Draw(t, "attempts")}
		if one(t, 3) {
			s.Retry.Backoff = pipeline.Duration(3 * time.Millisecond)
		}
	}
	if one(t, 6) {
		s.Wait = &pipeline.Wait{Delay: pipeline.Duration(5 * time.Millisecond)}
	}
	if one(t, 6) {
		s.Wait = &pipeline.Wait{Signal: "go"}
	}
	if one(t, 5) {
		s.Name, s.Pool = s.Name+"p", "few"
	}
	if one(t, 5) {
		s.Memory = 1 << 20
	}
	return s
}

func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// foretold returns how each stage must end.
func foretold(p *pipeline.Plan, registry *pipeline.Registry) map[string]string {
	ends := map[string]string{}
	stages := slices.Clone(p.Stages)
	for len(stages) > 0 {
		s := stages[0]
		stages = stages[1:]
		ends[s.Name] = foretell(s, ends)
		params := paramsOf(s)
		if s.Kind != "fan" || len(params.Returns) == 0 {
			continue
		}
		if ends[s.Name] != pipeline.Succeeded { // nothing is returned, and those who need each of it need it
			continue
		}
		for i := range stages {
			stages[i] = stages[i].WithReturned(s.Name, params.Returns, registry)
		}
		stages = append(slices.Clone(params.Returns), stages...)
	}
	return ends
}

func paramsOf(s pipeline.Stage) actParams {
	var p actParams
	if err := json.Unmarshal(s.Params, &p); err != nil {
		panic(err)
	}
	return p
}

func foretell(s pipeline.Stage, ends map[string]string) string {
	goes := policies(s)
	for _, up := range s.Upstream() {
		if ends[up] != pipeline.Succeeded && goes[up] != pipeline.GoOn && !s.Always {
			return pipeline.Skipped
		}
	}
	p, attempts := paramsOf(s), 1
	if s.Retry != nil {
		attempts = max(1, s.Retry.Attempts)
	}
	switch {
	case p.Bad, p.Failures >= attempts:
		return pipeline.Failed
	case p.Skip:
		return pipeline.Skipped
	}
	return pipeline.Succeeded
}

// Random plans run by two workers end as they must, within the bounds of their pools, and so do their retries.
func TestRandomPlans(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	conn, err := StartEmbedded(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	a := &actor{}
	registry, err := pipeline.NewRegistry(nil, a.kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, conn: conn, config: Config{Conn: conn, Registry: registry}}
	if b.client, err = NewClient(b.config); err != nil {
		t.Fatal(err)
	}
	if err := b.client.SetPool(ctx, "few", poolLimit); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.worker(WorkerOptions{Concurrency: 3, Memory: 2 << 20})
	}
	rapid.Check(t, func(t *rapid.T) {
		p := drawActs(t)
		if err := p.Validate(registry); err != nil {
			t.Skip(err) // a stage that returned ones and its pool may not go together
		}
		want := foretold(p, registry)
		id, err := b.client.Submit(ctx, Request{Plan: p})
		if err != nil {
			t.Fatal(err)
		}
		r := b.played(t, ctx, id, want)
		if r.Status == pipeline.Succeeded || one(t, 2) {
			return
		}
		mode := rapid.SampledFrom([]RetryMode{RetryAll, RetryFailed, RetryFailedDownstream}).Draw(t, "mode")
		again, err := b.client.Retry(ctx, id, mode, Request{})
		if err != nil {
			t.Fatalf("retry of %s: %v", mode, err)
		}
		b.played(t, ctx, again, want)
	})
	if n := a.most.Load(); n > poolLimit {
		t.Errorf("%d stages of the pool ran at a time, at most %d may", n, poolLimit)
	}
}

// played waits for the end of a run and compares it with what was foretold.
func (b *bench) played(t *rapid.T, ctx context.Context, id string, want map[string]string) *pipeline.RunRecord {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := b.client.Signal(ctx, id, "go"); err != nil && pipeline.AsError(err).Class != pipeline.ClassUsage { // it may be over
		t.Fatalf("signal: %v", err)
	}
	watched := b.client.Watch(ctx, id, "", func(pipeline.Event) error { return nil })
	r, err := b.client.Record(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(r.Stages)
	if watched != nil {
		t.Fatalf("the run does not end: %v\n%s", watched, text)
	}
	if len(r.Stages) != len(want) {
		t.Fatalf("%d stages, want %d\n%s", len(r.Stages), len(want), text)
	}
	for _, s := range r.Stages {
		if s.Status != want[s.Name] {
			t.Fatalf("stage %s is %s, want %s: %s %+v\n%s", s.Name, s.Status, want[s.Name], s.SkipReason, s.Error, text)
		}
	}
	return r
}
