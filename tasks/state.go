package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// Config is what clients and workers share.
type Config struct {
	Conn     *Conn
	Store    *artifact.Store
	Registry *pipeline.Registry
	Queue    string        // asynq's queue; empty means "hashline"
	Poll     time.Duration // how often an idle worker looks for tasks; 0 means 2 ms when embedded, else 10 ms
	Log      *slog.Logger  // nil: nothing is logged
}

// How long things are kept or waited for.
const (
	keepState     = 7 * 24 * time.Hour // the state of a run that is over, in Redis
	keepTask      = 6 * time.Hour      // asynq's note of a finished task, which refuses its id meanwhile
	taskTimeout   = 365 * 24 * time.Hour
	asynqRetries  = 1000 // attempts are counted here, not by asynq
	maxCrashes    = 3    // workers that may die of one stage
	maxRedos      = 3    // times that a stage is run again because its output was damaged
	maxRetries    = 3    // attempts of a stage whose store does not answer
	orphanMaxLife = time.Minute
)

// core is the part of clients and workers that changes the state of runs.
type core struct {
	redis    *redis.Client
	store    *artifact.Store
	registry *pipeline.Registry
	queue    string
	asynq    *asynq.Client
	log      *slog.Logger

	mu    sync.Mutex
	plans map[artifact.Digest]*pipeline.Plan // a few, by digest
}

func newCore(c Config) (*core, error) {
	if c.Conn == nil || c.Store == nil {
		return nil, errors.New("tasks: Config needs Conn and Store")
	}
	k := &core{redis: c.Conn.redis, store: c.Store, registry: c.Registry, queue: c.Queue, log: c.Log, plans: map[artifact.Digest]*pipeline.Plan{},
		asynq: asynq.NewClientFromRedisClient(c.Conn.redis)}
	if k.queue == "" {
		k.queue = "hashline"
	}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	return k, nil
}

// plan returns a plan by its reference.
func (c *core) plan(ctx context.Context, ref artifact.Ref) (*pipeline.Plan, error) {
	c.mu.Lock()
	p := c.plans[ref.Digest]
	c.mu.Unlock()
	if p != nil {
		return p, nil
	}
	b, err := c.store.ReadAll(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if p, err = pipeline.ParsePlan(b); err != nil {
		return nil, err
	}
	c.remember(ref, p)
	return p, nil
}

func (c *core) remember(ref artifact.Ref, p *pipeline.Plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.plans) >= 32 {
		clear(c.plans)
	}
	c.plans[ref.Digest] = p
}

// state is what Redis holds of a run.
type state struct {
	run    string
	meta   map[string]string
	stages map[string]string
}

func (c *core) load(ctx context.Context, run string) (*state, error) {
	k := keys{run}
	pipe := c.redis.Pipeline()
	meta, stages := pipe.HGetAll(ctx, k.name("meta")), pipe.HGetAll(ctx, k.name("stages"))
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	return &state{run, meta.Val(), stages.Val()}, nil
}

func (s *state) get(field, stage string) string { return s.stages[field+"|"+stage] }

func (s *state) planRef() artifact.Ref {
	d, _ := artifact.ParseDigest(s.meta["plan"])
	size, _ := strconv.ParseInt(s.meta["plan_bytes"], 10, 64)
	return artifact.Ref{Digest: d, Size: size}
}

// micros reads a moment.
func micros(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// outcome is what a worker stores of an attempt.
type outcome struct {
	Cache      string             `json:"cache"`
	MissReason string             `json:"miss_reason"`
	ActionKey  string             `json:"action_key"`
	Code       string             `json:"code"`
	FetchS     float64            `json:"fetch_s"`
	ComputeS   float64            `json:"compute_s"`
	StoreS     float64            `json:"store_s"`
	Outputs    []artifact.Output  `json:"outputs"`
	Warnings   []artifact.Warning `json:"warnings"`
}

func newOutcome(o *pipeline.Outcome) outcome {
	out := outcome{Cache: o.Cache, MissReason: o.MissReason, Code: o.Code, FetchS: o.FetchS, ComputeS: o.ComputeS, StoreS: o.StoreS, Outputs: o.Outputs, Warnings: o.Warnings}
	if !o.ActionKey.IsZero() {
		out.ActionKey = o.ActionKey.String()
	}
	return out
}

// record makes a run record of the state.
func (s *state) record(p *pipeline.Plan) (*pipeline.RunRecord, error) {
	r := &pipeline.RunRecord{Schema: pipeline.RunSchema, RunID: s.run, Name: s.meta["name"], Status: s.meta["status"], Mode: s.meta["mode"], StoreID: s.meta["store"],
		CreatedAt: micros(s.meta["created"]), StartedAt: micros(s.meta["started"]), FinishedAt: micros(s.meta["finished"]), Plan: s.planRef(), Seed: p.Seed,
		Warnings: []artifact.Warning{}, Tags: map[string]string{}, Versions: map[string]string{}}
	if t := s.meta["submission"]; t != "" {
		r.Submission = json.RawMessage(t)
	}
	for field, to := range map[string]*map[string]string{"tags": &r.Tags, "versions": &r.Versions} {
		if t := s.meta[field]; t != "" {
			if err := json.Unmarshal([]byte(t), to); err != nil {
				return nil, fmt.Errorf("run %s: %s: %w", s.run, field, err)
			}
		}
	}
	for _, stage := range p.Stages {
		sr, err := s.stage(stage)
		if err != nil {
			return nil, fmt.Errorf("run %s: stage %s: %w", s.run, stage.Name, err)
		}
		r.Stages = append(r.Stages, *sr)
	}
	if r.Status != pipeline.Running {
		r.Close()
	}
	if reason, ok := s.meta["cancel"]; ok && r.Status == pipeline.Canceled && r.Error == nil {
		r.Error = &pipeline.Error{Class: pipeline.ClassCanceled, Message: "the run was canceled: " + reason}
	}
	return r, nil
}

func (s *state) stage(stage pipeline.Stage) (*pipeline.StageRecord, error) {
	n := stage.Name
	sr := &pipeline.StageRecord{Name: n, Kind: stage.Kind, Status: s.get("status", n), Worker: s.get("owner", n), Needs: stage.Upstream(), SkipReason: s.get("skip", n),
		StartedAt: micros(s.get("started", n)), FinishedAt: micros(s.get("finished", n)), Outputs: []artifact.Output{}}
	if sr.Status == "READY" {
		sr.Status = pipeline.Pending
	}
	sr.Attempts, _ = strconv.Atoi(s.get("attempt", n))
	if ready := micros(s.get("ready", n)); !ready.IsZero() && !sr.StartedAt.IsZero() {
		sr.QueuedS = max(0, sr.StartedAt.Sub(ready).Seconds())
	}
	if t := s.get("out", n); t != "" {
		var o outcome
		if err := json.Unmarshal([]byte(t), &o); err != nil {
			return nil, err
		}
		sr.Cache, sr.MissReason, sr.ActionKey, sr.Code = o.Cache, o.MissReason, o.ActionKey, o.Code
		sr.FetchS, sr.ComputeS, sr.StoreS, sr.Warnings = o.FetchS, o.ComputeS, o.StoreS, o.Warnings
		if o.Outputs != nil && sr.Status == pipeline.Succeeded {
			sr.Outputs = o.Outputs
		}
	}
	if t := s.get("err", n); t != "" {
		if err := json.Unmarshal([]byte(t), &sr.Error); err != nil {
			return nil, err
		}
	}
	return sr, nil
}

// inputs returns the inputs of a stage whose needs are met.
func (s *state) inputs(stage pipeline.Stage) ([]input, error) {
	list := make([]input, 0, len(stage.Needs))
	outputs := map[string][]artifact.Output{}
	for _, n := range stage.Needs {
		if n.Artifact != nil {
			list = append(list, input{n.Role, *n.Artifact})
			continue
		}
		if outputs[n.Stage] == nil {
			var o outcome
			if err := json.Unmarshal([]byte(s.get("out", n.Stage)), &o); err != nil {
				return nil, fmt.Errorf("outcome of %s: %w", n.Stage, err)
			}
			outputs[n.Stage] = o.Outputs
		}
		found := false
		for _, o := range outputs[n.Stage] {
			if o.Name == n.Output {
				list = append(list, input{n.Role, o.Ref})
				found = true
			}
		}
		if !found {
			return nil, fmt.Errorf("stage %s has no output %s", n.Stage, n.Output)
		}
	}
	return list, nil
}

// drain hands the ready stages of a run to asynq. State is always first: an entry leaves the outbox when asynq has its
// task, or had it before.
func (c *core) drain(ctx context.Context, run string) error {
	k := keys{run}
	entries, err := c.redis.ZRange(ctx, k.name("outbox"), 0, -1).Result()
	if err != nil || len(entries) == 0 {
		return err
	}
	s, err := c.load(ctx, run)
	if err != nil {
		return err
	}
	p, err := c.plan(ctx, s.planRef())
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, number, _ := strings.Cut(e, "\n")
		attempt, err := strconv.Atoi(number)
		if err != nil {
			return fmt.Errorf("outbox entry %q: %w", e, err)
		}
		stage, ok := p.Stage(name)
		if !ok {
			return fmt.Errorf("outbox names stage %q, which the plan does not have", name)
		}
		if err := c.enqueue(ctx, s, stage, attempt); err != nil {
			return err
		}
		if err := c.redis.ZRem(ctx, k.name("outbox"), e).Err(); err != nil {
			return err
		}
	}
	return nil
}

func (c *core) enqueue(ctx context.Context, s *state, stage pipeline.Stage, attempt int) error {
	inputs, err := s.inputs(stage)
	if err != nil {
		return err
	}
	p := payload{Schema: payloadSchema, Run: s.run, Stage: stage.Name, Kind: stage.Kind, Attempt: attempt, Store: s.meta["store"], Plan: s.planRef(), Inputs: inputs}
	b, err := p.encode(ctx, c.store)
	if err != nil {
		return fmt.Errorf("task of %s: %w", stage.Name, err)
	}
	_, err = c.asynq.EnqueueContext(ctx, asynq.NewTask(taskType, b), asynq.TaskID(taskID(s.run, stage.Name, attempt)), asynq.Queue(c.queue),
		asynq.MaxRetry(asynqRetries), asynq.Timeout(taskTimeout), asynq.Retention(keepTask))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return err
}

// settleRun stores the record of a run that is over and then says so. Doing it twice is harmless: the state no longer
// changes.
func (c *core) settleRun(ctx context.Context, run string) error {
	s, err := c.load(ctx, run)
	if err != nil {
		return err
	}
	if len(s.meta) == 0 || s.meta["status"] == pipeline.Running {
		return nil
	}
	p, err := c.plan(ctx, s.planRef())
	if err != nil {
		return err
	}
	r, err := s.record(p)
	if err != nil {
		return err
	}
	b, err := r.MarshalIndented()
	if err != nil {
		return err
	}
	if err := c.store.PutRun(ctx, run, pipeline.RecordDocument, b); err != nil {
		return err
	}
	last := pipeline.Event{Time: r.FinishedAt, Run: run, Type: pipeline.RunSuccess}
	switch r.Status {
	case pipeline.Failed:
		last.Type = pipeline.RunFailure
	case pipeline.Canceled:
		last.Type = pipeline.RunCanceled
	}
	if r.Error != nil {
		last.Message = r.Error.Message
	}
	if err := c.storeEvents(ctx, run, last); err != nil {
		return err
	}
	if err := announceScript.Run(ctx, c.redis, keys{run}.all(), last.Type, last.Message, int(keepState.Seconds())).Err(); err != nil {
		return err
	}
	return c.redis.ZRem(ctx, activeRuns, run).Err()
}

// storeEvents writes the run's events, the last one included, to the store.
func (c *core) storeEvents(ctx context.Context, run string, last pipeline.Event) error {
	messages, err := c.redis.XRange(ctx, keys{run}.name("events"), "-", "+").Result()
	if err != nil {
		return err
	}
	var b []byte
	ended := false
	for _, m := range messages {
		e := parseEvent(run, m)
		ended = ended || e.EndsRun()
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		b = append(append(b, line...), '\n')
	}
	if !ended {
		line, err := json.Marshal(last)
		if err != nil {
			return err
		}
		b = append(append(b, line...), '\n')
	}
	return c.store.PutRunView(ctx, run, pipeline.EventsDocument, b)
}

// parseEvent reads an entry of the stream.
func parseEvent(run string, m redis.XMessage) pipeline.Event {
	text := func(k string) string {
		s, _ := m.Values[k].(string)
		return s
	}
	e := pipeline.Event{ID: m.ID, Time: micros(text("time")), Run: run, Type: text("type"), Stage: text("stage"), Worker: text("worker"), Message: text("message")}
	e.Attempt, _ = strconv.Atoi(text("attempt"))
	if d := text("data"); d != "" {
		_ = json.Unmarshal([]byte(d), &e.Data) // written by this package; what is no JSON is no data
	}
	return e
}

// emit adds an event outside a script.
func (c *core) emit(ctx context.Context, e pipeline.Event) error {
	values := []any{"time", strconv.FormatInt(time.Now().UnixMicro(), 10), "type", e.Type, "stage", e.Stage, "attempt", e.Attempt, "worker", e.Worker, "message", e.Message}
	return c.redis.XAdd(ctx, &redis.XAddArgs{Stream: keys{e.Run}.name("events"), Values: values}).Err()
}

// eventArgs turns the events of an attempt into arguments of a script.
func eventArgs(events []pipeline.Event) []any {
	var args []any
	for _, e := range events {
		data := ""
		if len(e.Data) > 0 {
			if b, err := json.Marshal(e.Data); err == nil {
				data = string(b)
			}
		}
		args = append(args, e.Type, e.Message, data)
	}
	return args
}

// WorkerInfo is what a worker's heartbeat says.
type WorkerInfo struct {
	ID          string    `json:"id"`
	Host        string    `json:"host"`
	PID         int       `json:"pid"`
	Store       string    `json:"store"`
	Queue       string    `json:"queue"`
	Kinds       []string  `json:"kinds"`
	Concurrency int       `json:"concurrency"`
	StartedAt   time.Time `json:"started_at"`
	Draining    bool      `json:"draining"`
	Attempts    []string  `json:"attempts"` // task ids of the attempts that it executes
}

// workers returns the workers with a heartbeat, by id.
func (c *core) workers(ctx context.Context) ([]WorkerInfo, error) {
	ids, err := c.redis.ZRange(ctx, liveWorkers, 0, -1).Result()
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = workerKey(id)
	}
	values, err := c.redis.MGet(ctx, names...).Result()
	if err != nil {
		return nil, err
	}
	var list []WorkerInfo
	for _, v := range values {
		text, ok := v.(string)
		if !ok {
			continue
		}
		var w WorkerInfo
		if err := json.Unmarshal([]byte(text), &w); err == nil {
			list = append(list, w)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list, nil
}
