package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// player makes every change to a run and to its model, and compares them.
type player struct {
	t      *rapid.T
	c      *Client
	server *miniredis.Miniredis
	plan   *planIndex
	model  *modelRun
	run    string
	steps  []string
}

// TestModel plays workers, users and crashes against the state of random runs, step by step, and holds the scripts to the
// model. In the end it lets every run come to its end. `-rapid.checks 10000` plays as many runs.
func TestModel(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	conn, err := Dial(context.Background(), "redis://"+server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	registry, err := pipeline.NewRegistry(nil, modelKinds()...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(Config{Conn: conn, Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		server.FlushDB()
		p := &player{t: t, c: c, server: server}
		p.begin()
		p.compare()
		t.Repeat(map[string]func(*rapid.T){"": func(*rapid.T) { p.compare() }, "claim": p.claim, "finish": p.finish, "fail": p.fail, "hand over": p.handOver,
			"redo": p.redo, "send": p.send, "clock": p.clock, "wake": p.wake, "rarely": p.rarely})
		p.toTheEnd()
	})
}

func (p *player) begin() {
	plan := drawPlan(p.t)
	if err := plan.Validate(p.c.registry); err != nil {
		p.t.Fatalf("a plan that cannot be: %v", err)
	}
	p.plan = newPlanIndex(plan)
	start := time.UnixMilli(1_800_000_000_000)
	p.server.SetTime(start)
	r := Request{RunID: artifact.NewRunID(start), Plan: plan, Attempts: rapid.IntRange(1, 2).Draw(p.t, "attempts of the run")}
	p.run = r.RunID
	args, err := p.c.args(&r, artifact.Ref{}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.model = newModelRun(plan, r.Attempts, start.UnixMilli())
	text, _ := plan.Canonical()
	p.step("create %s", text)
	p.want(p.script(createScript, args), 1, p.model.next())
}

func (p *player) step(format string, args ...any) {
	p.steps = append(p.steps, fmt.Sprintf(format, args...))
	p.t.Logf(format, args...)
}

// script runs a script and returns the elements of its answer.
func (p *player) script(s *redis.Script, args ...any) []any {
	v, err := s.Run(context.Background(), p.c.redis, p.c.keys(p.run).all(), args...).Result()
	if err != nil {
		p.t.Fatalf("a script fails: %v", err)
	}
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// want compares the first elements of an answer.
func (p *player) want(got []any, want ...any) {
	for i, w := range want {
		if i >= len(got) || fmt.Sprint(got[i]) != fmt.Sprint(w) {
			p.t.Fatalf("the answer is %v, want %v", got, want)
		}
	}
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// The things that may happen, each by the right worker with the right attempt, mostly.

func (p *player) stage() *modelStage {
	return p.model.stages[rapid.SampledFrom(slices.Sorted(maps.Keys(p.model.stages))).Draw(p.t, "stage")]
}

// among draws a stage of a status, if there is one; now and then any.
func (p *player) among(statuses ...string) *modelStage {
	var names []string
	for _, s := range p.model.ordered() {
		if slices.Contains(statuses, s.status) {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 || one(p.t, 8) {
		return p.stage()
	}
	return p.model.stages[rapid.SampledFrom(names).Draw(p.t, "stage")]
}

func (p *player) worker() string {
	return rapid.SampledFrom([]string{"v", "w"}).Draw(p.t, "worker")
}

// claimed returns what an attempt says of itself: its number, and who executes it.
func (p *player) claimed(s *modelStage) (attempt int, worker string) {
	attempt, worker = s.attempt, s.owner
	if one(p.t, 8) {
		attempt = max(1, attempt-1)
	}
	if worker == "" || one(p.t, 8) {
		worker = p.worker()
	}
	return attempt, worker
}

func (p *player) claim(*rapid.T) {
	s := p.among(statusReady)
	attempt, worker := s.attempt, p.worker()
	if one(p.t, 8) {
		attempt++
	}
	alone := one(p.t, 4)
	p.step("%s claims %s/%d, alone %t", worker, s.Name, attempt, alone)
	was := s.status
	want := p.model.claim(s.Name, attempt, worker)
	if want == "ok" && was == statusReady && alone {
		s.alone = attempt
	}
	p.want(p.script(claimScript, s.Name, attempt, worker, "", artifact.Digest{}.String(), digit(alone), 0), want)
}

func (p *player) finish(*rapid.T) {
	s := p.among(pipeline.Running)
	attempt, worker := p.claimed(s)
	status := pipeline.Succeeded
	if one(p.t, 6) {
		status = pipeline.Skipped
	}
	p.end(s, attempt, worker, status, rapid.IntRange(0, 3).Draw(p.t, "successors"))
}

// end finishes an attempt, with stages that it returns where its kind does.
func (p *player) end(s *modelStage, attempt int, worker, status string, most int) {
	var children []pipeline.Stage
	expansion := ""
	collectors, full := map[string][]string{}, map[string]pipeline.Stage{}
	if s.expands && status == pipeline.Succeeded {
		children, expansion = p.expansion(s)
		for _, c := range p.plan.collectors(s.Name) {
			full[c.Name] = c.WithReturned(s.Name, children, p.c.registry)
			for _, up := range full[c.Name].Upstream() {
				if slices.ContainsFunc(children, func(child pipeline.Stage) bool { return child.Name == up }) {
					collectors[c.Name] = append(collectors[c.Name], up)
				}
			}
		}
	}
	p.step("%s ends %s/%d as %s, goes on with %d, returns %s", worker, s.Name, attempt, status, most, expansion)
	answer, closed, next := p.model.finish(s.Name, worker, status, most, children, collectors, full)
	got := p.script(finishScript, s.Name, attempt, worker, status, "{}", "m", most, expansion)
	p.want(got, answer, digit(closed))
	if answer == "ok" {
		p.want(got, answer, digit(closed), len(p.model.fresh)-len(next), p.model.next())
	}
	if len(got) != 4+3*len(next) {
		p.t.Fatalf("the worker is to go on with %v, want %v", got[4:], next)
	}
	for i, name := range next {
		p.want(got[4+3*i:], name, p.model.stages[name].attempt)
	}
}

func (p *player) expansion(s *modelStage) ([]pipeline.Stage, string) {
	if s.returned { // the same again: it is deterministic
		return []pipeline.Stage{}, `{"stages":[],"names":"[]","isnew":{},"collectors":[]}`
	}
	var upstream []pipeline.Stage
	for _, up := range s.Stage.Upstream() {
		upstream = append(upstream, pipeline.Stage{Name: up})
	}
	children := drawChildren(p.t, s.Stage, upstream)
	text, err := expand(s.Name, children, p.plan, p.c.registry)
	if err != nil {
		p.t.Fatal(err)
	}
	return children, text
}

func (p *player) fail(*rapid.T) {
	s := p.among(pipeline.Running)
	attempt, worker := p.claimed(s)
	final := rapid.SampledFrom([]string{pipeline.Failed, pipeline.Failed, pipeline.Canceled}).Draw(p.t, "final")
	limit := rapid.IntRange(0, 2).Draw(p.t, "limit")
	p.step("%s fails %s/%d as %s, limit %d", worker, s.Name, attempt, final, limit)
	answer, closed := p.model.fail(s.Name, attempt, worker, final, limit)
	p.want(p.script(failScript, s.Name, attempt, worker, `{"message":"x"}`, "x", final, limit, "{}"), answer, digit(closed))
}

func (p *player) handOver(*rapid.T) {
	s := p.among(pipeline.Running, statusReady)
	attempt, worker := p.claimed(s)
	crash := one(p.t, 2)
	p.step("%s/%d of %s is handed over, crash %t", s.Name, attempt, worker, crash)
	answer, closed := p.model.handOver(s.Name, attempt, worker, crash)
	p.want(p.script(handOverScript, s.Name, attempt, worker, pipeline.WorkerLost, "lost", digit(crash), maxShared, maxAlone, `{"message":"lost"}`), answer, digit(closed))
}

func (p *player) redo(*rapid.T) {
	s := p.among(pipeline.Running)
	if len(s.ups) == 0 {
		return
	}
	attempt, worker := p.claimed(s)
	up := rapid.SampledFrom(s.ups).Draw(p.t, "damaged")
	p.step("%s finds the output of %s damaged in %s/%d", worker, up, s.Name, attempt)
	want := p.model.redo(s.Name, attempt, worker, up)
	p.want(p.script(redoScript, s.Name, attempt, worker, up, maxRedos, "damaged"), want)
}

// send hands a ready stage to asynq, or says so of an attempt that is not current.
func (p *player) send(*rapid.T) {
	s := p.among(statusReady)
	attempt, _ := p.claimed(s)
	p.step("%s/%d has a task", s.Name, attempt)
	if s.status == statusReady && s.attempt == attempt {
		s.sent = true
	}
	p.script(sentScript, entry{s.Name, attempt}.member())
}

func (p *player) clock(*rapid.T) {
	p.model.now += int64(rapid.IntRange(1, 40_000).Draw(p.t, "milliseconds"))
	p.step("it is %d", p.model.now)
	p.server.SetTime(time.UnixMilli(p.model.now))
}

func (p *player) wake(*rapid.T) {
	p.wakeFor(rapid.SampledFrom([]string{"", "", "x", "y"}).Draw(p.t, "signal"))
}

func (p *player) wakeFor(signal string) {
	p.step("wake, signal %q", signal)
	p.model.fresh = nil
	n := p.model.wake(signal)
	if n < 0 {
		p.want(p.script(wakeScript, signal), -1, -1)
		return
	}
	p.want(p.script(wakeScript, signal), n)
}

// rarely does what would end most runs early, or keep them from ending.
func (p *player) rarely(*rapid.T) {
	if !one(p.t, 4) {
		return
	}
	if one(p.t, 3) {
		alive := rapid.SampledFrom([][]string{{"v", "w"}, {"v"}, {}}).Draw(p.t, "alive")
		late := one(p.t, 3)
		p.step("cancel, alive %v, late %t", alive, late)
		was, closed := p.model.cancel(alive, late)
		list, _ := json.Marshal(alive)
		p.want(p.script(cancelScript, "enough", string(list), digit(late)), digit(was), digit(closed))
		return
	}
	p.pause(rapid.Bool().Draw(p.t, "pause"))
}

func (p *player) pause(on bool) {
	p.step("pause %t", on)
	want := digit(p.model.paused != on)
	if p.model.status != pipeline.Running {
		want = -1
	} else {
		p.model.paused = on
	}
	p.want(p.script(pauseRunScript, digit(on), "m"), want)
}

// compare holds the state in Redis to the model.
func (p *player) compare() {
	p.model.fresh = nil
	ctx, k := context.Background(), p.c.keys(p.run)
	s, err := p.c.load(ctx, p.run)
	if err != nil {
		p.t.Fatal(err)
	}
	if got := s.meta["status"]; got != p.model.status {
		p.t.Fatalf("the run is %s, want %s", got, p.model.status)
	}
	var listed, live, waiting []string
	for _, m := range p.model.ordered() {
		got := s.get("status", m.Name) + "/" + s.get("attempt", m.Name)
		if s.get("status", m.Name) == pipeline.Running {
			got += " of " + s.get("owner", m.Name)
		}
		switch {
		case m.status == pipeline.Running, m.status == statusReady && m.sent:
			live = append(live, m.Name)
		case m.status == statusReady:
			listed = append(listed, entry{m.Name, m.attempt}.member())
			got += ", listed"
		case m.status == pipeline.Waiting:
			waiting = append(waiting, m.Name+"="+strconv.FormatInt(m.timer, 10))
		}
		if want := m.describe(); got != want {
			p.t.Fatalf("stage %s is %s, want %s", m.Name, got, want)
		}
	}
	list := append(p.c.redis.ZRange(ctx, k.name("outbox"), 0, -1).Val(), p.c.redis.ZRange(ctx, k.name("pooled"), 0, -1).Val()...)
	var timers []string
	for _, z := range p.c.redis.ZRangeWithScores(ctx, k.name("timers"), 0, -1).Val() {
		timers = append(timers, fmt.Sprintf("%s=%.0f", z.Member, z.Score))
	}
	p.same("outbox", list, listed)
	p.same("live", p.c.redis.SMembers(ctx, k.name("live")).Val(), live)
	p.same("timers", timers, waiting)
}

func (p *player) same(what string, got, want []string) {
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.t.Fatalf("%s: %q, want %q", what, got, want)
	}
}

// toTheEnd goes on with the run as workers that live do, until it is over, and looks at its events.
func (p *player) toTheEnd() {
	p.pause(false)
	p.compare()
	for rounds := 0; p.model.status == pipeline.Running; rounds++ {
		if rounds > 200 {
			p.t.Fatal("the run does not end")
		}
		p.model.now += time.Hour.Milliseconds()
		p.server.SetTime(time.UnixMilli(p.model.now))
		for _, signal := range []string{"x", "y"} {
			if p.model.status == pipeline.Running {
				p.wakeFor(signal)
				p.compare()
			}
		}
		for _, s := range p.model.ordered() {
			if s.status == statusReady {
				p.step("v claims %s/%d", s.Name, s.attempt)
				want := p.model.claim(s.Name, s.attempt, "v")
				p.want(p.script(claimScript, s.Name, s.attempt, "v", "", artifact.Digest{}.String(), 0, 0), want)
			}
			if s.status == pipeline.Running {
				p.end(s, s.attempt, s.owner, pipeline.Succeeded, 0)
			}
			p.compare()
		}
	}
	p.checkEvents()
}

// checkEvents counts what was committed: once for each stage that succeeded, and for each time that it was made again.
func (p *player) checkEvents() {
	messages, err := p.c.redis.XRange(context.Background(), p.c.keys(p.run).name("events"), "-", "+").Result()
	if err != nil {
		p.t.Fatal(err)
	}
	commits := map[string]int{}
	for _, m := range messages {
		if e := parseEvent(p.run, m); e.Type == pipeline.StepSuccess || e.Type == pipeline.StepSkipped && e.Attempt > 0 {
			commits[e.Stage]++
		}
	}
	for name, s := range p.model.stages {
		most := 1 + min(s.resets, maxRedos)
		if n := commits[name]; n > most || s.status == pipeline.Succeeded && n == 0 {
			p.t.Fatalf("stage %s is %s and was committed %d times, at most %d\n%s", name, s.status, n, most, strings.Join(p.steps, "\n"))
		}
	}
}
