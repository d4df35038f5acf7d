package chart

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/hashline/hashline/ml/importance"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
)

// grid are quiet lines behind the curves.
func grid() *plotter.Grid {
	g := plotter.NewGrid()
	g.Horizontal.Color, g.Vertical.Color = faint, faint
	g.Horizontal.Width, g.Vertical.Width = 0.8, 0.8
	g.Horizontal.Dashes, g.Vertical.Dashes = nil, nil
	return g
}

// unitAxes lets both axes run from 0 to 1.
func unitAxes(p *plot.Plot) {
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	ticks := plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: 0.2, Label: "0.2"}, {Value: 0.4, Label: "0.4"}, {Value: 0.6, Label: "0.6"}, {Value: 0.8, Label: "0.8"}, {Value: 1, Label: "1"}}
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks, ticks
}

func curve(points plotter.XYs, c color.Color, width vg.Length) (*plotter.Line, error) {
	l, err := plotter.NewLine(points)
	if err != nil {
		return nil, err
	}
	l.Color, l.Width = c, width
	return l, nil
}

// straight is a dashed line between two points, for comparison.
func straight(x0, y0, x1, y1 float64) (*plotter.Line, error) {
	l, err := curve(plotter.XYs{{X: x0, Y: y0}, {X: x1, Y: y1}}, soft, 1)
	if err == nil {
		l.Dashes = []vg.Length{4, 4}
	}
	return l, err
}

// named is a curve with its label.
type named struct {
	label  string
	points plotter.XYs
}

// maxCurves is the number of curves that one picture can hold apart.
const maxCurves = 7

// curves draws up to maxCurves curves over the unit square.
func curves(title, x, y string, list []named, legendLeft, legendTop bool, reference ...*plotter.Line) (*plot.Plot, error) {
	p := axes(title, x, y)
	unitAxes(p)
	p.Add(grid())
	for _, r := range reference {
		p.Add(r)
	}
	p.Legend.Left, p.Legend.Top = legendLeft, legendTop
	p.Legend.XOffs, p.Legend.YOffs = -8, 8
	if legendLeft {
		p.Legend.XOffs = 8
	}
	if legendTop {
		p.Legend.YOffs = -8
	}
	for i, n := range list[:min(len(list), maxCurves)] {
		l, err := curve(n.points, seriesColor(i), 2)
		if err != nil {
			return nil, err
		}
		p.Add(l)
		p.Legend.Add(n.label, l)
	}
	return p, nil
}

func rocPoints(c *metrics.ClassCurves) plotter.XYs {
	var xy plotter.XYs
	for _, p := range c.ROC {
		if p.FPR.Defined() && p.TPR.Defined() {
			xy = append(xy, plotter.XY{X: float64(p.FPR), Y: float64(p.TPR)})
		}
	}
	return xy
}

func prPoints(c *metrics.ClassCurves) plotter.XYs {
	var xy plotter.XYs
	for _, p := range c.PrecisionRecall {
		if p.Recall.Defined() && p.Precision.Defined() {
			xy = append(xy, plotter.XY{X: float64(p.Recall), Y: float64(p.Precision)})
		}
	}
	return xy
}

// labels of curves: of one class its figure alone, of several their names too.
func label(class string, one bool, figure string, v num.Float) string {
	if one {
		return fmt.Sprintf("%s %s", figure, figureText(v))
	}
	return fmt.Sprintf("%s  %s", clean(class, 24), figureText(v))
}

func figureText(v num.Float) string {
	if !v.Defined() {
		return "–"
	}
	return fmt.Sprintf("%.3f", float64(v))
}

const noCurve = "The test part has rows of one class only."

// ROC shows the curves of one model, one for each class.
func ROC(model string, c *metrics.Curves) Figure {
	title := "ROC: " + clean(model, 40)
	var list []named
	for i := range c.Classes {
		if xy := rocPoints(&c.Classes[i]); len(xy) > 1 {
			list = append(list, named{label(c.Classes[i].Class, len(c.Classes) == 1, "AUC", c.Classes[i].ROCAUC), xy})
		}
	}
	if len(list) == 0 {
		return message(title, noCurve)
	}
	return plotted(func() (*plot.Plot, error) {
		chance, err := straight(0, 0, 1, 1)
		if err != nil {
			return nil, err
		}
		return curves(title, "false positive rate", "true positive rate", list, false, false, chance)
	})
}

// PrecisionRecall shows the curves of one model, one for each class, over the share of the class.
func PrecisionRecall(model string, c *metrics.Curves) Figure {
	title := "Precision and recall: " + clean(model, 40)
	var list []named
	for i := range c.Classes {
		if xy := prPoints(&c.Classes[i]); len(xy) > 1 {
			list = append(list, named{label(c.Classes[i].Class, len(c.Classes) == 1, "average precision", c.Classes[i].AveragePrecision), xy})
		}
	}
	if len(list) == 0 {
		return message(title, noCurve)
	}
	return plotted(func() (*plot.Plot, error) {
		var reference []*plotter.Line
		if len(c.Classes) == 1 {
			rate := float64(c.Classes[0].Positives) / float64(max(1, c.Rows))
			base, err := straight(0, rate, 1, rate)
			if err != nil {
				return nil, err
			}
			reference = append(reference, base)
		}
		return curves(title, "recall", "precision", list, true, false, reference...)
	})
}

// Calibration shows how often the class is true where a model predicts it with a certain probability. The area of a dot
// grows with the rows that it stands for.
func Calibration(model string, c *metrics.Curves) Figure {
	title := "Calibration: " + clean(model, 40)
	var list []named
	var rows [][]int64
	for i := range c.Classes {
		var xy plotter.XYs
		var n []int64
		for _, b := range c.Classes[i].Calibration {
			if b.Predicted.Defined() && b.Observed.Defined() {
				xy = append(xy, plotter.XY{X: float64(b.Predicted), Y: float64(b.Observed)})
				n = append(n, b.Rows)
			}
		}
		if len(xy) > 0 {
			name := clean(c.Classes[i].Class, 24)
			if len(c.Classes) == 1 {
				name = "dots grow with the rows"
			}
			list, rows = append(list, named{name, xy}), append(rows, n)
		}
	}
	if len(list) == 0 {
		return message(title, noCurve)
	}
	return plotted(func() (*plot.Plot, error) {
		ideal, err := straight(0, 0, 1, 1)
		if err != nil {
			return nil, err
		}
		p, err := curves(title, "predicted probability", "share of the class", list, true, true, ideal)
		if err != nil {
			return nil, err
		}
		for i, n := range list[:min(len(list), maxCurves)] {
			s, err := plotter.NewScatter(n.points)
			if err != nil {
				return nil, err
			}
			counts, col := rows[i], seriesColor(i)
			s.GlyphStyleFunc = func(j int) draw.GlyphStyle {
				return draw.GlyphStyle{Color: col, Radius: 2.5 + 6*vg.Length(root(float64(counts[j])/float64(c.Rows))), Shape: draw.CircleGlyph{}}
			}
			p.Add(s)
		}
		return p, nil
	})
}

// root is the square root, which makes areas of radii.
func root(v float64) float64 {
	x := 1.0
	for range 20 {
		x = (x + v/x) / 2
	}
	return x
}

// ModelCurves are the curves of one model among several.
type ModelCurves struct {
	Model  string
	Curves *metrics.Curves
}

// ROCOfModels compares models: the curve of the second of two classes, or else of the first class of many.
func ROCOfModels(models []ModelCurves) Figure {
	var list []named
	class := ""
	for _, m := range models {
		if len(m.Curves.Classes) == 0 {
			continue
		}
		c := &m.Curves.Classes[0]
		if xy := rocPoints(c); len(xy) > 1 {
			list = append(list, named{clean(m.Model, 26) + "  " + figureText(c.ROCAUC), xy})
		}
		if len(m.Curves.Classes) > 1 {
			class = ", class " + clean(c.Class, 30)
		}
	}
	title := "ROC of all models" + class
	if len(list) == 0 {
		return message(title, noCurve)
	}
	return plotted(func() (*plot.Plot, error) {
		chance, err := straight(0, 0, 1, 1)
		if err != nil {
			return nil, err
		}
		return curves(title, "false positive rate", "true positive rate", list, false, false, chance)
	})
}

// ModelMetrics are the figures of one model among several.
type ModelMetrics struct {
	Model   string
	Metrics metrics.Metrics
}

// Metrics compares models: a row of dots for each metric between 0 and 1.
func Metrics(models []ModelMetrics) Figure {
	type row struct {
		name string
		of   func(metrics.Metrics) num.Float
	}
	rows := []row{{"accuracy", func(m metrics.Metrics) num.Float { return m.Accuracy }}, {"balanced accuracy", func(m metrics.Metrics) num.Float { return m.BalancedAccuracy }},
		{"precision", func(m metrics.Metrics) num.Float { return m.Precision }}, {"recall", func(m metrics.Metrics) num.Float { return m.Recall }},
		{"F1", func(m metrics.Metrics) num.Float { return m.F1 }}, {"ROC AUC", func(m metrics.Metrics) num.Float { return m.ROCAUC }},
		{"average precision", func(m metrics.Metrics) num.Float { return m.AveragePrecision }}}
	shown := models[:min(len(models), maxCurves)]
	return Figure{standardWidth, standardHeight + vg.Length(14*len(shown)), func(p pen) {
		p = p.title("Metrics of all models", "on the test part; further right is better")
		low := 1.0
		for _, m := range shown {
			for _, r := range rows {
				if v := r.of(m.Metrics); v.Defined() {
					low = min(low, float64(v))
				}
			}
		}
		low = float64(int(max(0, low-0.02)*20)) / 20 // down to the next twentieth
		labels, ticks := style(bodySize, ink, false), style(smallSize, soft, false)
		legend := p.Min.Y + vg.Length(17*((len(shown)+1)/2))
		left, right, bottom := p.Min.X+labels.Width("average precision")+14, p.Max.X-18, legend+34
		at := func(v float64) vg.Length { return left + (right-left)*vg.Length((v-low)/(1-low)) }
		for i := range 5 {
			v := low + (1-low)*float64(i)/4
			p.line(at(v), bottom, at(v), p.Max.Y, 0.8, faint)
			p.write(fmt.Sprintf("%.3g", v), at(v), bottom-5, ticks, 0.5, 1)
		}
		step := (p.Max.Y - bottom) / vg.Length(len(rows))
		for i, r := range rows {
			y := p.Max.Y - step*(vg.Length(i)+0.5)
			p.write(r.name, left-12, y, labels, 1, 0.5)
			p.line(left, y, right, y, 0.6, faint)
			for j, m := range shown {
				if v := r.of(m.Metrics); v.Defined() {
					// Models side by side, so that equal figures stay visible.
					offset := (vg.Length(j) - vg.Length(len(shown)-1)/2) * min(7, step/vg.Length(len(shown)+1))
					p.DrawGlyph(draw.GlyphStyle{Color: seriesColor(j), Radius: 4.2, Shape: draw.CircleGlyph{}}, vg.Point{X: at(float64(v)), Y: y - offset})
				}
			}
		}
		for j, m := range shown {
			x, y := p.Min.X+p.width()/2*vg.Length(j%2)+8, legend-vg.Length(17*(j/2))-8
			p.DrawGlyph(draw.GlyphStyle{Color: seriesColor(j), Radius: 4.2, Shape: draw.CircleGlyph{}}, vg.Point{X: x, Y: y})
			p.write(fitting(m.Model, labels, p.width()/2-24), x+10, y, style(smallSize, ink, false), 0, 0.5)
		}
	}}
}

// ModelImportance is the importance of the features to one model among several.
type ModelImportance struct {
	Model  string
	Report *importance.Report
}

// Importance shows the features that matter most to each model, the models side by side.
func Importance(models []ModelImportance) Figure {
	const most = 10
	shown := models[:min(len(models), maxCurves)]
	rows := 0
	for _, m := range shown {
		rows = max(rows, min(most, len(m.Report.Features)))
	}
	if rows == 0 {
		return message("Permutation importance", "There is no feature.")
	}
	across := min(len(shown), 3)
	down := (len(shown) + across - 1) / across
	cell := vg.Length(46 + 21*rows)
	width := wideWidth
	if across == 1 {
		width = standardWidth
	}
	return Figure{width, 62 + cell*vg.Length(down), func(p pen) {
		p = p.title("Permutation importance", "drop in ROC AUC when the feature is shuffled, with the standard deviation over repeats")
		w := p.width() / vg.Length(across)
		for i, m := range shown {
			x, y := w*vg.Length(i%across), cell*vg.Length(i/across)
			q := p.inside(x+4, p.width()-x-w+10, p.height()-y-cell+6, y)
			head := style(bodySize, ink, true)
			q.write(fitting(m.Model, head, q.width()), q.Min.X, q.Max.Y, head, 0, 1)
			var list []bar
			for _, f := range m.Report.Features[:min(most, len(m.Report.Features))] {
				b := bar{label: f.Name, value: max(0, float64(f.Mean)), note: fmt.Sprintf("%.3f", float64(f.Mean)), color: seriesColor(i)}
				if f.SD.Defined() {
					b.spread = float64(f.SD)
				}
				if !f.Mean.Defined() {
					b.value, b.note = 0, "–"
				}
				list = append(list, b)
			}
			q.inside(0, 0, 4, 22).bars(list, smallSize)
		}
	}}
}
