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

// ended is a sorted set of runs of a store that the webhook is to be told of, by the time of their end.
func (k keyspace) ended(store string) string { return string(k) + ":ended:" + store }

// hooked is a key for each store, there while one of its workers has a webhook, and for notifyFor after that.
func (k keyspace) hooked(store string) string { return string(k) + ":hooked:" + store }

// notifyLock is a key for each store: one worker at a time tells the webhook.
func (k keyspace) notifyLock(store string) string { return string(k) + ":notifying:" + store }

// submitted is the run of a client's key.
func (k keyspace) submitted(key string) string { return string(k) + ":submitted:" + key }

func (k keyspace) cancelChannel() string { return string(k) + ":cancel" }

// The state of a run is a family of keys with the run's id as hash tag, so that one script may touch them all, on a
// cluster too.
//
//	PREFIX:{RUN}:meta    hash: what the run is, counters, status, cancel, paused, signal|NAME
//	PREFIX:{RUN}:stages  hash: FIELD|STAGE for the fields below
//	PREFIX:{RUN}:down    hash: STAGE -> JSON list of the stages that need it
//	PREFIX:{RUN}:outbox  sorted set: STAGE newline ATTEMPT, by the stage's place in the plan: ready, without a task yet
//	PREFIX:{RUN}:pooled  the same for the stages of pools, each in a stretch of its own: meta has pools (how many) and pool|NAME (which)
//	PREFIX:{RUN}:live    set: the stages that have a task or run
//	PREFIX:{RUN}:timers  sorted set: the stages that wait, by the millisecond at which that may end
//	PREFIX:{RUN}:events  stream
//
// Fields of a stage that change: status (PENDING, WAITING, READY, RUNNING, SUCCEEDED, FAILED, SKIPPED, CANCELED), attempt,
// owner, need (edges not yet counted), edge|FROM newline TO (1 when counted), ready, started and finished (microseconds),
// due (millisecond before which a waiting stage does not start), out (JSON), err (JSON), skip, failures and reset (how often
// it failed, and was run again for a damaged output), crash (how often its worker died), alone (the attempt that runs
// alone), lonely (how often its worker died while it ran alone), made (JSON list of the stages that it returned), returned (the out in
// which it did, when it ran again after that).
//
// Fields that the plan gives, where they are not the default: order, always, policy|FROM newline TO (fail or continue),
// pool, memory (bytes), delay (milliseconds), signal, attempts, backoff, factor and limit (of retries; milliseconds), def (the stage
// that returned this one).
//
// Moments are Redis' own, so that clocks of workers need not agree.
type keys struct {
	keyspace
	run string
}

func (c *core) keys(run string) keys { return keys{c.key, run} }

func (k keys) name(part string) string { return string(k.keyspace) + ":{" + k.run + "}:" + part }

var partsOfRun = [...]string{"meta", "stages", "down", "outbox", "events", "live", "timers", "pooled"}

// all returns the keys of a run as scripts expect them.
func (k keys) all() []string {
	all := make([]string, len(partsOfRun))
	for i, part := range partsOfRun {
		all[i] = k.name(part)
	}
	return all
}
