package s3

import (
	"context"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

const (
	partSize     = 16 << 20 // bytes of a part, unless there would be more than maxParts
	maxParts     = 10_000   // by the protocol
	partsAtOnce  = 4
	abandonedAge = 48 * time.Hour // of an upload that nobody will complete
)

// sendParts sends a large object in parts, several at a time, and makes them one object at the end. Whatever goes wrong, the
// parts that were sent are given up.
func (p put) sendParts(ctx context.Context) error {
	b := p.bucket
	b.swept.Do(func() { b.sweep(ctx) })
	id, err := b.core.NewMultipartUpload(ctx, b.config.Bucket, b.key(p.name), p.described())
	if err != nil {
		return b.fault(ctx, p.name, err)
	}
	parts, err := p.sendEach(ctx, id)
	if err == nil {
		_, err = b.core.CompleteMultipartUpload(ctx, b.config.Bucket, b.key(p.name), id, parts, p.conditional(minio.PutObjectOptions{}))
	}
	if err == nil {
		return nil
	}
	last, done := context.WithTimeout(context.WithoutCancel(ctx), b.patience)
	defer done()
	_ = b.core.AbortMultipartUpload(last, b.config.Bucket, b.key(p.name), id) // else a later sweep does
	return b.fault(ctx, p.name, err)
}

// sendEach sends the parts and returns them in order.
func (p put) sendEach(ctx context.Context, id string) ([]minio.CompletePart, error) {
	b := p.bucket
	each := max(partSize, (p.size+maxParts-1)/maxParts)
	parts := make([]minio.CompletePart, (p.size+each-1)/each)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(partsAtOnce)
	for i := range parts {
		g.Go(func() error {
			from := int64(i) * each
			part := p.section(from, min(each, p.size-from))
			sum, err := hashOf(part)
			if err != nil {
				return err
			}
			sent, err := b.core.PutObjectPart(ctx, b.config.Bucket, b.key(p.name), id, i+1, part, part.Size(), minio.PutObjectPartOptions{Sha256Hex: sum, DisableContentSha256: true})
			parts[i] = minio.CompletePart{PartNumber: i + 1, ETag: sent.ETag}
			return err
		})
	}
	return parts, g.Wait()
}

// sweep gives up uploads of processes that were killed. It is done once by a process that sends a large object; failing to
// is harmless.
func (b *bucket) sweep(ctx context.Context) {
	marker, idMarker := "", ""
	for {
		prefix := ""
		if b.config.Prefix != "" {
			prefix = b.config.Prefix + "/"
		}
		found, err := b.core.ListMultipartUploads(ctx, b.config.Bucket, prefix, marker, idMarker, "", pageSize)
		if err != nil {
			return
		}
		for _, u := range found.Uploads {
			if b.transport.now().Sub(u.Initiated) > abandonedAge {
				_ = b.core.AbortMultipartUpload(ctx, b.config.Bucket, u.Key, u.UploadID)
			}
		}
		if marker, idMarker = found.NextKeyMarker, found.NextUploadIDMarker; !found.IsTruncated || marker == "" {
			return
		}
	}
}
