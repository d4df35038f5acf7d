package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sync"

	"github.com/hashline/hashline/artifact"
)

// PlanSchema is the schema of Plan. A worker that does not know a plan's schema leaves its stages to others.
const PlanSchema = "hashline.plan/1"

// MaxStages bounds a plan.
const MaxStages = 100_000

// Plan is the stages of a run with their needs, in topological order. It is an artifact itself, as canonical JSON.
type Plan struct {
	Schema string  `json:"schema"`
	Seed   uint64  `json:"seed"`
	Stages []Stage `json:"stages"`
}

// Stage is a named step of a plan.
type Stage struct {
	Name   string          `json:"name"`
	Kind   string          `json:"kind"`
	Params json.RawMessage `json:"params,omitempty"`
	Needs  []Need          `json:"needs,omitempty"`
}

// Need is one input of a stage: an output of an earlier stage, or an artifact that exists already.
type Need struct {
	Role     string        `json:"role"`
	Stage    string        `json:"stage,omitempty"`
	Output   string        `json:"output,omitempty"`
	Artifact *artifact.Ref `json:"artifact,omitempty"`
}

// ParsePlan reads the JSON of a plan strictly: unknown fields and trailing text are refused. Validate does the rest.
func ParsePlan(b []byte) (*Plan, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var p Plan
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("plan: text behind its end")
	}
	if p.Schema != PlanSchema {
		return nil, fmt.Errorf("plan: schema %.40q, want %s", p.Schema, PlanSchema)
	}
	return &p, nil
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

var stageName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9_.:-]{0,63}$`) })

// ValidStageName reports whether a stage may have that name: lower-case letters, digits and _ . : - only.
func ValidStageName(name string) bool { return stageName().MatchString(name) }

// Validate checks the plan against the kinds of r: names, order, roles, outputs and parameters. It also writes every
// stage's parameters in full, so that plans that mean the same have the same digest.
func (p *Plan) Validate(r *Registry) error {
	if p.Schema != PlanSchema {
		return fmt.Errorf("plan: schema %.40q, want %s", p.Schema, PlanSchema)
	}
	if len(p.Stages) == 0 || len(p.Stages) > MaxStages {
		return fmt.Errorf("plan: %d stages, want 1 to %d", len(p.Stages), MaxStages)
	}
	earlier := make(map[string]Kind, len(p.Stages))
	for i := range p.Stages {
		s := &p.Stages[i]
		if !ValidStageName(s.Name) {
			return fmt.Errorf("plan: stage %.80q: a name is lower-case letters, digits and _ . : -", s.Name)
		}
		if _, taken := earlier[s.Name]; taken {
			return fmt.Errorf("plan: two stages are named %s", s.Name)
		}
		k, ok := r.Kind(s.Kind)
		if !ok {
			return fmt.Errorf("plan: stage %s is of unknown kind %.80q", s.Name, s.Kind)
		}
		if err := checkNeeds(*s, k, earlier); err != nil {
			return fmt.Errorf("plan: stage %s: %w", s.Name, err)
		}
		_, canonical, err := k.decodeParams(s.Params)
		if err != nil {
			return fmt.Errorf("plan: stage %s: %w", s.Name, err)
		}
		s.Params = canonical
		earlier[s.Name] = k
	}
	return nil
}

func checkNeeds(s Stage, k Kind, earlier map[string]Kind) error {
	given := map[string]int{}
	for _, n := range s.Needs {
		if _, ok := k.input(n.Role); !ok {
			return fmt.Errorf("kind %s has no input %.80q", k.Name, n.Role)
		}
		given[n.Role]++
		if (n.Artifact == nil) == (n.Stage == "") {
			return fmt.Errorf("input %s: want either a stage or an artifact", n.Role)
		}
		if n.Artifact != nil {
			if n.Artifact.IsZero() || n.Artifact.Size < 0 {
				return fmt.Errorf("input %s: the artifact has no digest, or no size", n.Role)
			}
			continue
		}
		from, ok := earlier[n.Stage]
		if !ok {
			return fmt.Errorf("it needs %.80q, which is no earlier stage", n.Stage)
		}
		if _, ok := from.output(n.Output); !ok {
			return fmt.Errorf("stage %s has no output %.80q", n.Stage, n.Output)
		}
	}
	for _, i := range k.Inputs {
		if given[i.Role] == 0 && !i.Optional {
			return fmt.Errorf("input %s is missing", i.Role)
		}
		if given[i.Role] > 1 && !i.Many {
			return fmt.Errorf("input %s is given %d times", i.Role, given[i.Role])
		}
	}
	return nil
}

// Upstream returns the names of the stages that s needs, each once, in the order of its needs.
func (s Stage) Upstream() []string {
	var names []string
	seen := map[string]bool{}
	for _, n := range s.Needs {
		if n.Stage != "" && !seen[n.Stage] {
			seen[n.Stage] = true
			names = append(names, n.Stage)
		}
	}
	return names
}
