package artifact

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const lockDir = "locks"

// Lock takes an advisory lock that is given up when the process ends, however it ends. An embedded run holds one, so that
// others can tell a run that works from one whose process died.
//
// In a directory the kernel drops it with the process. In a store of several machines the lock is an object that is
// written again every few seconds, and counts as given up when it is older than leaseTTL: a process that is stopped, or cut
// off from the store, for longer than that is taken for dead. With a backend that cannot tell ages nothing is locked.
func (s *Store) Lock(ctx context.Context, name string) (release func(), err error) {
	if d, ok := s.backend.(*dir); ok {
		return d.lock(filepath.Base(name))
	}
	if a, ok := s.backend.(Ager); ok {
		return s.lease(ctx, a, lockDir+"/"+filepath.Base(name))
	}
	return func() {}, nil
}

// Locked reports whether a living process holds the lock.
func (s *Store) Locked(ctx context.Context, name string) (bool, error) {
	if d, ok := s.backend.(*dir); ok {
		return d.locked(filepath.Base(name)), nil
	}
	if a, ok := s.backend.(Ager); ok {
		return leased(ctx, a, lockDir+"/"+filepath.Base(name))
	}
	return false, nil
}

func (d *dir) lock(name string) (release func(), err error) {
	folder := filepath.Join(d.root, lockDir)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("locking: %w: %w", ErrUnreachable, err)
	}
	file := filepath.Join(folder, name)
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking: %w: %w", ErrUnreachable, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %s", errHeld, name)
	}
	return func() {
		_ = os.Remove(file)
		_ = f.Close()
	}, nil
}

func (d *dir) locked(name string) bool {
	f, err := os.Open(filepath.Join(d.root, lockDir, name))
	if err != nil {
		return false
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return true
	}
	_ = unix.Flock(int(f.Fd()), unix.LOCK_UN)
	return false
}

var errHeld = errors.New("the lock is held by another process")

// Times of a lease. Three renewals may fail before it runs out. They are variables for the test.
var (
	leaseRenewal = 5 * time.Second
	leaseTTL     = 20 * time.Second
)

// lease takes a lock that is an object. Two processes that find one run out at the same moment may both take it; run ids
// are random, so that nobody contends for theirs.
func (s *Store) lease(ctx context.Context, a Ager, name string) (release func(), err error) {
	if held, err := leased(ctx, a, name); err != nil {
		return nil, err
	} else if held {
		return nil, fmt.Errorf("%w: %s", errHeld, filepath.Base(name))
	}
	if _, err := s.putDocument(ctx, name, nil, CommitOptions{Replace: true}); err != nil {
		return nil, err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.renew(work, name)
	}()
	return func() {
		stop()
		<-ended
		last, done := context.WithTimeout(context.WithoutCancel(ctx), leaseRenewal)
		defer done()
		_ = s.backend.Delete(last, name, nil) // else it runs out
	}, nil
}

// renew writes the object again until ctx ends. What fails is tried again at the next renewal.
func (s *Store) renew(ctx context.Context, name string) {
	t := time.NewTicker(leaseRenewal)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			_, _ = s.putDocument(ctx, name, nil, CommitOptions{Replace: true})
		}
	}
}

func leased(ctx context.Context, a Ager, name string) (bool, error) {
	age, err := a.Age(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && age < leaseTTL, err
}
