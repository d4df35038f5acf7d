package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/artifact/artifacttest"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/internal/proxy"
)

// A store that cannot be used says why in one sentence, and what to do next, and keeps its secrets.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	server := needs.S3(t)
	good := config(server, "p")
	silent := proxy.Start(t, "")
	silent.Set(proxy.Fault{Silent: true})
	failing := proxy.Start(t, "")
	failing.Set(proxy.Fault{Status: 503})
	cutting := proxy.Start(t, strings.TrimPrefix(server.Endpoint, "http://"))
	cutting.Set(proxy.Fault{CutAnswer: 1})
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of each certificate that was refused
	tls.StartTLS()
	t.Cleanup(tls.Close)
	for name, test := range map[string]struct {
		change func(*Config)
		part   string
	}{
		"wrong secret":    {func(c *Config) { c.Credentials = credentials.NewStaticV4(server.AccessKey, "guess-swordfish", "") }, "refuses the credentials"},
		"wrong key":       {func(c *Config) { c.Credentials = credentials.NewStaticV4("guess-swordfish", server.Secret, "") }, "refuses the credentials"},
		"no bucket":       {func(c *Config) { c.Bucket = "no-such-bucket" }, "there is no bucket no-such-bucket"},
		"no host":         {func(c *Config) { c.Endpoint = "http://no-such-host.invalid:9" }, "there is no host no-such-host.invalid"},
		"no server":       {func(c *Config) { c.Endpoint = "http://127.0.0.1:1" }, "nothing listens at the S3 server http://127.0.0.1:1"},
		"silent server":   {func(c *Config) { c.Endpoint = "http://" + silent.Addr }, "does not answer in time"},
		"failing server":  {func(c *Config) { c.Endpoint = "http://" + failing.Addr }, "answers with status 503"},
		"cut connections": {func(c *Config) { c.Endpoint = "http://" + cutting.Addr }, "the connection to the S3 server http://" + cutting.Addr + " breaks"},
		"TLS to plain":    {func(c *Config) { c.Endpoint = strings.Replace(c.Endpoint, "http:", "https:", 1) }, "does not speak TLS"},
		"own certificate": {func(c *Config) { c.Endpoint = tls.URL }, "is not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := good
			c.Patience = 200 * time.Millisecond
			test.change(&c)
			b := open(t, c)
			check := func(what string, err error) {
				t.Helper()
				e, ok := errors.AsType[*Error](err)
				if !ok || !errors.Is(err, artifact.ErrUnreachable) || errors.Is(err, artifact.ErrNotFound) {
					t.Errorf("%s: %v, want ErrUnreachable", what, err)
					return
				}
				if !strings.Contains(err.Error(), test.part) || e.Hint() == "" || strings.ContainsAny(err.Error()+e.Hint(), "\n") {
					t.Errorf("%s: %q, hint %q, want %q", what, err, e.Hint(), test.part)
				}
				for _, secret := range []string{server.Secret, server.AccessKey, "swordfish"} {
					if strings.Contains(err.Error()+e.Hint(), secret) {
						t.Errorf("%s: the message holds a secret: %v", what, err)
					}
				}
			}
			var g sync.WaitGroup // the tries of each take a while
			for what, call := range map[string]func() error{
				"opening": func() error { _, err := artifact.New(t.Context(), b); return err },
				"putting": func() error {
					_, err := artifacttest.Put(t.Context(), b, "name", []byte("x"), artifact.CommitOptions{})
					return err
				},
				"getting":            func() error { _, err := artifacttest.Get(t.Context(), b, "name"); return err },
				"listing":            func() error { _, err := b.List(t.Context(), "runs"); return err },
				"deleting":           func() error { return b.Delete(t.Context(), "name", nil) },
				"asking for the age": func() error { _, err := b.Age(t.Context(), "name"); return err },
			} {
				g.Go(func() { check(what, call()) })
			}
			g.Wait()
		})
	}
}

// faulty is a bucket behind a proxy, and the same without.
func faulty(t *testing.T, server *needs.Bucket, patience time.Duration) (through, direct *bucket, p *proxy.Proxy) {
	t.Helper()
	c := config(server, strings.ToLower(strings.ReplaceAll(t.Name(), "_", "-")))
	direct = open(t, c)
	p = proxy.Start(t, strings.TrimPrefix(server.Endpoint, "http://"))
	c.Endpoint, c.Patience = "http://"+p.Addr, patience
	return open(t, c), direct, p
}

// Faults that pass are not seen: neither as errors, nor as a lost or doubled object.
func TestPassingFaults(t *testing.T) {
	t.Parallel()
	server := needs.S3(t)
	for what, f := range map[string]proxy.Fault{
		"delay": {Delay: time.Millisecond}, "status": {Status: 500, Times: 2}, "unavailable": {Status: 503, Times: 1},
		"requests cut": {CutRequest: 300_000, Times: 2}, "answers cut": {CutAnswer: 20, Times: 1},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b, direct, p := faulty(t, server, 0)
			for name, size := range map[string]int{"small": 1 << 20, "parts": 2*partSize + 1} {
				data := bytes.Repeat([]byte("0123456789abcdef"), (size+15)/16)[:size]
				p.Set(f)
				created, err := artifacttest.Put(t.Context(), b, name, data, artifact.CommitOptions{})
				if err != nil || !created {
					t.Errorf("%s: created %v, %v", name, created, err)
				}
				if p.Hit() == 0 {
					t.Errorf("%s: the fault did not happen", name)
				}
				if got, err := artifacttest.Get(t.Context(), direct, name); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s: got %d bytes, %v", name, len(got), err)
				}
				if f.CutRequest != 0 {
					continue // a request to read is shorter
				}
				p.Set(f)
				if got, err := artifacttest.Get(t.Context(), b, name); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s: reading through the fault: %d bytes, %v", name, len(got), err)
				}
			}
		})
	}
}

// The first request of all asks for the region when none is given, and is tried again as the others are.
func TestRegionIsFound(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	_, direct, p := faulty(t, needs.S3(t), 0)
	c := direct.config
	c.Region, c.Endpoint = "", "http://"+p.Addr
	for _, f := range []proxy.Fault{{}, {Status: 503, Times: 2}, {CutAnswer: 1, Times: 2}} {
		p.Set(f)
		b := open(t, c)
		if _, err := artifacttest.Put(t.Context(), b, "name", []byte("x"), artifact.CommitOptions{Replace: true}); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// An upload that never gets through is an error, and nothing of it is to be seen.
func TestLastingFaults(t *testing.T) {
	t.Parallel()
	server := needs.S3(t)
	for what, f := range map[string]proxy.Fault{"cut": {CutRequest: 300_000}, "silent": {Silent: true}, "status": {Status: 500}} {
		for name, size := range map[string]int{"small": 1 << 20, "parts": 2*partSize + 1} {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				b, direct, p := faulty(t, server, 300*time.Millisecond)
				p.Set(f)
				if created, err := artifacttest.Put(t.Context(), b, "name", make([]byte, size), artifact.CommitOptions{}); !errors.Is(err, artifact.ErrUnreachable) || created {
					t.Errorf("got %v, %v", created, err)
				}
				if got, err := artifacttest.Get(t.Context(), direct, "name"); !errors.Is(err, artifact.ErrNotFound) {
					t.Errorf("it is there: %d bytes, %v", len(got), err)
				}
			})
		}
	}
}

// Reading goes on where it was cut, as long as it goes on at all.
func TestReadingGoesOn(t *testing.T) {
	t.Parallel()
	b, direct, p := faulty(t, needs.S3(t), 0)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	if _, err := artifacttest.Put(t.Context(), direct, "name", data, artifact.CommitOptions{}); err != nil {
		t.Fatal(err)
	}
	p.Set(proxy.Fault{CutAnswer: 3 << 20})
	if got, err := artifacttest.Get(t.Context(), b, "name"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if p.Hit() < 5 {
		t.Errorf("it was cut %d times", p.Hit())
	}
}

// The caller's context ends what waits for a server, at once and as what it is.
func TestCancelWhileWaiting(t *testing.T) {
	t.Parallel()
	b, _, p := faulty(t, needs.S3(t), time.Minute)
	p.Set(proxy.Fault{Silent: true})
	for name, call := range map[string]func(context.Context) error{
		"put": func(ctx context.Context) error {
			_, err := artifacttest.Put(ctx, b, "x", nil, artifact.CommitOptions{})
			return err
		},
		"get":    func(ctx context.Context) error { _, err := artifacttest.Get(ctx, b, "x"); return err },
		"list":   func(ctx context.Context) error { _, err := b.List(ctx, "x"); return err },
		"delete": func(ctx context.Context) error { return b.Delete(ctx, "x", nil) },
		"age":    func(ctx context.Context) error { _, err := b.Age(ctx, "x"); return err },
	} {
		p.Set(proxy.Fault{Silent: true})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- call(ctx) }()
		for p.Hit() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) || errors.Is(err, artifact.ErrUnreachable) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
}

// A server that is killed and comes back has what it acknowledged.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	server := needs.S3(t)
	c := config(server, "p")
	b := open(t, c)
	if _, err := artifacttest.Put(t.Context(), b, "name", []byte("x"), artifact.CommitOptions{}); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if _, err := artifacttest.Get(t.Context(), b, "name"); !errors.Is(err, artifact.ErrUnreachable) {
		t.Errorf("without a server: %v", err)
	}
	server.Restart()
	if got, err := artifacttest.Get(t.Context(), b, "name"); err != nil || string(got) != "x" {
		t.Errorf("got %q, %v", got, err)
	}
}
