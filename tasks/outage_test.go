package tasks

import (
	"context"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

// Who begins to watch while Redis is away is as patient as who watched before.
func TestWatchBeginsInAnOutage(t *testing.T) {
	t.Parallel()
	server := needs.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	b := newBench(t, server.URL())
	id := b.submit(diamond())
	server.Kill()
	watched := make(chan error, 1)
	met := &meeting{failed: make(chan struct{})}
	b.conn.redis.AddHook(met)
	go func() {
		watched <- b.client.Watch(t.Context(), id, "", func(pipeline.Event) error { return nil })
	}()
	<-met.failed // it has met the outage
	server.Restart()
	b.worker(WorkerOptions{Concurrency: 1})
	if err := <-watched; err != nil {
		t.Error(err)
	}
}

// meeting tells of the first command that fails.
type meeting struct {
	once   sync.Once
	failed chan struct{}
}

func (m *meeting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m *meeting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (m *meeting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err != nil {
			m.once.Do(func() { close(m.failed) })
		}
		return err
	}
}
