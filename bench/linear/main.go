// Command linear compares the linear models with scikit-learn's on the same rows and the same encoding, in turn on the same
// machine: seconds of a fit, and the objective that each ends with.
//
//	go run ./bench/linear [-python DIR] [-rows 1000000] [-only NAME]
//
// Our seconds hold everything from the columns of a table to the model; scikit-learn's are those of fit alone, on a sparse
// matrix of zeros and ones that is made before. Its lbfgs runs with its own tolerance; newton-cholesky with 1e-10, to judge
// the objective by. The peer lives in a virtual environment that the program makes at its first run.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/ml/linear"
)

func main() { program.Main("linear", run) }

func run(ctx context.Context) error {
	python := program.PythonFlag("hashline-bench-python")
	rows := flag.Int("rows", 1_000_000, "rows of the synthetic table")
	only := flag.String("only", "", "run the tables whose name contains this")
	flag.Parse()
	if err := program.Python(ctx, *python, "scikit-learn"); err != nil {
		return err
	}
	b := bench{python: filepath.Join(*python, "bin", "python")}
	fmt.Printf("%-28s %7s %-18s %9s %9s %7s %20s %20s\n", "table", "weights", "scikit-learn", "ours s", "theirs s", "ratio", "our objective", "their objective")
	for _, c := range []struct {
		name  string
		table func() (*table, error)
		peers []string
	}{
		{"B16", func() (*table, error) { return superstore("B16", false) }, []string{"lbfgs", "newton-cholesky"}},
		{"C17", func() (*table, error) { return superstore("C17", true) }, []string{"lbfgs", "newton-cholesky"}},
		{"B16 tier", func() (*table, error) { t, err := superstore("B16 tier", false); return t.tiers(), err }, []string{"lbfgs"}},
		{"B16 margin", func() (*table, error) { return superstore("B16 margin", false) }, []string{"ridge"}},
		{"synthetic", func() (*table, error) { return synthetic(*rows), nil }, []string{"lbfgs"}},
	} {
		if !strings.Contains(c.name, *only) {
			continue
		}
		t, err := c.table()
		if err != nil {
			return err
		}
		for _, peer := range c.peers {
			if err := b.compare(ctx, t, peer); err != nil {
				return err
			}
		}
	}
	return nil
}

type bench struct{ python string }

// result is what the peer prints.
type result struct {
	Seconds    []float64 `json:"seconds"`
	Objectives []float64 `json:"objectives"`
	Params     int       `json:"params"`
}

// compare fits every fold on both sides and prints the means.
func (b bench) compare(ctx context.Context, t *table, peer string) error {
	dir, err := os.MkdirTemp("", "hashline-bench-linear-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := t.write(dir); err != nil {
		return err
	}
	if _, err := b.peer(ctx, dir, "folds"); err != nil {
		return err
	}
	parts, err := t.readFolds(dir)
	if err != nil {
		return err
	}
	args := []string{"fit", peer}
	if peer == "ridge" {
		args = []string{"ridge"}
	}
	theirs, err := b.peer(ctx, dir, args...)
	if err != nil {
		return err
	}
	var ours result
	for _, rows := range parts {
		if err := ours.fit(t.take(rows), peer == "ridge"); err != nil {
			return err
		}
	}
	weights := theirs.Params
	if t.classes > 2 {
		weights *= t.classes
	}
	s, p := mean(ours.Seconds), mean(theirs.Seconds)
	fmt.Printf("%-28s %7d %-18s %9.4f %9.4f %6.1fx %20.9f %20.9f\n", t.name, weights, peer, s, p, p/s, mean(ours.Objectives), mean(theirs.Objectives))
	return nil
}

// fit times our fit: the best of three, since the first of a process pays for its memory.
func (r *result) fit(t *table, regression bool) error {
	var m *linear.Model
	best := 0.0
	for i := range 3 {
		start := time.Now()
		var err error
		if regression {
			m, err = linear.FitRegression(t.columns, t.numbers, linear.RegressionOptions{Cores: 2})
		} else {
			m, err = linear.Fit(t.columns, t.y, t.classes, linear.Options{Cores: 2})
		}
		if err != nil {
			return err
		}
		if s := time.Since(start).Seconds(); i == 0 || s < best {
			best = s
		}
	}
	if !m.Converged {
		fmt.Fprintln(os.Stderr, t.name, "did not converge")
	}
	r.Seconds, r.Objectives = append(r.Seconds, best), append(r.Objectives, float64(m.Objective))
	return nil
}

func (b bench) peer(ctx context.Context, dir string, args ...string) (*result, error) {
	cmd := exec.CommandContext(ctx, b.python, append([]string{"bench/peers/linear.py", dir}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("linear.py %s: %w", strings.Join(args, " "), err)
	}
	var r result
	if len(out) > 0 {
		err = json.Unmarshal(out, &r)
	}
	return &r, err
}
