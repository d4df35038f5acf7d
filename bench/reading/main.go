// Command reading times the typed reading of a long table beside pandas' C engine, in turn on the same file.
//
//	go run ./bench/reading [-copies 100] [-runs 5] [-cores 2] [-pandas VERSION] [-python DIR]
//
// The file is the Superstore data so many times over: 255 MB at 100. Both sides read it from the page cache to columns in
// memory, each time in a process of its own; ours also finds the encoding, the delimiter and the type of every column, and
// says why. pandas has pyarrow beside it, without which it takes twice as long for texts. Both read with all cores and,
// where taskset is installed, held to one. Seconds of the processor are printed too: on a busy machine they tell more than
// those of the clock.
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
	"strconv"
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
	once := flag.String("once", "", "read this file once and print what it took: what the program runs itself for")
	version := flag.String("pandas", "", "version of pandas, in an environment of its own; the newest unless given")
	python := program.PythonFlag("hashline-bench-python")
	flag.Parse()
	if *once != "" {
		return read(ctx, *once, *cores)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	wanted := "pandas"
	if *version != "" {
		wanted, *python = "pandas=="+*version, *python+"-pandas-"+*version
	}
	if err := program.Python(ctx, *python, wanted, "pyarrow"); err != nil {
		return err
	}
	path, err := table(*copies)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	pandas := []string{filepath.Join(*python, "bin", "python"), "-c", script, path}
	if err := compare(ctx, "all cores", *runs, []string{self, "-once", path, "-cores", strconv.Itoa(*cores)}, pandas); err != nil {
		return err
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		fmt.Println("one core: not measured, since taskset is not installed")
		return nil
	}
	held := []string{"taskset", "-c", "0"}
	return compare(ctx, "one core", *runs, append(held, self, "-once", path, "-cores", "1"), append(held, pandas...))
}

// compare runs both sides in turn and prints what they took, and the medians.
func compare(ctx context.Context, what string, runs int, ours, theirs []string) error {
	var a, b []float64 // seconds of the clock
	for range runs {
		o, err := timed(ctx, ours)
		if err != nil {
			return fmt.Errorf("ours: %w", err)
		}
		t, err := timed(ctx, theirs)
		if err != nil {
			return fmt.Errorf("pandas: %w", err)
		}
		fmt.Printf("%s: ours %v, pandas %v, ratio %.2f\n", what, o, t, t.Clock/o.Clock)
		a, b = append(a, o.Clock), append(b, t.Clock)
	}
	fmt.Printf("%s, median: ours %.3f s, pandas %.3f s, ratio %.2f; best: %.3f s, %.3f s, %.2f\n", what, program.Median(a), program.Median(b), program.Median(b)/program.Median(a),
		slices.Min(a), slices.Min(b), slices.Min(b)/slices.Min(a))
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

// taken is what a reading took: seconds by the clock and of the processor, and MB of memory at the peak of the process.
type taken struct{ Clock, Processor, Peak float64 }

func (t taken) String() string {
	return fmt.Sprintf("%.3f s (processor %.3f, %.0f MB)", t.Clock, t.Processor, t.Peak)
}

// timed runs a command that reads the file and prints what it took.
func timed(ctx context.Context, command []string) (t taken, err error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(out, &t)
}

func read(ctx context.Context, path string, cores int) error {
	start, used := time.Now(), program.Processor()
	_, _, err := csv.Read(ctx, func() (io.ReadCloser, error) { return os.Open(path) }, csv.Options{File: path, Cores: cores})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(taken{time.Since(start).Seconds(), program.Processor() - used, program.Peak()})
}

const script = `
import json, resource, sys, time
import pandas
clock, used = time.perf_counter(), time.process_time()
table = pandas.read_csv(sys.argv[1], engine="c")
clock, used = time.perf_counter() - clock, time.process_time() - used
print(json.dumps({"Clock": clock, "Processor": used, "Peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}))
`
