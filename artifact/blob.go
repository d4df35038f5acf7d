package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// inMemory is the size up to which a blob is read whole, so that the verified bytes are the ones that are served.
// A larger one is verified in a pass of its own and then read from the same open file, whose content is never rewritten.
const inMemory = 64 << 20

// Blob is an open, verified blob. It must be closed; it is not for concurrent use, but ReadAt is.
type Blob struct {
	reader interface {
		io.Reader
		io.ReaderAt
		io.Seeker
	}
	closer io.Closer
	size   int64
}

// Size returns the number of bytes.
func (b *Blob) Size() int64 { return b.size }

func (b *Blob) Read(p []byte) (int, error)                { return b.reader.Read(p) }
func (b *Blob) ReadAt(p []byte, off int64) (int, error)   { return b.reader.ReadAt(p, off) }
func (b *Blob) Seek(off int64, whence int) (int64, error) { return b.reader.Seek(off, whence) }

// Close releases the blob.
func (b *Blob) Close() error {
	if b.closer == nil {
		return nil
	}
	return b.closer.Close()
}

// Open returns the blob after checking every byte against its digest. A damaged blob is removed, so that it is stored
// anew when somebody makes it again, and the error is ErrCorrupt; an absent one is ErrNotFound.
func (s *Store) Open(ctx context.Context, ref Ref) (*Blob, error) {
	object, err := s.backend.Open(ctx, blobName(ref.Digest))
	if err != nil {
		return nil, s.discard(ctx, ref, nil, err)
	}
	blob, err := verify(ctx, object, ref)
	if err != nil {
		err = s.discard(ctx, ref, object, err)
		_ = object.Close()
		return nil, err
	}
	return blob, nil
}

// discard removes a blob that turned out to be damaged, though not a sound one that somebody has put in its place.
func (s *Store) discard(ctx context.Context, ref Ref, object Object, err error) error {
	if errors.Is(err, ErrCorrupt) {
		if deleted := s.backend.Delete(ctx, blobName(ref.Digest), object); deleted != nil {
			err = errors.Join(err, deleted)
		}
	}
	return fmt.Errorf("%s: %w", ref.Digest, err)
}

func verify(ctx context.Context, object Object, ref Ref) (*Blob, error) {
	if ref.Size > inMemory {
		return verifyLarge(ctx, object, ref)
	}
	b := make([]byte, max(0, ref.Size))
	if _, err := io.ReadFull(object, b); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	var one [1]byte
	if n, _ := object.Read(one[:]); n != 0 || ref.Size < 0 || DigestOf(b) != ref.Digest {
		return nil, misfit(ctx, object, ref)
	}
	_ = object.Close()
	return &Blob{reader: bytes.NewReader(b), size: ref.Size}, nil
}

// misfit tells a damaged blob from a sound one that is asked for with a wrong size: that is not there, and no reason to
// remove anything.
func misfit(ctx context.Context, object Object, ref Ref) error {
	if _, err := object.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	h := sha256.New()
	if _, err := io.CopyBuffer(h, contextReader{ctx, object}, make([]byte, 1<<20)); err != nil {
		return fmt.Errorf("reading: %w: %w", ErrUnreachable, err)
	}
	if Digest(h.Sum(nil)) == ref.Digest {
		return fmt.Errorf("%w with %d bytes", ErrNotFound, ref.Size)
	}
	return ErrCorrupt
}

func verifyLarge(ctx context.Context, object Object, ref Ref) (*Blob, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(h, contextReader{ctx, object}, make([]byte, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("reading: %w: %w", ErrUnreachable, err)
	}
	if Digest(h.Sum(nil)) != ref.Digest {
		return nil, ErrCorrupt
	}
	if n != ref.Size {
		return nil, fmt.Errorf("%w with %d bytes", ErrNotFound, ref.Size)
	}
	if _, err := object.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return &Blob{reader: object, closer: object, size: ref.Size}, nil
}

// NewBlob returns a blob over bytes that are at hand, after checking them against ref; the error is ErrCorrupt. b is not
// copied and must not change while the blob is open.
func NewBlob(ref Ref, b []byte) (*Blob, error) {
	if int64(len(b)) != ref.Size || DigestOf(b) != ref.Digest {
		return nil, fmt.Errorf("%s: %w", ref.Digest, ErrCorrupt)
	}
	return &Blob{reader: bytes.NewReader(b), size: ref.Size}, nil
}

// OpenOutput returns the bytes of an output as Open does, from the output itself when it has them. The store may be nil,
// which has no blobs. Nothing is read for an output of no bytes.
func (s *Store) OpenOutput(ctx context.Context, o Output) (*Blob, error) {
	if o.inline() {
		return NewBlob(o.Ref, o.Inline)
	}
	if s == nil {
		return nil, fmt.Errorf("%s: %w: there is no store", o.Digest, ErrNotFound)
	}
	return s.Open(ctx, o.Ref)
}

// VerifyOutput checks the bytes of an output as OpenOutput does.
func (s *Store) VerifyOutput(ctx context.Context, o Output) error {
	blob, err := s.OpenOutput(ctx, o)
	if err != nil {
		return err
	}
	return blob.Close()
}

// ReadAll returns the verified bytes of a blob.
func (s *Store) ReadAll(ctx context.Context, ref Ref) ([]byte, error) {
	blob, err := s.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	return blob.readAll()
}

// ReadOutput returns the verified bytes of an output, wherever they are.
func (s *Store) ReadOutput(ctx context.Context, o Output) ([]byte, error) {
	blob, err := s.OpenOutput(ctx, o)
	if err != nil {
		return nil, err
	}
	return blob.readAll()
}

// readAll reads and closes the blob.
func (b *Blob) readAll() ([]byte, error) {
	defer b.Close()
	all := make([]byte, b.Size())
	_, err := io.ReadFull(b, all)
	return all, err
}

// Verify checks a blob as Open does.
func (s *Store) Verify(ctx context.Context, ref Ref) error {
	blob, err := s.Open(ctx, ref)
	if err != nil {
		return err
	}
	return blob.Close()
}
