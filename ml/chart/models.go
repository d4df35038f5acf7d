package chart

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/plot/vg"

	"github.com/hashline/hashline/ml/importance"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
)

// ModelCurves are the curves of one model among several.
type ModelCurves struct {
	Model  string
	Curves *metrics.Curves
}

// tooMany says that not all models are drawn.
func tooMany(n int) string {
	if n <= maxCurves {
		return ""
	}
	return fmt.Sprintf("; the first %d of %d models", maxCurves, n)
}

// ROCOfModels compares models: the curve of the second of two classes; of more, the class with the most rows.
func ROCOfModels(models []ModelCurves) Figure {
	var list []curve
	class := ""
	for _, m := range models[:min(len(models), maxCurves)] {
		var c *metrics.ClassCurves
		for i := range m.Curves.Classes {
			if k := &m.Curves.Classes[i]; c == nil || k.Positives > c.Positives {
				c = k
			}
		}
		if c == nil {
			continue
		}
		class = c.Class
		if points := rocPoints(c); len(points) > 0 {
			list = append(list, curve{m.Model, c.ROCAUC, points})
		}
	}
	if len(list) == 0 {
		return message("ROC of all models", noCurve)
	}
	note := "AUC of each for class " + clean(class, 40) + tooMany(len(models)) + "; dashed: chance"
	return unitChart{title: "ROC of all models", note: note, x: "false positive rate", y: "true positive rate", curves: list, base: chance}.figure()
}

// ModelMetrics are the figures of one model among several; those of a baseline may be undefined.
type ModelMetrics struct {
	Model    string
	Metrics  metrics.Metrics
	Baseline bool // what models have to beat
}

// compared are the metrics between 0 and 1, the larger the better.
var compared = []struct {
	name string
	of   func(*metrics.Metrics) num.Float
}{
	{"accuracy", func(m *metrics.Metrics) num.Float { return m.Accuracy }},
	{"balanced accuracy", func(m *metrics.Metrics) num.Float { return m.BalancedAccuracy }},
	{"precision", func(m *metrics.Metrics) num.Float { return m.Precision }},
	{"recall", func(m *metrics.Metrics) num.Float { return m.Recall }},
	{"F1", func(m *metrics.Metrics) num.Float { return m.F1 }},
	{"ROC AUC", func(m *metrics.Metrics) num.Float { return m.ROCAUC }},
	{"average precision", func(m *metrics.Metrics) num.Float { return m.AveragePrecision }},
}

// Metrics compares models and baselines: a row of marks for each metric between 0 and 1.
func Metrics(models []ModelMetrics) Figure {
	var shown, bases []ModelMetrics
	for _, m := range models {
		if m.Baseline {
			bases = append(bases, m)
		} else {
			shown = append(shown, m)
		}
	}
	count := len(shown)
	shown = append(shown[:min(len(shown), maxCurves)], bases...)
	if count == 0 {
		return message("Metrics of all models", "No model was evaluated.")
	}
	row := max(26, 7*vg.Length(len(shown)))
	height := row*vg.Length(len(compared)) + 30 + legendStep*vg.Length(len(shown))
	return Figure{title: "Metrics of all models", note: "further right is better; grey: baselines" + tooMany(count), width: squareWidth, height: height, draw: func(p pen) {
		labels := regular(smallSize)
		a := axes{pen: p.inside(labels.width("balanced accuracy")+14, 10, height-row*vg.Length(len(compared)), 0)}
		a.low, a.high = spanned(shown)
		a.metricRows(p, row)
		for j := range shown {
			for i := range compared {
				if v := compared[i].of(&shown[j].Metrics); v.Defined() {
					// Models side by side, so that equal figures stay visible.
					offset := (vg.Length(j) - vg.Length(len(shown)-1)/2) * row / vg.Length(len(shown)+1)
					markModel(a.pen, vg.Point{X: a.at(float64(v), 0).X, Y: a.Max.Y - row*(vg.Length(i)+0.5) - offset}, shown, j)
				}
			}
		}
		var entries []entry
		for j, m := range shown {
			entries = append(entries, entry{m.Model, func(p pen, at vg.Point) { markModel(p, vg.Point{X: at.X + legendThumb - 4, Y: at.Y}, shown, j) }})
		}
		p.inside(0, 0, 0, height-legendStep*vg.Length(len(shown))).legend(entries)
	}}
}

// markModel draws the mark of model j, which differs from the others in colour and shape.
func markModel(p pen, at vg.Point, list []ModelMetrics, j int) {
	if list[j].Baseline {
		p.mark(at, 3.2, ring, solid(soft))
		if j == len(list)-1 && j > 0 && list[j-1].Baseline { // the second baseline
			p.mark(at, 1.2, circle, solid(soft))
		}
		return
	}
	p.mark(at, 3.8, shape(j%int(ring)), solid(seriesColor(j)))
}

// spanned returns the round numbers that hold all figures.
func spanned(models []ModelMetrics) (low, high float64) {
	low = 1
	for _, m := range models {
		for _, c := range compared {
			if v := c.of(&m.Metrics); v.Defined() {
				low = min(low, float64(v))
			}
		}
	}
	step := spacing(low)
	return max(0, step*math.Floor((low-step*0.1)/step)), 1
}

// spacing is the distance of the ticks when the lowest figure is low.
func spacing(low float64) float64 {
	switch {
	case low >= 0.97:
		return 0.01
	case low >= 0.75:
		return 0.05
	case low >= 0.6:
		return 0.1
	}
	return 0.2
}

func (a axes) metricRows(p pen, row vg.Length) {
	step := 0.2
	for _, s := range []float64{0.005, 0.01, 0.05, 0.1} {
		if (a.high-a.low)/s < 5.5 {
			step = s
			break
		}
	}
	for i := 0; ; i++ {
		v := a.high - float64(step*float64(i))
		if v < a.low-1e-9 {
			break
		}
		x := a.at(v, 0).X
		a.line(x, a.Min.Y, x, a.Max.Y, 0.7, solid(faint))
		p.write(strconv.FormatFloat(math.Round(v*1000)/1000, 'g', 4, 64), x, a.Min.Y-4, regular(smallSize), soft, center, top)
	}
	for i, c := range compared {
		y := a.Max.Y - row*(vg.Length(i)+0.5)
		if i > 0 {
			a.line(p.Min.X, y+row/2, a.Max.X, y+row/2, 0.6, solid(faint))
		}
		p.write(c.name, a.Min.X-10, y, regular(smallSize), text, right, middle)
	}
}

// ModelImportance is the importance of the features to one model among several.
type ModelImportance struct {
	Model  string
	Report *importance.Report
}

// Importance shows the features that matter most to each model, the models side by side on one scale.
func Importance(models []ModelImportance) Figure {
	const most = 10
	shown := models[:min(len(models), maxCurves)]
	rows, longest, repeats := 0, 0.0, 0
	for _, m := range shown {
		rows, repeats = max(rows, min(most, len(m.Report.Features))), max(repeats, m.Report.Repeats)
		for _, f := range m.Report.Features {
			if f.Mean.Defined() {
				longest = max(longest, float64(f.Mean)+spread(f))
			}
		}
	}
	if rows == 0 {
		return message("Permutation importance", "There is no feature to shuffle.")
	}
	measure := "ROC AUC"
	if f, ok := metrics.FigureNamed(shown[0].Report.Metric); ok {
		measure = f.Title
	}
	note := fmt.Sprintf("drop in %s when the feature is shuffled: mean and standard deviation over %s", measure, counted(repeats, "repeat", "repeats")) + tooMany(len(models))
	tall := vg.Length(34 + 20*rows)
	if len(shown) == 1 {
		return Figure{title: "Permutation importance", note: note, width: squareWidth, height: tall, draw: func(p pen) { p.importance(shown[0], 0, most, longest) }}
	}
	return cells("Permutation importance", note, len(shown), tall+14, func(p pen, i int) { p.importance(shown[i], i, most, longest) })
}

func spread(f importance.Feature) float64 {
	if !f.SD.Defined() {
		return 0
	}
	return float64(f.SD)
}

func (p pen) importance(m ModelImportance, i, most int, longest float64) {
	p.write(fitting(m.Model, bold(bodySize), p.width()), p.Min.X, p.Max.Y, bold(bodySize), text, left, top)
	var list []bar
	for _, f := range m.Report.Features[:min(most, len(m.Report.Features))] {
		b := bar{label: f.Name, note: decimals(float64(f.Mean), 3), color: seriesColor(i), spread: spread(f)}
		if f.Mean.Defined() {
			b.value = max(0, float64(f.Mean))
		}
		list = append(list, b)
	}
	p.inside(0, 0, 0, 20).bars(list, smallSize, longest)
}
