package tasks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/hashline/hashline/pipeline"
)

// modelKinds are the kinds of the plans that TestModel draws. Nothing of them is ever run.
func modelKinds() []pipeline.Kind {
	in := []pipeline.InputSpec{{Role: "in", Many: true, Optional: true}}
	run := func(context.Context, *pipeline.Call) error { return errors.New("it is not run") }
	return []pipeline.Kind{{Name: "text", Inputs: in, Outputs: outText, Run: run}, {Name: "fan", Inputs: in, Outputs: outText, Expands: true, Run: run}}
}

// drawPlan draws a plan of few stages with all that a plan may say.
func drawPlan(t *rapid.T) *pipeline.Plan {
	p := &pipeline.Plan{Schema: pipeline.PlanSchema2, Seed: 1}
	for i := range rapid.IntRange(1, 7).Draw(t, "stages") {
		p.Stages = append(p.Stages, drawStage(t, string(rune('a'+i)), p.Stages, true))
	}
	return p
}

// drawStage draws a stage that may need earlier ones.
func drawStage(t *rapid.T, name string, earlier []pipeline.Stage, mayExpand bool) pipeline.Stage {
	s := pipeline.Stage{Name: name, Kind: "text", Always: one(t, 8)}
	if mayExpand && one(t, 5) {
		s.Kind = "fan"
	}
	for _, up := range earlier {
		if !one(t, 2) {
			continue
		}
		n := pipeline.Need{Role: "in", Stage: up.Name, Output: "out", OnFailure: rapid.SampledFrom([]string{"", "", "", pipeline.GoOn, pipeline.FailRun}).Draw(t, "policy")}
		if up.Kind == "fan" && one(t, 2) {
			n.Each = true
		}
		if one(t, 6) {
			n.Role, n.Output = "", ""
		}
		s.Needs = append(s.Needs, n)
	}
	if one(t, 4) {
		s.Retry = &pipeline.Retry{Attempts: rapid.IntRange(1, 3).Draw(t, "attempts")}
		if one(t, 2) {
			s.Retry.Backoff, s.Retry.Factor, s.Retry.Max = pipeline.Duration(10*time.Second), 3, pipeline.Duration(time.Minute)
		}
	}
	if one(t, 6) {
		s.Wait = &pipeline.Wait{Delay: pipeline.Duration(time.Minute)}
	}
	if one(t, 6) {
		if s.Wait == nil {
			s.Wait = &pipeline.Wait{}
		}
		s.Wait.Signal = rapid.SampledFrom([]string{"x", "y"}).Draw(t, "signal")
	}
	if one(t, 8) {
		s.Pool = "few"
	}
	if one(t, 10) {
		s.Memory = 1 << 20
	}
	return s
}

// one is true once in n times.
func one(t *rapid.T, n int) bool { return rapid.IntRange(1, n).Draw(t, "one in") == n }

// drawChildren draws what a stage returns: stages that may need each other, it, and what lies upstream of it.
func drawChildren(t *rapid.T, parent pipeline.Stage, upstream []pipeline.Stage) []pipeline.Stage {
	children := []pipeline.Stage{}
	for i := range rapid.IntRange(0, 3).Draw(t, "children") {
		earlier := append([]pipeline.Stage{{Name: parent.Name, Kind: "text"}}, children...)
		for _, up := range upstream { // as outputs, not each of what they returned
			earlier = append(earlier, pipeline.Stage{Name: up.Name, Kind: "text"})
		}
		children = append(children, drawStage(t, fmt.Sprintf("%s:%d", parent.Name, i), earlier, false))
	}
	return children
}
