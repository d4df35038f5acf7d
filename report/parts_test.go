package report

import (
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/summary"
)

func TestPortable(t *testing.T) {
	for _, c := range []struct {
		name     string
		in, want []string
	}{
		{"nothing to leave out", []string{"submit", "f.csv", "--seed", "7"}, []string{"submit", "f.csv", "--seed", "7"}},
		{"an address with a password", []string{"submit", "--redis", "redis://:pw@h", "f.csv"}, []string{"submit", "f.csv"}},
		{"the same joined", []string{"submit", "--redis=redis://:pw@h", "f.csv"}, []string{"submit", "f.csv"}},
		{"flags without a value", []string{"submit", "-q", "--json", "--png", "f.csv"}, []string{"submit", "f.csv"}},
		{"a flag at the end that lacks its value", []string{"submit", "--out"}, []string{"submit"}},
		{"a value that looks like a flag", []string{"submit", "--target=--out"}, []string{"submit", "--target=--out"}},
	} {
		if got := portable(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// A shell gives back what was quoted for it.
func TestShellQuote(t *testing.T) {
	shell := needs.Tool(t, "sh")
	args := []string{"plain-1.csv", "", "two words", "it's", `a"b`, "$HOME", "`id`", "line\nend", "*", "~", `back\slash`, "Profit > 0", "日本", "-n", ";", "a=b", "!x", "''"}
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = shellQuote(a)
	}
	out, err := exec.Command(shell, "-c", `printf '%s\0' `+strings.Join(quoted, " ")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, args) {
		t.Errorf("got %q, want %q", got, args)
	}
}

func plan(needs map[string][]string, order ...string) []summary.Stage {
	var list []summary.Stage
	for _, n := range order {
		list = append(list, summary.Stage{Name: n, Needs: needs[n], Status: pipeline.Succeeded})
	}
	return list
}

func TestGraph(t *testing.T) {
	for _, c := range []struct {
		name   string
		stages []summary.Stage
		depth  map[string]int
		edges  int
	}{
		{"none", nil, map[string]int{}, 0},
		{"a line, listed from its end", plan(map[string][]string{"c": {"b"}, "b": {"a"}}, "c", "b", "a"), map[string]int{"b": 1, "c": 2}, 2},
		{"a short cut is not drawn", plan(map[string][]string{"c": {"b", "a"}, "b": {"a"}}, "a", "b", "c"), map[string]int{"b": 1, "c": 2}, 2},
		{"a diamond", plan(map[string][]string{"b": {"a"}, "c": {"a"}, "d": {"b", "c"}}, "a", "b", "c", "d"), map[string]int{"b": 1, "c": 1, "d": 2}, 4},
		{"a need that is no stage", plan(map[string][]string{"a": {"input"}}, "a"), nil, 0},
		{"a circle, which no plan is", plan(map[string][]string{"a": {"b"}, "b": {"a"}}, "a", "b"), nil, 2},
	} {
		depth := depths(c.stages)
		for name, want := range c.depth {
			if depth[name] != want {
				t.Errorf("%s: %s is %d from the start, want %d", c.name, name, depth[name], want)
			}
		}
		drawn := string(graph(&summary.Document{Stages: c.stages}))
		if got := strings.Count(drawn, `class="edge"`); got != c.edges {
			t.Errorf("%s: %d edges, want %d", c.name, got, c.edges)
		}
		if got := strings.Count(drawn, `class="box"`); got != len(c.stages) {
			t.Errorf("%s: %d boxes, want %d", c.name, got, len(c.stages))
		}
	}
}

// Many stages that one stage returned are drawn as one box, with all their times.
func TestGathered(t *testing.T) {
	stages := plan(map[string][]string{"cv": {"split"}}, "split", "cv")
	needs := []string{"cv"}
	for i := range 8 {
		s := summary.Stage{Name: fmt.Sprint("cv:", i), ExpandedBy: "cv", Needs: []string{"split", "cv"}, Status: pipeline.Succeeded, Cache: "hit", ComputeS: 0.25}
		if i == 5 {
			s.Status, s.Cache = pipeline.Failed, "miss"
		}
		stages, needs = append(stages, s), append(needs, s.Name)
	}
	stages = append(stages, summary.Stage{Name: "results", Needs: needs, Status: pipeline.Skipped})
	if got := gathered(stages, 8); len(got) != len(stages) {
		t.Errorf("%d stages, want %d as they are", len(got), len(stages))
	}
	got := gathered(stages, 7)
	if len(got) != 4 {
		t.Fatalf("%d stages, want 4: %+v", len(got), got)
	}
	if g := got[2]; g.Name != "cv: 8 stages" || !slices.Equal(g.Needs, []string{"split", "cv"}) || g.Status != pipeline.Failed || g.Cache != "miss" || g.ComputeS != 2 {
		t.Errorf("%+v", g)
	}
	if g := got[3]; !slices.Equal(g.Needs, []string{"cv", "cv: 8 stages"}) {
		t.Errorf("what comes after needs %v", g.Needs)
	}
	if drawn := string(graph(&summary.Document{Stages: stages})); strings.Count(drawn, `class="box"`) != 4 || strings.Count(drawn, `class="edge"`) != 3 {
		t.Error("the drawing has not 4 boxes and 3 edges")
	}
}

func TestTimeline(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ms int) *time.Time { m := start.Add(time.Duration(ms) * time.Millisecond); return &m }
	d := &summary.Document{CreatedAt: &start, Stages: []summary.Stage{
		{Name: "<load>", Status: pipeline.Succeeded, Cache: "miss", StartedAt: at(10), FinishedAt: at(60), QueuedS: 0.01},
		{Name: "cached", Status: pipeline.Succeeded, Cache: "hit", StartedAt: at(60), FinishedAt: at(61)},
		{Name: "broken", Status: pipeline.Failed, Cache: "miss", StartedAt: at(61), FinishedAt: at(100)},
		{Name: "never", Status: pipeline.Skipped},
	}}
	drawn := string(timeline(d))
	for _, want := range []string{"&lt;load&gt;", `class="work"`, `class="cached"`, `class="broken"`, ">50.0 ms<", ">20 ms<", ">100 ms<"} {
		if !strings.Contains(drawn, want) {
			t.Errorf("the timeline lacks %q", want)
		}
	}
	if strings.Contains(drawn, "never") {
		t.Error("the timeline shows a stage that did not run")
	}
	if got := timeline(&summary.Document{CreatedAt: &start, Stages: d.Stages[3:]}); got != "" {
		t.Errorf("nothing ran, and the timeline is %q", got)
	}
}

func TestTick(t *testing.T) {
	for end, want := range map[float64]float64{0.1: 0.02, 0.35: 0.05, 1: 0.2, 8: 1, 75: 10, 3600: 500, 0.0003: 0.00005} {
		if got := tick(end); got < want*0.999 || got > want*1.001 {
			t.Errorf("tick(%v) = %v, want %v", end, got, want)
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ name, got, want string }{
		{"milliseconds", seconds(0.0123), "12.3 ms"}, {"tenths", seconds(0.25), "250 ms"}, {"seconds", seconds(12.34), "12.3 s"}, {"minutes", seconds(321), "321 s"},
		{"bytes", size(900), "900 B"}, {"kilobytes", size(20 << 10), "20 kB"}, {"megabytes", size(2551000), "2.4 MB"},
		{"a count that is not known", grouped(summary.Count(0)), "–"}, {"a count", grouped(summary.Count(12345)), "12\u202f345"},
		{"one row", rows(1), "1 row"}, {"rows", rows(summary.Count(2)), "2 rows"},
		{"a large value", value(22638.48), "22\u202f638"}, {"a negative one", value(-0.5), "−0.5"}, {"a huge one", value(1e300), "1e+300"}, {"an undefined one", value(num.Float(math.NaN())), "–"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
}

// A picture that is not ours is shown all the same.
func TestNewPicture(t *testing.T) {
	for _, c := range []struct {
		name, svg string
		want      picture
	}{
		{"ours", `<svg viewBox="0 0 330 353.9"><title>ROC &lt;b&gt;: AUC 1</title></svg>`, picture{Alt: "ROC <b>: AUC 1", Width: "330", Height: "353"}},
		{"wide", `<svg viewBox="0 0 700 20"><title>t</title></svg>`, picture{Alt: "t", Width: "700", Height: "20", Class: "wide"}},
		{"without size", `<svg><title>t</title></svg>`, picture{Alt: "t"}},
		{"no markup", "", picture{Alt: "name"}},
	} {
		if got := newPicture("name", 0, []byte(c.svg)); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}
