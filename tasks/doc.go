// Package tasks runs plans on a Redis queue, exactly once in effect.
//
// asynq delivers at least once and knows no dependencies, so the state of a run stands beside it: one family of keys
// with the run's id as hash tag, changed only by the Lua scripts of this package. A stage becomes ready in the state
// first, with an entry in the run's outbox; then the outbox is drained to asynq under the task id run:stage:attempt. A
// worker claims the attempt, runs the stage, and finishes it: the first commit wins, decrements what its successors wait
// for, and closes the run with its last stage. Whoever dies in between is found by the reconciler of any other worker:
// every worker keeps a heartbeat that lists its attempts, and an attempt whose worker is gone is handed out under the
// next number, so that late effects of the old one find the door closed.
//
//	conn, err := tasks.Dial(ctx, "redis://localhost:6379/0")   // or tasks.StartEmbedded(ctx)
//	config := tasks.Config{Conn: conn, Store: store, Registry: registry}
//	worker, err := tasks.NewWorker(config, tasks.WorkerOptions{})
//	go worker.Run(ctx)
//	client, err := tasks.NewClient(config)
//	id, err := client.Submit(ctx, tasks.Request{Plan: plan})
//	err = client.Watch(ctx, id, "", func(e pipeline.Event) error { return nil })
//	record, err := client.Record(ctx, id)
//
// The truth about data is the store: losing Redis costs a new submission, which finds every finished stage there.
//
// It is the only package that imports asynq and go-redis.
package tasks
