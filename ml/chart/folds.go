package chart

import (
	"fmt"
	"math"

	"gonum.org/v1/plot/vg"

	"github.com/hashline/hashline/ml/learning"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
)

// Validated is what a candidate reached in cross-validation.
type Validated struct {
	Name     string
	Mean, SD num.Float
	ByFold   []num.Float
}

// CrossValidation shows the scores of candidates, the best first: a dot for each fold, a mark at the mean, and a line of one
// standard deviation to both sides.
func CrossValidation(scoring metrics.Named, folds int, list []Validated) Figure {
	const most = 20
	title := "Cross-validation: " + scoring.Title
	low, high := math.Inf(1), math.Inf(-1)
	count := len(list)
	list = list[:min(count, most)]
	for _, c := range list {
		for _, v := range c.ByFold {
			if v.Defined() {
				low, high = min(low, float64(v)), max(high, float64(v))
			}
		}
		if c.SD.Defined() {
			low, high = min(low, float64(c.Mean-c.SD)), max(high, float64(c.Mean+c.SD))
		}
	}
	if low > high {
		return message(title, "It is not defined on any fold.")
	}
	better := "right"
	if scoring.Smaller {
		better = "left"
	}
	note := fmt.Sprintf("dots: %d folds of the training part; mark and line: mean and standard deviation; further %s is better", folds, better)
	if count > most {
		note += fmt.Sprintf("; the best %d of %d candidates", most, count)
	}
	const row, foot = barStep, 22 * vg.Length(1)
	return Figure{title: title, note: note, width: squareWidth, height: row*vg.Length(len(list)) + foot, draw: func(p pen) {
		f := regular(smallSize)
		var labels vg.Length
		for _, c := range list {
			labels = max(labels, f.width(fitting(c.Name, f, p.width()*0.42)))
		}
		a := axes{pen: p.inside(labels+12, 12, foot, 0)}
		a.scale(p, low, high)
		for i, c := range list {
			y := a.Max.Y - row*(vg.Length(i)+0.5)
			p.write(fitting(c.Name, f, p.width()*0.42), a.Min.X-10, y, f, text, right, middle)
			for _, v := range c.ByFold {
				if v.Defined() {
					a.mark(vg.Point{X: a.at(float64(v), 0).X, Y: y}, 2.6, circle, paint{blue, 0.55})
				}
			}
			if !c.Mean.Defined() {
				continue
			}
			if c.SD.Defined() {
				a.line(a.at(float64(c.Mean-c.SD), 0).X, y, a.at(float64(c.Mean+c.SD), 0).X, y, 1.4, solid(text))
			}
			x := a.at(float64(c.Mean), 0).X
			a.line(x, y-6, x, y+6, 2.2, solid(vermillion))
		}
	}}
}

// scale draws a horizontal axis that holds low and high, with round ticks.
func (a *axes) scale(p pen, low, high float64) {
	if high-low < 1e-12*math.Abs(high) || high == low {
		pad := max(1e-3, math.Abs(high)*0.01)
		low, high = low-pad, high+pad
	}
	step := roundStep((high - low) / 4)
	first := math.Floor(low / step)
	a.low, a.high = first*step, math.Ceil(high/step)*step
	for i := 0; ; i++ {
		v := (first + float64(i)) * step
		if v > a.high+step/2 {
			break
		}
		x := a.at(v, 0).X
		a.line(x, a.Min.Y, x, a.Max.Y, 0.7, solid(faint))
		p.write(tickLabel(v, step), x, a.Min.Y-5, regular(smallSize), soft, center, top)
	}
}

// roundStep is the smallest of 1, 2 and 5 times a power of ten that is not less.
func roundStep(least float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, f := range []float64{1, 2, 5} {
		if power*f >= least*(1-1e-9) {
			return power * f
		}
	}
	return power * 10
}

// tickLabel writes a multiple of a round step.
func tickLabel(v, step float64) string {
	places := int(max(0, -math.Floor(math.Log10(step)+1e-9)))
	if places > 6 || math.Abs(v) >= 1e6 {
		return short(v)
	}
	if math.Abs(v) < step/2 {
		v = 0
	}
	return decimals(v, places)
}

// Learned is the learning curve of one model.
type Learned struct {
	Model  string
	Points []learning.Point
}

// Learning shows how the scores of models grow with the rows that they are trained on, on one scale.
func Learning(scoring metrics.Named, repeats int, list []Learned) Figure {
	title := "Learning curves: " + scoring.Title
	low, high, most := math.Inf(1), math.Inf(-1), 0
	for _, m := range list {
		for _, p := range m.Points {
			most = max(most, p.Rows)
			for _, v := range []num.Float{p.Test, p.Train} {
				if v.Defined() {
					low, high = min(low, float64(v)), max(high, float64(v))
				}
			}
		}
	}
	if low > high {
		return message(title, "It is not defined on any rows.")
	}
	x, okX := rounded(0, float64(most))
	y, okY := rounded(low, high)
	if !okX || !okY {
		return message(title, "The scores are beyond what can be drawn.")
	}
	note := "blue: on rows of the training part that were left out, mean and standard deviation over " + counted(repeats, "repeat", "repeats") + "; red: on the rows that were trained on"
	return cells(title, note, len(list), 168, func(p pen, i int) { p.learned(&list[i], x, y) })
}

func (p pen) learned(m *Learned, x, y span) {
	small := regular(smallSize - 1)
	p.write(fitting(m.Model, bold(bodySize), p.width()), p.Min.X, p.Max.Y, bold(bodySize), text, left, top)
	at, labels := y.labels()
	var widest vg.Length
	for _, l := range labels {
		widest = max(widest, small.width(l))
	}
	a := plane{pen: p.inside(widest+6, 8, 15, 19), x: x, y: y}
	for i, v := range at {
		height := a.at(0, v).Y
		a.line(a.Min.X, height, a.Max.X, height, 0.7, solid(faint))
		a.write(labels[i], a.Min.X-4, height, small, soft, right, middle)
	}
	var train, test []vg.Point
	for _, v := range m.Points {
		if v.Train.Defined() {
			train = append(train, a.at(float64(v.Rows), float64(v.Train)))
		}
		if !v.Test.Defined() {
			continue
		}
		q := a.at(float64(v.Rows), float64(v.Test))
		test = append(test, q)
		a.mark(q, 2.6, circle, solid(blue))
		if v.TestSD.Defined() {
			a.line(q.X, a.at(0, float64(v.Test-v.TestSD)).Y, q.X, a.at(0, float64(v.Test+v.TestSD)).Y, 1.2, solid(blue))
		}
	}
	for i, line := range [][]vg.Point{test, train} {
		if len(line) > 1 {
			a.stroke(line, lineStyle(i), solid(series[i]))
		}
	}
	a.range3([2]string{"0", grouped(int(x.high))}, "rows to train on", a.Min.Y-3, small)
}
