// Command order asks two shops for their prices at the same time, buys at the better one and tells the customer; what was
// reserved is released in the end, whatever happened. It all runs in this process, or with -redis URL on a Redis.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"slices"

	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

type price struct{ Cents int }

func ask(_ context.Context, _ *pipeline.Call, p price, _ struct{}) (price, error) { return p, nil }

func buy(_ context.Context, _ *pipeline.Call, _ struct{}, in struct{ Cents []int }) (price, error) {
	return price{slices.Min(in.Cents)}, nil
}

func tell(_ context.Context, _ *pipeline.Call, _ struct{}, in price) (out struct{}, err error) {
	_, err = fmt.Println("bought for", in.Cents, "cents")
	return out, err
}

func release(_ context.Context, _ *pipeline.Call, _, _ struct{}) (out struct{}, err error) {
	_, err = fmt.Println("released what was reserved")
	return out, err
}

func main() {
	url := flag.String("redis", "", "URL of a Redis; empty: one in this process")
	flag.Parse()
	ctx, stop := context.WithCancel(context.Background())
	registry := must(pipeline.NewRegistry(nil, pipeline.Typed("ask", ask), pipeline.Typed("buy", buy, pipeline.NeverCache),
		pipeline.Typed("tell", tell, pipeline.NeverCache), pipeline.Typed("release", release, pipeline.NeverCache)))
	cents := func(of string) pipeline.Need { return pipeline.Need{Role: "cents", Stage: of, Output: "cents"} }
	plan := must(pipeline.NewPlan(registry,
		pipeline.Stage{Name: "north", Kind: "ask", Params: []byte(`{"Cents": 1299}`)},
		pipeline.Stage{Name: "south", Kind: "ask", Params: []byte(`{"Cents": 1099}`)},
		pipeline.Stage{Name: "buy", Kind: "buy", Needs: []pipeline.Need{cents("north"), cents("south")}},
		pipeline.Stage{Name: "tell", Kind: "tell", Needs: []pipeline.Need{cents("buy")}},
		pipeline.Stage{Name: "release", Kind: "release", Needs: []pipeline.Need{{Stage: "tell"}}, Always: true}))
	config := tasks.Config{Conn: must(tasks.Connect(ctx, *url)), Registry: registry}
	worker, client := must(tasks.NewWorker(config, tasks.WorkerOptions{})), must(tasks.NewClient(config))
	id := must(client.Submit(ctx, tasks.Request{Plan: plan}))
	go func() { defer stop(); fmt.Println("order", must(client.Wait(ctx, id)).Status) }()
	must(id, worker.Run(ctx))
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
