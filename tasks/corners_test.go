package tasks

import (
	"strings"
	"testing"

	"github.com/hashline/hashline/pipeline"
)

// expandInto finishes an expanding stage that returned stages.
func (m *machine) expandInto(p *pipeline.Plan, stage string, attempt int, worker string, returned ...pipeline.Stage) string {
	m.t.Helper()
	args, err := expand(stage, returned, newPlanIndex(p), m.b.config.Registry)
	if err != nil {
		m.t.Fatal(err)
	}
	return words(m.script(finishScript, stage, attempt, worker, pipeline.Succeeded, "{}", "", 0, args), 2)
}

// TestStateMachineCorners walks through what rarely comes together.
func TestStateMachineCorners(t *testing.T) {
	always := func(s pipeline.Stage) pipeline.Stage {
		s.Always = true
		return s
	}
	fan := plan(stage("a", "text", nil), stage("f", "fan", nil, "a"))
	for name, c := range map[string]struct {
		plan  *pipeline.Plan
		steps func(m *machine)
	}{
		"a returned stage finds an output damaged of a stage that was over when it was returned": {fan, func(m *machine) {
			m.claim("a", 1, "w")
			m.finish("a", 1, "w")
			m.claim("f", 1, "w")
			m.answer(m.expandInto(fan, "f", 1, "w", stage("f:1", "text", nil, "f", "a")), "ok 0")
			for n, up := range []string{"f", "a"} {
				m.claim("f:1", n+1, "w")
				m.answer(m.redo("f:1", n+1, "w", up), "ok")
				m.claim(up, 2, "w")
				m.answer(m.finish(up, 2, "w"), "ok 0")
				m.want("f:1=READY")
			}
			m.claim("f:1", 3, "w")
			m.answer(m.finish("f:1", 3, "w"), "ok 1")
			m.want("run=SUCCEEDED")
		}},
		"a paused run that is canceled cleans up": {plan(stage("a", "text", nil), always(stage("z", "text", nil, "a"))), func(m *machine) {
			m.script(pauseRunScript, 1, "paused")
			m.answer(m.cancel(), "1 0")
			m.want("a=CANCELED z=READY/1")
			if got := m.script(peekScript, 10, 10); !strings.Contains(got, "z\n1") {
				m.t.Errorf("nobody hands z out: %q", got)
			}
			m.answer(m.claim("z", 1, "w"), "ok")
			m.answer(m.finish("z", 1, "w"), "ok 1")
			m.want("run=CANCELED")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, b *bench) { c.steps(newMachine(t, b, c.plan, 1)) })
		})
	}
}
