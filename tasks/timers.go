package tasks

import (
	"context"
	"sync"
	"time"
)

// timers wake runs whose stages wait for a moment, one timer a run. They only make it punctual: the reconciler finds whatever
// is due.
type timers struct {
	mu      sync.Mutex
	runs    map[string]*time.Timer
	at      map[string]time.Time
	stopped bool
}

// longestTimer is how far ahead a timer may be; the reconciler sets it again when its moment is near.
const longestTimer = 2 * reconcileEvery

// set calls f after d, unless a timer of the run is to ring earlier.
func (t *timers) set(run string, d time.Duration, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := time.Now().Add(d)
	if t.stopped || d > longestTimer {
		return
	}
	if old := t.runs[run]; old != nil {
		if !at.Before(t.at[run]) {
			return
		}
		old.Stop()
	}
	if t.runs == nil {
		t.runs, t.at = map[string]*time.Timer{}, map[string]time.Time{}
	}
	t.at[run] = at
	t.runs[run] = time.AfterFunc(d, func() {
		t.mu.Lock()
		if t.at[run].Equal(at) {
			delete(t.runs, run)
			delete(t.at, run)
		}
		stopped := t.stopped
		t.mu.Unlock()
		if !stopped {
			f()
		}
	})
}

func (t *timers) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	for _, timer := range t.runs {
		timer.Stop()
	}
}

// timer wakes a run in so many milliseconds; a negative number says that nothing is due.
func (w *Worker) timer(run string, priority int, millis int64) {
	if millis < 0 {
		return
	}
	w.timers.set(run, time.Duration(millis)*time.Millisecond, func() {
		ctx, cancel := context.WithTimeout(context.Background(), heartbeatTTL)
		defer cancel()
		if err := w.wakeRun(ctx, w.queue, run, priority, ""); err != nil {
			w.log.Warn("waking a run; the reconciler will", "run", run, "error", err)
		}
	})
}

// wakeRun hands out the stages of a run that have waited long enough, or for the signal.
func (w *Worker) wakeRun(ctx context.Context, queue, run string, priority int, signal string) error {
	next, err := w.core.wakeRun(ctx, queue, run, priority, signal)
	w.timer(run, priority, next)
	return err
}

func (c *core) wakeRun(ctx context.Context, queue, run string, priority int, signal string) (next int64, err error) {
	answer, err := wakeScript.Run(ctx, c.redis, c.keys(run).all(), signal).Slice()
	if err != nil {
		return -1, err
	}
	if number(answer, 0) < 0 {
		return -1, errNotRunning
	}
	if number(answer, 0) > 0 {
		err = c.handOut(ctx, queue, run, priority)
	}
	return number(answer, 1), err
}
