package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/report"
	"github.com/hashline/hashline/summary"
	"github.com/hashline/hashline/tasks"
)

// submission is one call of the command.
type submission struct {
	*app
	pipelineOptions
	name, outDir string
	queue        string
	tags         []string
	png, detach  bool
	json, quiet  bool

	path     string // of the input, for messages
	document *summary.Document
}

func (a *app) submitCommand() *cobra.Command {
	s := &submission{app: a}
	c := &cobra.Command{
		Use:   "submit [FILE|-]",
		Short: "Run the pipeline on a table; without FILE, on the Superstore data that the program carries",
		Long: `Submit streams a CSV or TSV file into the store and runs the pipeline on it: in this process, or with --redis by
workers. Progress goes to standard error, the summary to standard output; the report lies where the summary says.

The target is a column with classes, a comparison on a numeric column ("Profit > 0"), or several thresholds on one
("Profit < 0 | Profit < 100"), which make ordered classes. An exact column name wins; else the text is split at its last
operator.

Limits: 10000 columns, 16 MB for a record. A row with another number of fields than the header is left out and
reported; more than 10 such rows that are also more than 1 % of all stop the run. Texts that stand for a missing value
are the empty one and ` + strings.Join(csv.MissingTexts, ", ") + `.`,
		Example: `  producer submit
  producer submit superstore.csv --split 'group:Order ID'
  producer submit churn.csv --target churned --exclude 'customer note' --out results
  producer submit sales.csv --target 'Profit > 0' --set models.random_forest.trees=300 --redis redis://localhost:6379/0`,
		Args: cobra.MaximumNArgs(1), Annotations: map[string]string{handlesSignals: "yes"},
		RunE: func(c *cobra.Command, args []string) error {
			path := ""
			if len(args) == 1 {
				path = args[0]
				if path == "" {
					return usage("the file name is empty").WithHint("leave it out to run the Superstore data")
				}
			}
			return s.main(c.Context(), path)
		},
	}
	s.flags(c)
	f := c.Flags()
	f.StringVar(&s.outDir, "out", "", "`directory` to write report, plots, metrics and models to")
	f.BoolVar(&s.png, "png", false, "write plots as PNG too (needs --out)")
	f.StringVar(&s.queue, "queue", "", "`name` of the queue that the workers listen to (needs --redis; default \"hashline\")")
	f.BoolVar(&s.detach, "detach", false, "do not wait for the run (needs --redis)")
	f.StringVar(&s.name, "name", "", "a `name` for the run")
	f.StringArrayVar(&s.tags, "tag", nil, "`KEY=VALUE` to keep with the run (repeatable)")
	f.BoolVar(&s.json, "json", false, "print one JSON document instead of the summary, also on failure")
	f.BoolVarP(&s.quiet, "quiet", "q", false, "no progress")
	return c
}

// main runs the submission and prints its document or summary, whatever comes of it.
func (s *submission) main(ctx context.Context, path string) error {
	d := s.rejected(path)
	d.Seed, d.Name, d.Tags = s.seed, s.name, s.tagMap()
	s.document = d
	start := time.Now()
	err := s.run(ctx, path)
	if s.document.WallS == 0 {
		s.document.WallS = time.Since(start).Seconds()
	}
	if err != nil {
		s.failed(err)
	}
	s.exit = s.document.ExitCode
	if !s.json {
		return err
	}
	return writeJSON(s.out, s.document)
}

// rejected is the document of a submission that has no run yet.
func (a *app) rejected(path string) *summary.Document {
	d := summary.New()
	d.Mode = embeddedMode
	if a.redis != "" {
		d.Mode = redisMode
	}
	if path != "" {
		d.Input.Name = filepath.Base(path)
	}
	return d
}

// failed records why the command did not see the run to a good end.
func (s *submission) failed(err error) {
	d := s.document
	d.Error, d.ExitCode = classify(err)
	if d.Status == pipeline.Running {
		d.Status = pipeline.Interrupted // workers may go on with it
	}
}

func (s *submission) run(ctx context.Context, path string) error {
	if err := s.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ingesting, stopWaiting := s.interruptible(ctx)
	defer stopWaiting()
	src, err := s.openSource(ingesting, path)
	if err != nil {
		return interrupted(ingesting, err)
	}
	defer src.close()
	s.path = src.name
	s.document.Input = summary.Input{Name: filepath.Base(src.name), BuiltinSample: src.builtin}
	spec, report, err := s.spec(src)
	if err != nil {
		return err
	}
	s.document.Seed, s.document.Input.Columns = spec.Seed, summary.Count(len(report.Columns))
	engine, err := s.engine(ingesting)
	if err != nil {
		return interrupted(ingesting, err)
	}
	defer engine.close()
	ref, err := src.put(ingesting, engine.store)
	if err != nil {
		return interrupted(ingesting, err)
	}
	s.document.Input.SHA256, s.document.Input.Bytes = summary.Text(ref.Digest.String()), &ref.Size
	plan, err := spec.Build(ref)
	if err != nil {
		return err
	}
	if err := plan.Validate(engine.registry); err != nil {
		return usage("%v", err).WithHint("`producer init` writes a file that explains every field")
	}
	if err := s.makeOut(); err != nil {
		return err
	}
	stopWaiting()
	return s.follow(ctx, engine, plan)
}

// interruptible returns a context that ends with the first signal, until the returned function is called.
func (a *app) interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-a.signals:
			cancel(errInterrupted)
		case <-done:
		}
	})
	return ctx, sync.OnceFunc(func() {
		close(done)
		waiting.Wait()
	})
}

func interrupted(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return errInterrupted
	}
	return err
}

func (s *submission) check() error {
	switch {
	case s.detach && s.redis == "":
		return usage("--detach needs --redis").WithHint("without Redis this process does the work itself")
	case s.queue != "" && s.redis == "":
		return usage("--queue needs --redis").WithHint("without Redis this process does the work itself")
	case s.detach && s.outDir != "":
		return usage("--out does not go with --detach").WithHint("`producer get RUN report` gives the report later")
	case s.png && s.outDir == "":
		return usage("--png needs --out").WithHint("--out DIR says where to; or `producer get RUN OUTPUT --format png`")
	}
	for _, t := range s.tags {
		if k, _, ok := strings.Cut(t, "="); !ok || k == "" {
			return usage("--tag %.60q is no KEY=VALUE", t)
		}
	}
	return nil
}

// engine is what runs the plan.
type engine struct {
	store    *artifact.Store
	registry *pipeline.Registry
	client   *tasks.Client
	mode     string
	config   tasks.Config
	close    func()
}

// engine connects to Redis, or starts one in this process.
func (s *submission) engine(ctx context.Context) (*engine, error) {
	store, err := s.openStore(ctx)
	if err != nil {
		return nil, err
	}
	registry, err := newRegistry()
	if err != nil {
		return nil, err
	}
	e := &engine{store: store, registry: registry, mode: redisMode}
	var conn *tasks.Conn
	if s.redis != "" {
		conn, err = tasks.Dial(ctx, s.redis)
	} else {
		e.mode = embeddedMode
		conn, err = tasks.StartEmbedded(ctx)
	}
	if err != nil {
		return nil, err
	}
	e.close = func() {
		if e.mode == redisMode { // an embedded one ends with the process, and so do its workers, which would miss it
			_ = conn.Close()
		}
	}
	e.config = tasks.Config{Conn: conn, Store: store, Registry: registry, Queue: s.queue}
	e.client, err = tasks.NewClient(e.config)
	return e, err
}

// work starts workers in this process. There are two at least, so that a stage that waits for the disk holds up nobody.
// input is the size of the table in bytes.
func (e *engine) work(ctx context.Context, input int64) error {
	ballast := tuneMemory(input)
	w, err := tasks.NewWorker(e.config, tasks.WorkerOptions{Concurrency: max(2, runtime.GOMAXPROCS(0)), ID: "embedded"})
	if err != nil {
		return err
	}
	go func() {
		_ = w.Run(ctx) // it ends with the process; what it had in progress is of no use to anybody
		runtime.KeepAlive(ballast)
	}()
	return nil
}

// follow submits the plan, shows what happens, and tells how it ended.
func (s *submission) follow(ctx context.Context, e *engine, plan *pipeline.Plan) error {
	args, err := json.Marshal(summary.Submission{Input: s.document.Input, Ref: *plan.Stages[0].Needs[0].Artifact, Target: s.document.Target, Args: recordedArgs(s.args)})
	if err != nil {
		return err
	}
	id := artifact.NewRunID(time.Now())
	if e.mode == embeddedMode {
		release, err := e.store.Lock(lockName(id))
		if err != nil {
			return err
		}
		defer release()
		if err := e.work(ctx, plan.Stages[0].Needs[0].Artifact.Size); err != nil {
			return err
		}
	}
	r := tasks.Request{RunID: id, Plan: plan, Name: s.name, Tags: s.tagMap(), Mode: e.mode, Submission: args, Versions: versions()}
	if _, err := e.client.Submit(ctx, r); err != nil {
		return err
	}
	now := time.Now().UTC()
	s.document.RunID, s.document.CreatedAt, s.document.Status = summary.Text(id), &now, pipeline.Running
	if s.detach {
		return s.detached(ctx, e, id)
	}
	go report.Prepare()
	p := s.newProgress(plan, id)
	err = s.watch(ctx, e, id, p)
	p.end()
	if err != nil {
		return err
	}
	return s.finish(ctx, e, id)
}

// recordedArgs is the command line as a run keeps it: where Redis is, and its password, are nobody else's business.
func recordedArgs(args []string) []string {
	kept := slices.Clone(args)
	for i, a := range kept {
		switch {
		case strings.HasPrefix(a, "--redis="):
			kept[i] = "--redis=URL"
		case i > 0 && kept[i-1] == "--redis":
			kept[i] = "URL"
		}
	}
	return kept
}

func (s *submission) tagMap() map[string]string {
	tags := map[string]string{}
	for _, t := range s.tags {
		k, v, _ := strings.Cut(t, "=")
		tags[k] = v
	}
	return tags
}

func (s *submission) detached(ctx context.Context, e *engine, id string) error {
	r, err := e.client.Record(ctx, id)
	if err != nil {
		return err
	}
	d, _, err := summary.Build(ctx, e.store, r)
	if err != nil {
		return err
	}
	s.document = d
	d.Status = summary.Detached
	if !s.json {
		fmt.Fprintf(s.out, "run %s is submitted\n\nWith the same --store and --redis:\n  producer show %s       how it goes\n  producer events %s -f  what happens\n", id, id, id)
	}
	return nil
}

// watch shows events until the run is over. The first signal cancels it, a second one leaves at once.
func (s *submission) watch(ctx context.Context, e *engine, id string, p *progress) error {
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			case <-s.signals:
				if n > 1 {
					leave(errInterrupted)
					return
				}
				p.say("canceling the run; once more to leave at once")
				go cancelUntil(done, func() error { return e.client.Cancel(ctx, id, "interrupted") })
			}
		}
	}()
	if e.mode == redisMode && !s.quiet {
		go s.tellWhyItWaits(ctx, e, p, done)
	}
	err := e.client.Watch(ctx, id, "", func(ev pipeline.Event) error {
		p.event(ev)
		return nil
	})
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return errInterrupted
	}
	return err
}

// cancelUntil cancels again and again: a stage whose worker died a moment ago can only be ended when that is known.
func cancelUntil(done <-chan struct{}, cancel func() error) {
	t := time.NewTicker(2 * time.Second)
	defer t.Stop()
	for {
		_ = cancel() // the run's end, or its going on, is seen by who watches it
		select {
		case <-done:
			return
		case <-t.C:
		}
	}
}

// tellWhyItWaits says so when no living worker can run the stages.
func (s *submission) tellWhyItWaits(ctx context.Context, e *engine, p *progress, done <-chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	told := ""
	for {
		select {
		case <-done:
			return
		case <-t.C:
		}
		workers, err := e.client.Workers(ctx)
		if err != nil {
			continue
		}
		why := ""
		listens := func(w tasks.WorkerInfo) bool { return w.Queue == cmp.Or(s.queue, "hashline") }
		switch {
		case !slices.ContainsFunc(workers, listens):
			why = "waiting: no worker is alive; start one with `" + s.workerCommand(e) + "`"
		case !slices.ContainsFunc(workers, func(w tasks.WorkerInfo) bool { return listens(w) && w.Store == e.store.ID() }):
			why = fmt.Sprintf("waiting: no worker that is alive uses the store %s (id %s); start one with `%s`", e.store.Location(), e.store.ID(), s.workerCommand(e))
		}
		if why != told && why != "" {
			p.say(why)
		}
		told = why
	}
}

// workerCommand is a command line that starts a worker for the run.
func (s *submission) workerCommand(e *engine) string {
	line := "worker --redis URL --store " + csv.ShellQuote(e.store.Location())
	if s.queue != "" {
		line += " --queue " + csv.ShellQuote(s.queue)
	}
	return line
}

// finish builds the document, the report and the files, and prints the summary.
func (s *submission) finish(ctx context.Context, e *engine, id string) error {
	r, err := e.client.Record(ctx, id)
	if err != nil {
		return err
	}
	d, details, err := summary.Build(ctx, e.store, r)
	if d == nil {
		return err
	}
	s.document = d
	if err != nil {
		return err
	}
	if d.Error != nil && d.Error.File == d.Input.Name {
		d.Error.File = s.path
	}
	if r.Status == pipeline.Canceled {
		d.ExitCode = exitInterrupted
	}
	text, err := renderReport(ctx, e.store, r, d, details)
	if err != nil {
		return err
	}
	if err := e.store.PutRunView(ctx, id, reportDocument, text); err != nil {
		return err
	}
	d.ReportPath = summary.Text(e.store.RunPath(id, reportDocument))
	if s.outDir != "" {
		if err := s.writeOut(ctx, e.store, r, d, text); err != nil {
			return err
		}
	}
	if !s.json {
		printSummary(s.out, d)
		if d.Error != nil {
			s.tell(d.Error)
		}
	}
	return nil
}
