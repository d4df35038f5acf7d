package tasks

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/hashline/hashline/pipeline"
)

// The model of a run: what the scripts do to the state, said as simply as it can be, with sets in place of counters and
// the rules of each stage looked at again after every change. TestModel holds the scripts to it.

// modelStage is a stage of the model.
type modelStage struct {
	pipeline.Stage
	order   float64
	ups     []string          // that it needs
	down    []string          // that need it, in the order in which they came to
	policy  map[string]string // by what it needs
	expands bool

	status   string
	attempt  int
	owner    string
	over     map[string]bool // those of ups that it waits for no more
	sent     bool            // asynq has a task, or had one
	due      int64           // millisecond before which it does not start
	timer    int64           // when it is looked at again while it waits
	failures int
	crashes  int
	alone    int // the attempt that runs alone
	lonely   int // crashes of attempts that did
	resets   int
	made     []string // stages that it returned
	returned bool
}

// modelRun is a run of the model.
type modelRun struct {
	stages   map[string]*modelStage
	attempts int   // that a stage has where the plan does not say
	now      int64 // millisecond
	status   string
	canceled bool
	paused   bool
	late     bool
	failed   bool            // by a stage whose failure counts
	signals  map[string]bool // that were given
	fresh    []string        // that became ready by the last change
}

func newModelRun(p *pipeline.Plan, attempts int, now int64) *modelRun {
	r := &modelRun{stages: map[string]*modelStage{}, attempts: max(1, attempts), now: now, status: pipeline.Running, signals: map[string]bool{}}
	for i, s := range p.Stages {
		r.add(s, float64(i))
	}
	for _, s := range r.ordered() {
		if len(s.ups) == 0 {
			r.first(s)
		}
	}
	return r
}

func (r *modelRun) add(s pipeline.Stage, order float64) *modelStage {
	m := &modelStage{Stage: s, order: order, ups: s.Upstream(), policy: policies(s), expands: s.Kind == "fan", status: pipeline.Pending, over: map[string]bool{}}
	r.stages[s.Name] = m
	for _, up := range m.ups {
		if of := r.stages[up]; of != nil {
			of.down = append(of.down, s.Name)
		}
	}
	return m
}

func (r *modelRun) ordered() []*modelStage {
	return slices.SortedFunc(maps.Values(r.stages), func(a, b *modelStage) int {
		if a.order < b.order {
			return -1
		}
		return 1
	})
}

func ended(status string) bool {
	return slices.Contains([]string{pipeline.Succeeded, pipeline.Failed, pipeline.Skipped, pipeline.Canceled}, status)
}

// first readies a stage whose needs are met.
func (r *modelRun) first(s *modelStage) {
	if s.Wait != nil && s.Wait.Delay > 0 && s.due == 0 {
		s.due = r.now + time.Duration(s.Wait.Delay).Milliseconds()
	}
	r.ready(s, s.attempt+1)
}

func (r *modelRun) mayStart(s *modelStage) bool {
	return s.due <= r.now && (s.Wait == nil || s.Wait.Signal == "" || r.signals[s.Wait.Signal])
}

// ready gives a stage out under an attempt's number, or lets it wait.
func (r *modelRun) ready(s *modelStage, attempt int) {
	s.attempt, s.owner, s.sent = attempt, "", false
	if !r.mayStart(s) {
		s.status, s.timer = pipeline.Waiting, s.due
		if s.due <= r.now {
			s.timer = never
		}
		return
	}
	s.status = statusReady
	r.fresh = append(r.fresh, s.Name)
}

// cancelStage ends a stage as canceled.
func (r *modelRun) cancelStage(s *modelStage) { s.status = pipeline.Canceled }

// spread looks at what needs stages that just ended, and at what ends by that, the last one first: whether a stage of a canceled
// run counts as skipped or as canceled may depend on it.
func (r *modelRun) spread(from ...string) {
	for len(from) > 0 {
		up := r.stages[from[len(from)-1]]
		from = from[:len(from)-1]
		for _, name := range up.down {
			s := r.stages[name]
			counts := up.status == pipeline.Succeeded || s.policy[up.Name] == pipeline.GoOn || s.Always
			switch {
			case counts && s.over[up.Name]:
			case counts:
				s.over[up.Name] = true
				if len(s.over) < len(s.ups) || s.status != pipeline.Pending {
					continue
				}
				if r.canceled && !s.Always {
					r.cancelStage(s)
					from = append(from, s.Name)
					continue
				}
				r.first(s)
			case s.status == pipeline.Pending:
				s.status = pipeline.Skipped
				if up.status == pipeline.Canceled {
					r.cancelStage(s)
				}
				from = append(from, s.Name)
			}
		}
	}
}

// close ends the run when all its stages are over, and reports whether it did.
func (r *modelRun) close() bool {
	any := map[string]bool{}
	for _, s := range r.stages {
		any[s.status] = true
		if !ended(s.status) {
			return false
		}
	}
	switch {
	case r.failed || r.late:
		r.status = pipeline.Failed
	case any[pipeline.Canceled]:
		r.status = pipeline.Canceled
	default:
		r.status = pipeline.Succeeded
	}
	return true
}

// stop cancels what does not run. A nil alive believes all owners alive.
func (r *modelRun) stop(alive []string) []string {
	r.canceled = true
	var over []string
	for _, s := range r.ordered() {
		idle := s.status == pipeline.Pending || s.status == statusReady || s.status == pipeline.Waiting ||
			(s.status == pipeline.Running && alive != nil && !slices.Contains(alive, s.owner))
		if idle && !s.Always {
			r.cancelStage(s)
			over = append(over, s.Name)
		}
	}
	r.spread(over...)
	return over
}

// tolerated reports whether all who need the stage go on without it.
func (r *modelRun) tolerated(name string) bool {
	soft := false
	for _, s := range r.stages {
		if !slices.Contains(s.ups, name) {
			continue
		}
		if s.policy[name] == pipeline.GoOn {
			soft = true
		} else if !s.Always {
			return false
		}
	}
	return soft
}

// lose ends a stage as failed or canceled.
func (r *modelRun) lose(s *modelStage, status string) bool {
	s.status = status
	if status == pipeline.Failed {
		r.failed = r.failed || !r.tolerated(s.Name)
		for _, to := range r.stages {
			if slices.Contains(to.ups, s.Name) && to.policy[s.Name] == pipeline.FailRun && !r.canceled {
				r.stop(nil)
			}
		}
	}
	r.spread(s.Name)
	return r.close()
}

// The changes that the scripts make. Each returns what the script answers.

func (r *modelRun) claim(name string, attempt int, worker string) string {
	s := r.stages[name]
	switch {
	case s == nil:
		return "gone"
	case r.canceled && !s.Always:
		return "canceled"
	case ended(s.status):
		return "done"
	case s.attempt != attempt:
		return "stale"
	case s.status == pipeline.Running && s.owner == worker:
		return "ok"
	case s.status != statusReady:
		return "taken"
	case r.paused && !r.canceled: // a cancel goes before the pause, so that the cleanup runs
		s.attempt, s.sent = attempt+1, false
		return "paused"
	}
	r.run(s, worker)
	return "ok"
}

func (r *modelRun) run(s *modelStage, worker string) {
	s.status, s.owner, s.sent = pipeline.Running, worker, true
}

// finish commits; children are what the stage returned. It returns the answer, whether the run is closed, and the stages that
// the worker goes on with.
func (r *modelRun) finish(name string, worker, status string, most int, children []pipeline.Stage, collectors map[string][]string, full map[string]pipeline.Stage) (answer string, closed bool, next []string) {
	s := r.stages[name]
	switch {
	case s == nil:
		return "gone", false, nil
	case s.status != pipeline.Running && s.status != statusReady && s.status != pipeline.Waiting:
		return "dup", false, nil
	}
	s.status, s.owner = status, worker
	var more []string
	if children != nil && !s.returned {
		more = r.expand(s, children, collectors, full)
	}
	r.spread(append(more, name)...)
	closed = r.close()
	if !r.paused && !r.canceled {
		next = r.goOn(worker, most)
	}
	return "ok", closed, next
}

// expand adds the stages that parent returned, and returns those that are over already.
func (r *modelRun) expand(parent *modelStage, children []pipeline.Stage, collectors map[string][]string, full map[string]pipeline.Stage) []string {
	parent.returned = true
	var more []string
	for i, c := range children {
		parent.made = append(parent.made, c.Name)
		r.add(c, parent.order+float64(i+1)/1000000)
	}
	for _, s := range r.ordered() {
		name, of := s.Name, collectors[s.Name]
		s.ups = append(s.ups, of...)
		for _, up := range of {
			r.stages[up].down = append(r.stages[up].down, name)
		}
		for _, up := range of {
			if p := policies(full[name])[up]; p != "" {
				s.policy[up] = p
			}
		}
	}
	for _, name := range parent.made {
		s := r.stages[name]
		for _, up := range s.ups {
			of := r.stages[up]
			if slices.Contains(parent.made, up) || !ended(of.status) {
				continue
			}
			s.over[up] = true
			if of.status != pipeline.Succeeded && s.policy[up] != pipeline.GoOn && !s.Always {
				s.status = pipeline.Skipped
			}
		}
	}
	for _, name := range parent.made {
		s := r.stages[name]
		switch {
		case s.status == pipeline.Skipped:
			more = append(more, name)
		case len(s.over) < len(s.ups):
		case r.canceled && !s.Always:
			r.cancelStage(s)
			more = append(more, name)
		default:
			r.first(s)
		}
	}
	return more
}

// goOn gives the worker the first of the fresh stages that may be run right away.
func (r *modelRun) goOn(worker string, most int) []string {
	var names []string
	for _, name := range r.fresh {
		if s := r.stages[name]; s.Pool == "" && s.Memory == 0 && s.crashes == 0 {
			names = append(names, name)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(r.stages[a].order, r.stages[b].order) })
	names = names[:min(most, len(names))]
	for _, name := range names {
		r.run(r.stages[name], worker)
	}
	return names
}

func (r *modelRun) isOwn(name string, attempt int, worker string) bool {
	s := r.stages[name]
	return s.status == pipeline.Running && s.attempt == attempt && s.owner == worker
}

func (r *modelRun) fail(name string, attempt int, worker, final string, limit int) (answer string, closed bool) {
	s := r.stages[name]
	if s == nil {
		return "gone", false
	}
	if !r.isOwn(name, attempt, worker) {
		return "stale", false
	}
	if r.canceled && !s.Always {
		final = pipeline.Canceled
	}
	if limit == 0 {
		limit = r.attempts
		if s.Retry != nil && s.Retry.Attempts > 0 {
			limit = s.Retry.Attempts
		}
	}
	if final == pipeline.Failed {
		if s.failures++; s.failures < limit {
			if p := s.pause(); p > 0 {
				s.due = r.now + p
			}
			r.ready(s, attempt+1)
			return "retry", false
		}
	}
	return "ok", r.lose(s, final)
}

// pause returns the milliseconds that a stage waits after its last failure.
func (s *modelStage) pause() int64 {
	if s.Retry == nil || s.Retry.Backoff == 0 {
		return 0
	}
	return s.Retry.Pause(s.failures).Milliseconds()
}

func (r *modelRun) handOver(name string, attempt int, worker string, crash bool) (answer string, closed bool) {
	s := r.stages[name]
	switch {
	case s == nil:
		return "gone", false
	case !r.isOwn(name, attempt, worker) && (s.status != statusReady || s.attempt != attempt):
		return "stale", false
	case r.canceled && !s.Always:
		return "ok", r.lose(s, pipeline.Canceled)
	}
	if crash {
		s.crashes++
		if s.alone == attempt {
			if s.lonely++; s.lonely >= maxAlone {
				return "failed", r.lose(s, pipeline.Failed)
			}
		}
	}
	r.ready(s, attempt+1)
	return "ok", false
}

func (r *modelRun) redo(name string, attempt int, worker, up string) string {
	s, of := r.stages[name], r.stages[up]
	switch {
	case s == nil:
		return "gone"
	case !r.isOwn(name, attempt, worker):
		return "stale"
	case r.canceled:
		return "canceled"
	case of == nil || ended(of.status) && of.status != pipeline.Succeeded:
		return "lost"
	}
	if of.status == pipeline.Succeeded {
		if of.resets++; of.resets > maxRedos {
			return "limit"
		}
		r.ready(of, of.attempt+1)
	}
	delete(s.over, up)
	s.status, s.owner = pipeline.Pending, ""
	return "ok"
}

func (r *modelRun) cancel(alive []string, late bool) (was, closed bool) {
	if r.status != pipeline.Running {
		return false, false
	}
	r.late = r.late || late
	if len(r.stop(alive)) == 0 {
		return true, false
	}
	return true, r.close()
}

func (r *modelRun) wake(signal string) int {
	if r.status != pipeline.Running {
		return -1
	}
	if signal != "" {
		r.signals[signal] = true
	}
	for _, s := range r.ordered() {
		if s.status == pipeline.Waiting && (signal != "" || s.timer <= r.now) {
			r.ready(s, s.attempt)
		}
	}
	return len(r.fresh)
}

// never is the moment at which a stage is looked at again that waits for a signal alone.
const never = 9_000_000_000_000_000

// next returns the milliseconds to the next moment that a stage waits for, or -1.
func (r *modelRun) next() int64 {
	next := int64(never)
	for _, s := range r.stages {
		if s.status == pipeline.Waiting {
			next = min(next, s.timer)
		}
	}
	if next == never {
		return -1
	}
	return max(0, next-r.now)
}

// describe gives the state of a stage in words.
func (s *modelStage) describe() string {
	text := s.status + "/" + strconv.Itoa(s.attempt)
	if s.status == pipeline.Running {
		text += " of " + s.owner
	}
	if s.status == statusReady && !s.sent {
		text += ", listed"
	}
	return text
}
