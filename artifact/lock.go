package artifact

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock takes an advisory lock that this machine's kernel drops when the process ends, however it ends. An embedded run
// holds one, so that others can tell a run that works from one whose process died. It needs a local store.
func (s *Store) Lock(name string) (release func(), err error) {
	if s.dir == "" {
		return func() {}, nil
	}
	folder := filepath.Join(s.dir, "locks")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("locking: %w: %w", ErrUnreachable, err)
	}
	path := filepath.Join(folder, filepath.Base(name))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking: %w: %w", ErrUnreachable, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s is held: %w", filepath.Base(name), err)
	}
	return func() {
		_ = os.Remove(path)
		_ = f.Close()
	}, nil
}

// Locked reports whether a living process holds the lock.
func (s *Store) Locked(name string) bool {
	if s.dir == "" {
		return false
	}
	f, err := os.Open(filepath.Join(s.dir, "locks", filepath.Base(name)))
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
