package chart

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"

	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
)

// curve is a line over the unit square with its name.
type curve struct {
	name   string
	figure num.Float // what is said of it in the legend
	points []xy
}

// unitChart is a square figure of curves over the unit square, with a legend below when there is more than one.
type unitChart struct {
	title, note string
	x, y        string
	curves      []curve
	base        func(a axes)        // what the curves are compared with
	over        func(a axes, i int) // what is drawn on curve i, or nil
	below       vg.Length           // room under the legend
	foot        func(p pen, a axes) // drawn there
}

const unitHeight = 292 * vg.Length(1)

func (c unitChart) figure() Figure {
	legend := vg.Length(0)
	if len(c.curves) > 1 {
		legend = legendStep*vg.Length(len(c.curves)) + 8
	}
	return Figure{title: c.title, note: c.note, width: squareWidth, height: unitHeight + legend + c.below, draw: func(p pen) {
		a := p.unitAxes(c.x, c.y, legend+c.below)
		if c.base != nil {
			c.base(a)
		}
		var entries []entry
		for i, line := range c.curves {
			a.stroke(a.place(line.points), lineStyle(i), solid(seriesColor(i)))
			if c.over != nil {
				c.over(a, i)
			}
			entries = append(entries, entry{line.name + "  " + decimals(float64(line.figure), 3), func(p pen, at vg.Point) {
				p.stroke([]vg.Point{at, {X: at.X + legendThumb, Y: at.Y}}, lineStyle(i), solid(seriesColor(i)))
			}})
		}
		if c.foot != nil {
			c.foot(p.inside(0, 0, legend, p.height()-legend-c.below), a)
		}
		if len(c.curves) > 1 {
			p.inside(0, 0, 0, p.height()-legend+8).legend(entries)
		}
	}}
}

// straight draws the dashed line that curves are compared with.
func (a axes) straight(from, to xy) {
	a.stroke([]vg.Point{a.at(from.x, from.y), a.at(to.x, to.y)}, dashed, solid(soft))
}

// chance is what guessing gives.
func chance(a axes) { a.straight(xy{0, 0}, xy{1, 1}) }

func rocPoints(c *metrics.ClassCurves) []xy {
	var points []xy
	for _, p := range c.ROC {
		if p.FPR.Defined() && p.TPR.Defined() {
			points = append(points, xy{float64(p.FPR), float64(p.TPR)})
		}
	}
	if len(points) == 1 {
		return nil // the rate of one side is not defined, but where nothing is taken
	}
	return points
}

// prPoints are the steps whose area is the average precision: the precision at a recall holds back to the recall before.
func prPoints(c *metrics.ClassCurves) []xy {
	var points []xy
	before := 0.0
	for _, p := range c.PrecisionRecall {
		if p.Recall.Defined() && p.Precision.Defined() {
			points = append(points, xy{before, float64(p.Precision)}, xy{float64(p.Recall), float64(p.Precision)})
			before = float64(p.Recall)
		}
	}
	return points
}

const noCurve = "There is no curve: the test part has rows of one class only."

// ofClasses makes a curve of each class, of the most frequent when there are too many, and says how many are left out.
func ofClasses(c *metrics.Curves, points func(*metrics.ClassCurves) []xy, figure func(*metrics.ClassCurves) num.Float) (list []curve, note string) {
	order := make([]*metrics.ClassCurves, 0, len(c.Classes))
	for i := range c.Classes {
		if len(points(&c.Classes[i])) > 0 {
			order = append(order, &c.Classes[i])
		}
	}
	if len(order) > maxCurves {
		note = fmt.Sprintf("; the %d largest of %d classes", maxCurves, len(order))
		slices.SortStableFunc(order, func(a, b *metrics.ClassCurves) int { return cmp.Compare(b.Positives, a.Positives) })
		order = order[:maxCurves]
	}
	for _, k := range order {
		list = append(list, curve{k.Class, figure(k), points(k)})
	}
	return list, note
}

// each says that a figure belongs to a class against the rest.
func each(figure string, c *metrics.Curves, list []curve) string {
	if len(c.Classes) == 1 {
		return figure + " " + decimals(float64(list[0].figure), 3) + " for class " + clean(list[0].name, 40)
	}
	return figure + " of each class against the rest"
}

// ROC shows the curves of one model, one for each class.
func ROC(model string, c *metrics.Curves) Figure {
	list, left := ofClasses(c, rocPoints, func(k *metrics.ClassCurves) num.Float { return k.ROCAUC })
	title := "ROC: " + model
	if len(list) == 0 {
		return message(title, noCurve)
	}
	return unitChart{title: title, note: each("AUC", c, list) + left + "; dashed: chance", x: "false positive rate", y: "true positive rate", curves: list, base: chance}.figure()
}

// PrecisionRecall shows the curves of one model, one for each class, over the share of the class.
func PrecisionRecall(model string, c *metrics.Curves) Figure {
	list, left := ofClasses(c, prPoints, func(k *metrics.ClassCurves) num.Float { return k.AveragePrecision })
	title := "Precision and recall: " + model
	if len(list) == 0 {
		return message(title, noCurve)
	}
	chart := unitChart{title: title, note: each("average precision", c, list) + left, x: "recall", y: "precision", curves: list}
	if len(c.Classes) == 1 {
		rate := share(int(c.Classes[0].Positives), c.Rows)
		chart.note += "; dashed: base rate " + decimals(rate, 3)
		chart.base = func(a axes) { a.straight(xy{0, rate}, xy{1, rate}) }
	}
	return chart.figure()
}

// Calibration shows how often the class is true where a model predicts it with a certain probability, in tenths of the
// probability. The area of a dot grows with the rows that it stands for; with one curve the rows are counted below it.
//
// method is how the model was calibrated, or empty.
func Calibration(model, method string, c *metrics.Curves, brier num.Float) Figure {
	bins := map[string][]metrics.CalibrationBin{}
	for _, k := range c.Classes {
		bins[k.Class] = k.Calibration
	}
	list, left := ofClasses(c, calibrationPoints, func(k *metrics.ClassCurves) num.Float { return num.Float(share(int(k.Positives), c.Rows)) })
	title := "Calibration: " + model
	if method != "" {
		title += " (" + method + ")"
	}
	if len(list) == 0 {
		return message(title, "There are no predictions to compare.")
	}
	chart := unitChart{title: title, note: "Brier score " + decimals(float64(brier), 4), x: "predicted probability", y: "share of the class", curves: list, base: chance}
	chart.over = func(a axes, i int) {
		for j, b := range bins[list[i].name] {
			p := list[i].points[j]
			a.mark(a.at(p.x, p.y), vg.Length(2.2+5.5*math.Sqrt(share(int(b.Rows), c.Rows))), circle, solid(seriesColor(i)))
		}
	}
	if len(list) == 1 {
		chart.note += "; dashed: perfect; bars: test rows by probability"
		chart.below = 44
		chart.foot = func(p pen, a axes) { a.counts(p, bins[list[0].name]) }
		return chart.figure()
	}
	chart.note += "; dashed: perfect; beside each class its share" + left
	return chart.figure()
}

func calibrationPoints(k *metrics.ClassCurves) []xy {
	var points []xy
	for _, b := range k.Calibration {
		points = append(points, xy{float64(b.Predicted), float64(b.Observed)})
	}
	return points
}

// counts draws the rows of every tenth, below the axis of the probability.
func (a axes) counts(p pen, bins []metrics.CalibrationBin) {
	most := int64(1)
	for _, b := range bins {
		most = max(most, b.Rows)
	}
	f := regular(captionSize - 1)
	floor, tall := p.Min.Y+4, p.height()-20
	a.line(a.Min.X, floor, a.Max.X, floor, 0.8, solid(soft))
	var boxes []vg.Rectangle
	for _, b := range bins {
		from, to := a.at(float64(b.Low), 0).X+1, a.at(float64(b.High), 0).X-1
		ceiling := floor + max(0.6, tall*vg.Length(float64(b.Rows)/float64(most)))
		boxes = append(boxes, vg.Rectangle{Min: vg.Point{X: from, Y: floor}, Max: vg.Point{X: to, Y: ceiling}})
		p.write(compact(b.Rows), (from+to)/2, ceiling+1.5, f, soft, center, bottom)
	}
	p.fill(boxes, paint{blue, 0.55})
}

// compact writes a count in at most five letters.
func compact(n int64) string {
	switch {
	case n >= 10_000_000:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 10_000:
		return fmt.Sprintf("%dk", n/1000)
	}
	return grouped(int(n))
}
