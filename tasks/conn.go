package tasks

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
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
	options  *redis.Options
	embedded bool
	close    func() error
}

// quiet drops what go-redis would write to standard error: every failure is returned as an error too.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(quiet{}) }

// dialTimeout is how long an unreachable Redis may keep a command waiting.
const dialTimeout = 4 * time.Second

// Dial connects to the Redis at a URL: redis://[user:password@]host:port/db, rediss:// for TLS, or unix://path. An
// unreachable or refusing one is an error of class unreachable within five seconds. Passwords are in no message.
func Dial(ctx context.Context, location string) (*Conn, error) {
	o, err := redis.ParseURL(location)
	if err != nil {
		return nil, (&pipeline.Error{Class: pipeline.ClassUsage, Message: "the Redis URL is not valid: " + withoutPassword(location)}).
			WithHint("want redis://host:port/db, rediss://host:port/db or unix:///path")
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, 10*time.Second, 10*time.Second
	o.ContextTimeoutEnabled = true // else a server that accepts and is silent costs ReadTimeout
	o.MaxRetries = 1
	o.PoolSize = poolSize
	c := &Conn{redis: redis.NewClient(o), key: DefaultPrefix, options: o}
	c.close = c.redis.Close
	ping, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := c.redis.Ping(ping).Err(); err != nil {
		_ = c.redis.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unreachable(err, withoutPassword(location))
	}
	c.redis.AddHook(breather{})
	return c, nil
}

// poolSize bounds the connections of a process. They are made when they are needed; everyone who watches holds one.
const poolSize = 128

// withoutPassword returns what of a URL may be printed.
func withoutPassword(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return "it cannot be parsed"
	}
	u.RawQuery, u.Fragment = "", ""
	return u.Redacted()
}

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
	if errors.Is(err, context.Canceled) {
		return err
	}
	message := "Redis does not answer"
	if where != "" {
		message += " at " + where
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		message += ": there is no such host"
	case errors.Is(err, context.DeadlineExceeded):
		message += " in time"
	default:
		message += ": " + err.Error()
	}
	return (&pipeline.Error{Class: pipeline.ClassUnreachable, Message: message}).WithHint("check that it runs, and its address and password")
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
	c := &Conn{redis: redis.NewClient(o), key: DefaultPrefix, options: o, embedded: true}
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

// Close ends the connection, and the embedded Redis with everything in it.
func (c *Conn) Close() error { return c.close() }

// AsynqOptions returns the options for tools that speak to asynq, such as its web monitor.
func (c *Conn) AsynqOptions() asynq.RedisConnOpt {
	o := asynq.RedisClientOpt{Network: c.options.Network, Addr: c.options.Addr, Username: c.options.Username, Password: c.options.Password, DB: c.options.DB,
		DialTimeout: c.options.DialTimeout, ReadTimeout: c.options.ReadTimeout, WriteTimeout: c.options.WriteTimeout, PoolSize: c.options.PoolSize}
	if c.options.TLSConfig != nil {
		o.TLSConfig = c.options.TLSConfig.Clone()
		if o.TLSConfig.MinVersion == 0 {
			o.TLSConfig.MinVersion = tls.VersionTLS12
		}
	}
	return o
}
