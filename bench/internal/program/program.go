// Package program is what the programs below bench share.
package program

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/split"
	"github.com/hashline/hashline/sample"
)

// Main runs a program until it ends or is interrupted, and tells what failed.
func Main(name string, run func(context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// Python makes a virtual environment in dir, when that is absent, with some packages. Products need none.
func Python(ctx context.Context, dir string, packages ...string) error {
	if _, err := os.Stat(dir); err != nil {
		fmt.Fprintln(os.Stderr, "making the peers' environment in", dir)
		if out, err := exec.CommandContext(ctx, "python3", "-m", "venv", dir).CombinedOutput(); err != nil {
			return fmt.Errorf("python3 -m venv: %w\n%s", err, out)
		}
	}
	pip := exec.CommandContext(ctx, filepath.Join(dir, "bin", "pip"), append([]string{"install", "-q"}, packages...)...)
	if out, err := pip.CombinedOutput(); err != nil {
		return fmt.Errorf("pip install: %w\n%s", err, out)
	}
	return nil
}

// PythonFlag is the flag that says where the environment is.
func PythonFlag(name string) *string {
	return flag.String("python", filepath.Join(os.TempDir(), name), "virtual environment of the peers, made when absent")
}

// Processor returns the seconds that this process has used of all cores.
func Processor() float64 {
	u := usage()
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// Peak returns the most memory that this process has had, in MB.
func Peak() float64 { return float64(usage().Maxrss) / 1e3 }

func usage() (u syscall.Rusage) {
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // of the process itself it cannot fail
	return u
}

// Median returns the middle value, or the mean of the two in the middle.
func Median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Raw reads the Superstore data.
func Raw(types map[string]frame.Type) (*frame.Frame, error) {
	b, err := sample.Superstore()
	if err != nil {
		return nil, err
	}
	f, _, err := csv.Read(context.Background(), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }, csv.Options{Cores: 2, Types: types})
	return f, err
}

// Superstore returns the Superstore data for a target made from Profit, with the 16 features that can be known without it,
// and which rows are to learn from, and which, a fifth, to judge by.
func Superstore(target string) (*dataset.Dataset, split.Parts, error) {
	f, err := Raw(nil)
	if err != nil {
		return nil, split.Parts{}, err
	}
	recipe, _, err := feature.Choose(f.Columns, "Profit", feature.Choice{
		Columns:     []string{"Sales", "Quantity", "Discount", "Ship Mode", "Segment", "Region", "State", "Category", "Sub-Category"},
		Dates:       []feature.Parts{{Column: "Order Date", Parts: feature.DateParts}},
		DaysBetween: []feature.Between{{Name: "ship_days", From: "Order Date", To: "Ship Date"}},
		Ratios:      []feature.Ratio{{Name: "UnitPrice", Numerator: "Sales", Denominator: "Quantity"}}})
	if err != nil {
		return nil, split.Parts{}, err
	}
	d := &dataset.Dataset{Expression: target}
	if d.Features, err = recipe.Apply(f); err != nil {
		return nil, split.Parts{}, err
	}
	t, err := feature.ParseTarget(target, []string{"Profit"})
	if err != nil {
		return nil, split.Parts{}, err
	}
	if d.Y, d.Classes, err = t.Labels(f.Column("Profit"), feature.MaxDistinct); err != nil {
		return nil, split.Parts{}, err
	}
	parts, err := split.Stratified(d.Y, len(d.Classes), split.Keys(f.Columns, f.Rows, 42), 0.2)
	if err != nil {
		return nil, split.Parts{}, err
	}
	return d, parts, nil
}
