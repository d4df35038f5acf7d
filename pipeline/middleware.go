package pipeline

import (
	"context"

	"github.com/hashline/hashline/artifact"
)

// Handler does the work of a stage, as Kind.Run does.
type Handler func(ctx context.Context, c *Call) error

// Middleware puts something around every stage function that is called: tracing, metrics, limits. A stage whose outputs
// are found is not called. It must return what the inner handler returns, unless it means to change how the stage ends,
// and must not change outputs: the action key knows nothing of it.
type Middleware func(Handler) Handler

// Flight lets one of those who need the same action at the same time compute it.
type Flight interface {
	// Enter returns at once when nobody computes the action of that key, and else when whoever did has left or died, or
	// with an error when ctx has ended. waited says that it did not return at once, so what is needed may be there now.
	// leave is called once, after the action result is stored or the attempt has failed; it is nil with an error.
	Enter(ctx context.Context, key artifact.ActionKey) (leave func(), waited bool, err error)
}
