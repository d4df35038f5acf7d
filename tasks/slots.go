package tasks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/pipeline"
)

// Slots bound the stages that run at a time. Between two stages of a slot lie a few answers of Redis: the first stage is committed,
// its task acknowledged, the next one taken and claimed. Where stages are short that is a good part of the time, so a worker
// whose slots become free at a quick pace has a few more tasks than slots: those wait for a slot while stages run, and a stage
// leaves its slot before it is committed. Where stages are long, nothing is taken ahead, as others may have a slot for it.
const (
	aheadOf  = 10 * time.Millisecond  // what is taken ahead should have a slot by then
	aheadFor = 20 * time.Millisecond  // what has none by then is left to others
	slowPace = 100 * time.Millisecond // longer intervals between the ends of stages count as this
)

// mostAhead is how many tasks more than slots a worker may have.
func mostAhead(slots int) int { return max(1, slots/4) }

// pace is how quickly slots become free.
type pace struct {
	mu   sync.Mutex
	gap  time.Duration // between the ends of two stages, of late
	last time.Time     // when a stage ended
}

// ended notes that a stage left its slot.
func (p *pace) ended(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gap := slowPace
	if !p.last.IsZero() {
		gap = min(max(now.Sub(p.last), 0), slowPace)
	}
	if p.gap == 0 {
		p.gap = slowPace
	}
	p.gap += (gap - p.gap) / 8
	p.last = now
}

// ends returns how many stages may be expected to leave their slots within the time that is looked ahead.
func (p *pace) ends(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.IsZero() {
		return 0
	}
	return int(aheadOf / max(p.gap, now.Sub(p.last), time.Microsecond))
}

// ahead returns how many tasks more than slots the worker should have now.
func (w *Worker) ahead() int { return min(w.pace.ends(time.Now()), mostAhead(w.options.Concurrency)) }

// place is what a running stage takes up: a slot, and the memory that it declares.
type place struct {
	w      *Worker
	memory int64
	held   bool
}

// take waits for a slot, not longer than it is reasonable to keep a stage from other workers unless patient, and then for the
// memory. Only one goroutine uses a place.
func (l *place) take(ctx context.Context, memory int64, patient bool) error {
	if err := acquire(ctx, patient, l.w.slots.TryAcquire, l.w.slots.Acquire, 1); err != nil {
		return err
	}
	if memory > 0 {
		if err := l.w.memory.Acquire(ctx, memory); err != nil {
			l.w.slots.Release(1)
			return context.Cause(ctx)
		}
	}
	l.memory, l.held = memory, true
	return nil
}

// leave gives the place up, if it is held.
func (l *place) leave() {
	if !l.held {
		return
	}
	l.held = false
	if l.memory > 0 {
		l.w.memory.Release(l.memory)
	}
	l.w.slots.Release(1)
}

// ran is told that a stage has run in its place, which it leaves at once where stages are short. Others keep it until they are
// committed, and so does what follows them.
func (w *Worker) ran(r *result, l *place, lasted time.Duration) {
	if r.out.Cache != pipeline.CacheHit {
		w.lengths.add(r.Kind, lasted)
	}
	w.pace.ended(time.Now())
	if w.ahead() > 0 {
		l.leave()
	}
	w.gate.look()
}

// errNoSlot says that there was none in time.
var errNoSlot = errors.New("no slot is free")

// acquire waits for n units of a semaphore: not for long, unless it is patient.
func acquire(ctx context.Context, patient bool, try func(int64) bool, wait func(context.Context, int64) error, n int64) error {
	if ctx.Err() == nil && try(n) {
		return nil
	}
	if !patient {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, aheadFor, errNoSlot)
		defer cancel()
	}
	if wait(ctx, n) != nil {
		return context.Cause(ctx)
	}
	return nil
}

// everybody is more than all tasks that a worker has at a time.
const everybody = 1 << 30

// join lets a task have stages run here until it leaves. One whose stage killed workers before waits until it is the only one,
// and has others wait, so that its neighbours do not die with it; it is not claimed before, so that it is not charged with their
// deaths.
func (w *Worker) join(ctx context.Context, alone bool) (leave func(), err error) {
	n := int64(1)
	if alone {
		n = everybody
	}
	if err := acquire(ctx, alone, w.company.TryAcquire, w.company.Acquire, n); err != nil {
		return nil, err
	}
	return func() { w.company.Release(n) }, nil
}

// handBack leaves a stage that was not claimed to others, and waits until the worker may have one again, so that it does not
// take the same one at once.
func (w *Worker) handBack(attempt context.Context, p *payload, stage pipeline.Stage) error {
	ctx := context.WithoutCancel(attempt)
	message := "worker " + w.info.ID + " has no slot for it"
	if w.stopping() {
		message = "worker " + w.info.ID + " stops"
	}
	err := w.pass(ctx, handOver{run: p.Run, queue: w.queue, priority: p.Priority, entry: entry{p.Stage, p.Attempt}, event: pipeline.EngineEvent, message: message})
	if err != nil {
		return fmt.Errorf("%w: %w", errNotMine, err)
	}
	w.leavePoolOf(ctx, p, stage)
	if w.company.Acquire(attempt, 1) == nil {
		defer w.company.Release(1)
		if w.slots.Acquire(attempt, 1) == nil {
			w.slots.Release(1)
		}
	}
	return nil
}

// gate holds asynq back from taking a task that no slot will be free for soon.
type gate struct {
	mu     sync.Mutex
	closed bool
	tasks  int           // taken, and not done with
	coming int           // of those, on their way to the handler
	news   chan struct{} // has one when something changed
}

// arrival is how long a task may be on its way to the handler: one that is not delivered, as nobody can read it, has no effect
// later.
const arrival = 50 * time.Millisecond

func newGate() *gate { return &gate{news: make(chan struct{}, 1)} }

// change changes the gate, and has whoever waits at it look again.
func (g *gate) change(f func()) {
	g.mu.Lock()
	f()
	g.mu.Unlock()
	g.look()
}

func (g *gate) look() {
	select {
	case g.news <- struct{}{}:
	default:
	}
}

func (g *gate) close() { g.change(func() { g.closed = true }) }

func (g *gate) took() { g.change(func() { g.tasks++; g.coming++ }) }

// arrived is called by the handler of a task, and what it returns when that is done. Not all tasks come through the gate.
func (g *gate) arrived() (done func()) {
	g.change(func() {
		if g.coming > 0 {
			g.coming--
		} else {
			g.tasks++
		}
	})
	return func() { g.change(func() { g.tasks-- }) }
}

// wait returns when there are less tasks than most says, or false when no more are to be taken. One goroutine waits at a time.
func (g *gate) wait(most func() int) bool {
	var late <-chan time.Time
	for {
		g.mu.Lock()
		closed, open, coming := g.closed, g.tasks < most(), g.coming > 0
		g.mu.Unlock()
		if closed || open {
			return open && !closed
		}
		if !coming {
			late = nil
		} else if late == nil {
			late = time.After(arrival)
		}
		select {
		case <-g.news:
		case <-late:
			g.change(func() { g.tasks, g.coming = g.tasks-g.coming, 0 })
			late = nil
		}
	}
}

// gated is the client of a worker's own asynq server.
type gated struct {
	redis.UniversalClient
	w *Worker
}

func (g *gated) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return g.take(ctx, keys, func() *redis.Cmd { return g.UniversalClient.EvalSha(ctx, sha, keys, args...) })
}

func (g *gated) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return g.take(ctx, keys, func() *redis.Cmd { return g.UniversalClient.Eval(ctx, script, keys, args...) })
}

// take calls f, which may be asynq's call for the next task.
func (g *gated) take(ctx context.Context, keys []string, f func() *redis.Cmd) *redis.Cmd {
	if len(keys) < 2 || keys[0] != "asynq:{"+g.w.queue+"}:pending" || keys[1] != "asynq:{"+g.w.queue+"}:paused" {
		return f()
	}
	if !g.w.gate.wait(func() int { return g.w.options.Concurrency + g.w.ahead() }) {
		none := redis.NewCmd(ctx)
		none.SetErr(redis.Nil)
		return none
	}
	cmd := f()
	if cmd.Err() == nil {
		g.w.gate.took()
	}
	return cmd
}
