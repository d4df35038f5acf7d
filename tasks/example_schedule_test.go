package tasks_test

import (
	"context"
	"fmt"
	"time"

	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/tasks"
)

// A schedule has a run for each of its ticks, however many schedulers there are. Those of the past are made up for by a
// backfill; where clocks are changed, a time that is left out comes at the change.
func ExampleScheduler() {
	client, registry, end := start(tasks.Config{}, give)
	defer end()
	ctx, stop := context.WithCancel(context.Background())
	schedules := client.Schedules()
	check(schedules.Add(ctx, tasks.Schedule{Name: "nightly", Cron: "30 2 * * *", Zone: "Europe/Berlin", Submission: []byte(`{"N": 7}`)}))

	told := make(chan tasks.TickRecord, 10)
	scheduler := must(tasks.NewScheduler(client, tasks.SchedulerOptions{
		Submit: func(_ context.Context, t tasks.Tick) (tasks.Request, error) {
			plan, err := pipeline.NewPlan(registry, pipeline.Stage{Name: "give", Kind: "give", Params: t.Schedule.Submission})
			return tasks.Request{Plan: plan, Name: t.Time.Format("report of 2 January")}, err
		},
		Told: func(_ tasks.Schedule, r tasks.TickRecord) { told <- r },
	}))
	done := make(chan error, 1)
	go func() { done <- scheduler.Run(ctx) }()

	from := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
	queued, present, err := schedules.Backfill(ctx, "nightly", from, from.AddDate(0, 0, 3))
	check(err)
	fmt.Println(queued, present)
	names := map[string]string{}
	for range queued {
		r := <-told
		names[r.Time.Format(time.RFC3339)] = must(client.Wait(ctx, r.Run)).Name
	}
	fmt.Println(names)
	fmt.Println(schedules.Backfill(ctx, "nightly", from, from.AddDate(0, 0, 3)))
	stop()
	check(<-done)
	// Output:
	// 3 0
	// map[2026-03-28T01:30:00Z:report of 28 March 2026-03-29T01:00:00Z:report of 29 March 2026-03-30T00:30:00Z:report of 30 March]
	// 0 3 <nil>
}
