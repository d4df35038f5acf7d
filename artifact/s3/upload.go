package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/minio/minio-go/v7"

	"github.com/hashline/hashline/artifact"
)

// upload collects what is written: its name, and even its size, are not known before Commit.
type upload struct {
	bucket *bucket
	memory bytes.Buffer
	file   *os.File // holds everything once memory would be too large
	size   int64
	err    error
}

func (b *bucket) Begin(ctx context.Context) (artifact.Upload, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return &upload{bucket: b}, nil
}

func (u *upload) Write(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.write(p)
	u.size += int64(n)
	if err != nil {
		u.err = problem(err, fmt.Sprintf("no temporary file can be written in %s", os.TempDir()), "make room there, or set TMPDIR to another folder")
	}
	return n, u.err
}

func (u *upload) write(p []byte) (int, error) {
	if u.file == nil && u.memory.Len()+len(p) <= inMemory {
		return u.memory.Write(p)
	}
	if u.file == nil {
		f, err := tempFile()
		if err != nil {
			return 0, err
		}
		u.file = f
		if _, err := f.Write(u.memory.Bytes()); err != nil {
			return 0, err
		}
		u.memory = bytes.Buffer{}
	}
	return u.file.Write(p)
}

// Abort lets go of what was written; none of it has reached the server.
func (u *upload) Abort() {
	if u.file != nil {
		_ = u.file.Close()
	}
	u.memory = bytes.Buffer{}
}

// section returns bytes of what was written.
func (u *upload) section(from, n int64) *io.SectionReader {
	if u.file != nil {
		return io.NewSectionReader(u.file, from, n)
	}
	return io.NewSectionReader(bytes.NewReader(u.memory.Bytes()), from, n)
}

// markName is where an object carries a random text of its upload, by which a writer whose answer got lost knows its own.
const markName = "Upload"

// Commit sends the object. Whether it is durable is the server's business.
func (u *upload) Commit(ctx context.Context, name string, o artifact.CommitOptions) (bool, error) {
	defer u.Abort()
	if !artifact.ValidName(name) {
		return false, errName(name)
	}
	if u.err != nil {
		return false, u.err
	}
	p := put{u, name, rand.Text(), o.Replace}
	var err error
	for try := 1; try <= tries; try++ {
		if err = p.send(ctx); !errors.Is(err, errAgain) {
			break
		}
		pause(ctx, try)
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, errTaken):
		return p.arrived(ctx)
	case errors.Is(err, errGone):
		if mine, err := p.arrived(ctx); mine || err != nil {
			return mine, err
		}
		return false, problem(err, fmt.Sprintf("the upload of %s was ended by somebody else", name), "try again")
	case errors.Is(err, errAgain) || errors.Is(err, artifact.ErrNotFound):
		return false, problem(err, fmt.Sprintf("%s does not take %s", u.bucket.server(), name), "try again; if it stays so, look at the server's log")
	}
	return false, err
}

// put is the sending of an upload under its name.
type put struct {
	*upload
	name    string
	mark    string
	replace bool
}

// arrived reports whether the object of that name is this one: a request that is tried again because its answer got lost
// finds the name taken by itself.
func (p put) arrived(ctx context.Context) (bool, error) {
	b := p.bucket
	info, err := b.core.StatObject(ctx, b.config.Bucket, b.key(p.name), minio.StatObjectOptions{})
	if err != nil {
		if err = b.fault(ctx, p.name, err); errors.Is(err, artifact.ErrNotFound) { // it was there a moment ago
			err = nil
		}
		return false, err
	}
	return info.UserMetadata[markName] == p.mark, nil
}

// described are the options of a request that gives an object its properties, conditional those of one that gives it its name.
func (p put) described() minio.PutObjectOptions {
	return minio.PutObjectOptions{UserMetadata: map[string]string{markName: p.mark}, ContentType: "application/octet-stream", DisableContentSha256: true}
}

func (p put) conditional(o minio.PutObjectOptions) minio.PutObjectOptions {
	if !p.replace {
		o.SetMatchETagExcept("*")
	}
	return o
}

// send sends a small object in one request and a large one in parts. Every request signs the hash of its bytes, so that the
// server notices what the network damages, also without TLS.
func (p put) send(ctx context.Context) error {
	if p.size > partSize {
		return p.sendParts(ctx)
	}
	all := p.section(0, p.size)
	sum, err := hashOf(all)
	if err != nil {
		return err
	}
	b := p.bucket
	if _, err := b.core.PutObject(ctx, b.config.Bucket, b.key(p.name), all, p.size, "", sum, p.conditional(p.described())); err != nil {
		return b.fault(ctx, p.name, err)
	}
	return nil
}

// hashOf hashes r, and leaves it at its beginning.
func hashOf(r io.ReadSeeker) (string, error) {
	h := sha256.New()
	_, err := io.Copy(h, r)
	if err == nil {
		_, err = r.Seek(0, io.SeekStart)
	}
	if err != nil {
		return "", problem(err, "the temporary file cannot be read back", "check the disk of "+os.TempDir())
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
