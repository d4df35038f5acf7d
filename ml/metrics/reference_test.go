package metrics

import (
	"math"
	"testing"

	"github.com/hashline/hashline/ml/num"
)

// Expected values are scikit-learn 1.9.1's, from testdata/reference.py; tolerance 1e-12, the digits that it prints.
func TestAgainstScikitLearn(t *testing.T) {
	for _, c := range []struct {
		classes, rows int
		want          [9]float64 // accuracy, balanced, precision, recall, F1, ROC AUC, average precision, log loss, Brier
		first         [5]float64 // of the first class: precision, recall, F1, ROC AUC, average precision
	}{
		{2, 500, [9]float64{0.862, 0.862, 0.849420849420849, 0.88, 0.864440078585462, 0.919104, 0.903269106439859, 0.43456750514831, 0.134620557526591},
			[5]float64{0.87551867219917, 0.844, 0.859470468431772, 0.919104, 0.924323950705933}},
		{3, 500, [9]float64{0.784, 0.784016636957813, 0.788649717716553, 0.784016636957813, 0.785153945202663, 0.901003272408013, 0.850877724677945, 0.736789557558368, 0.418066077080194},
			[5]float64{0.781065088757396, 0.8, 0.790419161676647, 0.912211668928087, 0.888839694355807}},
		{20, 800, [9]float64{0.63625, 0.636141173759916, 0.762922380445177, 0.636141173759916, 0.664961929721769, 0.870814408380678, 0.660130134514501, 2.40716731450049, 0.864766264596833},
			[5]float64{0.388888888888889, 0.7, 0.5, 0.873059210526316, 0.673272504880026}},
	} {
		var proba []float64
		var y []int32
		for i := range c.rows {
			class := i * 7919 % 1009 % c.classes
			row, sum := make([]float64, c.classes), 0.0
			for k := range row {
				row[k] = float64(1 + (i*(37+11*k)+k*k*7)%13)
				if k == class {
					row[k] += float64(i % 17)
				}
				sum += row[k]
			}
			for _, v := range row {
				proba = append(proba, v/sum)
			}
			y = append(y, int32(class))
		}
		e, curves, err := Evaluate(proba, y, make([]string, c.classes))
		if err != nil {
			t.Fatal(err)
		}
		m, f := e.Metrics, e.PerClass[0]
		for i, got := range []num.Float{m.Accuracy, m.BalancedAccuracy, m.Precision, m.Recall, m.F1, m.ROCAUC, m.AveragePrecision, m.LogLoss, m.Brier} {
			if math.Abs(float64(got)-c.want[i]) > 1e-12*max(1, c.want[i]) {
				t.Errorf("%d classes: figure %d is %v, want %v", c.classes, i, got, c.want[i])
			}
		}
		for i, got := range []num.Float{f.Precision, f.Recall, f.F1, f.ROCAUC, f.AveragePrecision} {
			if math.Abs(float64(got)-c.first[i]) > 1e-12 {
				t.Errorf("%d classes: figure %d of the first class is %v, want %v", c.classes, i, got, c.first[i])
			}
		}
		checkCurves(t, curves, e)
	}
}

// checkCurves: the points of a curve give the area of the figure, and calibration bins hold every row once.
func checkCurves(t *testing.T, curves *Curves, e *Evaluation) {
	t.Helper()
	for _, c := range curves.Classes {
		area := 0.0
		for i := 1; i < len(c.ROC); i++ {
			a, b := c.ROC[i-1], c.ROC[i]
			area += float64(b.FPR-a.FPR) * float64(a.TPR+b.TPR) / 2
			if b.FPR < a.FPR || b.TPR < a.TPR {
				t.Errorf("%d classes: the ROC curve turns back at %d", len(e.Classes), i)
			}
		}
		if math.Abs(area-float64(c.ROCAUC)) > 1e-3 { // points were left out
			t.Errorf("%d classes: the area below the points is %v, want %v", len(e.Classes), area, c.ROCAUC)
		}
		if len(c.ROC) > MaxPoints || len(c.PrecisionRecall) > MaxPoints {
			t.Errorf("%d classes: %d and %d points, want at most %d", len(e.Classes), len(c.ROC), len(c.PrecisionRecall), MaxPoints)
		}
		rows, positives := int64(0), 0.0
		for _, b := range c.Calibration {
			rows += b.Rows
			positives += float64(b.Observed) * float64(b.Rows)
			if b.Predicted < b.Low || b.Predicted > b.High {
				t.Errorf("%d classes: bin from %v to %v predicts %v", len(e.Classes), b.Low, b.High, b.Predicted)
			}
		}
		if rows != c.Positives+c.Negatives || math.Abs(positives-float64(c.Positives)) > 1e-6 {
			t.Errorf("%d classes: calibration of %d rows, %v of the class, want %d, %d", len(e.Classes), rows, positives, c.Positives+c.Negatives, c.Positives)
		}
	}
}

// What the rows do not define is null, and the rest stays defined.
func TestAbsentClasses(t *testing.T) {
	for _, c := range []struct {
		name          string
		proba         []float64
		y             []int32
		classes       int
		accuracy, auc float64
		recall        float64
	}{
		{"only the first of two", []float64{.9, .1, .4, .6}, []int32{0, 0}, 2, 0.5, math.NaN(), math.NaN()},
		{"only the second of two", []float64{.9, .1, .4, .6}, []int32{1, 1}, 2, 0.5, math.NaN(), 0.5},
		{"one of three never occurs", []float64{.8, .1, .1, .1, .8, .1}, []int32{0, 1}, 3, 1, 1, 1},
		{"one row", []float64{.2, .3, .5}, []int32{2}, 3, 1, math.NaN(), 1},
		{"sure and wrong", []float64{1, 0, 0, 1}, []int32{1, 0}, 2, 0, 0, 0},
	} {
		e, curves, err := Evaluate(c.proba, c.y, make([]string, c.classes))
		if err != nil {
			t.Fatal(err)
		}
		for name, pair := range map[string][2]float64{"accuracy": {float64(e.Metrics.Accuracy), c.accuracy}, "area": {float64(e.Metrics.ROCAUC), c.auc}, "recall": {float64(e.Metrics.Recall), c.recall}} {
			if got, want := pair[0], pair[1]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Errorf("%s: %s %v, want %v", c.name, name, got, want)
			}
		}
		if !e.Metrics.LogLoss.Defined() || !e.Metrics.Brier.Defined() || !e.Metrics.BalancedAccuracy.Defined() {
			t.Errorf("%s: loss %v, Brier %v, balanced accuracy %v", c.name, e.Metrics.LogLoss, e.Metrics.Brier, e.Metrics.BalancedAccuracy)
		}
		if len(curves.Classes) == 0 {
			t.Errorf("%s: no curves", c.name)
		}
	}
}

func TestLabel(t *testing.T) {
	for _, c := range []struct {
		proba []float64
		want  int32
	}{
		{[]float64{.5, .5}, 1}, {[]float64{.6, .4}, 0}, {[]float64{.3, .3, .3}, 0}, {[]float64{.1, .45, .45}, 1}, {[]float64{0, 0, 1}, 2},
	} {
		if got := Label(c.proba); got != c.want {
			t.Errorf("Label(%v) = %d, want %d", c.proba, got, c.want)
		}
	}
}
