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
	Waiting     = "WAITING" // the needs of the stage are met, and something else holds it: see StageRecord.WaitReason
	Running     = "RUNNING"
	Succeeded   = "SUCCEEDED"
	Failed      = "FAILED"
	Skipped     = "SKIPPED"
	Canceled    = "CANCELED"
	Interrupted = "INTERRUPTED" // the process of an embedded run died, or its Redis lost it
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

	Parent     string      `json:"parent,omitempty"` // id of the run that this one tries again
	Priority   int         `json:"priority,omitempty"`
	Deadline   time.Time   `json:"deadline,omitzero"`
	PausedAt   time.Time   `json:"paused_at,omitzero"`   // since when nothing more starts; zero unless the run is paused
	Expansions []Expansion `json:"expansions,omitempty"` // in the order in which they happened; their stages are among Stages
}

// Expansion is what a stage whose kind Expands returned: the output StagesOutput of Stage, which ParseStages reads.
type Expansion struct {
	Stage  string       `json:"stage"`
	Stages artifact.Ref `json:"stages"`
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

	Logs       *artifact.Ref `json:"logs,omitempty"`        // what the last attempt logged, as text
	WaitReason string        `json:"wait_reason,omitempty"` // what a Waiting stage is held by
	ExpandedBy string        `json:"expanded_by,omitempty"` // the stage that returned this one; empty: the plan has it
	Always     bool          `json:"always,omitempty"`      // as the plan says
	GoesOn     []string      `json:"goes_on,omitempty"`     // those of Needs, in their order, without which the stage runs: see GoOn
}

// NewStageRecord returns the record of a stage that has not started.
func NewStageRecord(s Stage) StageRecord {
	return StageRecord{Name: s.Name, Kind: s.Kind, Status: Pending, Needs: s.Upstream(), Outputs: []artifact.Output{}, Always: s.Always, GoesOn: s.goesOn()}
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
//
// A stage that failed fails the run, unless others go on without it: some stage needs it, and every stage that does, but
// for those that always run, says GoOn for every need of it. A stage that was skipped neither fails the run nor keeps
// it from having succeeded; one that was skipped since another failed lies downstream of a failure that counts.
func (r *RunRecord) Close() {
	codes := map[string]string{}
	goesOn := r.goneOnWithout()
	status := Succeeded
	for i := range r.Stages {
		s := &r.Stages[i]
		r.Warnings = append(r.Warnings, s.Warnings...)
		if seen, ok := codes[s.Kind]; ok && s.Code != "" && seen != s.Code {
			r.MixedCode = true
		} else if s.Code != "" {
			codes[s.Kind] = s.Code
		}
		switch {
		case s.Status == Succeeded || s.Status == Skipped || s.Status == Failed && goesOn(s.Name):
		case s.Status == Failed:
			status = Failed
			if r.Error == nil {
				r.Error = s.Error
			}
		case status == Succeeded:
			status = s.Status
		}
	}
	if r.Status == "" || r.Status == Running {
		r.Status = status
	}
	if r.Status == Succeeded {
		r.ResultDigest = ResultDigest(r.Stages).String()
	}
}

// goneOnWithout returns what tells of a stage whether the others go on when it fails.
func (r *RunRecord) goneOnWithout() func(stage string) bool {
	var m map[string]bool // made for the first failure; most runs have none
	return func(stage string) bool {
		if m == nil {
			m = map[string]bool{}
			for _, s := range r.Stages {
				noteGoOn(m, s.Needs, s.GoesOn, s.Always)
			}
		}
		return m[stage]
	}
}

// noteGoOn adds what one stage says of the stages that it needs; goesOn is some of needs in their order.
func noteGoOn(m map[string]bool, needs, goesOn []string, always bool) {
	for _, up := range needs {
		goes := len(goesOn) > 0 && goesOn[0] == up
		if goes {
			goesOn = goesOn[1:]
		}
		if before, said := m[up]; goes || !always {
			m[up] = goes && (before || !said)
		}
	}
}

// GoneOnWithout returns the names of the stages whose failure does not fail the run, by the rule of RunRecord.Close. The
// stages are those of a run, with what others returned, after WithReturned.
func GoneOnWithout(stages []Stage) map[string]bool {
	m := map[string]bool{}
	for _, s := range stages {
		noteGoOn(m, s.Upstream(), s.goesOn(), s.Always)
	}
	for name, goes := range m {
		if !goes {
			delete(m, name)
		}
	}
	return m
}

// goesOn returns the stages that s needs and without which it runs, by every need of them.
func (s Stage) goesOn() []string {
	var names []string
	said := map[string]bool{}
	for _, n := range s.Needs {
		if before, ok := said[n.Stage]; n.Stage != "" {
			said[n.Stage] = n.OnFailure == GoOn && (before || !ok)
		}
	}
	for _, up := range s.Upstream() {
		if said[up] && (s.If == nil || s.If.Stage != up) {
			names = append(names, up)
		}
	}
	return names
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
