package artifact

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// Store keeps blobs, action results and run documents in one Backend.
type Store struct {
	backend  Backend
	id       string
	location string
	dir      string // the local directory, empty for a remote backend
}

// Open opens the store at location, the path of a local directory, and makes it when it is absent.
func Open(ctx context.Context, location string) (*Store, error) {
	if scheme, _, ok := strings.Cut(location, "://"); ok && scheme != "file" {
		return nil, fmt.Errorf("the store %q: only local directories are supported: %w", location, ErrUnreachable)
	}
	location = strings.TrimPrefix(location, "file://")
	if location == "" {
		return nil, fmt.Errorf("the store has no path: %w", ErrUnreachable)
	}
	d, err := newDir(location)
	if err != nil {
		return nil, err
	}
	s, err := New(ctx, d)
	if err != nil {
		return nil, err
	}
	s.location, s.dir = d.root, d.root
	return s, nil
}

// New makes a Store over a backend. A new one is given a random id, by which workers tell whether they share it.
func New(ctx context.Context, b Backend) (*Store, error) {
	s := &Store{backend: b}
	const name = "store-id"
	id, err := s.document(ctx, name)
	if errors.Is(err, ErrNotFound) {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails
		if err = s.putDocument(ctx, name, []byte(hex.EncodeToString(random[:])), CommitOptions{Durable: true}); err == nil {
			id, err = s.document(ctx, name) // another process may have been first
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	s.id = string(id)
	return s, nil
}

// ID returns the random id that was given to the store when it was made.
func (s *Store) ID() string { return s.id }

// Location returns where the store lies, for messages.
func (s *Store) Location() string { return s.location }

// PutOption changes how a blob is written.
type PutOption func(*CommitOptions)

// Durable syncs the blob to disk, and checks one that is there already instead of trusting its size.
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

// PutBytes stores b.
func (s *Store) PutBytes(ctx context.Context, b []byte, opts ...PutOption) (Ref, error) {
	return s.Put(ctx, bytes.NewReader(b), opts...)
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

// Commit stores the blob. A blob of that digest that is there already is kept if it is sound: of the right size and, for
// a durable write, with the right bytes. Otherwise the new one takes its place.
func (w *Writer) Commit() (Ref, error) {
	ref := Ref{Size: w.size}
	w.hash.Sum(ref.Digest[:0])
	name := blobName(ref.Digest)
	size, err := w.store.backend.Stat(w.ctx, name)
	switch {
	case err == nil && size == ref.Size && (!w.opts.Durable || w.store.Verify(w.ctx, ref) == nil):
		w.upload.Abort()
		return ref, nil
	case err != nil && !errors.Is(err, ErrNotFound):
		w.upload.Abort()
		return Ref{}, err
	}
	opts := w.opts
	opts.Replace = err == nil // what lies there is damaged
	if _, err := w.upload.Commit(w.ctx, name, opts); err != nil {
		return Ref{}, err
	}
	return ref, nil
}

// document reads a small object that has a name of its own.
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
	return b, nil
}

func (s *Store) putDocument(ctx context.Context, name string, b []byte, o CommitOptions) error {
	u, err := s.backend.Begin(ctx)
	if err != nil {
		return err
	}
	if _, err := u.Write(b); err != nil {
		u.Abort()
		return err
	}
	_, err = u.Commit(ctx, name, o)
	return err
}
