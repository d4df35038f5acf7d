package tasks

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis answers before its replicas have a write, so that a failover may lose what was answered. What must not be lost is
// written with durably: where there are replicas, it waits until one has it.
const (
	copyPatience = time.Second      // how long a replica may take
	copyMemory   = 10 * time.Second // how long it is remembered whether a server has replicas
	movePatience = 5 * time.Second  // how long a failover may take until the write fails
)

// copies remembers which servers have replicas. One whose only replica left a moment ago is waited for in vain, which is
// what its operator should hear of.
type copies struct {
	mu    sync.Mutex
	known map[string]copied // by address
}

// copied is what was seen of a server.
type copied struct {
	any bool
	at  time.Time
}

// of reports whether a server has replicas; it counts as none where the server, or the rights of the user, do not tell.
func (k *copies) of(ctx context.Context, server *redis.Client) (bool, error) {
	addr := server.Options().Addr
	k.mu.Lock()
	c, known := k.known[addr]
	k.mu.Unlock()
	if known && (c.any && time.Since(c.at) < copyMemory || time.Since(c.at) < time.Second) {
		return c.any, nil
	}
	text, err := server.Info(ctx, "replication").Result()
	if err != nil && away(err) {
		return false, err
	}
	c = copied{any: err == nil && cmp.Or(infoField(text, "connected_slaves"), "0") != "0", at: time.Now()}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = map[string]copied{}
	}
	k.known[addr] = c
	return c.any, nil
}

// durably lets write change what lies under a key, and keys with its hash tag. Where there are replicas it returns when one
// has the change, or with a warning in the log when none had it in time. Write may be called again: when a server fails in
// between, what it answered may be gone.
func (c *core) durably(ctx context.Context, key string, write func(redis.Cmdable) error) error {
	for first := time.Now(); ; {
		done, err := c.tryDurably(ctx, key, write)
		if done || ctx.Err() != nil || !away(err) {
			return err
		}
		if time.Since(first) > movePatience {
			return write(c.redis)
		}
		_ = pause(ctx, breath)
		if cluster, ok := c.redis.(*redis.ClusterClient); ok {
			cluster.ReloadState(ctx)
		}
	}
}

// durablyApart is durably for a write that another one with durably follows: on one server that waits for both.
func (c *core) durablyApart(ctx context.Context, key string, write func(redis.Cmdable) error) error {
	if _, cluster := c.redis.(*redis.ClusterClient); cluster {
		return c.durably(ctx, key, write)
	}
	return write(c.redis)
}

// tryDurably reports whether it was left to the client, or carried out.
func (c *core) tryDurably(ctx context.Context, key string, write func(redis.Cmdable) error) (bool, error) {
	server, err := c.conn.master(ctx, key)
	if err != nil {
		return false, err
	}
	replicated, err := c.conn.copies.of(ctx, server)
	if err != nil {
		return false, err
	}
	if !replicated {
		return true, write(c.redis)
	}
	err = c.copy(ctx, server, key, write)
	return err == nil, err
}

// copy writes, and waits for a replica on the same connection: WAIT counts the writes of its own connection alone, and one
// that is made anew in between has none. The mark is a write that is never without effect, as repeating ours may be.
func (c *core) copy(ctx context.Context, server *redis.Client, key string, write func(redis.Cmdable) error) error {
	conn := server.Conn()
	defer conn.Close()
	if err := write(conn); err != nil {
		return err
	}
	pipe := conn.Pipeline()
	pipe.Set(ctx, c.key.mark(key), "", copyPatience)
	wait := pipe.Do(ctx, "WAIT", 1, copyPatience.Milliseconds())
	if _, err := pipe.Exec(ctx); err != nil && away(err) {
		return err
	}
	if n, err := wait.Int(); err != nil || n == 0 { // in time, or at all: the user may have no right to WAIT
		c.log.Warn("no replica of Redis has confirmed a run in time; should the server fail now, the run may be lost", "key", key, "waited", copyPatience, "error", err)
	}
	return nil
}

// mark is a key in the slot of another.
func (k keyspace) mark(key string) string {
	if strings.Contains(key, "{") {
		return key + ":copied"
	}
	return string(k) + ":{" + key + "}:copied"
}

// master returns the server that takes the writes of a key.
func (c *Conn) master(ctx context.Context, key string) (*redis.Client, error) {
	if cluster, ok := c.redis.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, key)
	}
	return c.redis.(*redis.Client), nil // NewConn takes no other
}
