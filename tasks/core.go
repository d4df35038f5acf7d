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
	Store    *artifact.Store // nil: records, events and outputs, of Inline kinds alone, live in Redis, and nothing is cached
	Registry *pipeline.Registry
	Queue    string        // asynq's queue; empty means DefaultQueue
	Poll     time.Duration // how often a worker that nobody wakes looks for tasks; 0 means 500 ms
	Log      *slog.Logger  // nil: nothing is logged

	Middleware []pipeline.Middleware // around every stage function, the first outermost
	MaxRuns    int                   // runs that may be unfinished at a time before Submit refuses; 0 means 10,000
	KeepState  time.Duration         // how long Redis keeps the state of a run that is over; 0 means 7 days
	KeepTasks  time.Duration         // how long asynq keeps finished tasks for its monitor; 0 means an hour, less than a second none
	Webhook    string                // http or https: workers post a Notification there of every run that ends once the first of them has it, and again for a day while it does not take it; empty: nowhere
}

// How long things are kept or waited for, and how often they are tried.
const (
	defaultKeepState = 7 * 24 * time.Hour
	defaultKeepTasks = time.Hour
	defaultMaxRuns   = 10_000
	taskTimeout      = 365 * 24 * time.Hour
	asynqRetries     = 1000 // attempts are counted here, not by asynq
	maxShared        = 2    // workers that may die of a stage before it runs alone
	maxAlone         = 2    // workers that may die while it does
	maxRedos         = 3    // times that a stage is run again because its output was damaged
	maxRetries       = 3    // times that a stage may find its store unreachable
	orphanMaxLife    = time.Hour
	maxEvents        = "20000" // that are kept of a run without a store; those of others move there
)

// core is the part of clients and workers that changes the state of runs.
type core struct {
	redis     redis.UniversalClient
	key       keyspace
	conn      *Conn
	store     *artifact.Store // nil: there is none
	registry  *pipeline.Registry
	queue     string
	asynq     *asynq.Client
	log       *slog.Logger
	maxRuns   int
	keepState time.Duration
	keepTasks time.Duration
	webhook   string
	hook      func(point string) // told where tests may kill the process; nil otherwise

	mu      sync.Mutex
	plans   map[artifact.Digest]*planIndex // some, by digest
	fillers map[string]*filler             // by queue
	windows map[string]slots               // by queue
}

func newCore(c Config) (*core, error) {
	if c.Conn == nil {
		return nil, errors.New("tasks: Config needs a Conn")
	}
	if err := checkWebhook(c.Webhook); err != nil {
		return nil, err
	}
	k := &core{redis: c.Conn.redis, key: c.Conn.key, conn: c.Conn, store: c.Store, registry: c.Registry, queue: cmp.Or(c.Queue, DefaultQueue), log: c.Log, hook: crashPoint, webhook: c.Webhook,
		maxRuns: cmp.Or(c.MaxRuns, defaultMaxRuns), keepState: cmp.Or(c.KeepState, defaultKeepState), keepTasks: cmp.Or(c.KeepTasks, defaultKeepTasks),
		plans: map[artifact.Digest]*planIndex{}, fillers: map[string]*filler{}, windows: map[string]slots{}, asynq: asynq.NewClientFromRedisClient(c.Conn.redis)}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	return k, nil
}

// crashPoint is called where a crash test may kill the process.
var crashPoint func(point string)

// at tells a crash test how far things are.
func (c *core) at(point string) {
	if c.hook != nil {
		c.hook(point)
	}
}

// storeID returns the id of the store, "" where there is none.
func (c *core) storeID() string {
	if c.store == nil {
		return ""
	}
	return c.store.ID()
}

// errPlan wraps what is wrong with a plan that the store has, or should have: asking again will not help.
var errPlan = errors.New("the plan of the run cannot be read")

// plan returns the plan of a run by its reference.
func (c *core) plan(ctx context.Context, run string, ref artifact.Ref) (*planIndex, error) {
	return c.cached(ref, func() (*pipeline.Plan, error) {
		b, err := c.planText(ctx, run, ref)
		if err != nil {
			return nil, err
		}
		p, err := pipeline.ParsePlan(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errPlan, err)
		}
		return p, nil
	})
}

// planText reads the plan of a run from the store, or where there is none from the state.
func (c *core) planText(ctx context.Context, run string, ref artifact.Ref) ([]byte, error) {
	if c.store != nil {
		return c.readDefinition(ctx, ref)
	}
	text, err := c.redis.HGet(ctx, c.keys(run).name("meta"), "plan_text").Result()
	if errors.Is(err, redis.Nil) || (err == nil && artifact.DigestOf([]byte(text)) != ref.Digest) {
		return nil, fmt.Errorf("%w: the state of the run does not have it", errPlan)
	}
	return []byte(text), err
}

// cached returns the definition of stages with a reference, and reads it if it is not among the last ones.
func (c *core) cached(ref artifact.Ref, read func() (*pipeline.Plan, error)) (*planIndex, error) {
	c.mu.Lock()
	p := c.plans[ref.Digest]
	c.mu.Unlock()
	if p != nil {
		return p, nil
	}
	plan, err := read()
	if err != nil {
		return nil, err
	}
	p = newPlanIndex(plan)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.plans) >= 256 {
		clear(c.plans)
	}
	c.plans[ref.Digest] = p
	return p, nil
}

// outline returns the plan, or where that cannot be read, what the start of the record says of it: names, kinds and
// needs, enough to describe a run but not to run it.
func (c *core) outline(ctx context.Context, run string, ref artifact.Ref) (*planIndex, error) {
	p, err := c.plan(ctx, run, ref)
	if err == nil || !errors.Is(err, errPlan) || c.store == nil {
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

// wholePlan returns the plan of a run with the stages that others returned, those that need them changed accordingly.
func (c *core) wholePlan(ctx context.Context, s *state) (*planIndex, error) {
	base, err := c.outline(ctx, s.run, s.planRef())
	if err != nil {
		return nil, err
	}
	whole := &pipeline.Plan{Schema: base.Schema, Seed: base.Seed, Stages: base.Stages}
	for i := 0; i < len(whole.Stages); i++ { // it grows
		parent := whole.Stages[i].Name
		if s.get("made", parent) == "" {
			continue
		}
		returned, err := c.expansion(ctx, parent, s.returned(parent))
		if errors.Is(err, errPlan) { // the store has lost it: names are enough to describe the run
			returned, err = s.sketch(parent)
		}
		if err != nil {
			return nil, err
		}
		stages := make([]pipeline.Stage, 0, len(whole.Stages)+len(returned.Stages))
		for _, stage := range whole.Stages {
			stages = append(stages, stage.WithReturned(parent, returned.Stages, c.kinds()))
		}
		whole.Stages = append(stages, returned.Stages...)
	}
	if len(whole.Stages) == len(base.Stages) {
		return base, nil
	}
	return newPlanIndex(whole), nil
}

// sketch returns what the state says of the stages that a stage returned.
func (s *state) sketch(parent string) (*planIndex, error) {
	names, err := s.made(parent)
	sketch := &pipeline.Plan{}
	for _, name := range names {
		sketch.Stages = append(sketch.Stages, pipeline.Stage{Name: name})
	}
	return newPlanIndex(sketch), err
}

// kinds returns the registry, an empty one for a client without.
func (c *core) kinds() *pipeline.Registry {
	if c.registry != nil {
		return c.registry
	}
	empty, _ := pipeline.NewRegistry(nil) // nothing can be wrong with no kinds
	return empty
}

// checkShape refuses a plan that could never end: without stages, with a name twice, or with a need that no earlier
// stage meets. What the kinds say is for Plan.Validate.
func checkShape(p *pipeline.Plan) error {
	if p == nil || len(p.Stages) == 0 {
		return errors.New("plan: it has no stages")
	}
	if p.Schema == "" {
		return errors.New("plan: it was not validated: make it with pipeline.NewPlan")
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
