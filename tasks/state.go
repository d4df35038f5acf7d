package tasks

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// state is what Redis holds of a run, or the part of it that was asked for.
type state struct {
	run    string
	meta   map[string]string
	stages map[string]string
	parsed map[string]*outcome // of stages, where that is spared; nobody changes them
}

// load reads the whole state of a run.
func (c *core) load(ctx context.Context, run string) (*state, error) {
	k := c.keys(run)
	pipe := c.redis.Pipeline()
	meta, stages := pipe.HGetAll(ctx, k.name("meta")), pipe.HGetAll(ctx, k.name("stages"))
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	return &state{run: run, meta: meta.Val(), stages: stages.Val()}, nil
}

// loadNeeds adds the outcomes that the inputs of a stage come from, but for those that are there already.
func (c *core) loadNeeds(ctx context.Context, s *state, stage pipeline.Stage) error {
	names, parents := needed(stage)
	if err := c.loadFields(ctx, s, "made", parents); err != nil {
		return err
	}
	for _, parent := range parents {
		children, err := s.made(parent)
		if err != nil {
			return err
		}
		names = append(names, children...)
	}
	return c.loadFields(ctx, s, "out", names)
}

func (c *core) loadFields(ctx context.Context, s *state, field string, stages []string) error {
	var missing []string
	for _, stage := range stages {
		if _, ok := s.stages[field+"|"+stage]; !ok {
			missing = append(missing, field+"|"+stage)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	values, err := c.redis.HMGet(ctx, c.keys(s.run).name("stages"), missing...).Result()
	if err != nil {
		return err
	}
	for i, v := range values {
		s.stages[missing[i]], _ = v.(string)
	}
	return nil
}

// needed returns the stages whose outcomes the inputs of a stage come from, and those of whose returned stages they do.
func needed(stage pipeline.Stage) (names, parents []string) {
	seen := map[string]bool{}
	for _, n := range stage.Needs {
		switch {
		case n.Stage == "" || n.Output == "" && !n.Each:
		case n.Each:
			if !slices.Contains(parents, n.Stage) {
				parents = append(parents, n.Stage)
			}
		case !seen[n.Stage]:
			seen[n.Stage] = true
			names = append(names, n.Stage)
		}
	}
	// What a parent returned stands in its own outcome.
	for _, name := range append(slices.Clone(parents), condition(stage)...) {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names, parents
}

func condition(stage pipeline.Stage) []string {
	if stage.If == nil {
		return nil
	}
	return []string{stage.If.Stage}
}

// made returns the names of the stages that a stage returned.
func (s *state) made(parent string) ([]string, error) {
	var names []string
	text := s.get("made", parent)
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &names); err != nil {
		return nil, fmt.Errorf("%w: the stages that %s returned: %w", errInputs, parent, err)
	}
	return names, nil
}

// returned is the outcome in which a stage returned stages.
func (s *state) returned(parent string) string {
	return cmp.Or(s.get("returned", parent), s.get("out", parent))
}

func (s *state) get(field, stage string) string { return s.stages[field+"|"+stage] }

func (s *state) planRef() artifact.Ref {
	d, _ := artifact.ParseDigest(s.meta["plan"])
	size, _ := strconv.ParseInt(s.meta["plan_bytes"], 10, 64)
	return artifact.Ref{Digest: d, Size: size}
}

// micros reads a moment.
func micros(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// outcome is what a worker stores of an attempt. Fields that say nothing are left out, as every stage of a run has one.
type outcome struct {
	Cache      string             `json:"cache,omitempty"`
	MissReason string             `json:"miss_reason,omitempty"`
	ActionKey  string             `json:"action_key,omitempty"`
	Code       string             `json:"code,omitempty"`
	FetchS     float64            `json:"fetch_s,omitempty"`
	ComputeS   float64            `json:"compute_s,omitempty"`
	StoreS     float64            `json:"store_s,omitempty"`
	Outputs    []artifact.Output  `json:"outputs,omitempty"`
	Warnings   []artifact.Warning `json:"warnings,omitempty"`
	Logs       *artifact.Ref      `json:"logs,omitempty"`
}

func newOutcome(o *pipeline.Outcome) outcome {
	out := outcome{Cache: o.Cache, MissReason: clip(o.MissReason), Code: o.Code, FetchS: o.FetchS, ComputeS: o.ComputeS, StoreS: o.StoreS, Outputs: o.Outputs, Warnings: o.Warnings, Logs: o.Logs}
	if !o.ActionKey.IsZero() {
		out.ActionKey = o.ActionKey.String()
	}
	return out
}

func parseOutcome(text string) (*outcome, error) {
	var o outcome
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return nil, err
	}
	return &o, nil
}

// record makes a run record of the state.
func (s *state) record(p *planIndex) (*pipeline.RunRecord, error) {
	r := &pipeline.RunRecord{Schema: pipeline.RunSchema, RunID: s.run, Name: s.meta["name"], Status: s.meta["status"], Mode: s.meta["mode"], StoreID: s.meta["store"],
		CreatedAt: micros(s.meta["created"]), StartedAt: micros(s.meta["started"]), FinishedAt: micros(s.meta["finished"]), Plan: s.planRef(), Seed: p.Seed,
		Warnings: []artifact.Warning{}, Tags: map[string]string{}, Versions: map[string]string{}, Parent: s.meta["parent"]}
	r.Priority, _ = strconv.Atoi(s.meta["priority"])
	if ms, err := strconv.ParseInt(s.meta["deadline"], 10, 64); err == nil {
		r.Deadline = time.UnixMilli(ms).UTC()
	}
	if t := s.meta["submission"]; t != "" {
		r.Submission = json.RawMessage(t)
	}
	for field, to := range map[string]*map[string]string{"tags": &r.Tags, "versions": &r.Versions} {
		if t := s.meta[field]; t != "" {
			if err := json.Unmarshal([]byte(t), to); err != nil {
				return nil, fmt.Errorf("run %s: %s: %w", s.run, field, err)
			}
		}
	}
	for _, stage := range p.Stages {
		sr, err := s.stage(stage)
		if err != nil {
			return nil, fmt.Errorf("run %s: stage %s: %w", s.run, stage.Name, err)
		}
		r.Stages = append(r.Stages, *sr)
		if made := expansionOf(sr.Outputs); made != nil {
			r.Expansions = append(r.Expansions, pipeline.Expansion{Stage: stage.Name, Stages: made.Ref})
		}
	}
	if r.Status != pipeline.Running {
		r.Close()
	} else {
		r.PausedAt = micros(s.meta["paused"])
	}
	s.explain(r)
	return r, nil
}

// explain says why a run that no stage failed did not succeed.
func (s *state) explain(r *pipeline.RunRecord) {
	switch {
	case r.Error != nil:
	case r.Status == pipeline.Canceled:
		r.Error = &pipeline.Error{Class: pipeline.ClassCanceled, Message: "the run was canceled: " + s.meta["cancel"]}
	case r.Status == pipeline.Failed && s.meta["late"] != "":
		r.Error = (&pipeline.Error{Class: pipeline.ClassStageFailed, Message: s.meta["late"]}).WithHint("give it more time, or more workers: what is finished is reused")
	}
}

// expansionOf returns the output in which a stage returned stages, or nil.
func expansionOf(outputs []artifact.Output) *artifact.Output {
	for i := range outputs {
		if outputs[i].MediaType == pipeline.StagesMediaType {
			return &outputs[i]
		}
	}
	return nil
}

// stage makes the record of one stage.
func (s *state) stage(stage pipeline.Stage) (*pipeline.StageRecord, error) {
	n := stage.Name
	fresh := pipeline.NewStageRecord(stage)
	sr := &fresh
	sr.Status, sr.Worker, sr.SkipReason, sr.ExpandedBy = s.get("status", n), s.get("owner", n), s.get("skip", n), s.get("def", n)
	sr.StartedAt, sr.FinishedAt = micros(s.get("started", n)), micros(s.get("finished", n))
	switch sr.Status {
	case statusReady:
		sr.Status = pipeline.Pending
	case pipeline.Waiting:
		sr.WaitReason = s.waitReason(n)
	}
	sr.Attempts, _ = strconv.Atoi(s.get("attempt", n))
	if ready := micros(s.get("ready", n)); !ready.IsZero() && !sr.StartedAt.IsZero() {
		sr.QueuedS = max(0, sr.StartedAt.Sub(ready).Seconds())
	}
	if t := s.get("out", n); t != "" {
		o, err := parseOutcome(t)
		if err != nil {
			return nil, err
		}
		o.describe(sr)
	}
	if t := s.get("err", n); t != "" {
		if err := json.Unmarshal([]byte(t), &sr.Error); err != nil {
			return nil, err
		}
	}
	return sr, nil
}

// describe copies the outcome into the record of its stage.
func (o *outcome) describe(sr *pipeline.StageRecord) {
	sr.Cache, sr.MissReason, sr.ActionKey, sr.Code = o.Cache, o.MissReason, o.ActionKey, o.Code
	sr.FetchS, sr.ComputeS, sr.StoreS, sr.Warnings, sr.Logs = o.FetchS, o.ComputeS, o.StoreS, o.Warnings, o.Logs
	if o.Outputs != nil && sr.Status == pipeline.Succeeded {
		sr.Outputs = o.Outputs
	}
}

// errInputs says that the state lacks what a stage needs.
var errInputs = errors.New("the inputs of the stage are not known")

// waitReason says what a stage is held by.
func (s *state) waitReason(stage string) string {
	var reasons []string
	if signal := s.get("signal", stage); signal != "" && s.meta["signal|"+signal] == "" {
		reasons = append(reasons, "the signal "+signal)
	}
	if due, err := strconv.ParseInt(s.get("due", stage), 10, 64); err == nil {
		reasons = append(reasons, time.UnixMilli(due).UTC().Format(time.RFC3339))
	}
	return "waits for " + strings.Join(reasons, " and ")
}

// source is an input with the stage that gave it, if one did.
type source struct {
	pipeline.Input
	stage, output string
}

// know adds the outcome of a stage.
func (s *state) know(stage, text string, o *outcome) {
	s.stages["out|"+stage] = text
	if s.parsed == nil {
		s.parsed = map[string]*outcome{}
	}
	s.parsed[stage] = o
}

// outcome returns what became of a stage. Only one goroutine asks a state.
func (s *state) outcome(stage string) (*outcome, error) {
	if o := s.parsed[stage]; o != nil {
		return o, nil
	}
	o := &outcome{}
	if t := s.get("out", stage); t != "" {
		var err error
		if o, err = parseOutcome(t); err != nil {
			return nil, fmt.Errorf("%w: outcome of %s: %w", errInputs, stage, err)
		}
	}
	s.know(stage, s.get("out", stage), o)
	return o, nil
}

// sources returns the inputs of a stage whose needs are met. One whose stage gave nothing is left out where the need says so.
func (s *state) sources(stage pipeline.Stage) ([]source, error) {
	var list []source
	add := func(n pipeline.Need, from string, must bool) error {
		o, err := s.outcome(from)
		if err != nil {
			return err
		}
		for _, out := range o.Outputs {
			if out.Name == n.Output {
				list = append(list, source{pipeline.Input{Role: n.Role, Ref: out.Ref, Inline: out.Inline}, from, out.Name})
				return nil
			}
		}
		if must {
			return fmt.Errorf("%w: stage %s has no output %s", errInputs, from, n.Output)
		}
		return nil
	}
	for _, n := range stage.Needs {
		switch {
		case n.Artifact != nil:
			list = append(list, source{Input: pipeline.Input{Role: n.Role, Ref: *n.Artifact}})
		case n.Each:
			children, err := s.made(n.Stage)
			if err != nil {
				return nil, err
			}
			for _, child := range children {
				if err := add(n, child, false); err != nil {
					return nil, err
				}
			}
		case n.Output != "":
			if err := add(n, n.Stage, n.OnFailure != pipeline.GoOn && !stage.Always); err != nil {
				return nil, err
			}
		}
	}
	if c := stage.If; c != nil {
		if err := add(pipeline.Need{Role: pipeline.ConditionRole, Stage: c.Stage, Output: c.Output}, c.Stage, false); err != nil {
			return nil, err
		}
	}
	return list, nil
}
