package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// machine plays workers against the state of one run, without asynq.
type machine struct {
	t   *testing.T
	b   *bench
	run string
}

func newMachine(t *testing.T, b *bench, p *pipeline.Plan, attempts int) *machine {
	t.Helper()
	r := Request{RunID: artifact.NewRunID(time.Now()), Plan: p, Attempts: attempts}
	args, err := b.client.args(&r, artifact.Ref{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t, b, r.RunID}
	m.script(createScript, args)
	return m
}

// script runs a script and returns its answer as one text.
func (m *machine) script(s *redis.Script, args ...any) string {
	m.t.Helper()
	v, err := s.Run(context.Background(), m.b.conn.redis, m.b.client.keys(m.run).all(), args...).Result()
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.Trim(fmt.Sprint(v), "[]")
}

// words returns the first words of a text.
func words(text string, n int) string {
	list := strings.Fields(text)
	return strings.Join(list[:min(n, len(list))], " ")
}

func (m *machine) claim(stage string, attempt int, worker string) string {
	m.t.Helper()
	plan, err := m.b.conn.redis.HGet(context.Background(), m.b.client.keys(m.run).name("meta"), "plan").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		m.t.Fatal(err)
	}
	return words(m.script(claimScript, stage, attempt, worker, m.b.store.ID(), plan, 0, 0), 1)
}

// alone claims an attempt that runs alone.
func (m *machine) alone(stage string, attempt int, worker string) {
	m.t.Helper()
	m.answer(words(m.script(claimScript, stage, attempt, worker, m.b.store.ID(), artifact.Digest{}.String(), 1, 0), 1), "ok")
}

func (m *machine) finish(stage string, attempt int, worker string) string {
	m.t.Helper()
	return words(m.script(finishScript, stage, attempt, worker, pipeline.Succeeded, "{}", "", 0, ""), 2)
}

func (m *machine) fail(stage string, attempt int, worker string, limit int) string {
	m.t.Helper()
	return words(m.script(failScript, stage, attempt, worker, `{"message":"x"}`, "x", pipeline.Failed, limit, "{}"), 2)
}

func (m *machine) pass(stage string, attempt int, worker string, charge int) string {
	m.t.Helper()
	return m.script(handOverScript, stage, attempt, worker, pipeline.WorkerLost, "lost", charge, maxShared, maxAlone, `{"message":"lost"}`)
}

func (m *machine) redo(stage string, attempt int, worker, up string) string {
	m.t.Helper()
	return m.script(redoScript, stage, attempt, worker, up, maxRedos, "damaged")
}

func (m *machine) cancel(alive ...string) string {
	m.t.Helper()
	list, err := json.Marshal(append([]string{}, alive...))
	if err != nil {
		m.t.Fatal(err)
	}
	return m.script(cancelScript, "enough", string(list), 0)
}

// inspect returns the run as the reconciler sees it.
func (m *machine) inspect() *inspected {
	m.t.Helper()
	answer, err := inspectScript.Run(context.Background(), m.b.conn.redis, m.b.client.keys(m.run).all()).Slice()
	if err != nil {
		m.t.Fatal(err)
	}
	return &inspected{m.run, answer}
}

// want compares the states of stages, written a=RUNNING/1 for status and attempt, and run=FAILED for the run.
func (m *machine) want(states string) {
	m.t.Helper()
	s, err := m.b.client.load(context.Background(), m.run)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, w := range strings.Fields(states) {
		name, want, _ := strings.Cut(w, "=")
		got := s.meta["status"]
		if name != "run" {
			got = s.get("status", name)
			if strings.Contains(want, "/") {
				got += "/" + s.get("attempt", name)
			}
		}
		if got != want {
			m.t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func (m *machine) answer(got, want string) {
	m.t.Helper()
	if got != want {
		m.t.Errorf("answer %q, want %q", got, want)
	}
}

// TestStateMachine walks through what may happen to a run, step by step.
func TestStateMachine(t *testing.T) {
	line := func() *pipeline.Plan {
		return plan(stage("a", "text", nil), stage("b", "text", nil, "a"), stage("c", "text", nil, "b"))
	}
	for name, c := range map[string]struct {
		plan     *pipeline.Plan
		attempts int
		steps    func(m *machine)
	}{
		"a claim is one worker's": {plan: line(), steps: func(m *machine) {
			m.answer(m.claim("a", 1, "w"), "ok")
			m.answer(m.claim("a", 1, "v"), "taken")
			m.answer(m.claim("a", 1, "w"), "ok") // its first answer was lost
			m.answer(m.claim("b", 1, "w"), "stale")
			m.answer(m.claim("z", 1, "w"), "gone")
			m.answer(m.script(claimScript, "a", 1, "w", "another store", artifact.Digest{}.String(), 0, 0), "foreign")
			m.answer(m.script(claimScript, "a", 1, "w", m.b.store.ID(), artifact.DigestOf(nil).String(), 0, 0), "stale") // another plan
		}},
		"the first commit wins": {plan: line(), steps: func(m *machine) {
			m.claim("a", 1, "w")
			m.answer(m.finish("a", 1, "w"), "ok 0")
			m.answer(m.finish("a", 1, "w"), "dup 0")
			m.answer(m.claim("a", 1, "w"), "done")
			m.want("a=SUCCEEDED/1 b=READY/1 c=PENDING/0 run=RUNNING")
		}},
		"the last stage closes the run": {plan: line(), steps: func(m *machine) {
			for _, s := range []string{"a", "b"} {
				m.claim(s, 1, "w")
				m.answer(m.finish(s, 1, "w"), "ok 0")
			}
			m.claim("c", 1, "w")
			m.answer(m.finish("c", 1, "w"), "ok 1")
			m.want("run=SUCCEEDED")
			m.answer(m.cancel(), "0 0")
		}},
		"a lost attempt cannot fail its successor": {plan: line(), steps: func(m *machine) {
			m.claim("a", 1, "w")
			m.answer(m.pass("a", 1, "w", 1), "ok 0")
			m.want("a=READY/2")
			m.answer(m.fail("a", 1, "w", 1), "stale 0")
			m.answer(m.pass("a", 1, "w", 1), "stale 0")
			m.answer(m.claim("a", 1, "w"), "stale")
			m.answer(m.claim("a", 2, "v"), "ok")
			m.answer(m.finish("a", 1, "w"), "ok 0") // late, but right: its outputs are as good
			m.answer(m.fail("a", 2, "v", 1), "stale 0")
			m.want("a=SUCCEEDED/2 b=READY/1")
		}},
		"a stage may kill so many workers": {plan: line(), steps: func(m *machine) {
			for n := 1; n <= 5; n++ { // beside others: it may have been one of them
				m.claim("a", n, "w")
				m.answer(m.pass("a", n, "w", 1), "ok 0")
			}
			m.alone("a", 6, "w")
			m.answer(m.pass("a", 6, "w", 1), "ok 0")
			m.alone("a", 7, "w")
			m.answer(m.pass("a", 7, "w", 0), "ok 0") // handing it over costs nothing
			m.alone("a", 8, "w")
			m.answer(m.pass("a", 8, "w", 1), "failed 1")
			m.want("a=FAILED b=SKIPPED c=SKIPPED run=FAILED")
		}},
		"a failed stage is not tried again": {plan: line(), steps: func(m *machine) {
			m.claim("a", 1, "w")
			m.answer(m.fail("a", 1, "w", 0), "ok 1")
			m.want("a=FAILED/1 b=SKIPPED c=SKIPPED run=FAILED")
		}},
		"a run may allow more": {plan: line(), attempts: 2, steps: func(m *machine) {
			m.claim("a", 1, "w")
			m.answer(m.fail("a", 1, "w", 0), "retry 0")
			m.claim("a", 2, "w")
			m.answer(m.fail("a", 2, "w", 0), "ok 1")
		}},
		"but never for bad input": {plan: line(), attempts: 2, steps: func(m *machine) {
			m.claim("a", 1, "w")
			m.answer(m.fail("a", 1, "w", 1), "ok 1")
		}},
		"a damaged input is made again": {plan: line(), steps: func(m *machine) {
			m.claim("a", 1, "w")
			m.finish("a", 1, "w")
			m.claim("b", 1, "w")
			m.answer(m.redo("b", 1, "w", "a"), "ok")
			m.want("a=READY/2 b=PENDING/1 run=RUNNING")
			m.answer(m.redo("b", 1, "w", "a"), "stale")
			m.claim("a", 2, "w")
			m.finish("a", 2, "w")
			m.want("a=SUCCEEDED/2 b=READY/2")
		}},
		"two consumers of one damaged output": {plan: plan(stage("a", "text", nil), stage("b", "text", nil, "a"), stage("c", "text", nil, "a")), steps: func(m *machine) {
			m.claim("a", 1, "w")
			m.finish("a", 1, "w")
			m.claim("b", 1, "w")
			m.claim("c", 1, "v")
			m.answer(m.redo("b", 1, "w", "a"), "ok")
			m.answer(m.redo("c", 1, "v", "a"), "ok")
			m.claim("a", 2, "w")
			m.finish("a", 2, "w")
			m.want("a=SUCCEEDED/2 b=READY/2 c=READY/2")
		}},
		"its maker fails now": {plan: plan(stage("a", "text", nil), stage("b", "text", nil, "a"), stage("c", "text", nil, "a")), steps: func(m *machine) {
			m.claim("a", 1, "w")
			m.finish("a", 1, "w")
			m.claim("b", 1, "w")
			m.claim("c", 1, "v")
			m.answer(m.redo("b", 1, "w", "a"), "ok")
			m.claim("a", 2, "w")
			m.answer(m.fail("a", 2, "w", 1), "ok 0")
			m.want("a=FAILED b=SKIPPED c=RUNNING run=RUNNING")
			m.answer(m.redo("c", 1, "v", "a"), "lost")
			m.answer(m.fail("c", 1, "v", 1), "ok 1")
			m.want("run=FAILED")
		}},
		"damage has an end": {plan: line(), steps: func(m *machine) {
			m.claim("a", 1, "w")
			m.finish("a", 1, "w")
			for n := 1; n <= maxRedos; n++ {
				m.claim("b", n, "w")
				m.answer(m.redo("b", n, "w", "a"), "ok")
				m.claim("a", n+1, "w")
				m.finish("a", n+1, "w")
			}
			m.claim("b", maxRedos+1, "w")
			m.answer(m.redo("b", maxRedos+1, "w", "a"), "limit")
		}},
		"a cancel waits for what runs": {plan: line(), steps: func(m *machine) {
			m.claim("a", 1, "w")
			m.answer(m.cancel("w"), "1 0")
			m.want("a=RUNNING b=CANCELED c=CANCELED run=RUNNING")
			m.answer(m.claim("b", 1, "w"), "canceled")
			m.answer(m.redo("a", 1, "w", "a"), "canceled")
			m.answer(m.fail("a", 1, "w", 5), "ok 1")
			m.want("a=CANCELED run=CANCELED")
		}},
		"but not for a worker that is gone": {plan: line(), steps: func(m *machine) {
			m.claim("a", 1, "w")
			m.answer(m.cancel("v"), "1 1")
			m.want("a=CANCELED run=CANCELED")
			m.answer(m.finish("a", 1, "w"), "dup 0")
		}},
		"a canceled attempt is not handed over": {plan: line(), steps: func(m *machine) {
			m.claim("a", 1, "w")
			m.cancel("w")
			m.answer(m.pass("a", 1, "w", 1), "ok 1")
			m.want("a=CANCELED run=CANCELED")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, b *bench) { c.steps(newMachine(t, b, c.plan, c.attempts)) })
		})
	}
}

func TestForgottenRunsStayForgotten(t *testing.T) {
	onEach(t, func(t *testing.T, b *bench) {
		m := &machine{t, b, artifact.NewRunID(time.Now())}
		m.answer(m.claim("a", 1, "w"), "gone")
		m.answer(m.finish("a", 1, "w"), "gone 0")
		m.answer(m.fail("a", 1, "w", 1), "gone 0")
		m.answer(m.pass("a", 1, "w", 1), "gone 0")
		m.answer(m.redo("a", 1, "w", "b"), "gone")
		m.answer(m.cancel(), "0 0")
		ctx := context.Background()
		if err := b.client.emit(ctx, pipeline.Event{Run: m.run, Type: pipeline.EngineEvent}); err != nil {
			t.Error(err)
		}
		if n, err := b.conn.redis.Exists(ctx, b.client.keys(m.run).all()...).Result(); err != nil || n != 0 {
			t.Errorf("%d keys of a run that is forgotten, %v", n, err)
		}
	})
}
