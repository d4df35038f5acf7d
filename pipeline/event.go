package pipeline

import "time"

// Types of events: Dagster's names where they fit, then ours.
const (
	RunEnqueued     = "RUN_ENQUEUED"
	RunStart        = "RUN_START"
	RunSuccess      = "RUN_SUCCESS"
	RunFailure      = "RUN_FAILURE"
	RunCanceled     = "RUN_CANCELED"
	StepStart       = "STEP_START"
	StepInput       = "STEP_INPUT"  // at most one an attempt: what its inputs are
	StepOutput      = "STEP_OUTPUT" // at most one an attempt: what it gave, computed or found
	StepSuccess     = "STEP_SUCCESS"
	StepFailure     = "STEP_FAILURE"
	StepSkipped     = "STEP_SKIPPED"
	StepUpForRetry  = "STEP_UP_FOR_RETRY"
	LogsCaptured    = "LOGS_CAPTURED" // what the stage logged is in the store
	EngineEvent     = "ENGINE_EVENT"  // also a run that is paused or resumed
	StepCacheHit    = "STEP_CACHE_HIT"
	StepCacheMiss   = "STEP_CACHE_MISS"
	StepEarlyCutoff = "STEP_EARLY_CUTOFF" // it ran again and made what it had made before: nothing downstream changes
	BlobStored      = "BLOB_STORED"
	BlobCorrupt     = "BLOB_CORRUPT"
	NonDeterminism  = "NON_DETERMINISM_DETECTED"
	WorkerLost      = "WORKER_LOST"
	StepHandedOver  = "STEP_HANDED_OVER" // a draining worker gave it back
)

// EventTypes returns the types of events, in the order above.
func EventTypes() []string {
	return []string{RunEnqueued, RunStart, RunSuccess, RunFailure, RunCanceled, StepStart, StepInput, StepOutput, StepSuccess, StepFailure, StepSkipped, StepUpForRetry,
		LogsCaptured, EngineEvent, StepCacheHit, StepCacheMiss, StepEarlyCutoff, BlobStored, BlobCorrupt, NonDeterminism, WorkerLost, StepHandedOver}
}

// Event is one thing that happened in a run.
type Event struct {
	ID      string            `json:"id"` // its place in the run's stream
	Time    time.Time         `json:"time"`
	Run     string            `json:"run"`
	Type    string            `json:"type"`
	Stage   string            `json:"stage,omitempty"`
	Attempt int               `json:"attempt,omitempty"`
	Worker  string            `json:"worker,omitempty"`
	Message string            `json:"message,omitempty"`
	Data    map[string]string `json:"data,omitempty"`
}

// EndsRun reports whether the event is the last of its run.
func (e Event) EndsRun() bool {
	return e.Type == RunSuccess || e.Type == RunFailure || e.Type == RunCanceled
}
