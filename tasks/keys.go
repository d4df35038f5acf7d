package tasks

// DefaultPrefix is what the names of all keys and channels begin with, unless a connection says otherwise. asynq's own
// begin with "asynq:", whatever the prefix.
const DefaultPrefix = "hashline"

// keyspace is a prefix. A Cluster keeps keys with one hash tag on one server, and only such keys may share a command or a
// script; a pipeline may go to many servers.
type keyspace string

// Keys and the channel that belong to no run.

// activeRuns is a sorted set of the runs that are not recorded yet, by time of creation.
func (k keyspace) activeRuns() string { return string(k) + ":runs" }

// liveWorkers is a sorted set of worker ids, by the time of the last heartbeat.
func (k keyspace) liveWorkers() string { return string(k) + ":workers" }

// worker is the heartbeat of one worker.
func (k keyspace) worker(id string) string { return string(k) + ":worker:" + id }

// reconcileLock is a key for each store: only a worker of its store can mend a run.
func (k keyspace) reconcileLock(store string) string { return string(k) + ":reconciling:" + store }

func (k keyspace) cancelChannel() string { return string(k) + ":cancel" }

// The state of a run is five keys with the run's id as hash tag, so that one script may touch them all, on a cluster too.
//
//	PREFIX:{RUN}:meta    hash: what the run is, counters, status, cancel
//	PREFIX:{RUN}:stages  hash: FIELD|STAGE for the fields below
//	PREFIX:{RUN}:down    hash: STAGE -> JSON list of the stages that need it
//	PREFIX:{RUN}:outbox  sorted set: STAGE newline ATTEMPT, by the stage's place in the plan
//	PREFIX:{RUN}:events  stream
//
// Fields of a stage: status (PENDING, READY, RUNNING, SUCCEEDED, FAILED, SKIPPED, CANCELED), attempt, owner, order, need
// (edges not yet counted), edge|FROM newline TO (1 when counted), ready, started and finished (microseconds), out (JSON),
// err (JSON), skip, crash, failures and reset (how often it killed a worker, failed, was run again for a damaged output).
// Moments are Redis' own, so that clocks of workers need not agree.
type keys struct {
	keyspace
	run string
}

func (c *core) keys(run string) keys { return keys{c.key, run} }

func (k keys) name(part string) string { return string(k.keyspace) + ":{" + k.run + "}:" + part }

func (k keys) all() []string {
	return []string{k.name("meta"), k.name("stages"), k.name("down"), k.name("outbox"), k.name("events")}
}
