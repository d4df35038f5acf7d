package tasks

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// doorbell spares the polling. asynq looks for tasks at intervals and cannot be woken: a short interval costs commands all
// day, a long one costs every stage its length. So asynq is given a short one, and an answer that there is nothing is held back
// from it until somebody rings, or the worker's own interval is over. A process rings for its own workers and, through
// Redis, for those of others.
type doorbell struct {
	hang   sync.Once // as a hook of the connection
	mu     sync.Mutex
	queues map[string]*bell
}

// bell is the doorbell of one queue that workers of this process listen to.
type bell struct {
	wait time.Duration // how long an answer is held back at most
	rung chan struct{} // closed when it rings, and replaced
}

// asynqPoll is the interval that asynq is given.
const asynqPoll = time.Millisecond

// listen makes answers of a queue wait.
func (d *doorbell) listen(queue string, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.queues == nil {
		d.queues = map[string]*bell{}
	}
	d.queues[queue] = &bell{wait: wait, rung: make(chan struct{})}
}

// ringable makes workers of the queue wait for the doorbell, for so long at most.
func (c *Conn) ringable(queue string, wait time.Duration) {
	c.bell.hang.Do(func() { c.redis.AddHook(&c.bell) })
	c.bell.listen(queue, wait)
}

// ring lets everybody look who waits for the queue.
func (d *doorbell) ring(queue string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.queues[queue]; b != nil {
		close(b.rung)
		b.rung = make(chan struct{})
	}
}

// at returns what rings next for a queue, and for how long that may be waited for; ok is false where nobody listens.
func (d *doorbell) at(queue string) (rung <-chan struct{}, wait time.Duration, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.queues[queue]
	if b == nil {
		return nil, 0, false
	}
	return b.rung, b.wait, true
}

func (d *doorbell) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d *doorbell) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (d *doorbell) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		queue, ok := dequeues(cmd)
		if !ok {
			return next(ctx, cmd)
		}
		rung, wait, ok := d.at(queue) // before asking, so that no ring between the answer and the wait is lost
		err := next(ctx, cmd)
		if err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "NOSCRIPT") {
			_ = pause(ctx, breath) // asynq asks again at once, and the client may be a program's own, without a breather
		}
		if ok && errors.Is(err, redis.Nil) {
			t := time.NewTimer(wait)
			defer t.Stop()
			select {
			case <-rung:
			case <-t.C:
			case <-ctx.Done():
			}
		}
		return err
	}
}

// dequeues tells asynq's call for the next task of a queue from all others: the script over the lists of the pending and the
// active tasks.
func dequeues(cmd redis.Cmder) (queue string, ok bool) {
	args := cmd.Args()
	if len(args) < 7 || (cmd.Name() != "evalsha" && cmd.Name() != "eval") {
		return "", false
	}
	pending, _ := args[3].(string)
	paused, _ := args[4].(string)
	name, found := strings.CutSuffix(strings.TrimPrefix(pending, "asynq:{"), "}:pending")
	return name, found && paused == "asynq:{"+name+"}:paused"
}

// wake tells idle workers that a queue has tasks.
func (c *core) wake(ctx context.Context, queue string) {
	c.conn.bell.ring(queue)
	if c.conn.embedded {
		return
	}
	if err := c.redis.Publish(ctx, c.queueKeys(queue).wakeChannel(), "").Err(); err != nil {
		c.log.Debug("waking workers; they will look", "error", err)
	}
}
