package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

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

// Submit stores the plan and the start of the record, creates the run and hands its first stages to the queue. Submitting
// a run id again changes nothing.
func (c *Client) Submit(ctx context.Context, r Request) (string, error) {
	if r.RunID == "" {
		r.RunID = artifact.NewRunID(time.Now())
	}
	text, err := r.Plan.Canonical()
	if err != nil {
		return "", err
	}
	ref, err := c.store.PutBytes(ctx, text, artifact.Durable())
	if err != nil {
		return "", fmt.Errorf("storing the plan: %w", err)
	}
	c.remember(ref, r.Plan)
	args, err := r.args(ref, c.store.ID())
	if err != nil {
		return "", err
	}
	if err := c.start(ctx, r, ref); err != nil {
		return "", err
	}
	err = c.redis.ZAdd(ctx, activeRuns, redis.Z{Score: float64(time.Now().UnixMilli()), Member: r.RunID}).Err()
	if err == nil {
		err = createScript.Run(ctx, c.redis, keys{r.RunID}.all(), args).Err()
	}
	if err == nil {
		err = c.drain(ctx, r.RunID)
	}
	if err != nil {
		return "", unreachable(err, "")
	}
	return r.RunID, nil
}

func (r *Request) args(plan artifact.Ref, store string) (string, error) {
	tags, err := json.Marshal(r.Tags)
	if err != nil {
		return "", err
	}
	versions, err := json.Marshal(r.Versions)
	if err != nil {
		return "", err
	}
	a := createArgs{Meta: map[string]string{"plan": plan.Digest.String(), "plan_bytes": strconv.FormatInt(plan.Size, 10), "store": store, "name": r.Name, "mode": r.Mode,
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
var ErrNoRun = errors.New("Redis knows no such run")

// Watch calls fn for every event of a run behind the one with the id after ("" for all), as they happen, and returns nil
// behind the last event of the run. An error of fn ends it.
func (c *Client) Watch(ctx context.Context, run, after string, fn func(pipeline.Event) error) error {
	if after == "" {
		after = "0"
	}
	stream := keys{run}.name("events")
	for {
		answer, err := c.redis.XRead(ctx, &redis.XReadArgs{Streams: []string{stream, after}, Count: 1000, Block: time.Second}).Result()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, redis.Nil) {
			n, err := c.redis.Exists(ctx, keys{run}.name("meta")).Result()
			if err == nil && n == 0 {
				return ErrNoRun
			}
			continue
		}
		if err != nil {
			return unreachable(err, "")
		}
		for _, s := range answer {
			for _, m := range s.Messages {
				after = m.ID
				e := parseEvent(run, m)
				if err := fn(e); err != nil {
					return err
				}
				if e.EndsRun() {
					return nil
				}
			}
		}
	}
}

// Record returns the record of a run as it stands: live from Redis, or the stored one when it is over.
func (c *Client) Record(ctx context.Context, run string) (*pipeline.RunRecord, error) {
	if b, err := c.store.Run(ctx, run, pipeline.RecordDocument); err == nil {
		return pipeline.ParseRecord(b)
	} else if !errors.Is(err, artifact.ErrNotFound) {
		return nil, err
	}
	s, err := c.load(ctx, run)
	if err != nil {
		return nil, unreachable(err, "")
	}
	if len(s.meta) == 0 {
		return nil, ErrNoRun
	}
	p, err := c.plan(ctx, s.planRef())
	if err != nil {
		return nil, err
	}
	return s.record(p)
}

// Cancel stops a run: what does not run yet is canceled, what runs is told to stop. A run that is over stays as it is.
func (c *Client) Cancel(ctx context.Context, run, reason string) error {
	s, err := c.load(ctx, run)
	if err != nil {
		return unreachable(err, "")
	}
	if len(s.meta) == 0 {
		return ErrNoRun
	}
	p, err := c.plan(ctx, s.planRef())
	if err != nil {
		return err
	}
	names := make([]string, len(p.Stages))
	for i, st := range p.Stages {
		names[i] = st.Name
	}
	list, err := json.Marshal(names)
	if err != nil {
		return err
	}
	answer, err := cancelScript.Run(ctx, c.redis, keys{run}.all(), reason, string(list)).Slice()
	if err != nil {
		return unreachable(err, "")
	}
	if err := c.redis.Publish(ctx, cancelChannel, run).Err(); err != nil {
		return unreachable(err, "")
	}
	if closed(answer) {
		return c.settleRun(ctx, run)
	}
	return nil
}

// Workers returns the workers that are alive.
func (c *Client) Workers(ctx context.Context) ([]WorkerInfo, error) {
	list, err := c.workers(ctx)
	if err != nil {
		return nil, unreachable(err, "")
	}
	return list, nil
}
