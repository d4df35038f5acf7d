package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/pipeline"
)

// throughput compares graphs of nine no-op stages with as many no-op tasks in asynq alone.
func throughput(ctx context.Context, b *bench) error {
	p, err := nine(0)
	if err != nil {
		return err
	}
	n := 9 * b.graphs
	var alone, pair, one, two []float64
	var ofAsynq, ofOne cpu
	for range b.rounds {
		seconds, c, err := b.asynqAlone(ctx, n, 1, 0)
		if err != nil {
			return fmt.Errorf("asynq: %w", err)
		}
		alone, ofAsynq = append(alone, float64(n)/seconds), c
		if seconds, _, err = b.asynqAlone(ctx, n, 2, 0); err != nil {
			return fmt.Errorf("asynq: %w", err)
		}
		pair = append(pair, float64(n)/seconds)
		seconds, c, err = b.nines(ctx, p, 1)
		if err != nil {
			return err
		}
		one, ofOne = append(one, float64(n)/seconds), c
		if seconds, _, err = b.nines(ctx, p, 2); err != nil {
			return err
		}
		two = append(two, float64(n)/seconds)
	}
	b.limit = max(program.Median(one), program.Median(two))
	const split = "  CPU us each: Redis + worker, its start included + submitter"
	show("asynq alone, no-op tasks, one worker", perSecond(program.Median(alone)), "")
	show(split, ofAsynq.each(n), "")
	show("  two workers, of one", fmt.Sprintf("%.2f", program.Median(pair)/program.Median(alone)), "")
	show("no-op stages in graphs of nine, one worker", perSecond(program.Median(one)), "")
	show(split, ofOne.each(n), "")
	show("  of asynq alone", fmt.Sprintf("%.2f", program.Median(one)/program.Median(alone)), ">= 0.40, better 0.50")
	show("the same, two workers", perSecond(program.Median(two)), "")
	show("  of one worker", fmt.Sprintf("%.2f", program.Median(two)/program.Median(one)), ">= 1")
	return nil
}

// nines returns the seconds and the processor time that a round of graphs takes with some workers.
func (b *bench) nines(ctx context.Context, p *pipeline.Plan, workers int) (float64, cpu, error) {
	if err := b.redis.client.FlushAll(ctx).Err(); err != nil {
		return 0, cpu{}, err
	}
	s, err := b.newSide(ctx, workers, role{Slots: workerSlots})
	if err != nil {
		return 0, cpu{}, err
	}
	before, err := b.used(ctx)
	if err != nil {
		return 0, cpu{}, err
	}
	seconds, err := s.graphs(ctx, p, b.graphs)
	if err != nil {
		return 0, cpu{}, err
	}
	if err := s.close(); err != nil {
		return 0, cpu{}, err
	}
	c, err := b.since(ctx, before, s.workers...)
	return seconds, c, err
}

func perSecond(v float64) string { return fmt.Sprintf("%.0f/s", v) }

// slots fills 64 slots on this machine with stages of 10 ms.
func slots(ctx context.Context, b *bench) error {
	const lasts = 10 * time.Millisecond
	p, err := nine(lasts)
	if err != nil {
		return err
	}
	for _, processes := range []int{1, 2, 4} {
		n := processes * workerSlots
		s, err := b.newSide(ctx, processes, role{Slots: workerSlots})
		if err != nil {
			return err
		}
		graphs := 25 * n // some 2 s of work at the ideal rate
		seconds, err := s.graphs(ctx, p, graphs)
		if err != nil {
			return err
		}
		if err := s.close(); err != nil {
			return err
		}
		ideal, bound := float64(n)/lasts.Seconds(), "the slots"
		if b.limit > 0 && b.limit < ideal {
			ideal, bound = b.limit, "the limit of no-op stages"
		}
		rate := float64(9*graphs) / seconds
		alone, _, err := b.asynqAlone(ctx, 9*graphs, processes, lasts)
		if err != nil {
			return fmt.Errorf("asynq: %w", err)
		}
		show(fmt.Sprintf("%d slots in %d processes, 10 ms stages", n, processes), perSecond(rate), "")
		show(fmt.Sprintf("  of the ideal %.0f/s (%s)", ideal, bound), fmt.Sprintf("%.2f", rate/ideal), ">= 0.90")
		show("  asynq alone, as many tasks that last as long", perSecond(float64(9*graphs)/alone), "")
		show("  of the same ideal", fmt.Sprintf("%.2f", float64(9*graphs)/alone/ideal), "")
	}
	return nil
}
