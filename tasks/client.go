package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// Client submits and follows runs. It is safe for concurrent use.
type Client struct{ *core }

// NewClient makes a client. Its Config needs no Registry.
func NewClient(c Config) (*Client, error) {
	k, err := newCore(c)
	if err != nil {
		return nil, err
	}
	return &Client{k}, nil
}

// Request is a run to be.
type Request struct {
	RunID      string         // empty: made up
	Plan       *pipeline.Plan // validated by the caller's registry
	Name       string
	Tags       map[string]string
	Mode       string            // for the record: embedded or redis
	Submission json.RawMessage   // kept with the run
	Attempts   int               // how often a stage that fails may be tried; 0 means once. Bad input is never tried again
	Versions   map[string]string // kept with the run
}

// createArgs is the argument of createScript.
type createArgs struct {
	Meta   map[string]string `json:"meta"`
	Stages []stageArgs       `json:"stages"`
}

type stageArgs struct {
	Name string `json:"name"`
	Need int    `json:"need"`
	Down string `json:"down"` // JSON list
}

// Submit stores the plan and the start of the record durably, creates the run and hands its first stages to the queue.
// Submitting a run id again changes nothing. A plan without a shape that can end is an error of class usage.
func (c *Client) Submit(ctx context.Context, r Request) (string, error) {
	if err := checkShape(r.Plan); err != nil {
		return "", &pipeline.Error{Class: pipeline.ClassUsage, Message: err.Error()}
	}
	if r.RunID == "" {
		r.RunID = artifact.NewRunID(time.Now())
	}
	text, err := r.Plan.Canonical()
	if err != nil {
		return "", err
	}
	ref := artifact.Ref{Digest: artifact.DigestOf(text), Size: int64(len(text))}
	if _, err := c.parsePlan(ref, text); err != nil {
		return "", err
	}
	if n, err := c.redis.Exists(ctx, c.keys(r.RunID).name("meta")).Result(); err != nil {
		return "", unreachable(err, "")
	} else if n == 0 {
		if err := c.create(ctx, r, ref, text); err != nil {
			return "", err
		}
	}
	if err := c.drain(ctx, r.RunID); err != nil {
		c.log.Warn("handing the first stages to the queue; a worker will", "run", r.RunID, "error", err) // the run exists
	}
	return r.RunID, nil
}

// create stores what a run needs and makes its state.
func (c *Client) create(ctx context.Context, r Request, ref artifact.Ref, text []byte) error {
	args, err := r.args(ref, c.store.ID(), c.queue)
	if err != nil {
		return err
	}
	var group errgroup.Group // two syncs at once cost one
	group.Go(func() error {
		if _, err := c.store.PutBytes(ctx, text, artifact.Durable()); err != nil {
			return fmt.Errorf("storing the plan: %w", err)
		}
		return nil
	})
	group.Go(func() error { return c.start(ctx, r, ref) })
	if err := group.Wait(); err != nil {
		return err
	}
	now, err := c.redis.Time(ctx).Result()
	if err == nil {
		err = c.durably(ctx, c.key.activeRuns(), func(server redis.Cmdable) error {
			return server.ZAdd(ctx, c.key.activeRuns(), redis.Z{Score: float64(now.UnixMilli()), Member: r.RunID}).Err()
		})
	}
	if err == nil {
		k := c.keys(r.RunID)
		err = c.durably(ctx, k.name("meta"), func(server redis.Cmdable) error { return createScript.Run(ctx, server, k.all(), args).Err() })
	}
	if err != nil {
		return unreachable(err, "")
	}
	return nil
}

func (r *Request) args(plan artifact.Ref, store, queue string) (string, error) {
	tags, err := json.Marshal(r.Tags)
	if err != nil {
		return "", err
	}
	versions, err := json.Marshal(r.Versions)
	if err != nil {
		return "", err
	}
	a := createArgs{Meta: map[string]string{"plan": plan.Digest.String(), "plan_bytes": strconv.FormatInt(plan.Size, 10), "store": store, "queue": queue, "attempts": strconv.Itoa(max(1, r.Attempts)), "name": r.Name, "mode": r.Mode,
		"tags": string(tags), "versions": string(versions), "submission": string(r.Submission)}}
	down := map[string][]string{}
	for _, s := range r.Plan.Stages {
		for _, up := range s.Upstream() {
			down[up] = append(down[up], s.Name)
		}
	}
	for _, s := range r.Plan.Stages {
		list := down[s.Name]
		if list == nil {
			list = []string{}
		}
		b, err := json.Marshal(list)
		if err != nil {
			return "", err
		}
		a.Stages = append(a.Stages, stageArgs{s.Name, len(s.Upstream()), string(b)})
	}
	b, err := json.Marshal(a)
	return string(b), err
}

// start stores the record as it is before the first stage.
func (c *Client) start(ctx context.Context, r Request, plan artifact.Ref) error {
	record := pipeline.RunRecord{Schema: pipeline.RunSchema, RunID: r.RunID, Name: r.Name, Tags: r.Tags, Status: pipeline.Running, Mode: r.Mode, StoreID: c.store.ID(),
		CreatedAt: time.Now().UTC(), Plan: plan, Seed: r.Plan.Seed, Submission: r.Submission, Versions: r.Versions, Warnings: []artifact.Warning{}}
	for _, s := range r.Plan.Stages {
		record.Stages = append(record.Stages, pipeline.StageRecord{Name: s.Name, Kind: s.Kind, Status: pipeline.Pending, Needs: s.Upstream(), Outputs: []artifact.Output{}})
	}
	b, err := record.MarshalIndented()
	if err != nil {
		return err
	}
	return c.store.PutRun(ctx, r.RunID, pipeline.StartedDocument, b)
}

// ErrNoRun says that Redis knows no such run.
var ErrNoRun = errors.New("no such run in Redis")

// forgotten is ErrNoRun for somebody who waits for the run.
func forgotten(run string) error {
	e := &pipeline.Error{Class: pipeline.ClassUnreachable, Message: "Redis does not know the run " + run + ": it was emptied, restarted without its data, or is another one"}
	return fmt.Errorf("%w: %w", ErrNoRun, e.WithHint("submit again: the stages that finished are in the store and are reused"))
}

// Record returns the record of a run as it stands: live from Redis, or the stored one when it is over.
func (c *Client) Record(ctx context.Context, run string) (*pipeline.RunRecord, error) {
	b, unread := c.store.Run(ctx, run, pipeline.RecordDocument)
	if unread == nil {
		return pipeline.ParseRecord(b)
	}
	if !errors.Is(unread, artifact.ErrNotFound) && !errors.Is(unread, artifact.ErrCorrupt) {
		return nil, unread
	}
	s, err := c.load(ctx, run)
	if err != nil {
		return nil, unreachable(err, "")
	}
	if len(s.meta) == 0 && errors.Is(unread, artifact.ErrCorrupt) {
		return nil, unread
	}
	if len(s.meta) == 0 {
		return nil, forgotten(run)
	}
	p, err := c.outline(ctx, run, s.planRef())
	if err != nil {
		return nil, err
	}
	return s.record(p)
}

// Cancel stops a run: what does not run yet is canceled, what runs is told to stop within milliseconds. A run that is over
// stays as it is.
func (c *Client) Cancel(ctx context.Context, run, reason string) error {
	n, err := c.redis.Exists(ctx, c.keys(run).name("meta")).Result()
	if err != nil {
		return unreachable(err, "")
	}
	if n == 0 {
		return forgotten(run)
	}
	list, err := c.workers(ctx)
	if err != nil {
		return unreachable(err, "")
	}
	ids := make([]string, len(list))
	for i, w := range list {
		ids[i] = w.ID
	}
	alive, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	if err := cancelScript.Run(ctx, c.redis, c.keys(run).all(), clip(reason), string(alive)).Err(); err != nil {
		return unreachable(err, "")
	}
	if err := c.redis.Publish(ctx, c.key.cancelChannel(), run).Err(); err != nil {
		c.log.Warn("telling workers of the cancel; their next heartbeat will", "run", run, "error", err)
	}
	return c.settleRun(ctx, run) // does nothing while a stage still runs
}

// Workers returns the workers that are alive.
func (c *Client) Workers(ctx context.Context) ([]WorkerInfo, error) {
	list, err := c.workers(ctx)
	if err != nil {
		return nil, unreachable(err, "")
	}
	return list, nil
}
