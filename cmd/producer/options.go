package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/stages/splitdata"
	"github.com/hashline/hashline/summary"
)

// pipelineOptions are the flags that shape the plan.
type pipelineOptions struct {
	target           string
	include, exclude []string
	types, set       []string
	missing, models  []string
	file, split      string
	seed             uint64
	testSize         float64
	cv               int
	explain          bool
	search           string
	searchText       []byte // of the search file, when it was read before
	text             []byte // of the pipeline file, when it was read before
	changed          func(flag string) bool
}

func (o *pipelineOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.target, "target", "", "what to predict: a `column` of classes or numbers, \"COLUMN > NUMBER\", \"COLUMN < A | COLUMN < B\", or \"COLUMN == TEXT\"")
	f.StringArrayVar(&o.include, "include", nil, "use this `column` though its type would leave it out (repeatable)")
	f.StringArrayVar(&o.exclude, "exclude", nil, "leave this `column` out (repeatable)")
	f.StringArrayVar(&o.types, "type", nil, "the type of a column, as `COLUMN=TYPE`: integer, float, boolean, date, category, text or identifier (repeatable)")
	f.StringArrayVar(&o.missing, "missing", nil, "a `text` that stands for a missing value, besides the usual ones (repeatable)")
	f.StringVar(&o.file, "pipeline", "", "pipeline `file` (YAML); `producer init` writes a commented one")
	f.StringArrayVar(&o.set, "set", nil, "a field of the pipeline file, as `KEY=VALUE`: models.random_forest.trees=200 (repeatable)")
	f.StringSliceVar(&o.models, "models", nil, "only these `models`, separated by commas")
	f.Uint64Var(&o.seed, "seed", 42, "`number` that decides the split, the forest and the permutations")
	f.Float64Var(&o.testSize, "test-size", 0.2, "`share` of the rows to test on")
	f.StringVar(&o.split, "split", "", "`way` to split: stratified, random, group:COLUMN or time:COLUMN (default stratified; random when a number is predicted)")
	f.IntVar(&o.cv, "cv", 0, "cross-validate every model too, in so many `folds` of the training part")
	f.BoolVar(&o.explain, "explain", false, "explain the best model of trees: SHAP values and partial dependence")
	f.StringVar(&o.search, "search", "", "try the settings in this `file` (YAML) by cross-validation, in 5 folds unless --cv says otherwise, and train with the best")
	o.changed = f.Changed
}

// spec puts the pipeline together: built-in or file, then flags.
func (s *submission) spec(src *source) (*stages.Spec, *csv.Report, error) {
	types, err := s.columnTypes()
	if err != nil {
		return nil, nil, err
	}
	report, err := src.inspect(s.missing, types)
	if err != nil {
		return nil, nil, err
	}
	names := make([]string, len(report.Columns))
	for i, c := range report.Columns {
		names[i] = c.Name
	}
	for _, kv := range s.set { // the same as the flag, unless that is given too
		if text, ok := strings.CutPrefix(kv, "target="); ok && !s.changed("target") {
			s.target = unquoted(text)
		}
	}
	spec, chosen, err := s.base(names)
	if err != nil {
		return nil, nil, err
	}
	if s.target != "" {
		spec.Target, chosen = s.target, "flag"
	}
	if spec, err = s.apply(spec, report); err != nil {
		return nil, nil, err
	}
	if s.target != "" { // --set may have made a number of it
		spec.Target = s.target
	}
	if spec.Target == "" {
		return nil, nil, noTarget(src.name, report)
	}
	s.document.Target = summary.Target{Expression: spec.Target, ChosenBy: summary.Text(chosen), Classes: []string{}}
	return spec, report, s.checkColumns(spec, src.name, names)
}

// unquoted takes off the quotes around a text of YAML.
func unquoted(s string) string {
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	return s
}

// base is the pipeline before the flags, and who chose its target.
func (s *submission) base(columns []string) (*stages.Spec, string, error) {
	if s.file == "" {
		spec, err := stages.ForColumns(columns, s.target)
		return spec, "default", err
	}
	spec, err := s.readFile()
	if err != nil {
		return nil, "", err
	}
	if spec.Target == "" && stages.IsSuperstore(columns) {
		spec.Target = stages.SuperstoreTarget
		return spec, "default", nil
	}
	return spec, "file", nil
}

// readFile reads the pipeline file.
func (o *pipelineOptions) readFile() (*stages.Spec, error) {
	if o.text != nil {
		return stages.ParseSpec(o.file, o.text)
	}
	b, err := os.ReadFile(o.file)
	if err != nil {
		return nil, badFile(o.file, "the pipeline file cannot be read: %v", errors.Unwrap(err)).WithHint("`producer init` writes one")
	}
	return stages.ParseSpec(o.file, b)
}

// readSearch reads the search file.
func (o *pipelineOptions) readSearch(spec *stages.Spec) error {
	if err := o.loadSearch(); err != nil {
		return err
	}
	return spec.ReadSearch(o.search, o.searchText)
}

// loadSearch reads the text of the search file once.
func (o *pipelineOptions) loadSearch() error {
	if o.search == "" || o.searchText != nil {
		return nil
	}
	b, err := os.ReadFile(o.search)
	if err != nil {
		return badFile(o.search, "the search file cannot be read: %v", errors.Unwrap(err)).WithHint("it names models, their parameters and values to try; `producer init` shows how")
	}
	o.searchText = b
	return nil
}

func (o *pipelineOptions) columnTypes() (map[string]frame.Type, error) {
	types := map[string]frame.Type{}
	for _, t := range o.types {
		at := strings.LastIndex(t, "=")
		if at < 1 {
			return nil, usage("--type %.60q is no COLUMN=TYPE", t)
		}
		kind, err := frame.ParseType(t[at+1:])
		if err != nil {
			return nil, usage("--type %.60q: %v", t, err)
		}
		types[t[:at]] = kind
	}
	return types, nil
}

// apply lets the flags change the pipeline. By the report on the columns of the table, if there is one, it settles what is
// learned of the target before it changes models: which there are depends on it.
func (o *pipelineOptions) apply(spec *stages.Spec, report *csv.Report) (*stages.Spec, error) {
	switch {
	case o.changed("target") && o.target == "":
		return nil, usage("--target is empty").WithHint("want a column, or a comparison such as \"Profit > 0\"")
	case o.changed("models") && len(o.models) == 0:
		return nil, usage("--models is empty").WithHint("the models are %s", strings.Join(spec.ModelNames(), ", "))
	}
	if o.search != "" {
		if err := o.readSearch(spec); err != nil {
			return nil, err
		}
	}
	spec, err := o.applySet(spec, func(kv string) bool { return !ofModel(kv) })
	if err != nil {
		return nil, err
	}
	if report != nil {
		spec.Decide(report)
	}
	if spec, err = o.applySet(spec, ofModel); err != nil {
		return nil, err
	}
	if len(o.models) > 0 {
		if err := spec.KeepModels(o.models); err != nil {
			return nil, err
		}
	}
	if o.changed("seed") {
		spec.Seed = o.seed
	}
	if o.changed("test-size") {
		spec.Split.TestSize = o.testSize
	}
	if o.changed("explain") {
		spec.Explain = o.explain
	}
	if o.changed("cv") {
		spec.CV = o.cv
	}
	if o.changed("split") {
		if spec.Split.Method, spec.Split.Column, err = parseSplit(o.split); err != nil {
			return nil, err
		}
	}
	if err := o.applyColumns(spec); err != nil {
		return nil, err
	}
	if err := spec.Check(); err != nil {
		e := pipeline.AsError(err)
		e.Class = pipeline.ClassUsage
		return nil, e
	}
	return spec, nil
}

// ofModel reports whether an argument of --set changes one model.
func ofModel(kv string) bool { return strings.HasPrefix(kv, "models.") }

// applySet sets the single fields that are chosen.
func (o *pipelineOptions) applySet(spec *stages.Spec, chosen func(kv string) bool) (_ *stages.Spec, err error) {
	for _, kv := range o.set {
		if !chosen(kv) {
			continue
		}
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" {
			return nil, usage("--set %.60q is no KEY=VALUE", kv)
		}
		if spec, err = spec.Set(k, v); err != nil {
			return nil, err
		}
	}
	return spec, nil
}

// applyColumns adds what the flags say of columns.
func (o *pipelineOptions) applyColumns(spec *stages.Spec) error {
	types, err := o.columnTypes()
	if err != nil {
		return err
	}
	for column, t := range types {
		if spec.Types == nil {
			spec.Types = map[string]string{}
		}
		spec.Types[column] = t.String()
	}
	spec.Features.Include = append(spec.Features.Include, o.include...)
	spec.Features.Exclude = append(spec.Features.Exclude, o.exclude...)
	spec.Missing = append(spec.Missing, o.missing...)
	if len(spec.Features.Columns) > 0 {
		spec.Features.Columns = slices.DeleteFunc(spec.Features.Columns, func(c string) bool { return slices.Contains(o.exclude, c) })
	}
	return nil
}

// parseSplit reads METHOD or METHOD:COLUMN.
func parseSplit(text string) (method, column string, err error) {
	method, column, _ = strings.Cut(text, ":")
	column = strings.Trim(column, `"`)
	needsColumn := method == splitdata.Group || method == splitdata.Time
	if !needsColumn && method != splitdata.Stratified && method != splitdata.Random || needsColumn != (column != "") {
		return "", "", usage("--split %.60q is no way to split", text).WithHint("want stratified, random, group:COLUMN or time:COLUMN")
	}
	return method, column, nil
}

// checkColumns finds names that the file does not have before anything is stored.
func (s *submission) checkColumns(spec *stages.Spec, file string, columns []string) error {
	if _, err := feature.ParseTarget(spec.Target, columns); err != nil {
		if e, ok := errors.AsType[*csv.InputError](err); ok {
			return &pipeline.Error{Class: pipeline.ClassBadInput, Message: e.Message, File: file, Hint: e.Hint}
		}
		return err
	}
	lists := map[string][]string{"--include": s.include, "--exclude": s.exclude}
	if spec.ByColumn() {
		lists["--split"] = []string{spec.Split.Column}
	}
	for flag, names := range lists {
		for _, n := range names {
			if !slices.Contains(columns, n) {
				e := badFile(file, "%s: there is no column %s", flag, csv.Quote(n))
				if near := feature.Nearest(n, columns); near != "" {
					return e.WithHint("did you mean %s?", csv.Quote(near))
				}
				return e.WithHint("names are exact")
			}
		}
	}
	return nil
}

// noTarget lists what could be one and proposes a command.
func noTarget(file string, r *csv.Report) error {
	var list []string
	proposal := ""
	for _, c := range r.Columns {
		list = append(list, fmt.Sprintf("%s (%s)", csv.Quote(c.Name), c.Type))
	}
	for _, c := range slices.Backward(r.Columns) { // targets often come last
		if (c.Type == "category" || c.Type == "boolean") && c.Distinct >= 2 && c.Distinct <= feature.MaxDistinct {
			proposal = c.Name
			break
		}
	}
	if proposal == "" {
		for _, c := range slices.Backward(r.Columns) {
			if c.Type == "float" || c.Type == "integer" {
				proposal = c.Name + " > 0"
				break
			}
		}
	}
	if len(list) > 40 {
		list = append(list[:40], fmt.Sprintf("and %d more", len(r.Columns)-40))
	}
	e := badFile(file, "there is no target; the columns are %s", strings.Join(list, ", "))
	if proposal != "" {
		return e.WithHint("for example: producer submit %s --target %s", csv.ShellQuote(file), csv.ShellQuote(proposal))
	}
	return e.WithHint("say what to predict with --target COLUMN")
}
