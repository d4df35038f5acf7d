package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// cost tells what a stage of a graph of nine costs Redis, command by command, those of scripts included.
func cost(ctx context.Context, b *bench) error {
	p, err := nine(0)
	if err != nil {
		return err
	}
	s, err := b.newSide(ctx, 1, role{Slots: workerSlots})
	if err != nil {
		return err
	}
	if _, err := s.graphs(ctx, p, 20); err != nil { // scripts are loaded, the plan is known
		return err
	}
	if err := b.redis.client.ConfigResetStat(ctx).Err(); err != nil {
		return err
	}
	if _, err := s.graphs(ctx, p, b.graphs); err != nil {
		return err
	}
	commands, err := b.redis.commands(ctx)
	if err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	n := float64(9 * b.graphs)
	names := slices.Collect(maps.Keys(commands))
	slices.SortFunc(names, func(x, y string) int { return int(commands[y].micros - commands[x].micros) })
	for _, name := range names {
		if c := commands[name]; c.calls/n > 0.02 {
			show(name, fmt.Sprintf("%.2f calls", c.calls/n), "")
			fmt.Printf("  %58s %11.1f us a stage\n", "", c.micros/n)
		}
	}
	return nil
}
