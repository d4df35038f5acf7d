package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

// name is a parameter and an output; greeting joins names.
type name struct{ Name string }
type greeting struct{ Text string }

// newConfig is what the worker and whoever submits plans share: the program's connection, a queue, the kinds of stages.
func newConfig(client redis.UniversalClient) (tasks.Config, error) {
	conn, err := tasks.NewConn(client, tasks.WithPrefix("office"))
	if err != nil {
		return tasks.Config{}, err
	}
	registry, err := pipeline.NewRegistry(nil,
		pipeline.Typed("find", func(_ context.Context, _ *pipeline.Call, p name, _ struct{}) (name, error) { return p, nil }),
		pipeline.Typed("greet", func(_ context.Context, _ *pipeline.Call, _ struct{}, in struct{ Name []string }) (greeting, error) {
			return greeting{"hello, " + strings.Join(in.Name, " and ")}, nil
		}))
	return tasks.Config{Conn: conn, Registry: registry, Queue: "plans"}, err
}

// greet runs a plan and returns what its last stage gave.
func greet(ctx context.Context, config tasks.Config) (text string, err error) {
	plan, err := pipeline.NewPlan(config.Registry,
		pipeline.Stage{Name: "ann", Kind: "find", Params: []byte(`{"Name": "Ann"}`)},
		pipeline.Stage{Name: "bob", Kind: "find", Params: []byte(`{"Name": "Bob"}`)},
		pipeline.Stage{Name: "both", Kind: "greet", Needs: []pipeline.Need{
			{Role: "name", Stage: "ann", Output: "name"},
			{Role: "name", Stage: "bob", Output: "name"},
		}})
	if err != nil {
		return "", err
	}
	client, err := tasks.NewClient(config)
	if err != nil {
		return "", err
	}
	id, err := client.Submit(ctx, tasks.Request{Plan: plan, Name: "greeting"})
	if err != nil {
		return "", err
	}
	record, err := client.Wait(ctx, id)
	if err != nil {
		return "", err
	}
	if record.Error != nil {
		return "", fmt.Errorf("run %s: %w", id, record.Error)
	}
	err = client.Output(ctx, record, "both", "text", &text)
	return text, err
}
