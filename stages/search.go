package stages

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/ml/search"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/validate"
)

// Search says which settings of the models are tried.
type Search struct {
	Kind    string                    `yaml:"kind,omitempty"`    // grid or random; default grid
	Samples int                       `yaml:"samples,omitempty"` // of a random search: candidates of each model, of which equal ones count once; default 20
	Seed    *uint64                   `yaml:"seed,omitempty"`    // of a random search; default the pipeline's
	Scoring string                    `yaml:"scoring,omitempty"` // the figure that ranks
	Models  map[string]map[string]any `yaml:"models"`            // model -> parameter -> list of values, or distribution
}

// Kinds of searches.
const (
	gridSearch   = "grid"
	randomSearch = "random"
)

// Defaults of a search.
const (
	defaultSamples     = 20
	defaultSearchFolds = 5
)

// maxSearchBytes bounds a search file.
const maxSearchBytes = 64 << 10

// ReadSearch reads a search file, which says which settings of models are tried, into the pipeline. Its models are the
// pipeline's from then on. Errors are those of ParseSpec.
func (s *Spec) ReadSearch(name string, b []byte) error {
	if len(b) > maxSearchBytes {
		return fault(name, nil, "the search file has %d bytes, more than %d", len(b), maxSearchBytes)
	}
	if err := checkAliases(name, b); err != nil {
		return err
	}
	found := &Search{}
	switch err := decode(name, "search file", b, found); {
	case errors.Is(err, io.EOF):
		return fault(name, nil, "the search file is empty").WithHint("it names models, their parameters and values to try; `producer init` shows how")
	case err != nil:
		return err
	}
	s.Search = found
	at := func(path string) ast.Node { return nodeAt(b, path) }
	if err := s.takeSearch(name, "$", at); err != nil {
		return err
	}
	return s.checkSearch(name, "$", at)
}

// takeSearch makes the models of the search those of the pipeline. root is the path of the search.
func (s *Spec) takeSearch(name, root string, at func(path string) ast.Node) error {
	found := s.Search
	if len(found.Models) == 0 {
		return fault(name, at(root+".models"), "the search has no models").WithHint("name some of %s, with parameters and values to try", strings.Join(modelKinds(), ", "))
	}
	models, known := map[string]*ModelSpec{}, s.models()
	for _, m := range slices.Sorted(maps.Keys(found.Models)) {
		switch {
		case known[m] != nil:
			models[m] = known[m]
		case slices.Contains(modelKinds(), m):
			models[m] = &ModelSpec{}
		default:
			return fault(name, at(root+".models"), "search: there is no model %.60q", m).WithHint("the models are %s", strings.Join(s.knownModels(), ", "))
		}
	}
	s.Models = models
	if s.CV == 0 {
		s.CV = defaultSearchFolds
	}
	return nil
}

// knownModels are those of the pipeline, and the kinds.
func (s *Spec) knownModels() []string {
	names := s.ModelNames()
	for _, k := range modelKinds() {
		if !slices.Contains(names, k) {
			names = append(names, k)
		}
	}
	return names
}

// checkSearch finds what a search cannot be.
func (s *Spec) checkSearch(name, root string, at func(path string) ast.Node) error {
	found := s.Search
	if found.Kind != "" && found.Kind != gridSearch && found.Kind != randomSearch {
		return fault(name, at(root+".kind"), "search: kind is %.40q, want grid or random", found.Kind)
	}
	if found.Samples < 0 || found.Samples > validate.MaxCandidates {
		return fault(name, at(root+".samples"), "search: samples is %d, want 1 to %d", found.Samples, validate.MaxCandidates)
	}
	if found.Kind != randomSearch && (found.Samples != 0 || found.Seed != nil) {
		return fault(name, at(root), "search: samples and seed are for a random search").WithHint("write kind: random")
	}
	if err := validate.CheckScoring(found.Scoring); err != nil {
		return fault(name, at(root+".scoring"), "search: %v", err)
	}
	if f, ok := metrics.FigureNamed(found.Scoring); ok && s.Task != "" && f.OfNumbers() != (s.Task == Regression) {
		return fault(name, at(root+".scoring"), "search: scoring by %s is not for a %s", found.Scoring, s.Task)
	}
	for _, m := range s.ModelNames() {
		path := root + ".models." + m
		kind, base, err := s.models()[m].stage(m, s.Task)
		if err != nil {
			return fault(name, at(path), "model %s: %v", m, err)
		}
		for _, parameter := range slices.Sorted(maps.Keys(found.Models[m])) {
			if names, ok := settings[kind]; ok && !slices.Contains(names, parameter) { // a registered kind says itself what it has
				return fault(name, at(path), "search: %s has no setting %.60q", m, parameter).WithHint("it has %s", strings.Join(settings[kind], ", "))
			}
			p, err := parameterOf(parameter, found.Models[m][parameter])
			if err == nil {
				err = p.Check()
			}
			if err == nil && len(p.Values) == 0 && found.Kind != randomSearch {
				err = errors.New("a grid takes a list of values, and this is a distribution; write kind: random")
			}
			if err != nil {
				return fault(name, at(path+"."+parameter), "search: %s of %s: %v", parameter, m, err)
			}
			for i, v := range p.ends() {
				if err := checkSetting(kind, base, parameter, v); err != nil {
					node := at(fmt.Sprintf("%s.%s[%d]", path, parameter, i))
					if node == nil {
						node = at(path + "." + parameter)
					}
					return fault(name, node, "search: %s of %s: %v", parameter, m, err)
				}
			}
		}
	}
	if _, err := s.candidates(); err != nil {
		e := fault(name, at(root+".models"), "search: %v", err)
		if _, ok := errors.AsType[*tooManyError](err); ok {
			return e.WithHint("take fewer values or folds, or kind: random with a number of samples")
		}
		return e
	}
	return nil
}

// tooManyError says that a search is too large.
type tooManyError struct{ error }

// setting is a parameter of a search.
type setting struct{ search.Parameter }

// ends are the values by which one tells whether all are good.
func (p setting) ends() []any {
	if len(p.Values) > 0 {
		return p.Values
	}
	if p.Int {
		return []any{int64(p.Low), int64(p.High)}
	}
	return []any{p.Low, p.High}
}

// parameterOf reads a list of values, one value, or a distribution.
func parameterOf(name string, v any) (setting, error) {
	p := search.Parameter{Name: name}
	switch v := v.(type) {
	case []any:
		if len(v) == 0 {
			return setting{}, errors.New("the list of values is empty")
		}
		if len(v) > validate.MaxCandidates {
			return setting{}, fmt.Errorf("the list has %d values, more than %d", len(v), validate.MaxCandidates)
		}
		p.Values = make([]any, len(v))
		for i := range v {
			p.Values[i] = withExponent(v[i])
		}
	case map[string]any:
		p.Int = slices.Contains(wholeNumbers, name)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			var err error
			switch key {
			case "low":
				p.Low, err = numberOf(v[key])
			case "high":
				p.High, err = numberOf(v[key])
			case "log":
				p.Log, err = truthOf(v[key])
			case "int":
				var whole bool
				whole, err = truthOf(v[key])
				p.Int = p.Int || whole
			default:
				err = errors.New("a distribution has low, high, log and int alone; other values stand in a list")
			}
			if err != nil {
				return setting{}, fmt.Errorf("%.40s: %w", key, err)
			}
		}
		if v["low"] == nil || v["high"] == nil {
			return setting{}, errors.New("a distribution has low and high")
		}
	case nil:
		return setting{}, errors.New("there is no value")
	default:
		p.Values = []any{withExponent(v)}
	}
	return setting{p}, nil
}

// exponent matches the numbers that YAML 1.1 takes for texts: those with an exponent that has no sign, or without a point.
var exponent = regexp.MustCompile(`^[-+]?\d+(\.\d*)?[eE][-+]?\d+$`)

// withExponent returns the number that such a text is, and everything else as it is.
func withExponent(v any) any {
	if text, ok := v.(string); ok && exponent.MatchString(text) {
		f, err := strconv.ParseFloat(text, 64)
		switch {
		case err != nil:
		case f == math.Trunc(f) && math.Abs(f) < 1<<53: // it may be meant for a parameter that is whole
			return int64(f)
		default:
			return f
		}
	}
	return v
}

func numberOf(v any) (float64, error) {
	switch v := withExponent(v).(type) {
	case int64:
		return float64(v), nil
	case uint64:
		return float64(v), nil
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v, nil
		}
	}
	return 0, errors.New("the value is no number")
}

func truthOf(v any) (bool, error) {
	b, ok := v.(bool)
	if !ok {
		return false, errors.New("the value is neither true nor false")
	}
	return b, nil
}

// checkSetting holds one value of a parameter to what the kind of stage allows.
func checkSetting(kind string, base map[string]any, parameter string, v any) error {
	if v == nil {
		return errors.New("a value is missing")
	}
	params := maps.Clone(base)
	params[parameter] = v
	return friendly(checkParams(kind, params))
}

// friendly says in our words that a value is of the wrong type.
func friendly(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		want := map[string]string{"int": "a whole number", "float64": "a number", "bool": "true or false", "string": "a text"}[t.Type.String()]
		if want != "" {
			is, ok := map[string]string{"string": "a text", "array": "a list", "object": "a mapping", "bool": "true or false"}[t.Value]
			if !ok {
				is = strings.TrimPrefix(t.Value, "number ")
			}
			return fmt.Errorf("a value is %s, want %s", is, want)
		}
	}
	if _, ok := errors.AsType[*json.UnsupportedValueError](err); ok {
		return errors.New("a value is no finite number")
	}
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// candidates are the models with the settings that are to be compared: one for each model, or those of the search, equal
// ones once.
func (s *Spec) candidates() ([]validate.Candidate, error) {
	var list []validate.Candidate
	for _, m := range s.ModelNames() {
		kind, base, err := s.models()[m].stage(m, s.Task)
		if err != nil {
			return nil, err
		}
		tried, err := s.tried(m, base)
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		for i, params := range tried {
			if err := friendly(checkParams(kind, params)); err != nil {
				return nil, fmt.Errorf("candidate %d of %s: %w", i+1, m, err)
			}
			raw, err := json.Marshal(params)
			if err != nil {
				return nil, fmt.Errorf("candidate %d of %s: %w", i+1, m, friendly(err))
			}
			if seen[string(raw)] { // a list repeats a value, as 1 and 1.0, or chance does
				continue
			}
			seen[string(raw)] = true
			c := validate.Candidate{Name: m, Model: m, Trainer: kind, Params: raw, Options: s.options(m)}
			if s.Search != nil {
				c.Name = fmt.Sprintf("%s.%d", m, len(seen))
			}
			list = append(list, c)
		}
		if err := validate.CheckSize(len(list), s.CV); err != nil {
			return nil, &tooManyError{err}
		}
	}
	return list, nil
}

// tried returns the parameters of a model's candidates, each with what the pipeline says of the model.
func (s *Spec) tried(model string, base map[string]any) ([]map[string]any, error) {
	if s.Search == nil {
		return []map[string]any{base}, nil
	}
	var parameters []search.Parameter
	for _, name := range slices.Sorted(maps.Keys(s.Search.Models[model])) {
		p, err := parameterOf(name, s.Search.Models[model][name])
		if err != nil {
			return nil, err
		}
		parameters = append(parameters, p.Parameter)
	}
	rows, err := s.rows(model, parameters)
	if err != nil {
		return nil, err
	}
	var list []map[string]any
	for _, row := range rows {
		params := maps.Clone(base)
		for i, p := range parameters {
			params[p.Name] = row[i]
		}
		list = append(list, params)
	}
	return list, nil
}

func (s *Spec) rows(model string, parameters []search.Parameter) ([][]any, error) {
	if s.Search.Kind == randomSearch {
		seed, samples := s.Seed, s.Search.Samples
		if s.Search.Seed != nil {
			seed = *s.Search.Seed
		}
		if samples == 0 {
			samples = defaultSamples
		}
		return search.Draw(parameters, samples, num.HashString(seed, model)), nil
	}
	rows, err := search.Grid(parameters, validate.MaxCandidates)
	if _, ok := errors.AsType[*search.TooManyError](err); ok {
		return nil, &tooManyError{fmt.Errorf("of %s %w", model, err)}
	}
	return rows, err
}

// keepSearched drops the models of the search that are not named.
func (s *Spec) keepSearched(names []string) error {
	kept := map[string]map[string]any{}
	for _, n := range names {
		n = strings.TrimSpace(n)
		tried, ok := s.Search.Models[n]
		if !ok {
			e := pipeline.BadInput("the search has no model %.60q", n).WithHint("its models are %s", strings.Join(slices.Sorted(maps.Keys(s.Search.Models)), ", "))
			e.Class = pipeline.ClassUsage
			return e
		}
		kept[n] = tried
	}
	s.Search.Models = kept
	return nil
}
