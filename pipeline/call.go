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
	Log    *slog.Logger // what it says is kept with the attempt

	ctx      context.Context
	store    *artifact.Store
	kind     Kind
	inputs   []Input
	open     []*artifact.Blob
	writers  map[string]*outputWriter
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
		blob, err := c.store.Open(c.ctx, in.Ref)
		if err != nil {
			return nil, &inputError{role: role, ref: in.Ref, err: err}
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

// inputError says that an input could not be read, which is no fault of the stage.
type inputError struct {
	role string
	ref  artifact.Ref
	err  error
}

func (e *inputError) Error() string { return fmt.Sprintf("input %s: %v", e.role, e.err) }
func (e *inputError) Unwrap() error { return e.err }

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

// outputWriter measures what storing costs.
type outputWriter struct {
	*artifact.Writer
	call *Call
}

func (w *outputWriter) Write(p []byte) (int, error) {
	start := time.Now()
	n, err := w.Writer.Write(p)
	w.call.put += time.Since(start)
	return n, err
}

// Create starts an output. What is written is published when Run returns nil, and discarded otherwise.
func (c *Call) Create(output string) (io.Writer, error) {
	if _, ok := c.kind.output(output); !ok {
		return nil, fmt.Errorf("kind %s declares no output %s", c.kind.Name, output)
	}
	if c.writers[output] != nil {
		return nil, fmt.Errorf("output %s is written twice", output)
	}
	w, err := c.store.NewWriter(c.ctx)
	if err != nil {
		return nil, err
	}
	c.writers[output] = &outputWriter{Writer: w, call: c}
	return c.writers[output], nil
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

// Warn records a finding that does not stop the run. It is repeated when the action is a cache hit.
func (c *Call) Warn(code, message, column string) {
	c.warnings = append(c.warnings, artifact.Warning{Code: code, Message: message, Column: column})
}

// publish stores every declared output, in the order of declaration.
func (c *Call) publish() ([]artifact.Output, error) {
	start := time.Now()
	defer func() { c.put += time.Since(start) }()
	outputs := make([]artifact.Output, 0, len(c.kind.Outputs))
	for _, spec := range c.kind.Outputs {
		w := c.writers[spec.Name]
		if w == nil {
			return nil, fmt.Errorf("kind %s did not write its output %s", c.kind.Name, spec.Name)
		}
		delete(c.writers, spec.Name)
		ref, err := w.Commit()
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, artifact.Output{Name: spec.Name, Class: spec.Class, MediaType: spec.MediaType, Ref: ref})
	}
	return outputs, nil
}

// release closes inputs and discards what was not published.
func (c *Call) release() {
	var errs []error
	for _, b := range c.open {
		errs = append(errs, b.Close())
	}
	for _, w := range c.writers {
		w.Abort()
	}
	if err := errors.Join(errs...); err != nil {
		c.Log.Warn("closing inputs", "error", err)
	}
}
