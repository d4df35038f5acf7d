package pipeline

import (
	"fmt"
	"time"

	"github.com/hashline/hashline/artifact"
)

// outputWriter holds an output until it is published: in memory while it may travel with the state of the run, else in
// the store. It measures what storing costs.
type outputWriter struct {
	call *Call
	name string
	held []byte
	blob *artifact.Writer // nil: held is all of it
	err  error            // the first that a Write had
}

// create starts an output that nothing was written to yet.
func (c *Call) create(output string) (*outputWriter, error) {
	for _, w := range c.writers {
		if w.name == output {
			return nil, fmt.Errorf("output %s is written twice", output)
		}
	}
	w := &outputWriter{call: c, name: output}
	if !c.kind.Inline {
		if err := w.spill(); err != nil {
			return nil, err
		}
	}
	c.writers = append(c.writers, w)
	return w, nil
}

// spill moves the output to the store.
func (w *outputWriter) spill() (err error) {
	if w.call.store == nil {
		return Permanent(fmt.Errorf("output %s of kind %s needs a store, and there is none: without one an output is of a kind that is Inline, and has at most %d bytes", w.name, w.call.kind.Name, InlineLimit))
	}
	if w.blob, err = w.call.store.NewWriter(w.call.ctx); err != nil {
		return err
	}
	if len(w.held) > 0 {
		_, err = w.blob.Write(w.held)
		w.held = nil
	}
	return err
}

func (w *outputWriter) Write(p []byte) (n int, err error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.blob == nil && len(w.held)+len(p) <= InlineLimit {
		w.held = append(w.held, p...)
		return len(p), nil
	}
	start := time.Now()
	if w.blob == nil {
		err = w.spill()
	}
	if err == nil {
		n, err = w.blob.Write(p)
	}
	w.err = err
	w.call.put += time.Since(start)
	return n, err
}

func (w *outputWriter) abort() {
	if w.blob != nil {
		w.blob.Abort()
		w.blob = nil
	}
}

// commit gives the output its digest, and stores it unless it travels with the state.
func (w *outputWriter) commit(o *artifact.Output) (err error) {
	if w.err != nil {
		return w.err
	}
	if w.blob == nil {
		o.Ref, o.Inline = artifact.Ref{Digest: artifact.DigestOf(w.held), Size: int64(len(w.held))}, w.held
		return nil
	}
	blob := w.blob
	w.blob = nil
	o.Ref, err = blob.Commit()
	return err
}

// publish stores every declared output, in the order of declaration.
func (c *Call) publish() ([]artifact.Output, error) {
	start := time.Now()
	defer func() { c.put += time.Since(start) }()
	outputs := make([]artifact.Output, len(c.kind.Outputs))
	for i, spec := range c.kind.Outputs {
		w := c.writer(spec.Name)
		if w == nil {
			return nil, fmt.Errorf("kind %s did not write its output %s", c.kind.Name, spec.Name)
		}
		outputs[i] = artifact.Output{Name: spec.Name, Class: spec.Class, MediaType: spec.MediaType}
		if err := w.commit(&outputs[i]); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

// writer returns what was created for an output, or nil.
func (c *Call) writer(output string) *outputWriter {
	for _, w := range c.writers {
		if w.name == output {
			return w
		}
	}
	return nil
}
