package chart

import (
	"cmp"
	"fmt"
	"slices"

	"gonum.org/v1/plot/vg"

	"github.com/hashline/hashline/ml/eda"
)

// bar is one horizontal bar.
type bar struct {
	label  string
	value  float64 // length, relative to the others
	spread float64 // half the length of the whisker
	note   string
	color  role
}

// bars draws horizontal bars from the top, with their labels left and their notes right of them. The longest, with its
// whisker, is as long as there is room; most is its value, 0 for the largest of the list.
func (p pen) bars(list []bar, size vg.Length, most float64) {
	labels, notes := regular(size), regular(size-0.5)
	var labelWidth, noteWidth vg.Length
	for i := range list {
		list[i].label = fitting(list[i].label, labels, p.width()*0.42)
		labelWidth, noteWidth = max(labelWidth, labels.width(list[i].label)), max(noteWidth, notes.width(list[i].note))
		most = max(most, list[i].value+list[i].spread)
	}
	start := p.Min.X + labelWidth + 7
	room := max(0, p.Max.X-start-noteWidth-7)
	scale := func(v float64) vg.Length {
		if most <= 0 {
			return 0
		}
		return room * vg.Length(v/most)
	}
	step := min(p.height()/vg.Length(max(1, len(list))), size*2.1)
	for i, b := range list {
		y := p.Max.Y - step*(vg.Length(i)+0.5)
		p.write(b.label, start-7, y, labels, text, right, middle)
		length := scale(b.value)
		if b.value > 0 {
			p.box(start, y-step*0.34, start+max(length, 0.6), y+step*0.34, solid(b.color))
		}
		if b.spread > 0 {
			low, high := start+scale(max(0, b.value-b.spread)), start+scale(b.value+b.spread)
			if high-low > 1 {
				p.line(low, y, high, y, 1.2, solid(text))
				p.line(high, y-2.5, high, y+2.5, 1.2, solid(text))
			}
			length = max(length, high-start)
		}
		p.write(b.note, start+length+6, y, notes, soft, left, middle)
	}
}

const barStep = 23 * vg.Length(1)

// TargetBalance shows the classes and their rows, or the distribution of a numeric target.
func TargetBalance(s *eda.Summary) Figure {
	if s.Number != nil {
		return targetNumbers(s)
	}
	const most = 20
	list := slices.Clone(s.Target)
	note := counted(s.Rows, "row", "rows") + " in " + counted(len(list), "class", "classes")
	if len(list) > most {
		slices.SortStableFunc(list, func(a, b eda.ClassCount) int { return cmp.Compare(b.Rows, a.Rows) })
		list, note = list[:most], note+fmt.Sprintf("; the %d largest", most)
	}
	title := "Target balance"
	if len(list) > 0 {
		largest := slices.MaxFunc(list, func(a, b eda.ClassCount) int { return cmp.Compare(a.Rows, b.Rows) })
		title += ": " + percent(share(largest.Rows, s.Rows)) + " are " + fitting(largest.Class, bold(titleSize), squareWidth/2)
	}
	return Figure{title: title, note: note, width: squareWidth, height: barStep * vg.Length(len(list)), draw: func(p pen) {
		var bars []bar
		for _, c := range list {
			bars = append(bars, bar{label: c.Class, value: float64(c.Rows), note: grouped(c.Rows) + "  (" + percent(share(c.Rows, s.Rows)) + ")", color: blue})
		}
		p.bars(bars, bodySize, 0)
	}}
}

// Missing shows the columns with missing values on an axis of all rows.
func Missing(s *eda.Summary) Figure {
	const most = 18
	var list []bar
	for _, c := range s.Columns {
		if c.Missing > 0 {
			v := share(c.Missing, s.Rows)
			list = append(list, bar{label: c.Name, value: v, note: percent(v) + "  (" + grouped(c.Missing) + ")", color: vermillion})
		}
	}
	features := counted(len(s.Columns), "feature", "features")
	if len(list) == 0 {
		return message("No missing values", "Not one is missing in "+features+" of "+counted(s.Rows, "row", "rows")+".")
	}
	slices.SortStableFunc(list, func(a, b bar) int { return cmp.Compare(b.value, a.value) })
	note := grouped(len(list)) + " of " + features + " have missing values; share of the rows"
	if len(list) > most {
		list, note = list[:most], note+fmt.Sprintf("; the %d with most", most)
	}
	return Figure{title: "Missing values: up to " + percent(list[0].value), note: note, width: squareWidth, height: barStep * vg.Length(len(list)),
		draw: func(p pen) { p.bars(slices.Clone(list), bodySize, 0) }}
}

// cells draws small pictures in rows of three.
func cells(title, note string, n int, tall vg.Length, cell func(p pen, i int)) Figure {
	const across = 3
	rows := vg.Length((n + across - 1) / across)
	return Figure{title: title, note: note, width: wideWidth, height: tall*rows - 8, draw: func(p pen) {
		const gap = 22
		w := (p.width() - gap*(across-1)) / across
		for i := range n {
			x, y := vg.Length(i%across)*(w+gap), vg.Length(i/across)*tall
			q := p
			q.Min.X, q.Max.X = p.Min.X+x, p.Min.X+x+w
			q.Max.Y = p.Max.Y - y
			q.Min.Y = q.Max.Y - tall + 14
			cell(q, i)
		}
	}}
}

// Histograms shows the distribution of every number.
func Histograms(s *eda.Summary) Figure {
	const most = 18
	var list []eda.Column
	for _, c := range s.Columns {
		if c.Numeric != nil && c.Numeric.Count > 0 && len(c.Numeric.Histogram.Counts) > 0 {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return message("Numbers", "There is no numeric feature with values.")
	}
	note := counted(len(list), "numeric feature", "numeric features")
	if len(list) > most {
		list, note = list[:most], note+fmt.Sprintf(", the first %d", most)
	}
	note += "; bars are rows, the scale of each its own; ≤ and ≥: the bar also holds what lies beyond"
	return cells("Numbers", note, len(list), 132, func(p pen, i int) { p.histogram(&list[i]) })
}

func (p pen) histogram(c *eda.Column) {
	n, h := c.Numeric, c.Numeric.Histogram
	most := slices.Max(h.Counts)
	peak := "highest bar " + grouped(most)
	small := regular(smallSize - 1)
	p.write(fitting(c.Name, bold(bodySize), p.width()-small.width(peak)-10), p.Min.X, p.Max.Y, bold(bodySize), text, left, top)
	p.write(peak, p.Max.X, p.Max.Y-2, small, soft, right, top)
	base, ceiling := p.Min.Y+15, p.Max.Y-19
	step := p.width() / vg.Length(len(h.Counts))
	gap := min(0.5, step*0.06)
	var boxes []vg.Rectangle
	for i, k := range h.Counts {
		if k > 0 {
			x := p.Min.X + step*vg.Length(i)
			tall := max(0.8, (ceiling-base)*vg.Length(float64(k)/float64(max(1, most))))
			boxes = append(boxes, vg.Rectangle{Min: vg.Point{X: x + gap, Y: base}, Max: vg.Point{X: x + step - gap, Y: base + tall}})
		}
	}
	p.fill(boxes, solid(blue))
	p.line(p.Min.X, base, p.Max.X, base, 0.8, solid(soft))
	p.range3(edges(h), "median "+short(float64(n.Median)), base-4, small)
}

// edges are the labels of a histogram's ends. Where every bin is a whole number the ends are numbers, not half-ways.
func edges(h eda.Histogram) [2]string {
	low, high := float64(h.Low), float64(h.High)
	if whole := low + 0.5; high-low == float64(len(h.Counts)) && whole == float64(int64(whole)) {
		low, high = whole, high-0.5
	}
	e := [2]string{short(low), short(high)}
	if h.Below > 0 {
		e[0] = "≤ " + e[0]
	}
	if h.Above > 0 {
		e[1] = "≥ " + e[1]
	}
	return e
}

// range3 writes the ends of an axis and, where there is room, what lies between.
func (p pen) range3(ends [2]string, between string, y vg.Length, f face) {
	if ends[0] == ends[1] {
		p.write(ends[0], (p.Min.X+p.Max.X)/2, y, f, soft, center, top)
		return
	}
	p.write(ends[0], p.Min.X, y, f, soft, left, top)
	p.write(ends[1], p.Max.X, y, f, soft, right, top)
	if side := max(f.width(ends[0]), f.width(ends[1])); f.width(between)+2*side+16 < p.width() {
		p.write(between, (p.Min.X+p.Max.X)/2, y, f, soft, center, top)
	}
}

// Categories shows the most frequent levels of every category.
func Categories(s *eda.Summary) Figure {
	const most = 12
	var list []eda.Column
	for _, c := range s.Columns {
		if c.Category != nil && len(c.Category.Levels) > 0 {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return message("Categories", "There is no categorical feature with values.")
	}
	note := "the most frequent levels of " + counted(len(list), "categorical feature", "categorical features")
	if len(list) > most {
		list, note = list[:most], note+fmt.Sprintf(", the first %d", most)
	}
	return cells("Categories", note+"; share of the rows", len(list), 152, func(p pen, i int) { p.category(&list[i], s.Rows) })
}

func (p pen) category(c *eda.Column, rows int) {
	const levels = 6
	count := counted(c.Category.Distinct, "level", "levels")
	small := regular(smallSize - 1)
	p.write(fitting(c.Name, bold(bodySize), p.width()-small.width(count)-10), p.Min.X, p.Max.Y, bold(bodySize), text, left, top)
	p.write(count, p.Max.X, p.Max.Y-2, small, soft, right, top)
	shown := min(levels, len(c.Category.Levels))
	var bars []bar
	rest := rows - c.Missing
	for _, l := range c.Category.Levels[:shown] {
		bars = append(bars, bar{label: l.Level, value: share(l.Rows, rows), note: percent(share(l.Rows, rows)), color: blue})
		rest -= l.Rows
	}
	if n := c.Category.Distinct - shown; n > 0 {
		// Not a bar: it would dwarf the others.
		p.write(counted(n, "other", "others")+": "+percent(share(rest, rows)), p.Max.X, p.Min.Y, small, soft, right, bottom)
	}
	p.inside(0, 0, 14, 19).bars(bars, smallSize, 0)
}
