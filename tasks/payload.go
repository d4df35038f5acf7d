package tasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// TaskType is the type of every task; asynq matches prefixes, so there is only one.
const TaskType = "hashline:stage"

const payloadSchema = "hashline.task/2"

const maxPayload = 2 << 10

// payload is one attempt of a stage: references only. What the stage's inputs are is asked from the state when the attempt is
// claimed, in the same step, so that no task can say otherwise.
type payload struct {
	Schema   string       `json:"schema"`
	Run      string       `json:"run"`
	Stage    string       `json:"stage"`
	Kind     string       `json:"kind"`
	Attempt  int          `json:"attempt"`
	Store    string       `json:"store"`
	Plan     artifact.Ref `json:"plan"`
	Def      string       `json:"def,omitempty"`   // the stage that returned this one
	Alone    bool         `json:"alone,omitempty"` // it killed workers before
	Priority int          `json:"priority,omitempty"`
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
	if err := strictly(b, &p); err != nil {
		var head struct{ Schema string }
		if json.Unmarshal(b, &head) == nil && head.Schema != payloadSchema {
			err = errSchema
		}
		return nil, fmt.Errorf("payload: %w", err)
	}
	switch {
	case p.Schema != payloadSchema:
		return nil, fmt.Errorf("payload: schema %.40q, want %s: %w", p.Schema, payloadSchema, errSchema)
	case !artifact.ValidRunID(p.Run):
		return nil, errors.New("payload: not a run id")
	case !pipeline.ValidStageName(p.Stage):
		return nil, errors.New("payload: not a stage name")
	case p.Def != "" && !pipeline.ValidStageName(p.Def):
		return nil, errors.New("payload: not the name of a stage that returned it")
	case p.Attempt < 1:
		return nil, errors.New("payload: not an attempt")
	case p.Plan.IsZero():
		return nil, errors.New("payload: no plan")
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

// encode writes the payload.
func (p *payload) encode() ([]byte, error) {
	b, err := json.Marshal(p)
	if err == nil && len(b) > maxPayload {
		err = fmt.Errorf("%w: payload of %d bytes, more than %d", errPayload, len(b), maxPayload)
	}
	return b, err
}
