package stages

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/train"
)

type guessParams struct {
	Luck int `json:"luck"`
}

func (p *guessParams) Validate() error { return train.Positive("luck", p.Luck, 1) }

func guesser() train.Trainer {
	return train.New(pipeline.Kind{Name: "train_guess", Params: func() any { return &guessParams{Luck: 1} }}, "guess", "own",
		func(*pipeline.Call, *guessParams, *dataset.Dataset, *model.Model) error {
			return errors.New("it only guesses")
		})
}

// A registered kind of model stands in pipeline files, with parameters of its own, and is cross-validated like others.
func TestRegisteredModel(t *testing.T) {
	before := Kinds()
	RegisterModel("guess", guesser())
	t.Cleanup(func() { delete(own, "guess") })
	s := parse(t, "target: x\nmodels:\n  guess:\n  lucky: {kind: guess, params: {luck: 3}}\n  decision_tree:\n")
	p := planOf(t, s, artifact.Ref{Digest: artifact.DigestOf([]byte("x")), Size: 1})
	if got, want := Models(p), []string{"decision_tree", "guess", "lucky"}; !slices.Equal(got, want) {
		t.Errorf("models %v, want %v", got, want)
	}
	for name, want := range map[string]string{"train:guess": "{}", "train:lucky": `{"luck":3}`} {
		st, ok := p.Stage(name)
		if !ok || st.Kind != "train_guess" || string(st.Params) != want {
			t.Errorf("stage %+v with parameters %s, want %s", st, st.Params, want)
		}
	}
	changed, err := s.Set("models.lucky.params.luck", "4")
	if err != nil || changed.Models["lucky"].Params["luck"] == nil {
		t.Errorf("set: %v", err)
	}
	if err := s.KeepModels([]string{"guess"}); err != nil || len(s.Models) != 1 {
		t.Errorf("models %v, %v", s.ModelNames(), err)
	}
	for text, want := range map[string]string{
		"models:\n  guess: {params: {luck: 0}}\n":           "luck is 0",
		"models:\n  guess: {params: {fortune: 1}}\n":        "fortune",
		"models:\n  guess: {trees: 1}\n":                    "has no setting trees",
		"models:\n  guess: {engine: golearn}\n":             "no engine",
		"models:\n  random_forest: {params: {trees: 1}}\n":  "stand beside kind",
		"models:\n  guesses: {}\n":                          "no kind of model",
		"features:\n  own: [{op: log}]\n":                   "inputs",
		"features:\n  own: [{inputs: [a]}]\n":               "an operation and columns",
		"features:\n  own: [{op: log, columns: [a]}]\n":     "columns",
		"features:\n  own: [{op: log, inputs: a, x: b}]\n":  "",
		"models:\n  guess: {kind: guess, params: [luck]}\n": "",
	} {
		if _, err := ParseSpec("f", []byte(text)); err == nil || !strings.Contains(err.Error()+hint(err), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
	kinds := Kinds()
	if _, err := pipeline.NewRegistry(nil, kinds...); err != nil {
		t.Error(err)
	}
	if len(kinds) != len(before)+4 { // it trains, calibrates, judges a fold, and measures a curve
		t.Errorf("%d kinds of stages, want %d", len(kinds), len(before)+4)
	}
	for _, k := range kinds {
		if k.Package != "" || len(k.Uses) > 0 {
			t.Errorf("%s has the fingerprint of %s, though it may call registered code", k.Name, k.Package)
		}
	}
}

func hint(err error) string { return " " + pipeline.AsError(err).Hint }

func TestRegisterModelRefuses(t *testing.T) {
	tree := guesser()
	tree.Name = "train_decision_tree"
	for name, t2 := range map[string]train.Trainer{"decision_tree": guesser(), "": guesser(), "Guess": guesser(), "guess": tree} {
		func() {
			defer func() {
				if recover() == nil {
					delete(own, name)
					t.Errorf("%q was registered with the stage %s", name, t2.Name)
				}
			}()
			RegisterModel(name, t2)
		}()
	}
}
