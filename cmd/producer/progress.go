package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/hashline/hashline/pipeline"
)

// progress shows a run while it goes: a table that is drawn again on a terminal, else a line for each event. It is safe
// for concurrent use.
type progress struct {
	w     io.Writer
	size  func() (width, height int, err error) // of the terminal
	quiet bool
	table bool
	color bool

	mu     sync.Mutex
	stages []progressStage
	drawn  int // lines of the table on the screen
	last   time.Time
	start  time.Time
}

type progressStage struct {
	name, state, note string
	started, ended    time.Time
}

func (s *submission) newProgress(plan *pipeline.Plan, id string) *progress {
	p := &progress{w: s.err, quiet: s.quiet, start: time.Now()}
	for _, st := range plan.Stages {
		p.stages = append(p.stages, progressStage{name: st.Name, state: "waiting"})
	}
	if s.document.Input.BuiltinSample {
		p.say("no file was given: this is the Superstore data that the program carries")
	}
	if s.document.Target.ChosenBy == "default" {
		p.say("no target was given: " + s.document.Target.Expression)
	}
	p.say("run " + id)
	if f, ok := s.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		p.size = func() (int, int, error) { return term.GetSize(int(f.Fd())) }
		p.table, p.color = true, os.Getenv("NO_COLOR") == ""
	}
	return p
}

// say prints a sentence above the table.
func (p *progress) say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet {
		return
	}
	p.erase()
	fmt.Fprintln(p.w, plain(text))
	p.draw()
}

// told are the events that a reader of lines wants to see.
var told = map[string]bool{
	pipeline.RunStart: true, pipeline.RunSuccess: true, pipeline.RunFailure: true, pipeline.RunCanceled: true, pipeline.StepStart: true, pipeline.StepSuccess: true,
	pipeline.StepFailure: true, pipeline.StepSkipped: true, pipeline.StepUpForRetry: true, pipeline.StepCacheHit: true, pipeline.StepCacheMiss: true,
	pipeline.BlobCorrupt: true, pipeline.NonDeterminism: true, pipeline.WorkerLost: true, pipeline.EngineEvent: true, pipeline.StepHandedOver: true,
}

func (p *progress) event(e pipeline.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet {
		return
	}
	p.update(e)
	if !p.table {
		if told[e.Type] {
			fmt.Fprintln(p.w, eventLine(e))
		}
		return
	}
	switch e.Type {
	case pipeline.BlobCorrupt, pipeline.NonDeterminism, pipeline.WorkerLost, pipeline.EngineEvent:
		p.erase()
		fmt.Fprintln(p.w, eventLine(e))
	}
	if time.Since(p.last) > 50*time.Millisecond || e.EndsRun() {
		p.erase()
		p.draw()
	}
}

// eventLine is one event as a line.
func eventLine(e pipeline.Event) string {
	line := fmt.Sprintf("%s  %-24s %-30s", e.Time.Local().Format("15:04:05.000"), e.Type, e.Stage)
	if e.Attempt > 1 {
		line += fmt.Sprintf(" attempt %d", e.Attempt)
	}
	if e.Message != "" {
		line += " " + e.Message
	}
	return strings.TrimRight(plain(line), " ")
}

func (p *progress) update(e pipeline.Event) {
	for i := range p.stages {
		s := &p.stages[i]
		if s.name != e.Stage {
			continue
		}
		switch e.Type {
		case pipeline.StepStart:
			s.state, s.started, s.note = "running", e.Time, ""
		case pipeline.StepCacheHit:
			s.note = "cached"
		case pipeline.StepCacheMiss:
			s.note = e.Message
		case pipeline.StepSuccess:
			s.state, s.ended = "done", e.Time
		case pipeline.StepFailure:
			s.state, s.ended, s.note = "failed", e.Time, e.Message
		case pipeline.StepSkipped:
			s.state, s.note = "skipped", e.Message
		case pipeline.StepUpForRetry, pipeline.WorkerLost, pipeline.StepHandedOver:
			s.state, s.note = "waiting", e.Message
		}
	}
}

// end shows the last state. Whoever has something to say later is not heard: the summary follows.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.table && !p.quiet {
		p.erase()
		p.draw()
	}
	p.quiet = true
}

// erase takes the table off the screen.
func (p *progress) erase() {
	if p.drawn > 0 {
		fmt.Fprintf(p.w, "\x1b[%dA\x1b[J", p.drawn)
		p.drawn = 0
	}
}

var marks = map[string]string{"waiting": "·", "running": "▸", "done": "✓", "failed": "✗", "skipped": "-"}
var colors = map[string]string{"running": "\x1b[36m", "done": "\x1b[32m", "failed": "\x1b[31m", "waiting": "\x1b[2m", "skipped": "\x1b[2m"}

func (p *progress) draw() {
	if !p.table {
		return
	}
	width, height, err := p.size()
	if err != nil || height < len(p.stages)+2 { // it could not be taken off the screen again
		p.table = false
		return
	}
	var b strings.Builder
	for _, s := range p.stages {
		took := ""
		if !s.ended.IsZero() && !s.started.IsZero() {
			took = fmt.Sprintf("%7.3f s", s.ended.Sub(s.started).Seconds())
		}
		line := clip(fmt.Sprintf("%s %-32s %-8s %10s  %s", marks[s.state], s.name, s.state, took, short(plain(s.note), 60)), width-1)
		if c := colors[s.state]; p.color && c != "" {
			line = c + line + "\x1b[0m"
		}
		b.WriteString(line + "\n")
	}
	_, _ = io.WriteString(p.w, b.String())
	p.drawn, p.last = len(p.stages), time.Now()
}

// clip cuts a line to columns of a terminal, in which a character of an East Asian script takes two.
func clip(s string, columns int) string {
	for i, r := range s {
		if r >= 0x1100 {
			columns--
		}
		if columns--; columns < 0 {
			return s[:i]
		}
	}
	return s
}

func short(s string, n int) string {
	s = strings.ReplaceAll(s, "\n", " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
