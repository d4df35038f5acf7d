package metrics

import (
	"math"
	"testing"
)

// Expected numbers are scikit-learn 1.9.1's (accuracy_score, balanced_accuracy_score, precision_score, recall_score,
// f1_score, roc_auc_score, average_precision_score, log_loss, brier_score_loss) on these eight rows; tolerance 1e-12.
func TestEvaluateBinary(t *testing.T) {
	p1 := []float64{0.1, 0.4, 0.35, 0.8, 0.65, 0.5, 0.9, 0.2}
	y := []int32{0, 0, 1, 1, 1, 0, 1, 0}
	var proba []float64
	for _, p := range p1 {
		proba = append(proba, 1-p, p)
	}
	e, curves, err := Evaluate(proba, y, []string{"no", "yes"})
	if err != nil {
		t.Fatal(err)
	}
	m := e.Metrics
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"accuracy", float64(m.Accuracy), 0.75},
		{"balanced accuracy", float64(m.BalancedAccuracy), 0.75},
		{"precision", float64(m.Precision), 0.75},
		{"recall", float64(m.Recall), 0.75},
		{"f1", float64(m.F1), 0.75},
		{"roc auc", float64(m.ROCAUC), 0.875},
		{"average precision", float64(m.AveragePrecision), 0.25 + 0.25 + 0.25 + 0.25*4/6},
		{"log loss", float64(m.LogLoss), -(math.Log(.9) + math.Log(.6) + math.Log(.35) + math.Log(.8) + math.Log(.65) + math.Log(.5) + math.Log(.9) + math.Log(.8)) / 8},
		{"brier", float64(m.Brier), (.01 + .16 + .4225 + .04 + .1225 + .25 + .01 + .04) / 8},
	} {
		if math.Abs(c.got-c.want) > 1e-12 {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
	if got := len(curves.Classes); got != 1 {
		t.Fatalf("%d curves, want 1", got)
	}
	roc := curves.Classes[0].ROC
	if first, last := roc[0], roc[len(roc)-1]; first.FPR != 0 || first.TPR != 0 || last.FPR != 1 || last.TPR != 1 {
		t.Errorf("ROC runs from %v to %v", first, last)
	}
}

func TestAUCTies(t *testing.T) {
	y := []int32{1, 0, 1, 0}
	for _, c := range []struct {
		name   string
		scores []float64
		want   float64
	}{
		{"all tied", []float64{.5, .5, .5, .5}, .5},
		{"perfect", []float64{.9, .1, .8, .2}, 1},
		{"reversed", []float64{.1, .9, .2, .8}, 0},
		{"half", []float64{.5, .5, .8, .2}, .875},
	} {
		if got := AUC(c.scores, y, 1); got != c.want {
			t.Errorf("%s: AUC = %v, want %v", c.name, got, c.want)
		}
	}
	if got := AUC([]float64{.1, .2}, []int32{1, 1}, 1); !math.IsNaN(got) {
		t.Errorf("one class: AUC = %v, want NaN", got)
	}
}

func TestEvaluateMulticlass(t *testing.T) {
	proba := []float64{.7, .2, .1, .1, .8, .1, .2, .2, .6, .5, .3, .2}
	e, curves, err := Evaluate(proba, []int32{0, 1, 2, 1}, []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	if e.Metrics.Accuracy != 0.75 || len(curves.Classes) != 3 {
		t.Errorf("accuracy %v, %d curves", e.Metrics.Accuracy, len(curves.Classes))
	}
	// (0.09+0.04+0.01 + 0.01+0.04+0.01 + 0.04+0.04+0.16 + 0.25+0.49+0.04) / 4
	if got, want := float64(e.Metrics.Brier), 1.22/4; math.Abs(got-want) > 1e-12 {
		t.Errorf("brier = %v, want %v", got, want)
	}
}

func TestEvaluateRefuses(t *testing.T) {
	for name, proba := range map[string][]float64{"length": {1, 0, 1}, "range": {2, -1}, "NaN": {math.NaN(), 0}} {
		if _, _, err := Evaluate(proba, []int32{0}, []string{"a", "b"}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkEvaluate2000(b *testing.B) {
	var proba []float64
	var y []int32
	for i := range 2000 {
		p := float64(i*7919%2000) / 2000
		proba = append(proba, 1-p, p)
		y = append(y, int32(i%2))
	}
	for b.Loop() {
		if _, _, err := Evaluate(proba, y, []string{"no", "yes"}); err != nil {
			b.Fatal(err)
		}
	}
}
