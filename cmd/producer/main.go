// Command producer submits tables to Hashline pipelines, follows the runs, and shows and compares what they made.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// exitInterrupted is the exit code after Ctrl-C.
const exitInterrupted = 130

// app is one invocation: where it reads and writes, and what every command shares.
type app struct {
	args     []string
	in       io.Reader
	out, err io.Writer
	signals  <-chan os.Signal

	store, redis    string // flags
	redisCA, prefix string
	connecting      sync.Mutex // guards connected
	connected       *tasks.Client
	exit            int // exit code of a command that ended without an error of its own
}

func run(args []string, in io.Reader, out, stderr io.Writer) int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	a := &app{args: args, in: in, out: out, err: stderr, signals: signals}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return a.exit
	}
	if a.wantsDocument(root) {
		d := a.rejected("")
		d.Error, d.ExitCode = classify(err)
		if writeJSON(out, d) == nil {
			return d.ExitCode
		}
	}
	return a.fail(err)
}

// wantsDocument reports whether a command line that was not understood is one of `submit --json` and its like, which answer
// with a document whatever happens.
func (a *app) wantsDocument(root *cobra.Command) bool {
	c, rest, err := root.Find(a.args)
	if err != nil || c.Annotations[answersDocument] == "" {
		return false
	}
	text := os.Getenv("HASHLINE_JSON")
	for _, arg := range rest {
		if arg == "--" {
			break
		}
		if arg == "--json" {
			text = "true"
		} else if v, ok := strings.CutPrefix(arg, "--json="); ok {
			text = v
		}
	}
	wants, err := strconv.ParseBool(text)
	return err == nil && wants
}

// leaveOnSignal ends the process at the first signal: right for commands that only read, and write to standard output.
func (a *app) leaveOnSignal() {
	go func() {
		<-a.signals
		fmt.Fprintln(a.err, "producer: interrupted")
		os.Exit(exitInterrupted)
	}()
}

// Annotations of commands.
const (
	handlesSignals  = "signals"  // it says itself what a signal does
	answersDocument = "document" // its --json gives the document of a submission, whatever happens
)

// submits is the annotation of commands that make a run and follow it.
var submits = map[string]string{handlesSignals: "yes", answersDocument: "yes"}

// classify gives an error its class and the exit code of the command.
func classify(err error) (*pipeline.Error, int) {
	if errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled) {
		return &pipeline.Error{Class: pipeline.ClassCanceled, Message: "interrupted"}, exitInterrupted
	}
	e := asError(err)
	return e, pipeline.ExitCode(e.Class)
}

// fail tells what went wrong in one sentence, what to do next in another, and returns the exit code.
func (a *app) fail(err error) int {
	e, code := classify(err)
	a.tell(e)
	return code
}

// tell prints an error and what to do next.
func (a *app) tell(e *pipeline.Error) {
	fmt.Fprintln(a.err, "producer: "+sentence(e))
	if e.Hint != "" {
		fmt.Fprintln(a.err, "          "+plain(e.Hint))
	}
}

var errInterrupted = errors.New("interrupted")

// asError classifies an error of a command: what is not known better is a fault of the program.
func asError(err error) *pipeline.Error {
	e := pipeline.AsError(err)
	if _, ok := errors.AsType[*pipeline.Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrAmbiguous):
		e.Class = pipeline.ClassUsage
		e.Hint = "`producer runs` lists the runs of the store"
	case errors.Is(err, artifact.ErrUnreachable):
		e.Hint = cmp.Or(e.Hint, "check the place of the store, its permissions and its free space; --store names another")
	case errors.Is(err, artifact.ErrCorrupt):
		e.Class = pipeline.ClassStageFailed
		e.Hint = "submit the same file again: what is damaged is computed again"
	case e.Class == pipeline.ClassStageFailed:
		e.Class = pipeline.ClassInternal
	}
	return e
}

// sentence is an error with its place.
func sentence(e *pipeline.Error) string {
	where := ""
	if e.File != "" {
		where = e.File
		if e.Line > 0 {
			where += fmt.Sprintf(":%d", e.Line)
			if e.Column > 0 {
				where += fmt.Sprintf(":%d", e.Column)
			}
		}
		where += ": "
	}
	return plain(where + strings.ReplaceAll(e.Message, "\n", "; "))
}

func usage(format string, args ...any) *pipeline.Error {
	return &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf(format, args...)}
}

func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "producer",
		Short: "Submits tables to machine-learning pipelines and shows what came of them",
		Long: `Producer submits a table to a pipeline: load, clean, explore, split, train a decision tree, a random forest and a
logistic regression in parallel, evaluate, plot. Every stage's output is kept under its SHA-256, nothing is computed
twice, and a run repeats bit for bit.

  producer submit                     the Superstore data that this program carries
  producer submit FILE --target COL   your own table
  producer runs                       what was run

Without --redis everything happens in this process. With it, workers do the work.

The store is a directory, or a bucket: --store 's3://BUCKET/PREFIX?endpoint=http://HOST:PORT&region=NAME', endpoint by
default AWS. Credentials for it come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or the role of the
machine, never from the address.

Every flag may be given in the environment as HASHLINE_ and its name: HASHLINE_STORE, HASHLINE_REDIS, HASHLINE_TARGET.
Flags go before the environment, and that before the pipeline file. HASHLINE_REDIS_USERNAME and HASHLINE_REDIS_PASSWORD are
used where the URL of Redis has neither.

The URL of Redis is redis://host:port/db, redis-sentinel://host,.../db?master=NAME, redis-cluster://host,... or unix:///path;
rediss, rediss-sentinel and rediss-cluster speak TLS. ` + "`worker --help`" + ` says more.

Exit codes: 0 ok, 1 the run failed, 2 usage or bad input, 3 Redis or the store cannot be reached, 130 interrupted.`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if c.Annotations[handlesSignals] == "" {
				a.leaveOnSignal()
			}
			return environment(c.Flags())
		},
	}
	c.PersistentFlags().StringVar(&a.store, "store", "", "`place` of the store: a directory, or s3://BUCKET/PREFIX?endpoint=http://HOST:PORT (default "+defaultStoreText+")")
	c.PersistentFlags().StringVar(&a.redis, "redis", "", "`URL` of Redis, or of its Sentinels or Cluster (default: none, all in this process)")
	c.PersistentFlags().StringVar(&a.redisCA, "redis-ca", "", "PEM `file` with the CA of Redis' certificate (default: the system's)")
	c.PersistentFlags().StringVar(&a.prefix, "redis-prefix", "", "`text` that the names of keys in Redis begin with, as the workers' (default \"hashline\")")
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return flagError("--", err, "`"+c.CommandPath()+" --help` lists the flags")
	})
	c.AddCommand(a.submitCommand(), a.runsCommand(), a.showCommand(), a.eventsCommand(), a.getCommand(), a.diffCommand(), a.predictCommand(), a.exportCommand(), a.graphCommand(),
		a.cancelCommand(), a.retryCommand(), a.rerunCommand(), a.pauseCommand(), a.resumeCommand(), a.approveCommand(), a.logsCommand(), a.poolsCommand(), a.workersCommand(), a.scheduleCommand(),
		a.initCommand(), a.sampleCommand(), a.monitorCommand(), a.versionCommand())
	c.CompletionOptions.HiddenDefaultCmd = true
	wrapArgs(c)
	return c
}

// wrapArgs makes complaints about arguments usage errors, which cobra does not tell apart from others.
func wrapArgs(c *cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.HasSubCommands() {
			wrapArgs(sub)
			continue
		}
		check := sub.Args
		sub.Args = func(c *cobra.Command, args []string) error {
			if check == nil {
				return nil
			}
			if err := check(c, args); err != nil {
				return usage("%v", err).WithHint("usage: %s", c.UseLine())
			}
			return nil
		}
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage("there is no command %.40q", args[0]).WithHint("`%s --help` lists the commands", c.CommandPath())
		}
		return nil
	}
	if c.RunE == nil {
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
}

// environment fills in flags that were not given from HASHLINE_... .
func environment(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		v := os.Getenv(variable(f.Name))
		if v == "" || f.Changed || f.Name == "help" || failed != nil {
			return
		}
		if err := flags.Set(f.Name, v); err != nil {
			failed = flagError("HASHLINE_", err, "it is an environment variable")
		}
	})
	return failed
}

// wanted says what a flag of a type takes.
var wanted = map[string]string{"uint64": "want a whole number from 0 to 18446744073709551615", "int": "want a whole number", "int64": "want a whole number",
	"float64": "want a number", "bool": "want true or false", "duration": "want a duration such as 20s"}

// flagError is a complaint of the flag library in our words.
func flagError(prefix string, err error, hint string) *pipeline.Error {
	v, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return usage("%v", err).WithHint("%s", hint)
	}
	name := prefix + v.GetFlag().Name
	if prefix != "--" {
		name = variable(v.GetFlag().Name)
	}
	if w := wanted[v.GetFlag().Value.Type()]; w != "" {
		hint = w
	}
	return usage("%s is %.60q", name, v.GetValue()).WithHint("%s", hint)
}

// variable is the environment variable that stands for a flag.
func variable(flag string) string {
	return "HASHLINE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}
