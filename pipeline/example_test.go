package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// countParams are the parameters of a stage that counts words.
type countParams struct {
	AtLeast int `json:"at_least"` // letters
}

// Defaults says what a plan may leave out.
func (p *countParams) Defaults() { p.AtLeast = 1 }

type text struct{ Text string }
type counted struct{ Words int }

// write gives a text; count counts its words.
var (
	write = pipeline.Typed("write", func(_ context.Context, c *pipeline.Call, p text, _ struct{}) (text, error) {
		c.Log.Info("writing", "letters", len(p.Text))
		return p, nil
	})
	count = pipeline.Typed("count", func(_ context.Context, c *pipeline.Call, p countParams, in text) (counted, error) {
		var out counted
		for word := range strings.FieldsSeq(in.Text) {
			if len(word) >= p.AtLeast {
				out.Words++
			}
		}
		return out, nil
	})
)

// walk executes the stages of a plan one after the other, as a worker does with those that are its turn. Package tasks runs
// plans on a queue, with retries, waits, pools and policies for failures.
func walk(x *pipeline.Executor, plan *pipeline.Plan) error {
	if err := plan.Validate(x.Registry); err != nil {
		return err
	}
	done := map[string][]artifact.Output{}
	outputs := func(stage string) ([]artifact.Output, bool) { o, ok := done[stage]; return o, ok }
	for _, stage := range plan.Stages {
		inputs, err := stage.Inputs(outputs)
		if err != nil {
			return err
		}
		out, err := x.Execute(context.Background(), stage, plan.Seed, inputs)
		if skipped, ok := errors.AsType[*pipeline.SkippedError](err); ok {
			fmt.Printf("%s: skipped, %s\n", stage.Name, skipped.Reason)
			continue
		}
		if err != nil {
			return err
		}
		done[stage.Name] = out.Outputs
		fmt.Printf("%s:", stage.Name)
		for _, o := range out.Outputs {
			fmt.Printf(" %s %s", o.Name, strings.TrimSpace(string(o.Inline)))
		}
		fmt.Println()
	}
	return nil
}

// Kinds of plain functions, a plan of them, and a stage that runs only when there is something to do.
func Example() {
	registry, err := pipeline.NewRegistry(nil, write, count)
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := pipeline.NewPlan(registry,
		pipeline.Stage{Name: "poem", Kind: "write", Params: json.RawMessage(`{"Text":"so much depends upon a red wheel barrow"}`)},
		pipeline.Stage{Name: "words", Kind: "count", Needs: []pipeline.Need{{Role: "text", Stage: "poem", Output: "text"}}},
		pipeline.Stage{Name: "long_words", Kind: "count", Params: json.RawMessage(`{"at_least":5}`), Needs: []pipeline.Need{{Role: "text", Stage: "poem", Output: "text"}},
			If: &pipeline.Condition{Stage: "words", Output: "words", Op: ">=", Value: json.RawMessage("100")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := walk(&pipeline.Executor{Registry: registry}, plan); err != nil {
		fmt.Println(err)
	}
	// Output:
	// poem: text "so much depends upon a red wheel barrow"
	// words: words 8
	// long_words: skipped, words.words is 8, not >= 100
}

// What is wrong with a plan is said before anything runs.
func ExampleNewPlan() {
	registry, err := pipeline.NewRegistry(nil, write, count)
	if err != nil {
		fmt.Println(err)
		return
	}
	poem := pipeline.Stage{Name: "poem", Kind: "write", Params: json.RawMessage(`{"Text":"so much depends"}`)}
	for _, words := range []pipeline.Stage{
		{Name: "words", Kind: "count", Needs: []pipeline.Need{{Role: "text", Stage: "poem", Output: "text"}}},
		{Name: "words", Kind: "count", Needs: []pipeline.Need{{Role: "text", Stage: "pome", Output: "text"}}},
		{Name: "words", Kind: "count", Needs: []pipeline.Need{{Role: "text", Stage: "poem", Output: "verse"}}},
		{Name: "words", Kind: "count"},
		{Name: "words", Kind: "count", Params: json.RawMessage(`{"atleast":5}`), Needs: []pipeline.Need{{Role: "text", Stage: "poem", Output: "text"}}},
	} {
		plan, err := pipeline.NewPlan(registry, poem, words)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%s with parameters %s\n", plan.Schema, plan.Stages[1].Params)
	}
	// Output:
	// hashline.plan/2 with parameters {"at_least":1}
	// plan: stage words: it needs "pome", which is no earlier stage
	// plan: stage words: stage poem has no output "verse"
	// plan: stage words: input text is missing
	// plan: stage words: parameters of kind count: json: unknown field "atleast"
}

// A stage that returns stages, as many as it finds work for. Whoever runs the plan adds them to the run, and spells out the
// needs of those that wait for each of them.
func Example_expand() {
	split := pipeline.Typed("split", func(_ context.Context, c *pipeline.Call, _ struct{}, in text) (struct{}, error) {
		for i, line := range strings.Split(in.Text, "/") {
			params, err := json.Marshal(text{line})
			if err != nil {
				return struct{}{}, err
			}
			if err := c.Expand(pipeline.Stage{Name: fmt.Sprintf("%s:%d", c.Stage, i), Kind: "write", Params: params}); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	}, pipeline.Expands)
	join := pipeline.Typed("join", func(_ context.Context, _ *pipeline.Call, _ struct{}, in struct{ Part []string }) (text, error) {
		return text{strings.Join(in.Part, " | ")}, nil
	})
	registry, err := pipeline.NewRegistry(nil, write, split, join)
	if err != nil {
		fmt.Println(err)
		return
	}
	x := &pipeline.Executor{Registry: registry}
	ctx := context.Background()
	parent := pipeline.Stage{Name: "lines", Kind: "split"}
	poem := []byte(`"glazed with rain/water/beside the white chickens"`)
	out, err := x.Execute(ctx, parent, 0, []pipeline.Input{{Role: "text", Ref: artifact.Ref{Digest: artifact.DigestOf(poem), Size: int64(len(poem))}, Inline: poem}})
	if err != nil {
		fmt.Println(err)
		return
	}
	returned, err := pipeline.ParseStages(out.Outputs[0].Inline)
	if err != nil {
		fmt.Println(err)
		return
	}
	all := pipeline.Stage{Name: "all", Kind: "join", Needs: []pipeline.Need{{Role: "part", Stage: "lines", Output: "text", Each: true}}}
	all = all.WithReturned("lines", returned, registry)
	fmt.Println(all.Upstream())
	all.Needs = all.Needs[1:] // the stage lines is not part of the plan here
	if err := walk(x, &pipeline.Plan{Schema: pipeline.PlanSchema2, Stages: append(returned, all)}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [lines lines:0 lines:1 lines:2]
	// lines:0: text "glazed with rain"
	// lines:1: text "water"
	// lines:2: text "beside the white chickens"
	// all: text "glazed with rain | water | beside the white chickens"
}
