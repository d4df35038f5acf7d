package tasks

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/pipeline"
)

// Conn is a connection to Redis, shared by clients and workers. It is safe for concurrent use.
type Conn struct {
	redis    redis.UniversalClient
	key      keyspace
	embedded bool
	another  func() redis.UniversalClient // makes a client like redis
	close    func() error
	copies   copies
	bell     doorbell
}

// quiet drops what go-redis would write to standard error: every failure is returned as an error too.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(quiet{}) }

// ConnOption is an option of Dial or NewConn.
type ConnOption func(*access)

// WithPrefix lets the names of keys and channels begin with something else than DefaultPrefix: letters, digits and . _ - : of
// at most 64 characters. All clients and workers of a queue need the same. It may also stand in the URL, as ?prefix=NAME.
func WithPrefix(prefix string) ConnOption { return func(a *access) { a.prefix = prefix } }

// WithCredentials sets user and password of the Redis servers, for Dial with a URL that has none.
func WithCredentials(user, password string) ConnOption {
	return func(a *access) { a.username, a.password = user, password }
}

// WithSentinelCredentials sets user and password of the Sentinels, for Dial.
func WithSentinelCredentials(user, password string) ConnOption {
	return func(a *access) { a.sentinelUsername, a.sentinelPassword = user, password }
}

// WithCA names a file with the certificates, as PEM, that those of the servers must be signed by, for Dial with TLS. It may
// also stand in the URL, as ?ca=FILE.
func WithCA(file string) ConnOption { return func(a *access) { a.ca = file } }

// WithTLS sets all of TLS, for Dial with TLS. TLS 1.2 is the least, whatever it says.
func WithTLS(c *tls.Config) ConnOption { return func(a *access) { a.tls = c } }

// Dial connects to the Redis at a URL:
//
//	redis://[user:password@]host[:port][/db]
//	unix://[user:password@]/path[?db=db]
//	redis-sentinel://[user:password@]host[:port],...[/db]?master=NAME
//	redis-cluster://[user:password@]host[:port],...
//
// With rediss for redis it speaks TLS. Parameters: prefix (see WithPrefix); ca, cert and key (files as PEM: the CA of the servers,
// and a certificate of ours with its key) and server_name for TLS; sentinel_username and sentinel_password; and those of
// redis.ParseURL that set no time or size. What the URL says goes before the options.
//
// A Redis that does not answer, refuses, or is older than 6.2 is an error of class unreachable within five seconds, a URL or
// file that cannot be used one of class usage. Passwords are in no message.
func Dial(ctx context.Context, url string, options ...ConnOption) (*Conn, error) {
	var a access
	for _, set := range options {
		set(&a)
	}
	l, err := parseLocation(url, a)
	if err != nil {
		return nil, err
	}
	c, err := newConn(l.client(), l.client, l.access.prefix)
	if err != nil {
		return nil, err
	}
	c.close = c.redis.Close
	check, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := c.check(check); err != nil {
		_ = c.redis.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unreachable(err, l.name)
	}
	c.redis.AddHook(breather{})
	return c, nil
}

// NewConn takes a client that a program has, of whatever kind: redis.Client, with or without Sentinel, or redis.ClusterClient.
// Close leaves it open. It is an error of class usage for a client that spreads keys by itself (redis.Ring), which no script
// over several keys survives. That Redis is 6.2 or later is for the program to see to.
func NewConn(client redis.UniversalClient, options ...ConnOption) (*Conn, error) {
	var a access
	for _, set := range options {
		set(&a)
	}
	var another func() redis.UniversalClient
	switch client := client.(type) {
	case *redis.Client:
		another = func() redis.UniversalClient { o := *client.Options(); return redis.NewClient(&o) }
	case *redis.ClusterClient:
		another = func() redis.UniversalClient { o := *client.Options(); return redis.NewClusterClient(&o) }
	default:
		return nil, usageOf(fmt.Sprintf("a client of type %T cannot be used", client), "want a redis.Client or a redis.ClusterClient")
	}
	c, err := newConn(client, another, a.prefix)
	if err != nil {
		return nil, err
	}
	c.close = func() error { return nil }
	return c, nil
}

func newConn(client redis.UniversalClient, another func() redis.UniversalClient, prefix string) (*Conn, error) {
	prefix = cmp.Or(prefix, DefaultPrefix)
	if !validPrefix.MatchString(prefix) {
		return nil, usageOf(fmt.Sprintf("%.80q cannot be the prefix of keys", prefix), "want letters, digits and . _ - : of at most 64 characters")
	}
	return &Conn{redis: client, key: keyspace(prefix), another: another}, nil
}

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// breather makes a caller whose command failed wait a moment: asynq asks for the next task at once after an error, which
// would keep a processor busy for as long as Redis is away.
type breather struct{}

const breath = 50 * time.Millisecond

func (breather) DialHook(next redis.DialHook) redis.DialHook { return next }

func (breather) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (breather) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "NOSCRIPT") {
			_ = pause(ctx, breath)
		}
		return err
	}
}

// pause waits, or returns the error of ctx when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

func unreachable(err error, where string) error {
	var ours *pipeline.Error
	if errors.Is(err, context.Canceled) || errors.As(err, &ours) {
		return err
	}
	if where != "" {
		where = " at " + where
	}
	e := &pipeline.Error{Class: pipeline.ClassUnreachable, Message: "Redis does not answer" + where, Hint: "check that it runs, and its address and password"}
	text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "redis: "), "\n", "; ")
	var dns *net.DNSError
	var timeout net.Error
	var answer redis.Error
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns):
		e.Message += ": there is no such host"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Message += " in time"
	case errors.As(err, &certificate):
		e.Message += " with a certificate to trust: " + text
		e.Hint = "name the CA that signed it, as ?ca=FILE in the URL"
	case strings.Contains(text, "certificate required"):
		e.Message += ": it wants a certificate of ours"
		e.Hint = "name it and its key, as ?cert=FILE&key=FILE in the URL"
	case errors.Is(err, redis.Nil), strings.HasSuffix(text, "redis: nil"):
		e.Message = "no Sentinel" + where + " knows the master"
		e.Hint = "check ?master=NAME in the URL: it is the name that `sentinel monitor` gives"
	case errors.As(err, &answer):
		e.Message = "Redis" + where + " refuses: " + text
		e.Hint = "check user, password and what the user may do"
	default:
		e.Message += ": " + text
	}
	return e
}

// Connect is Dial, or StartEmbedded where the URL is empty: for programs that need no Redis until they are told of one.
func Connect(ctx context.Context, url string, options ...ConnOption) (*Conn, error) {
	if url == "" {
		return StartEmbedded(ctx)
	}
	return Dial(ctx, url, options...)
}

// StartEmbedded starts a Redis in this process, for one machine: on a loopback port, with a random password, without
// persistence. Close stops it.
func StartEmbedded(context.Context) (*Conn, error) {
	m := miniredis.NewMiniRedis()
	password := rand.Text()
	m.RequireAuth(password)
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("starting the embedded Redis: %w", err)
	}
	o := &redis.Options{Addr: m.Addr(), Password: password, Protocol: 2, DisableIdentity: true, PoolSize: poolSize}
	another := func() redis.UniversalClient { own := *o; return redis.NewClient(&own) }
	c := &Conn{redis: another(), key: DefaultPrefix, embedded: true, another: another}
	stop := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() { tick(m, stop) })
	c.close = func() error {
		close(stop)
		ticking.Wait()
		err := c.redis.Close()
		m.Close()
		return err
	}
	return c, nil
}

// tick moves the clock by which the embedded Redis lets keys expire. A step is at most a second long, so that a machine
// that was asleep does not find all its heartbeats expired on waking.
func tick(m *miniredis.Miniredis, stop <-chan struct{}) {
	const step = 250 * time.Millisecond
	t := time.NewTicker(step)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-stop:
			return
		case now := <-t.C:
			m.FastForward(min(now.Sub(last), time.Second))
			last = now
		}
	}
}

// Close ends the connection, and the embedded Redis with everything in it. It leaves a client of NewConn open.
func (c *Conn) Close() error { return c.close() }

// AsynqOptions returns the options for tools that speak to asynq, such as its Inspector and its web monitor. Each makes a
// client of its own from them, and closes that.
func (c *Conn) AsynqOptions() asynq.RedisConnOpt { return asynqOptions{c.another} }

// asynqOptions keep what asynq's own have no place for: the CA, the name of the server, times and sizes.
type asynqOptions struct{ another func() redis.UniversalClient }

func (o asynqOptions) MakeRedisClient() any { return o.another() }
