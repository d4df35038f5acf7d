// Command mount is a program that has an asynq server already, for mail, and lets it run the stages of plans too: with its own
// client of Redis, its own mux and its own queues.
//
//	go run ./mount                                    a Redis in this process
//	go run ./mount -redis redis://localhost:6379/0
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/tasks"
)

func main() {
	url := flag.String("redis", "", "URL of a Redis; empty: one in this process")
	flag.Parse()
	if err := run(context.Background(), *url); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url string) error {
	// What the program had before: a client of Redis, and a server with a mux, by which mail is sent.
	client, err := dial(ctx, url)
	if err != nil {
		return err
	}
	defer client.Close()
	mail := asynq.NewClientFromRedisClient(client)
	mux := asynq.NewServeMux()
	sent := make(chan string, 1)
	mux.HandleFunc("mail:send", func(_ context.Context, t *asynq.Task) error {
		sent <- string(t.Payload())
		return nil
	})

	// What is new: a worker of plans on the same client, mounted in the mux under its type of tasks.
	config, err := newConfig(client)
	if err != nil {
		return err
	}
	worker, err := tasks.NewWorker(config, tasks.WorkerOptions{Concurrency: 4})
	if err != nil {
		return err
	}
	mux.Handle(tasks.TaskType, worker)
	server := asynq.NewServerFromRedisClient(client, asynq.Config{
		Queues:            map[string]int{"mail": 1, config.Queue: 1},
		Concurrency:       5,                     // those of the worker, and one for mail
		TaskCheckInterval: 50 * time.Millisecond, // what a stage may wait for an idle server; asynq's own is a second
		IsFailure:         tasks.IsFailure,       // a stage that is handed to another worker has not failed
		RetryDelayFunc:    tasks.RetryDelay,
		LogLevel:          asynq.ErrorLevel,
	})
	if err := server.Start(mux); err != nil {
		return err
	}
	defer server.Shutdown()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- worker.Serve(serving) }() // heartbeats, and what dead workers left behind

	if _, err := mail.EnqueueContext(ctx, asynq.NewTask("mail:send", []byte("a letter")), asynq.Queue("mail")); err != nil {
		return err
	}
	greeting, err := greet(ctx, config)
	if err != nil {
		return err
	}
	fmt.Println("the plan says", greeting)
	fmt.Println("mail took", <-sent)

	// The end: no more is taken, stages end or are handed to other workers, and then the server shuts down.
	server.Stop()
	stop()
	return <-served
}

// dial makes the program's client.
func dial(ctx context.Context, url string) (redis.UniversalClient, error) {
	if url != "" {
		options, err := redis.ParseURL(url)
		if err != nil {
			return nil, err
		}
		return redis.NewClient(options), nil
	}
	embedded, err := tasks.StartEmbedded(ctx) // it ends with the process
	if err != nil {
		return nil, err
	}
	return embedded.AsynqOptions().MakeRedisClient().(redis.UniversalClient), nil
}
