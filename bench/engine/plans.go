package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/hashline/hashline/pipeline"
)

// pauseParams say how long a stage lasts.
type pauseParams struct {
	Millis int `json:"millis"`
}

// kinds returns the kinds of the benchmarks: a stage that does nothing but give two bytes, and one that lasts.
func kinds() []pipeline.Kind {
	in := []pipeline.InputSpec{{Role: "in", Many: true, Optional: true}}
	out := []pipeline.OutputSpec{{Name: "out", Class: pipeline.Result, MediaType: "text/plain"}}
	give := func(c *pipeline.Call) error {
		w, err := c.Create("out")
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, "ok")
		return err
	}
	return []pipeline.Kind{
		{Name: "noop", NeverCache: true, Inline: true, Inputs: in, Outputs: out, Run: func(_ context.Context, c *pipeline.Call) error { return give(c) }},
		{Name: "pause", NeverCache: true, Inline: true, Inputs: in, Outputs: out, Params: func() any { return &pauseParams{} }, Run: func(ctx context.Context, c *pipeline.Call) error {
			if err := last(ctx, time.Duration(c.Params.(*pauseParams).Millis)*time.Millisecond); err != nil {
				return err
			}
			return give(c)
		}},
	}
}

// last waits as long as a stage is to last; none is none.
func last(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// step returns a stage; a pause of no time is a no-op.
func step(name string, pause time.Duration, needs ...string) pipeline.Stage {
	s := pipeline.Stage{Name: name, Kind: "noop"}
	if pause > 0 {
		s.Kind, s.Params = "pause", json.RawMessage(fmt.Sprintf(`{"millis":%d}`, pause.Milliseconds()))
	}
	for _, n := range needs {
		s.Needs = append(s.Needs, pipeline.Need{Role: "in", Stage: n, Output: "out"})
	}
	return s
}

// planOf validates stages as a plan.
func planOf(stages ...pipeline.Stage) (*pipeline.Plan, error) {
	registry, err := pipeline.NewRegistry(nil, kinds()...)
	if err != nil {
		return nil, err
	}
	p := &pipeline.Plan{Schema: pipeline.PlanSchema, Seed: 1, Stages: stages}
	return p, p.Validate(registry)
}

// nine is a graph of nine stages in five levels: 1, 3, 3, 1, 1.
func nine(pause time.Duration) (*pipeline.Plan, error) {
	stages := []pipeline.Stage{step("a", pause)}
	var last []string
	for i := range 3 {
		b, c := fmt.Sprintf("b%d", i), fmt.Sprintf("c%d", i)
		stages = append(stages, step(b, pause, "a"), step(c, pause, b))
		last = append(last, c)
	}
	return planOf(append(stages, step("d", pause, last...), step("e", pause, "d"))...)
}

// chain is n stages in a row.
func chain(n int, pause time.Duration) (*pipeline.Plan, error) {
	stages := []pipeline.Stage{step("s0", pause)}
	for i := 1; i < n; i++ {
		stages = append(stages, step(fmt.Sprintf("s%d", i), pause, fmt.Sprintf("s%d", i-1)))
	}
	return planOf(stages...)
}

// fan is n stages: one, then all but two at once, then one that needs them all.
func fan(n int, pause time.Duration) (*pipeline.Plan, error) {
	stages := []pipeline.Stage{step("first", pause)}
	var middle []string
	for i := range n - 2 {
		name := fmt.Sprintf("m%d", i)
		middle = append(middle, name)
		stages = append(stages, step(name, pause, "first"))
	}
	return planOf(append(stages, step("last", pause, middle...))...)
}
