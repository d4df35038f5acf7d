// Package summary makes of a run's record and artifacts the one document that other programs rely on: what was run on
// what, how good the models are, what was computed and what was cached, and what went wrong.
package summary

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/leak"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/stages/evaluate"
	"github.com/hashline/hashline/stages/preprocess"
	"github.com/hashline/hashline/stages/splitdata"
	"github.com/hashline/hashline/stages/validate"
)

// Schema is the schema of Document; fields are only ever added.
const Schema = "hashline.submit/1"

// Statuses that a document has besides those of runs.
const (
	Detached = "DETACHED" // the command left the run to its workers
	Rejected = "REJECTED" // no run was created
	Unknown  = "UNKNOWN"  // it is not over as far as the store knows, and Redis has no trace of it
)

// Document is the answer to a submission. Times are seconds, sizes bytes, moments RFC 3339 in UTC, digests
// "sha256:<64 hex>". A digest, number, moment or choice that is not known, or not defined, is null; other text is empty.
type Document struct {
	Schema       string             `json:"schema"`
	RunID        Text               `json:"run_id"`
	Name         string             `json:"name"`
	Tags         map[string]string  `json:"tags"`
	Status       string             `json:"status"`
	ExitCode     int                `json:"exit_code"`
	Mode         Text               `json:"mode"`
	CreatedAt    *time.Time         `json:"created_at"`
	FinishedAt   *time.Time         `json:"finished_at"`
	WallS        float64            `json:"wall_s"`
	Input        Input              `json:"input"`
	Target       Target             `json:"target"`
	Seed         uint64             `json:"seed"`
	PlanDigest   Text               `json:"plan_digest"`
	ResultDigest Text               `json:"result_digest"`
	LeftOut      []LeftOut          `json:"left_out"`
	Split        Split              `json:"split"`
	Baseline     Baseline           `json:"baseline"`
	Models       []Model            `json:"models"`
	Validation   *Validation        `json:"cross_validation"`
	Stages       []Stage            `json:"stages"`
	Counts       Counts             `json:"counts"`
	Warnings     []artifact.Warning `json:"warnings"`
	ReportPath   Text               `json:"report_path"`
	OutDir       *string            `json:"out_dir"`
	Error        *pipeline.Error    `json:"error"`
}

// Input is the file that was submitted.
type Input struct {
	Name          string `json:"name"`
	SHA256        Text   `json:"sha256"`
	Bytes         *int64 `json:"bytes"`
	Rows          Count  `json:"rows"`
	Columns       Count  `json:"columns"`
	BuiltinSample bool   `json:"builtin_sample"`
}

// Target is what was predicted.
type Target struct {
	Expression string   `json:"expression"`
	Task       Text     `json:"task"`      // classification or regression
	Classes    []string `json:"classes"`   // none of a regression
	Positive   *string  `json:"positive"`  // of two classes, the one that precision, recall, F1 and the areas are of
	ChosenBy   Text     `json:"chosen_by"` // flag, file or default
}

// LeftOut is a column that no model uses though nobody asked for that, and why.
type LeftOut struct {
	Column string `json:"column"`
	Type   string `json:"type"`
	Reason string `json:"reason"`
}

// Split is how the rows were divided.
type Split struct {
	Method    Text      `json:"method"`
	Column    string    `json:"column"` // of a group or time split
	TestSize  num.Float `json:"test_size"`
	TrainRows Count     `json:"train_rows"`
	TestRows  Count     `json:"test_rows"`
}

// Baseline is what models are compared with: Majority and Stump of a classification, Mean and Cut of a regression.
type Baseline struct {
	Majority *splitdata.Majority `json:"majority"`
	Stump    *leak.Stump         `json:"stump"`
	Mean     *splitdata.Mean     `json:"mean"`
	Cut      *leak.Cut           `json:"cut"`
}

// Model is one trained and judged model. Of a regression, Regression is set, and Metrics and Confusion are empty.
type Model struct {
	Name        string              `json:"name"`
	Kind        string              `json:"kind"`
	Engine      string              `json:"engine"`
	Stage       string              `json:"stage"`
	ModelDigest Text                `json:"model_digest"`
	Metrics     metrics.Metrics     `json:"metrics"`
	Confusion   metrics.Confusion   `json:"confusion"`
	Regression  *metrics.Regression `json:"regression"`
	Calibration Text                `json:"calibration"` // sigmoid or isotonic
	Decision    *evaluate.Decision  `json:"decision"`    // a threshold that was chosen by cost
}

// Stage is what became of one stage.
type Stage struct {
	Name       string            `json:"name"`
	Kind       string            `json:"kind"`
	Status     string            `json:"status"`
	Cache      Text              `json:"cache"` // hit, miss or off
	MissReason string            `json:"miss_reason"`
	Attempts   int               `json:"attempts"`
	ActionKey  Text              `json:"action_key"`
	Code       Text              `json:"code"`
	Worker     string            `json:"worker"`
	QueuedS    float64           `json:"queued_s"`
	FetchS     float64           `json:"fetch_s"`
	ComputeS   float64           `json:"compute_s"`
	StoreS     float64           `json:"store_s"`
	StartedAt  *time.Time        `json:"started_at"`
	FinishedAt *time.Time        `json:"finished_at"`
	Needs      []string          `json:"needs"`
	ExpandedBy string            `json:"expanded_by"` // the stage that returned this one; empty: the plan has it
	Outputs    []artifact.Output `json:"outputs"`
	Reason     string            `json:"reason"` // why it was skipped
	Error      *pipeline.Error   `json:"error"`
}

// Counts are numbers of stages. Computed means that the stage's function was called.
type Counts struct {
	Stages   int `json:"stages"`
	Computed int `json:"computed"`
	Cached   int `json:"cached"`
	Failed   int `json:"failed"`
	Skipped  int `json:"skipped"`
	Canceled int `json:"canceled"`
}

// Submission is what a run record keeps of the command that made it.
type Submission struct {
	Input  Input        `json:"input"`
	Ref    artifact.Ref `json:"artifact"` // of the input
	Target Target       `json:"target"`
	Args   []string     `json:"args"`
	Shape
}

// Shape is what of a command line decides about the plan: enough to make it again, on other data or with other values.
type Shape struct {
	Flags        []string `json:"flags"`                   // each with its value, as --seed=7, those from the environment included
	PipelineName string   `json:"pipeline_name,omitempty"` // of the pipeline file, without its folder
	Pipeline     string   `json:"pipeline,omitempty"`      // its text
	SearchName   string   `json:"search_name,omitempty"`   // of the search file, alike
	Search       string   `json:"search,omitempty"`
}

// New returns a document without a run.
func New() *Document {
	return &Document{Schema: Schema, Status: Rejected, Tags: map[string]string{}, Models: []Model{}, Stages: []Stage{}, Warnings: []artifact.Warning{}, LeftOut: []LeftOut{},
		Target: Target{Classes: []string{}}, Split: Split{TestSize: num.Float(math.NaN())}}
}

// Details are the documents of a run that its report shows; each is nil when its stage did not end well.
type Details struct {
	Load       *csv.Report
	Preprocess *preprocess.Notes
	Info       *splitdata.Info
	Metrics    map[string]*evaluate.Metrics // of a classification
	Importance map[string]*evaluate.Importance
}

// Build reads what a run left behind. A record whose artifacts are gone or damaged is an error; one that has not got so
// far is not.
func Build(ctx context.Context, store *artifact.Store, r *pipeline.RunRecord) (*Document, *Details, error) {
	d := New()
	d.RunID, d.Name, d.Status, d.Mode, d.Seed = Text(r.RunID), r.Name, r.Status, Text(r.Mode), r.Seed
	if r.Tags != nil {
		d.Tags = r.Tags
	}
	d.PlanDigest, d.ResultDigest = Text(r.Plan.Digest.String()), Text(r.ResultDigest)
	d.CreatedAt, d.FinishedAt = moment(r.CreatedAt), moment(r.FinishedAt)
	if !r.FinishedAt.IsZero() {
		d.WallS = r.FinishedAt.Sub(r.CreatedAt).Seconds()
	}
	var s Submission
	if len(r.Submission) > 0 {
		if err := json.Unmarshal(r.Submission, &s); err != nil {
			return nil, nil, fmt.Errorf("run %s: submission: %w", r.RunID, err)
		}
	}
	d.Input, d.Target = s.Input, s.Target
	if d.Target.Classes == nil {
		d.Target.Classes = []string{}
	}
	if r.Error != nil {
		e := *r.Error
		d.Error, d.ExitCode = &e, pipeline.ExitCode(e.Class)
		if d.Error.Class == pipeline.ClassBadInput && d.Error.File == "" {
			d.Error.File = d.Input.Name
		}
	}
	for _, w := range r.Warnings { // trainings on folds may all say the same
		if !slices.Contains(d.Warnings, w) {
			d.Warnings = append(d.Warnings, w)
		}
	}
	for i := range r.Stages {
		d.stage(&r.Stages[i])
	}
	details, err := d.details(ctx, store, r)
	return d, details, err
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := t.UTC()
	return &u
}

func (d *Document) stage(s *pipeline.StageRecord) {
	out := Stage{Name: s.Name, Kind: s.Kind, Status: s.Status, Cache: Text(s.Cache), MissReason: s.MissReason, Attempts: s.Attempts, ActionKey: Text(s.ActionKey), Code: Text(s.Code),
		Worker: s.Worker, QueuedS: s.QueuedS, FetchS: s.FetchS, ComputeS: s.ComputeS, StoreS: s.StoreS, StartedAt: moment(s.StartedAt), FinishedAt: moment(s.FinishedAt),
		Needs: s.Needs, ExpandedBy: s.ExpandedBy, Outputs: s.Outputs, Reason: s.SkipReason, Error: s.Error}
	if out.Needs == nil {
		out.Needs = []string{}
	}
	if out.Outputs == nil {
		out.Outputs = []artifact.Output{}
	}
	d.Stages = append(d.Stages, out)
	d.Counts.Stages++
	switch s.Status {
	case pipeline.Failed:
		d.Counts.Failed++
	case pipeline.Skipped:
		d.Counts.Skipped++
	case pipeline.Canceled:
		d.Counts.Canceled++
	}
	switch s.Cache {
	case pipeline.CacheHit:
		d.Counts.Cached++
	case pipeline.CacheMiss, pipeline.CacheOff:
		d.Counts.Computed++
	}
}

// details reads the documents of the stages that ended well.
func (d *Document) details(ctx context.Context, store *artifact.Store, r *pipeline.RunRecord) (*Details, error) {
	x := &Details{Metrics: map[string]*evaluate.Metrics{}, Importance: map[string]*evaluate.Importance{}}
	g := getter{ctx: ctx, store: store, record: r}
	x.Load = get[csv.Report](&g, stages.LoadData, "notes")
	x.Preprocess = get[preprocess.Notes](&g, stages.Preprocess, "notes")
	x.Info = get[splitdata.Info](&g, stages.SplitData, "info")
	if x.Load != nil {
		d.Input.Rows, d.Input.Columns = Count(x.Load.Rows), Count(len(x.Load.Columns))
	}
	if x.Preprocess != nil {
		d.Target.Task, d.Target.Classes = stages.Classification, []string{}
		if x.Preprocess.Target.Classes == nil {
			d.Target.Task = stages.Regression
		}
		for _, c := range x.Preprocess.Target.Classes {
			d.Target.Classes = append(d.Target.Classes, c.Class)
		}
		for _, c := range x.Preprocess.Columns {
			if c.LeftOutByRule() {
				d.LeftOut = append(d.LeftOut, LeftOut{c.Column, c.Type, c.Reason})
			}
		}
		if c := d.Target.Classes; len(c) == 2 {
			d.Target.Positive = &c[1]
		}
	}
	if i := x.Info; i != nil {
		d.Split = Split{Text(i.Method), i.Column, num.Float(i.TestSize), Count(i.TrainRows), Count(i.TestRows)}
		d.Baseline = Baseline{i.Baseline.Majority, i.Baseline.Stump, i.Baseline.Mean, i.Baseline.Cut}
	}
	d.Validation = validation(get[validate.Results](&g, stages.CVResults, "results"))
	for _, s := range r.Stages {
		name, ok := strings.CutPrefix(s.Name, stages.EvaluatePrefix)
		if !ok {
			continue
		}
		model := Model{Name: name, Stage: stages.TrainPrefix + name}
		if !x.judged(&g, s, &model) {
			continue
		}
		x.Importance[name] = get[evaluate.Importance](&g, s.Name, "importance")
		if trained, ok := r.Stage(model.Stage); ok {
			if o, ok := trained.Output("model"); ok {
				model.ModelDigest = Text(o.Digest.String())
			}
		}
		d.Models = append(d.Models, model)
	}
	return x, g.err
}

// judged fills in what an evaluation says of a model; false when there is none.
func (x *Details) judged(g *getter, s pipeline.StageRecord, m *Model) bool {
	if s.Kind == evaluate.Regression().Name {
		r := get[evaluate.RegressionMetrics](g, s.Name, "metrics")
		if r == nil {
			return false
		}
		m.Kind, m.Engine, m.Metrics, m.Regression = r.Kind, r.Engine, metrics.Undefined(), &r.Metrics
		m.Confusion = metrics.Confusion{Labels: []string{}, Counts: [][]int64{}}
		return true
	}
	c := get[evaluate.Metrics](g, s.Name, "metrics")
	if c == nil {
		return false
	}
	x.Metrics[m.Name] = c
	m.Kind, m.Engine, m.Metrics, m.Confusion = c.Kind, c.Engine, c.Metrics, c.Confusion
	m.Calibration, m.Decision = Text(c.Calibration), c.Decision
	return true
}

// getter reads outputs of a run and keeps the first error.
type getter struct {
	ctx    context.Context
	store  *artifact.Store
	record *pipeline.RunRecord
	err    error
}

func get[T any](g *getter, stage, output string) *T {
	s, ok := g.record.Stage(stage)
	if !ok || g.err != nil {
		return nil
	}
	o, ok := s.Output(output)
	if !ok {
		return nil
	}
	b, err := g.store.ReadOutput(g.ctx, o)
	var v T
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		g.err = fmt.Errorf("run %s: output %s of %s: %w", g.record.RunID, output, stage, err)
		return nil
	}
	return &v
}

// Best returns the model with the largest area under the ROC curve, or of a regression with the least RMSE, the first of
// equals; nil without models. An undefined figure is worse than any. After a search it is the model that was ahead in
// cross-validation, as the test part has no say in what is chosen.
func (d *Document) Best() *Model {
	var best *Model
	if d.Validation != nil && d.Validation.Searched() {
		for i := range d.Models {
			if d.Models[i].Name == d.Validation.Candidates[0].Model {
				return &d.Models[i]
			}
		}
	}
	for i := range d.Models {
		if m := &d.Models[i]; best == nil || m.score() > best.score() || !best.score().Defined() && m.score().Defined() {
			best = m
		}
	}
	return best
}

func (m *Model) score() num.Float {
	if m.Regression != nil {
		return -m.Regression.RMSE
	}
	return m.Metrics.ROCAUC
}

// Times adds up where the stages' time went.
func (d *Document) Times() (queued, fetch, compute, store float64) {
	for _, s := range d.Stages {
		queued += s.QueuedS
		fetch += s.FetchS
		compute += s.ComputeS
		store += s.StoreS
	}
	return queued, fetch, compute, store
}

// Figure formats a metric between 0 and 1 for people.
func Figure(f num.Float) string {
	if !f.Defined() {
		return "–"
	}
	if math.Abs(float64(f)) < 0.00005 { // no minus before zeros
		f = 0
	}
	return fmt.Sprintf("%.4f", float64(f))
}

// FigureOf formats a figure by what it is.
func FigureOf(f metrics.Named, v num.Float) string {
	if f.InUnits {
		return Value(v)
	}
	return Figure(v)
}

// Value formats a number of unknown size for people, in few letters.
func Value(f num.Float) string {
	v := float64(f)
	switch a := math.Abs(v); {
	case !f.Defined():
		return "–"
	case a >= 1e4 && a < 1e12:
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	}
	return fmt.Sprintf("%.4g", v)
}
