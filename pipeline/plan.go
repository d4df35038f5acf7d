package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hashline/hashline/artifact"
)

// Schemas of Plan. A worker that does not know a plan's schema leaves its stages to others. A plan that uses nothing of
// what came with the second keeps the first, so its text and its digest stay what they were.
const (
	PlanSchema  = "hashline.plan/1"
	PlanSchema2 = "hashline.plan/2" // see Validate for what needs it
)

// MaxStages bounds a plan, and what one stage returns.
const MaxStages = 100_000

// Plan is the stages of a run with their needs, in topological order. It is an artifact itself, as canonical JSON.
type Plan struct {
	Schema string  `json:"schema"`
	Seed   uint64  `json:"seed"`
	Stages []Stage `json:"stages"`
}

// NewPlan returns the plan of these stages, which it takes over, as Validate leaves it. Seed may be set afterwards.
func NewPlan(r *Registry, stages ...Stage) (*Plan, error) {
	p := &Plan{Stages: stages}
	if err := p.Validate(r); err != nil {
		return nil, err
	}
	return p, nil
}

// Stage is a named step of a plan. Only Name and Kind must be given.
type Stage struct {
	Name   string          `json:"name"`
	Kind   string          `json:"kind"`
	Params json.RawMessage `json:"params,omitempty"`
	Needs  []Need          `json:"needs,omitempty"`

	Timeout Duration   `json:"timeout,omitempty"` // of one attempt; 0: none
	Retry   *Retry     `json:"retry,omitempty"`   // nil: what the run allows
	Always  bool       `json:"always,omitempty"`  // it runs when its needs are over, however they ended, also in a canceled run
	If      *Condition `json:"if,omitempty"`      // nil: it runs; else only when this holds, and it is skipped otherwise
	Wait    *Wait      `json:"wait,omitempty"`    // holds it when its needs are met; nil: it starts
	Pool    string     `json:"pool,omitempty"`    // bounded over all workers of a queue; empty: the kind's pool, if any
	Memory  int64      `json:"memory,omitempty"`  // bytes that one attempt needs, bounded on each worker; 0: not counted
}

// Need is one input of a stage: an output of an earlier stage, or an artifact that exists already. With neither a role
// nor an output it is no input: the stage only waits until the other one is over.
type Need struct {
	Role     string        `json:"role"`
	Stage    string        `json:"stage,omitempty"`
	Output   string        `json:"output,omitempty"`
	Artifact *artifact.Ref `json:"artifact,omitempty"`

	// Each stands for the stages that Stage, whose kind Expands, returned: that output of each of them which has it, in
	// their order. It may be none.
	Each bool `json:"each,omitempty"`
	// OnFailure says what becomes of this stage when the other fails or is skipped: SkipOnFailure unless it is given.
	OnFailure string `json:"on_failure,omitempty"`
}

// What a need says should happen when what it needs is not there.
const (
	SkipOnFailure = "skip"     // this stage is skipped; Validate writes it as ""
	FailRun       = "fail"     // when the other failed: the run fails at once and what runs is canceled; when it was skipped: as SkipOnFailure
	GoOn          = "continue" // this stage runs without the input
)

// orderOnly reports whether the need is no input.
func (n Need) orderOnly() bool { return n.Role == "" && n.Output == "" }

// newer reports whether the need says what the first schema cannot.
func (n Need) newer() bool { return n.orderOnly() || n.Each || n.OnFailure != "" }

// newer reports whether the stage says what the first schema cannot.
func (s *Stage) newer() bool {
	if s.Timeout != 0 || s.Retry != nil || s.Always || s.If != nil || s.Wait != nil || s.Pool != "" || s.Memory != 0 {
		return true
	}
	for _, n := range s.Needs {
		if n.newer() {
			return true
		}
	}
	return false
}

// Upstream returns the names of the stages that s needs, each once, in the order of its needs, and last the one that its
// condition looks at.
func (s Stage) Upstream() []string {
	var names []string
	seen := make(map[string]bool, len(s.Needs)+1)
	add := func(name string) {
		if name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, n := range s.Needs {
		add(n.Stage)
	}
	if s.If != nil {
		add(s.If.Stage)
	}
	return names
}

// ParsePlan reads the JSON of a plan of either schema strictly: unknown fields, trailing text, and fields that came with
// a later schema than the plan's are refused. Validate does the rest.
func ParsePlan(b []byte) (*Plan, error) {
	var p Plan
	if err := decodeStrict(b, &p); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if err := p.checkSchema(); err != nil {
		return nil, err
	}
	if p.Schema == PlanSchema {
		for i := range p.Stages {
			if p.Stages[i].newer() {
				return nil, fmt.Errorf("plan: stage %.80q says what schema %s does not have; write %s", p.Stages[i].Name, PlanSchema, PlanSchema2)
			}
		}
	}
	return &p, nil
}

func (p *Plan) checkSchema() error {
	if p.Schema != PlanSchema && p.Schema != PlanSchema2 {
		return fmt.Errorf("plan: schema %.40q, want %s or %s", p.Schema, PlanSchema, PlanSchema2)
	}
	return nil
}

// decodeStrict reads one JSON value and refuses unknown fields and text behind it.
func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text behind its end")
	}
	return nil
}

// Canonical returns the one JSON text of the plan.
func (p *Plan) Canonical() ([]byte, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return b, nil
}

// Digest returns the digest of the canonical text.
func (p *Plan) Digest() (artifact.Digest, error) {
	b, err := p.Canonical()
	return artifact.DigestOf(b), err
}

// Stage returns the stage of that name.
func (p *Plan) Stage(name string) (Stage, bool) {
	for _, s := range p.Stages {
		if s.Name == name {
			return s, true
		}
	}
	return Stage{}, false
}
