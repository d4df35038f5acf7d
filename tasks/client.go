package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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
	Key        string         // of the client's: submitting with the same key again is the same run, for as long as the state is kept
	Plan       *pipeline.Plan // validated by the caller's registry
	Name       string
	Tags       map[string]string
	Mode       string            // for the record: embedded or redis
	Submission json.RawMessage   // kept with the run
	Attempts   int               // how often a stage that fails may be tried where the plan does not say; 0 means once. Bad input is never tried again
	Priority   int               // -100 to 100: stages of runs of a higher one go first
	Timeout    time.Duration     // after which the run fails and what runs is canceled; 0: none
	Versions   map[string]string // kept with the run

	parent  string             // the run that this one tries again
	carried map[string]carried // by stage: what is taken over from it
}

// createArgs is the argument of createScript.
type createArgs struct {
	Meta   map[string]string `json:"meta"`
	Stages []stageArgs       `json:"stages"`
}

// Submit stores the plan and the start of the record durably, creates the run and hands its first stages to the queue.
// Submitting a run id or a key again changes nothing. A plan without a shape that can end is an error of class usage, a
// backlog that is full one of class unreachable.
func (c *Client) Submit(ctx context.Context, r Request) (string, error) {
	if err := checkShape(r.Plan); err != nil {
		return "", &pipeline.Error{Class: pipeline.ClassUsage, Message: err.Error()}
	}
	if r.Priority < minPriority || r.Priority > maxPriority || r.Timeout < 0 {
		return "", &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("a priority is %d to %d, and a timeout not negative", minPriority, maxPriority)}
	}
	made := r.RunID == "" && r.Key == ""
	if err := c.identify(ctx, &r); err != nil {
		return "", err
	}
	text, err := r.Plan.Canonical()
	if err != nil {
		return "", err
	}
	ref := artifact.Ref{Digest: artifact.DigestOf(text), Size: int64(len(text))}
	if _, err := c.cached(ref, func() (*pipeline.Plan, error) { return pipeline.ParsePlan(text) }); err != nil {
		return "", err
	}
	if !made {
		n, err := c.redis.Exists(ctx, c.keys(r.RunID).name("meta")).Result()
		if err != nil {
			return "", unreachable(err, "")
		}
		if n > 0 {
			return r.RunID, nil
		}
	}
	if err := c.create(ctx, r, ref, text); err != nil {
		return "", err
	}
	if err := c.handOut(ctx, c.queue, r.RunID, r.Priority); err != nil {
		c.log.Warn("handing the first stages to the queue; a worker will", "run", r.RunID, "error", err) // the run exists
	}
	return r.RunID, nil
}

// identify gives the request its run id: the one that its key has already, or a new one.
func (c *Client) identify(ctx context.Context, r *Request) error {
	if r.RunID == "" {
		r.RunID = artifact.NewRunID(time.Now())
	}
	if !artifact.ValidRunID(r.RunID) {
		return &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("%.40q is no run id", r.RunID)}
	}
	if r.Key == "" {
		return nil
	}
	name := c.key.submitted(artifact.DigestOf([]byte(r.Key)).Hex())
	err := c.durablyApart(ctx, name, func(server redis.Cmdable) error {
		won, err := server.SetNX(ctx, name, r.RunID, 2*c.keepState).Result()
		if err == nil && !won {
			r.RunID, err = server.Get(ctx, name).Result()
		}
		return err
	})
	if err != nil {
		return unreachable(err, "")
	}
	return nil
}

// create stores what a run needs and makes its state.
func (c *Client) create(ctx context.Context, r Request, ref artifact.Ref, text []byte) error {
	args, err := c.args(&r, ref, text)
	if err != nil {
		return err
	}
	if c.store != nil {
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
	}
	var listed int
	err = c.durablyApart(ctx, c.key.activeRuns(), func(server redis.Cmdable) error {
		var err error
		listed, err = enlistScript.Run(ctx, server, []string{c.key.activeRuns()}, r.RunID, c.maxRuns).Int()
		return err
	})
	if err != nil {
		return unreachable(err, "")
	}
	if listed == 0 {
		return (&pipeline.Error{Class: pipeline.ClassUnreachable, Message: fmt.Sprintf("the queue is full: %d runs are not over yet", c.maxRuns)}).WithHint("wait, start more workers, or cancel runs")
	}
	k := c.keys(r.RunID)
	err = c.durably(ctx, k.name("meta"), func(server redis.Cmdable) error { return createScript.Run(ctx, server, k.all(), args).Err() })
	if err != nil {
		return unreachable(err, "")
	}
	return nil
}

// args makes the argument of createScript.
func (c *Client) args(r *Request, plan artifact.Ref, text []byte) (string, error) {
	tags, err := json.Marshal(r.Tags)
	if err != nil {
		return "", err
	}
	versions, err := json.Marshal(r.Versions)
	if err != nil {
		return "", err
	}
	a := createArgs{Meta: map[string]string{"plan": plan.Digest.String(), "plan_bytes": strconv.FormatInt(plan.Size, 10), "store": c.storeID(), "queue": c.queue, "attempts": strconv.Itoa(max(1, r.Attempts)),
		"name": r.Name, "mode": r.Mode, "tags": string(tags), "versions": string(versions), "submission": string(r.Submission), "keep": strconv.Itoa(max(1, int(c.keepState.Seconds())))}}
	if c.store == nil { // nothing takes the older events away
		a.Meta["plan_text"], a.Meta["bound"] = string(text), maxEvents
	}
	if r.Priority != 0 {
		a.Meta["priority"] = strconv.Itoa(r.Priority)
	}
	if r.Timeout > 0 {
		a.Meta["timeout"] = strconv.FormatInt(max(1, r.Timeout.Milliseconds()), 10)
	}
	if r.parent != "" {
		a.Meta["parent"] = r.parent
	}
	if a.Stages, err = c.stageArgs(r); err != nil {
		return "", err
	}
	b, err := json.Marshal(a)
	return string(b), err
}

// stageArgs describes the stages of the plan, and those that carried ones returned.
func (c *Client) stageArgs(r *Request) ([]stageArgs, error) {
	stages := r.Plan.Stages
	if r.carried != nil {
		stages = wholeOf(stages, r.carried, c.kinds())
	}
	down := map[string][]string{}
	for _, s := range stages {
		addDown(down, s)
	}
	list := newStageArgs(stages, c.registry)
	def := map[string]string{}
	for parent, k := range r.carried {
		for _, child := range k.returned {
			def[child.Name] = parent
		}
	}
	for i := range list {
		maps.Copy(list[i].Fields, r.carried[list[i].Name].fields)
		if parent := def[list[i].Name]; parent != "" {
			list[i].Fields["def"] = parent
		}
	}
	return list, setDown(list, down)
}

// start stores the record as it is before the first stage.
func (c *Client) start(ctx context.Context, r Request, plan artifact.Ref) error {
	record := pipeline.RunRecord{Schema: pipeline.RunSchema, RunID: r.RunID, Name: r.Name, Tags: r.Tags, Status: pipeline.Running, Mode: r.Mode, StoreID: c.storeID(),
		CreatedAt: time.Now().UTC(), Plan: plan, Seed: r.Plan.Seed, Submission: r.Submission, Versions: r.Versions, Warnings: []artifact.Warning{}, Parent: r.parent, Priority: r.Priority}
	for _, s := range r.Plan.Stages {
		record.Stages = append(record.Stages, pipeline.NewStageRecord(s))
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
	b, unread := c.stored(ctx, run)
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
	p, err := c.wholePlan(ctx, s)
	if err != nil && away(err) {
		return nil, unreachable(err, "")
	}
	if err != nil {
		return nil, err
	}
	return s.record(p)
}

// stored returns the record of a run in the store, if there are both.
func (c *core) stored(ctx context.Context, run string) ([]byte, error) {
	if c.store == nil {
		return nil, artifact.ErrNotFound
	}
	return c.store.Run(ctx, run, pipeline.RecordDocument)
}

// Output decodes the JSON of an output of a record's stage into v, a pointer; *[]byte is for the bytes as they are. It is an
// error of class usage when the stage has no such output, as when it failed.
func (c *Client) Output(ctx context.Context, r *pipeline.RunRecord, stage, output string, v any) error {
	s, ok := r.Stage(stage)
	if !ok {
		return &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("the run %s has no stage %.80q", r.RunID, stage)}
	}
	o, ok := s.Output(output)
	if !ok {
		return &pipeline.Error{Class: pipeline.ClassUsage, Message: fmt.Sprintf("stage %s of the run %s is %s and has no output %.80q", stage, r.RunID, s.Status, output)}
	}
	b, err := c.readOutput(ctx, o)
	if err != nil {
		return fmt.Errorf("output %s of stage %s: %w", output, stage, err)
	}
	if raw, ok := v.(*[]byte); ok {
		*raw = b
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("output %s of stage %s: %w", output, stage, err)
	}
	return nil
}

func (c *Client) readOutput(ctx context.Context, o artifact.Output) ([]byte, error) {
	blob, err := c.store.OpenOutput(ctx, o)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	return io.ReadAll(blob)
}

// Workers returns the workers that are alive.
func (c *Client) Workers(ctx context.Context) ([]WorkerInfo, error) {
	list, err := c.workers(ctx)
	if err != nil {
		return nil, unreachable(err, "")
	}
	return list, nil
}
