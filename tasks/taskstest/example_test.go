package taskstest_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
	"github.com/hashline/hashline/tasks/taskstest"
)

type word struct{ Word string }
type phrase struct{ Phrase string }

// kinds of a program: say gives a word, join makes a phrase of words.
func kinds() (*pipeline.Registry, error) {
	return pipeline.NewRegistry(nil,
		pipeline.Typed("say", func(_ context.Context, _ *pipeline.Call, p word, _ struct{}) (word, error) { return p, nil }),
		pipeline.Typed("join", func(_ context.Context, _ *pipeline.Call, _ struct{}, in struct{ Word []string }) (phrase, error) {
			return phrase{strings.Join(in.Word, " ")}, nil
		}))
}

// The plan of a program, which its test runs.
func Example() {
	t := newT() // in a test: its *testing.T
	defer t.end()
	registry, err := kinds()
	if err != nil {
		t.Fatal(err)
	}
	result := taskstest.Run(t, registry,
		pipeline.Stage{Name: "first", Kind: "say", Params: []byte(`{"Word": "well"}`)},
		pipeline.Stage{Name: "second", Kind: "say", Params: []byte(`{"Word": "done"}`)},
		pipeline.Stage{Name: "both", Kind: "join", Needs: []pipeline.Need{
			{Role: "word", Stage: "first", Output: "word"},
			{Role: "word", Stage: "second", Output: "word"},
		}})
	result.Succeeded()
	fmt.Println(taskstest.Output[string](result, "both", "phrase"))
	fmt.Println(result.Types("both"))
	// Output:
	// well done
	// [STEP_START STEP_INPUT STEP_OUTPUT STEP_SUCCESS]
}

// What happens while a run is under way: a stage waits for an approval, which the test gives when the other one is done.
func ExampleHarness() {
	t := newT() // in a test: its *testing.T
	defer t.end()
	registry, err := kinds()
	if err != nil {
		t.Fatal(err)
	}
	h := taskstest.New(t, tasks.Config{Registry: registry})
	run := h.Submit(tasks.Request{Name: "release"},
		pipeline.Stage{Name: "build", Kind: "say", Params: []byte(`{"Word": "built"}`)},
		pipeline.Stage{Name: "ship", Kind: "join", Needs: []pipeline.Need{{Role: "word", Stage: "build", Output: "word"}}, Wait: &pipeline.Wait{Signal: "approved"}},
	)
	h.Await(run, pipeline.StepSuccess, "build")
	if err := h.Client.Signal(context.Background(), run, "approved"); err != nil {
		t.Fatal(err)
	}
	result := h.Wait(run)
	fmt.Println(result.Statuses())
	// Output:
	// map[build:SUCCEEDED ship:SUCCEEDED]
}
