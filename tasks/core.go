package tasks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// DefaultQueue is asynq's queue where a Config names none.
const DefaultQueue = "hashline"

// Config is what clients and workers share.
type Config struct {
	Conn     *Conn
	Store    *artifact.Store
	Registry *pipeline.Registry
	Queue    string        // asynq's queue; empty means DefaultQueue
	Poll     time.Duration // how often an idle worker looks for tasks; 0 means 2 ms when embedded, else 10 ms
	Log      *slog.Logger  // nil: nothing is logged
}

// How long things are kept or waited for, and how often they are tried.
const (
	keepState     = 7 * 24 * time.Hour // the state of a run that is over, in Redis
	keepTask      = 6 * time.Hour      // asynq's note of a finished task, which refuses its id meanwhile
	taskTimeout   = 365 * 24 * time.Hour
	asynqRetries  = 1000 // attempts are counted here, not by asynq
	maxCrashes    = 3    // workers that may die of one stage
	maxRedos      = 3    // times that a stage is run again because its output was damaged
	maxRetries    = 3    // times that a stage may find its store unreachable
	maxStale      = 20   // attempts up to which one whose inputs were replaced is handed out again
	orphanMaxLife = time.Hour
)

// core is the part of clients and workers that changes the state of runs.
type core struct {
	conn     *Conn
	redis    redis.UniversalClient
	key      keyspace
	store    *artifact.Store
	registry *pipeline.Registry
	queue    string
	asynq    *asynq.Client
	log      *slog.Logger

	mu     sync.Mutex
	plans  map[artifact.Digest]*planIndex // a few, by digest
	drains map[string]bool                // runs whose outbox is being drained, and whether to look again
}

func newCore(c Config) (*core, error) {
	if c.Conn == nil || c.Store == nil {
		return nil, errors.New("tasks: Config needs Conn and Store")
	}
	k := &core{conn: c.Conn, redis: c.Conn.redis, key: c.Conn.key, store: c.Store, registry: c.Registry, queue: cmp.Or(c.Queue, DefaultQueue), log: c.Log, plans: map[artifact.Digest]*planIndex{}, drains: map[string]bool{},
		asynq: asynq.NewClientFromRedisClient(c.Conn.redis)}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	return k, nil
}

// planIndex finds the stages of a plan by name, whatever their number.
type planIndex struct {
	*pipeline.Plan
	place map[string]int
}

func newPlanIndex(p *pipeline.Plan) *planIndex {
	i := &planIndex{p, make(map[string]int, len(p.Stages))}
	for n, s := range p.Stages {
		i.place[s.Name] = n
	}
	return i
}

func (p *planIndex) stage(name string) (pipeline.Stage, bool) {
	n, ok := p.place[name]
	if !ok {
		return pipeline.Stage{}, false
	}
	return p.Stages[n], true
}

// errPlan wraps what is wrong with a plan that the store has, or should have: asking again will not help.
var errPlan = errors.New("the plan of the run cannot be read")

// plan returns a plan by its reference.
func (c *core) plan(ctx context.Context, ref artifact.Ref) (*planIndex, error) {
	c.mu.Lock()
	p := c.plans[ref.Digest]
	c.mu.Unlock()
	if p != nil {
		return p, nil
	}
	b, err := c.store.ReadAll(ctx, ref)
	if errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) {
		return nil, fmt.Errorf("%w: artifact %s: %w", errPlan, ref.Digest, err)
	}
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return c.parsePlan(ref, b)
}

// parsePlan reads a plan and remembers it.
func (c *core) parsePlan(ref artifact.Ref, b []byte) (*planIndex, error) {
	parsed, err := pipeline.ParsePlan(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPlan, err)
	}
	p := newPlanIndex(parsed)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.plans) >= 32 {
		clear(c.plans)
	}
	c.plans[ref.Digest] = p
	return p, nil
}

// outline returns the plan, or where that cannot be read, what the start of the record says of it: names, kinds and
// needs, enough to describe a run but not to run it.
func (c *core) outline(ctx context.Context, run string, ref artifact.Ref) (*planIndex, error) {
	p, err := c.plan(ctx, ref)
	if err == nil || !errors.Is(err, errPlan) {
		return p, err
	}
	b, missing := c.store.Run(ctx, run, pipeline.StartedDocument)
	if missing != nil {
		return nil, errors.Join(err, missing)
	}
	started, bad := pipeline.ParseRecord(b)
	if bad != nil {
		return nil, errors.Join(err, bad)
	}
	sketch := &pipeline.Plan{Schema: pipeline.PlanSchema, Seed: started.Seed}
	for _, s := range started.Stages {
		stage := pipeline.Stage{Name: s.Name, Kind: s.Kind}
		for _, up := range s.Needs {
			stage.Needs = append(stage.Needs, pipeline.Need{Stage: up})
		}
		sketch.Stages = append(sketch.Stages, stage)
	}
	return newPlanIndex(sketch), nil
}

// checkShape refuses a plan that could never end: without stages, with a name twice, or with a need that no earlier
// stage meets. What the kinds say is for Plan.Validate.
func checkShape(p *pipeline.Plan) error {
	if p == nil || len(p.Stages) == 0 {
		return errors.New("plan: it has no stages")
	}
	earlier := make(map[string]bool, len(p.Stages))
	for _, s := range p.Stages {
		if !pipeline.ValidStageName(s.Name) || earlier[s.Name] {
			return fmt.Errorf("plan: %.80q is no name for a stage, or one used twice", s.Name)
		}
		for _, up := range s.Upstream() {
			if !earlier[up] {
				return fmt.Errorf("plan: stage %s needs %.80q, which is no earlier stage", s.Name, up)
			}
		}
		earlier[s.Name] = true
	}
	return nil
}
