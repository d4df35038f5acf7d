// Package stages is the pipeline of the project: its stage kinds, each in a package of its own, the pipeline file that
// configures them, and the plan that joins them.
//
//	load_data -> preprocess -> eda                                  -> plot:eda
//	                        -> split_data -> train:M -> evaluate:M  -> plot:M            for every model M
//	                                                    (all of them) -> plot_results
//	                                                    -> score:M for those of golearn's
//	                                   -> cv -> cv:M:FOLD -> cv_results                 with cross-validation;
//	                                                        in a search cv_results -> best:M -> train:M
//	                                   -> curve:M (all of them) -> plot_learning        with learning curves
//	                                      train:M, evaluate:M (all of them) -> explain  with explanations
//
// A Go program adds a kind of model with RegisterModel, an operation for features with feature.Register, and a kind of stage
// by giving it to pipeline.NewRegistry beside Kinds, and its stages to the plan that Build made; see examples/own.
package stages

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"

	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages/eda"
	"github.com/hashline/hashline/stages/evaluate"
	"github.com/hashline/hashline/stages/explain"
	"github.com/hashline/hashline/stages/golearnscores"
	"github.com/hashline/hashline/stages/load"
	"github.com/hashline/hashline/stages/plots"
	"github.com/hashline/hashline/stages/preprocess"
	"github.com/hashline/hashline/stages/splitdata"
	"github.com/hashline/hashline/stages/train"
	"github.com/hashline/hashline/stages/train/decisiontree"
	"github.com/hashline/hashline/stages/train/extratrees"
	"github.com/hashline/hashline/stages/train/golearntrees"
	"github.com/hashline/hashline/stages/train/gradientboosting"
	"github.com/hashline/hashline/stages/train/logistic"
	"github.com/hashline/hashline/stages/train/randomforest"
	"github.com/hashline/hashline/stages/train/ridge"
	"github.com/hashline/hashline/stages/validate"
)

// TrainPool is the pool of all stages that train: it bounds how many of them run at a time, over all workers.
const TrainPool = "train"

// Kinds returns every stage kind of the pipeline. In a program that has registered models or features of its own, any of
// them may call code that is not in the embedded sources, so all have the fingerprint of the executable.
func Kinds() []pipeline.Kind {
	kinds := []pipeline.Kind{load.Kind(), preprocess.Kind(), eda.Kind(), splitdata.Kind(), evaluate.Kind(), evaluate.Regression(), golearnscores.Kind(), validate.Divide(), validate.Compare(), validate.Choose(), explain.Kind()}
	for _, t := range trainers() {
		for _, k := range []pipeline.Kind{t.Kind, validate.Kind(t), validate.CalibrateKind(t), validate.CurveKind(t)} {
			k.Pool = TrainPool
			kinds = append(kinds, k)
		}
	}
	kinds = append(kinds, plots.Kinds()...)
	if len(own) > 0 || feature.HasOwn() {
		for i := range kinds {
			kinds[i].Package, kinds[i].Uses = "", nil
		}
	}
	return kinds
}

// trainers are the kinds of stages that train.
func trainers() []train.Trainer {
	list := []train.Trainer{decisiontree.Trainer(), golearntrees.Tree(), golearntrees.Forest(), randomforest.Trainer(), extratrees.Trainer(), gradientboosting.Trainer(), logistic.Trainer(), ridge.Trainer()}
	for _, kind := range slices.Sorted(maps.Keys(own)) {
		list = append(list, own[kind])
	}
	return list
}

// own are the registered kinds of models, by their names.
var own = map[string]train.Trainer{}

// RegisterModel makes a kind of model known to pipelines: a model may be of that kind, or have its name, and is then trained
// by t. Its parameters stand in the pipeline file under params. model.Register must know the kind too. It is for init
// functions, or the begin of main: not while anything runs.
func RegisterModel(kind string, t train.Trainer) {
	taken := slices.Contains(modelKinds(), kind)
	for _, k := range Kinds() {
		taken = taken || k.Name == t.Name
	}
	if taken || !modelName().MatchString(kind) {
		panic(fmt.Sprintf("stages: the model %q, or its stage %q, is bad as a name or taken", kind, t.Name))
	}
	own[kind] = t
}

//go:embed superstore.yaml
var superstoreYAML []byte

// superstoreColumns are the columns that make a file Superstore data; it may have more.
var superstoreColumns = []string{"Order Date", "Ship Date", "Ship Mode", "Segment", "Region", "State", "Category", "Sub-Category", "Sales", "Quantity", "Discount", "Profit"}

// SuperstoreTarget is the target of Superstore data when none is given.
const SuperstoreTarget = "Profit > 0"

// IsSuperstore reports whether a file with these columns is Superstore data.
func IsSuperstore(columns []string) bool {
	for _, c := range superstoreColumns {
		if !slices.Contains(columns, c) {
			return false
		}
	}
	return true
}

// ForColumns returns the pipeline for a file without a pipeline file of its own. Superstore data whose target derives
// from Profit has a chosen set of features, which leaves out what would not be known of a new order.
func ForColumns(columns []string, target string) (*Spec, error) {
	if IsSuperstore(columns) && (target == "" || derivesFromProfit(target, columns)) {
		return ParseSpec("superstore.yaml", superstoreYAML)
	}
	return Default(), nil
}

func derivesFromProfit(target string, columns []string) bool {
	t, err := feature.ParseTarget(target, columns)
	return err == nil && t.Column == "Profit"
}

//go:embed commented.yaml
var commentedYAML []byte

// Commented returns a pipeline file that explains every field.
func Commented() []byte { return slices.Clone(commentedYAML) }
