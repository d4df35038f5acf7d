package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/pipeline"
)

// split names the parts of a cpu.
const split = "  CPU us each: Redis + worker, its start included + submitter"

// throughput compares graphs of nine no-op stages with as many no-op tasks in asynq alone.
func throughput(ctx context.Context, b *bench) error {
	p, err := nine(0)
	if err != nil {
		return err
	}
	n := 9 * b.graphs
	var alone, pair, one, two []float64
	var ofAsynq, ofOne, ofTwo cpu
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
		seconds, c, err = b.runs(ctx, p, b.graphs, 1)
		if err != nil {
			return err
		}
		one, ofOne = append(one, float64(n)/seconds), c
		if seconds, c, err = b.runs(ctx, p, b.graphs, 2); err != nil {
			return err
		}
		two, ofTwo = append(two, float64(n)/seconds), c
	}
	b.limit = max(program.Median(one), program.Median(two))
	show("asynq alone, no-op tasks, one worker", perSecond(program.Median(alone)), "")
	show(split, ofAsynq.each(n), "")
	show("  two workers, of one", fmt.Sprintf("%.2f", program.Median(pair)/program.Median(alone)), "")
	show("no-op stages in graphs of nine, one worker", perSecond(program.Median(one)), "")
	show(split, ofOne.each(n), "")
	show("  of asynq alone", fmt.Sprintf("%.2f", program.Median(one)/program.Median(alone)), ">= 0.40, better 0.50")
	show("the same, two workers", perSecond(program.Median(two)), "")
	show(split, ofTwo.each(n), "")
	show("  of one worker", fmt.Sprintf("%.2f", program.Median(two)/program.Median(one)), ">= 1")
	return nil
}

// runs returns the seconds and the processor time that graphs of a plan take with some workers.
func (b *bench) runs(ctx context.Context, p *pipeline.Plan, graphs, workers int) (float64, cpu, error) {
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
	seconds, err := s.graphs(ctx, p, graphs)
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

// slots fills 16, 32 and 64 slots on this machine with stages of 10 ms, and with as many tasks of asynq alone. The ideal is what so
// many slots could do if nothing lay between the stages, or where that is less, what no-op stages reached.
func slots(ctx context.Context, b *bench) error {
	const lasts = 10 * time.Millisecond
	p, err := nine(lasts)
	if err != nil {
		return err
	}
	ideal := func(slots int, limit float64) (float64, string) {
		if v := float64(slots) / lasts.Seconds(); limit == 0 || limit > v {
			return v, "the slots"
		}
		return limit, "the limit of no-ops"
	}
	for _, processes := range []int{1, 2, 4} {
		n := processes * workerSlots
		graphs := 50 * n // some 5 s of work at the ideal rate
		seconds, c, err := b.runs(ctx, p, graphs, processes)
		if err != nil {
			return err
		}
		stages := 9 * graphs
		alone, _, err := b.asynqAlone(ctx, stages, processes, lasts)
		if err != nil {
			return fmt.Errorf("asynq: %w", err)
		}
		rate, ofAsynq := float64(stages)/seconds, float64(stages)/alone
		show(fmt.Sprintf("%d slots in %d processes, 10 ms stages", n, processes), perSecond(rate), "")
		show(split, c.each(stages), "")
		most, bound := ideal(n, b.limit)
		show(fmt.Sprintf("  of the ideal %.0f/s (%s)", most, bound), fmt.Sprintf("%.2f", rate/most), ">= 0.90")
		show("  asynq alone, as many tasks that last as long", perSecond(ofAsynq), "")
		most, bound = ideal(n, b.limitAlone)
		show(fmt.Sprintf("  of its ideal %.0f/s (%s)", most, bound), fmt.Sprintf("%.2f", ofAsynq/most), "")
	}
	return nil
}
