package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashline/hashline/artifact"
)

// Inputs returns the inputs that Execute wants for s, after WithReturned. outputs tells what a stage gave, and false for one
// that gave nothing, since it failed, was skipped or was canceled; its absence is an error unless s runs without it.
func (s Stage) Inputs(outputs func(stage string) ([]artifact.Output, bool)) ([]Input, error) {
	inputs := make([]Input, 0, len(s.Needs)+1)
	for _, n := range s.Needs {
		switch {
		case n.Artifact != nil:
			inputs = append(inputs, Input{Role: n.Role, Ref: *n.Artifact})
		case n.orderOnly():
		case n.Each:
			return nil, fmt.Errorf("stage %s: what %s returned is not known", s.Name, n.Stage)
		default:
			o, ok := findOutput(outputs, n.Stage, n.Output)
			if ok {
				inputs = append(inputs, Input{Role: n.Role, Ref: o.Ref, Inline: o.Inline})
			} else if !s.Always && n.OnFailure != GoOn {
				return nil, fmt.Errorf("stage %s: its input %s, output %s of stage %s, is not there", s.Name, n.Role, n.Output, n.Stage)
			}
		}
	}
	if s.If != nil {
		if o, ok := findOutput(outputs, s.If.Stage, s.If.Output); ok {
			inputs = append(inputs, Input{Role: ConditionRole, Ref: o.Ref, Inline: o.Inline})
		}
	}
	return inputs, nil
}

func findOutput(outputs func(stage string) ([]artifact.Output, bool), stage, name string) (artifact.Output, bool) {
	of, _ := outputs(stage)
	for _, o := range of {
		if o.Name == name {
			return o, true
		}
	}
	return artifact.Output{}, false
}

// open returns the verified bytes of an input, which are with it or in the store.
func (in Input) open(ctx context.Context, store *artifact.Store) (*artifact.Blob, error) {
	blob, err := store.OpenOutput(ctx, artifact.Output{Ref: in.Ref, Inline: in.Inline})
	if err != nil {
		return nil, &inputError{role: in.Role, ref: in.Ref, err: err}
	}
	return blob, nil
}

// inputError says that an input could not be read, which is no fault of the stage.
type inputError struct {
	role string
	ref  artifact.Ref
	err  error
}

func (e *inputError) Error() string { return fmt.Sprintf("%s: %v", inputName(e.role), e.err) }
func (e *inputError) Unwrap() error { return e.err }

// inputName says for people which input has a role.
func inputName(role string) string {
	if role == ConditionRole {
		return "output that the condition looks at"
	}
	return "input " + role
}

// explain turns a damaged or missing input into an error that names it.
func (x *Executor) explain(err error) error {
	in, ok := errors.AsType[*inputError](err)
	if !ok {
		return err
	}
	switch {
	case errors.Is(err, artifact.ErrCorrupt):
		x.emit(BlobCorrupt, inputName(in.role)+": its bytes no longer have their digest", map[string]string{"digest": in.ref.Digest.String()})
	case !errors.Is(err, artifact.ErrNotFound):
		return err
	}
	reason := (&Error{Class: ClassStageFailed, Message: fmt.Sprintf("the %s (%s) is damaged or gone", inputName(in.role), in.ref.Digest)}).
		WithHint("submit the same file again: it is stored anew, and finished stages are reused")
	return &DamagedInput{Role: in.role, Ref: in.ref, reason: reason}
}

// DamagedInput says that an input is not in the store any more, or not with its bytes. It unwraps to an *Error. Whoever
// made the input can make it again.
type DamagedInput struct {
	Role   string
	Ref    artifact.Ref
	reason *Error
}

func (e *DamagedInput) Error() string { return e.reason.Message }

// Unwrap returns the error for the user.
func (e *DamagedInput) Unwrap() error { return e.reason }

// splitCondition takes what the condition looks at out of the inputs.
func splitCondition(inputs []Input) (rest []Input, of *Input) {
	for i := range inputs {
		if inputs[i].Role != ConditionRole {
			continue
		}
		rest = append(make([]Input, 0, len(inputs)-1), inputs[:i]...)
		return append(rest, inputs[i+1:]...), &inputs[i]
	}
	return inputs, nil
}

// maxConditionOutput bounds an output that a condition is evaluated on, in bytes.
const maxConditionOutput = 16 << 20

// condition returns nil when the condition holds, and a *SkippedError when it does not. of is nil when there is no output to
// look at, since its stage ended without.
func (x *Executor) condition(ctx context.Context, c *Condition, of *Input, out *Outcome) error {
	start := time.Now()
	defer func() { out.FetchS += time.Since(start).Seconds() }()
	if of == nil {
		return Skip(c.subject() + " is not there")
	}
	if of.Ref.Size > maxConditionOutput {
		return Permanent(fmt.Errorf("%s has %d bytes, and a condition looks at no more than %d", c.subject(), of.Ref.Size, maxConditionOutput))
	}
	blob, err := of.open(ctx, x.Store)
	if err != nil {
		return x.explain(err)
	}
	defer blob.Close()
	b := make([]byte, blob.Size())
	if _, err := blob.ReadAt(b, 0); err != nil && len(b) > 0 {
		return fmt.Errorf("%s: %w", c.subject(), err)
	}
	holds, reason, err := c.Evaluate(b)
	if err != nil {
		return Permanent(err)
	}
	if !holds {
		return Skip(reason)
	}
	return nil
}
