package artifact

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Store keeps blobs, action results and run documents in one Backend.
type Store struct {
	backend  Backend
	id       string
	location string
}

// Scheme opens the backends whose locations are URLs of one scheme. This package knows local directories alone; a program
// names what else it links, as in artifact.Open(ctx, location, s3.Scheme).
type Scheme struct {
	Name string // as in "s3"
	Open func(ctx context.Context, location string) (Backend, error)
}

// Open opens the store at location and makes it when it is absent. A location is the path of a local directory, file://
// and such a path, or a URL of one of the schemes; anything else is ErrLocation.
func Open(ctx context.Context, location string, schemes ...Scheme) (*Store, error) {
	b, err := openBackend(ctx, location, schemes)
	if err != nil {
		return nil, err
	}
	return New(ctx, b)
}

// OpenExisting is Open for those who only read: where no store is it makes none, and returns ErrNoStore.
func OpenExisting(ctx context.Context, location string, schemes ...Scheme) (*Store, error) {
	if path, ok := directory(location); ok && path != "" { // the Backend of a directory makes it
		if _, err := os.Stat(filepath.Join(path, idName)); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w in %s", ErrNoStore, path)
		}
	}
	b, err := openBackend(ctx, location, schemes)
	if err != nil {
		return nil, err
	}
	s := newStore(b)
	err = s.identify(ctx)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w in %s", ErrNoStore, s.location)
	}
	return s, err
}

// directory is the path in a location that is no URL of a scheme.
func directory(location string) (path string, ok bool) {
	name, path, isURL := strings.Cut(location, "://")
	if !isURL {
		return location, true
	}
	return path, name == "file"
}

func openBackend(ctx context.Context, location string, schemes []Scheme) (Backend, error) {
	path, local := directory(location)
	name, _, isURL := strings.Cut(location, "://")
	known := []string{"a directory"}
	for _, s := range schemes {
		if isURL && s.Name == name {
			return s.Open(ctx, location)
		}
		known = append(known, s.Name+"://")
	}
	switch {
	case !local: // the rest may hold a password
		return nil, fmt.Errorf("%w: %.20q is not supported here; it can be %s", ErrLocation, name+"://", strings.Join(known, ", "))
	case path == "":
		return nil, fmt.Errorf("%w: it has no path", ErrLocation)
	}
	return Dir(path)
}

// idName is the document that holds the id of the store.
const idName = "store-id"

// New makes a Store over a backend. A new one is given a random id, by which workers tell whether they share it.
func New(ctx context.Context, b Backend) (*Store, error) {
	s := newStore(b)
	err := s.identify(ctx)
	if errors.Is(err, ErrNotFound) {
		if err = s.make(ctx); err != nil {
			return nil, fmt.Errorf("opening the store: %w", err)
		}
		err = s.identify(ctx) // another process may have been first
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func newStore(b Backend) *Store {
	s := &Store{backend: b}
	if l, ok := b.(Locator); ok {
		s.location = l.Location()
	}
	return s
}

// identify reads the store's id; ErrNotFound says that it has none yet.
func (s *Store) identify(ctx context.Context) error {
	id, err := s.document(ctx, idName)
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	if !storeID(string(id)) {
		return fmt.Errorf("opening the store: %w: its file %s is damaged; remove it when nothing uses the store, and a new one is made", ErrUnreachable, idName)
	}
	s.id = string(id)
	return nil
}

// make gives a new store its id. It tries twice: where a second object takes the name of the first, two writers would not
// agree on a result, and such a place is refused before anything lies there.
func (s *Store) make(ctx context.Context) error {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	id := []byte(hex.EncodeToString(random[:]))
	created, err := s.putDocument(ctx, idName, id, CommitOptions{Durable: true})
	if err == nil && created {
		if created, err = s.putDocument(ctx, idName, id, CommitOptions{}); err == nil && created {
			err = fmt.Errorf("%w: it does not keep the first of two objects of one name (S3: If-None-Match), which results need", ErrUnreachable)
		}
	}
	return err
}

// storeID reports whether id has the form that New gives.
func storeID(id string) bool {
	b, err := hex.DecodeString(id)
	return err == nil && len(b) == 16
}

// ID returns the random id that was given to the store when it was made.
func (s *Store) ID() string { return s.id }

// Replaced reports whether the place of the store holds another one by now, which somebody made after removing this one.
func (s *Store) Replaced(ctx context.Context) bool {
	id, err := s.document(ctx, idName)
	return err == nil && string(id) != s.id
}

// Location returns what Open takes to open the store again: an absolute path, or a URL without a secret.
func (s *Store) Location() string { return s.location }

// PutOption changes how a blob is written.
type PutOption func(*CommitOptions)

// Durable syncs the blob to disk.
func Durable() PutOption { return func(o *CommitOptions) { o.Durable = true } }

func blobName(d Digest) string {
	h := d.Hex()
	return "cas/v1/sha256/" + h[:2] + "/" + h
}

// Put stores what r gives and returns its digest and size. Bytes that are stored already are not stored twice.
func (s *Store) Put(ctx context.Context, r io.Reader, opts ...PutOption) (Ref, error) {
	w, err := s.NewWriter(ctx, opts...)
	if err != nil {
		return Ref{}, err
	}
	if _, err := io.Copy(w, contextReader{ctx, r}); err != nil {
		w.Abort()
		return Ref{}, err
	}
	return w.Commit()
}

// PutBytes stores b. Bytes that are stored already are not written at all.
func (s *Store) PutBytes(ctx context.Context, b []byte, opts ...PutOption) (Ref, error) {
	if err := ctx.Err(); err != nil {
		return Ref{}, err
	}
	var o CommitOptions
	for _, opt := range opts {
		opt(&o)
	}
	ref := Ref{Digest: DigestOf(b), Size: int64(len(b))}
	if have, err := s.have(ctx, ref, &o); have || err != nil {
		return ref, err
	}
	u, err := s.backend.Begin(ctx)
	if err != nil {
		return Ref{}, err
	}
	if _, err := u.Write(b); err != nil {
		u.Abort()
		return Ref{}, err
	}
	_, err = u.Commit(ctx, blobName(ref.Digest), o)
	return ref, err
}

// have reports whether a blob is there, sound, and durable if that is asked for. One that is damaged is to be replaced.
func (s *Store) have(ctx context.Context, ref Ref, o *CommitOptions) (bool, error) {
	err := s.Verify(ctx, ref)
	switch {
	case err == nil && o.Durable: // somebody else may have stored it without need of that
		return true, s.backend.Sync(ctx, blobName(ref.Digest))
	case err == nil:
		return true, nil
	case errors.Is(err, ErrCorrupt):
		o.Replace = true // it may be there still
		return false, nil
	case errors.Is(err, ErrNotFound):
		return false, nil
	}
	return false, err
}

// contextReader ends a long copy when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// Writer is a blob being written; it hashes as it goes. Exactly one of Commit and Abort must be called.
type Writer struct {
	ctx    context.Context
	store  *Store
	upload Upload
	hash   hash.Hash
	size   int64
	opts   CommitOptions
}

// NewWriter starts a blob.
func (s *Store) NewWriter(ctx context.Context, opts ...PutOption) (*Writer, error) {
	u, err := s.backend.Begin(ctx)
	if err != nil {
		return nil, err
	}
	w := &Writer{ctx: ctx, store: s, upload: u, hash: sha256.New()}
	for _, o := range opts {
		o(&w.opts)
	}
	return w, nil
}

func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.upload.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	return n, err
}

// Size returns the number of bytes written so far.
func (w *Writer) Size() int64 { return w.size }

// Abort leaves nothing behind.
func (w *Writer) Abort() { w.upload.Abort() }

// Commit stores the blob. One of that digest that is there already is kept if it is sound, for whoever writes the same
// bytes counts on finding them; otherwise the new one takes its place.
func (w *Writer) Commit() (Ref, error) {
	ref := Ref{Size: w.size}
	w.hash.Sum(ref.Digest[:0])
	opts := w.opts
	if have, err := w.store.have(w.ctx, ref, &opts); have || err != nil {
		w.upload.Abort()
		return ref, err
	}
	if _, err := w.upload.Commit(w.ctx, blobName(ref.Digest), opts); err != nil {
		return Ref{}, err
	}
	return ref, nil
}

// document reads a small object that has a name of its own, and takes its seal off.
func (s *Store) document(ctx context.Context, name string) ([]byte, error) {
	o, err := s.backend.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	b, err := io.ReadAll(o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrUnreachable, err)
	}
	if !sealed(name) {
		return b, nil
	}
	text, ok := unseal(b)
	if !ok {
		return nil, errBroken(name)
	}
	return text, nil
}

// putDocument stores a small object under a name of its own; created is as in Upload.
func (s *Store) putDocument(ctx context.Context, name string, b []byte, o CommitOptions) (created bool, err error) {
	if sealed(name) {
		b = seal(b)
	}
	u, err := s.backend.Begin(ctx)
	if err != nil {
		return false, err
	}
	if _, err := u.Write(b); err != nil {
		u.Abort()
		return false, err
	}
	return u.Commit(ctx, name, o)
}
