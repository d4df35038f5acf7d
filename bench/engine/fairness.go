package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

// fairness submits a run of five stages alone, and again behind one of ten thousand.
func fairness(ctx context.Context, b *bench) error {
	for _, pause := range []time.Duration{0, 10 * time.Millisecond} {
		small, err := chain(5, pause)
		if err != nil {
			return err
		}
		large, err := fan(wide, pause)
		if err != nil {
			return err
		}
		s, err := b.newSide(ctx, 1, role{Slots: workerSlots})
		if err != nil {
			return err
		}
		alone, behind, err := s.compare(ctx, b.rounds, small, large)
		if err != nil {
			return err
		}
		if err := s.close(); err != nil {
			return err
		}
		what := "no-ops"
		if pause > 0 {
			what = fmt.Sprintf("stages of %v", pause)
		}
		show("5 "+what+" in a row, alone", millis(alone), "")
		show(fmt.Sprintf("  submitted behind a run of %d", wide), millis(behind), "")
		show("  of its time alone", fmt.Sprintf("%.1f", program.Median(behind)/program.Median(alone)), "<= 3")
	}
	return nil
}

// compare times the small run alone and behind the large one, which is canceled afterwards.
func (s *side) compare(ctx context.Context, rounds int, small, large *pipeline.Plan) (alone, behind []float64, err error) {
	for range rounds {
		for range 5 {
			took, err := s.timed(ctx, small)
			if err != nil {
				return nil, nil, err
			}
			alone = append(alone, took.Seconds())
		}
		id, err := s.submit(ctx, large)
		if err != nil {
			return nil, nil, err
		}
		if err := s.middle(ctx, id); err != nil {
			return nil, nil, err
		}
		took, err := s.timed(ctx, small)
		if err != nil {
			return nil, nil, err
		}
		behind = append(behind, took.Seconds())
		if err := s.client.Cancel(ctx, id, "measured"); err != nil { // or it is over: the small run came last
			return nil, nil, err
		}
		if err := s.client.Watch(ctx, id, "", func(pipeline.Event) error { return nil }); err != nil {
			return nil, nil, err
		}
		if err := s.b.empty(ctx, tasks.DefaultQueue); err != nil {
			return nil, nil, err
		}
	}
	return alone, behind, nil
}

// errSeen ends a watch.
var errSeen = errors.New("seen")

// middle returns when a part of a run's fan has run, so that the rest of it waits in front of who comes now.
func (s *side) middle(ctx context.Context, id string) error {
	started := 0
	err := s.client.Watch(ctx, id, "", func(e pipeline.Event) error {
		if e.Type == pipeline.StepStart {
			started++
		}
		if started > wide/20 {
			return errSeen
		}
		return nil
	})
	if errors.Is(err, errSeen) {
		return nil
	}
	return err
}
