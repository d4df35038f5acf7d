package tasks

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

func TestDialErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ url, class string }{
		"not a URL":    {"http://x", pipeline.ClassUsage},
		"nobody":       {"redis://user:secret@127.0.0.1:1/0", pipeline.ClassUnreachable},
		"no such host": {"redis://:secret@nowhere.invalid:6379/0", pipeline.ClassUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Dial(context.Background(), c.url)
			e := pipeline.AsError(err)
			if e == nil || e.Class != c.class {
				t.Fatalf("error %v, want class %s", err, c.class)
			}
			if strings.Contains(e.Message+e.Hint, "secret") {
				t.Errorf("the password is in %q", e.Message)
			}
		})
	}
}

func address(c *Conn) *redis.Options { return c.redis.(*redis.Client).Options() }

func TestDialIsRefused(t *testing.T) {
	b := newBench(t, "")
	_, err := Dial(context.Background(), "redis://:wrong@"+address(b.conn).Addr)
	if e := pipeline.AsError(err); e == nil || e.Class != pipeline.ClassUnreachable || strings.Contains(e.Message+e.Hint, "wrong@") {
		t.Errorf("error %v", err)
	}
	c, err := Dial(context.Background(), "redis://:"+address(b.conn).Password+"@"+address(b.conn).Addr)
	if err != nil {
		t.Fatal(err)
	}
	if c.embedded || !b.conn.embedded {
		t.Error("only one of them is in this process")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	i := asynq.NewInspector(b.conn.AsynqOptions())
	if err := i.Close(); err != nil { // a client of its own
		t.Error(err)
	}
	if err := b.conn.redis.Ping(context.Background()).Err(); err != nil {
		t.Error(err)
	}
}

// A server that accepts connections and says nothing must not keep a command waiting.
func TestDialOfSilentServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for _, scheme := range []string{"redis", "rediss"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			_, err := Dial(context.Background(), scheme+"://:secret@"+l.Addr().String()+"?password=secret")
			if e := pipeline.AsError(err); e == nil || strings.Contains(e.Message+e.Hint, "secret") {
				t.Errorf("error %v", err)
			}
			_, err = Dial(context.Background(), scheme+"://:secret@"+l.Addr().String())
			if e := pipeline.AsError(err); e == nil || e.Class != pipeline.ClassUnreachable || !strings.Contains(e.Message, "in time") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestDialWithAContextThatIsOver(t *testing.T) {
	b := newBench(t, "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Dial(ctx, "redis://"+address(b.conn).Addr); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	conn, err := StartEmbedded(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	store, err := artifact.Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	registry, err := pipeline.NewRegistry(nil, toyKinds()...)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWorker(Config{Conn: conn, Store: store, Registry: registry}, WorkerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	until(t, func() bool {
		n, err := conn.redis.ZCard(context.Background(), conn.key.liveWorkers()).Result()
		return err == nil && n == 1
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before)
}

func TestConfigIsChecked(t *testing.T) {
	b := newBench(t, "")
	if _, err := NewClient(Config{}); err == nil {
		t.Error("a client without a connection")
	}
	c := b.config
	c.Registry = nil
	if _, err := NewWorker(c, WorkerOptions{}); err == nil {
		t.Error("a worker without kinds")
	}
}
