package metrics

import "slices"

// Named is a figure of Metrics or Regression by its name in JSON.
type Named struct {
	Name, Title string
	Smaller     bool // is better
	InUnits     bool // of the target; others are shares, or near 1
}

// Figures are those by which models can be compared, in the order in which they are shown.
var Figures = []Named{
	{Name: "accuracy", Title: "accuracy"}, {Name: "balanced_accuracy", Title: "balanced accuracy"}, {Name: "precision", Title: "precision"}, {Name: "recall", Title: "recall"},
	{Name: "f1", Title: "F1"}, {Name: "roc_auc", Title: "ROC AUC"}, {Name: "average_precision", Title: "average precision"},
	{Name: "log_loss", Title: "log loss", Smaller: true}, {Name: "brier", Title: "Brier score", Smaller: true},
	{Name: "rmse", Title: "RMSE", Smaller: true, InUnits: true}, {Name: "mae", Title: "MAE", Smaller: true, InUnits: true},
	{Name: "median_absolute_error", Title: "median error", Smaller: true, InUnits: true}, {Name: "max_error", Title: "largest error", Smaller: true, InUnits: true},
	{Name: "r2", Title: "R²"},
}

// OfNumbers reports whether the figure is of predictions of numbers, and not of classes.
func (n Named) OfNumbers() bool { return n.InUnits || n.Name == "r2" }

// FigureNamed returns the figure of that name.
func FigureNamed(name string) (Named, bool) {
	i := slices.IndexFunc(Figures, func(f Named) bool { return f.Name == name })
	if i < 0 {
		return Named{Name: name, Title: name}, false
	}
	return Figures[i], true
}
