package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

// submitters is how many goroutines submit, on both sides.
const submitters = 16

// workerSlots is the concurrency of a worker, on both sides.
const workerSlots = 16

// side is our side of a comparison: a client, workers, and a store if that is asked for.
type side struct {
	b       *bench
	dir     string // of the store; empty: none
	conn    *tasks.Conn
	client  *tasks.Client
	workers []*process
}

// newSide starts n worker processes.
func (b *bench) newSide(ctx context.Context, n int, r role) (*side, error) {
	s := &side{b: b}
	var store *artifact.Store
	var err error
	if b.store {
		if s.dir, err = os.MkdirTemp("", "hashline-engine-store-"); err != nil {
			return nil, err
		}
		if store, err = artifact.Open(ctx, s.dir); err != nil {
			return nil, err
		}
	}
	if s.conn, err = tasks.Dial(ctx, b.redis.url()); err != nil {
		return nil, err
	}
	if s.client, err = tasks.NewClient(tasks.Config{Conn: s.conn, Store: store}); err != nil {
		return nil, err
	}
	for range n {
		if err := s.add(r); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *side) add(r role) error {
	r.Redis, r.Store = s.b.redis.url(), s.dir
	p, err := s.b.start(r)
	if err == nil {
		s.workers = append(s.workers, p)
	}
	return err
}

func (s *side) close() error {
	var group errgroup.Group
	for _, p := range s.workers {
		group.Go(p.stop)
	}
	err := group.Wait()
	_ = s.conn.Close()
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
	return err
}

// submit hands in a plan.
func (s *side) submit(ctx context.Context, p *pipeline.Plan) (string, error) {
	return s.client.Submit(ctx, tasks.Request{Plan: p, Name: "bench", Mode: "redis"})
}

// timed submits a run and returns how long it took until its last event arrived.
func (s *side) timed(ctx context.Context, p *pipeline.Plan) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errTooLong)
	defer cancel()
	start := time.Now()
	id, err := s.submit(ctx, p)
	if err != nil {
		return 0, err
	}
	return s.ended(ctx, id, start)
}

// ended waits for the end of a run and refuses any but success.
func (s *side) ended(ctx context.Context, id string, start time.Time) (time.Duration, error) {
	last := ""
	if err := s.client.Watch(ctx, id, "", func(e pipeline.Event) error {
		last = e.Type + " " + e.Message
		return nil
	}); err != nil {
		return 0, err
	}
	took := time.Since(start)
	if last != pipeline.RunSuccess+" " {
		return 0, fmt.Errorf("run %s ended with %s", id, last)
	}
	return took, nil
}

// activeRuns is the key of the runs that are not recorded yet.
const activeRuns = "hashline:runs"

// graphs returns the seconds that n runs of a plan take from the first submission until all are recorded.
func (s *side) graphs(ctx context.Context, p *pipeline.Plan, n int) (float64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errTooLong)
	defer cancel()
	start := time.Now()
	err := share(ctx, n, func(ctx context.Context) error {
		_, err := s.submit(ctx, p)
		return err
	})
	if err != nil {
		return 0, err
	}
	err = until(ctx, func() (bool, error) {
		left, err := s.b.redis.client.ZCard(ctx, activeRuns).Result()
		return left == 0, err
	})
	return time.Since(start).Seconds(), err
}

// share calls f n times from the submitters.
func share(ctx context.Context, n int, f func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var mu sync.Mutex
	next := func() bool {
		mu.Lock()
		defer mu.Unlock()
		n--
		return n >= 0
	}
	for range submitters {
		group.Go(func() error {
			for next() {
				if err := f(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// asynqAlone returns the seconds that n tasks take in asynq alone, with some worker processes, from the first enqueue until none is
// left, and the processor time. The tasks do nothing but last.
func (b *bench) asynqAlone(ctx context.Context, n, processes int, lasts time.Duration) (float64, cpu, error) {
	var workers []*process
	for range processes {
		w, err := b.start(role{Asynq: b.redis.addr, Slots: workerSlots, Lasts: lasts})
		if err != nil {
			return 0, cpu{}, err
		}
		workers = append(workers, w)
	}
	before, err := b.used(ctx)
	if err != nil {
		return 0, cpu{}, err
	}
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: b.redis.addr})
	defer client.Close()
	payload := make([]byte, 200)
	start := time.Now()
	err = share(ctx, n, func(ctx context.Context) error {
		_, err := client.EnqueueContext(ctx, asynq.NewTask(asynqTask, payload))
		return err
	})
	if err != nil {
		return 0, cpu{}, err
	}
	err = b.empty(ctx, "default")
	seconds := time.Since(start).Seconds()
	for _, w := range workers {
		if stopped := w.stop(); err == nil {
			err = stopped
		}
	}
	if err != nil {
		return 0, cpu{}, err
	}
	c, err := b.since(ctx, before, workers...)
	return seconds, c, err
}

// empty waits until a queue of asynq has nothing to do.
func (b *bench) empty(ctx context.Context, queue string) error {
	return until(ctx, func() (bool, error) {
		pipe := b.redis.client.Pipeline()
		pending, active := pipe.LLen(ctx, "asynq:{"+queue+"}:pending"), pipe.LLen(ctx, "asynq:{"+queue+"}:active")
		_, err := pipe.Exec(ctx)
		return pending.Val()+active.Val() == 0, err
	})
}
