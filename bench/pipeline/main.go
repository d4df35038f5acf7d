// Command pipeline times `producer submit superstore.csv` beside the published pipeline's stages in scikit-learn and
// matplotlib, in turn on the same machine, and prints the ratio.
//
//	go run ./bench/pipeline [-runs 10] [-python DIR] [-dagster]
//	go run ./bench/pipeline -overhead [-runs 20]
//
// Both sides are timed as their users meet them: ours from process start to exit of the built binary, with an empty store
// (cold) and again with the filled one (warm), every stage, plot and the report included; theirs as the stages alone,
// after the imports of pandas, scikit-learn and matplotlib, which take longer than our whole run. -dagster adds the same
// six steps as a Dagster job with its default executor, from process start to exit.
//
// -overhead needs no peers: it says what the queue, the store and the records cost a cold run (see overhead.go).
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
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/sample"
	"github.com/hashline/hashline/summary"
)

func main() { program.Main("pipeline", run) }

func run(ctx context.Context) error {
	runs := flag.Int("runs", 10, "timed runs of each side")
	python := program.PythonFlag("hashline-bench-python")
	dagster := flag.Bool("dagster", false, "time the Dagster job too (three runs)")
	overhead := flag.Bool("overhead", false, "measure what orchestration costs instead")
	flag.Parse()

	work, err := os.MkdirTemp("", "hashline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b := bench{work: work, csv: filepath.Join(work, "superstore.csv"), producer: filepath.Join(work, "producer"), python: *python}
	if err := b.build(ctx); err != nil {
		return err
	}
	if *overhead {
		return b.overhead(ctx, *runs)
	}
	packages := []string{"scikit-learn", "pandas", "matplotlib"}
	if *dagster {
		packages = append(packages, "dagster")
	}
	if err := program.Python(ctx, b.python, packages...); err != nil {
		return err
	}
	if err := b.compare(ctx, *runs); err != nil {
		return err
	}
	if *dagster {
		return b.compareDagster(ctx)
	}
	return nil
}

// bench holds the paths of one comparison; all but python are inside a folder that is removed afterwards.
type bench struct {
	work, csv, producer, python string
}

// build writes the data and builds the producer.
func (b bench) build(ctx context.Context) error {
	data, err := sample.Superstore()
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.csv, data, 0o644); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.producer, "./cmd/producer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the producer: %w\n%s", err, out)
	}
	return nil
}

// compare runs cold, warm and script in turn, so that a slow moment of the machine meets all three.
func (b bench) compare(ctx context.Context, runs int) error {
	var cold, warm, script []float64
	for i := range runs {
		store := filepath.Join(b.work, "store"+strconv.Itoa(i))
		c, _, err := b.submit(ctx, store)
		if err != nil {
			return err
		}
		w, _, err := b.submit(ctx, store)
		if err != nil {
			return err
		}
		s, err := b.script(ctx)
		if err != nil {
			return err
		}
		cold, warm, script = append(cold, c), append(warm, w), append(script, s)
		if err := os.RemoveAll(store); err != nil {
			return err
		}
	}
	show("hashline cold, whole process", cold)
	show("hashline warm, whole process", warm)
	show("scikit-learn script, stages only", script)
	fmt.Printf("cold / script  %.3f\nwarm / script  %.3f\n", program.Median(cold)/program.Median(script), program.Median(warm)/program.Median(script))
	return nil
}

func (b bench) compareDagster(ctx context.Context) error {
	var seconds []float64
	for range 3 {
		cmd := exec.CommandContext(ctx, filepath.Join(b.python, "bin", "dagster"), "job", "execute",
			"-f", filepath.Join(peers(), "dagster_job.py"), "-j", "superstore_pipeline_original")
		cmd.Env = append(pythonEnv(), "SUPERSTORE_CSV="+b.csv, "SUPERSTORE_OUT="+filepath.Join(b.work, "dagster"),
			"DAGSTER_HOME="+b.work, "PATH="+filepath.Join(b.python, "bin")+":"+os.Getenv("PATH"))
		cmd.Dir = peers()
		s, err := timed(cmd)
		if err != nil {
			return err
		}
		seconds = append(seconds, s)
	}
	show("Dagster, default executor", seconds)
	return nil
}

// submit times one whole process and checks that it succeeded.
func (b bench) submit(ctx context.Context, store string) (seconds float64, d *summary.Document, err error) {
	cmd := exec.CommandContext(ctx, b.producer, "submit", b.csv, "--json", "--store", store)
	start := time.Now()
	out, err := cmd.Output()
	seconds = time.Since(start).Seconds()
	if err != nil {
		return 0, nil, fmt.Errorf("producer submit: %w\n%s", err, out)
	}
	d = &summary.Document{}
	if err := json.Unmarshal(out, d); err != nil || d.Status != pipeline.Succeeded {
		return 0, nil, fmt.Errorf("producer submit ended as %q: %w", d.Status, err)
	}
	return seconds, d, nil
}

var cells = regexp.MustCompile(`cells ([0-9.]+)`)

// script returns the seconds that the stages of the published pipeline took, by their own clock after the imports.
func (b bench) script(ctx context.Context) (float64, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.python, "bin", "python"), filepath.Join(peers(), "timed_script.py"), b.csv)
	cmd.Dir, cmd.Env = b.work, pythonEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("timed_script.py: %w\n%s", err, out)
	}
	m := cells.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("timed_script.py printed no time:\n%s", out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

// peers returns the folder of the Python programs; the command runs in the root of the repository.
func peers() string {
	dir, err := filepath.Abs(filepath.Join("bench", "peers"))
	if err != nil {
		panic(err) // only when the working directory is gone
	}
	return dir
}

// pythonEnv leaves out OpenBLAS settings that do not fit a current numpy.
func pythonEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return len(v) > 8 && v[:9] == "OPENBLAS_"
	})
}

func timed(cmd *exec.Cmd) (float64, error) {
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, out)
	}
	return time.Since(start).Seconds(), nil
}

func show(name string, seconds []float64) {
	fmt.Printf("%-34s median %7.3f s   min %7.3f   max %7.3f   n %d\n",
		name, program.Median(seconds), slices.Min(seconds), slices.Max(seconds), len(seconds))
}
