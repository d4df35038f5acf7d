package tasks

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// durably lets write change what lies under a key, and keys with its hash tag.
func (c *core) durably(_ context.Context, _ string, write func(redis.Cmdable) error) error {
	return write(c.redis)
}
