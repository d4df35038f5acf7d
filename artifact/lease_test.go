package artifact

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// aged is a directory that counts as a store of several machines: its locks are leases, by a clock of the test's.
type aged struct {
	Backend
	path    func(name string) string
	later   atomic.Int64 // nanoseconds
	written chan string  // the names of uploads that were committed
}

func (a *aged) Age(_ context.Context, name string) (time.Duration, error) {
	info, err := os.Stat(a.path(name))
	if err != nil {
		return 0, pathError(name, err)
	}
	return time.Since(info.ModTime()) + time.Duration(a.later.Load()), nil
}

func (a *aged) Begin(ctx context.Context) (Upload, error) {
	u, err := a.Backend.Begin(ctx)
	return telling{u, a.written}, err
}

type telling struct {
	Upload
	written chan string
}

func (u telling) Commit(ctx context.Context, name string, o CommitOptions) (bool, error) {
	created, err := u.Upload.Commit(ctx, name, o)
	select {
	case u.written <- name:
	default: // nobody listens
	}
	return created, err
}

func openAged(t *testing.T) (*Store, *aged) {
	t.Helper()
	d, err := newDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := &aged{Backend: d, path: d.path, written: make(chan string)}
	s, err := New(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return s, a
}

// A lease counts as long as it is renewed, and is anybody's when it has run out.
func TestLease(t *testing.T) {
	s, a := openAged(t)
	held := func(want bool) {
		t.Helper()
		if got, err := s.Locked(t.Context(), "run"); err != nil || got != want {
			t.Errorf("locked: %v, %v, want %v", got, err, want)
		}
	}
	held(false)
	dead, err := s.Lock(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	held(true)
	if _, err := s.Lock(t.Context(), "run"); !errors.Is(err, errHeld) {
		t.Errorf("locking twice: %v", err)
	}
	a.later.Store(int64(leaseTTL))
	held(false)
	a.later.Store(0)
	dead()
	held(false)
}

func TestLeaseIsRenewed(t *testing.T) {
	was := leaseRenewal
	leaseRenewal = time.Millisecond
	t.Cleanup(func() { leaseRenewal = was })
	s, a := openAged(t)
	ctx, cancel := context.WithCancel(t.Context())
	release, err := s.Lock(ctx, "run")
	if err != nil {
		t.Fatal(err)
	}
	cancel() // the lock is not bound to the context that it was taken with
	for range 3 {
		if name := <-a.written; name != "locks/run" {
			t.Errorf("%s was written", name)
		}
	}
	release()
	if held, err := s.Locked(t.Context(), "run"); err != nil || held {
		t.Errorf("it is locked still: %v", err)
	}
}

// A place where the second of two objects takes the name of the first is no store.
func TestForgetfulBackend(t *testing.T) {
	d, err := newDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), forgetful{d}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
}

type forgetful struct{ Backend }

func (f forgetful) Begin(ctx context.Context) (Upload, error) {
	u, err := f.Backend.Begin(ctx)
	return replacing{u}, err
}

type replacing struct{ Upload }

func (r replacing) Commit(ctx context.Context, name string, _ CommitOptions) (bool, error) {
	return r.Upload.Commit(ctx, name, CommitOptions{Replace: true})
}
