// Command golearn compares golearn's trees with the native ones, on the Superstore data, and prints Markdown tables.
//
//	go run ./bench/golearn [-runs 3] [-write]
//
// Every fit of the first table runs in a process of its own, so that its memory can be told. -write puts the tables into
// bench/README.md, between the lines that mark them; a test holds all figures there but time and memory to what is
// computed. Accuracy is that of golearn's package evaluation, which must be ours.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/hashline/hashline/bench/internal/program"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/golearn"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/tree"
)

func main() { program.Main("golearn", run) }

// contender is a way to train.
type contender struct {
	model, engine, settings string
	fit                     func(d *dataset.Dataset) (*tree.Ensemble, error)
}

// contenders come in pairs of the same settings, golearn's first; then the native engine's with its own defaults.
var contenders = []contender{
	{"decision_tree", "golearn", "depth 10", func(d *dataset.Dataset) (*tree.Ensemble, error) {
		return golearn.FitCART(d.Features, d.Y, len(d.Classes), 10)
	}},
	{"decision_tree", "native", "depth 10", func(d *dataset.Dataset) (*tree.Ensemble, error) {
		return tree.FitTree(d.Features, d.Y, len(d.Classes), tree.Options{MaxDepth: 10, Cores: cores()})
	}},
	{"decision_tree", "native", "its defaults", func(d *dataset.Dataset) (*tree.Ensemble, error) {
		return tree.FitTree(d.Features, d.Y, len(d.Classes), tree.Options{MaxDepth: 10, MinSamplesLeaf: 5, MaxBins: 1024, Laplace: 1, Cores: cores()})
	}},
	{"random_forest", "golearn", "10 trees, depth 10, 64 bins", func(d *dataset.Dataset) (*tree.Ensemble, error) {
		return golearn.FitBaggedCART(d.Features, d.Y, len(d.Classes), golearn.Bagging{Trees: 10, MaxDepth: 10, MaxBins: 64, Seed: 42, Cores: cores()})
	}},
	{"random_forest", "native", "10 trees, depth 10, 64 bins", func(d *dataset.Dataset) (*tree.Ensemble, error) {
		return tree.FitForest(d.Features, d.Y, len(d.Classes), tree.Options{Trees: 10, MaxDepth: 10, MaxBins: 64, MaxFeatures: 1, Seed: 42, Cores: cores()})
	}},
	{"random_forest", "native", "its defaults", func(d *dataset.Dataset) (*tree.Ensemble, error) {
		return tree.FitForest(d.Features, d.Y, len(d.Classes), tree.Options{Trees: 100, MinSamplesLeaf: 3, MaxFeatures: 0.5, Seed: 42, Cores: cores()})
	}},
}

func cores() int { return runtime.GOMAXPROCS(0) }

// outcome is what a fit gave and cost.
type outcome struct {
	Accuracy, AUC, LogLoss float64
	Model                  []byte  // its JSON
	Seconds                float64 // of the fit
	Peak                   float64 // MB of the process, data included
}

// fit trains once and judges.
func (c *contender) fitOnce(train, test *dataset.Dataset) (outcome, error) {
	start := time.Now()
	m, err := c.fit(train)
	if err != nil {
		return outcome{}, err
	}
	o := outcome{Seconds: time.Since(start).Seconds()}
	proba, err := m.Predict(test.Features, cores())
	if err != nil {
		return o, err
	}
	e, _, err := metrics.Evaluate(proba, test.Y, test.Classes)
	if err != nil {
		return o, err
	}
	labels := make([]int32, len(test.Y))
	for i := range labels {
		labels[i] = metrics.Label(proba[i*len(test.Classes) : (i+1)*len(test.Classes)])
	}
	scores, err := golearn.Score(test.Y, labels, test.Classes)
	if err != nil {
		return o, err
	}
	if d := scores.Differ(e); d != "" {
		return o, fmt.Errorf("golearn's evaluation and ours do not agree: %s", d)
	}
	o.Accuracy, o.AUC, o.LogLoss, o.Peak = float64(scores.Accuracy), float64(e.Metrics.ROCAUC), float64(e.Metrics.LogLoss), program.Peak()
	o.Model, err = json.Marshal(m)
	return o, err
}

func run(ctx context.Context) error {
	runs := flag.Int("runs", 3, "timed fits of each; the medians count")
	write := flag.Bool("write", false, "put the tables into "+document)
	one := flag.Int("one", -1, "fit this one and print the outcome as JSON: for the program itself")
	flag.Parse()
	all, parts, err := program.Superstore("Profit > 0")
	if err != nil {
		return err
	}
	train, test := all.Take(parts.Train), all.Take(parts.Test)
	if *one >= 0 {
		o, err := contenders[*one].fitOnce(train, test)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(o)
	}
	var outcomes [][]outcome
	for i := range contenders {
		var of []outcome
		for range max(2, *runs) {
			o, err := elsewhere(ctx, i)
			if err != nil {
				return err
			}
			of = append(of, o)
		}
		outcomes = append(outcomes, of)
	}
	text := table(outcomes)
	growth, err := growth(train)
	if err != nil {
		return err
	}
	text += "\n" + growth
	if !*write {
		fmt.Print(text)
		return nil
	}
	b, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, _, after, err := marked(string(b))
	if err != nil {
		return err
	}
	return os.WriteFile(document, []byte(before+text+after), 0o644)
}

// elsewhere fits in a process of its own.
func elsewhere(ctx context.Context, i int) (outcome, error) {
	path, err := os.Executable()
	if err != nil {
		return outcome{}, err
	}
	cmd := exec.CommandContext(ctx, path, "-one", strconv.Itoa(i))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return outcome{}, fmt.Errorf("%s of %s: %w", contenders[i].model, contenders[i].engine, err)
	}
	var o outcome
	return o, json.Unmarshal(out, &o)
}

const head = "| model | engine | settings | accuracy | AUC | log loss | repeatable | fit, s | peak, MB |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"

// table has a line for each contender, from all its outcomes.
func table(all [][]outcome) string {
	var b strings.Builder
	b.WriteString(head)
	for i, of := range all {
		var seconds, peak []float64
		for _, o := range of {
			seconds, peak = append(seconds, o.Seconds), append(peak, o.Peak)
		}
		fmt.Fprintf(&b, "%s %.4f | %.0f |\n", contenders[i].figures(of), program.Median(seconds), program.Median(peak))
	}
	return b.String()
}

// figures is the part of a line that is the same on every run.
func (c *contender) figures(of []outcome) string {
	repeatable := "yes"
	for _, o := range of {
		if !bytes.Equal(o.Model, of[0].Model) {
			repeatable = "no"
		}
	}
	return fmt.Sprintf("| %s | %s | %s | %.4f | %.4f | %.4f | %s |", c.model, c.engine, c.settings, of[0].Accuracy, of[0].AUC, of[0].LogLoss, repeatable)
}

// growth tells how the time of a tree of depth 10 grows with the rows.
func growth(train *dataset.Dataset) (string, error) {
	var b strings.Builder
	b.WriteString("| rows to learn from | golearn, s | native, s | ratio |\n| --- | --- | --- | --- |\n")
	for _, rows := range []int{1000, 2000, 4000, len(train.Y)} {
		var s [2]float64
		for i := range s {
			var seconds []float64
			for range 3 {
				start := time.Now()
				if _, err := contenders[i].fit(train.Take(first(rows))); err != nil {
					return "", err
				}
				seconds = append(seconds, time.Since(start).Seconds())
			}
			s[i] = program.Median(seconds)
		}
		fmt.Fprintf(&b, "| %d | %.3f | %.4f | %.0f |\n", rows, s[0], s[1], s[0]/s[1])
	}
	return b.String(), nil
}

func first(n int) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

// document is where the tables stand; the program runs in the root of the repository.
const document = "bench/README.md"

const begin, end = "<!-- go run ./bench/golearn -write -->\n", "<!-- end -->\n"

// marked cuts the document at the lines around the tables.
func marked(text string) (before, tables, after string, err error) {
	from, to := strings.Index(text, begin)+len(begin), strings.Index(text, end)
	if from < len(begin) || to < from {
		return "", "", "", fmt.Errorf("%s has no lines %q and %q around the tables", document, begin, end)
	}
	return text[:from], text[from:to], text[to:], nil
}
