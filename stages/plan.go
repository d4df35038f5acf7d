package stages

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/evaluate"
	"github.com/hashline/hashline/stages/explain"
	"github.com/hashline/hashline/stages/golearnscores"
	"github.com/hashline/hashline/stages/load"
	"github.com/hashline/hashline/stages/plots"
	"github.com/hashline/hashline/stages/preprocess"
	"github.com/hashline/hashline/stages/splitdata"
	"github.com/hashline/hashline/stages/validate"
)

// Names of stages. Those of a model are the prefix and the model's name.
const (
	LoadData       = "load_data"
	Preprocess     = "preprocess"
	EDA            = "eda"
	SplitData      = "split_data"
	TrainPrefix    = "train:"
	EvaluatePrefix = "evaluate:"
	ScorePrefix    = "score:" // of golearn's models, by golearn's package evaluation
	PlotPrefix     = "plot:"
	PlotEDA        = "plot:eda"
	PlotResults    = "plot_results"
	CV             = "cv" // returns a stage for each model and fold
	CVResults      = "cv_results"
	PlotCV         = "plot_cv"
	Explain        = "explain" // of the best model of trees
	PlotExplain    = "plot_explain"
	CurvePrefix    = "curve:"
	PlotLearning   = "plot_learning"
	BestPrefix     = "best:" // the settings of a model that a search found
)

// Build makes the plan of a pipeline for an input file. A pipeline without a task learns classes. Stages on the longest path come first, as the queue takes ready
// stages in the order of the plan.
func (s *Spec) Build(input artifact.Ref) (*pipeline.Plan, error) {
	settled := *s
	settled.Task = s.task()
	if err := settled.Check(); err != nil {
		return nil, err
	}
	p := &pipeline.Plan{Schema: pipeline.PlanSchema, Seed: s.Seed}
	b := builder{plan: p}
	names := s.ModelNames()
	b.add(LoadData, "load_data", load.Params{Missing: s.Missing, Types: s.Types}, pipeline.Need{Role: "csv", Artifact: &input})
	b.add(Preprocess, "preprocess", preprocess.Params{Target: s.Target, Task: s.Task, Features: s.Features.choice(), Split: s.Split.Column}, from("table", LoadData, "table"))
	b.add(SplitData, "split_data", splitdata.Params{Method: s.splitMethod(), TestSize: s.Split.TestSize}, from("table", Preprocess, "table"))
	b.add(EDA, "eda", nil, from("table", Preprocess, "table"))
	if s.Search != nil { // its trainings wait for it
		if err := settled.crossValidate(&b); err != nil {
			return nil, err
		}
	}
	for _, m := range names {
		kind, params, err := s.models()[m].stage(m, settled.Task)
		if err != nil {
			return nil, err
		}
		needs := []pipeline.Need{from("train", SplitData, "train")}
		if s.Search != nil {
			b.add(BestPrefix+m, "choose_settings", validate.ChooseParams{Model: m}, from("results", CVResults, "results"))
			params, needs = map[string]any{}, append(needs, from("settings", BestPrefix+m, "settings"))
		}
		if o := settled.options(m); !o.IsZero() {
			kind, params = validate.CalibrateKindOf(kind), map[string]any{"options": o, "params": params}
		}
		b.add(TrainPrefix+m, kind, params, needs...)
	}
	b.add(PlotEDA, "plot_eda", nil, from("summary", EDA, "summary"))
	judge, drawOne, drawAll := "evaluate", "plot_model", "plot_results"
	if settled.Task == Regression {
		judge, drawOne, drawAll = "evaluate_regression", "plot_regression", "plot_regression_results"
	}
	for _, m := range names {
		b.add(EvaluatePrefix+m, judge, evaluate.Params{Model: m, Repeats: s.Importance.Repeats}, from("model", TrainPrefix+m, "model"), from("test", SplitData, "test"))
	}
	for _, m := range names {
		if s.models()[m].Engine == golearn {
			b.add(ScorePrefix+m, "golearn_scores", golearnscores.Params{Model: m}, from("predictions", EvaluatePrefix+m, "predictions"), from("metrics", EvaluatePrefix+m, "metrics"))
		}
	}
	if s.CV > 0 && s.Search == nil {
		if err := settled.crossValidate(&b); err != nil {
			return nil, err
		}
	}
	var all []pipeline.Need
	for _, m := range names {
		b.add(PlotPrefix+m, drawOne, plots.ModelParams{Model: m}, from("metrics", EvaluatePrefix+m, "metrics"), from("curves", EvaluatePrefix+m, "curves"), from("info", SplitData, "info"))
	}
	for _, output := range []string{"metrics", "curves", "importance"} {
		for _, m := range names {
			all = append(all, from(output, EvaluatePrefix+m, output))
		}
	}
	all = append(all, from("info", SplitData, "info"))
	b.add(PlotResults, drawAll, plots.ResultsParams{Models: names}, all...)
	if s.Curve {
		if err := settled.learningCurves(&b); err != nil {
			return nil, err
		}
	}
	if s.Explain {
		var judged []pipeline.Need
		for _, m := range names {
			judged = append(judged, from("model", TrainPrefix+m, "model"))
		}
		for _, m := range names {
			judged = append(judged, from("metrics", EvaluatePrefix+m, "metrics"))
		}
		b.add(Explain, "explain", explain.Params{Models: names, Rows: explain.DefaultRows}, append(judged, from("train", SplitData, "train"), from("test", SplitData, "test"))...)
		b.add(PlotExplain, "plot_explain", nil, from("explanation", Explain, "explanation"), from("info", SplitData, "info"))
	}
	return p, b.err
}

// crossValidate adds the stages that train candidates on folds of the training part and compare them.
func (s *Spec) crossValidate(b *builder) error {
	candidates, err := s.candidates()
	if err != nil {
		return err
	}
	var p validate.CompareParams
	if s.Search != nil {
		p.Scoring = s.Search.Scoring
	}
	b.add(CV, "cross_validate", validate.Params{Folds: s.CV, Method: s.splitMethod(), Train: SplitData, Candidates: candidates}, from("train", SplitData, "train"))
	b.add(CVResults, "compare_candidates", p, from("design", CV, "design"), pipeline.Need{Role: "scores", Stage: CV, Output: "scores", Each: true})
	b.add(PlotCV, "plot_cv", nil, from("results", CVResults, "results"), from("info", SplitData, "info"))
	return nil
}

// learningCurves adds the stages that measure how every model grows with the rows that it is trained on.
func (s *Spec) learningCurves(b *builder) error {
	var curves []pipeline.Need
	for _, m := range s.ModelNames() {
		kind, params, err := s.models()[m].stage(m, s.Task)
		if err != nil {
			return err
		}
		p := map[string]any{"method": s.splitMethod(), "params": params}
		needs := []pipeline.Need{from("train", SplitData, "train")}
		if s.Search != nil {
			p["scoring"] = s.Search.Scoring
			needs = append(needs, from("settings", BestPrefix+m, "settings"))
		}
		b.add(CurvePrefix+m, validate.CurveKindOf(kind), p, needs...)
		curves = append(curves, from("curve", CurvePrefix+m, "curve"))
	}
	b.add(PlotLearning, "plot_learning", plots.ResultsParams{Models: s.ModelNames()}, append(curves, from("info", SplitData, "info"))...)
	return nil
}

// options are what is learned besides a model.
func (s *Spec) options(model string) validate.Options {
	m := s.models()[model]
	o := validate.Options{Calibration: m.Calibration, Threshold: m.Threshold}
	if o.IsZero() {
		return o
	}
	if o.Method = s.splitMethod(); o.Method == splitdata.Stratified {
		o.Method = ""
	}
	return o
}

// checkOptions holds what is learned besides a model to what there is.
func (m *ModelSpec) checkOptions(task string) error {
	o := validate.Options{Calibration: m.Calibration, Threshold: m.Threshold}
	if task == Regression && !o.IsZero() {
		return errors.New("calibration and threshold are for classes, and the target is a number")
	}
	return o.Validate()
}

// builder collects stages.
type builder struct {
	plan *pipeline.Plan
	err  error
}

func (b *builder) add(name, kind string, params any, needs ...pipeline.Need) {
	s := pipeline.Stage{Name: name, Kind: kind, Needs: needs}
	if params != nil {
		raw, err := json.Marshal(params)
		b.err = errors.Join(b.err, err)
		s.Params = raw
	}
	b.plan.Stages = append(b.plan.Stages, s)
}

func from(role, stage, output string) pipeline.Need {
	return pipeline.Need{Role: role, Stage: stage, Output: output}
}

func (f *Features) choice() feature.Choice {
	c := feature.Choice{Columns: f.Columns, Include: f.Include, Exclude: f.Exclude}
	for _, d := range f.Dates {
		c.Dates = append(c.Dates, feature.Parts{Column: d.Column, Parts: d.Parts})
	}
	for _, d := range f.DaysBetween {
		c.DaysBetween = append(c.DaysBetween, feature.Between{Name: d.Name, From: d.From, To: d.To})
	}
	for _, r := range f.Ratios {
		c.Ratios = append(c.Ratios, feature.Ratio{Name: r.Name, Numerator: r.Numerator, Denominator: r.Denominator})
	}
	for _, o := range f.Own {
		c.Own = append(c.Own, feature.Feature{Name: o.Name, Op: o.Op, Inputs: o.Inputs})
	}
	return c
}

// settings are the fields of a model that its kind knows.
var settings = map[string][]string{
	"train_decision_tree":       {"criterion", "max_depth", "max_leaf_nodes", "min_samples_leaf", "min_samples_split", "max_bins", "ccp_alpha", "laplace", "class_weight"},
	"train_golearn_tree":        {"max_depth"},
	"train_golearn_forest":      {"trees", "max_depth", "max_bins"},
	"train_random_forest":       {"trees", "criterion", "max_depth", "max_leaf_nodes", "min_samples_leaf", "min_samples_split", "max_features", "max_bins", "oob_score", "class_weight"},
	"train_extra_trees":         {"trees", "criterion", "max_depth", "max_leaf_nodes", "min_samples_leaf", "min_samples_split", "max_features", "max_bins", "class_weight"},
	"train_gradient_boosting":   {"learning_rate", "max_iter", "max_leaf_nodes", "max_depth", "min_samples_leaf", "l2_regularization", "max_bins", "early_stopping", "validation_fraction", "n_iter_no_change", "class_weight"},
	"train_logistic_regression": {"c", "max_iter", "l1_ratio", "class_weight"},
	"train_ridge":               {"alpha", "max_iter", "l1_ratio"},
}

// Engines that train.
const (
	native  = "native"
	golearn = "golearn"
)

// ofNumbers are the settings of forests of a numeric target that are not set: scikit-learn looks at every feature then too,
// and a few large numbers, which weigh most, are told apart by fine bins.
var ofNumbers = map[string]any{"max_features": 1, "max_bins": 1024}

// ofClasses are the fields that a numeric target has no use for.
var ofClasses = []string{"criterion", "laplace", "class_weight"}

// stage returns the kind of stage that trains the model for a task, and its parameters; those not set are left to the kind.
// An empty task is one that is not settled.
func (m *ModelSpec) stage(name, task string) (kind string, params map[string]any, err error) {
	model := m.Kind
	if model == "" {
		model = name
	}
	if !slices.Contains(modelKinds(), model) {
		return "", nil, fmt.Errorf("%.60q is no kind of model; want kind: one of %s", model, strings.Join(modelKinds(), ", "))
	}
	kind = "train_" + model
	switch {
	case model == linear[Classification] && task == Regression:
		return "", nil, fmt.Errorf("%s learns classes, and the target is a number; use %s, or say task: classification", model, linear[task])
	case model == linear[Regression] && task == Classification:
		return "", nil, fmt.Errorf("%s learns numbers, and the target has classes; use %s, or say task: regression", model, linear[task])
	case m.Engine == "" || m.Engine == native:
	case m.Engine == golearn && task == Regression:
		return "", nil, errors.New("golearn learns classes, and the target is a number; use engine: native")
	case m.Engine == golearn && model == DecisionTree:
		kind = "train_golearn_tree"
	case m.Engine == golearn && model == RandomForest:
		kind = "train_golearn_forest"
	default:
		return "", nil, fmt.Errorf("there is no engine %.60q for %s; golearn trains decision trees and random forests, native everything", m.Engine, model)
	}
	if t, ok := own[model]; ok {
		kind, params = t.Name, maps.Clone(m.Params)
	} else if len(m.Params) > 0 {
		return "", nil, fmt.Errorf("params are those of a registered kind; the settings of %s stand beside kind", model)
	}
	if params == nil {
		params = map[string]any{}
	}
	set := func(name string, isSet bool, value any) {
		if !isSet {
			return
		}
		if task == Regression && slices.Contains(ofClasses, name) {
			err = errors.Join(err, fmt.Errorf("%s is for classes, and the target is a number", name))
		} else if !slices.Contains(settings[kind], name) {
			err = errors.Join(err, fmt.Errorf("%s has no setting %s; it has %s", strings.TrimPrefix(kind, "train_"), name, strings.Join(settings[kind], ", ")))
		}
		params[name] = value
	}
	if task == Regression && (kind == "train_"+RandomForest || kind == "train_"+ExtraTrees) {
		maps.Copy(params, ofNumbers)
	}
	set("criterion", m.Criterion != nil, m.Criterion)
	set("max_leaf_nodes", m.MaxLeafNodes != nil, m.MaxLeafNodes)
	set("ccp_alpha", m.CCPAlpha != nil, m.CCPAlpha)
	set("oob_score", m.OOBScore != nil, m.OOBScore)
	set("learning_rate", m.LearningRate != nil, m.LearningRate)
	set("l2_regularization", m.L2 != nil, m.L2)
	set("early_stopping", m.EarlyStopping != nil, m.EarlyStopping)
	set("validation_fraction", m.Validation != nil, m.Validation)
	set("n_iter_no_change", m.NIterNoChange != nil, m.NIterNoChange)
	set("max_depth", m.MaxDepth != nil, m.MaxDepth)
	set("min_samples_leaf", m.MinSamplesLeaf != nil, m.MinSamplesLeaf)
	set("min_samples_split", m.MinSamplesSplit != nil, m.MinSamplesSplit)
	set("max_bins", m.MaxBins != nil, m.MaxBins)
	set("laplace", m.Laplace != nil, m.Laplace)
	set("trees", m.Trees != nil, m.Trees)
	set("max_features", m.MaxFeatures != nil, m.MaxFeatures)
	set("c", m.C != nil, m.C)
	set("alpha", m.Alpha != nil, m.Alpha)
	set("max_iter", m.MaxIter != nil, m.MaxIter)
	set("l1_ratio", m.L1Ratio != nil, m.L1Ratio)
	set("class_weight", m.ClassWeight != nil, m.ClassWeight)
	return kind, params, err
}

// Models returns the names of the models of a plan, in its order.
func Models(p *pipeline.Plan) []string {
	var names []string
	for _, s := range p.Stages {
		if m, ok := strings.CutPrefix(s.Name, TrainPrefix); ok {
			names = append(names, m)
		}
	}
	return names
}
