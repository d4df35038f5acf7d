package stages

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/split"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/preprocess"
	"github.com/hashline/hashline/stages/splitdata"
	"github.com/hashline/hashline/stages/validate"
)

// Spec is a pipeline: what a pipeline file and the flags say, defaults filled in.
type Spec struct {
	Target     string                `yaml:"target,omitempty"`
	Task       string                `yaml:"task,omitempty"` // Classification, Regression, or nothing: as Decide finds
	Seed       uint64                `yaml:"seed"`
	Missing    []string              `yaml:"missing,omitempty"`
	Types      map[string]string     `yaml:"types,omitempty"`
	Features   Features              `yaml:"features,omitempty"`
	Split      Split                 `yaml:"split"`
	CV         int                   `yaml:"cv,omitempty"` // folds of cross-validation; 0: none
	Search     *Search               `yaml:"search,omitempty"`
	Importance Importance            `yaml:"importance"`
	Curve      bool                  `yaml:"learning_curve,omitempty"`
	Explain    bool                  `yaml:"explain,omitempty"` // SHAP values and partial dependence of the best model of trees
	Models     map[string]*ModelSpec `yaml:"models,omitempty"`  // nil: the defaults of the task
}

// Features say what the models see; see feature.Choice.
type Features struct {
	Columns     []string    `yaml:"columns,omitempty"`
	Include     []string    `yaml:"include,omitempty"`
	Exclude     []string    `yaml:"exclude,omitempty"`
	Dates       []DateParts `yaml:"dates,omitempty"`
	DaysBetween []Between   `yaml:"days_between,omitempty"`
	Ratios      []Ratio     `yaml:"ratios,omitempty"`
	Own         []Own       `yaml:"own,omitempty"`
}

// DateParts are parts of one date.
type DateParts struct {
	Column string   `yaml:"column"`
	Parts  []string `yaml:"parts"`
}

// Between is the days from one date to another.
type Between struct {
	Name string `yaml:"name,omitempty"`
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// Ratio is the quotient of two numbers.
type Ratio struct {
	Name        string `yaml:"name,omitempty"`
	Numerator   string `yaml:"numerator"`
	Denominator string `yaml:"denominator"`
}

// Own is what an operation makes that the program registered; see feature.Register.
type Own struct {
	Name   string   `yaml:"name,omitempty"`
	Op     string   `yaml:"op"`
	Inputs []string `yaml:"inputs"`
}

// Split says how the rows are divided. Without a method it is stratified, or random for a regression.
type Split struct {
	Method   string  `yaml:"method,omitempty"`
	Column   string  `yaml:"column,omitempty"`
	TestSize float64 `yaml:"test_size"`
}

// Importance says how permutation importance is measured.
type Importance struct {
	Repeats int `yaml:"repeats"`
}

// ModelSpec is one model; what is not set has the default of its kind.
type ModelSpec struct {
	Kind            string   `yaml:"kind,omitempty"` // default: the model's name
	Engine          string   `yaml:"engine,omitempty"`
	Criterion       *string  `yaml:"criterion,omitempty"`
	MaxDepth        *int     `yaml:"max_depth,omitempty"`
	MaxLeafNodes    *int     `yaml:"max_leaf_nodes,omitempty"`
	MinSamplesLeaf  *int     `yaml:"min_samples_leaf,omitempty"`
	MinSamplesSplit *int     `yaml:"min_samples_split,omitempty"`
	MaxBins         *int     `yaml:"max_bins,omitempty"`
	Laplace         *int     `yaml:"laplace,omitempty"`
	Trees           *int     `yaml:"trees,omitempty"`
	MaxFeatures     any      `yaml:"max_features,omitempty"` // a share, a number, sqrt or log2
	CCPAlpha        *float64 `yaml:"ccp_alpha,omitempty"`
	OOBScore        *bool    `yaml:"oob_score,omitempty"`
	LearningRate    *float64 `yaml:"learning_rate,omitempty"`
	L2              *float64 `yaml:"l2_regularization,omitempty"`
	EarlyStopping   *bool    `yaml:"early_stopping,omitempty"`
	Validation      *float64 `yaml:"validation_fraction,omitempty"`
	NIterNoChange   *int     `yaml:"n_iter_no_change,omitempty"`
	C               *float64 `yaml:"c,omitempty"`
	MaxIter         *int     `yaml:"max_iter,omitempty"`
	L1Ratio         *float64 `yaml:"l1_ratio,omitempty"`
	Alpha           *float64 `yaml:"alpha,omitempty"`
	ClassWeight     any      `yaml:"class_weight,omitempty"` // balanced, or weights by class
	Calibration     string   `yaml:"calibration,omitempty"`  // sigmoid or isotonic

	Threshold *validate.Costs `yaml:"threshold,omitempty"` // by what wrong answers cost

	Params map[string]any `yaml:"params,omitempty"` // of a registered kind
}

// Tasks of a pipeline.
const (
	Classification = preprocess.Classification
	Regression     = preprocess.Regression
)

// Kinds of models, in the order in which they are shown.
const (
	DecisionTree       = "decision_tree"
	RandomForest       = "random_forest"
	ExtraTrees         = "extra_trees"
	GradientBoosting   = "gradient_boosting"
	LogisticRegression = "logistic_regression"
	Ridge              = "ridge"
)

// modelKinds are those, then the registered ones.
func modelKinds() []string {
	return append([]string{DecisionTree, RandomForest, ExtraTrees, GradientBoosting, LogisticRegression, Ridge}, slices.Sorted(maps.Keys(own))...)
}

// linear are the kinds that learn classes or numbers alone, by their task; the others learn both.
var linear = map[string]string{Classification: LogisticRegression, Regression: Ridge}

// Default is the pipeline without a file.
func Default() *Spec {
	return &Spec{Seed: 42, Split: Split{TestSize: 0.2}, Importance: Importance{Repeats: 5}}
}

// task is what the pipeline learns, classes unless it says otherwise.
func (s *Spec) task() string {
	if s.Task == "" {
		return Classification
	}
	return s.Task
}

// models are those of the pipeline; where no file and no flag says which, the defaults of its task.
func (s *Spec) models() map[string]*ModelSpec {
	if s.Models != nil {
		return s.Models
	}
	return map[string]*ModelSpec{DecisionTree: {}, RandomForest: {}, linear[s.task()]: {}}
}

// Decide settles the task where the pipeline does not say it, by what is known of the columns before the run: a target that
// is a numeric column with more than feature.MaxDistinct values is to be predicted as a number. The head of a long table
// may show fewer than there are; preprocess finds that out.
func (s *Spec) Decide(r *csv.Report) {
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = c.Name
	}
	target, err := feature.ParseTarget(s.Target, names)
	if s.Task != "" || err != nil || target.Compares() {
		return
	}
	c := r.Column(target.Column)
	kind := c.Type
	if said, ok := s.Types[target.Column]; ok {
		kind = said
	}
	if t, err := frame.ParseType(kind); err == nil && (t == frame.Integer || t == frame.Float) && c.Distinct > feature.MaxDistinct {
		s.Task = Regression
	}
}

// maxSpecBytes bounds a pipeline file.
const maxSpecBytes = 1 << 20

// ParseSpec reads a pipeline file over the defaults. It is strict: a field that does not exist, or a value that does not
// fit, is an error with line and column. name is the file's, for messages.
func ParseSpec(name string, b []byte) (*Spec, error) {
	if len(b) > maxSpecBytes {
		return nil, fault(name, nil, "the pipeline file has %d bytes, more than %d", len(b), maxSpecBytes)
	}
	if err := checkAliases(name, b); err != nil {
		return nil, err
	}
	s := Default()
	switch err := decode(name, "pipeline file", b, s); {
	case errors.Is(err, io.EOF): // nothing but comments
		return Default(), nil
	case err != nil:
		return nil, err
	}
	if s.Search != nil {
		if err := s.takeSearch(name, "$.search", func(path string) ast.Node { return nodeAt(b, path) }); err != nil {
			return nil, err
		}
	}
	return s, s.check(name, b)
}

var modelName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9_]{0,39}$`) })

// check finds what the types of the fields allow and the pipeline does not. b is the file, for line and column; it may
// be nil.
func (s *Spec) check(name string, b []byte) error {
	at := func(path string) ast.Node {
		if b == nil {
			return nil
		}
		return nodeAt(b, path)
	}
	if s.Task != "" && s.Task != Classification && s.Task != Regression {
		return fault(name, at("$.task"), "task: %.40q is neither classification nor regression", s.Task)
	}
	models := s.models()
	if len(models) == 0 {
		return fault(name, at("$.models"), "there are no models").WithHint("name at least one of %s", strings.Join(modelKinds(), ", "))
	}
	for _, m := range s.ModelNames() {
		path := "$.models." + m
		if !modelName().MatchString(m) {
			return fault(name, at("$.models"), "a model is named %.60q; a name is lower-case letters, digits and _", m)
		}
		if models[m] == nil {
			models[m] = &ModelSpec{}
		}
		kind, params, err := models[m].stage(m, s.Task)
		if err != nil {
			return fault(name, at(path), "model %s: %v", m, err)
		}
		if err := models[m].checkOptions(s.Task); err != nil {
			field, _, _ := strings.Cut(err.Error(), " ")
			return fault(name, at(path+"."+strings.TrimSuffix(field, ":")), "model %s: %v", m, err)
		}
		if err := checkParams(kind, params); err != nil {
			field, _, _ := strings.Cut(err.Error(), " ")
			node := at(path)
			if n := at(path + "." + field); n != nil {
				node = n
			}
			return fault(name, node, "model %s: %s", m, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	for _, column := range slices.Sorted(maps.Keys(s.Types)) {
		if _, err := frame.ParseType(s.Types[column]); err != nil {
			return fault(name, at("$.types"), "column %.80q: %v", column, err)
		}
	}
	if err := s.Features.check(name, at); err != nil {
		return err
	}
	if err := s.checkSplit(name, at); err != nil || s.Search == nil {
		return err
	}
	return s.checkSearch(name, "$.search", at)
}

// check finds derived features that lack a column, and parts that dates do not have.
func (f *Features) check(name string, at func(string) ast.Node) error {
	for i, d := range f.Dates {
		path := fmt.Sprintf("$.features.dates[%d]", i)
		if d.Column == "" {
			return fault(name, at(path), "features: dates have no column").WithHint("write column: NAME")
		}
		for _, p := range d.Parts {
			if !slices.Contains(feature.DateParts, p) {
				return fault(name, at(path+".parts"), "features: a date has no part %.40q", p).WithHint("want some of %s", strings.Join(feature.DateParts, ", "))
			}
		}
	}
	for i, b := range f.DaysBetween {
		if b.From == "" || b.To == "" {
			return fault(name, at(fmt.Sprintf("$.features.days_between[%d]", i)), "features: days_between goes from one column to another").WithHint("write from: NAME and to: NAME")
		}
	}
	for i, r := range f.Ratios {
		if r.Numerator == "" || r.Denominator == "" {
			return fault(name, at(fmt.Sprintf("$.features.ratios[%d]", i)), "features: a ratio has two columns").WithHint("write numerator: NAME and denominator: NAME")
		}
	}
	for i, o := range f.Own {
		if o.Op == "" || len(o.Inputs) == 0 {
			return fault(name, at(fmt.Sprintf("$.features.own[%d]", i)), "features: one of your own has an operation and columns").WithHint("write op: NAME and inputs: [NAME]")
		}
	}
	return nil
}

// checkParams holds the parameters of a training to what its kind allows.
func checkParams(kind string, params map[string]any) error {
	for _, k := range Kinds() {
		if k.Name != kind {
			continue
		}
		p := k.Params()
		b, err := json.Marshal(params)
		if err == nil {
			d := json.NewDecoder(bytes.NewReader(b))
			d.DisallowUnknownFields()
			err = d.Decode(p)
		}
		if v, ok := p.(interface{ Validate() error }); ok && err == nil {
			err = v.Validate()
		}
		return err
	}
	return nil
}

func (s *Spec) checkSplit(name string, at func(string) ast.Node) error {
	p := splitdata.Params{Method: s.splitMethod(), TestSize: s.Split.TestSize}
	if err := p.Validate(); err != nil {
		return fault(name, at("$.split"), "split: %v", err)
	}
	if s.ByColumn() != (s.Split.Column != "") {
		return fault(name, at("$.split"), "split: group and time go with a column, stratified and random without one").WithHint("write method: group and column: NAME")
	}
	if p.Method == splitdata.Stratified && s.Task == Regression {
		return fault(name, at("$.split"), "split: stratified needs classes, and a regression has none").WithHint("leave the method out, or write random")
	}
	if s.CV != 0 && (s.CV < 2 || s.CV > split.MaxFolds) {
		return fault(name, at("$.cv"), "cv is %d, want 2 to %d folds, or 0 for no cross-validation", s.CV, split.MaxFolds)
	}
	if s.Importance.Repeats < 1 || s.Importance.Repeats > 100 {
		return fault(name, at("$.importance"), "importance: repeats is %d, want 1 to 100", s.Importance.Repeats)
	}
	return nil
}

// splitMethod is how rows are divided where the pipeline does not say it too.
func (s *Spec) splitMethod() string {
	switch {
	case s.Split.Method != "":
		return s.Split.Method
	case s.Task == Regression:
		return splitdata.Random
	}
	return splitdata.Stratified
}

// ByColumn reports whether the split goes by a column.
func (s *Spec) ByColumn() bool { return splitdata.ByColumn(s.Split.Method) }

// ModelNames returns the names of the models: those named like a kind first, then the others in alphabetical order.
func (s *Spec) ModelNames() []string {
	models := s.models()
	names := make([]string, 0, len(models))
	for n := range models {
		names = append(names, n)
	}
	kinds := modelKinds()
	rank := func(n string) int {
		if i := slices.Index(kinds, n); i >= 0 {
			return i
		}
		return len(kinds)
	}
	slices.SortFunc(names, func(a, b string) int {
		if rank(a) != rank(b) {
			return rank(a) - rank(b)
		}
		return strings.Compare(a, b)
	})
	return names
}

// KeepModels drops all models but the named ones; a name that is no model of the pipeline but a kind is added.
func (s *Spec) KeepModels(names []string) error {
	kept, models := map[string]*ModelSpec{}, s.models()
	for _, n := range names {
		n = strings.TrimSpace(n)
		switch {
		case models[n] != nil:
			kept[n] = models[n]
		case slices.Contains(modelKinds(), n):
			kept[n] = &ModelSpec{}
		default:
			e := pipeline.BadInput("there is no model %.60q", n).WithHint("the models are %s", strings.Join(s.ModelNames(), ", "))
			e.Class = pipeline.ClassUsage
			return e
		}
	}
	s.Models = kept
	if s.Search != nil {
		return s.keepSearched(names)
	}
	return nil
}

// Set changes one field, given by its path with dots: models.random_forest.trees=200. The value is YAML.
func (s *Spec) Set(key, value string) (*Spec, error) {
	usage := func(format string, args ...any) *pipeline.Error {
		e := pipeline.BadInput(format, args...).WithHint("`producer init` writes a file that explains every field")
		e.Class = pipeline.ClassUsage
		return e
	}
	var v any
	if err := yaml.Unmarshal([]byte(value), &v); err != nil {
		return nil, usage("--set %s: the value %.60q is no YAML", key, value)
	}
	whole := *s
	if strings.HasPrefix(key, "models.") { // one model changes, the others stay
		whole.Models = s.models()
	}
	b, err := yaml.MarshalWithOptions(whole, yaml.JSON()) // plain YAML would turn a text such as .nan into a number
	if err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(b, &tree); err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	parts := strings.Split(key, ".")
	at := tree
	for _, p := range parts[:len(parts)-1] {
		next, ok := at[p].(map[string]any)
		if !ok {
			if at[p] != nil {
				return nil, usage("--set %s: %q is no section", key, p)
			}
			next = map[string]any{}
			at[p] = next
		}
		at = next
	}
	at[parts[len(parts)-1]] = v
	if b, err = yaml.MarshalWithOptions(tree, yaml.JSON()); err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	changed, err := ParseSpec("", b)
	if err != nil {
		e := pipeline.AsError(err)
		e.Class, e.Line, e.Column = pipeline.ClassUsage, 0, 0
		e.Message = "--set " + key + "=" + value + ": " + e.Message
		return nil, e
	}
	return changed, nil
}

// Check holds a spec that flags have changed to the rules of a pipeline file.
func (s *Spec) Check() error { return s.check("", nil) }
