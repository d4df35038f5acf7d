package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hashline/hashline/tasks"
)

// scheduleRow is a schedule for other programs. Durations are seconds.
type scheduleRow struct {
	Name        string          `json:"name"`
	State       string          `json:"state"` // active or paused
	Cron        string          `json:"cron"`
	Zone        string          `json:"zone"`
	Missed      string          `json:"missed"`
	MissedLimit int             `json:"missed_limit"`
	GraceS      float64         `json:"grace_s"`
	Watch       string          `json:"watch"`
	Match       string          `json:"match"`
	EveryS      float64         `json:"every_s"`
	SettleS     float64         `json:"settle_s"`
	NewOnly     bool            `json:"new_only"`
	Queue       string          `json:"queue"`
	CreatedAt   *time.Time      `json:"created_at"`
	NextAt      *time.Time      `json:"next_at"`
	Pending     int             `json:"pending"`
	Problem     string          `json:"problem"`
	Submission  json.RawMessage `json:"submission"`
}

func newScheduleRow(s tasks.ScheduleState) scheduleRow {
	r := scheduleRow{Name: s.Name, State: "active", Cron: s.Cron, Zone: s.Zone, Queue: s.Queue, Pending: s.Pending, Problem: s.Problem, Submission: s.Submission, CreatedAt: optional(s.Created), NextAt: optional(s.Next)}
	if s.Paused {
		r.State = "paused"
	}
	if len(r.Submission) == 0 {
		r.Submission = json.RawMessage("null")
	}
	if w := s.Watch; w != nil {
		r.Watch, r.Match, r.EveryS, r.SettleS, r.NewOnly = w.Path, w.Match, w.Every.Seconds(), w.Settle.Seconds(), w.NewOnly
	} else {
		r.Missed, r.MissedLimit, r.GraceS = s.Missed, s.MissedLimit, s.Grace.Seconds()
	}
	return r
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (a *app) scheduleListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the schedules", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := a.schedules(c.Context())
			if err != nil {
				return err
			}
			states, err := list.List(c.Context())
			if err != nil {
				return err
			}
			alive, err := list.Schedulers(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				rows := []scheduleRow{}
				for _, s := range states {
					rows = append(rows, newScheduleRow(s))
				}
				if alive == nil {
					alive = []tasks.SchedulerInfo{}
				}
				return writeJSON(a.out, map[string]any{"schema": "hashline.schedules/1", "schedules": rows, "schedulers": alive})
			}
			if len(states) == 0 {
				fmt.Fprintln(a.out, "there are no schedules; `producer schedule add` makes one")
				return nil
			}
			t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "NAME\tSTATE\tWHEN\tNEXT\tPENDING\tPROBLEM")
			for _, s := range states {
				r := newScheduleRow(s)
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", plain(r.Name), r.State, when(s.Schedule), inZone(s.Next, s.Zone), r.Pending, short(plain(r.Problem), 60))
			}
			if err := t.Flush(); err != nil {
				return err
			}
			return a.tellSchedulers(c.Context(), list, states)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

// when says in a few words when a schedule has ticks.
func when(s tasks.Schedule) string {
	if s.Watch != nil {
		text := "new in " + s.Watch.Path
		if s.Watch.Match != "" {
			text += ": " + s.Watch.Match
		}
		return plain(text)
	}
	if s.Zone != "" {
		return plain(s.Cron + " in " + s.Zone)
	}
	return plain(s.Cron)
}

// inZone shows a moment as the clocks of a zone do.
func inZone(t time.Time, zone string) string {
	if t.IsZero() {
		return ""
	}
	if l, err := time.LoadLocation(zone); err == nil {
		t = t.In(l)
	}
	return t.Format("2006-01-02 15:04:05 MST")
}

func (a *app) scheduleShowCommand() *cobra.Command {
	var asJSON bool
	var limit int
	c := &cobra.Command{
		Use: "show NAME", Short: "Show a schedule, its next ticks, and what became of the latest", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeSchedules(1),
		RunE: func(c *cobra.Command, args []string) error {
			if limit < 0 {
				return usage("--limit is %d", limit).WithHint("want a number of ticks, or 0 for all")
			}
			list, err := a.schedules(c.Context())
			if err != nil {
				return err
			}
			state, err := list.Get(c.Context(), args[0])
			if err != nil {
				return err
			}
			ticks, err := list.Ticks(c.Context(), args[0], limit)
			if err != nil {
				return err
			}
			if asJSON {
				next := []time.Time{}
				if !state.Paused {
					if more, err := state.Schedule.Next(time.Now(), 5); err == nil {
						next = append(next, more...)
					}
				}
				return writeJSON(a.out, map[string]any{"schema": "hashline.schedule/1", "schedule": newScheduleRow(*state), "next": next, "ticks": ticks})
			}
			a.printSchedule(state)
			if err := a.tellNext(state); err != nil {
				return err
			}
			if err := a.printTicks(ticks, state.Zone); err != nil {
				return err
			}
			return a.tellSchedulers(c.Context(), list, []tasks.ScheduleState{*state})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	c.Flags().IntVarP(&limit, "limit", "n", 20, "`number` of ticks at most; 0 for all")
	return c
}

func (a *app) printSchedule(s *tasks.ScheduleState) {
	r := newScheduleRow(*s)
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, plain(value))
		}
	}
	line("name", r.Name)
	line("state", r.State)
	line("when", when(s.Schedule))
	if s.Watch == nil {
		line("missed", fmt.Sprintf("%s, after %v", r.Missed, s.Grace))
	} else {
		line("looks", fmt.Sprintf("every %v; a file settles for %v", s.Watch.Every, s.Watch.Settle))
	}
	var sub scheduled
	if json.Unmarshal(s.Submission, &sub) == nil {
		line("file", sub.File)
		for _, f := range sub.Flags {
			line("flag", f)
		}
		line("pipeline", sub.PipelineName)
	}
	line("queue", r.Queue)
	if r.Pending > 0 {
		line("pending", counted(r.Pending, "tick"))
	}
	line("problem", r.Problem)
	_ = t.Flush()
}

// tellNext says when the next ticks are.
func (a *app) tellNext(s *tasks.ScheduleState) error {
	switch {
	case s.Paused:
		_, err := fmt.Fprintf(a.out, "schedule %s is paused\n", plain(s.Name))
		return err
	case s.Watch != nil:
		_, err := fmt.Fprintf(a.out, "schedule %s submits what is %s\n", plain(s.Name), when(s.Schedule))
		return err
	}
	next, err := s.Schedule.Next(time.Now(), 3)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "schedule %s comes next at\n", plain(s.Name))
	for _, t := range next {
		fmt.Fprintf(a.out, "  %s\n", inZone(t, s.Zone))
	}
	return nil
}

func (a *app) printTicks(ticks []tasks.TickRecord, zone string) error {
	if len(ticks) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TICK\tCAUSE\tSTATUS\tRUN\tWHY")
	for _, r := range ticks {
		why := r.Message
		switch {
		case r.Status == tasks.TickSkipped:
			why = "missed, until " + inZone(r.Until, zone)
		case why == "":
			why = r.Path
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", inZone(r.Time, zone), plain(r.Cause), plain(r.Status), plain(r.Run), short(plain(why), 100))
	}
	return t.Flush()
}

func (a *app) tellSchedulersOf(ctx context.Context, list *tasks.Schedules, name string) error {
	state, err := list.Get(ctx, name)
	if err != nil {
		return err
	}
	return a.tellSchedulers(ctx, list, []tasks.ScheduleState{*state})
}

// tellSchedulers says so when nobody alive submits what schedules ask for.
func (a *app) tellSchedulers(ctx context.Context, list *tasks.Schedules, states []tasks.ScheduleState) error {
	alive, err := list.Schedulers(ctx)
	if err != nil {
		return err
	}
	for _, s := range states {
		if s.Store == "" || slices.ContainsFunc(alive, func(i tasks.SchedulerInfo) bool { return i.Store == s.Store && i.Queue == s.Queue }) {
			continue
		}
		command := "producer schedule run --redis URL"
		if s.Queue != tasks.DefaultQueue {
			command += " --queue " + plain(s.Queue)
		}
		fmt.Fprintf(a.err, "producer: no scheduler of the store %s and the queue %s is alive\n          start one with `%s`, and the --store of the schedule\n", plain(s.Store), plain(s.Queue), command)
		return nil
	}
	return nil
}
