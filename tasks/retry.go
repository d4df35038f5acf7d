package tasks

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashline/hashline/pipeline"
)

// RetryMode says what a retry runs again.
type RetryMode string

// The modes. In all of them the cache finds what was computed before; the difference is for kinds that are never cached.
const (
	RetryAll              RetryMode = "all"                   // every stage
	RetryFailed           RetryMode = "failed"                // the stages that failed or were canceled; what was skipped stays skipped
	RetryFailedDownstream RetryMode = "failed and downstream" // those, what was skipped, and what ran without them
)

// carried is a stage that a retry takes over as it was.
type carried struct {
	fields   map[string]string // for the state
	returned []pipeline.Stage
}

// Retry submits the plan of a run that is over and did not succeed again, as a new run whose record names it as its
// parent. r gives name, tags, key, priority and the like; a Plan is not to be given, and what is empty is taken from the parent.
// A run that still runs, or in RetryFailed and RetryFailedDownstream one without anything to run again, is an error of class
// usage.
func (c *Client) Retry(ctx context.Context, run string, mode RetryMode, r Request) (string, error) {
	record, err := c.Record(ctx, run)
	if err != nil {
		return "", err
	}
	if record.Status == pipeline.Running {
		return "", (&pipeline.Error{Class: pipeline.ClassUsage, Message: "the run " + run + " is not over"}).WithHint("wait for it, or cancel it")
	}
	plan, err := c.plan(ctx, run, record.Plan)
	if err != nil {
		return "", err
	}
	r.Plan, r.parent = plan.Plan, run
	inherit(&r, record)
	switch mode {
	case RetryAll:
	case RetryFailed, RetryFailedDownstream:
		if r.carried, err = c.carry(ctx, record, mode); err != nil {
			return "", err
		}
		if len(r.carried) >= len(record.Stages) {
			return "", &pipeline.Error{Class: pipeline.ClassUsage, Message: "no stage of the run " + run + " failed"}
		}
	default:
		return "", &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("%.40q is no way to retry", mode)}
	}
	return c.Submit(ctx, r)
}

// inherit takes from a record what the request does not say.
func inherit(r *Request, of *pipeline.RunRecord) {
	if r.Name == "" {
		r.Name = of.Name
	}
	if r.Tags == nil {
		r.Tags = of.Tags
	}
	if r.Mode == "" {
		r.Mode = of.Mode
	}
	if r.Submission == nil {
		r.Submission = of.Submission
	}
	if r.Versions == nil {
		r.Versions = of.Versions
	}
	if r.Priority == 0 {
		r.Priority = of.Priority
	}
}

// carry returns what a retry takes over.
func (c *Client) carry(ctx context.Context, record *pipeline.RunRecord, mode RetryMode) (map[string]carried, error) {
	m := map[string]carried{}
	again := map[string]bool{}
	if mode == RetryFailedDownstream {
		again = downstream(record.Stages)
	}
	for _, s := range record.Stages {
		keep := s.Status == pipeline.Succeeded && !again[s.Name] || s.Status == pipeline.Skipped && mode == RetryFailed
		if s.ExpandedBy != "" {
			_, parent := m[s.ExpandedBy] // who returned it goes before it
			keep = keep && parent
		}
		if !keep {
			continue
		}
		kept, err := c.carryStage(ctx, s)
		if err != nil {
			return nil, err
		}
		m[s.Name] = kept
	}
	return m, nil
}

// downstream returns the stages that lie behind one that did not succeed: those of them that ran did so without it.
func downstream(stages []pipeline.StageRecord) map[string]bool {
	needs := map[string][]string{} // by the stage that is needed
	var todo []string
	for _, s := range stages {
		for _, up := range s.Needs {
			needs[up] = append(needs[up], s.Name)
		}
		if s.Status != pipeline.Succeeded {
			todo = append(todo, s.Name)
		}
	}
	found := map[string]bool{}
	for len(todo) > 0 {
		up := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, name := range needs[up] {
			if !found[name] {
				found[name] = true
				todo = append(todo, name)
			}
		}
	}
	return found
}

func (c *Client) carryStage(ctx context.Context, s pipeline.StageRecord) (carried, error) {
	o := outcome{Cache: pipeline.CacheHit, ActionKey: s.ActionKey, Code: s.Code, Outputs: s.Outputs, Warnings: s.Warnings, Logs: s.Logs}
	out, err := json.Marshal(o)
	if err != nil {
		return carried{}, err
	}
	k := carried{fields: map[string]string{"status": s.Status, "out": string(out)}}
	if s.SkipReason != "" {
		k.fields["skip"] = s.SkipReason
	}
	if expansionOf(s.Outputs) == nil || s.Status != pipeline.Succeeded {
		return k, nil
	}
	returned, err := c.expansion(ctx, s.Name, string(out))
	if err != nil {
		return carried{}, err
	}
	names := make([]string, len(returned.Stages))
	for i, child := range returned.Stages {
		names[i] = child.Name
	}
	list, err := json.Marshal(names)
	if err != nil {
		return carried{}, err
	}
	k.fields["made"], k.returned = string(list), returned.Stages
	if k.returned == nil {
		k.returned = []pipeline.Stage{}
	}
	return k, nil
}

// wholeOf returns stages with those that carried ones returned.
func wholeOf(stages []pipeline.Stage, carry map[string]carried, registry *pipeline.Registry) []pipeline.Stage {
	whole := append([]pipeline.Stage{}, stages...)
	for i := 0; i < len(whole); i++ { // it grows
		returned := carry[whole[i].Name].returned
		if returned == nil {
			continue
		}
		parent := whole[i].Name
		for n := range whole {
			whole[n] = whole[n].WithReturned(parent, returned, registry)
		}
		whole = append(whole, returned...)
	}
	return whole
}
