// Command engine measures the workflow engine on a real Redis, beside asynq alone in the same run, and prints every
// figure with its target.
//
//	go run ./bench/engine [-only throughput,graph,latency,idle,slots,fairness,takeover,cost] [-rounds 3] [-profile DIR]
//
// It starts redis-server itself, without persistence, and the workers as processes of their own. Caching is off (the
// no-op kind is never cached) and events are on, as they always are. Figures depend on the machine; the ratios are taken in
// turn within one run, so that a slow moment meets both sides.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// experiments in the order of the report.
var experiments = []struct {
	name string
	run  func(context.Context, *bench) error
}{
	{"throughput", throughput}, {"graph", graph}, {"latency", latency}, {"idle", idle}, {"slots", slots},
	{"fairness", fairness}, {"takeover", takeover}, {"cost", cost},
}

func main() {
	if os.Getenv(childVariable) != "" {
		exit(child())
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		os.Exit(1)
	}
}

// bench is what all experiments share.
type bench struct {
	rounds     int    // repetitions of what is compared
	graphs     int    // graphs of nine in a round
	store      bool   // runs have a directory as their store
	profile    string // folder for CPU profiles of workers; empty: none
	redis      *server
	limit      float64 // stages/s that throughput found; 0: not measured
	limitAlone float64 // tasks/s of asynq alone
}

func run(ctx context.Context) error {
	only := flag.String("only", "", "`names` of experiments, with commas; empty: all")
	b := &bench{}
	flag.IntVar(&b.rounds, "rounds", 3, "repetitions of what is compared")
	flag.IntVar(&b.graphs, "graphs", 500, "graphs of nine stages in a repetition")
	flag.BoolVar(&b.store, "store", false, "keep records in a directory; without, small results and records live in Redis alone")
	flag.StringVar(&b.profile, "profile", "", "`folder` for CPU profiles of the workers")
	flag.Parse()
	wanted := strings.FieldsFunc(*only, func(r rune) bool { return r == ',' })
	for _, name := range wanted {
		if !slices.ContainsFunc(experiments, func(e struct {
			name string
			run  func(context.Context, *bench) error
		}) bool {
			return e.name == name
		}) {
			return fmt.Errorf("there is no experiment %q", name)
		}
	}
	var err error
	if b.redis, err = startRedis(ctx); err != nil {
		return err
	}
	defer b.redis.stop()
	for _, e := range experiments {
		if len(wanted) > 0 && !slices.Contains(wanted, e.name) {
			continue
		}
		fmt.Printf("\n%s\n", e.name)
		if err := b.redis.client.FlushAll(ctx).Err(); err != nil {
			return err
		}
		if err := e.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return nil
}

// show prints a figure, and its target unless that is empty.
func show(what, figure, target string) {
	if target != "" {
		target = "target " + target
	}
	fmt.Printf("  %-58s %14s   %s\n", what, figure, target)
}
