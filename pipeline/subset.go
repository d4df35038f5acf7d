package pipeline

import (
	"fmt"
	"strings"
)

// Only returns a plan of the named stages and everything that they need, in the order of p. A name that p does not have
// is an error of class usage. The stages are those of p, unchanged, so their action keys are too: what p has computed is
// found again.
func (p *Plan) Only(names ...string) (*Plan, error) {
	keep, err := p.named(names)
	if err != nil {
		return nil, err
	}
	return p.closure(keep), nil
}

// From returns a plan of the named stages, everything downstream of them, and what all of these need, in the order of p.
// Errors are those of Only.
func (p *Plan) From(names ...string) (*Plan, error) {
	keep, err := p.named(names)
	if err != nil {
		return nil, err
	}
	for _, s := range p.Stages { // every stage stands behind what it needs
		for _, up := range s.Upstream() {
			keep[s.Name] = keep[s.Name] || keep[up]
		}
	}
	return p.closure(keep), nil
}

// named returns the set of the names, which must be stages of the plan.
func (p *Plan) named(names []string) (map[string]bool, error) {
	have := make(map[string]bool, len(p.Stages))
	for _, s := range p.Stages {
		have[s.Name] = true
	}
	keep := map[string]bool{}
	for _, n := range names {
		if !have[n] {
			e := &Error{Class: ClassUsage, Message: fmt.Sprintf("the plan has no stage %.80q", n)}
			return nil, e.WithHint("its stages are %s", p.stageNames())
		}
		keep[n] = true
	}
	if len(keep) == 0 {
		return nil, &Error{Class: ClassUsage, Message: "no stage of the plan is named", Hint: "its stages are " + p.stageNames()}
	}
	return keep, nil
}

// stageNames lists the stages for a message.
func (p *Plan) stageNames() string {
	const most = 40
	var names []string
	for _, s := range p.Stages[:min(most, len(p.Stages))] {
		names = append(names, s.Name)
	}
	if more := len(p.Stages) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// closure returns the plan of the stages of a set and what they need. It adds to the set.
func (p *Plan) closure(keep map[string]bool) *Plan {
	for i := len(p.Stages) - 1; i >= 0; i-- {
		if !keep[p.Stages[i].Name] {
			continue
		}
		for _, up := range p.Stages[i].Upstream() {
			keep[up] = true
		}
	}
	sub := *p
	sub.Stages = nil
	for _, s := range p.Stages {
		if keep[s.Name] {
			sub.Stages = append(sub.Stages, s)
		}
	}
	return &sub
}
