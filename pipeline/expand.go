package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The output in which a stage, whose kind Expands, returns stages. Every such kind has it without declaring it.
const (
	StagesOutput    = "stages"
	StagesMediaType = "application/vnd.hashline.stages+json"
	StagesSchema    = "hashline.stages/1"
)

// returnedStages is the content of that output.
type returnedStages struct {
	Schema string  `json:"schema"`
	Stages []Stage `json:"stages"`
}

// marshalStages returns the one text of stages that CheckExpansion has seen.
func marshalStages(stages []Stage) ([]byte, error) {
	if stages == nil {
		stages = []Stage{}
	}
	return json.Marshal(returnedStages{StagesSchema, stages})
}

// ParseStages reads the output named StagesOutput strictly, as ParsePlan does. CheckExpansion does the rest.
func ParseStages(b []byte) ([]Stage, error) {
	var r returnedStages
	if err := decodeStrict(b, &r); err != nil {
		return nil, fmt.Errorf("returned stages: %w", err)
	}
	if r.Schema != StagesSchema {
		return nil, fmt.Errorf("returned stages: schema %.40q, want %s", r.Schema, StagesSchema)
	}
	return r.Stages, nil
}

// CheckExpansion checks the stages that the stage parent returned, as Validate checks a plan, and writes them in the one
// way. Their names start with the parent's name and a colon. They may need the parent, other returned stages that stand
// before them, artifacts, and the stages for which upstream is true: those of the run that lie upstream of the parent,
// directly or not. A nil upstream, for a place that does not know the run, takes every other name on trust.
func CheckExpansion(parent Stage, upstream func(name string) (Stage, bool), stages []Stage, r *Registry) error {
	if len(stages) > MaxStages {
		return fmt.Errorf("stage %s returned %d stages, at most %d", parent.Name, len(stages), MaxStages)
	}
	kind, ok := r.Kind(parent.Kind)
	if !ok || !kind.Expands {
		return fmt.Errorf("stage %s is of kind %.80q, which returns no stages", parent.Name, parent.Kind)
	}
	v := &validator{registry: r, earlier: make(map[string]Kind, len(stages)), expanding: map[string]bool{}}
	own := parent.Name + ":"
	if upstream == nil {
		v.trust = func(name string) bool { return ValidStageName(name) && !strings.HasPrefix(name, own) }
	}
	v.other = func(name string) (Kind, bool) {
		if name == parent.Name {
			return kind, true
		}
		if upstream == nil || strings.HasPrefix(name, own) {
			return Kind{}, false
		}
		s, ok := upstream(name)
		if !ok {
			return Kind{}, false
		}
		return r.Kind(s.Kind)
	}
	for i := range stages {
		if err := v.returned(parent, &stages[i]); err != nil {
			return fmt.Errorf("stage %s returned what is no stage: %w", parent.Name, err)
		}
	}
	if err := v.returnedNames(stages); err != nil {
		return fmt.Errorf("stage %s returned what is no stage: %w", parent.Name, err)
	}
	return nil
}

// returned checks one of the stages that parent returned.
func (v *validator) returned(parent Stage, s *Stage) error {
	if !strings.HasPrefix(s.Name, parent.Name+":") {
		return fmt.Errorf("the name %.80q has to start with %q", s.Name, parent.Name+":")
	}
	for _, n := range s.Needs {
		if n.Each && n.Stage == parent.Name {
			return fmt.Errorf("stage %.80s needs each of the stages that it is one of", s.Name)
		}
	}
	_, err := v.stage(s)
	return err
}

// WithReturned returns s with its needs of each stage that parent returned spelled out: one of the parent, for order
// alone, and one of every returned stage whose kind, which r knows, has the output. s itself is not changed. A stage without such a need is
// returned as it is.
func (s Stage) WithReturned(parent string, returned []Stage, r *Registry) Stage {
	var needs []Need
	for i, n := range s.Needs {
		if !n.Each || n.Stage != parent {
			if needs != nil {
				needs = append(needs, n)
			}
			continue
		}
		if needs == nil {
			needs = append(make([]Need, 0, len(s.Needs)+len(returned)), s.Needs[:i]...)
		}
		needs = append(needs, Need{Stage: parent, OnFailure: n.OnFailure})
		for _, child := range returned {
			if k, ok := r.Kind(child.Kind); !n.orderOnly() && ok {
				if _, ok := k.output(n.Output); !ok {
					continue
				}
			}
			needs = append(needs, Need{Role: n.Role, Stage: child.Name, Output: n.Output, OnFailure: n.OnFailure})
		}
	}
	if needs != nil {
		s.Needs = needs
	}
	return s
}
