package tasks

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// entry is a member of a run's outbox: an attempt that asynq has no task for yet.
type entry struct {
	stage   string
	attempt int
}

func (e entry) member() string { return e.stage + "\n" + strconv.Itoa(e.attempt) }

func parseEntry(member string) (entry, error) {
	name, number, _ := strings.Cut(member, "\n")
	attempt, err := strconv.Atoi(number)
	if err != nil {
		return entry{}, fmt.Errorf("outbox entry %q: %w", member, err)
	}
	return entry{name, attempt}, nil
}

// Filling a queue. The lock goes by itself when its holder dies.
const (
	fillLock  = time.Second
	minWindow = 2  // tasks that may wait on a queue without a worker
	atOnce    = 16 // tasks that are made at a time
	perTask   = 8  // of those, of one run
	inOrder   = 4  // stages of a run that are few enough to be handed over in their order
)

// Priorities go from minPriority to maxPriority.
const (
	minPriority = -100
	maxPriority = 100
)

// class turns a priority into what sorts first.
func class(priority int) int { return maxPriority - min(max(priority, minPriority), maxPriority) }

// filler lets one goroutine of a process at a time fill a queue.
type filler struct {
	mu   sync.Mutex
	busy bool
	news map[string]int // runs that have ready stages, and their priorities
}

func (c *core) filler(queue string) *filler {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fillers[queue]
	if f == nil {
		f = &filler{news: map[string]int{}}
		c.fillers[queue] = f
	}
	return f
}

// add notes runs and reports whether the caller is to fill the queue; otherwise somebody does, and will look again.
func (f *filler) add(runs map[string]int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.Copy(f.news, runs)
	if f.busy {
		return false
	}
	f.busy = true
	return true
}

// take returns what is new since the last look; nothing ends the caller's turn.
func (f *filler) take() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	news := f.news
	f.news = map[string]int{}
	f.busy = len(news) > 0
	return news
}

// giveUp ends the caller's turn, whatever is new.
func (f *filler) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.news, f.busy = map[string]int{}, false
}

// handOut lets the ready stages of a run compete for the queue, and fills the queue as far as there is room. State is
// always first: a stage leaves its run's outbox when asynq has its task, or had it before. Whoever has the lock of the queue does
// the work for all: in this process it is tried again when it fails; what a dead process leaves is found by the reconciler.
func (c *core) handOut(ctx context.Context, queue, run string, priority int) error {
	return c.handOutAll(ctx, queue, map[string]int{run: priority})
}

// refill fills the queue again when a task has left it and its run has no stage to follow.
func (c *core) refill(ctx context.Context, queue string) error {
	return c.handOutAll(ctx, queue, map[string]int{"": 0})
}

// handOutAll does what handOut does for runs with their priorities.
func (c *core) handOutAll(ctx context.Context, queue string, runs map[string]int) error {
	f := c.filler(queue)
	if !f.add(runs) {
		return nil
	}
	var failed error
	for tries := 0; ; {
		news := f.take()
		if len(news) == 0 {
			return failed
		}
		if failed = c.fill(ctx, queue, news); failed == nil {
			continue
		}
		if tries++; tries > 2 || ctx.Err() != nil {
			f.giveUp()
			return failed
		}
		f.add(news)
	}
}

// fill hands out what the queue has room for, unless another process does.
func (c *core) fill(ctx context.Context, queue string, news map[string]int) error {
	k, token := c.queueKeys(queue), rand.Text()
	window := c.window(ctx, queue)
	args := []any{token, fillLock.Milliseconds(), window}
	for run, priority := range news {
		if run != "" {
			args = append(args, run, class(priority))
		}
	}
	answer, err := enterScript.Run(ctx, c.redis, k.all(), args...).Slice()
	for err == nil && number(answer, 0) != 0 {
		var gone, blocked []any
		if gone, blocked, err = c.send(ctx, queue, answer[1:]); err != nil {
			_ = letGoScript.Run(ctx, c.redis, []string{k.name("lock")}, token).Err() // else it expires
			break
		}
		args = append(append([]any{token, fillLock.Milliseconds(), window, number(answer, 0), len(gone)}, gone...), blocked...)
		answer, err = nextScript.Run(ctx, c.redis, k.all(), args...).Slice()
	}
	return err
}

// window returns how many tasks may wait on a queue for a worker: one for each stage that its workers run at a time, so that
// none of them has to wait for this process.
func (c *core) window(ctx context.Context, queue string) int {
	c.mu.Lock()
	w := c.windows[queue]
	c.mu.Unlock()
	if w.slots > 0 && time.Since(w.at) < heartbeatEvery {
		return w.slots
	}
	w = slots{at: time.Now(), slots: minWindow}
	if list, err := c.workers(ctx); err == nil {
		n := 0
		for _, info := range list {
			if info.Queue == queue && !info.Draining {
				n += info.Concurrency
			}
		}
		w.slots = max(n, minWindow)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.windows[queue] = w
	return w.slots
}

// slots is how many stages the workers of a queue run at a time, as it was a moment ago.
type slots struct {
	at    time.Time
	slots int
}

// send hands stages of runs to asynq: picks are runs and how many stages each may have. It returns the runs that have no more,
// and those whose others wait for a pool. It asks for all runs at once, as many a time as there are steps.
func (c *core) send(ctx context.Context, queue string, picks []any) (gone, blocked []any, err error) {
	parts := make([]*part, 0, len(picks)/2)
	peeks := make([]call, 0, len(picks)/2)
	for i := 0; i+1 < len(picks); i += 2 {
		p := &part{run: text(picks, i), n: int(number(picks, i+1))}
		parts = append(parts, p)
		peeks = append(peeks, call{c.keys(p.run).all(), []any{p.n}})
	}
	if len(parts) == 0 {
		return nil, nil, nil
	}
	answers, err := c.runAll(ctx, peekScript, peeks)
	if err != nil {
		return nil, nil, err
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, p := range parts {
		answer, err := answers[i].Slice()
		if err != nil {
			return nil, nil, err
		}
		if err := c.choose(ctx, queue, p, answer); err != nil {
			return nil, nil, err
		}
		for _, some := range p.chunks() {
			group.Go(func() error { return c.enqueueAll(ctx, p.state, some) })
		}
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	c.wake(ctx, queue)
	return c.sent(ctx, parts)
}

// sent notes which stages asynq has, and sorts the runs by what they have left.
func (c *core) sent(ctx context.Context, parts []*part) (gone, blocked []any, err error) {
	var notes []call
	for _, p := range parts {
		if len(p.chosen) > 0 {
			notes = append(notes, call{c.keys(p.run).all(), p.members()})
		}
	}
	answers, err := c.runAll(ctx, sentScript, notes)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range parts {
		rest := int64(p.blocked)
		if len(p.chosen) > 0 {
			if rest, err = answers[0].Int64(); err != nil {
				return nil, nil, err
			}
			answers = answers[1:]
		}
		switch {
		case rest == 0:
			gone = append(gone, p.run)
		case len(p.chosen) < p.n:
			blocked = append(blocked, p.run)
		}
	}
	return gone, blocked, nil
}

// part is what a run gets of the room on a queue.
type part struct {
	run     string
	n       int // stages that there is room for
	state   *state
	chosen  []candidate
	blocked int // stages that wait for a pool, of those that were looked at
}

func (p *part) members() []any {
	list := make([]any, len(p.chosen))
	for i, e := range p.chosen {
		list[i] = e.member()
	}
	return list
}

// chunks splits many stages into parts that are handed over at a time; a few keep their order.
func (p *part) chunks() [][]candidate {
	if len(p.chosen) <= inOrder {
		return [][]candidate{p.chosen}
	}
	return slices.Collect(slices.Chunk(p.chosen, (len(p.chosen)+perTask-1)/perTask))
}

// candidate is a ready stage as peekScript describes it.
type candidate struct {
	entry
	def, pool string
	alone     bool
}

func candidates(answer []any) ([]candidate, error) {
	var list []candidate
	for i := 4; i+3 < len(answer); i += 4 {
		e, err := parseEntry(text(answer, i))
		if err != nil {
			return nil, err
		}
		crashes, _ := strconv.Atoi(text(answer, i+2))
		list = append(list, candidate{entry: e, def: text(answer, i+1), alone: crashes >= maxShared, pool: text(answer, i+3)})
	}
	return list, nil
}

// choose takes of what peekScript returned of a run as much as it may have: stages of pools only as far as these have room.
func (c *core) choose(ctx context.Context, queue string, p *part, answer []any) error {
	list, err := candidates(answer)
	if err != nil {
		return fmt.Errorf("run %s: %w", p.run, err)
	}
	p.state = &state{run: p.run, meta: map[string]string{"store": text(answer, 0), "plan": text(answer, 1), "plan_bytes": text(answer, 2), "priority": text(answer, 3), "queue": queue}}
	full := map[string]bool{}
	for _, e := range list {
		if len(p.chosen) == p.n {
			break
		}
		if e.pool != "" && !full[e.pool] {
			k := c.queueKeys(queue)
			ok, err := acquireScript.Run(ctx, c.redis, []string{k.name("pools"), k.pool(e.pool)}, e.pool, taskID(p.run, e.stage, e.attempt)).Int()
			if err != nil {
				return err
			}
			full[e.pool] = ok == 0
		}
		if full[e.pool] {
			p.blocked++
			continue
		}
		p.chosen = append(p.chosen, e)
	}
	return nil
}

// enqueueAll makes tasks of stages, in their order. A stage that can never have one fails.
func (c *core) enqueueAll(ctx context.Context, s *state, list []candidate) error {
	for _, e := range list {
		err := c.enqueue(ctx, s, e)
		if errors.Is(err, errPlan) || errors.Is(err, errPayload) {
			c.log.Error("a stage that cannot be handed out", "run", s.run, "stage", e.stage, "error", err)
			err = c.giveUp(ctx, s, e.entry, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// call is a script's keys and arguments.
type call struct {
	keys []string
	args []any
}

// runAll runs a script for each of many calls in one step. An error is of Redis as a whole; what is wrong with one call is
// in its answer.
func (c *core) runAll(ctx context.Context, script *redis.Script, calls []call) ([]*redis.Cmd, error) {
	if len(calls) == 0 {
		return nil, nil
	}
	answers := make([]*redis.Cmd, len(calls))
	pipe := c.redis.Pipeline()
	for i, call := range calls {
		answers[i] = script.EvalSha(ctx, pipe, call.keys, call.args...)
	}
	_, err := pipe.Exec(ctx)
	for i, call := range calls { // a server may not have the script yet
		if redis.HasErrorPrefix(answers[i].Err(), "NOSCRIPT") {
			answers[i], err = script.Run(ctx, c.redis, call.keys, call.args...), nil
		}
	}
	if err != nil && away(err) {
		return nil, err
	}
	return answers, nil
}

// enqueue makes the task of an attempt, in the queue of its run, unless there is or was one.
func (c *core) enqueue(ctx context.Context, s *state, e candidate) error {
	priority, _ := strconv.Atoi(s.meta["priority"])
	p := payload{Schema: payloadSchema, Run: s.run, Stage: e.stage, Attempt: e.attempt, Store: s.meta["store"], Plan: s.planRef(), Def: e.def, Alone: e.alone, Priority: priority}
	stage, err := c.stage(ctx, &p)
	if err != nil {
		return err
	}
	p.Kind = stage.Kind
	b, err := p.encode()
	if err != nil {
		return fmt.Errorf("task of %s: %w", e.stage, err)
	}
	_, err = c.asynq.EnqueueContext(ctx, asynq.NewTask(TaskType, b), asynq.TaskID(p.id()), asynq.Queue(s.meta["queue"]),
		asynq.MaxRetry(asynqRetries), asynq.Timeout(taskTimeout), asynq.Retention(c.keepTasks))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return err
}

// giveUp fails a stage that waits in the outbox for good.
func (c *core) giveUp(ctx context.Context, s *state, e entry, cause error) error {
	failure := pipeline.Error{Class: pipeline.ClassInternal, Stage: e.stage, Message: clip(cause.Error()), Hint: "submit again: what is finished is reused"}
	h := handOver{run: s.run, queue: s.meta["queue"], entry: e, event: pipeline.EngineEvent, message: cause.Error(), charge: true, limit: 0, failure: failure}
	answer, err := c.handOver(ctx, h)
	if err == nil && closed(answer) {
		err = c.settleRun(ctx, s.run)
	}
	return err // what else became ready is found by the look that follows
}

// stage returns the stage that a task is of: one of the plan, or one that another stage returned.
func (c *core) stage(ctx context.Context, p *payload) (pipeline.Stage, error) {
	plan, err := c.plan(ctx, p.Run, p.Plan)
	if err != nil {
		return pipeline.Stage{}, err
	}
	if p.Def != "" {
		if plan, err = c.returned(ctx, p.Run, p.Def); err != nil {
			return pipeline.Stage{}, err
		}
	}
	stage, ok := plan.stage(p.Stage)
	if !ok {
		return stage, fmt.Errorf("%w: it has no stage %q", errPlan, p.Stage)
	}
	return stage, nil
}

// returned finds the stages that a stage returned.
func (c *core) returned(ctx context.Context, run, by string) (*planIndex, error) {
	part := &state{run: run, stages: map[string]string{}}
	err := c.loadFields(ctx, part, "out", []string{by})
	if err == nil {
		err = c.loadFields(ctx, part, "returned", []string{by})
	}
	if err != nil {
		return nil, fmt.Errorf("the stages that %s returned: %w", by, err)
	}
	return c.expansion(ctx, by, part.returned(by))
}

// expansion reads the stages that a stage returned from its outcome.
func (c *core) expansion(ctx context.Context, by, out string) (*planIndex, error) {
	o, err := parseOutcome(out)
	if err != nil {
		return nil, fmt.Errorf("%w: outcome of %s: %w", errPlan, by, err)
	}
	for _, output := range o.Outputs {
		if output.MediaType != pipeline.StagesMediaType {
			continue
		}
		return c.cached(output.Ref, func() (*pipeline.Plan, error) {
			b := output.Inline
			if b == nil {
				if b, err = c.readDefinition(ctx, output.Ref); err != nil {
					return nil, err
				}
			} else if artifact.DigestOf(b) != output.Digest { // what is remembered by a digest must have it
				return nil, fmt.Errorf("%w: stages returned by %s: %w", errPlan, by, artifact.ErrCorrupt)
			}
			stages, err := pipeline.ParseStages(b)
			if err != nil {
				return nil, fmt.Errorf("%w: stages returned by %s: %w", errPlan, by, err)
			}
			return &pipeline.Plan{Stages: stages}, nil
		})
	}
	return nil, fmt.Errorf("%w: stage %s returned no stages", errPlan, by)
}

// readDefinition reads a plan, or stages that a stage returned, from the store.
func (c *core) readDefinition(ctx context.Context, ref artifact.Ref) ([]byte, error) {
	if c.store == nil {
		return nil, fmt.Errorf("%w: artifact %s: there is no store", errPlan, ref.Digest)
	}
	b, err := c.store.ReadAll(ctx, ref)
	if errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) {
		return nil, fmt.Errorf("%w: artifact %s: %w", errPlan, ref.Digest, err)
	}
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return b, nil
}
