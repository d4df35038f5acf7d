package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashline/hashline/artifact"
)

// Classes of errors. They cross the queue, and decide about a retry and about the exit code of a command.
const (
	ClassBadInput    = "bad_input"    // the data or the request is at fault: trying again is useless
	ClassUsage       = "usage"        // the command line is at fault
	ClassStageFailed = "stage_failed" // a stage returned an error
	ClassUnreachable = "unreachable"  // Redis or the store did not answer
	ClassCanceled    = "canceled"     // somebody asked to stop
	ClassInternal    = "internal"     // a panic, or what should not happen
)

// Error is a failure with the fields that its reader needs: what, where, what next.
type Error struct {
	Class   string `json:"class"`
	Message string `json:"message"`
	File    string `json:"file"`
	Line    int    `json:"line"`   // 1-based, 0 unknown
	Column  int    `json:"column"` // 1-based, 0 unknown
	Stage   string `json:"stage"`
	Hint    string `json:"hint"`
}

func (e *Error) Error() string { return e.Message }

// BadInput returns an Error of class bad_input.
func BadInput(format string, args ...any) *Error {
	return &Error{Class: ClassBadInput, Message: fmt.Sprintf(format, args...)}
}

// WithHint returns a copy of e that also says what to do next.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// Skip returns an error by which Run says that its stage has nothing to do: the stage is SKIPPED for that reason, nothing
// that it wrote is kept, and it is no failure. It is a *SkippedError.
func Skip(reason string) error { return &SkippedError{Reason: reason} }

// SkippedError says that a stage was skipped, by its condition or by Skip.
type SkippedError struct{ Reason string }

func (e *SkippedError) Error() string { return "skipped: " + e.Reason }

// Permanent marks an error as not worth another attempt. It returns nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// IsPermanent reports whether another attempt is useless: Permanent marked the error, or its class is ClassBadInput or
// ClassUsage.
func IsPermanent(err error) bool {
	if _, ok := errors.AsType[permanent](err); ok {
		return true
	}
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Class == ClassBadInput || e.Class == ClassUsage)
}

// AsError classifies any error. It returns nil for nil, and a copy of an Error that err wraps.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		c := *e
		return &c
	}
	class := ClassStageFailed
	switch {
	case errors.Is(err, context.Canceled):
		class = ClassCanceled
	case errors.Is(err, artifact.ErrLocation):
		class = ClassUsage
	case errors.Is(err, artifact.ErrUnreachable):
		class = ClassUnreachable
	}
	e := &Error{Class: class, Message: err.Error()}
	if h, ok := errors.AsType[hinted](err); ok {
		e.Hint = h.Hint()
	}
	return e
}

// hinted are errors of other packages that say what to do next.
type hinted interface {
	error
	Hint() string
}

// ExitCode returns the exit code that a command gives for a class: 0 for none.
func ExitCode(class string) int {
	switch class {
	case "":
		return 0
	case ClassBadInput, ClassUsage:
		return 2
	case ClassUnreachable:
		return 3
	case ClassCanceled:
		return 130
	}
	return 1
}
