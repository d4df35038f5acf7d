// Package tasks runs plans on a Redis queue, exactly once in effect.
//
// asynq delivers at least once and knows no dependencies, so the state of a run stands beside it: one family of keys
// with the run's id as hash tag, changed only by the Lua scripts of this package. A stage becomes ready in the state
// first, with an entry in the run's outbox; then the outbox is drained to asynq under the task id run:stage:attempt. A
// worker claims the attempt, runs the stage, and finishes it: the first commit wins, decrements what its successors wait
// for, and closes the run with its last stage. Whoever closes it stores the record and the events, then says so.
//
// Whoever dies in between is found by the reconciler of any other worker of the same store: every worker keeps a
// heartbeat that lists its attempts, and an attempt whose worker is gone is handed out under the next number, so that
// late effects of the old one find the door closed.
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
// What becomes of an attempt that does not succeed:
//
//	bad input                      the stage fails at once, whatever the run allows
//	another error, or a panic      it fails, unless Request.Attempts allows more
//	the store does not answer      it is tried three times, a little later each time
//	an input is damaged or gone    the stage that made it runs again, three times at most; an input of the run fails it
//	its worker dies                another worker takes it within seconds; the third death fails it, after a last try alone
//	its worker is told to stop     another worker takes it when the time of grace is over
//	the run is canceled            it is told to stop within milliseconds
//
// A failed stage skips what needs it; other branches go on. A worker that has another store, or lacks a kind, hands a
// task back without using up an attempt, and the run's events say so.
//
// The truth about data is the store: losing Redis costs a new submission, which finds every finished stage there. Who
// watches a run is told when Redis has lost it, and when it is over but its record cannot be stored. The
// state of a run goes a week after its end.
//
// Redis must be 6.2 or later, or Valkey, with maxmemory-policy noeviction: one server, Sentinels or a Cluster, see Dial. A script
// touches the keys of one run, or of one queue, alone; what lies on several servers of a Cluster is put right by the reconciler,
// which takes their clocks to agree within a second. Where there are replicas, Submit returns when one has the run, or says
// in the log that none had it within a second. What else a failover loses is done again.
//
// It is the only package that imports asynq and go-redis.
package tasks
