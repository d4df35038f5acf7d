package tasks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

// start starts a worker of the kinds on a Redis in this process, and returns a client and how to end both.
func start(config tasks.Config, kinds ...pipeline.Kind) (client *tasks.Client, r *pipeline.Registry, end func()) {
	ctx, stop := context.WithCancel(context.Background())
	config.Conn = must(tasks.StartEmbedded(ctx))
	config.Registry = must(pipeline.NewRegistry(nil, kinds...))
	worker := must(tasks.NewWorker(config, tasks.WorkerOptions{}))
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	return must(tasks.NewClient(config)), config.Registry, func() {
		stop()
		check(errors.Join(<-done, config.Conn.Close()))
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// submit submits a plan of the stages.
func submit(client *tasks.Client, r *pipeline.Registry, stages ...pipeline.Stage) (run string) {
	plan := must(pipeline.NewPlan(r, stages...))
	return must(client.Submit(context.Background(), tasks.Request{Plan: plan}))
}

// from is a need of an output, for the role of that name.
func from(stage, output string) pipeline.Need {
	return pipeline.Need{Role: output, Stage: stage, Output: output}
}

// show prints the record of a run when it is over.
func show(client *tasks.Client, run string) *pipeline.RunRecord {
	record := must(client.Wait(context.Background(), run))
	fmt.Println("run", record.Status)
	for _, s := range record.Stages {
		fmt.Println(strings.TrimRight("  "+s.Name+" "+s.Status+" "+s.SkipReason, " "))
	}
	return record
}

type number struct{ N int }

// Kinds of this file's plans: give a number, and add numbers up.
var (
	give = pipeline.Typed("give", func(_ context.Context, _ *pipeline.Call, p number, _ struct{}) (number, error) { return p, nil })
	add  = pipeline.Typed("add", func(_ context.Context, _ *pipeline.Call, _ struct{}, in struct{ N []int }) (number, error) {
		var sum number
		for _, n := range in.N {
			sum.N += n
		}
		return sum, nil
	})
)

// Small results need no store: they travel with the state of the run. A watcher is told what happens as it happens.
func Example_withoutStore() {
	client, registry, end := start(tasks.Config{}, give, add)
	defer end()
	ctx := context.Background()
	run := submit(client, registry,
		pipeline.Stage{Name: "two", Kind: "give", Params: []byte(`{"N": 2}`)},
		pipeline.Stage{Name: "double", Kind: "add", Needs: []pipeline.Need{from("two", "n"), from("two", "n")}})
	check(client.Watch(ctx, run, "", func(e pipeline.Event) error {
		fmt.Println(strings.TrimSpace(e.Type + " " + e.Stage))
		return nil
	}))
	record := must(client.Record(ctx, run))
	var n int
	check(client.Output(ctx, record, "double", "n", &n))
	fmt.Println(record.Status, n)
	// Output:
	// RUN_ENQUEUED
	// RUN_START
	// STEP_START two
	// STEP_OUTPUT two
	// STEP_SUCCESS two
	// STEP_START double
	// STEP_INPUT double
	// STEP_OUTPUT double
	// STEP_SUCCESS double
	// RUN_SUCCESS
	// SUCCEEDED 4
}

// A stage returns as many stages as it finds work for, and another needs each of them.
func Example_fanOut() {
	split := pipeline.Typed("split", func(_ context.Context, c *pipeline.Call, p struct{ Text string }, _ struct{}) (out struct{}, err error) {
		for i, word := range strings.Fields(p.Text) {
			params, err := json.Marshal(number{len(word)})
			if err != nil {
				return out, err
			}
			if err := c.Expand(pipeline.Stage{Name: c.Stage + ":" + strconv.Itoa(i), Kind: "give", Params: params}); err != nil {
				return out, err
			}
		}
		return out, nil
	}, pipeline.Expands)
	client, registry, end := start(tasks.Config{}, split, give, add)
	defer end()
	each := from("words", "n")
	each.Each = true
	record := show(client, submit(client, registry,
		pipeline.Stage{Name: "words", Kind: "split", Params: []byte(`{"Text": "the quick brown fox"}`)},
		pipeline.Stage{Name: "letters", Kind: "add", Needs: []pipeline.Need{each}}))
	var n int
	check(client.Output(context.Background(), record, "letters", "n", &n))
	fmt.Println(n, "letters")
	// Output:
	// run SUCCEEDED
	//   words SUCCEEDED
	//   letters SUCCEEDED
	//   words:0 SUCCEEDED
	//   words:1 SUCCEEDED
	//   words:2 SUCCEEDED
	//   words:3 SUCCEEDED
	// 16 letters
}

// A cancel reaches the context of a stage that runs. What is pending is canceled; what is Always runs all the same.
func ExampleClient_Cancel() {
	dig := pipeline.Typed("dig", func(ctx context.Context, _ *pipeline.Call, _, _ struct{}) (out struct{}, err error) {
		<-ctx.Done()
		return out, context.Cause(ctx)
	})
	nothing := pipeline.Typed("nothing", func(context.Context, *pipeline.Call, struct{}, struct{}) (out struct{}, err error) { return })
	client, registry, end := start(tasks.Config{}, dig, nothing)
	defer end()
	ctx := context.Background()
	run := submit(client, registry,
		pipeline.Stage{Name: "dig", Kind: "dig"},
		pipeline.Stage{Name: "plant", Kind: "nothing", Needs: []pipeline.Need{{Stage: "dig"}}},
		pipeline.Stage{Name: "clean", Kind: "nothing", Needs: []pipeline.Need{{Stage: "plant"}}, Always: true})
	check(client.Watch(ctx, run, "", func(e pipeline.Event) error {
		if e.Type == pipeline.StepStart && e.Stage == "dig" {
			return client.Cancel(ctx, run, "it rains")
		}
		return nil
	}))
	record := show(client, run)
	fmt.Println(record.Error)
	// Output:
	// run CANCELED
	//   dig CANCELED
	//   plant CANCELED it rains
	//   clean SUCCEEDED
	// the run was canceled: it rains
}

// A retry is a new run that takes over what succeeded: nobody is charged twice.
func ExampleClient_Retry() {
	charge := pipeline.Typed("charge", func(context.Context, *pipeline.Call, struct{}, struct{}) (number, error) {
		fmt.Println("charged")
		return number{1}, nil
	}, pipeline.NeverCache)
	var broken atomic.Bool
	ship := pipeline.Typed("ship", func(_ context.Context, _ *pipeline.Call, _ struct{}, in number) (number, error) {
		if broken.Load() {
			return number{}, pipeline.Permanent(errors.New("the van broke down"))
		}
		return in, nil
	}, pipeline.NeverCache)
	client, registry, end := start(tasks.Config{}, charge, ship)
	defer end()
	broken.Store(true)
	run := submit(client, registry,
		pipeline.Stage{Name: "charge", Kind: "charge"},
		pipeline.Stage{Name: "ship", Kind: "ship", Needs: []pipeline.Need{from("charge", "n")}})
	fmt.Println(show(client, run).Error)
	broken.Store(false)
	again := must(client.Retry(context.Background(), run, tasks.RetryFailedDownstream, tasks.Request{}))
	fmt.Println(show(client, again).Parent == run)
	// Output:
	// charged
	// run FAILED
	//   charge SUCCEEDED
	//   ship FAILED
	// the van broke down
	// run SUCCEEDED
	//   charge SUCCEEDED
	//   ship SUCCEEDED
	// true
}

// A stage may wait for somebody's approval.
func ExampleClient_Signal() {
	client, registry, end := start(tasks.Config{}, give, add)
	defer end()
	ctx := context.Background()
	run := submit(client, registry,
		pipeline.Stage{Name: "draft", Kind: "give", Params: []byte(`{"N": 1}`)},
		pipeline.Stage{Name: "publish", Kind: "add", Needs: []pipeline.Need{from("draft", "n")}, Wait: &pipeline.Wait{Signal: "approved"}})
	check(client.Watch(ctx, run, "", func(e pipeline.Event) error {
		if e.Type != pipeline.StepSuccess || e.Stage != "draft" {
			return nil
		}
		record, err := client.Record(ctx, run)
		if err != nil {
			return err
		}
		publish, _ := record.Stage("publish")
		fmt.Println(publish.Status, publish.WaitReason)
		return client.Signal(ctx, run, "approved")
	}))
	show(client, run)
	// Output:
	// WAITING waits for the signal approved
	// run SUCCEEDED
	//   draft SUCCEEDED
	//   publish SUCCEEDED
}

// Middleware goes around every stage function, as for tracing.
func Example_middleware() {
	trace := func(next pipeline.Handler) pipeline.Handler {
		return func(ctx context.Context, c *pipeline.Call) error {
			err := next(ctx, c)
			fmt.Println("called", c.Stage, "attempt", c.Attempt, "error", err)
			return err
		}
	}
	var calls atomic.Int32
	flaky := pipeline.Typed("flaky", func(context.Context, *pipeline.Call, struct{}, struct{}) (number, error) {
		if calls.Add(1) == 1 {
			return number{}, errors.New("not today")
		}
		return number{1}, nil
	})
	client, registry, end := start(tasks.Config{Middleware: []pipeline.Middleware{trace}}, flaky)
	defer end()
	show(client, submit(client, registry, pipeline.Stage{Name: "flaky", Kind: "flaky", Retry: &pipeline.Retry{Attempts: 2}}))
	// Output:
	// called flaky attempt 1 error not today
	// called flaky attempt 2 error <nil>
	// run SUCCEEDED
	//   flaky SUCCEEDED
}
