package stages

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/sample"
)

func TestParseSpecErrors(t *testing.T) {
	tests := []struct {
		name, file   string
		line, column int
		message      string
		hint         string
	}{
		{"unknown field", "seed: 1\ntargt: x\n", 2, 1, `unknown field "targt"`, "did you mean target?"},
		{"unknown field in a section", "features:\n  colums: [a]\n", 2, 3, `unknown field "colums"`, "did you mean columns?"},
		{"unknown field in a list", "features:\n  dates:\n    - colum: x\n", 3, 7, `unknown field "colum"`, "did you mean column?"},
		{"unknown field of a model", "models:\n  decision_tree:\n    depth: 3\n", 3, 5, `unknown field "depth"`, "producer init"},
		{"field twice", "seed: 1\nseed: 2\n", 2, 1, `mapping key "seed" already defined`, ""},
		{"negative seed", "seed: -1\n", 1, 7, "no whole number from 0", ""},
		{"field in the wrong section", "trees: 5\n", 1, 1, `unknown field "trees"`, "explains every field"},
		{"seed with a fraction", "seed: 1.5\n", 1, 7, "no whole number from 0", ""},
		{"seed of a fraction with an exponent", "seed: 1e-3\n", 1, 7, "no whole number from 0", ""},
		{"seed with a large exponent", "seed: 1e30\n", 1, 7, "no whole number from 0", ""},
		{"seed beyond 64 bits", "seed: 18446744073709551616\n", 1, 7, "no whole number from 0", ""},
		{"seed of letters", "seed: abc\n", 1, 7, "no whole number from 0", ""},
		{"depth with a fraction", "models:\n  decision_tree: {max_depth: 3.5}\n", 2, 30, "max_depth: the value is no whole number", ""},
		{"depth beyond 64 bits", "models:\n  decision_tree: {max_depth: 9999999999999999999999}\n", 2, 30, "the value is no whole number", ""},
		{"list for a text", "target: [a]\n", 1, 9, "the value is no text", ""},
		{"list for a section", "features: [a]\n", 1, 11, "mapping is expected", ""},
		{"no YAML", "a: b: c\n", 1, 4, "mapping value is not allowed", ""},
		{"open quote", "target: \"x\n", 1, 9, "end character of double-quoted text", ""},
		{"a list", "[1]\n", 1, 1, "mapping is expected", ""},
		{"two documents", "---\ntarget: a\n---\ntarget: b\n", 0, 0, "more than one document", ""},
		{"no models", "models: {}\n", 1, 9, "there are no models", "decision_tree"},
		{"unknown model", "models:\n  x: {}\n", 2, 6, `"x" is no kind of model`, ""},
		{"unknown kind", "models:\n  x: {kind: y}\n", 2, 6, `"y" is no kind of model`, ""},
		{"bad name of a model", "models:\n  Bad Name: {kind: decision_tree}\n", 2, 11, `a model is named "Bad Name"`, ""},
		{"unknown engine", "models:\n  extra_trees: {engine: golearn}\n", 2, 16, `there is no engine "golearn" for extra_trees`, ""},
		{"setting of another model", "models:\n  decision_tree: {trees: 3}\n", 2, 18, "decision_tree has no setting trees", ""},
		{"unknown type", "types: {a: b}\n", 1, 8, `column "a": "b" is no column type`, ""},
		{"unknown part", "features:\n  dates:\n    - column: d\n      parts: [hour]\n", 4, 14, `a date has no part "hour"`, "year, quarter"},
		{"parts without column", "features:\n  dates:\n    - parts: [day]\n", 3, 12, "dates have no column", "column: NAME"},
		{"days to nowhere", "features:\n  days_between: [{from: a}]\n", 2, 18, "from one column to another", "to: NAME"},
		{"ratio of one column", "features:\n  ratios:\n    - numerator: a\n", 3, 16, "a ratio has two columns", "denominator: NAME"},
		{"unknown split", "split: {method: halves}\n", 1, 8, `method "halves" is none of`, ""},
		{"split without column", "split: {method: group}\n", 1, 8, "go with a column", "column: NAME"},
		{"split with a column too many", "split: {column: a}\n", 1, 8, "go with a column", ""},
		{"test size", "split: {test_size: 1.5}\n", 1, 8, "test_size is 1.5", ""},
		{"test size that is no number", "split: {test_size: .nan}\n", 1, 8, "test_size is NaN", ""},
		{"unknown task", "task: ranking\n", 1, 7, `task: "ranking" is neither`, ""},
		{"classes alone", "task: regression\nmodels:\n  logistic_regression: {}\n", 3, 24, "logistic_regression learns classes, and the target is a number; use ridge", ""},
		{"numbers alone", "task: classification\nmodels:\n  ridge: {}\n", 3, 10, "ridge learns numbers, and the target has classes; use logistic_regression", ""},
		{"numbers with golearn", "task: regression\nmodels:\n  decision_tree: {engine: golearn}\n", 3, 18, "golearn learns classes", ""},
		{"weights of classes", "task: regression\nmodels:\n  random_forest: {class_weight: balanced}\n", 3, 18, "class_weight is for classes", ""},
		{"a stratified split of numbers", "task: regression\nsplit: {method: stratified}\n", 2, 8, "stratified needs classes", "random"},
		{"no repeats", "importance: {repeats: 0}\n", 1, 13, "repeats is 0", ""},
		{"too large", "#" + strings.Repeat("x", maxSpecBytes), 0, 0, "the pipeline file has 1048577 bytes", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseSpec("f.yaml", []byte(tt.file))
			e := pipeline.AsError(err)
			if e == nil {
				t.Fatal("no error")
			}
			if e.Class != pipeline.ClassBadInput || e.File != "f.yaml" {
				t.Errorf("class %s, file %s", e.Class, e.File)
			}
			if e.Line != tt.line || e.Column != tt.column {
				t.Errorf("at %d:%d, want %d:%d", e.Line, e.Column, tt.line, tt.column)
			}
			if !strings.Contains(e.Message, tt.message) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("%q with %q, want %q with %q", e.Message, e.Hint, tt.message, tt.hint)
			}
		})
	}
}

func parse(t *testing.T, file string) *Spec {
	t.Helper()
	s, err := ParseSpec("f.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What a file leaves out has its default.
func TestDefaults(t *testing.T) {
	for _, file := range []string{"", "# nothing\n", "seed: 42\n", "split:\n", "features:\n"} {
		if got, want := parse(t, file), Default(); !reflect.DeepEqual(got, want) {
			t.Errorf("%q gives %+v, want %+v", file, got, want)
		}
	}
	if got, want := parse(t, "models: {decision_tree: }").ModelNames(), []string{"decision_tree"}; !slices.Equal(got, want) {
		t.Errorf("models %q, want %q", got, want)
	}
}

var isField = regexp.MustCompile(`^ *(- )?[a-z_]+:`)

// The file that init writes says what the defaults are, and its comments name fields that exist.
func TestCommented(t *testing.T) {
	s := parse(t, string(Commented()))
	input := artifact.Ref{Digest: artifact.DigestOf([]byte("x")), Size: 1}
	d := Default()
	d.Target = "Profit > 0"
	got, want := planOf(t, s, input), planOf(t, d, input)
	if !slices.Equal(names(got), names(want)) {
		t.Errorf("stages %q, want %q", names(got), names(want))
	}
	registry, err := pipeline.NewRegistry(nil, Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Stages {
		if g, w := filled(t, registry, got.Stages[i]), filled(t, registry, want.Stages[i]); g != w {
			t.Errorf("%s: commented %s, default %s", got.Stages[i].Name, g, w)
		}
	}
	before, rest, _ := strings.Cut(string(Commented()), "\nfeatures:\n")
	section, after, _ := strings.Cut(rest, "\nsplit:\n")
	var lines []string
	for l := range strings.Lines(section) {
		if field, ok := strings.CutPrefix(l, "  # "); ok && isField.MatchString(field) {
			l = "  " + field
		}
		lines = append(lines, l)
	}
	all := parse(t, before+"\nfeatures:\n"+strings.Join(lines, "")+"\nsplit:\n"+after)
	if len(all.Features.Columns) == 0 || len(all.Features.Dates) != 1 || len(all.Features.DaysBetween) != 1 || len(all.Features.Ratios) != 1 {
		t.Errorf("with its comments taken away: %+v", all.Features)
	}
}

func planOf(t *testing.T, s *Spec, input artifact.Ref) *pipeline.Plan {
	t.Helper()
	p, err := s.Build(input)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func names(p *pipeline.Plan) []string {
	var all []string
	for _, s := range p.Stages {
		all = append(all, s.Name)
	}
	return all
}

// filled is a stage's parameters with the defaults of its kind.
func filled(t *testing.T, r *pipeline.Registry, s pipeline.Stage) string {
	t.Helper()
	kind, ok := r.Kind(s.Kind)
	if !ok {
		t.Fatalf("no kind %s", s.Kind)
	}
	if kind.Params == nil {
		return string(s.Params)
	}
	p := kind.Params()
	if len(s.Params) > 0 {
		if err := json.Unmarshal(s.Params, p); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSet(t *testing.T) {
	tests := []struct {
		key, value string
		got        func(*Spec) any
		want       any
	}{
		{"seed", "7", func(s *Spec) any { return s.Seed }, uint64(7)},
		{"seed", "18446744073709551615", func(s *Spec) any { return s.Seed }, uint64(18446744073709551615)},
		{"target", "Profit > 0", func(s *Spec) any { return s.Target }, "Profit > 0"},
		{"target", "5", func(s *Spec) any { return s.Target }, "5"},
		{"missing", "[x, '-']", func(s *Spec) any { return s.Missing }, []string{"x", "-"}},
		{"types.Postal Code", "category", func(s *Spec) any { return s.Types["Postal Code"] }, "category"},
		{"features.columns", "[a, b]", func(s *Spec) any { return s.Features.Columns }, []string{"a", "b"}},
		{"models.random_forest.trees", "7", func(s *Spec) any { return *s.Models["random_forest"].Trees }, 7},
		{"models.second.kind", "decision_tree", func(s *Spec) any { return len(s.Models) }, 4},
	}
	for _, tt := range tests {
		s, err := Default().Set(tt.key, tt.value)
		if err != nil {
			t.Errorf("%s=%s: %v", tt.key, tt.value, err)
			continue
		}
		if got := tt.got(s); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s=%s gives %v, want %v", tt.key, tt.value, got, tt.want)
		}
	}
	for _, bad := range [][2]string{{"sed", "1"}, {"", "1"}, {"seed.x", "1"}, {"seed", "x"}, {"seed", "18446744073709551616"}, {"features.columns", "a"}, {"models.random_forest", "5"},
		{"models.random_forest.trees", "x"}, {"models.random_forest.depth", "3"}, {"missing", "["}, {"split.method", "time"}} {
		_, err := Default().Set(bad[0], bad[1])
		if e := pipeline.AsError(err); e == nil || e.Class != pipeline.ClassUsage || !strings.HasPrefix(e.Message, "--set "+bad[0]) || e.Hint == "" && e.Line != 0 {
			t.Errorf("%s=%s: error %+v, want one of usage", bad[0], bad[1], e)
		}
	}
}

// Changing one field leaves all others as they are, whatever YAML makes of their texts.
func FuzzSetKeeps(f *testing.F) {
	for _, text := range []string{"x", "null", "5", ".nan", ".inf", "? x", "<<", "\t", "\r\n", "a\nb", "a: b # c", "~", "0x10", "1e3", "\"", "'", "{", "- ", "é\u2028", "\x1b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ToValidUTF8(text, "") != text {
			t.Skip("not what a command line gives")
		}
		s := Default()
		s.Target, s.Missing, s.Types = text, []string{text}, map[string]string{text: "text"}
		s.Features.Ratios = []Ratio{{Numerator: text + "n", Denominator: text + "d"}}
		changed, err := s.Set("seed", "7")
		if err != nil {
			t.Fatal(err)
		}
		s.Seed = 7
		if !reflect.DeepEqual(changed, s) {
			t.Errorf("got %+v\nwant %+v", changed, s)
		}
	})
}

func FuzzParseSpec(f *testing.F) {
	f.Add(Commented())
	f.Add([]byte("models: {a: {kind: decision_tree}}\ntarget: &x y\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSpec("f.yaml", b)
		if err != nil {
			if e := pipeline.AsError(err); e.Class != pipeline.ClassBadInput || e.Message == "" {
				t.Fatalf("%+v is no usable error", e)
			}
			return
		}
		p, err := s.Build(artifact.Ref{Digest: artifact.DigestOf(b), Size: 1})
		if err != nil { // without a task a file may have models of either
			if e := pipeline.AsError(err); s.Task != "" || e.Class != pipeline.ClassBadInput || !strings.Contains(e.Message, "learns numbers") {
				t.Fatalf("%+v", err)
			}
			return
		}
		if len(p.Stages) < 6 {
			t.Fatalf("%d stages", len(p.Stages))
		}
	})
}

// The task follows from what is known of the target's column, unless it is said.
func TestDecide(t *testing.T) {
	for _, c := range []struct {
		target, task string // of the pipeline
		kind         string // of the column n
		distinct     int
		want         string
	}{
		{"n", "", "float", 21, Regression},
		{"n", "", "integer", 5000, Regression},
		{"n", "", "integer", 20, ""},
		{"n", "", "identifier", 5000, ""},
		{"n", "", "category", 50, ""},
		{"n", "", "date", 50, ""},
		{"n > 5", "", "float", 5000, ""},
		{"n", Classification, "float", 5000, Classification},
		{"n", Regression, "integer", 3, Regression},
		{"m", "", "float", 5000, ""},
	} {
		s := Default()
		s.Target, s.Task = c.target, c.task
		s.Decide(&csv.Report{Columns: []csv.ColumnReport{{Name: "a", Type: "float", Distinct: 100}, {Name: "n", Type: c.kind, Distinct: c.distinct}}})
		if s.Task != c.want {
			t.Errorf("%+v: task %q", c, s.Task)
		}
	}
}

// The type that the pipeline says counts, not the one that was found.
func TestDecideByTheTypeThatIsSaid(t *testing.T) {
	r := &csv.Report{Columns: []csv.ColumnReport{{Name: "n", Type: "integer", Distinct: 50}, {Name: "id", Type: "identifier", Distinct: 50}}}
	for target, want := range map[string]string{"n": "", "id": Regression} {
		s := parse(t, "target: "+target+"\ntypes: {n: category, id: float}\n")
		if s.Decide(r); s.Task != want {
			t.Errorf("%s: task %q, want %q", target, s.Task, want)
		}
	}
}

// A regression has models, a split and judges of its own; whichever model is named, the others stay.
func TestRegressionPlan(t *testing.T) {
	input := artifact.Ref{Digest: artifact.DigestOf([]byte("x")), Size: 1}
	s := parse(t, "target: n\ntask: regression\n")
	s, err := s.Set("models.random_forest.trees", "7")
	if err != nil {
		t.Fatal(err)
	}
	p := planOf(t, s, input)
	if got, want := Models(p), []string{"decision_tree", "random_forest", "ridge"}; !slices.Equal(got, want) {
		t.Errorf("models %q, want %q", got, want)
	}
	registry, err := pipeline.NewRegistry(nil, Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(registry); err != nil {
		t.Error(err)
	}
	for stage, want := range map[string]string{
		"preprocess": `{"target":"n","task":"regression","features":{}}`, "split_data": `{"method":"random","test_size":0.2}`,
		"train:random_forest": `{"trees":7,"max_depth":0,"min_samples_leaf":3,"min_samples_split":2,"max_features":1,"max_bins":1024}`, "train:ridge": `{"alpha":1,"l1_ratio":0,"max_iter":0}`, "evaluate:ridge": `{"model":"ridge","repeats":5}`,
	} {
		st, ok := p.Stage(stage)
		if !ok || string(st.Params) != want {
			t.Errorf("%s has the parameters %s, want %s", stage, st.Params, want)
		}
	}
	if st, _ := p.Stage("evaluate:ridge"); st.Kind != "evaluate_regression" {
		t.Errorf("ridge is judged by %s", st.Kind)
	}
	for _, file := range []string{"models: {ridge: {}}\n", "target: n\nmodels: {a: {kind: ridge}}\n"} { // without a task, classes are learned
		if _, err := parse(t, file).Build(input); err == nil || !strings.Contains(err.Error(), "learns numbers") {
			t.Errorf("%q: error %v, want that ridge learns numbers", file, err)
		}
	}
}

func TestForColumns(t *testing.T) {
	data, err := sample.Superstore()
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := bytes.Cut(data, []byte{'\n'})
	columns := strings.Split(strings.ReplaceAll(strings.TrimSpace(string(header)), `"`, ""), ",")
	tests := []struct {
		name    string
		columns []string
		target  string
		chosen  bool
	}{
		{"no target", columns, "", true},
		{"a comparison", columns, "Profit > 100", true},
		{"thresholds", columns, "Profit<0|Profit<100", true},
		{"more columns", append(slices.Clone(columns), "Note"), "Profit > 0", true},
		{"another target", columns, "Segment", false},
		{"a target that begins alike", append(slices.Clone(columns), "Profit Margin"), "Profit Margin > 0", false},
		{"a column less", columns[:20], "", false},
		{"another file", []string{"a", "b"}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ForColumns(tt.columns, tt.target)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(s.Features.Columns) > 0; got != tt.chosen {
				t.Errorf("chosen features: %v, want %v", got, tt.chosen)
			}
		})
	}
}

func TestKeepModels(t *testing.T) {
	s := parse(t, "models:\n  small: {kind: decision_tree, max_depth: 2}\n  random_forest: {trees: 5}\n")
	if err := s.KeepModels([]string{"small", " logistic_regression"}); err != nil {
		t.Fatal(err)
	}
	if got, want := s.ModelNames(), []string{"logistic_regression", "small"}; !slices.Equal(got, want) {
		t.Errorf("models %q, want %q", got, want)
	}
	if *s.Models["small"].MaxDepth != 2 {
		t.Error("a kept model lost its settings")
	}
	if e := pipeline.AsError(s.KeepModels([]string{"forest"})); e == nil || e.Class != pipeline.ClassUsage {
		t.Errorf("error %+v, want one of usage", e)
	}
}

// A whole number may be written as people write large ones, where it is one.
func TestWholeNumbersWithExponents(t *testing.T) {
	s, err := ParseSpec("p.yaml", []byte("seed: 1e3\ncv: 1.0e+1\nmodels:\n  random_forest: {trees: 2e2, max_depth: 10.0}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if f := s.Models["random_forest"]; s.Seed != 1000 || s.CV != 10 || *f.Trees != 200 || *f.MaxDepth != 10 {
		t.Errorf("seed %d, %d folds, trees %d, depth %d", s.Seed, s.CV, *f.Trees, *f.MaxDepth)
	}
	if s, err = s.Set("models.random_forest.trees", "3e2"); err != nil || *s.Models["random_forest"].Trees != 300 {
		t.Errorf("set: %v", err)
	}
	if s, err = s.Set("models.random_forest.trees", "3e-2"); err == nil {
		t.Errorf("a fraction is %d trees", *s.Models["random_forest"].Trees)
	}
	found, err := searched("kind: random\nsamples: 2e0\nmodels: {decision_tree: {max_leaf_nodes: 1e2}}")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(settingsOf(t, found), "\n"); got != `decision_tree.1 train_decision_tree {"max_leaf_nodes":100}` || found.Search.Samples != 2 {
		t.Errorf("%d samples of %s", found.Search.Samples, got)
	}
}
