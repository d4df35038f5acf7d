package s3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/hashline/hashline/artifact"
)

// bucket is the Backend.
type bucket struct {
	config    Config
	core      *minio.Core
	transport *transport
	patience  time.Duration
	swept     sync.Once
}

func errName(name string) error { return fmt.Errorf("%.80q is no name of an object", name) }

// Sync has nothing to do: what the server has acknowledged is as safe as it will be.
func (b *bucket) Sync(_ context.Context, name string) error {
	if !artifact.ValidName(name) {
		return errName(name)
	}
	return nil
}

// Delete with only compares entity tags twice: before it asks, for servers that do not compare, and on the server.
func (b *bucket) Delete(ctx context.Context, name string, only artifact.Object) error {
	if !artifact.ValidName(name) {
		return errName(name)
	}
	if o, ok := only.(*object); ok && o.etag != "" {
		now, err := b.core.StatObject(ctx, b.config.Bucket, b.key(name), minio.StatObjectOptions{})
		if err == nil && now.ETag != o.etag {
			return nil
		}
		ctx = context.WithValue(ctx, matchKey{}, o.etag)
	}
	err := b.core.RemoveObject(ctx, b.config.Bucket, b.key(name), minio.RemoveObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NotImplemented { // a server that refuses to compare
		err = b.core.RemoveObject(context.WithValue(ctx, matchKey{}, nil), b.config.Bucket, b.key(name), minio.RemoveObjectOptions{})
	}
	if err == nil {
		return nil
	}
	if err = b.fault(ctx, name, err); errors.Is(err, artifact.ErrNotFound) || errors.Is(err, errTaken) {
		return nil
	}
	return err
}

// Age is measured by the server's clock alone: when it stored the object, and what time it says it is.
func (b *bucket) Age(ctx context.Context, name string) (time.Duration, error) {
	if !artifact.ValidName(name) {
		return 0, errName(name)
	}
	body, info, _, err := b.core.GetObject(ctx, b.config.Bucket, b.key(name), minio.GetObjectOptions{}) // unlike to HEAD, an error says why
	if err != nil {
		return 0, b.fault(ctx, name, err)
	}
	_ = body.Close()
	return max(0, b.transport.now().Sub(info.LastModified)), nil
}

func (b *bucket) List(ctx context.Context, dir string) ([]string, error) {
	return b.ListPart(ctx, dir, "", 0)
}

// pageSize is the number of names that a server returns at a time.
const pageSize = 1000

func (b *bucket) ListPart(ctx context.Context, dir, after string, most int) ([]string, error) {
	if !artifact.ValidName(dir) || after != "" && !artifact.ValidName(after) {
		return nil, errName(dir)
	}
	noOwner, prefix := false, b.key(dir)+"/"
	o := minio.ListObjectsOptions{Prefix: prefix, MaxKeys: pageSize, FetchOwner: &noOwner}
	if after != "" {
		o.StartAfter = prefix + after
	}
	if most > 0 {
		o.MaxKeys = min(most, pageSize)
	}
	var names []string
	for entry := range b.core.ListObjectsIter(ctx, b.config.Bucket, o) {
		if entry.Err != nil {
			return nil, b.fault(ctx, dir, entry.Err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(entry.Key, prefix), "/")
		if name != "" && name > after { // "": somebody made the folder itself an object
			names = append(names, name)
		}
		if most > 0 && len(names) == most {
			break
		}
	}
	if ctx.Err() != nil { // the iterator just ends
		return nil, fmt.Errorf("%s: %w", dir, context.Cause(ctx))
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
