package tasks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/pipeline"
)

// eachServer calls fn for every server that takes writes: the one there is, or the masters of a Cluster.
func (c *Conn) eachServer(ctx context.Context, fn func(context.Context, *redis.Client) error) error {
	if cluster, ok := c.redis.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, fn)
	}
	return fn(ctx, c.redis.(*redis.Client)) // NewConn takes no other
}

// oldest is the Redis that everything here works with: asynq needs its LMOVE and the Lua of this package its TIME before writes.
var oldest = [2]int{6, 2}

// check reports an error unless Redis answers and is new enough.
func (c *Conn) check(ctx context.Context) error {
	if err := c.redis.Ping(ctx).Err(); err != nil {
		return err
	}
	return c.eachServer(ctx, func(ctx context.Context, server *redis.Client) error {
		version := versionOf(ctx, server)
		m := majorMinor.FindStringSubmatch(version)
		if m == nil {
			return nil // whoever forbids to ask for it
		}
		major, _ := strconv.Atoi(m[1])
		minor, _ := strconv.Atoi(m[2])
		if major > oldest[0] || major == oldest[0] && minor >= oldest[1] {
			return nil
		}
		return (&pipeline.Error{Class: pipeline.ClassUnreachable, Message: fmt.Sprintf("Redis is version %s, too old to be used", version)}).WithHint("want Redis %d.%d or later, or Valkey", oldest[0], oldest[1])
	})
}

var majorMinor = regexp.MustCompile(`^(\d+)\.(\d+)`)

// versionOf asks in the way that every user may, then in the way of servers before 6.2; "" where neither works.
func versionOf(ctx context.Context, server *redis.Client) string {
	switch answer, err := server.Do(ctx, "HELLO").Result(); answer := answer.(type) {
	case map[any]any:
		return fmt.Sprint(answer["version"])
	case []any:
		for i := 0; err == nil && i+1 < len(answer); i += 2 {
			if answer[i] == "version" {
				return fmt.Sprint(answer[i+1])
			}
		}
	}
	return infoField(server.Info(ctx, "server").Val(), "redis_version")
}

// infoField finds a field in the text of INFO.
func infoField(text, field string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Warnings says in sentences what of the servers' settings endangers runs; nothing where the user must not ask.
func (c *Conn) Warnings(ctx context.Context) []string {
	if c.embedded {
		return nil
	}
	var found evicting
	if !errors.As(c.eachServer(ctx, evicts), &found) {
		return nil
	}
	return []string{"Redis may throw the state of runs away when its memory is full: its maxmemory-policy is " + string(found) + "; set it to noeviction"}
}

// evicting is the policy of a server that throws keys away.
type evicting string

func (e evicting) Error() string { return "it evicts: " + string(e) }

func evicts(ctx context.Context, server *redis.Client) error {
	var policy string
	if answer, err := server.ConfigGet(ctx, "maxmemory-policy").Result(); err == nil {
		policy = answer["maxmemory-policy"]
	} else { // a managed one forbids CONFIG
		policy = infoField(server.Info(ctx, "memory").Val(), "maxmemory_policy")
	}
	if policy == "" || policy == "noeviction" {
		return nil
	}
	return evicting(policy)
}

// away reports whether an error may come of a server that does not answer, fails, or hands its keys over: asking again may help.
func away(err error) bool {
	var network net.Error
	var answer redis.Error
	if !errors.As(err, &answer) {
		return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || strings.HasPrefix(err.Error(), "redis: ") && !errors.Is(err, redis.ErrClosed)
	}
	return slices.ContainsFunc(moving, func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) })
}

// moving begins the answers of a server whose keys are, or will be, another's, or who is about to have them.
var moving = []string{"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "LOADING", "UNBLOCKED"}
