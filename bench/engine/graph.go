package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"github.com/hashline/hashline/tasks"
)

// wide is the number of stages of the large graph.
const wide = 10_000

// graph runs one wide graph: its rate beside asynq alone, its memory, and what is left of it.
func graph(ctx context.Context, b *bench) error {
	p, err := fan(wide, 0)
	if err != nil {
		return err
	}
	alone, _, err := b.asynqAlone(ctx, wide, 1, 0)
	if err != nil {
		return err
	}
	if err := b.redis.client.FlushAll(ctx).Err(); err != nil {
		return err
	}
	s, err := b.newSide(ctx, 1, role{Slots: workerSlots})
	if err != nil {
		return err
	}
	before, err := b.redis.info(ctx, "used_memory")
	if err != nil {
		return err
	}
	peak := b.watchMemory(ctx)
	took, err := s.timed(ctx, p)
	if err != nil {
		return err
	}
	highest := peak()
	if err := s.close(); err != nil {
		return err
	}
	show("asynq alone, no-op tasks", perSecond(wide/alone), "")
	show(fmt.Sprintf("one graph of %d no-op stages, one worker", wide), perSecond(wide/took.Seconds()), "")
	show("  of asynq alone", fmt.Sprintf("%.2f", alone/took.Seconds()), ">= 0.25")
	show("memory in Redis at its peak, a stage", bytesEach(highest-before), "")
	return b.leftovers(ctx, before)
}

// leftovers tells what a finished run leaves in Redis, without and with the passing of its retention.
func (b *bench) leftovers(ctx context.Context, before float64) error {
	with, err := b.redis.info(ctx, "used_memory")
	if err != nil {
		return err
	}
	inspector := asynq.NewInspectorFromRedisClient(b.redis.client)
	kept, err := inspector.DeleteAllCompletedTasks(tasks.DefaultQueue)
	if err != nil && !errors.Is(err, asynq.ErrQueueNotFound) {
		return err
	}
	without, err := b.redis.info(ctx, "used_memory")
	if err != nil {
		return err
	}
	show(fmt.Sprintf("  at its end, with %d retained tasks of asynq", kept), bytesEach(with-before), "")
	show("  at its end, without retained tasks", bytesEach(without-before), "<= 2048 B")
	if err := b.largest(ctx); err != nil {
		return err
	}
	forever, err := b.expireAll(ctx)
	if err != nil {
		return err
	}
	after, err := b.redis.info(ctx, "used_memory")
	if err != nil {
		return err
	}
	show("  when what expires has expired", bytesEach(after-before), "gone")
	show("  keys without an expiry", strings.Join(forever, " "), "none of the run")
	return nil
}

// largest tells the memory of the keys of runs, a stage.
func (b *bench) largest(ctx context.Context) error {
	keys, err := b.redis.client.Keys(ctx, tasks.DefaultPrefix+":{*").Result()
	if err != nil {
		return err
	}
	for _, k := range keys {
		bytes, err := b.redis.client.MemoryUsage(ctx, k, 0).Result()
		if err != nil {
			return err
		}
		if part := k[strings.LastIndex(k, ":")+1:]; bytes > 10*wide {
			show("    of that "+part, bytesEach(float64(bytes)), "")
		}
	}
	return nil
}

func bytesEach(v float64) string { return fmt.Sprintf("%.0f B", v/wide) }

// expireAll removes every key that would go by itself one day, as if that day had come, and returns the others.
func (b *bench) expireAll(ctx context.Context) (forever []string, err error) {
	keys, err := b.redis.client.Keys(ctx, "*").Result()
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		ttl, err := b.redis.client.TTL(ctx, k).Result()
		if err != nil {
			return nil, err
		}
		if ttl < 0 {
			forever = append(forever, k)
			continue
		}
		if err := b.redis.client.Del(ctx, k).Err(); err != nil {
			return nil, err
		}
	}
	return forever, nil
}

// watchMemory samples the memory of Redis until the function it returns is called, which gives the highest.
func (b *bench) watchMemory(ctx context.Context) func() float64 {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	var highest atomic.Uint64
	go func() {
		defer close(done)
		for t := time.NewTicker(20 * time.Millisecond); ; {
			if v, err := b.redis.info(ctx, "used_memory"); err == nil {
				highest.Store(max(highest.Load(), uint64(v)))
			}
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-t.C:
			}
		}
	}()
	return func() float64 {
		stop()
		<-done
		return float64(highest.Load())
	}
}
