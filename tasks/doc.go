// Package tasks runs plans on a Redis queue: DAG workflows on asynq, exactly once in effect.
//
//	conn, err := tasks.Dial(ctx, "redis://localhost:6379/0") // or NewConn with a client that there is, or StartEmbedded
//	config := tasks.Config{Conn: conn, Registry: registry}    // Store: for what is cached or large
//	worker, err := tasks.NewWorker(config, tasks.WorkerOptions{})
//	go worker.Run(ctx) // or Worker.Serve, mounted in an asynq server that there is
//	client, err := tasks.NewClient(config)
//	id, err := client.Submit(ctx, tasks.Request{Plan: plan})
//	record, err := client.Wait(ctx, id)
//	err = client.Output(ctx, record, "stage", "output", &value)
//
// Kinds, plans and what these can say are those of package [github.com/hashline/hashline/pipeline]; package taskstest runs
// plans in tests; the folder examples of the repository has whole programs.
//
// # How it works
//
// asynq delivers tasks at least once and knows no dependencies, so the state of a run stands beside it: a family of keys with
// the run's id as hash tag, changed by the Lua scripts of this package alone.
//
// A stage whose needs are met becomes ready in the state first, and stands in the outbox of its run. A release step keeps only
// about as many tasks in asynq as the live workers run at a time, by the priority of the runs, then a run after the other, as
// the pools allow. A task has the id run:stage:attempt and holds references only. A worker claims the attempt, runs the stage
// and finishes it, each in one script: the first commit wins, counts down what its successors wait for, and closes the run
// with its last stage. Whoever closes it stores record and events, and then announces the end.
//
// A worker goes on with a successor of a stage that it finished, and where its stages are short with as many as it has room for,
// without tasks of their own. So a task that asynq's monitor shows as active may be running a later stage of the same run than
// its id says, for a moment; [WorkerInfo] lists what runs.
//
// Never do more stages run on a worker than it has slots. Where slots become free each few milliseconds, a worker has a few tasks
// more, and a stage leaves its slot before its end is recorded, so that slots do not wait for Redis. A stage that finds no slot within
// 20 milliseconds goes to other workers, under the next number and uncharged.
//
// An idle worker asks asynq once in [Config].Poll and is woken through Redis when there is something for it. With
// [Worker.Serve] the server of the program asks, as often as its own TaskCheckInterval says.
//
// Every worker keeps a heartbeat that lists its attempts, and takes turns at reconciling what a crash, or somebody at asynq's
// monitor, left behind: attempts of workers that are gone, tasks that were deleted, archived or lost, leftover outboxes, waits
// and deadlines that are over, runs that closed without a record. A worker that dies is missed within 5 seconds. An attempt that
// is handed out again has the next number. Should the old one live after all, the first to succeed counts, and the failure of
// the old one counts for nothing.
//
// # What is promised
//
//	at least once   a stage function may be called more than once: after a crash, a failover, a stop in the middle
//	committed once  one outcome of a stage counts, with all its outputs or none; successors see that one alone
//	cached          a stage whose action is known is not called, if there is a Store and its kind is not NeverCache
//	single flight   two runs that need the same action at a time compute it once, as long as who computes lives
//	acknowledged    a run whose id Submit returned is not lost by crashes of workers, nor by a failover, where a replica has it
//
// A kind that is NeverCache for its side effects must bear being called again, as a payment with an idempotency key does; such
// a key can be made of Run and Stage of [pipeline.Call], which are the same for every attempt. The truth about data is the
// Store: losing Redis costs a new submission, which finds every finished stage there. Without a Store the run is in Redis
// alone, its outputs are of kinds that are Inline, and logs are not kept.
//
// # What becomes of an attempt that does not succeed
//
//	bad input, pipeline.Permanent    the stage fails, whatever its Retry allows
//	another error, a panic, timeout  it is tried again as Retry, else Request.Attempts allows; then it fails
//	pipeline.Skip                    the stage is skipped, which is no failure
//	the Store does not answer        it is tried three times, a little later each time
//	an input is damaged or gone      the stage that made it runs again, three times at most; an input of the run fails it
//	Redis does not answer            the outcome is kept and recorded when it does, for two minutes
//	its worker dies                  another takes it within seconds; after two deaths it runs alone on a worker, so that no neighbour is
//	                                 charged with the next; the second death while it runs alone fails it
//	its worker is told to stop       it may finish within WorkerOptions.Grace; then another worker takes it, uncharged
//	the run is canceled, or late     its context ends within milliseconds; one that is Always goes on
//
// A failed stage skips what needs it, unless the need says otherwise; other branches go on. A stage that heeds neither the end of
// its time, nor the cancellation of its run, nor the stop of its worker is given up 5 seconds later, while it still runs: it keeps
// its slot until it ends, and what it makes then counts for nothing.
//
// # Graphs and control
//
// Of what a plan can say (see package pipeline) this package carries out fan-out and fan-in, stages that return stages,
// conditions, delays and signals, cleanup, policies for failures, retries, timeouts, pools and memory. A [Request] adds
// [Request].Timeout, the deadline of the run, [Request].Priority, and [Request].Key, by which submitting again is the same
// run. [Client.Cancel], [Client.Pause], [Client.Resume], [Client.Signal] and [Client.Retry] act on runs, [Client.SetPool]
// bounds a pool, which bounds nothing before. [Config].Middleware goes
// around every stage function.
//
// # Schedules
//
// [Client.Schedules] keeps schedules in Redis: cron expressions in a time zone, and files or folders to watch. A [Scheduler] makes
// their runs, by a function of the program; any number may run, in processes anywhere. A tick is decided by one script, which
// makes it pending; who takes it from there has a lease, and its run has an id before it is submitted. So a scheduler that dies
// leaves nothing undone, and nothing is done twice: one run for each tick of a timetable, and for each content of a file,
// whatever it is called. A content that was seen is known by its digest for as long as the schedule lives, 100 bytes or so in
// Redis; of ticks the latest 10,000 are known to a backfill.
//
// # Events
//
// [Client.Watch] follows a run live and can resume behind any event: RUN_ENQUEUED, RUN_START, for each attempt STEP_START,
// STEP_INPUT, STEP_CACHE_HIT or STEP_CACHE_MISS with what differed, BLOB_STORED, STEP_OUTPUT, LOGS_CAPTURED, and how it ended:
// STEP_SUCCESS, STEP_FAILURE, STEP_SKIPPED, STEP_UP_FOR_RETRY, STEP_HANDED_OVER or WORKER_LOST; STEP_EARLY_CUTOFF,
// BLOB_CORRUPT and NON_DETERMINISM_DETECTED where they happen; ENGINE_EVENT for a pause, a signal, or why a worker leaves a
// stage to others; and last RUN_SUCCESS, RUN_FAILURE or RUN_CANCELED. The events of a stage are in their order; those of a
// worker's attempt come together, at its end. Older events of long runs move to the Store.
//
// # Upgrades
//
// A worker that has another Store, lacks a kind, or does not know the schema of a plan hands the task back, which uses up no
// attempt, and the run's events say what it waits for. So old and new workers may share a queue: what only some of them can
// do, those do. The code that counts is the worker's; it is part of the action key, recorded with each stage, and a run over
// several versions of it is marked MixedCode. Tasks have the schema hashline.task/2, which stands for the state of runs in
// Redis, too: within it fields are only added, so runs in flight survive an upgrade; tasks of another schema are left to the
// workers that know it. Let those finish, or submit again.
//
// # Redis
//
// It is 6.2 or later, or Valkey, with maxmemory-policy noeviction: one server, Sentinels or a Cluster, see [Dial]. A script
// touches the keys of one run, or of one queue, alone; what lies on several servers of a Cluster is put right by the
// reconciler, which takes their clocks to agree within a second. Where there are replicas, Submit returns when one has the
// run, or says in the log that none had it within a second. What else a failover loses is done again. An outage delays runs.
//
// # Limits
//
// A plan has at most 100,000 stages, and so has what one stage returns; an inline output, and without a Store every output, the
// list of the stages that a stage returns included, 16 KiB; a task 2 KiB; a message 8 KiB; the log of an attempt 1 MiB. Submit
// refuses a run when [Config].MaxRuns are not over. The state of a run stays for [Config].KeepState after its end, finished tasks
// in asynq's monitor for [Config].KeepTasks.
//
// It is the only package that imports asynq and go-redis.
package tasks
