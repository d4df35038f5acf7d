// Package side is what the programs below bench share.
package side

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
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

// Superstore returns the Superstore data for a target made from Profit, with the 16 features that can be known without it:
// the rows to learn from, and a fifth of the rows to judge by.
func Superstore(target string) (train, test *dataset.Dataset, err error) {
	f, err := Raw(nil)
	if err != nil {
		return nil, nil, err
	}
	recipe, _, err := feature.Choose(f.Columns, "Profit", feature.Choice{
		Columns:     []string{"Sales", "Quantity", "Discount", "Ship Mode", "Segment", "Region", "State", "Category", "Sub-Category"},
		Dates:       []feature.Parts{{Column: "Order Date", Parts: feature.DateParts}},
		DaysBetween: []feature.Between{{Name: "ship_days", From: "Order Date", To: "Ship Date"}},
		Ratios:      []feature.Ratio{{Name: "UnitPrice", Numerator: "Sales", Denominator: "Quantity"}}})
	if err != nil {
		return nil, nil, err
	}
	d := &dataset.Dataset{Expression: target}
	if d.Features, err = recipe.Apply(f); err != nil {
		return nil, nil, err
	}
	t, err := feature.ParseTarget(target, []string{"Profit"})
	if err != nil {
		return nil, nil, err
	}
	if d.Y, d.Classes, err = t.Labels(f.Column("Profit"), feature.MaxDistinct); err != nil {
		return nil, nil, err
	}
	parts, err := split.Stratified(d.Y, len(d.Classes), split.Keys(f.Columns, f.Rows, 42), 0.2)
	if err != nil {
		return nil, nil, err
	}
	return d.Take(parts.Train), d.Take(parts.Test), nil
}
