package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/hashline/hashline/summary"
)

// cost is where the time of one run went, in seconds.
type cost struct {
	makespan float64 // from the run's creation to its end
	path     float64 // the longest chain of stages by what they computed
	work     float64 // what all stages computed, divided among the cores
}

// overhead is what an ideal order of the same computations on these cores would have saved.
func (c cost) overhead() float64 { return c.makespan - max(c.path, c.work) }

// costOf reads the cost of a run from its document, whose stages stand in the order of the plan.
func costOf(d *summary.Document, cores int) cost {
	c := cost{makespan: d.FinishedAt.Sub(*d.CreatedAt).Seconds()}
	ends := map[string]float64{}
	for _, s := range d.Stages {
		begin := 0.0
		for _, n := range s.Needs {
			begin = max(begin, ends[n])
		}
		ends[s.Name] = begin + s.ComputeS
		c.path = max(c.path, ends[s.Name])
		c.work += s.ComputeS / float64(cores)
	}
	return c
}

// overhead runs the pipeline with an empty store again and again, and shows what orchestration costs.
func (b bench) overhead(ctx context.Context, runs int) error {
	var makespan, path, work, overhead []float64
	for range runs {
		store := filepath.Join(b.work, "store")
		_, d, err := b.submit(ctx, store)
		if err != nil {
			return err
		}
		if err := os.RemoveAll(store); err != nil {
			return err
		}
		c := costOf(d, runtime.NumCPU())
		makespan, path, work, overhead = append(makespan, c.makespan), append(path, c.path), append(work, c.work), append(overhead, c.overhead())
	}
	show("makespan", makespan)
	show("critical path of compute", path)
	show(fmt.Sprintf("compute / %d cores", runtime.NumCPU()), work)
	show("overhead: makespan - the larger", overhead)
	return nil
}
