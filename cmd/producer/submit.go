package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/summary"
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
	only, from   []string
	key          string
	priority     int
	attempts     int
	timeout      time.Duration

	given    *pflag.FlagSet // the command's flags; nil of a schedule's
	shape    summary.Shape  // those that shape the plan
	path     string         // of the input, for messages
	document *summary.Document
}

func (a *app) submitCommand() *cobra.Command {
	s := &submission{app: a}
	c := &cobra.Command{
		Use:   "submit [FILE|-]",
		Short: "Run the pipeline on a table; without FILE, on the Superstore data that the program carries",
		Long: `Submit streams a CSV or TSV file into the store and runs the pipeline on it: in this process, or with --redis by
workers. Progress goes to standard error, the summary to standard output; the report lies where the summary says.

The target is a column with classes, a comparison on a numeric column ("Profit > 0"), several thresholds on one
("Profit < 0 | Profit < 100"), which make ordered classes, or one value against all others ("status == churned"). An
exact column name wins; else the text is split at its last operator. Of two classes the last is the positive one, whose
precision, recall and F1 are shown: true of a comparison, yes of yes and no, else the last in the alphabet.

A column of numbers of which the file's first part has more than 20 is predicted as a number, which is a regression: with
ridge in the place of logistic_regression, a random split, and RMSE, MAE and R² for figures. --set task=regression asks for
it where there are fewer, --set task=classification for a class of each number, up to 100.

With --cv every model is also cross-validated, on the training part alone: the test part judges the models, and no fold
sees it. The folds follow --split: classes shared out evenly, groups kept together, or each later than what is learned from.

With --search the settings in a file are tried first: each candidate is cross-validated on the training part, and each model
trained with the settings that did best; only the models of the file are. It is a grid, every combination of lists of
values, or with kind: random so many samples, also from distributions (at most 1000 candidates in all):

  kind: random
  samples: 20
  scoring: log_loss             # default roc_auc, of numbers rmse
  models:
    random_forest:
      max_features: [sqrt, 0.3, 0.5, 1]
      min_samples_leaf: {low: 1, high: 50, log: true}

With --explain the best model of trees is explained by SHAP values (of 200 rows of the test part) and by partial dependence on
the features that matter most; boosting by its score, the logarithm of the odds. That takes seconds.

Limits: 10000 columns, 16 MB for a record. A row with another number of fields than the header is left out and
reported; more than 10 such rows that are also more than 1 % of all stop the run. Texts that stand for a missing value
are the empty one and ` + strings.Join(csv.MissingTexts, ", ") + `.`,
		Example: `  producer submit
  producer submit superstore.csv --split 'group:Order ID'
  producer submit churn.csv --target churned --cv 5
  producer submit churn.csv --target churned --search forests.yaml
  producer submit houses.csv --target price --models random_forest,gradient_boosting,ridge
  producer submit churn.csv --target churned --exclude 'customer note' --out results
  producer submit sales.csv --target 'Profit > 0' --set models.random_forest.trees=300 --redis redis://localhost:6379/0`,
		Args: cobra.MaximumNArgs(1), Annotations: submits,
		RunE: func(c *cobra.Command, args []string) error {
			path := ""
			if len(args) == 1 {
				path = args[0]
				if path == "" {
					return usage("the file name is empty").WithHint("leave it out to run the Superstore data")
				}
			}
			return s.main(c.Context(), path, func(ctx context.Context) error { return s.run(ctx, path) })
		},
	}
	s.flags(c)
	s.partFlags(c)
	s.runFlags(c)
	return c
}

// runFlags are the flags of commands that make a run and follow it.
func (s *submission) runFlags(c *cobra.Command) {
	s.given = c.Flags()
	f := c.Flags()
	f.StringVar(&s.outDir, "out", "", "`directory` to write report, plots, metrics and models to")
	f.BoolVar(&s.png, "png", false, "write plots as PNG too (needs --out)")
	f.StringVar(&s.queue, "queue", "", "`name` of the queue that the workers listen to (needs --redis; default \"hashline\")")
	f.BoolVar(&s.detach, "detach", false, "do not wait for the run (needs --redis)")
	f.StringVar(&s.name, "name", "", "a `name` for the run")
	f.StringArrayVar(&s.tags, "tag", nil, "`KEY=VALUE` to keep with the run (repeatable)")
	f.BoolVar(&s.json, "json", false, "print one JSON document instead of the summary, also on failure")
	f.BoolVarP(&s.quiet, "quiet", "q", false, "no progress")
	f.IntVar(&s.priority, "priority", 0, "`number` from -100 to 100: stages of runs of a higher one go first")
	f.DurationVar(&s.timeout, "timeout", 0, "`duration` after which the run fails, and what runs is canceled (default none)")
	f.IntVar(&s.attempts, "max-attempts", 1, "`number` of times that a stage may be tried which fails for another reason than bad input")
	f.StringVar(&s.key, "key", "", "`text` of yours that stands for the run: submitting it again is the same run (needs --redis)")
}

// partFlags choose a part of the plan.
func (s *submission) partFlags(c *cobra.Command) {
	c.Flags().StringSliceVar(&s.only, "only", nil, "only these `stages` and what they need, separated by commas; `producer graph` lists them")
	c.Flags().StringSliceVar(&s.from, "from", nil, "these `stages`, everything downstream of them, and what that needs")
}

// main runs the submission and prints its document or summary, whatever comes of it.
func (s *submission) main(ctx context.Context, path string, run func(context.Context) error) error {
	d := s.rejected(path)
	d.Seed, d.Name, d.Tags = s.seed, s.name, s.tagMap()
	s.document = d
	start := time.Now()
	err := run(ctx)
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
	var err error
	if s.shape, err = shapeOf(s.given, &s.pipelineOptions); err != nil {
		return err
	}
	return s.runOn(ctx, func(ctx context.Context) (*source, error) { return s.openSource(ctx, path) })
}

// runOn runs the pipeline on a table.
func (s *submission) runOn(ctx context.Context, open func(context.Context) (*source, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ingesting, stopWaiting := s.interruptible(ctx)
	defer stopWaiting()
	src, err := open(ingesting)
	if err != nil {
		return interrupted(ingesting, err)
	}
	defer src.close()
	spec, err := s.look(src)
	if err != nil {
		return err
	}
	engine, err := s.engine(ingesting)
	if err != nil {
		return interrupted(ingesting, err)
	}
	defer engine.close()
	plan, err := s.plan(ingesting, src, spec, engine.store, engine.registry)
	if err != nil {
		return interrupted(ingesting, err)
	}
	if err := s.makeOut(); err != nil {
		return err
	}
	stopWaiting()
	return s.follow(ctx, engine, plan)
}

// look finds out what the table has and the pipeline makes of it, before anything is stored.
func (s *submission) look(src *source) (*stages.Spec, error) {
	s.path = src.name
	s.document.Input = summary.Input{Name: filepath.Base(src.name), BuiltinSample: src.builtin}
	spec, report, err := s.spec(src)
	if err != nil {
		return nil, err
	}
	s.document.Seed, s.document.Input.Columns = spec.Seed, summary.Count(len(report.Columns))
	return spec, nil
}

// plan stores the table and makes the plan for it.
func (s *submission) plan(ctx context.Context, src *source, spec *stages.Spec, store *artifact.Store, registry *pipeline.Registry) (*pipeline.Plan, error) {
	ref, err := src.put(ctx, store)
	if err != nil {
		return nil, err
	}
	s.document.Input.SHA256, s.document.Input.Bytes = summary.Text(ref.Digest.String()), &ref.Size
	plan, err := spec.Build(ref)
	if err != nil {
		return nil, err
	}
	if err := plan.Validate(registry); err != nil {
		return nil, usage("%v", err).WithHint("`producer init` writes a file that explains every field")
	}
	switch {
	case len(s.only) > 0:
		return plan.Only(s.only...)
	case len(s.from) > 0:
		return plan.From(s.from...)
	}
	return plan, nil
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
	case s.key != "" && s.redis == "":
		return usage("--key needs --redis").WithHint("without Redis nothing is left of a run but its results, which are found again anyway")
	case s.empty("only", s.only):
		return usage("--only is empty").WithHint("`producer graph` lists the stages; leave it out to run all")
	case s.empty("from", s.from):
		return usage("--from is empty").WithHint("`producer graph` lists the stages; leave it out to run all")
	case len(s.only) > 0 && len(s.from) > 0:
		return usage("--only does not go with --from").WithHint("--only ends with the stages that it names, --from begins with them")
	case s.attempts < 1:
		return usage("--max-attempts is %d", s.attempts).WithHint("want 1 or more")
	case s.priority < -100 || s.priority > 100:
		return usage("--priority is %d", s.priority).WithHint("want -100 to 100")
	case s.timeout < 0:
		return usage("--timeout is %v", s.timeout).WithHint("want a duration such as 10m, or 0 for none")
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

// empty reports whether a list was given that has nothing: a variable of a script, perhaps, that should have had something.
func (s *submission) empty(flag string, list []string) bool {
	return len(list) == 0 && s.given != nil && s.given.Changed(flag)
}

func (s *submission) tagMap() map[string]string {
	tags := map[string]string{}
	for _, t := range s.tags {
		k, v, _ := strings.Cut(t, "=")
		tags[k] = v
	}
	return tags
}
