package tasks

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashline/hashline/pipeline"
)

// chain is what a goroutine works off: the attempt of a task, or one that this worker went on with, and then what follows it.
type chain struct {
	w       *Worker
	base    context.Context // that of no attempt
	started time.Time       // when the task was claimed
	place   place
	at      *successor
	work    context.Context // of the attempt
	attempt *attempt
}

// successor is an attempt that this worker goes on with; it is claimed.
type successor struct {
	*payload
	stage pipeline.Stage
	state *state
}

// goOnFor is how long a task may be held: until then a worker that finished a stage goes on with what became ready by it,
// which spares the way through the queue. Those that wait for their turn wait that much longer.
const goOnFor = 100 * time.Millisecond

// follow executes the attempt that the chain is at, and then what follows it. What it goes on with beside that has chains of its own.
func (c *chain) follow() error {
	w := c.w
	for {
		more := &room{w: w}
		next := w.execute(c.work, c.at.payload, c.at.stage, c.at.state, &c.place, func() int { return c.most(more) })
		if len(next) == 0 {
			more.giveBack()
			w.at("before ack")
			return nil
		}
		for _, n := range next[1:] {
			more.n--
			w.besides.Go(func() { w.beside(c.base, n, c.started) })
		}
		more.giveBack()
		c.end()
		if err := c.goOn(next[0]); err != nil || c.attempt == nil {
			return err
		}
	}
}

// most returns how many successors the worker may go on with.
func (c *chain) most(more *room) int {
	if time.Since(c.started) >= goOnFor {
		return 0
	}
	if more.n == 0 {
		more.take(c.w.shortAfter(c.base, c.at.payload))
	}
	return 1 + more.n
}

// goOn makes a successor what the chain is at, when there is a slot for it. Without an error and an attempt, others have it.
func (c *chain) goOn(next *successor) error {
	w, p := c.w, next.payload
	work, a := w.newAttempt(c.base, p, next.stage)
	if !w.register(p.id(), a) { // it is ours in the state already
		a.cancel(nil)
		return w.pass(c.base, stopped(p, w.queue, w.info.ID))
	}
	c.at, c.work, c.attempt = next, work, a
	var err error
	if !c.place.held {
		err = c.place.take(work, 0, false)
	}
	if w.claiming(a) && err == nil {
		return nil
	}
	defer c.end()
	if w.stopping() {
		return w.pass(c.base, stopped(p, w.queue, w.info.ID))
	}
	return w.pass(c.base, unplaced(p, w.queue, w.info.ID))
}

// end ends the attempt that the chain is at.
func (c *chain) end() {
	if c.attempt != nil {
		c.w.unregister(c.at.id(), c.attempt)
		c.attempt = nil
	}
}

// beside executes a successor beside the chain that it follows, and then what follows it.
func (w *Worker) beside(base context.Context, next *successor, started time.Time) {
	defer w.company.Release(1)
	defer w.gate.change(func() { w.gate.tasks-- })
	c := &chain{w: w, base: base, started: started, place: place{w: w}}
	defer c.place.leave()
	defer c.end()
	defer func() {
		if r := recover(); r != nil { // as asynq does for the others
			w.log.Error("a panic; the stage will be handed over", "run", next.Run, "stage", next.Stage, "panic", fmt.Sprint(r))
		}
	}()
	err := c.goOn(next)
	if err == nil && c.attempt != nil {
		err = c.follow()
	}
	if err != nil {
		w.log.Warn("handing over a stage; the reconciler will", "run", next.Run, "stage", next.Stage, "error", err)
	}
}

// room is for successors beside the first, taken before it is known how many there are.
type room struct {
	w *Worker
	n int
}

// take takes room for as many as there is, up to a number.
func (s *room) take(most int) {
	w := s.w
	w.gate.mu.Lock()
	n := min(most, w.options.Concurrency+min(w.pace.ends(time.Now()), w.options.Concurrency)-w.gate.tasks)
	for s.n < n && w.company.TryAcquire(1) {
		s.n++
		w.gate.tasks++
	}
	w.gate.mu.Unlock()
}

// giveBack gives back what was not used.
func (s *room) giveBack() {
	if s.n == 0 {
		return
	}
	s.w.company.Release(int64(s.n))
	s.w.gate.change(func() { s.w.gate.tasks -= s.n })
	s.n = 0
}

// shortAfter returns how many stages beside the first may follow one right here: those that need it, if all are known to be
// short. Others are worth more than the way through the queue, and another worker may have more room for them.
func (w *Worker) shortAfter(ctx context.Context, p *payload) int {
	if p.Def != "" {
		return 0
	}
	plan, err := w.plan(ctx, p.Run, p.Plan)
	if err != nil {
		return 0
	}
	after := plan.after(p.Stage)
	for _, i := range after {
		if !w.lengths.short(plan.Stages[i].Kind) {
			return 0
		}
	}
	return max(0, len(after)-1)
}

// lengths knows how long stages of a kind last where their results are not known, of late.
type lengths struct {
	mu   sync.Mutex
	kind map[string]time.Duration
}

func (l *lengths) add(kind string, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, known := l.kind[kind]
	if !known {
		old = d
	}
	if l.kind == nil {
		l.kind = map[string]time.Duration{}
	}
	l.kind[kind] = old + (min(d, time.Minute)-old)/8
}

// short reports whether stages of a kind are known to last no longer than what is taken ahead may wait.
func (l *lengths) short(kind string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, known := l.kind[kind]
	return known && d <= aheadFor
}

// after returns the places of the stages that need one.
func (p *planIndex) after(stage string) []int {
	p.needed.Do(func() {
		p.followers = map[string][]int{}
		for i, s := range p.Stages {
			for _, up := range slices.Compact(slices.Sorted(slices.Values(s.Upstream()))) {
				p.followers[up] = append(p.followers[up], i)
			}
		}
	})
	return p.followers[stage]
}
