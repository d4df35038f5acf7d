package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

// chainRuns is how many chains a median is taken of.
const chainRuns = 40

// latency times a chain of seven no-ops from its submission to its last event, on Redis and embedded.
func latency(ctx context.Context, b *bench) error {
	p, err := chain(7, 0)
	if err != nil {
		return err
	}
	s, err := b.newSide(ctx, 1, role{Slots: 4})
	if err != nil {
		return err
	}
	real, err := chains(ctx, s, p)
	if err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	show("chain of 7 no-ops, Redis, one worker", millis(real), "<= 100 ms")
	if s, err = b.newSide(ctx, 4, role{Slots: 4}); err != nil {
		return err
	}
	if real, err = chains(ctx, s, p); err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	show("  the same with four workers", millis(real), "")
	embedded, err := embeddedChains(ctx, p)
	if err != nil {
		return err
	}
	show("chain of 7 no-ops, embedded", millis(embedded), "<= 40 ms")
	return nil
}

func millis(seconds []float64) string { return fmt.Sprintf("%.1f ms", 1000*program.Median(seconds)) }

func chains(ctx context.Context, s *side, p *pipeline.Plan) ([]float64, error) {
	var seconds []float64
	for range chainRuns {
		took, err := s.timed(ctx, p)
		if err != nil {
			return nil, err
		}
		seconds = append(seconds, took.Seconds())
	}
	return seconds, nil
}

// embeddedChains runs the chains with Redis and a worker in this process.
func embeddedChains(ctx context.Context, p *pipeline.Plan) ([]float64, error) {
	conn, err := tasks.StartEmbedded(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	registry, err := pipeline.NewRegistry(nil, kinds()...)
	if err != nil {
		return nil, err
	}
	config := tasks.Config{Conn: conn, Registry: registry}
	client, err := tasks.NewClient(config)
	if err != nil {
		return nil, err
	}
	w, err := tasks.NewWorker(config, tasks.WorkerOptions{})
	if err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(run) }()
	seconds, err := chains(ctx, &side{client: client}, p)
	stop()
	if ended := <-done; err == nil {
		err = ended
	}
	return seconds, err
}

// idle counts what workers without work ask of Redis. Commands that scripts call are counted.
func idle(ctx context.Context, b *bench) error {
	for _, c := range []struct {
		what    string
		workers int
		target  string
	}{{"one idle worker, default setting", 1, "<= 100/s"}, {"50 idle workers, Kubernetes setting", 50, "<= 1000/s"}} {
		s, err := b.newSide(ctx, 1, role{Slots: 4, Workers: c.workers})
		if err != nil {
			return err
		}
		rate, err := b.commandRate(ctx, 10*time.Second)
		if err != nil {
			return err
		}
		if err := s.close(); err != nil {
			return err
		}
		show(c.what+": commands of Redis", perSecond(rate), c.target)
	}
	return nil
}

// commandRate returns the commands a second that Redis carries out over some time, after a settling time.
func (b *bench) commandRate(ctx context.Context, d time.Duration) (float64, error) {
	time.Sleep(3 * time.Second)
	before, err := b.redis.info(ctx, "total_commands_processed")
	if err != nil {
		return 0, err
	}
	start := time.Now()
	time.Sleep(d)
	after, err := b.redis.info(ctx, "total_commands_processed")
	return (after - before - 1) / time.Since(start).Seconds(), err
}
