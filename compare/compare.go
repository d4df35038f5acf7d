// Package compare says what differs between two runs, and what followed from it: data, parameters and code, then the
// stages that were computed again and the metrics that moved.
package compare

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/summary"
)

// Schema is the schema of Difference; fields are only ever added.
const Schema = "hashline.diff/1"

// Difference is what differs between run A and run B.
type Difference struct {
	Schema     string         `json:"schema"`
	A          string         `json:"a"`
	B          string         `json:"b"`
	SameResult bool           `json:"same_result"` // both succeeded with the same result digest
	Data       *Data          `json:"data"`        // null when the inputs are the same
	Parameters []Change       `json:"parameters"`
	Code       []Change       `json:"code"`
	Stages     []StageChange  `json:"stages"` // whose outputs or action keys differ
	Metrics    []MetricChange `json:"metrics"`
}

// Change is a value that differs; null stands for one that is absent.
type Change struct {
	Where string  `json:"where"`
	A     *string `json:"a"`
	B     *string `json:"b"`
}

// StageChange is a stage that did not do the same in both runs.
type StageChange struct {
	Stage   string   `json:"stage"`
	StatusA string   `json:"status_a"`
	StatusB string   `json:"status_b"`
	Outputs []string `json:"outputs"` // names of the outputs that differ; none: it was computed again with the same result
	Reason  string   `json:"reason"`  // what differs: parameters, code, an input, the seed
}

// MetricChange is a metric of a model that moved.
type MetricChange struct {
	Model  string    `json:"model"`
	Metric string    `json:"metric"`
	A      num.Float `json:"a"`
	B      num.Float `json:"b"`
}

// side is one run with what it left behind.
type side struct {
	record   *pipeline.RunRecord
	document *summary.Document
	plan     *pipeline.Plan
}

func open(ctx context.Context, store *artifact.Store, r *pipeline.RunRecord) (*side, error) {
	d, _, err := summary.Build(ctx, store, r)
	if err != nil {
		return nil, err
	}
	b, err := store.ReadAll(ctx, r.Plan)
	if err != nil {
		return nil, fmt.Errorf("run %s: plan: %w", r.RunID, err)
	}
	p, err := pipeline.ParsePlan(b)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", r.RunID, err)
	}
	return &side{r, d, p}, nil
}

// Runs compares two runs of a store.
func Runs(ctx context.Context, store *artifact.Store, a, b *pipeline.RunRecord) (*Difference, error) {
	left, err := open(ctx, store, a)
	if err != nil {
		return nil, err
	}
	right, err := open(ctx, store, b)
	if err != nil {
		return nil, err
	}
	d := &Difference{Schema: Schema, A: a.RunID, B: b.RunID, SameResult: a.ResultDigest != "" && a.ResultDigest == b.ResultDigest,
		Parameters: parameters(left.plan, right.plan), Code: code(a, b), Stages: stageChanges(left, right), Metrics: metricChanges(left.document, right.document)}
	if left.document.Input.SHA256 != right.document.Input.SHA256 {
		if d.Data, err = data(ctx, store, left, right); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// parameters compares the plans: seed, stages and every parameter.
func parameters(a, b *pipeline.Plan) []Change {
	left, right := flatten(a), flatten(b)
	return changes(left, right)
}

func flatten(p *pipeline.Plan) map[string]string {
	flat := map[string]string{"seed": fmt.Sprint(p.Seed)}
	for _, s := range p.Stages {
		flat[s.Name] = s.Kind
		var params any
		if json.Unmarshal(s.Params, &params) == nil {
			flattenValue(flat, s.Name, params)
		}
	}
	return flat
}

func flattenValue(flat map[string]string, path string, v any) {
	if m, ok := v.(map[string]any); ok {
		for k, v := range m {
			flattenValue(flat, path+"."+k, v)
		}
		return
	}
	b, err := json.Marshal(v)
	if err == nil {
		flat[path] = string(b)
	}
}

func changes(a, b map[string]string) []Change {
	names := make([]string, 0, len(a))
	for n := range a {
		names = append(names, n)
	}
	for n := range b {
		if _, ok := a[n]; !ok {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	list := []Change{}
	for _, n := range names {
		va, inA := a[n]
		vb, inB := b[n]
		if inA == inB && va == vb {
			continue
		}
		c := Change{Where: n}
		if inA {
			c.A = &va
		}
		if inB {
			c.B = &vb
		}
		list = append(list, c)
	}
	return list
}

// code compares the fingerprints of the kinds that both runs used.
func code(a, b *pipeline.RunRecord) []Change {
	list := []Change{}
	seen := map[string]bool{}
	for i := range a.Stages {
		s := &a.Stages[i]
		o, ok := b.Stage(s.Name)
		if !ok || s.Code == o.Code || s.Code == "" || o.Code == "" || s.Kind != o.Kind || seen[s.Kind] {
			continue
		}
		seen[s.Kind] = true
		list = append(list, Change{s.Kind, &s.Code, &o.Code})
	}
	return list
}

func stageChanges(left, right *side) []StageChange {
	a, b := left.record, right.record
	list := []StageChange{}
	for i := range a.Stages {
		s := &a.Stages[i]
		o, ok := b.Stage(s.Name)
		if !ok {
			list = append(list, StageChange{Stage: s.Name, StatusA: s.Status, Outputs: []string{}, Reason: "only in the first run"})
			continue
		}
		if s.ActionKey == o.ActionKey && s.Status == o.Status {
			continue
		}
		c := StageChange{Stage: s.Name, StatusA: s.Status, StatusB: o.Status, Outputs: []string{}, Reason: reason(left, right, s.Name)}
		for _, out := range s.Outputs {
			if other, ok := o.Output(out.Name); ok && other.Digest != out.Digest {
				c.Outputs = append(c.Outputs, out.Name)
			}
		}
		list = append(list, c)
	}
	for i := range b.Stages {
		if _, ok := a.Stage(b.Stages[i].Name); !ok {
			list = append(list, StageChange{Stage: b.Stages[i].Name, StatusB: b.Stages[i].Status, Outputs: []string{}, Reason: "only in the second run"})
		}
	}
	return list
}

// reason says what of a stage that both runs have differs between them: parameters, code, inputs, else the seed.
func reason(left, right *side, name string) string {
	a, _ := left.plan.Stage(name)
	b, _ := right.plan.Stage(name)
	var why []string
	if string(a.Params) != string(b.Params) {
		why = append(why, "parameters")
	}
	if x, y := left.codeOf(name), right.codeOf(name); x != "" && y != "" && x != y {
		why = append(why, "code")
	}
	inA, inB := left.inputs(a), right.inputs(b)
	for _, n := range b.Needs {
		if what := "input " + n.Role; inA[n.Role] != inB[n.Role] && !slices.Contains(why, what) {
			why = append(why, what)
		}
	}
	if len(why) == 0 && left.plan.Seed != right.plan.Seed {
		why = append(why, "seed")
	}
	return strings.Join(why, ", ")
}

func (s *side) codeOf(stage string) string {
	r, ok := s.record.Stage(stage)
	if !ok {
		return ""
	}
	return r.Code
}

// inputs are the digests that a stage got, by role.
func (s *side) inputs(stage pipeline.Stage) map[string]string {
	in := map[string]string{}
	for _, n := range stage.Needs {
		digest := ""
		if n.Artifact != nil {
			digest = n.Artifact.Digest.String()
		} else if r, ok := s.record.Stage(n.Stage); ok {
			if o, ok := r.Output(n.Output); ok {
				digest = o.Digest.String()
			}
		}
		in[n.Role] += digest + " "
	}
	return in
}

// figures are the metrics by name, in the order of the document.
func figures(m *summary.Model) []MetricChange {
	c := m.Metrics
	r := metrics.Regression{RMSE: undefined, MAE: undefined, MedianAbsolute: undefined, MaxError: undefined, R2: undefined}
	if m.Regression != nil {
		r = *m.Regression
	}
	return []MetricChange{{Metric: "accuracy", A: c.Accuracy}, {Metric: "balanced_accuracy", A: c.BalancedAccuracy}, {Metric: "precision", A: c.Precision},
		{Metric: "recall", A: c.Recall}, {Metric: "f1", A: c.F1}, {Metric: "roc_auc", A: c.ROCAUC}, {Metric: "average_precision", A: c.AveragePrecision},
		{Metric: "log_loss", A: c.LogLoss}, {Metric: "brier", A: c.Brier},
		{Metric: "rmse", A: r.RMSE}, {Metric: "mae", A: r.MAE}, {Metric: "median_absolute_error", A: r.MedianAbsolute}, {Metric: "max_error", A: r.MaxError}, {Metric: "r2", A: r.R2}}
}

var undefined = num.Float(math.NaN())

func metricChanges(a, b *summary.Document) []MetricChange {
	list := []MetricChange{}
	for _, m := range a.Models {
		i := slices.IndexFunc(b.Models, func(o summary.Model) bool { return o.Name == m.Name })
		if i < 0 {
			continue
		}
		other := figures(&b.Models[i])
		for j, f := range figures(&m) {
			f.Model, f.B = m.Name, other[j].A
			if f.A != f.B && (f.A.Defined() || f.B.Defined()) {
				list = append(list, f)
			}
		}
	}
	return list
}
