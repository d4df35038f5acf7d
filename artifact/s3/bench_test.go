package s3

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
)

// stores are one of each backend: a directory, and a bucket of versitygw on this machine.
func stores(b *testing.B) map[string]*artifact.Store {
	b.Helper()
	dir, err := artifact.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	bucket, err := artifact.New(b.Context(), open(b, config(needs.S3(b), "p")))
	if err != nil {
		b.Fatal(err)
	}
	return map[string]*artifact.Store{"dir": dir, "s3": bucket}
}

func BenchmarkPutGet(b *testing.B) {
	for where, s := range stores(b) {
		for name, size := range map[string]int{"4KiB": 4 << 10, "64MiB": 64 << 20} {
			data := make([]byte, size)
			_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
			var ref artifact.Ref
			b.Run("put/"+name+"/"+where, func(b *testing.B) {
				b.SetBytes(int64(size))
				for i := 0; b.Loop(); i++ {
					copy(data, fmt.Sprintf("%d %d", b.N, i)) // bytes that are not there yet
					var err error
					if ref, err = s.Put(b.Context(), bytes.NewReader(data)); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("get/"+name+"/"+where, func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					blob, err := s.Open(b.Context(), ref)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, blob); err != nil {
						b.Fatal(err)
					}
					_ = blob.Close()
				}
			})
		}
	}
}

// BenchmarkRuns lists the newest 20 of 10,000 runs, half of them of today.
func BenchmarkRuns(b *testing.B) {
	const runs = 10_000
	for where, s := range stores(b) {
		g, ctx := errgroup.WithContext(b.Context())
		g.SetLimit(32)
		for i := range runs {
			age := time.Duration(i) * 15 * time.Second
			if i > runs/2 {
				age = time.Duration(i) * time.Hour
			}
			g.Go(func() error {
				return s.PutRunView(ctx, artifact.NewRunID(time.Now().Add(-age)), "record.json", []byte("{}"))
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
		for _, limit := range []int{20, 0} {
			b.Run(fmt.Sprintf("limit=%d/%s", limit, where), func(b *testing.B) {
				for b.Loop() {
					if _, err := s.Runs(b.Context(), limit); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
