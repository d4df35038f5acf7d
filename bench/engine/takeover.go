package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/pipeline"
)

// victims is how many workers are ended while they run a stage.
const victims = 24

// takeover ends workers in the middle of a stage and tells how long it takes until another runs it.
func takeover(ctx context.Context, b *bench) error {
	killed, err := b.endings(ctx, role{Slots: 1}, syscall.SIGKILL)
	if err != nil {
		return err
	}
	show(fmt.Sprintf("SIGKILL to the start elsewhere, median of %d", len(killed)), fmt.Sprintf("%.2f s", program.Median(killed)), "<= 6 s")
	show("  worst", fmt.Sprintf("%.2f s", slices.Max(killed)), "<= 10 s")
	const grace = time.Second
	stopped, err := b.endings(ctx, role{Slots: 1, Grace: grace}, syscall.SIGTERM)
	if err != nil {
		return err
	}
	for i := range stopped {
		stopped[i] -= grace.Seconds()
	}
	show(fmt.Sprintf("end of the grace to the start elsewhere, median of %d", len(stopped)), fmt.Sprintf("%.3f s", program.Median(stopped)), "")
	show("  worst", fmt.Sprintf("%.3f s", slices.Max(stopped)), "<= 1 s")
	return nil
}

// endings starts workers of one stage each, sends every one a signal at a random moment while it runs, and returns the
// seconds until each stage was started by another worker.
func (b *bench) endings(ctx context.Context, r role, signal os.Signal) ([]float64, error) {
	s, err := b.newSide(ctx, victims, r)
	if err != nil {
		return nil, err
	}
	const spread = 8 * time.Second // over some rounds of the reconciler
	p, err := planOf(step("first", 0), step("long", 2*spread, "first"), step("last", 0, "long"))
	if err != nil {
		return nil, err
	}
	owners := map[string]string{} // worker to run
	for range victims {
		id, err := s.submit(ctx, p)
		if err != nil {
			return nil, err
		}
		worker, _, err := s.started(ctx, id, 1)
		if err != nil {
			return nil, err
		}
		owners[worker] = id
	}
	if err := s.add(role{Slots: 2 * victims}); err != nil {
		return nil, err
	}
	seconds := make([]float64, victims)
	var group errgroup.Group
	for i, w := range s.workers[:victims] {
		group.Go(func() error {
			time.Sleep(rand.N(spread))
			at := time.Now()
			if err := w.cmd.Process.Signal(signal); err != nil {
				return err
			}
			run := owners[w.ids[0]]
			_, started, err := s.started(ctx, run, 2)
			if err != nil {
				return err
			}
			seconds[i] = started.Sub(at).Seconds()
			return s.checkEnd(ctx, run)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, w := range s.workers[:victims] {
		_ = w.cmd.Wait() // the signal's doing
	}
	s.workers = s.workers[victims:]
	return seconds, s.close()
}

// started waits for an attempt of the long stage and returns its worker and the moment, by the clock of this machine.
func (s *side) started(ctx context.Context, id string, attempt int) (worker string, at time.Time, err error) {
	err = s.client.Watch(ctx, id, "", func(e pipeline.Event) error {
		if e.Type == pipeline.StepStart && e.Stage == "long" && e.Attempt == attempt {
			worker, at = e.Worker, e.Time
			return errSeen
		}
		return nil
	})
	if errors.Is(err, errSeen) {
		err = nil
	}
	return worker, at, err
}

// checkEnd waits for the end of a run, and refuses one whose finished stage was computed again.
func (s *side) checkEnd(ctx context.Context, id string) error {
	if _, err := s.ended(ctx, id, time.Now()); err != nil {
		return err
	}
	r, err := s.client.Record(ctx, id)
	if err != nil {
		return err
	}
	if first, ok := r.Stage("first"); !ok || first.Attempts != 1 {
		return fmt.Errorf("run %s: the finished stage was given out again: %+v", id, first)
	}
	return nil
}
