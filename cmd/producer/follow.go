package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/report"
	"github.com/hashline/hashline/summary"
	"github.com/hashline/hashline/tasks"
)

// follow submits the plan, shows what happens, and tells how it ended.
func (s *submission) follow(ctx context.Context, e *engine, plan *pipeline.Plan) error {
	r, err := s.request(plan, e.mode)
	if err != nil {
		return err
	}
	return s.see(ctx, e, plan, plan.Stages[0].Needs[0].Artifact.Size, func(id string) (string, error) {
		r.RunID = id
		return e.client.Submit(ctx, r)
	})
}

// see makes a run, shows what happens, and tells how it ended. size is that of the table.
func (s *submission) see(ctx context.Context, e *engine, plan *pipeline.Plan, size int64, submit func(id string) (string, error)) error {
	id := artifact.NewRunID(time.Now())
	if e.mode == embeddedMode {
		release, err := e.store.Lock(ctx, lockName(id))
		if err != nil {
			return err
		}
		defer release()
		if err := e.work(ctx, size); err != nil {
			return err
		}
	}
	made := id
	id, err := submit(id)
	if err != nil {
		return err
	}
	if id != made {
		if err := s.tellOfAnother(ctx, e, plan, id); err != nil {
			return err
		}
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

// tellOfAnother warns of a key that stands for a run of another plan already.
func (s *submission) tellOfAnother(ctx context.Context, e *engine, plan *pipeline.Plan, id string) error {
	text, err := plan.Canonical()
	if err != nil {
		return err
	}
	r, err := e.client.Record(ctx, id)
	if err != nil {
		return err
	}
	if r.Plan.Digest != artifact.DigestOf(text) {
		fmt.Fprintf(s.err, "producer: warning: the key %s stands for run %s, of another table or pipeline, and that is what you see\n", plain(fmt.Sprintf("%.60q", s.key)), id)
	}
	return nil
}

// request is what is submitted.
func (s *submission) request(plan *pipeline.Plan, mode string) (tasks.Request, error) {
	kept, err := json.Marshal(summary.Submission{Input: s.document.Input, Ref: *plan.Stages[0].Needs[0].Artifact, Target: s.document.Target, Args: recordedArgs(s.args), Shape: s.shape})
	return tasks.Request{Plan: plan, Name: s.name, Tags: s.tagMap(), Mode: mode, Submission: kept, Versions: versions(),
		Key: s.key, Priority: s.priority, Timeout: s.timeout, Attempts: s.attempts}, err
}

// recordedArgs is the command line as a run keeps it: where Redis is, and its password, are nobody else's business.
func recordedArgs(args []string) []string {
	kept := slices.Clone(args)
	for i, a := range kept {
		switch {
		case strings.HasPrefix(a, "--redis="):
			kept[i] = "--redis=URL"
		case strings.HasPrefix(a, "--redis-ca="):
			kept[i] = "--redis-ca=FILE"
		case i > 0 && args[i-1] == "--redis":
			kept[i] = "URL"
		case i > 0 && args[i-1] == "--redis-ca":
			kept[i] = "FILE"
		}
	}
	return kept
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
	go s.cancelOnSignal(ctx, leave, e, id, p)
	if e.mode == redisMode && !s.quiet {
		go s.tellWhyItWaits(ctx, e, p)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- e.client.Watch(ctx, id, "", func(ev pipeline.Event) error {
			p.event(ev)
			return nil
		})
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done(): // a Redis that is silent would keep Watch waiting
		return context.Cause(ctx)
	}
}

// cancelOnSignal cancels the run at the first signal and leaves at the second, until ctx ends.
func (s *submission) cancelOnSignal(ctx context.Context, leave context.CancelCauseFunc, e *engine, id string, p *progress) {
	canceling := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.signals:
		}
		if canceling {
			leave(errInterrupted)
			return
		}
		canceling = true
		p.say("canceling the run; once more to leave at once")
		go cancelUntil(ctx, func() error { return e.client.Cancel(ctx, id, "interrupted") })
	}
}

// cancelUntil cancels again and again: a stage whose worker died a moment ago can only be ended when that is known.
func cancelUntil(ctx context.Context, cancel func() error) {
	t := time.NewTicker(2 * time.Second)
	defer t.Stop()
	for {
		_ = cancel() // the run's end, or its going on, is seen by who watches it
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// tellWhyItWaits says so when no living worker can run the stages.
func (s *submission) tellWhyItWaits(ctx context.Context, e *engine, p *progress) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		workers, err := e.client.Workers(ctx)
		if err != nil {
			continue
		}
		why := ""
		listens := func(w tasks.WorkerInfo) bool { return w.Queue == cmp.Or(s.queue, tasks.DefaultQueue) }
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
	if s.prefix != "" {
		line += " --redis-prefix " + csv.ShellQuote(s.prefix)
	}
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
	d.ReportPath = summary.Text(e.store.RunLocation(id, reportDocument))
	if s.outDir != "" {
		if err := s.writeOut(ctx, e.store, r, d, text); err != nil {
			return err
		}
	}
	if !s.json {
		return s.tellOutcome(d)
	}
	return nil
}

// tellOutcome prints the summary and what went wrong. That it cannot be printed matters if nothing else did.
func (s *submission) tellOutcome(d *summary.Document) error {
	var text bytes.Buffer
	printSummary(&text, d)
	_, err := s.out.Write(text.Bytes())
	if d.Error != nil {
		s.tell(d.Error)
		return nil
	}
	return err
}
