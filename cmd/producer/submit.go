package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/stages/splitdata"
	"github.com/hashline/hashline/summary"
	"github.com/hashline/hashline/tasks"
)

// submission is one call of the command.
type submission struct {
	*app
	pipelineOptions
	name, outDir string
	tags         []string
	png, detach  bool
	json, quiet  bool

	document *summary.Document
}

// pipelineOptions are the flags that shape the plan.
type pipelineOptions struct {
	target           string
	include, exclude []string
	types, set       []string
	missing, models  []string
	file, split      string
	seed             uint64
	testSize         float64
	changed          func(flag string) bool
}

func (o *pipelineOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.target, "target", "", "what to predict: a `column`, \"COLUMN > NUMBER\", or \"COLUMN < A | COLUMN < B\"")
	f.StringArrayVar(&o.include, "include", nil, "use this `column` though its type would leave it out (repeatable)")
	f.StringArrayVar(&o.exclude, "exclude", nil, "leave this `column` out (repeatable)")
	f.StringArrayVar(&o.types, "type", nil, "`COLUMN=TYPE`: integer, float, boolean, date, category, text or identifier (repeatable)")
	f.StringArrayVar(&o.missing, "missing", nil, "a `text` that stands for a missing value, besides the usual ones (repeatable)")
	f.StringVar(&o.file, "pipeline", "", "pipeline `file` (YAML); `producer init` writes a commented one")
	f.StringArrayVar(&o.set, "set", nil, "`KEY=VALUE`: a field of the pipeline file, as models.random_forest.trees=200 (repeatable)")
	f.StringSliceVar(&o.models, "models", nil, "only these `models`, separated by commas")
	f.Uint64Var(&o.seed, "seed", 42, "`number` that decides the split, the forest and the permutations")
	f.Float64Var(&o.testSize, "test-size", 0.2, "`share` of the rows to test on")
	f.StringVar(&o.split, "split", "", "stratified, group:`COLUMN` or time:COLUMN (default stratified)")
	o.changed = f.Changed
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
		Args: cobra.MaximumNArgs(1),
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
	f.BoolVar(&s.detach, "detach", false, "do not wait for the run (needs --redis)")
	f.StringVar(&s.name, "name", "", "a `name` for the run")
	f.StringArrayVar(&s.tags, "tag", nil, "`KEY=VALUE` to keep with the run (repeatable)")
	f.BoolVar(&s.json, "json", false, "print one JSON document instead of the summary, also on failure")
	f.BoolVarP(&s.quiet, "quiet", "q", false, "no progress")
	return c
}

// main runs the submission and prints its document or summary, whatever comes of it.
func (s *submission) main(ctx context.Context, path string) error {
	s.document = summary.New()
	s.document.Input.Name = path
	start := time.Now()
	err := s.run(ctx, path)
	if s.document.WallS == 0 {
		s.document.WallS = time.Since(start).Seconds()
	}
	if err != nil {
		s.document.Error = asError(err)
		s.document.ExitCode = pipeline.ExitCode(s.document.Error.Class)
		if errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled) {
			s.document.Error = &pipeline.Error{Class: pipeline.ClassCanceled, Message: "interrupted"}
			s.document.ExitCode = exitInterrupted
		}
		if s.document.Status == pipeline.Running { // it was left before its end
			s.document.Status = pipeline.Interrupted
		}
	}
	s.exit = s.document.ExitCode
	if !s.json {
		if err != nil {
			return err
		}
		return nil
	}
	return writeJSON(s.out, s.document)
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
	s.document.Input = summary.Input{Name: src.name, BuiltinSample: src.builtin}
	spec, report, err := s.spec(src)
	if err != nil {
		return err
	}
	s.document.Seed, s.document.Input.Columns = spec.Seed, len(report.Columns)
	engine, err := s.engine(ctx)
	if err != nil {
		return err
	}
	defer engine.close()
	ref, err := src.put(ingesting, engine.store)
	if err != nil {
		return interrupted(ingesting, err)
	}
	s.document.Input.SHA256, s.document.Input.Bytes = ref.Digest.String(), ref.Size
	plan, err := spec.Build(ref)
	if err != nil {
		return err
	}
	if err := plan.Validate(engine.registry); err != nil {
		return usage("%v", err).WithHint("`producer init` writes a file that explains every field")
	}
	stopWaiting()
	return s.follow(ctx, engine, plan)
}

// interruptible returns a context that ends with the first signal, until the returned function is called.
func (s *submission) interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-s.signals:
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

// spec puts the pipeline together: built-in or file, then flags.
func (s *submission) spec(src *source) (*stages.Spec, *csv.Report, error) {
	types, err := s.columnTypes()
	if err != nil {
		return nil, nil, err
	}
	report, err := src.inspect(s.missing, types)
	if err != nil {
		return nil, nil, err
	}
	names := make([]string, len(report.Columns))
	for i, c := range report.Columns {
		names[i] = c.Name
	}
	spec, chosen, err := s.base(names)
	if err != nil {
		return nil, nil, err
	}
	if spec, err = s.apply(spec); err != nil {
		return nil, nil, err
	}
	if s.target != "" {
		spec.Target, chosen = s.target, "flag"
	}
	if spec.Target == "" {
		return nil, nil, noTarget(src.name, report)
	}
	s.document.Target = summary.Target{Expression: spec.Target, ChosenBy: chosen, Classes: []string{}}
	return spec, report, s.checkColumns(spec, src.name, names)
}

// base is the pipeline before the flags, and who chose its target.
func (s *submission) base(columns []string) (*stages.Spec, string, error) {
	if s.file == "" {
		spec, err := stages.ForColumns(columns, s.target)
		return spec, "default", err
	}
	b, err := os.ReadFile(s.file)
	if err != nil {
		return nil, "", badFile(s.file, "the pipeline file cannot be read: %v", errors.Unwrap(err)).WithHint("`producer init` writes one")
	}
	spec, err := stages.ParseSpec(s.file, b)
	if err != nil {
		return nil, "", err
	}
	if spec.Target == "" && stages.IsSuperstore(columns) {
		spec.Target = stages.SuperstoreTarget
		return spec, "default", nil
	}
	return spec, "file", nil
}

func (o *pipelineOptions) columnTypes() (map[string]frame.Type, error) {
	types := map[string]frame.Type{}
	for _, t := range o.types {
		at := strings.LastIndex(t, "=")
		if at < 1 {
			return nil, usage("--type %.60q is no COLUMN=TYPE", t)
		}
		kind, err := frame.ParseType(t[at+1:])
		if err != nil {
			return nil, usage("--type %.60q: %v", t, err)
		}
		types[t[:at]] = kind
	}
	return types, nil
}

// apply lets the flags change the pipeline.
func (o *pipelineOptions) apply(spec *stages.Spec) (*stages.Spec, error) {
	var err error
	for _, kv := range o.set {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" {
			return nil, usage("--set %.60q is no KEY=VALUE", kv)
		}
		if spec, err = spec.Set(k, v); err != nil {
			return nil, err
		}
	}
	if len(o.models) > 0 {
		if err := spec.KeepModels(o.models); err != nil {
			return nil, err
		}
	}
	if o.changed("seed") {
		spec.Seed = o.seed
	}
	if o.changed("test-size") {
		spec.Split.TestSize = o.testSize
	}
	if o.split != "" {
		method, column, _ := strings.Cut(o.split, ":")
		spec.Split.Method, spec.Split.Column = method, strings.Trim(column, `"`)
	}
	spec.Features.Include = append(spec.Features.Include, o.include...)
	spec.Features.Exclude = append(spec.Features.Exclude, o.exclude...)
	spec.Missing = append(spec.Missing, o.missing...)
	for _, t := range o.types {
		at := strings.LastIndex(t, "=")
		if spec.Types == nil {
			spec.Types = map[string]string{}
		}
		spec.Types[t[:at]] = t[at+1:]
	}
	if len(spec.Features.Columns) > 0 {
		spec.Features.Columns = slices.DeleteFunc(spec.Features.Columns, func(c string) bool { return slices.Contains(o.exclude, c) })
	}
	if err := spec.Check(); err != nil {
		e := pipeline.AsError(err)
		e.Class = pipeline.ClassUsage
		return nil, e
	}
	return spec, nil
}

// checkColumns finds names that the file does not have before anything is stored.
func (s *submission) checkColumns(spec *stages.Spec, file string, columns []string) error {
	if _, err := feature.ParseTarget(spec.Target, columns); err != nil {
		if e, ok := errors.AsType[*csv.InputError](err); ok {
			return &pipeline.Error{Class: pipeline.ClassBadInput, Message: e.Message, File: file, Hint: e.Hint}
		}
		return err
	}
	lists := map[string][]string{"--include": s.include, "--exclude": s.exclude}
	if spec.Split.Method != splitdata.Stratified {
		lists["--split"] = []string{spec.Split.Column}
	}
	for flag, names := range lists {
		for _, n := range names {
			if !slices.Contains(columns, n) {
				e := badFile(file, "%s: there is no column %s", flag, csv.Quote(n))
				if near := feature.Nearest(n, columns); near != "" {
					return e.WithHint("did you mean %s?", csv.Quote(near))
				}
				return e.WithHint("names are exact")
			}
		}
	}
	return nil
}

// noTarget lists what could be one and proposes a command.
func noTarget(file string, r *csv.Report) error {
	var list []string
	proposal := ""
	for _, c := range r.Columns {
		list = append(list, fmt.Sprintf("%s (%s)", csv.Quote(c.Name), c.Type))
	}
	for _, c := range slices.Backward(r.Columns) { // targets often come last
		if (c.Type == "category" || c.Type == "boolean") && c.Distinct >= 2 && c.Distinct <= feature.MaxDistinct {
			proposal = c.Name
			break
		}
	}
	if proposal == "" {
		for _, c := range slices.Backward(r.Columns) {
			if c.Type == "float" || c.Type == "integer" {
				proposal = c.Name + " > 0"
				break
			}
		}
	}
	if len(list) > 40 {
		list = append(list[:40], fmt.Sprintf("and %d more", len(r.Columns)-40))
	}
	e := badFile(file, "there is no target; the columns are %s", strings.Join(list, ", "))
	if proposal != "" {
		return e.WithHint("for example: producer submit %s --target %s", csv.Quote(filepath.Base(file)), csv.Quote(proposal))
	}
	return e.WithHint("say what to predict with --target COLUMN")
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
	e.config = tasks.Config{Conn: conn, Store: store, Registry: registry}
	e.client, err = tasks.NewClient(e.config)
	return e, err
}

// ballastBytes of memory are never read or written, so they cost nothing; but the garbage collector counts them, and
// waits until twice as much is in use. On a table of ordinary size it then hardly runs.
const ballastBytes = 64 << 20

// work starts workers in this process. There are two at least, so that a stage that waits for the disk holds up nobody.
func (e *engine) work(ctx context.Context) error {
	ballast := make([]byte, ballastBytes)
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
	args, err := json.Marshal(summary.Submission{Input: s.document.Input, Ref: *plan.Stages[0].Needs[0].Artifact, Target: s.document.Target, Args: os.Args[1:]})
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
		if err := e.work(ctx); err != nil {
			return err
		}
	}
	r := tasks.Request{RunID: id, Plan: plan, Name: s.name, Tags: s.tagMap(), Mode: e.mode, Submission: args, Versions: versions()}
	if _, err := e.client.Submit(ctx, r); err != nil {
		return err
	}
	s.document.RunID, s.document.Mode, s.document.Status = id, e.mode, pipeline.Running
	if s.detach {
		return s.detached(ctx, e, id)
	}
	p := s.newProgress(plan, id)
	err = s.watch(ctx, e, id, p)
	p.end()
	if err != nil {
		return err
	}
	return s.finish(ctx, e, id)
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
		fmt.Fprintf(s.out, "run %s is submitted\n  producer show %s       how it goes\n  producer events %s -f  what happens\n", id, id, id)
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
				go func() { _ = e.client.Cancel(ctx, id, "interrupted") }()
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
		switch {
		case len(workers) == 0:
			why = "waiting: no worker is alive; start one with `worker --redis URL --store " + e.store.Location() + "`"
		case !slices.ContainsFunc(workers, func(w tasks.WorkerInfo) bool { return w.Store == e.store.ID() }):
			why = fmt.Sprintf("waiting: the %d workers that are alive use another store than %s (id %s)", len(workers), e.store.Location(), e.store.ID())
		}
		if why != told && why != "" {
			p.say(why)
		}
		told = why
	}
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
	d.ReportPath = e.store.RunPath(id, reportDocument)
	if s.outDir != "" {
		if err := s.writeOut(ctx, e.store, r, d, text); err != nil {
			return err
		}
	}
	if !s.json {
		printSummary(s.out, d)
		if d.Error != nil {
			fmt.Fprintln(s.err, "producer: "+sentence(d.Error))
			if d.Error.Hint != "" {
				fmt.Fprintln(s.err, "          "+plain(d.Error.Hint))
			}
		}
	}
	return nil
}
