package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/hashline/hashline/artifact"
)

// inMemory is the size up to which an object is held in memory. A larger one passes through a temporary file.
const inMemory = 4 << 20

// object is a whole copy of an object, so that the bytes that were verified are the ones that are read afterwards.
type object struct {
	reader interface {
		io.Reader
		io.ReaderAt
		io.Seeker
	}
	file *os.File // nil: in memory
	etag string
}

func (o *object) Read(p []byte) (int, error)                { return o.reader.Read(p) }
func (o *object) ReadAt(p []byte, off int64) (int, error)   { return o.reader.ReadAt(p, off) }
func (o *object) Seek(off int64, whence int) (int64, error) { return o.reader.Seek(off, whence) }

func (o *object) Close() error {
	if o.file == nil {
		return nil
	}
	return o.file.Close()
}

// Open fetches the object in one request. When the connection breaks in the middle, the rest is asked for, as long as the
// object is still the same.
func (b *bucket) Open(ctx context.Context, name string) (artifact.Object, error) {
	if !artifact.ValidName(name) {
		return nil, errName(name)
	}
	f := &fetch{bucket: b, name: name}
	defer f.close()
	if err := f.ask(ctx); err != nil {
		return nil, err
	}
	if f.size <= inMemory {
		var whole bytes.Buffer
		whole.Grow(int(f.size))
		if err := f.copy(ctx, &whole); err != nil {
			return nil, err
		}
		return &object{reader: bytes.NewReader(whole.Bytes()), etag: f.etag}, nil
	}
	file, err := tempFile()
	if err != nil {
		return nil, err
	}
	if err = f.copy(ctx, file); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &object{reader: file, file: file, etag: f.etag}, nil
}

// tempFile makes a file that has no name already, so that it is gone with the process however that ends.
func tempFile() (*os.File, error) {
	f, err := os.CreateTemp("", "hashline-")
	if err != nil {
		return nil, problem(err, fmt.Sprintf("no temporary file can be made in %s", os.TempDir()), "set TMPDIR to a folder that can be written to")
	}
	_ = os.Remove(f.Name())
	return f, nil
}

// fetch is the reading of one object.
type fetch struct {
	bucket *bucket
	name   string
	body   io.ReadCloser
	size   int64
	got    int64
	etag   string
}

// ask begins to read the object where reading it ended.
func (f *fetch) ask(ctx context.Context) error {
	f.close()
	var o minio.GetObjectOptions
	if f.got > 0 {
		_ = o.SetRange(f.got, f.size-1)
		_ = o.SetMatchETag(f.etag)
	}
	body, info, _, err := f.bucket.core.GetObject(ctx, f.bucket.config.Bucket, f.bucket.key(f.name), o)
	if err != nil {
		return f.bucket.fault(ctx, f.name, err)
	}
	f.body = body
	if f.got == 0 {
		f.size, f.etag = info.Size, info.ETag
	}
	return nil
}

func (f *fetch) close() {
	if f.body != nil {
		_ = f.body.Close()
		f.body = nil
	}
}

// errWrite marks an error that the server has no part in.
type errWrite struct{ error }

// copy reads the object to its end. It gives up when several answers in a row brought nothing.
func (f *fetch) copy(ctx context.Context, w io.Writer) error {
	for idle := 0; ; {
		n, err := io.Copy(writer{w}, io.LimitReader(f.body, f.size-f.got))
		f.got += n
		if f.got == f.size {
			return nil
		}
		if full, ok := errors.AsType[errWrite](err); ok {
			return problem(full.error, fmt.Sprintf("no temporary file can be written in %s", os.TempDir()), "make room there, or set TMPDIR to another folder")
		}
		if idle++; n > 0 {
			idle = 1
		}
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		if idle == tries || ctx.Err() != nil {
			return f.bucket.fault(ctx, f.name, err)
		}
		pause(ctx, idle)
		if err := f.ask(ctx); err != nil {
			return fmt.Errorf("reading on: %w", err)
		}
	}
}

// writer marks the errors of writing.
type writer struct{ io.Writer }

func (w writer) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = errWrite{err}
	}
	return n, err
}

// pause waits before a further try, longer each time.
func pause(ctx context.Context, tried int) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(tried) * 100 * time.Millisecond):
	}
}
