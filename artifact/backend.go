package artifact

import (
	"context"
	"errors"
	"io"
)

// Errors that callers branch on; they arrive wrapped, with what was attempted on what.
var (
	ErrNotFound    = errors.New("not found")
	ErrCorrupt     = errors.New("damaged: its bytes are not those that were stored")
	ErrUnreachable = errors.New("store unreachable")
)

// Backend is where a Store keeps its objects: named, immutable or small and replaceable. Names are relative,
// slash-separated paths of [a-z0-9._-] that the Store makes itself. Every method may be called concurrently.
type Backend interface {
	// Begin starts an object whose name need not be known yet.
	Begin(ctx context.Context) (Upload, error)
	// Open returns the object's bytes, ErrNotFound, or ErrCorrupt when this object alone cannot be read.
	Open(ctx context.Context, name string) (Object, error)
	// Sync makes an object that is there survive a power cut.
	Sync(ctx context.Context, name string) error
	// Delete removes the object; removing what is not there is no error. Unless only is nil, it removes nothing when another
	// object has taken the name since only was opened.
	Delete(ctx context.Context, name string, only Object) error
	// List returns the names directly below the folder dir, sorted, without the folder itself.
	List(ctx context.Context, dir string) ([]string, error)
}

// Upload is an object being written. Exactly one of Commit and Abort must be called.
type Upload interface {
	io.Writer
	// Commit gives the object its name. Without Replace an object of that name stays as it is and created is false.
	Commit(ctx context.Context, name string, o CommitOptions) (created bool, err error)
	// Abort leaves nothing behind.
	Abort()
}

// CommitOptions say how an object takes its name.
type CommitOptions struct {
	Replace bool // put it in the place of an older object of the same name
	Durable bool // survive a power cut once Commit has returned
}

// Object is an open object.
type Object interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
}
