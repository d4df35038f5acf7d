package chart

import (
	"cmp"
	"fmt"
	"image/color"
	"slices"

	"gonum.org/v1/plot/vg"

	"github.com/hashline/hashline/ml/eda"
	"github.com/hashline/hashline/ml/metrics"
)

func sortBars(list []bar) {
	slices.SortStableFunc(list, func(a, b bar) int { return cmp.Compare(b.value, a.value) })
}

// cellHeight is the height of one small picture among several.
const cellHeight = 1.75 * vg.Inch

// multiples draws small pictures in rows of three.
func multiples(title, note string, n int, cellTall vg.Length, cell func(p pen, i int)) Figure {
	const across = 3
	rows := (n + across - 1) / across
	return Figure{wideWidth, 60 + cellTall*vg.Length(rows), func(p pen) {
		p = p.title(title, note)
		w, h := p.width()/across, p.height()/vg.Length(rows)
		for i := range n {
			x, y := vg.Length(i%across)*w, vg.Length(i/across)*h
			cell(p.inside(x+6, p.width()-x-w+10, p.height()-y-h+6, y+4), i)
		}
	}}
}

// Histograms shows the distribution of every number.
func Histograms(s *eda.Summary) Figure {
	const most = 18
	var list []eda.Column
	for _, c := range s.Columns {
		if c.Numeric != nil && c.Numeric.Count > 0 {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return message("Numbers", "There is no numeric feature.")
	}
	note := fmt.Sprintf("%d numeric features", len(list))
	if len(list) > most {
		note += fmt.Sprintf("; the first %d", most)
		list = list[:most]
	}
	return multiples("Numbers", note, len(list), cellHeight, func(p pen, i int) { p.histogram(&list[i]) })
}

func (p pen) histogram(c *eda.Column) {
	small := style(smallSize-0.5, soft, false)
	head := style(bodySize, ink, true)
	p.write(fitting(c.Name, head, p.width()), p.Min.X, p.Max.Y, head, 0, 1)
	n := c.Numeric
	h := n.Histogram
	most := 0
	for _, k := range h.Counts {
		most = max(most, k)
	}
	base, top := p.Min.Y+16, p.Max.Y-20
	step := p.width() / vg.Length(len(h.Counts))
	for i, k := range h.Counts {
		if k == 0 {
			continue
		}
		x := p.Min.X + step*vg.Length(i)
		p.box(x+min(0.6, step*0.08), base, x+step-min(0.6, step*0.08), base+max(0.8, (top-base)*vg.Length(float64(k)/float64(most))), blue)
	}
	p.line(p.Min.X, base, p.Max.X, base, 0.8, soft)
	low, high := short(float64(h.Low)), short(float64(h.High))
	if h.Below > 0 {
		low = "≤ " + low
	}
	if h.Above > 0 {
		high += " ≤"
	}
	p.write(low, p.Min.X, base-3, small, 0, 1)
	p.write(high, p.Max.X, base-3, small, 1, 1)
	p.write("median "+short(float64(n.Median)), (p.Min.X+p.Max.X)/2, base-3, small, 0.5, 1)
}

// Categories shows the most frequent levels of every category.
func Categories(s *eda.Summary) Figure {
	const most, levels = 12, 6
	var list []eda.Column
	for _, c := range s.Columns {
		if c.Category != nil && len(c.Category.Levels) > 0 {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return message("Categories", "There is no categorical feature.")
	}
	note := fmt.Sprintf("the most frequent levels of %d categorical features", len(list))
	if len(list) > most {
		note += fmt.Sprintf("; the first %d", most)
		list = list[:most]
	}
	return multiples("Categories", note, len(list), cellHeight+0.2*vg.Inch, func(p pen, i int) {
		c := &list[i]
		head := style(bodySize, ink, true)
		p.write(fitting(fmt.Sprintf("%s (%d)", clean(c.Name, 40), c.Category.Distinct), head, p.width()), p.Min.X, p.Max.Y, head, 0, 1)
		var bars []bar
		for _, l := range c.Category.Levels[:min(levels, len(c.Category.Levels))] {
			bars = append(bars, bar{label: l.Level, value: float64(l.Rows), note: percent(share(l.Rows, s.Rows)), color: blue})
		}
		p.inside(0, 0, 4, 20).bars(bars, smallSize)
	})
}

// diverging is blue for -1, white for 0 and vermillion for 1.
func diverging(v float64) color.NRGBA {
	if v != v {
		return faint
	}
	to := vermillion
	if v < 0 {
		to, v = blue, -v
	}
	return mix(white, to, v)
}

func mix(a, b color.NRGBA, t float64) color.NRGBA {
	t = max(0, min(1, t))
	m := func(x, y uint8) uint8 { return uint8(float64(float64(x)*(1-t)) + float64(float64(y)*t) + 0.5) }
	return color.NRGBA{m(a.R, b.R), m(a.G, b.G), m(a.B, b.B), 255}
}

// readable is black or white, whichever can be read on c.
func readable(c color.NRGBA) color.NRGBA {
	if 299*int(c.R)+587*int(c.G)+114*int(c.B) < 140_000 {
		return white
	}
	return ink
}

// Correlation shows the correlation of the numbers.
func Correlation(s *eda.Summary) Figure {
	n := len(s.Correlation.Columns)
	if n < 2 {
		return message("Correlation", "There are less than two numeric features.")
	}
	size := vg.Length(max(4.6, min(8, 2.6+0.36*float64(n)))) * vg.Inch
	return Figure{size + 1.1*vg.Inch, size, func(p pen) {
		p = p.title("Correlation", "Pearson's, of numeric features")
		labels := style(smallSize, ink, false)
		var names []string
		var widest vg.Length
		for _, c := range s.Correlation.Columns {
			name := fitting(c, labels, p.width()*0.24)
			names = append(names, name)
			widest = max(widest, labels.Width(name))
		}
		left, bottom := p.Min.X+widest+8, p.Min.Y+widest*0.72+12
		cell := min((p.Max.X-70-left)/vg.Length(n), (p.Max.Y-bottom)/vg.Length(n))
		value := style(min(smallSize, cell*0.36), ink, false)
		for i := range n {
			for j := range n {
				x, y := left+cell*vg.Length(j), p.Max.Y-cell*vg.Length(i+1)
				v := float64(s.Correlation.Values[i][j])
				c := diverging(v)
				p.box(x+0.5, y+0.5, x+cell-0.5, y+cell-0.5, c)
				if cell > 17 && i != j && v == v {
					st := value
					st.Color = readable(c)
					p.write(fmt.Sprintf("%.2f", v), x+cell/2, y+cell/2, st, 0.5, 0.5)
				}
			}
			p.write(names[i], left-6, p.Max.Y-cell*(vg.Length(i)+0.5), labels, 1, 0.5)
			slanted := labels
			slanted.Rotation = 0.7853981633974483
			p.write(names[i], left+cell*(vg.Length(i)+0.5)+4, p.Max.Y-cell*vg.Length(n)-5, slanted, 1, 0.5)
		}
		p.colorBar(left+cell*vg.Length(n)+18, p.Max.Y-cell*vg.Length(n), cell*vg.Length(n))
	}}
}

// colorBar explains the diverging colours.
func (p pen) colorBar(x, y, height vg.Length) {
	const steps = 40
	for i := range steps {
		from := y + height*vg.Length(i)/steps
		p.box(x, from, x+13, from+height/steps+0.3, diverging(float64(2*i-steps+1)/(steps-1)))
	}
	labels := style(smallSize, soft, false)
	for i, s := range []string{"-1", "0", "1"} {
		p.write(s, x+18, y+height*vg.Length(i)/2, labels, 0, float64(i)/2)
	}
}

// Confusion shows the rows of every true class by the class that a model predicts.
func Confusion(model string, m metrics.Confusion) Figure {
	n := len(m.Labels)
	const most = 15
	if n > most {
		return message("Confusion: "+clean(model, 40), fmt.Sprintf("%d classes are too many to draw; the numbers are in metrics.json.", n))
	}
	return Figure{standardWidth, standardHeight, func(p pen) {
		p = p.title("Confusion: "+clean(model, 40), "rows of the test part; shares are of the true class")
		labels := style(bodySize, ink, false)
		names := make([]string, n)
		var widest vg.Length
		for i, l := range m.Labels {
			names[i] = fitting(l, labels, p.width()*0.26)
			widest = max(widest, labels.Width(names[i]))
		}
		head := style(smallSize, soft, false)
		left, top := p.Min.X+widest+34, p.Max.Y-40
		w, h := (p.Max.X-left)/vg.Length(n), (top-p.Min.Y)/vg.Length(n)
		p.write("predicted", (left+p.Max.X)/2, p.Max.Y, head, 0.5, 1)
		turned := head
		turned.Rotation = 1.5707963267948966
		p.write("true", p.Min.X+8, (top+p.Min.Y)/2, turned, 0.5, 0.5)
		for i := range n {
			total := int64(0)
			for _, k := range m.Counts[i] {
				total += k
			}
			p.write(names[i], left-8, top-h*(vg.Length(i)+0.5), labels, 1, 0.5)
			p.write(fitting(m.Labels[i], labels, w-4), left+w*(vg.Length(i)+0.5), top+6, labels, 0.5, 0)
			for j, k := range m.Counts[i] {
				part := share(int(k), int(total))
				c := mix(white, blue, part*0.92+0.04)
				x, y := left+w*vg.Length(j), top-h*vg.Length(i+1)
				p.box(x+1, y+1, x+w-1, y+h-1, c)
				count, below := style(min(18, h*0.36), readable(c), true), style(min(bodySize, h*0.26), readable(c), false)
				p.write(grouped(int(k)), x+w/2, y+h*0.6, count, 0.5, 0.5)
				p.write(percent(part), x+w/2, y+h*0.3, below, 0.5, 0.5)
			}
		}
	}}
}
