package metrics

import "slices"

// Named is a figure of Metrics by its name in JSON.
type Named struct {
	Name, Title string
	Smaller     bool // is better
}

// Figures are those by which models can be compared, in the order in which they are shown.
var Figures = []Named{
	{"accuracy", "accuracy", false}, {"balanced_accuracy", "balanced accuracy", false}, {"precision", "precision", false}, {"recall", "recall", false}, {"f1", "F1", false},
	{"roc_auc", "ROC AUC", false}, {"average_precision", "average precision", false}, {"log_loss", "log loss", true}, {"brier", "Brier score", true},
}

// FigureNamed returns the figure of that name.
func FigureNamed(name string) (Named, bool) {
	i := slices.IndexFunc(Figures, func(f Named) bool { return f.Name == name })
	if i < 0 {
		return Named{Name: name, Title: name}, false
	}
	return Figures[i], true
}
