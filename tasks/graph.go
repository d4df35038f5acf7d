package tasks

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashline/hashline/pipeline"
)

// planIndex finds the stages of a plan by name, whatever their number.
type planIndex struct {
	*pipeline.Plan
	place map[string]int

	needed    sync.Once
	followers map[string][]int
}

func newPlanIndex(p *pipeline.Plan) *planIndex {
	i := &planIndex{Plan: p, place: make(map[string]int, len(p.Stages))}
	for n, s := range p.Stages {
		i.place[s.Name] = n
	}
	return i
}

func (p *planIndex) stage(name string) (pipeline.Stage, bool) {
	n, ok := p.place[name]
	if !ok {
		return pipeline.Stage{}, false
	}
	return p.Stages[n], true
}

// collectors returns the stages that need each of what a stage returns.
func (p *planIndex) collectors(parent string) []pipeline.Stage {
	var list []pipeline.Stage
	for _, s := range p.Stages {
		if slices.ContainsFunc(s.Needs, func(n pipeline.Need) bool { return n.Each && n.Stage == parent }) {
			list = append(list, s)
		}
	}
	return list
}

// stageArgs is a stage as createScript and finishScript put it into the state.
type stageArgs struct {
	Name     string            `json:"name"`
	Order    string            `json:"order,omitempty"`
	Need     int               `json:"need"`
	Ups      []string          `json:"ups,omitempty"` // of a returned stage
	Down     string            `json:"down"`          // JSON list: the stages that need this one
	Fields   map[string]string `json:"fields"`        // what the plan says of it
	Policies map[string]string `json:"policies"`      // by the stage that it needs
}

// newStageArgs describes stages that belong together.
func newStageArgs(stages []pipeline.Stage, registry *pipeline.Registry) []stageArgs {
	list := make([]stageArgs, len(stages))
	for i, s := range stages {
		list[i] = stageArgs{Name: s.Name, Order: strconv.Itoa(i), Need: len(s.Upstream()), Fields: stageFields(s, registry), Policies: policies(s)}
	}
	return list
}

// setDown says which stages need which; down is by the stage that is needed.
func setDown(list []stageArgs, down map[string][]string) error {
	for i := range list {
		names := down[list[i].Name]
		if names == nil {
			names = []string{}
		}
		b, err := json.Marshal(names)
		if err != nil {
			return err
		}
		list[i].Down = string(b)
	}
	return nil
}

func addDown(down map[string][]string, s pipeline.Stage) {
	for _, up := range s.Upstream() {
		down[up] = append(down[up], s.Name)
	}
}

// stageFields returns what the state keeps of what the plan says of a stage. A registry that is not known gives no pools.
func stageFields(s pipeline.Stage, registry *pipeline.Registry) map[string]string {
	f := map[string]string{}
	put := func(name, value string, given bool) {
		if given {
			f[name] = value
		}
	}
	millis := func(d pipeline.Duration) string { return strconv.FormatInt(time.Duration(d).Milliseconds(), 10) }
	pool := s.Pool
	if registry != nil {
		pool = registry.Pool(s)
	}
	put("always", "1", s.Always)
	put("pool", pool, pool != "")
	put("memory", strconv.FormatInt(s.Memory, 10), s.Memory > 0)
	if w := s.Wait; w != nil {
		put("delay", millis(w.Delay), w.Delay > 0)
		put("signal", w.Signal, w.Signal != "")
	}
	if r := s.Retry; r != nil {
		put("attempts", strconv.Itoa(r.Attempts), r.Attempts > 0)
		put("backoff", millis(r.Backoff), r.Backoff > 0)
		put("factor", strconv.FormatFloat(r.Factor, 'g', -1, 64), r.Factor > 0)
		put("limit", millis(r.Max), r.Max > 0)
	}
	return f
}

// policies returns what is to become of a stage when one that it needs fails, where that is not to be skipped.
func policies(s pipeline.Stage) map[string]string {
	m := map[string]string{}
	for _, up := range pipeline.NewStageRecord(s).GoesOn {
		m[up] = pipeline.GoOn
	}
	for _, n := range s.Needs {
		if n.OnFailure == pipeline.FailRun {
			m[n.Stage] = pipeline.FailRun
		}
	}
	return m
}

// expansionArgs is what finishScript puts into the state of the stages that a stage returned.
type expansionArgs struct {
	Stages     []stageArgs     `json:"stages"`
	Names      string          `json:"names"` // JSON list
	IsNew      map[string]bool `json:"isnew"`
	Collectors []collectorArgs `json:"collectors"`
}

// collectorArgs is a stage that needs the returned ones: Need of them.
type collectorArgs struct {
	Name     string            `json:"name"`
	Need     int               `json:"need"`
	Policies map[string]string `json:"policies"`
}

// expand describes the stages that parent returned; plan is where parent stands.
func expand(parent string, returned []pipeline.Stage, plan *planIndex, registry *pipeline.Registry) (string, error) {
	a := expansionArgs{Stages: newStageArgs(returned, registry), IsNew: map[string]bool{}, Collectors: []collectorArgs{}}
	names := make([]string, len(returned))
	down := map[string][]string{}
	for i, s := range returned {
		names[i], a.IsNew[s.Name] = s.Name, true
		a.Stages[i].Ups, a.Stages[i].Order = s.Upstream(), ""
		a.Stages[i].Fields["def"] = parent
		addDown(down, s)
	}
	for _, c := range plan.collectors(parent) {
		full := c.WithReturned(parent, returned, registry)
		need := 0
		for _, up := range full.Upstream() {
			if a.IsNew[up] {
				down[up] = append(down[up], c.Name)
				need++
			}
		}
		policy := policies(full)
		maps.DeleteFunc(policy, func(up, _ string) bool { return !a.IsNew[up] })
		a.Collectors = append(a.Collectors, collectorArgs{c.Name, need, policy})
	}
	if err := setDown(a.Stages, down); err != nil {
		return "", err
	}
	list, err := json.Marshal(names)
	if err != nil {
		return "", err
	}
	a.Names = string(list)
	b, err := json.Marshal(a)
	return string(b), err
}
