package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// state is what Redis holds of a run, or the part of it that was asked for.
type state struct {
	run    string
	meta   map[string]string
	stages map[string]string
}

// load reads the whole state of a run.
func (c *core) load(ctx context.Context, run string) (*state, error) {
	k := c.keys(run)
	pipe := c.redis.Pipeline()
	meta, stages := pipe.HGetAll(ctx, k.name("meta")), pipe.HGetAll(ctx, k.name("stages"))
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	return &state{run, meta.Val(), stages.Val()}, nil
}

// loadMeta reads what never changes of a run: its plan, store and queue.
func (c *core) loadMeta(ctx context.Context, run string) (*state, error) {
	fields := []string{"plan", "plan_bytes", "store", "queue"}
	values, err := c.redis.HMGet(ctx, c.keys(run).name("meta"), fields...).Result()
	if err != nil {
		return nil, err
	}
	s := &state{run: run, meta: map[string]string{}, stages: map[string]string{}}
	for i, v := range values {
		if text, ok := v.(string); ok {
			s.meta[fields[i]] = text
		}
	}
	return s, nil
}

// loadNeeds adds the outcomes that the inputs of a stage come from.
func (c *core) loadNeeds(ctx context.Context, s *state, stage pipeline.Stage) error {
	upstream := stage.Upstream()
	if len(upstream) == 0 {
		return nil
	}
	fields := make([]string, len(upstream))
	for i, up := range upstream {
		fields[i] = "out|" + up
	}
	values, err := c.redis.HMGet(ctx, c.keys(s.run).name("stages"), fields...).Result()
	if err != nil {
		return err
	}
	for i, v := range values {
		s.stages[fields[i]], _ = v.(string)
	}
	return nil
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

// outcome is what a worker stores of an attempt.
type outcome struct {
	Cache      string             `json:"cache"`
	MissReason string             `json:"miss_reason"`
	ActionKey  string             `json:"action_key"`
	Code       string             `json:"code"`
	FetchS     float64            `json:"fetch_s"`
	ComputeS   float64            `json:"compute_s"`
	StoreS     float64            `json:"store_s"`
	Outputs    []artifact.Output  `json:"outputs"`
	Warnings   []artifact.Warning `json:"warnings"`
}

func newOutcome(o *pipeline.Outcome) outcome {
	out := outcome{Cache: o.Cache, MissReason: clip(o.MissReason), Code: o.Code, FetchS: o.FetchS, ComputeS: o.ComputeS, StoreS: o.StoreS, Outputs: o.Outputs, Warnings: o.Warnings}
	if !o.ActionKey.IsZero() {
		out.ActionKey = o.ActionKey.String()
	}
	return out
}

// record makes a run record of the state.
func (s *state) record(p *planIndex) (*pipeline.RunRecord, error) {
	r := &pipeline.RunRecord{Schema: pipeline.RunSchema, RunID: s.run, Name: s.meta["name"], Status: s.meta["status"], Mode: s.meta["mode"], StoreID: s.meta["store"],
		CreatedAt: micros(s.meta["created"]), StartedAt: micros(s.meta["started"]), FinishedAt: micros(s.meta["finished"]), Plan: s.planRef(), Seed: p.Seed,
		Warnings: []artifact.Warning{}, Tags: map[string]string{}, Versions: map[string]string{}}
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
	}
	if r.Status != pipeline.Running {
		r.Close()
	}
	if reason, ok := s.meta["cancel"]; ok && r.Status == pipeline.Canceled && r.Error == nil {
		r.Error = &pipeline.Error{Class: pipeline.ClassCanceled, Message: "the run was canceled: " + reason}
	}
	return r, nil
}

// stage makes the record of one stage.
func (s *state) stage(stage pipeline.Stage) (*pipeline.StageRecord, error) {
	n := stage.Name
	sr := &pipeline.StageRecord{Name: n, Kind: stage.Kind, Status: s.get("status", n), Worker: s.get("owner", n), Needs: stage.Upstream(), SkipReason: s.get("skip", n),
		StartedAt: micros(s.get("started", n)), FinishedAt: micros(s.get("finished", n)), Outputs: []artifact.Output{}}
	if sr.Status == statusReady {
		sr.Status = pipeline.Pending
	}
	sr.Attempts, _ = strconv.Atoi(s.get("attempt", n))
	if ready := micros(s.get("ready", n)); !ready.IsZero() && !sr.StartedAt.IsZero() {
		sr.QueuedS = max(0, sr.StartedAt.Sub(ready).Seconds())
	}
	if t := s.get("out", n); t != "" {
		var o outcome
		if err := json.Unmarshal([]byte(t), &o); err != nil {
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
	sr.FetchS, sr.ComputeS, sr.StoreS, sr.Warnings = o.FetchS, o.ComputeS, o.StoreS, o.Warnings
	if o.Outputs != nil && sr.Status == pipeline.Succeeded {
		sr.Outputs = o.Outputs
	}
}

// errInputs says that the state lacks what a stage needs.
var errInputs = errors.New("the inputs of the stage are not known")

// inputs returns the inputs of a stage whose needs are met.
func (s *state) inputs(stage pipeline.Stage) ([]input, error) {
	list := make([]input, 0, len(stage.Needs))
	outputs := map[string][]artifact.Output{}
	for _, n := range stage.Needs {
		if n.Artifact != nil {
			list = append(list, input{n.Role, *n.Artifact})
			continue
		}
		if outputs[n.Stage] == nil {
			var o outcome
			if err := json.Unmarshal([]byte(s.get("out", n.Stage)), &o); err != nil {
				return nil, fmt.Errorf("%w: outcome of %s: %w", errInputs, n.Stage, err)
			}
			outputs[n.Stage] = o.Outputs
		}
		found := false
		for _, o := range outputs[n.Stage] {
			if o.Name == n.Output {
				list = append(list, input{n.Role, o.Ref})
				found = true
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: stage %s has no output %s", errInputs, n.Stage, n.Output)
		}
	}
	return list, nil
}
