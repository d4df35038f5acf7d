// Command own is a program with a model, a feature and a kind of stage of its own: it trains naive Bayes (bayes.go) beside a
// logistic regression on the Superstore data, lets a stage of its own choose the better one, writes the report, and scores
// raw rows with the chosen model.
//
//	go run ./own [-redis redis://localhost:6379/0] [-report report.html]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/report"
	"github.com/hashline/hashline/sample"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/stages/evaluate"
	"github.com/hashline/hashline/summary"
	"github.com/hashline/hashline/tasks"
)

// The pipeline names the model and the feature as it names those that the library has.
const pipelineFile = `
target: Profit > 0
features:
  columns: [Quantity, Discount, Segment, Region, Category, Sub-Category]
  own:
    - {name: log_sales, op: log, inputs: [Sales]}
models:
  logistic_regression:
  naive_bayes: {params: {smoothing: 0.5}}
`

func init() {
	feature.Register("log", feature.Op{Inputs: []frame.Type{frame.Float}, Make: func(inputs []*frame.Column) *frame.Column {
		out := &frame.Column{Type: frame.Float}
		for _, v := range inputs[0].Num {
			out.Num = append(out.Num, num.Log(v)) // NaN, which is missing, below 0
		}
		return out
	}})
}

// choose is a stage: it names the model that is right most often.
func choose(_ context.Context, _ *pipeline.Call, _ struct{}, in struct{ Metrics []evaluate.Metrics }) (out struct{ Best string }, err error) {
	best := in.Metrics[0]
	for _, m := range in.Metrics[1:] {
		if m.Metrics.Accuracy > best.Metrics.Accuracy {
			best = m
		}
	}
	out.Best = best.Model
	return out, nil
}

func main() {
	url := flag.String("redis", "", "URL of a Redis; empty: one in this process")
	file := flag.String("report", "", "file to write the report to")
	flag.Parse()
	if err := run(context.Background(), *url, *file); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url, file string) error {
	dir, err := os.MkdirTemp("", "own-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // keep it, and nothing is computed twice
	store, err := artifact.Open(ctx, dir)
	if err != nil {
		return err
	}
	registry, err := pipeline.NewRegistry(nil, append(stages.Kinds(), pipeline.Typed("choose", choose))...)
	if err != nil {
		return err
	}
	plan, err := planOf(ctx, store)
	if err != nil {
		return err
	}
	record, err := execute(ctx, url, store, registry, plan)
	if err != nil {
		return err
	}
	document, details, err := summary.Build(ctx, store, record)
	if err != nil {
		return err
	}
	for _, m := range document.Models {
		fmt.Printf("%-20s accuracy %.4f  ROC AUC %.4f\n", m.Name, m.Metrics.Accuracy, m.Metrics.ROCAUC)
	}
	if file != "" {
		var page bytes.Buffer
		if err := report.Write(ctx, &page, store, record, document, details); err != nil {
			return err
		}
		if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return score(ctx, store, record)
}

// planOf is the pipeline's plan for the Superstore data, and the stage of our own.
func planOf(ctx context.Context, store *artifact.Store) (*pipeline.Plan, error) {
	data, err := sample.Superstore()
	if err != nil {
		return nil, err
	}
	input, err := store.PutBytes(ctx, data)
	if err != nil {
		return nil, err
	}
	spec, err := stages.ParseSpec("own", []byte(pipelineFile))
	if err != nil {
		return nil, err
	}
	plan, err := spec.Build(input)
	if err != nil {
		return nil, err
	}
	chooser := pipeline.Stage{Name: "choose", Kind: "choose"}
	for _, m := range stages.Models(plan) {
		chooser.Needs = append(chooser.Needs, pipeline.Need{Role: "metrics", Stage: stages.EvaluatePrefix + m, Output: "metrics"})
	}
	plan.Stages = append(plan.Stages, chooser)
	return plan, nil
}

func execute(ctx context.Context, url string, store *artifact.Store, registry *pipeline.Registry, plan *pipeline.Plan) (*pipeline.RunRecord, error) {
	conn, err := tasks.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	config := tasks.Config{Conn: conn, Store: store, Registry: registry, Queue: "own"}
	worker, err := tasks.NewWorker(config, tasks.WorkerOptions{})
	if err != nil {
		return nil, err
	}
	client, err := tasks.NewClient(config)
	if err != nil {
		return nil, err
	}
	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(working) }()
	id, err := client.Submit(ctx, tasks.Request{Plan: plan})
	if err != nil {
		stop()
		return nil, err
	}
	record, err := client.Wait(ctx, id)
	stop()
	if err == nil {
		err = <-ended
	}
	if err == nil && record.Error != nil {
		err = record.Error
	}
	return record, err
}

// orders are raw rows, as they come from a file.
const orders = `Sales,Quantity,Discount,Segment,Region,Category,Sub-Category
200,2,0,Consumer,West,Technology,Phones
200,2,0.2,Consumer,East,Furniture,Chairs
200,2,0.5,Consumer,West,Furniture,Tables
`

// score prints what the chosen model says of them.
func score(ctx context.Context, store *artifact.Store, record *pipeline.RunRecord) error {
	b, err := read(ctx, store, record, "choose", "best")
	if err != nil {
		return err
	}
	var best string
	if err := json.Unmarshal(b, &best); err != nil {
		return err
	}
	if b, err = read(ctx, store, record, stages.TrainPrefix+best, "model"); err != nil {
		return err
	}
	m, err := model.Parse(b)
	if err != nil {
		return err
	}
	recipe, err := feature.ParseRecipe(m.Recipe)
	if err != nil {
		return err
	}
	table, _, err := csv.Read(ctx, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(orders)), nil }, csv.Options{})
	if err != nil {
		return err
	}
	features, err := recipe.Apply(table)
	if err != nil {
		return err
	}
	proba, err := m.Estimator().Predict(features, 1)
	if err != nil {
		return err
	}
	for i := range table.Rows {
		fmt.Printf("order %d, by %s: %s with probability %.4f\n", i+1, best, m.Target, proba[2*i+1])
	}
	return nil
}

// read returns an output of a stage.
func read(ctx context.Context, store *artifact.Store, record *pipeline.RunRecord, stage, name string) ([]byte, error) {
	s, _ := record.Stage(stage)
	if s == nil {
		return nil, fmt.Errorf("there is no stage %s", stage)
	}
	o, ok := s.Output(name)
	if !ok {
		return nil, fmt.Errorf("stage %s has no output %s", stage, name)
	}
	return store.ReadOutput(ctx, o)
}
