// Command reading times the typed reading of a long table beside pandas' C engine, in turn on the same file.
//
//	go run ./bench/reading [-copies 100] [-runs 5] [-cores 2] [-python DIR]
//
// The file is the Superstore data so many times over: 255 MB at 100. Both sides read it from the page cache to columns in
// memory; ours also finds the encoding, the delimiter and the type of every column, and says why. Seconds of the processor
// are printed too: on a busy machine they tell more than those of the clock.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/sample"
)

func main() { program.Main("reading", run) }

func run(ctx context.Context) error {
	copies := flag.Int("copies", 100, "times that the data are in the file")
	runs := flag.Int("runs", 5, "timed runs of each side")
	cores := flag.Int("cores", 2, "goroutines that read")
	python := program.PythonFlag("hashline-bench-python")
	flag.Parse()
	if err := program.Python(ctx, *python, "pandas"); err != nil {
		return err
	}
	path, err := table(*copies)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	var ours, theirs []float64 // seconds of the clock
	for range *runs {
		o, err := read(ctx, path, *cores)
		if err != nil {
			return err
		}
		t, err := pandas(ctx, filepath.Join(*python, "bin", "python"), path)
		if err != nil {
			return err
		}
		fmt.Printf("ours %.3f s (processor %.3f), pandas %.3f s (processor %.3f), ratio %.2f\n", o.clock, o.processor, t.clock, t.processor, t.clock/o.clock)
		ours, theirs = append(ours, o.clock), append(theirs, t.clock)
	}
	fmt.Printf("median: ours %.3f s, pandas %.3f s, ratio %.2f; best: %.3f s, %.3f s, %.2f\n", program.Median(ours), program.Median(theirs), program.Median(theirs)/program.Median(ours),
		slices.Min(ours), slices.Min(theirs), slices.Min(theirs)/slices.Min(ours))
	return nil
}

// table writes the data so many times over, with one header.
func table(copies int) (string, error) {
	data, err := sample.Superstore()
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "hashline-bench-*.csv")
	if err != nil {
		return "", err
	}
	header := bytes.IndexByte(data, '\n') + 1
	_, err = f.Write(data[:header])
	for range copies {
		if err == nil {
			_, err = f.Write(data[header:])
		}
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return f.Name(), err
}

// seconds that a reading took, by the clock and of the processor.
type seconds struct{ clock, processor float64 }

func read(ctx context.Context, path string, cores int) (seconds, error) {
	start, used := time.Now(), program.Processor()
	_, _, err := csv.Read(ctx, func() (io.ReadCloser, error) { return os.Open(path) }, csv.Options{File: path, Cores: cores})
	return seconds{time.Since(start).Seconds(), program.Processor() - used}, err
}

const script = `
import json, sys, time
import pandas
clock, used = time.perf_counter(), time.process_time()
pandas.read_csv(sys.argv[1], engine="c")
print(json.dumps([time.perf_counter() - clock, time.process_time() - used]))
`

func pandas(ctx context.Context, python, path string) (seconds, error) {
	cmd := exec.CommandContext(ctx, python, "-c", script, path)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return seconds{}, fmt.Errorf("pandas: %w", err)
	}
	var v [2]float64
	err = json.Unmarshal(out, &v)
	return seconds{v[0], v[1]}, err
}
