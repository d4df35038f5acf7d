package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/artifact/artifacttest"
	"github.com/hashline/hashline/internal/needs"
)

// config is that of a bucket of a test.
func config(b *needs.Bucket, prefix string) Config {
	return Config{Bucket: b.Name, Prefix: prefix, Endpoint: b.Endpoint, Region: "us-east-1", Credentials: credentials.NewStaticV4(b.AccessKey, b.Secret, "")}
}

func open(t testing.TB, c Config) *bucket {
	t.Helper()
	b, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return b.(*bucket)
}

func TestConforms(t *testing.T) {
	t.Parallel()
	server, n := needs.S3(t), atomic.Int64{}
	artifacttest.Conformance(t, func(t *testing.T) artifact.Backend {
		return open(t, config(server, fmt.Sprintf("some/prefix-%d", n.Add(1))))
	})
}

// A store may be the whole bucket.
func TestNoPrefix(t *testing.T) {
	t.Parallel()
	server := needs.S3(t)
	b := open(t, config(server, ""))
	for _, name := range []string{"a/b", "c"} {
		if created, err := artifacttest.Put(t.Context(), b, name, []byte(name), artifact.CommitOptions{}); err != nil || !created {
			t.Errorf("%s: %v, %v", name, created, err)
		}
		if got, err := artifacttest.Get(t.Context(), b, name); err != nil || string(got) != name {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if b, err := os.ReadFile(server.File(name)); err != nil || string(b) != name {
			t.Errorf("%s on the server: %q, %v", name, b, err)
		}
	}
	if b.Where("a/b") != "s3://bucket/a/b" {
		t.Errorf("an object is at %s", b.Where("a/b"))
	}
}

func TestLocations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		location string
		want     Config
	}{
		{"s3://data", Config{Bucket: "data"}},
		{"s3://data/", Config{Bucket: "data"}},
		{"s3://my.data-1/a/b?region=eu-central-1", Config{Bucket: "my.data-1", Prefix: "a/b", Region: "eu-central-1"}},
		{"s3://data/x?endpoint=http://127.0.0.1:9000&region=r-1&lookup=path", Config{Bucket: "data", Prefix: "x", Endpoint: "http://127.0.0.1:9000", Region: "r-1", Lookup: "path"}},
		{"s3://data?endpoint=https%3A%2F%2Fs3.example.org&lookup=dns", Config{Bucket: "data", Endpoint: "https://s3.example.org", Lookup: "dns"}},
	} {
		got, err := Parse(c.location)
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", c.location, got, err, c.want)
		}
		again, err := Parse((&bucket{config: got}).Location())
		if err != nil || again != got {
			t.Errorf("%s: by its own location %+v, %v", c.location, again, err)
		}
	}
}

func TestBadLocations(t *testing.T) {
	t.Parallel()
	const secret = "swordfish"
	for location, part := range map[string]string{
		"s3://key:swordfish@data":                                "holds a user or password",
		"s3://data?secret=swordfish":                             `"secret"`,
		"s3://data?endpoint=http://key:swordfish@h":              "holds a user or password",
		"s3://data?endpoint=h:9000":                              "endpoint",
		"s3://data?endpoint=ftp://h":                             "endpoint",
		"s3://data?endpoint=http://h/path":                       "endpoint",
		"s3://data?region=swordfish&region=b":                    "given twice",
		"s3://data?region=a%20b":                                 "region",
		"s3://data?lookup=x":                                     "lookup",
		"s3://":                                                  "bucket",
		"s3://Data_1":                                            "bucket",
		"s3://d":                                                 "bucket",
		"s3://data/a/../b":                                       "prefix",
		"s3://data/a//b":                                         "prefix",
		"s3://data/" + strings.Repeat("x", 600):                  "prefix",
		"s3://data/%zz-swordfish":                                "no URL",
		"s3://data?endpoint=http://h;x=swordfish":                "parameters",
		"s3://data/\x00swordfish":                                "no URL",
		"s3://data?endpoint=http://h%20swordfish-in-a-host:9000": "endpoint",
	} {
		_, err := artifact.Open(t.Context(), location, Scheme)
		e, ok := errors.AsType[*Error](err)
		if !ok || !errors.Is(err, artifact.ErrLocation) || errors.Is(err, artifact.ErrUnreachable) || !strings.Contains(err.Error(), part) || e.Hint() == "" {
			t.Errorf("%q: %v, want a message with %q and a hint", location, err, part)
		} else if strings.Contains(err.Error()+e.Hint(), secret) {
			t.Errorf("%q: the message repeats it: %v", location, err)
		}
	}
	if _, err := artifact.Open(t.Context(), "s3://key:swordfish@data"); !errors.Is(err, artifact.ErrLocation) || strings.Contains(err.Error(), secret) {
		t.Errorf("a program without the scheme: %v", err)
	}
}

// An upload that fails leaves no part of itself: neither for readers nor, unseen, on the server's disk.
func TestFailedPartsAreGivenUp(t *testing.T) {
	t.Parallel()
	server := needs.S3(t)
	b := open(t, config(server, "p"))
	big := make([]byte, partSize+1)
	if created, err := artifacttest.Put(t.Context(), b, "name", []byte("first"), artifact.CommitOptions{}); err != nil || !created {
		t.Fatal(created, err)
	}
	if created, err := artifacttest.Put(t.Context(), b, "name", big, artifact.CommitOptions{}); err != nil || created {
		t.Errorf("a name that is taken: %v, %v", created, err)
	}
	found, err := b.core.ListMultipartUploads(t.Context(), b.config.Bucket, "", "", "", "", 100)
	if err != nil || len(found.Uploads) != 0 {
		t.Errorf("left: %v, %v", found.Uploads, err)
	}
	err = filepath.WalkDir(filepath.Dir(server.File("p")), func(path string, e fs.DirEntry, err error) error {
		if info, _ := e.Info(); err == nil && info.Mode().IsRegular() && info.Size() > 1<<20 {
			t.Errorf("left on the server: %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Uploads of processes that died are given up, but none that may go on.
func TestSweep(t *testing.T) {
	t.Parallel()
	b := open(t, config(needs.S3(t), "p"))
	var ids []string
	for range 2 {
		id, err := b.core.NewMultipartUpload(t.Context(), b.config.Bucket, b.key("name"), minio.PutObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	left := func() (n int) {
		found, err := b.core.ListMultipartUploads(t.Context(), b.config.Bucket, "", "", "", "", 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range found.Uploads {
			if slices.Contains(ids, u.UploadID) {
				n++
			}
		}
		return n
	}
	if b.sweep(t.Context()); left() != 2 {
		t.Errorf("%d of 2 young uploads are left", left())
	}
	later := &bucket{config: b.config, core: b.core, transport: newTransport(b.patience)} // its clock is not corrected by answers
	later.transport.ahead.Store(int64(abandonedAge + time.Minute))
	if later.sweep(t.Context()); left() != 0 {
		t.Errorf("%d old uploads are left", left())
	}
}

// A large object is held on disk on its way in both directions.
func TestLargeObjectsPassThroughAFile(t *testing.T) {
	t.Parallel()
	b := open(t, config(needs.S3(t), "p"))
	u, err := b.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte("x"), 1<<20)
	for range 64 {
		if _, err := u.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if held := u.(*upload).memory.Cap(); held > 2*inMemory {
		t.Errorf("%d bytes are held in memory", held)
	}
	if created, err := u.Commit(t.Context(), "large", artifact.CommitOptions{}); err != nil || !created {
		t.Fatal(created, err)
	}
	o, err := b.Open(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if o.(*object).file == nil {
		t.Error("a large object is held in memory")
	}
}
