package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashline/hashline/artifact"
)

// Statuses of runs and stages.
const (
	Pending     = "PENDING"
	Running     = "RUNNING"
	Succeeded   = "SUCCEEDED"
	Failed      = "FAILED"
	Skipped     = "SKIPPED"
	Canceled    = "CANCELED"
	Interrupted = "INTERRUPTED" // the process of an embedded run died
)

// RunSchema is the schema of RunRecord; fields are only ever added.
const RunSchema = "hashline.run/1"

// Names of the documents of a run in the store.
const (
	StartedDocument = "started.json" // a RunRecord, written before the first stage starts
	RecordDocument  = "record.json"  // the final RunRecord
	EventsDocument  = "events.jsonl" // every event, one a line
)

// RunRecord is what a run did.
type RunRecord struct {
	Schema       string             `json:"schema"`
	RunID        string             `json:"run_id"`
	Name         string             `json:"name"`
	Tags         map[string]string  `json:"tags"`
	Status       string             `json:"status"`
	Mode         string             `json:"mode"` // embedded or redis
	StoreID      string             `json:"store_id"`
	CreatedAt    time.Time          `json:"created_at"`
	StartedAt    time.Time          `json:"started_at,omitzero"`
	FinishedAt   time.Time          `json:"finished_at,omitzero"`
	Plan         artifact.Ref       `json:"plan"`
	Seed         uint64             `json:"seed"`
	Submission   json.RawMessage    `json:"submission,omitempty"` // what the submitter wants kept; opaque here
	Stages       []StageRecord      `json:"stages"`
	ResultDigest string             `json:"result_digest"` // empty unless the run succeeded
	MixedCode    bool               `json:"mixed_code"`    // workers of different code took part
	Warnings     []artifact.Warning `json:"warnings"`
	Error        *Error             `json:"error"`
	Versions     map[string]string  `json:"versions"`
}

// StageRecord is what one stage of a run did. Times are seconds.
type StageRecord struct {
	Name       string             `json:"name"`
	Kind       string             `json:"kind"`
	Status     string             `json:"status"`
	Cache      string             `json:"cache"` // hit, miss or off
	MissReason string             `json:"miss_reason"`
	Attempts   int                `json:"attempts"`
	ActionKey  string             `json:"action_key"`
	Code       string             `json:"code"`
	Worker     string             `json:"worker"`
	QueuedS    float64            `json:"queued_s"` // from the moment its needs were met to its start
	FetchS     float64            `json:"fetch_s"`
	ComputeS   float64            `json:"compute_s"`
	StoreS     float64            `json:"store_s"`
	StartedAt  time.Time          `json:"started_at,omitzero"`
	FinishedAt time.Time          `json:"finished_at,omitzero"`
	Needs      []string           `json:"needs"`
	Outputs    []artifact.Output  `json:"outputs"`
	Warnings   []artifact.Warning `json:"warnings,omitempty"`
	SkipReason string             `json:"skip_reason,omitempty"`
	Error      *Error             `json:"error,omitempty"`
}

// Output returns the output of that name.
func (s *StageRecord) Output(name string) (artifact.Output, bool) {
	for _, o := range s.Outputs {
		if o.Name == name {
			return o, true
		}
	}
	return artifact.Output{}, false
}

// Stage returns the record of a stage.
func (r *RunRecord) Stage(name string) (*StageRecord, bool) {
	for i := range r.Stages {
		if r.Stages[i].Name == name {
			return &r.Stages[i], true
		}
	}
	return nil, false
}

// ParseRecord reads the JSON of a RunRecord.
func ParseRecord(b []byte) (*RunRecord, error) {
	var r RunRecord
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("run record: %w", err)
	}
	if r.Schema != RunSchema {
		return nil, fmt.Errorf("run record: schema %.40q, want %s", r.Schema, RunSchema)
	}
	return &r, nil
}

// ResultDigest is the SHA-256 over the sorted, quoted lines (stage, output, digest, bytes) of every output of class
// Result. Two runs that agree on it produced the same bits.
func ResultDigest(stages []StageRecord) artifact.Digest {
	var lines []string
	for _, s := range stages {
		for _, o := range s.Outputs {
			if o.Class == Result {
				lines = append(lines, fmt.Sprintf("%q %q %q %d\n", s.Name, o.Name, o.Digest, o.Size))
			}
		}
	}
	slices.Sort(lines)
	return artifact.DigestOf([]byte(strings.Join(lines, "")))
}

// Close fills in what follows from the stages: status, result digest, error, warnings and mixed code. The first failed
// stage in plan order gives the run's error.
func (r *RunRecord) Close() {
	codes := map[string]string{}
	status := Succeeded
	for i := range r.Stages {
		s := &r.Stages[i]
		r.Warnings = append(r.Warnings, s.Warnings...)
		if seen, ok := codes[s.Kind]; ok && s.Code != "" && seen != s.Code {
			r.MixedCode = true
		} else if s.Code != "" {
			codes[s.Kind] = s.Code
		}
		switch s.Status {
		case Succeeded:
		case Failed:
			status = Failed
			if r.Error == nil {
				r.Error = s.Error
			}
		default:
			if status == Succeeded {
				status = s.Status
			}
		}
	}
	if r.Status == "" || r.Status == Running {
		r.Status = status
	}
	if r.Status == Succeeded {
		r.ResultDigest = ResultDigest(r.Stages).String()
	}
}

// MarshalIndented returns the record as it is stored.
func (r *RunRecord) MarshalIndented() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("run record: %w", err)
	}
	return b.Bytes(), nil
}
