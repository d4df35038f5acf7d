// Command producer submits tables to Hashline pipelines, follows the runs, and shows and compares what they made.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// exitInterrupted is the exit code after Ctrl-C.
const exitInterrupted = 130

// app is one invocation: where it reads and writes, and what every command shares.
type app struct {
	in       io.Reader
	out, err io.Writer
	signals  <-chan os.Signal
	stop     context.CancelFunc

	store, redis string // flags
	exit         int    // exit code of a command that ended without an error of its own
}

func run(args []string, in io.Reader, out, stderr io.Writer) int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	a := &app{in: in, out: out, err: stderr, signals: signals, stop: stop}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		return a.fail(err)
	}
	return a.exit
}

// fail tells what went wrong in one sentence, what to do next in another, and returns the exit code.
func (a *app) fail(err error) int {
	if errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.err, "producer: interrupted")
		return exitInterrupted
	}
	e := asError(err)
	fmt.Fprintln(a.err, "producer: "+sentence(e))
	if e.Hint != "" {
		fmt.Fprintln(a.err, "          "+plain(e.Hint))
	}
	return pipeline.ExitCode(e.Class)
}

var errInterrupted = errors.New("interrupted")

// asError classifies an error of a command: what is not known better is a fault of the command line.
func asError(err error) *pipeline.Error {
	if e, ok := errors.AsType[*pipeline.Error](err); ok {
		return e
	}
	e := pipeline.AsError(err)
	switch {
	case errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrAmbiguous):
		e.Class = pipeline.ClassUsage
		e.Hint = "`producer runs` lists the runs of the store"
	case errors.Is(err, artifact.ErrCorrupt):
		e.Class = pipeline.ClassStageFailed
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
	return plain(where + e.Message)
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

Every flag may be given in the environment as HASHLINE_ and its name: HASHLINE_STORE, HASHLINE_REDIS, HASHLINE_TARGET.
Flags go before the environment, and that before the pipeline file.

Exit codes: 0 ok, 1 the run failed, 2 usage or bad input, 3 Redis or the store cannot be reached, 130 interrupted.`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return environment(c.Flags()) },
	}
	c.PersistentFlags().StringVar(&a.store, "store", "", "`directory` of the store (default "+defaultStoreText+")")
	c.PersistentFlags().StringVar(&a.redis, "redis", "", "Redis `URL`: redis://host:port/db, rediss:// or unix:// (default: none, all in this process)")
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usage("%v", err).WithHint("`producer %s --help` lists the flags", strings.TrimSpace(strings.TrimPrefix(c.CommandPath(), "producer")))
	})
	c.AddCommand(a.submitCommand(), a.runsCommand(), a.showCommand(), a.eventsCommand(), a.getCommand(), a.diffCommand(), a.predictCommand(), a.graphCommand(),
		a.initCommand(), a.sampleCommand(), a.monitorCommand(), a.versionCommand())
	c.CompletionOptions.HiddenDefaultCmd = true
	wrapArgs(c)
	return c
}

// wrapArgs makes complaints about arguments usage errors, which cobra does not tell apart from others.
func wrapArgs(c *cobra.Command) {
	for _, sub := range c.Commands() {
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
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage("there is no command %.40q", args[0]).WithHint("`producer --help` lists the commands")
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

// environment fills in flags that were not given from HASHLINE_... .
func environment(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "HASHLINE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		v, ok := os.LookupEnv(name)
		if !ok || v == "" || f.Changed || f.Name == "help" || failed != nil {
			return
		}
		if err := flags.Set(f.Name, v); err != nil {
			failed = usage("%s: %v", name, err)
		}
	})
	return failed
}
