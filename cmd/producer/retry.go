package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"

	"github.com/spf13/cobra"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/summary"
	"github.com/hashline/hashline/tasks"
)

// afresh finds a run that is over, for a command that makes another of it.
func (s *submission) afresh(ctx context.Context, prefix string) (*resolved, *summary.Submission, error) {
	r, err := s.resolve(ctx, prefix)
	if err != nil {
		return nil, nil, err
	}
	var of summary.Submission
	if err := json.Unmarshal(r.record.Submission, &of); err != nil {
		return nil, nil, usage("run %s was not made by this program", r.record.RunID).WithHint("submit the file again")
	}
	return r, &of, nil
}

func (a *app) retryCommand() *cobra.Command {
	s := &submission{app: a}
	var all, failed, downstream bool
	c := &cobra.Command{
		Use: "retry RUN", Short: "Run a plan again that failed, was canceled or interrupted, as a new run", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRuns(1),
		Long: `Retry submits the plan of a run that is over once more, as a new run that names the old one as its parent. What was computed
is found again, whatever the choice; stages that succeeded are taken over as they are, but with --all.`,
		Example: "  producer retry k3f9\n  producer retry k3f9 --all --redis redis://localhost:6379/0", Annotations: submits,
		RunE: func(c *cobra.Command, args []string) error {
			mode := tasks.RetryFailedDownstream
			switch {
			case all && failed, all && downstream, failed && downstream:
				return usage("--all, --failed and --failed-and-downstream exclude each other")
			case all:
				mode = tasks.RetryAll
			case failed:
				mode = tasks.RetryFailed
			}
			return s.main(c.Context(), "", func(ctx context.Context) error { return s.retry(ctx, args[0], mode) })
		},
	}
	s.runFlags(c)
	c.Flags().BoolVar(&all, "all", false, "every stage again")
	c.Flags().BoolVar(&failed, "failed", false, "the stages that failed or were canceled; what was skipped stays skipped")
	c.Flags().BoolVar(&downstream, "failed-and-downstream", false, "those, and what was skipped (the default)")
	return c
}

// retry makes the run and follows it.
func (s *submission) retry(ctx context.Context, prefix string, mode tasks.RetryMode) error {
	if err := s.check(); err != nil {
		return err
	}
	old, of, err := s.afresh(ctx, prefix)
	if err != nil {
		return err
	}
	if err := s.retryable(old, mode); err != nil {
		return err
	}
	s.document.Input, s.document.Target, s.document.Seed = of.Input, of.Target, old.record.Seed
	plan, err := old.plan(ctx)
	if err != nil {
		return err
	}
	e, err := s.engine(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	if err := s.makeOut(); err != nil {
		return err
	}
	return s.see(ctx, e, plan, of.Ref.Size, func(id string) (string, error) {
		r := tasks.Request{RunID: id, Name: s.name, Mode: e.mode, Versions: versions(), Key: s.key, Priority: s.priority, Timeout: s.timeout, Attempts: s.attempts}
		if len(s.tags) > 0 {
			r.Tags = s.tagMap()
		}
		if old.record.Status == pipeline.Interrupted || old.record.Status == summary.Unknown { // nobody knows how far it came but the cache
			return s.submitAgain(ctx, e, old.record, plan, r)
		}
		return e.client.Retry(ctx, old.record.RunID, mode, r)
	})
}

// submitAgain submits the plan of a run of which nothing is known but its beginning.
func (s *submission) submitAgain(ctx context.Context, e *engine, old *pipeline.RunRecord, plan *pipeline.Plan, r tasks.Request) (string, error) {
	r.Plan, r.Submission, r.Name = plan, old.Submission, cmp.Or(r.Name, old.Name)
	tags := maps.Clone(old.Tags)
	if len(r.Tags) > 0 || tags == nil {
		tags = s.tagMap()
	}
	tags["retry_of"] = old.RunID
	r.Tags = tags
	return e.client.Submit(ctx, r)
}

// retryable refuses runs that have nothing to try again.
func (s *submission) retryable(old *resolved, mode tasks.RetryMode) error {
	id := old.record.RunID
	switch {
	case old.live && old.record.Mode == redisMode && s.redis == "":
		return usage("run %s is not over; its state is in Redis", id).WithHint("give --redis URL")
	case old.live:
		return usage("run %s is not over", id).WithHint("wait for it, or cancel it")
	case old.record.Status == pipeline.Succeeded && mode != tasks.RetryAll:
		return usage("run %s has succeeded", id).WithHint("--all runs every stage again; `producer rerun %s --set KEY=VALUE` changes it", id)
	}
	return nil
}

func (a *app) rerunCommand() *cobra.Command {
	s := &submission{app: a}
	c := &cobra.Command{
		Use: "rerun RUN [--set KEY=VALUE ...]", Short: "Run the pipeline of a run again, on the same table with other parameters", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRuns(1),
		Long: `Rerun submits the table of a run again, from the store, with the flags that the run had and those given now over them: of
--set, the later one goes before; --exclude, --include, --type and --missing add to the lists; --models replaces the list, --search and --pipeline the file. Only
what the change touches is computed. The new run has the tag rerun_of.`,
		Example: "  producer rerun k3f9 --set models.random_forest.trees=300\n  producer rerun k3f9 --seed 7 --only evaluate:random_forest", Annotations: submits,
		RunE: func(c *cobra.Command, args []string) error {
			return s.main(c.Context(), "", func(ctx context.Context) error { return s.rerun(ctx, args[0]) })
		},
	}
	s.flags(c)
	s.partFlags(c)
	s.runFlags(c)
	return c
}

// rerun makes the run and follows it.
func (s *submission) rerun(ctx context.Context, prefix string) error {
	if err := s.check(); err != nil {
		return err
	}
	old, of, err := s.afresh(ctx, prefix)
	if err != nil {
		return err
	}
	if of.Flags == nil {
		return usage("run %s keeps no parameters to change", old.record.RunID).WithHint("submit the file again")
	}
	given, err := shapeOf(s.given, &s.pipelineOptions)
	if err != nil {
		return err
	}
	again, err := s.submissionOf(s.over(of.Shape, given))
	if err != nil {
		return err
	}
	s.pipelineOptions, s.shape = again.pipelineOptions, again.shape
	if s.name == "" {
		s.name = old.record.Name
	}
	s.tags = append(s.tags, "rerun_of="+old.record.RunID)
	return s.runOn(ctx, func(ctx context.Context) (*source, error) {
		blob, err := old.store.Open(ctx, of.Ref)
		if errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) {
			return nil, usage("the table of run %s is gone from the store", old.record.RunID).WithHint("submit the file again")
		}
		if err != nil {
			return nil, err
		}
		src, err := newSource(of.Input.Name, blob, blob.Close)
		if err != nil {
			return nil, errors.Join(err, blob.Close())
		}
		src.builtin = of.Input.BuiltinSample
		return src, nil
	})
}
