package artifact

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"
)

// Errors that callers branch on; they arrive wrapped, with what was attempted on what.
var (
	ErrNotFound    = errors.New("not found")
	ErrCorrupt     = errors.New("damaged: its bytes are not those that were stored")
	ErrUnreachable = errors.New("store unreachable")
	ErrLocation    = errors.New("no location of a store") // what Open was given says no place, so that trying again is useless
	ErrNoStore     = errors.New("there is no store")      // of OpenExisting
)

// Backend is where a Store keeps its objects: named, immutable or small and replaceable. Names are relative,
// slash-separated paths that the Store makes itself; a Backend refuses those that are not ValidName. Every method may be
// called concurrently. Package artifacttest has the suite that every Backend passes. One whose objects are not on this
// machine gives up after a bounded time, with ErrUnreachable, when they cannot be reached.
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

// ValidName reports whether name is a slash-separated path below the place of a Backend: of printable ASCII, without a
// backslash and without a step that is empty, "." or "..".
func ValidName(name string) bool {
	for step := range strings.SplitSeq(name, "/") {
		if step == "" || step == "." || step == ".." {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' || r == '\\' })
}

// Locator is a Backend that can say where it lies.
type Locator interface {
	// Location is what Open takes to open the same store again, without a secret.
	Location() string
	// Where returns where an object lies, for people to read: a path or a URL.
	Where(name string) string
}

// Ager is a Backend of several machines that can tell how old an object is by its own clock, as theirs may differ.
type Ager interface {
	// Age returns how long ago the object was stored, or ErrNotFound.
	Age(ctx context.Context, name string) (time.Duration, error)
}

// PartLister is a Backend for which a part of a long list is much cheaper than all of it.
type PartLister interface {
	// ListPart returns names directly below dir that sort behind after, sorted, at most most of them (0: all) and fewer only
	// where there are no more. No name in dir is the beginning of another.
	ListPart(ctx context.Context, dir, after string, most int) ([]string, error)
}
