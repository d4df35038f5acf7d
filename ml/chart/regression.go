package chart

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"

	"github.com/hashline/hashline/ml/eda"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
)

// span is the part of a line of numbers that an axis shows, between round numbers.
type span struct{ low, high, step float64 }

// spanOf returns the span that holds all values or, where these are few and would take most of the room, all but the
// lowest and highest hundredth. It is false where there is none: of no values, or beyond what can be drawn.
func spanOf(values []float64) (span, bool) {
	if len(values) == 0 {
		return span{}, false
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	n := len(sorted) - 1
	low, high := sorted[0], sorted[n]
	if a, b := sorted[(n+99)/100], sorted[n*99/100]; b > a && b/3-a/3 < high/9-low/9 { // differences themselves may be too large
		low, high = a, b
	}
	return rounded(low, high)
}

// rounded widens a span to round numbers.
func rounded(low, high float64) (span, bool) {
	if high-low < 1e-9*max(math.Abs(low), math.Abs(high)) || high == low {
		pad := max(math.Abs(high)*0.01, 1e-3)
		low, high = low-pad, high+pad
	}
	step := roundStep((high - low) / 5)
	if !(step > 0) || math.IsInf(step, 0) || step < 0x1p-1000 {
		return span{}, false
	}
	s := span{math.Floor(low/step) * step, math.Ceil(high/step) * step, step}
	return s, s.high > s.low && !math.IsInf(s.high, 0) && !math.IsInf(s.low, 0)
}

// labels are the round numbers of a span, from the lowest.
func (s span) labels() (at []float64, text []string) {
	first := math.Round(s.low / s.step)
	for i := range int(math.Round((s.high-s.low)/s.step)) + 1 {
		v := (first + float64(i)) * s.step
		at, text = append(at, v), append(text, tickLabel(v, s.step))
	}
	return at, text
}

// share is where a value lies in the span, from 0 to 1.
func (s span) share(v float64) float64 { return (v - s.low) / (s.high - s.low) }

func (s span) holds(v float64) bool { return v >= s.low && v <= s.high }

// plane maps two spans onto a rectangle.
type plane struct {
	pen  // the area of the data
	x, y span
}

// plane draws axes with a quiet grid, and leaves room below for what stands under the labels.
func (p pen) plane(xTitle, yTitle string, x, y span, below vg.Length) plane {
	ticks, titles := regular(smallSize), regular(bodySize)
	xs, xLabels := x.labels()
	ys, yLabels := y.labels()
	var widest vg.Length
	for _, l := range yLabels {
		widest = max(widest, ticks.width(l))
	}
	a := plane{pen: p.inside(bodySize*1.3+widest+8, max(6, ticks.width(xLabels[len(xLabels)-1])/2), below+2*bodySize+16, 6), x: x, y: y}
	free := vg.Length(math.Inf(-1))
	for i, v := range xs {
		at := a.at(v, y.low).X
		a.line(at, a.Min.Y, at, a.Max.Y, 0.7, solid(faint))
		if w := ticks.width(xLabels[i]) / 2; at-w > free+6 {
			p.write(xLabels[i], at, a.Min.Y-5, ticks, soft, center, top)
			free = at + w
		}
	}
	for i, v := range ys {
		at := a.at(x.low, v).Y
		a.line(a.Min.X, at, a.Max.X, at, 0.7, solid(faint))
		p.write(yLabels[i], a.Min.X-5, at, ticks, soft, right, middle)
	}
	p.write(xTitle, (a.Min.X+a.Max.X)/2, a.Min.Y-7-smallSize*1.2, titles, text, center, top)
	p.slanted(yTitle, p.Min.X+bodySize*0.85, (a.Min.Y+a.Max.Y)/2, titles, text, 90)
	return a
}

// at is the place of a point; one beyond the spans stands at their edge.
func (a plane) at(x, y float64) vg.Point {
	place := func(v float64, s span, low, high vg.Length) vg.Length {
		return low + vg.Length(float64(high-low)*max(0, min(1, s.share(v))))
	}
	return vg.Point{X: place(x, a.x, a.Min.X, a.Max.X), Y: place(y, a.y, a.Min.Y, a.Max.Y)}
}

// scatter draws a dot for each point; what lies beyond the spans is told apart.
func (a plane) scatter(points []xy) {
	for _, p := range points {
		if a.x.holds(p.x) && a.y.holds(p.y) {
			a.mark(a.at(p.x, p.y), 1.9, circle, paint{blue, 0.6})
		}
	}
	for _, p := range points {
		if !a.x.holds(p.x) || !a.y.holds(p.y) {
			a.mark(a.at(p.x, p.y), 2.4, diamond, solid(vermillion))
		}
	}
}

// outside counts what lies beyond the spans.
func outside(points []xy, x, y span) (n int) {
	for _, p := range points {
		if !x.holds(p.x) || !y.holds(p.y) {
			n++
		}
	}
	return n
}

const tooLarge = "The numbers are too large, too small or too far apart to be drawn."

// dots says what the dots of a scatter are.
func dots(c *metrics.ErrorCurves, points []xy, x, y span) string {
	note := "dots: the test rows"
	if len(points) < c.Rows {
		note = fmt.Sprintf("dots: %s of the test rows", grouped(len(points)))
	}
	if n := outside(points, x, y); n > 0 {
		note += fmt.Sprintf("; %s beyond the axes stand at the edge", grouped(n))
	}
	return note
}

// Predicted shows what a model of a numeric target predicts for test rows, against the truth.
func Predicted(model string, c *metrics.ErrorCurves, r2 num.Float) Figure {
	title := "Predicted and actual: " + model
	var points []xy
	var both []float64
	for _, p := range c.Points {
		points, both = append(points, xy{float64(p.Actual), float64(p.Predicted)}), append(both, float64(p.Actual), float64(p.Predicted))
	}
	s, ok := spanOf(both)
	if !ok {
		return message(title, tooLarge)
	}
	note := "R² " + decimals(float64(r2), 3) + "; dashed: right; " + dots(c, points, s, s)
	return Figure{title: title, note: note, width: squareWidth, height: unitHeight, draw: func(p pen) {
		a := p.plane("actual", "predicted", s, s, 0)
		a.stroke([]vg.Point{a.at(s.low, s.low), a.at(s.high, s.high)}, dashed, solid(soft))
		a.scatter(points)
	}}
}

// ResidualsByPrediction shows by how much the truth is above what a model predicts, against the prediction: a good model
// leaves a cloud around 0 without a shape.
func ResidualsByPrediction(model string, c *metrics.ErrorCurves, rmse num.Float) Figure {
	title := "Residuals: " + model
	var points []xy
	var predicted, residuals []float64
	for _, p := range c.Points {
		r := float64(p.Actual) - float64(p.Predicted)
		points, predicted, residuals = append(points, xy{float64(p.Predicted), r}), append(predicted, float64(p.Predicted)), append(residuals, r)
	}
	x, ok := spanOf(predicted)
	y, fits := spanOf(residuals)
	if fits {
		y, fits = rounded(min(y.low, 0), max(y.high, 0))
	}
	if !ok || !fits {
		return message(title, tooLarge)
	}
	note := "actual minus predicted; RMSE " + short(float64(rmse)) + "; " + dots(c, points, x, y)
	return Figure{title: title, note: note, width: squareWidth, height: unitHeight, draw: func(p pen) {
		a := p.plane("predicted", "residual", x, y, 0)
		a.scatter(points)
		a.stroke([]vg.Point{a.at(x.low, 0), a.at(x.high, 0)}, dashed, solid(text))
	}}
}

// ResidualHistogram shows how many test rows lie how far from what a model predicts.
func ResidualHistogram(model string, c *metrics.ErrorCurves, mae num.Float) Figure {
	title := "Distribution of residuals: " + model
	r := c.Residuals
	limit := float64(r.Limit)
	if limit == 0 {
		return message(title, "Every prediction is right.")
	}
	x := span{-limit, limit, limit / 2}
	most := 0
	for _, n := range r.Counts {
		most = max(most, n)
	}
	y, ok := rounded(0, float64(most))
	if math.IsInf(2*limit, 0) || limit < 0x1p-1000 || !ok {
		return message(title, tooLarge)
	}
	note := "test rows by actual minus predicted; mean distance " + short(float64(mae))
	if r.Beyond > 0 {
		note += fmt.Sprintf("; the outer bars also hold %s beyond", grouped(r.Beyond))
	}
	return Figure{title: title, note: note, width: squareWidth, height: unitHeight, draw: func(p pen) {
		a := p.plane("residual", "test rows", x, y, 0)
		step := (a.Max.X - a.Min.X) / vg.Length(len(r.Counts))
		var boxes []vg.Rectangle
		for i, n := range r.Counts {
			if n > 0 {
				left := a.Min.X + step*vg.Length(i)
				boxes = append(boxes, vg.Rectangle{Min: vg.Point{X: left + step*0.06, Y: a.Min.Y}, Max: vg.Point{X: left + step*0.94, Y: max(a.Min.Y+0.8, a.at(0, float64(n)).Y)}})
			}
		}
		a.fill(boxes, solid(blue))
		a.line(a.at(0, 0).X, a.Min.Y, a.at(0, 0).X, a.Max.Y, 0.8, solid(soft))
	}}
}

// ModelErrors are the errors of one model among several.
type ModelErrors struct {
	Model  string
	Curves *metrics.ErrorCurves
}

// ErrorsOfModels compares models of a numeric target: the share of the test rows that are no farther off than an error
// (Bi and Bennett: Regression Error Characteristic Curves, 2003). The axis ends where the worst has nine rows of ten.
func ErrorsOfModels(models []ModelErrors) Figure {
	const title = "Errors of all models"
	shown := models[:min(len(models), maxCurves)]
	limit := 0.0
	for _, m := range shown {
		if q := m.Curves.Quantiles; len(q) > 0 {
			if v := q[(len(q)-1)*9/10]; v.Defined() {
				limit = max(limit, float64(v))
			}
		}
	}
	x, ok := rounded(0, limit)
	switch {
	case len(shown) == 0:
		return message(title, "No model was evaluated.")
	case limit == 0:
		return message(title, "No model errs in more than one row of ten.")
	case !ok:
		return message(title, tooLarge)
	}
	legend := legendStep*vg.Length(len(shown)) + 8
	note := "share of the test rows that are no farther off; further up is better; beside each model its median" + tooMany(len(models))
	return Figure{title: title, note: note, width: squareWidth, height: unitHeight + legend, draw: func(p pen) {
		a := p.plane("error, up to", "share of the rows", x, span{0, 1, 0.2}, legend)
		var entries []entry
		for i, m := range shown {
			a.stroke(simplified(a.within(m.Curves.Quantiles), 0.12), lineStyle(i), solid(seriesColor(i)))
			median := math.NaN()
			if q := m.Curves.Quantiles; len(q) > 0 {
				median = float64(q[(len(q)-1)/2])
			}
			entries = append(entries, entry{m.Model + "  " + short(median), func(p pen, at vg.Point) {
				p.stroke([]vg.Point{at, {X: at.X + legendThumb, Y: at.Y}}, lineStyle(i), solid(seriesColor(i)))
			}})
		}
		p.inside(0, 0, 0, p.height()-legend+8).legend(entries)
	}}
}

// within is the curve of quantiles of errors up to the end of the axis.
func (a plane) within(quantiles []num.Float) []vg.Point {
	var points []vg.Point
	for i, q := range quantiles {
		share := float64(i) / float64(len(quantiles)-1)
		if v := float64(q); v > a.x.high || !q.Defined() {
			if i > 0 { // where it leaves
				if before := float64(quantiles[i-1]); v > before && !math.IsInf(v, 0) {
					share -= (v - a.x.high) / (v - before) / float64(len(quantiles)-1)
				}
				points = append(points, a.at(a.x.high, share))
			}
			break
		}
		points = append(points, a.at(float64(q), share))
	}
	return points
}

// ModelRegression are the figures of one model of a numeric target among several.
type ModelRegression struct {
	Model    string
	Metrics  metrics.Regression
	Baseline bool // what models have to beat
}

// errorsCompared are the figures in units of the target.
var errorsCompared = []struct {
	name string
	of   func(*metrics.Regression) num.Float
}{
	{"RMSE", func(r *metrics.Regression) num.Float { return r.RMSE }},
	{"MAE", func(r *metrics.Regression) num.Float { return r.MAE }},
	{"median error", func(r *metrics.Regression) num.Float { return r.MedianAbsolute }},
	{"largest error", func(r *metrics.Regression) num.Float { return r.MaxError }},
}

// RegressionMetrics compares the errors of models and baselines, each as a part of the error that the mean of the training
// part makes, which is 1.
func RegressionMetrics(models []ModelRegression, mean metrics.Regression) Figure {
	const title, most = "Errors beside the mean's", 2.0
	var shown []ModelMetrics // for their marks
	var ratios [][]float64
	high, beyond, count := 1.0, false, 0
	for _, m := range models {
		if !m.Baseline {
			count++
			if count > maxCurves {
				continue
			}
		}
		row := make([]float64, len(errorsCompared))
		for i, e := range errorsCompared {
			row[i] = float64(e.of(&m.Metrics)) / float64(e.of(&mean))
			if row[i] > most {
				row[i], beyond = most, true
			}
			if row[i] > high {
				high = row[i]
			}
		}
		shown, ratios = append(shown, ModelMetrics{Model: m.Model, Baseline: m.Baseline}), append(ratios, row)
	}
	if count == 0 {
		return message(title, "No model was evaluated.")
	}
	note := "1 is the error of always answering the mean of the training part; further left is better; grey: baselines" + tooMany(count)
	if beyond {
		note += fmt.Sprintf("; what is above %g stands there", most)
	}
	row := max(26, 7*vg.Length(len(shown)))
	height := row*vg.Length(len(errorsCompared)) + 30 + legendStep*vg.Length(len(shown))
	return Figure{title: title, note: note, width: squareWidth, height: height, draw: func(p pen) {
		labels := regular(smallSize)
		a := axes{pen: p.inside(labels.width("largest error")+14, 12, height-row*vg.Length(len(errorsCompared)), 0)}
		a.scale(p, 0, high)
		for i, e := range errorsCompared {
			y := a.Max.Y - row*(vg.Length(i)+0.5)
			if i > 0 {
				a.line(p.Min.X, y+row/2, a.Max.X, y+row/2, 0.6, solid(faint))
			}
			p.write(e.name, a.Min.X-10, y, labels, text, right, middle)
			for j := range shown {
				if v := ratios[j][i]; v >= 0 { // models side by side, so that equal figures stay visible
					offset := (vg.Length(j) - vg.Length(len(shown)-1)/2) * row / vg.Length(len(shown)+1)
					markModel(a.pen, vg.Point{X: a.at(v, 0).X, Y: y - offset}, shown, j)
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

// targetNumbers shows the distribution of a numeric target.
func targetNumbers(s *eda.Summary) Figure {
	n := s.Number.Numeric
	if n == nil || n.Count == 0 {
		return message("Target", "It has no values.")
	}
	note := fmt.Sprintf("%s, from %s to %s, mean %s; bars are rows; ≤ and ≥: the bar also holds what lies beyond", counted(n.Count, "row", "rows"),
		short(float64(n.Min)), short(float64(n.Max)), short(float64(n.Mean)))
	return Figure{title: "Target: median " + short(float64(n.Median)), note: note, width: squareWidth, height: 190, draw: func(p pen) { p.histogram(s.Number) }}
}
