package summary

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/stages/validate"
)

// Validation is what cross-validation found out, the best candidate first.
type Validation struct {
	Folds      int         `json:"folds"`
	Method     string      `json:"method"`
	Column     string      `json:"column"`
	Rows       int         `json:"rows"`
	Scoring    string      `json:"scoring"` // the figure that ranks
	Candidates []Candidate `json:"candidates"`
}

// Candidate is a model with settings. Means and standard deviations are over the folds on which a figure is defined.
type Candidate struct {
	Name   string                 `json:"name"`
	Model  string                 `json:"model"`
	Rank   int                    `json:"rank"`
	Chosen bool                   `json:"chosen"` // the best of its model, which is trained with its settings
	Params json.RawMessage        `json:"params"` // those that differ from the defaults
	Mean   map[string]num.Float   `json:"mean"`
	SD     map[string]num.Float   `json:"sd"`
	ByFold []map[string]num.Float `json:"by_fold"`
}

func validation(r *validate.Results) *Validation {
	if r == nil {
		return nil
	}
	v := &Validation{Folds: r.Folds, Method: r.Method, Column: r.Column, Rows: r.Rows, Scoring: r.Scoring, Candidates: []Candidate{}}
	seen := map[string]bool{}
	for _, i := range r.Ranked() {
		c := r.Candidates[i]
		v.Candidates = append(v.Candidates, Candidate{c.Name, c.Model, c.Rank, !seen[c.Model], c.Params, c.Mean, c.SD, c.ByFold})
		seen[c.Model] = true
	}
	return v
}

// Searched reports whether candidates are several settings of models, and not one for each.
func (v *Validation) Searched() bool {
	return slices.ContainsFunc(v.Candidates, func(c Candidate) bool { return c.Name != c.Model })
}

// Figures are the figures of a table of candidates.
func (v *Validation) Figures() []metrics.Named {
	var shown []metrics.Named
	for _, f := range metrics.Figures {
		left := f.Name == "precision" || f.Name == "recall" || f.Name == "average_precision" || f.Name == "brier" // there is no room for all
		if _, ok := v.Candidates[0].Mean[f.Name]; ok && (!left || f.Name == v.Scoring) {
			shown = append(shown, f)
		}
	}
	return shown
}

// Ranking are the figures of a ranked table: the one that ranks first, then two more.
func (v *Validation) Ranking() []metrics.Named {
	scoring, _ := metrics.FigureNamed(v.Scoring)
	list := []metrics.Named{scoring}
	for _, name := range []string{"roc_auc", "accuracy", "log_loss", "rmse", "mae", "r2"} {
		f, _ := metrics.FigureNamed(name)
		if _, ok := v.Candidates[0].Mean[name]; ok && name != v.Scoring && len(list) < 3 {
			list = append(list, f)
		}
	}
	return list
}

// Score is a mean and its standard deviation for people.
func (c *Candidate) Score(f metrics.Named) string {
	mean, sd := c.Mean[f.Name], c.SD[f.Name]
	if !mean.Defined() || !sd.Defined() {
		return FigureOf(f, mean)
	}
	return FigureOf(f, mean) + " ± " + FigureOf(f, sd)
}

// Settings are the parameters for people.
func (c *Candidate) Settings() string {
	var params map[string]json.RawMessage
	if json.Unmarshal(c.Params, &params) != nil {
		return ""
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		list = append(list, name+"="+strings.Trim(string(params[name]), `"`))
	}
	return strings.Join(list, " ")
}
