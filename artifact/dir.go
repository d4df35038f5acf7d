package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tempDir holds uploads that have no name yet. It lies in the same file system, so that a rename is atomic; what a killed
// process left there is removed once it is older than tempAge.
const (
	tempDir = "tmp"
	tempAge = 48 * time.Hour
)

// dir is the Backend over a local directory.
type dir struct{ root string }

// Dir returns the Backend over a local directory, which is made when it is absent. Any number of processes of this machine,
// or of machines that share the file system, may use it at once.
func Dir(root string) (Backend, error) { return newDir(root) }

func newDir(root string) (*dir, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(abs); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("the store %s is a file, not a folder: %w", abs, ErrUnreachable)
	}
	if err := os.MkdirAll(filepath.Join(abs, tempDir), 0o755); err != nil {
		return nil, fmt.Errorf("making the store: %w: %w", ErrUnreachable, err)
	}
	d := &dir{root: abs}
	d.sweep()
	return d, nil
}

// sweep removes what killed processes left behind. Failing to is harmless.
func (d *dir) sweep() {
	entries, err := os.ReadDir(filepath.Join(d.root, tempDir))
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > tempAge {
			_ = os.Remove(filepath.Join(d.root, tempDir, e.Name()))
		}
	}
}

func (d *dir) path(name string) string { return filepath.Join(d.root, filepath.FromSlash(name)) }

func (d *dir) Location() string { return d.root }

func (d *dir) Where(name string) string { return d.path(name) }

func (d *dir) Begin(context.Context) (Upload, error) {
	f, err := os.CreateTemp(filepath.Join(d.root, tempDir), "put-")
	if errors.Is(err, fs.ErrNotExist) { // somebody emptied the store under us
		if err = os.MkdirAll(filepath.Join(d.root, tempDir), 0o755); err == nil {
			f, err = os.CreateTemp(filepath.Join(d.root, tempDir), "put-")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("writing to the store: %w: %w", ErrUnreachable, err)
	}
	return &dirUpload{dir: d, file: f}, nil
}

func (d *dir) Open(_ context.Context, name string) (Object, error) {
	if !ValidName(name) {
		return nil, errName(name)
	}
	f, err := os.Open(d.path(name))
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrCorrupt, err)
	}
	if err != nil {
		return nil, pathError(name, err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w: it is no file", name, ErrCorrupt)
	}
	return f, nil
}

func (d *dir) Sync(_ context.Context, name string) error {
	if !ValidName(name) {
		return errName(name)
	}
	f, err := os.Open(d.path(name))
	if err != nil {
		return pathError(name, err)
	}
	err = f.Sync()
	_ = f.Close()
	if err == nil {
		err = syncDirs(d.root, filepath.Dir(d.path(name)))
	}
	if err != nil {
		return fmt.Errorf("storing %s: %w: %w", name, ErrUnreachable, err)
	}
	return nil
}

func (d *dir) Delete(_ context.Context, name string, only Object) error {
	if !ValidName(name) {
		return errName(name)
	}
	if f, ok := only.(*os.File); ok {
		was, err := f.Stat()
		now, gone := os.Lstat(d.path(name))
		if err == nil && gone == nil && !os.SameFile(was, now) {
			return nil
		}
	}
	if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return pathError(name, err)
	}
	return nil
}

func (d *dir) List(_ context.Context, folder string) ([]string, error) {
	if !ValidName(folder) {
		return nil, errName(folder)
	}
	entries, err := os.ReadDir(d.path(folder)) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, pathError(folder, err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// errName refuses a name that must never become a path.
func errName(name string) error { return fmt.Errorf("%.80q is no name of an object", name) }

// pathError tells an absent object from a store that cannot be read.
func pathError(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	return fmt.Errorf("%s: %w: %w", name, ErrUnreachable, err)
}

type dirUpload struct {
	dir  *dir
	file *os.File
}

func (u *dirUpload) Write(p []byte) (int, error) {
	n, err := u.file.Write(p)
	if err != nil {
		err = fmt.Errorf("writing to the store: %w: %w", ErrUnreachable, err)
	}
	return n, err
}

func (u *dirUpload) Abort() {
	_ = u.file.Close()
	_ = os.Remove(u.file.Name())
}

// Commit links the file under its name: link, unlike rename, refuses a name that is taken, which makes two writers of
// one name agree on the first. File systems without hard links fall back to a rename.
func (u *dirUpload) Commit(_ context.Context, name string, o CommitOptions) (bool, error) {
	defer u.Abort()
	if !ValidName(name) {
		return false, errName(name)
	}
	if err := u.seal(o); err != nil {
		return false, err
	}
	target := u.dir.path(name)
	created, err := place(u.file.Name(), target, o.Replace)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(target), 0o755); err == nil {
			created, err = place(u.file.Name(), target, o.Replace)
		}
	}
	if err != nil {
		return false, fmt.Errorf("storing %s: %w: %w", name, ErrUnreachable, err)
	}
	if created && o.Durable {
		if err := syncDirs(u.dir.root, filepath.Dir(target)); err != nil {
			return true, fmt.Errorf("storing %s: %w: %w", name, ErrUnreachable, err)
		}
	}
	return created, nil
}

// seal makes the finished file read-only and, if asked, durable.
func (u *dirUpload) seal(o CommitOptions) error {
	if err := u.file.Chmod(0o444); err != nil {
		return fmt.Errorf("storing: %w: %w", ErrUnreachable, err)
	}
	if !o.Durable {
		return nil
	}
	if err := u.file.Sync(); err != nil {
		return fmt.Errorf("storing: %w: %w", ErrUnreachable, err)
	}
	return nil
}

func place(from, to string, replace bool) (created bool, err error) {
	if replace {
		if err = os.Rename(from, to); errors.Is(err, fs.ErrExist) || errors.Is(err, unix.EISDIR) {
			if err = os.Remove(to); err == nil { // an empty folder
				err = os.Rename(from, to)
			}
		}
		return true, err
	}
	err = os.Link(from, to)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrExist):
		return false, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if _, statErr := os.Stat(to); statErr == nil {
		return false, nil
	}
	return true, os.Rename(from, to)
}

// syncDirs makes a new name durable: the folder that holds it and, as it may be new itself, the folders up to the root.
func syncDirs(root, folder string) error {
	for {
		f, err := os.Open(folder)
		if err != nil {
			return fmt.Errorf("syncing %s: %w", folder, err)
		}
		err = f.Sync()
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("syncing %s: %w", folder, err)
		}
		if folder == root || !strings.HasPrefix(folder, root) {
			return nil
		}
		folder = filepath.Dir(folder)
	}
}
