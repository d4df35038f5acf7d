package chart

import (
	"fmt"
	"math"

	"gonum.org/v1/plot/vg"

	"github.com/hashline/hashline/ml/explain"
)

// SHAP shows what the features that matter most add to a model's output: a dot for each row, coloured by the row's value.
// output says what the values are of.
func SHAP(model, output string, rows int, list []explain.Contribution) Figure {
	const most, row, foot = 12, 26 * vg.Length(1), 38 * vg.Length(1)
	title := "SHAP values: " + model
	list = list[:min(most, len(list))]
	low, high := 0.0, 0.0
	for _, f := range list {
		for _, p := range f.Points {
			low, high = min(low, float64(p.SHAP)), max(high, float64(p.SHAP))
		}
	}
	s, ok := rounded(low, high)
	if len(list) == 0 || !ok {
		return message(title, "There is no model of trees to explain.")
	}
	note := fmt.Sprintf("what each feature adds to %s, in %s; blue: a low value of the feature, red: a high one, grey: a category or none; beside the name the mean size", output, counted(rows, "test row", "test rows"))
	return Figure{title: title, note: note, width: wideWidth, height: row*vg.Length(len(list)) + foot, draw: func(p pen) {
		f := regular(smallSize)
		var labels vg.Length
		for _, c := range list {
			labels = max(labels, f.width(fitting(c.Feature, f, p.width()*0.3)))
		}
		a := plane{pen: p.inside(labels+58, 12, foot, 0), x: s, y: span{0, 1, 1}}
		at, text2 := s.labels()
		for i, v := range at {
			x := a.at(v, 0).X
			a.line(x, a.Min.Y, x, a.Max.Y, 0.7, solid(faint))
			p.write(text2[i], x, a.Min.Y-5, f, soft, center, top)
		}
		zero := a.at(0, 0).X
		a.line(zero, a.Min.Y, zero, a.Max.Y, 1, solid(soft))
		p.write("SHAP value", (a.Min.X+a.Max.X)/2, a.Min.Y-7-smallSize*1.2, regular(bodySize), text, center, top)
		for i, c := range list {
			y := a.Max.Y - row*(vg.Length(i)+0.5)
			p.write(fitting(c.Feature, f, p.width()*0.3), a.Min.X-54, y, f, text, right, middle)
			p.write(short(float64(c.Mean)), a.Min.X-8, y, f, soft, right, middle)
			a.swarm(c.Points, y, row)
		}
	}}
}

// swarm draws the rows of one feature around a line, beside each other where there are many.
func (a plane) swarm(points []explain.Point, y, row vg.Length) {
	const wide, radius = 3.2, 1.7 // of a stack, of a dot
	stacks := map[int]int{}
	for _, p := range points {
		x := a.at(float64(p.SHAP), 0).X
		stack := int(math.Round(float64(x-a.Min.X) / wide))
		n := stacks[stack]
		stacks[stack]++
		// 0, 1, -1, 2, -2 ... steps from the line; where there is no more room they lie on each other.
		step := vg.Length((n + 1) / 2)
		if n%2 == 0 {
			step = -step
		}
		reach := row/2 - radius
		for step*radius > reach || step*radius < -reach {
			step *= 0.5
		}
		a.mark(vg.Point{X: x, Y: y + step*radius}, radius, circle, warmth(float64(p.Rank)))
	}
}

// warmth is the colour of a rank from 0 to 1, and of none.
func warmth(rank float64) paint {
	switch {
	case math.IsNaN(rank):
		return paint{soft, 0.55}
	case rank < 0.5:
		return paint{blue, 0.4 + float64(0.6*(1-2*rank))}
	}
	return paint{vermillion, 0.4 + float64(0.6*(2*rank-1))}
}

// Dependence shows how the mean prediction goes with features, one at a time, on one scale: a line for a number, a dot for each
// level of a category. column is that of the means, output what they are of.
func Dependence(model, output string, column int, list []explain.Dependence) Figure {
	title := "Partial dependence: " + model
	low, high := math.Inf(1), math.Inf(-1)
	rows := 0
	for _, d := range list {
		rows = max(rows, d.Rows)
		for _, m := range d.Means {
			if column < len(m) {
				low, high = min(low, m[column]), max(high, m[column])
			}
		}
	}
	if low > high {
		return message(title, "There is no model of trees to explain.")
	}
	y, ok := rounded(low, high)
	if !ok {
		return message(title, "The predictions are beyond what can be drawn.")
	}
	note := fmt.Sprintf("mean of %s over %s, had all of them the value; numbers at their quantiles, the most frequent levels of categories", output, counted(rows, "test row", "test rows"))
	return cells(title, note, len(list), 150, func(p pen, i int) { p.dependence(&list[i], column, y) })
}

func (p pen) dependence(d *explain.Dependence, column int, y span) {
	small := regular(smallSize - 1)
	p.write(fitting(d.Feature, bold(bodySize), p.width()), p.Min.X, p.Max.Y, bold(bodySize), text, left, top)
	at, labels := y.labels()
	var widest vg.Length
	for _, l := range labels {
		widest = max(widest, small.width(l))
	}
	if len(d.Levels) > 0 {
		p.inside(0, widest/2, 15, 19).levels(d, column, y, small)
		return
	}
	n := len(d.Numbers) - 1
	a := plane{pen: p.inside(widest+6, 4, 15, 19), x: span{0, float64(max(1, n)), 1}, y: y}
	for i, v := range at {
		if i%2 == 0 || len(at) < 5 {
			height := a.at(0, v).Y
			a.line(a.Min.X, height, a.Max.X, height, 0.7, solid(faint))
			a.write(labels[i], a.Min.X-4, height, small, soft, right, middle)
		}
	}
	var line []vg.Point
	for i := range d.Numbers {
		line = append(line, a.at(float64(i), d.Means[i][column]))
	}
	if n == 0 {
		a.mark(line[0], 3, circle, solid(blue))
	} else {
		a.stroke(line, lineStyle(0), solid(blue))
	}
	a.range3([2]string{short(d.Numbers[0]), short(d.Numbers[n])}, short(d.Numbers[n/2]), a.Min.Y-3, small)
}

// levels draws the most frequent levels of a category below each other, a dot for each.
func (p pen) levels(d *explain.Dependence, column int, x span, f face) {
	const most = 6
	n := min(most, len(d.Levels))
	var widest vg.Length
	for _, l := range d.Levels[:n] {
		widest = max(widest, f.width(fitting(l, f, p.width()*0.45)))
	}
	a := plane{pen: p.inside(widest+8, 4, 0, 0), x: x, y: span{0, 1, 1}}
	at, labels := x.labels()
	for i, v := range at {
		if i%2 == 0 || len(at) < 5 {
			place := a.at(v, 0).X
			a.line(place, a.Min.Y, place, a.Max.Y, 0.7, solid(faint))
			a.write(labels[i], place, a.Min.Y-3, f, soft, center, top)
		}
	}
	step := min(a.height()/vg.Length(n), 19)
	for i, l := range d.Levels[:n] {
		height := a.Max.Y - step*(vg.Length(i)+0.5)
		a.write(fitting(l, f, p.width()*0.45), a.Min.X-7, height, f, text, right, middle)
		a.mark(vg.Point{X: a.at(d.Means[i][column], 0).X, Y: height}, 3, circle, solid(blue))
	}
}
