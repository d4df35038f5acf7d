package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/hashline/hashline/artifact"
)

// Call is one execution of a stage function: its parameters and inputs, and the outputs that it writes. It is for use
// by the goroutine that runs the stage.
type Call struct {
	Params any          // what the kind's Params returned, filled in
	Seed   uint64       // the plan's seed; only a Seeded kind may use it
	Cores  int          // goroutines that it may keep busy; never changes a result
	Log    *slog.Logger // what it says, from level info on, is kept with the attempt; for use by any goroutine

	// Who executes what, for messages and for middleware. A result must not depend on it: the action key does not, but
	// for the stage of a kind that Expands.
	Run, Stage, Worker string
	Attempt            int // counts from 1

	ctx      context.Context
	store    *artifact.Store
	kind     Kind
	inputs   []Input
	open     []*artifact.Blob
	writers  []*outputWriter
	returned []Stage
	warnings []artifact.Warning
	fetch    time.Duration
	put      time.Duration
}

// Input returns the one input of a role, verified. It is closed when the stage ends. An Optional one that is absent is
// nil without an error.
func (c *Call) Input(role string) (*artifact.Blob, error) {
	blobs, err := c.Inputs(role)
	if err != nil || len(blobs) == 0 {
		return nil, err
	}
	return blobs[0], nil
}

// Inputs returns the inputs of a role in the plan's order, verified.
func (c *Call) Inputs(role string) ([]*artifact.Blob, error) {
	if _, ok := c.kind.input(role); !ok {
		return nil, fmt.Errorf("kind %s declares no input %s", c.kind.Name, role)
	}
	start := time.Now()
	defer func() { c.fetch += time.Since(start) }()
	var blobs []*artifact.Blob
	for _, in := range c.inputs {
		if in.Role != role {
			continue
		}
		blob, err := in.open(c.ctx, c.store)
		if err != nil {
			return nil, err
		}
		c.open = append(c.open, blob)
		blobs = append(blobs, blob)
	}
	return blobs, nil
}

// Ref returns the reference of the first input of a role without reading it; ok is false when it is absent.
func (c *Call) Ref(role string) (ref artifact.Ref, ok bool) {
	for _, in := range c.inputs {
		if in.Role == role {
			return in.Ref, true
		}
	}
	return artifact.Ref{}, false
}

// ReadJSON decodes the one input of a role.
func (c *Call) ReadJSON(role string, v any) error {
	blob, err := c.Input(role)
	if err != nil {
		return err
	}
	if blob == nil {
		return fmt.Errorf("input %s is absent", role)
	}
	if err := json.NewDecoder(blob).Decode(v); err != nil {
		return fmt.Errorf("input %s: %w", role, err)
	}
	return nil
}

// Create starts an output. What is written is published when Run returns nil, and discarded otherwise.
func (c *Call) Create(output string) (io.Writer, error) {
	if _, ok := c.kind.output(output); !ok || c.kind.Expands && output == StagesOutput {
		return nil, fmt.Errorf("kind %s declares no output %s", c.kind.Name, output)
	}
	return c.create(output)
}

// WriteJSON writes an output as compact JSON with a line end.
func (c *Call) WriteJSON(output string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("output %s: %w", output, err)
	}
	w, err := c.Create(output)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// Expand returns stages that the run is to have besides those of its plan: CheckExpansion says which. It may be called
// several times; the order is kept. They are checked when Run has returned nil, and are the output StagesOutput.
func (c *Call) Expand(stages ...Stage) error {
	if !c.kind.Expands {
		return fmt.Errorf("kind %s does not say that it expands, so it cannot return stages", c.kind.Name)
	}
	c.returned = append(c.returned, stages...)
	return nil
}

// returnStages writes the output that holds the returned stages.
func (c *Call) returnStages(parent Stage, r *Registry) error {
	if !c.kind.Expands {
		return nil
	}
	if err := CheckExpansion(parent, nil, c.returned, r); err != nil {
		return Permanent(err)
	}
	b, err := marshalStages(c.returned)
	if err != nil {
		return err
	}
	w, err := c.create(StagesOutput)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// Warn records a finding that does not stop the run. It is repeated when the action is a cache hit.
func (c *Call) Warn(code, message, column string) {
	c.warnings = append(c.warnings, artifact.Warning{Code: code, Message: message, Column: column})
}

// release closes inputs and discards what was not published.
func (c *Call) release() {
	var errs []error
	for _, b := range c.open {
		errs = append(errs, b.Close())
	}
	for _, w := range c.writers {
		w.abort()
	}
	if err := errors.Join(errs...); err != nil {
		c.Log.Warn("closing inputs", "error", err)
	}
}
