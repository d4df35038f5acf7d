// Command learning times the learners of package ml beside scikit-learn, LightGBM and XGBoost: the same rows, in turn, on
// the same two cores, and prints seconds, quality and ratios.
//
//	go run ./bench/learning [-cases superstore,forest-100k] [-runs 3] [-trees N] [-python DIR]
//	go run ./bench/learning -list
//
// Ours starts from columns in memory and includes the binning; theirs start from a float32 matrix with categories as
// integers, in memory as well. Imports, files and the transfer between the two are not counted. Quality is measured on
// rows that neither side has learned from.
//
// The peers live in a virtual environment that the program makes at its first run; the product itself needs no Python.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/hashline/hashline/bench/internal/program"
)

func main() { program.Main("learning", run) }

func run(ctx context.Context) error {
	names := flag.String("cases", "superstore,superstore-tree,forest-100k,boost-200k", "cases to run, separated by commas")
	profile := flag.String("cpuprofile", "", "write a CPU profile")
	list := flag.Bool("list", false, "list the cases")
	runs := flag.Int("runs", 3, "timed runs of each side; the medians count")
	trees := flag.Int("trees", 0, "trees of the forests, or rounds, on both sides; 0: those of the case")
	ours := flag.Bool("ours", false, "leave the peers out")
	python := program.PythonFlag("hashline-bench-learning")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if *list {
		for _, c := range cases {
			fmt.Printf("%-18s %s\n", c.Name, c.about)
		}
		return nil
	}
	work, err := os.MkdirTemp("", "hashline-learning-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if !*ours {
		if err := program.Python(ctx, *python, "scikit-learn", "lightgbm", "xgboost"); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %d cores, %s\n", runtime.Version(), runtime.GOMAXPROCS(0), runtime.GOARCH)
	for _, name := range strings.Split(*names, ",") {
		i := slices.IndexFunc(cases, func(c benchCase) bool { return c.Name == name })
		if i < 0 {
			return fmt.Errorf("there is no case %q; -list names them", name)
		}
		c := cases[i]
		if *trees > 0 && c.Trees > 1 {
			c.Trees = *trees
		}
		if *ours {
			c.peers = nil
		}
		if err := compare(ctx, c, filepath.Join(*python, "bin", "python"), work, *runs); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// outcome is what one fit cost and gave.
type outcome struct {
	Fit      float64 `json:"fit"`     // seconds
	CPU      float64 `json:"cpu"`     // seconds of all cores in the fit
	Predict  float64 `json:"predict"` // seconds, of the rows to judge by
	Accuracy float64 `json:"accuracy"`
	AUC      float64 `json:"auc"`
	LogLoss  float64 `json:"log_loss"`
	Nodes    int     `json:"nodes"`
	Peak     float64 `json:"peak"` // resident memory of the process, data included, in MB
}

// compare runs ours and the peers in turn, so that a slow moment of the machine meets all of them.
func compare(ctx context.Context, c benchCase, python, work string, runs int) error {
	d, err := c.data()
	if err != nil {
		return err
	}
	dir := filepath.Join(work, c.Name)
	if len(c.peers) > 0 {
		if err := d.write(dir); err != nil {
			return err
		}
	}
	all := make(map[string][]outcome)
	order := append([]string{"hashline"}, c.peers...)
	for range runs {
		for _, side := range order {
			o, err := outcome{}, error(nil)
			if side == "hashline" {
				o, err = c.ours(d)
			} else {
				o, err = c.theirs(ctx, python, dir, side)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", side, err)
			}
			all[side] = append(all[side], o)
		}
	}
	fmt.Printf("\n%s: %s (%d rows to learn, %d to judge, %d columns)\n", c.Name, c.about, d.train, d.rows()-d.train, len(d.columns))
	fmt.Printf("%-14s %9s %9s %9s %9s %8s %8s %9s %8s %7s %7s %7s\n", "", "fit s", "cpu s", "predict s", "accuracy", "AUC", "log loss", "nodes", "peak MB", "fit x", "cpu x", "pred x")
	base := median(all["hashline"])
	for _, side := range order {
		m := median(all[side])
		fmt.Printf("%-14s %9.4f %9.4f %9.4f %9.4f %8.4f %8.4f %9d %8.0f %7.2f %7.2f %7.2f\n", side, m.Fit, m.CPU, m.Predict, m.Accuracy, m.AUC, m.LogLoss, m.Nodes, m.Peak,
			m.Fit/base.Fit, m.CPU/base.CPU, m.Predict/base.Predict)
	}
	return nil
}

// median takes every figure's own.
func median(outcomes []outcome) outcome {
	of := func(get func(outcome) float64) float64 {
		v := make([]float64, len(outcomes))
		for i, o := range outcomes {
			v[i] = get(o)
		}
		return program.Median(v)
	}
	m := outcomes[0]
	m.CPU = of(func(o outcome) float64 { return o.CPU })
	m.Fit, m.Predict = of(func(o outcome) float64 { return o.Fit }), of(func(o outcome) float64 { return o.Predict })
	m.Accuracy, m.AUC, m.LogLoss = of(func(o outcome) float64 { return o.Accuracy }), of(func(o outcome) float64 { return o.AUC }), of(func(o outcome) float64 { return o.LogLoss })
	return m
}

// theirs runs the peers' script, which prints an outcome.
func (c *benchCase) theirs(ctx context.Context, python, dir, side string) (outcome, error) {
	settings, err := json.Marshal(c)
	if err != nil {
		return outcome{}, err
	}
	cmd := exec.CommandContext(ctx, python, filepath.Join("bench", "peers", "learners.py"), dir, side, string(settings))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return outcome{}, err
	}
	var o outcome
	return o, json.Unmarshal(out, &o)
}
