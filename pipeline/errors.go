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
	case errors.Is(err, artifact.ErrUnreachable):
		class = ClassUnreachable
	}
	return &Error{Class: class, Message: err.Error()}
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
