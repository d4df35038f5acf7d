package tasks_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

type greetParams struct {
	Name string `json:"name"`
}

// greet writes a greeting.
func greet(_ context.Context, c *pipeline.Call) error {
	w, err := c.Create("text")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, "hello, "+c.Params.(*greetParams).Name)
	return err
}

// join writes its inputs, in capitals.
func join(_ context.Context, c *pipeline.Call) error {
	blobs, err := c.Inputs("text")
	if err != nil {
		return err
	}
	var parts []string
	for _, b := range blobs {
		text, err := io.ReadAll(b)
		if err != nil {
			return err
		}
		parts = append(parts, strings.ToUpper(string(text)))
	}
	w, err := c.Create("text")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, strings.Join(parts, " and "))
	return err
}

// A program of its own kinds runs a plan of three stages: two greetings, and one stage that needs both. The second run
// of the same plan finds everything in the store.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	text := []pipeline.OutputSpec{{Name: "text", Class: pipeline.Result, MediaType: "text/plain"}}
	registry, err := pipeline.NewRegistry(nil, // nil: the kinds are known by the digest of the program
		pipeline.Kind{Name: "greet", Outputs: text, Params: func() any { return &greetParams{} }, Run: greet},
		pipeline.Kind{Name: "join", Outputs: text, Inputs: []pipeline.InputSpec{{Role: "text", Many: true}}, Run: join},
	)
	if err != nil {
		log.Fatal(err)
	}
	store, err := artifact.Open(ctx, dir)
	if err != nil {
		log.Fatal(err)
	}
	conn, err := tasks.StartEmbedded(ctx) // or tasks.Dial(ctx, "redis://localhost:6379/0"), and workers anywhere
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	config := tasks.Config{Conn: conn, Store: store, Registry: registry}
	worker, err := tasks.NewWorker(config, tasks.WorkerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	client, err := tasks.NewClient(config)
	if err != nil {
		log.Fatal(err)
	}

	plan := &pipeline.Plan{Schema: pipeline.PlanSchema, Stages: []pipeline.Stage{
		{Name: "ann", Kind: "greet", Params: []byte(`{"name":"Ann"}`)},
		{Name: "bob", Kind: "greet", Params: []byte(`{"name":"Bob"}`)},
		{Name: "both", Kind: "join", Needs: []pipeline.Need{
			{Role: "text", Stage: "ann", Output: "text"},
			{Role: "text", Stage: "bob", Output: "text"},
		}},
	}}
	if err := plan.Validate(registry); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		id, err := client.Submit(ctx, tasks.Request{Plan: plan})
		if err != nil {
			log.Fatal(err)
		}
		if err := client.Watch(ctx, id, "", func(pipeline.Event) error { return nil }); err != nil {
			log.Fatal(err)
		}
		record, err := client.Record(ctx, id)
		if err != nil {
			log.Fatal(err)
		}
		for _, s := range record.Stages {
			text, err := store.ReadAll(ctx, s.Outputs[0].Ref)
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("%s %s: %s\n", s.Name, s.Cache, text)
		}
	}
	stop()
	if err := <-done; err != nil {
		log.Fatal(err)
	}
	// Output:
	// ann miss: hello, Ann
	// bob miss: hello, Bob
	// both miss: HELLO, ANN and HELLO, BOB
	// ann hit: hello, Ann
	// bob hit: hello, Bob
	// both hit: HELLO, ANN and HELLO, BOB
}
