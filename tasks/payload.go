package tasks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// taskType is the type of every task; asynq matches prefixes, so there is only one.
const taskType = "hashline:stage"

const payloadSchema = "hashline.task/1"

// Limits of a payload.
const (
	maxPayload     = 2 << 10
	inlineInputs   = 8 // above, the payload names one manifest artifact
	maxManifestLen = 16 << 20
)

// payload is one attempt of a stage: references only.
type payload struct {
	Schema   string        `json:"schema"`
	Run      string        `json:"run"`
	Stage    string        `json:"stage"`
	Kind     string        `json:"kind"`
	Attempt  int           `json:"attempt"`
	Store    string        `json:"store"`
	Plan     artifact.Ref  `json:"plan"`
	Inputs   []input       `json:"inputs,omitempty"`
	Manifest *artifact.Ref `json:"manifest,omitempty"`
}

// input is one artifact with its role.
type input struct {
	Role string `json:"role"`
	artifact.Ref
}

func (p *payload) id() string { return taskID(p.Run, p.Stage, p.Attempt) }

func taskID(run, stage string, attempt int) string {
	return fmt.Sprintf("%s:%s:%d", run, stage, attempt)
}

// errSchema says that a task was made by another version of this package, which may have workers of its own.
var errSchema = errors.New("unknown schema")

// parsePayload reads a payload strictly: known fields only, ids and digests of the right form.
func parsePayload(b []byte) (*payload, error) {
	if len(b) > maxPayload {
		return nil, fmt.Errorf("payload of %d bytes, more than %d", len(b), maxPayload)
	}
	var p payload
	var head struct{ Schema string }
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if head.Schema != payloadSchema {
		return nil, fmt.Errorf("payload: schema %.40q, want %s: %w", head.Schema, payloadSchema, errSchema)
	}
	if err := strictly(b, &p); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	switch {
	case !artifact.ValidRunID(p.Run):
		return nil, errors.New("payload: not a run id")
	case !pipeline.ValidStageName(p.Stage):
		return nil, errors.New("payload: not a stage name")
	case p.Attempt < 1:
		return nil, errors.New("payload: not an attempt")
	case p.Plan.IsZero():
		return nil, errors.New("payload: no plan")
	case p.Manifest != nil && p.Manifest.IsZero():
		return nil, errors.New("payload: an empty manifest")
	case p.Manifest != nil && len(p.Inputs) > 0:
		return nil, errors.New("payload: inputs beside a manifest")
	}
	return &p, nil
}

func strictly(b []byte, v any) error {
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

// errPayload wraps what keeps an attempt from ever becoming a task.
var errPayload = errors.New("no task can be made of the stage")

// encode writes the payload; many or long inputs go into a manifest artifact.
func (p *payload) encode(ctx context.Context, store *artifact.Store) ([]byte, error) {
	if len(p.Inputs) <= inlineInputs {
		b, err := json.Marshal(p)
		if err != nil || len(b) <= maxPayload {
			return b, err
		}
	}
	list, err := json.Marshal(p.Inputs)
	if err != nil {
		return nil, err
	}
	ref, err := store.PutBytes(ctx, list)
	if err != nil {
		return nil, err
	}
	p.Inputs, p.Manifest = nil, &ref
	b, err := json.Marshal(p)
	if err == nil && len(b) > maxPayload {
		err = fmt.Errorf("%w: payload of %d bytes, more than %d", errPayload, len(b), maxPayload)
	}
	return b, err
}

// inputs returns the inputs that the payload names.
func (p *payload) inputs(ctx context.Context, store *artifact.Store) ([]input, error) {
	if p.Manifest == nil {
		return p.Inputs, nil
	}
	if p.Manifest.Size > maxManifestLen {
		return nil, errors.New("payload: its manifest is too long")
	}
	b, err := store.ReadAll(ctx, *p.Manifest)
	if err != nil {
		return nil, fmt.Errorf("input manifest: %w", err)
	}
	var list []input
	if err := strictly(b, &list); err != nil {
		return nil, fmt.Errorf("input manifest: %w", err)
	}
	return list, nil
}
