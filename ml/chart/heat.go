package chart

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"

	"github.com/hashline/hashline/ml/eda"
	"github.com/hashline/hashline/ml/metrics"
)

// diverging is cold for -1, paper for 0 and warm for 1.
func diverging(v float64) paint {
	switch {
	case v != v:
		return solid(faint)
	case v < 0:
		return paint{cold, -v}
	}
	return paint{warm, v}
}

// names shortens the labels of rows and returns the width of the widest.
func names(labels []string, f face, room vg.Length) (short []string, widest vg.Length) {
	for _, l := range labels {
		s := fitting(l, f, room)
		short, widest = append(short, s), max(widest, f.width(s))
	}
	return short, widest
}

// Correlation shows the correlation of the numbers.
func Correlation(s *eda.Summary) Figure {
	n := len(s.Correlation.Columns)
	if n < 2 {
		return message("Correlation", "There are less than two numeric features to compare.")
	}
	shown, target := n, ""
	if s.Number != nil {
		shown, target = n-1, "the target and "
	}
	note := "Pearson's coefficient of " + target + counted(shown, "numeric feature", "numeric features")
	if all := numbers(s); all > shown {
		note = fmt.Sprintf("Pearson's coefficient of %sthe first %d of %s", target, shown, counted(all, "numeric feature", "numeric features"))
	}
	if a, b, v := strongest(s); v != 0 {
		name := func(i int) string { return clean(s.Correlation.Columns[i], 32) }
		note += fmt.Sprintf("; strongest: %s and %s, %s", name(a), name(b), decimals(v, 2))
	}
	size := vg.Length(max(330, min(620, 120+32*n)))
	f := regular(smallSize)
	short, widest := names(s.Correlation.Columns, f, size*0.26)
	cell := (size - widest - 54) / vg.Length(n)
	drop := widest*0.71 + 14
	return Figure{title: "Correlation", note: note, width: size + 2*margin, height: cell*vg.Length(n) + drop, draw: func(p pen) {
		start, floor := p.Min.X+widest+7, p.Max.Y-cell*vg.Length(n)
		p.correlations(s, start, cell)
		for i, name := range short {
			p.write(name, start-6, p.Max.Y-cell*(vg.Length(i)+0.5), f, text, right, middle)
			p.slanted(name, start+cell*(vg.Length(i)+0.5)+3, floor-11, f, text, 45)
		}
		p.colorBar(start+cell*vg.Length(n)+14, floor, cell*vg.Length(n), []string{"−1", "0", "1"}, func(t float64) paint { return diverging(2*t - 1) })
	}}
}

func numbers(s *eda.Summary) int {
	n := 0
	for _, c := range s.Columns {
		if c.Numeric != nil {
			n++
		}
	}
	return n
}

// strongest finds the pair that correlates most; v is 0 when none does.
func strongest(s *eda.Summary) (a, b int, v float64) {
	for i := range s.Correlation.Values {
		for j := range i {
			if w := float64(s.Correlation.Values[i][j]); math.Abs(w) > math.Abs(v) {
				a, b, v = j, i, w
			}
		}
	}
	return a, b, v
}

func (p pen) correlations(s *eda.Summary, start, cell vg.Length) {
	value := regular(min(smallSize, cell*0.36))
	for i, row := range s.Correlation.Values {
		for j := range row {
			x, y := start+cell*vg.Length(j), p.Max.Y-cell*vg.Length(i+1)
			v := float64(row[j])
			c := diverging(v)
			p.box(x+0.5, y+0.5, x+cell-0.5, y+cell-0.5, c)
			if cell > 17 && i != j {
				p.write(decimals(v, 2), x+cell/2, y+cell/2, value, c.on(), center, middle)
			}
		}
	}
}

// colorBar explains colours, from the bottom to the top.
func (p pen) colorBar(x, y, tall vg.Length, labels []string, of func(t float64) paint) {
	const steps = 41
	f := regular(smallSize)
	for i := range steps {
		from := y + tall*vg.Length(i)/steps
		p.box(x, from, x+10, from+tall/steps, of(float64(i)/(steps-1)))
	}
	at := []height{bottom, middle, top}
	for i, s := range labels {
		p.write(s, x+14, y+tall*vg.Length(i)/vg.Length(len(labels)-1), f, soft, left, at[i*2/(len(labels)-1)])
	}
}

// maxConfused is the number of classes that a confusion matrix shows; the last cell stands for those beyond.
const maxConfused = 24

// Confusion shows the rows of every true class by the class that a model predicts.
func Confusion(model string, m metrics.Confusion) Figure {
	hit, all := int64(0), int64(0)
	for i, row := range m.Counts {
		for j, k := range row {
			all += k
			if i == j {
				hit += k
			}
		}
	}
	if len(m.Labels) == 0 {
		return message("Confusion: "+model, "There are no classes.")
	}
	x := layout(merged(m, maxConfused))
	note := fmt.Sprintf("%s of %s test rows are right (%s); cells count rows", grouped(int(hit)), grouped(int(all)), percent(share(int(hit), int(all))))
	if x.shares {
		note += ", with their share of the true class"
	} else {
		note += "; the darker, the larger the share of the true class"
	}
	return Figure{title: "Confusion: " + model, note: note, width: x.size + 2*margin, height: x.tall*vg.Length(len(x.names)) + x.header + axisTitle, draw: func(p pen) { p.confusion(x) }}
}

// matrix is where the parts of a confusion matrix lie.
type matrix struct {
	metrics.Confusion
	names      []string
	face       face
	size       vg.Length // width of everything
	widest     vg.Length // of the names
	wide, tall vg.Length // of a cell
	header     vg.Length // height of the names above
	upright    bool      // these names are not slanted
	shares     bool      // cells say their share too
}

// axisTitle is the room for what an axis shows.
const axisTitle = 18

func layout(m metrics.Confusion) matrix {
	n := len(m.Labels)
	x := matrix{Confusion: m, face: regular(bodySize), size: squareWidth - 2*margin, shares: n <= 8}
	if n > 8 {
		x.face = regular(smallSize)
	}
	x.size += vg.Length(max(0, n-6)) * 16
	x.names, x.widest = names(m.Labels, x.face, x.size*0.26)
	room := x.size - x.widest - axisTitle - 8
	x.upright = x.widest <= room/vg.Length(n)-3
	x.header = x.face.size * 1.5
	if !x.upright {
		x.header = x.widest*0.71 + x.face.size
		room -= max(0, x.widest*0.71-room/vg.Length(n)/2+6) // the last name leans over the edge
	}
	x.wide = room / vg.Length(n)
	x.tall = x.wide
	if n < 4 {
		x.tall = x.wide * 0.8
	}
	return x
}

func (p pen) confusion(x matrix) {
	start, ceiling := p.Min.X+x.widest+axisTitle+8, p.Max.Y-x.header-axisTitle
	p.write("predicted", start+x.wide*vg.Length(len(x.names))/2, p.Max.Y, regular(smallSize), soft, center, top)
	p.slanted("true", p.Min.X+smallSize, ceiling-x.tall*vg.Length(len(x.names))/2, regular(smallSize), soft, 90)
	for i, name := range x.names {
		y, middleX := ceiling-x.tall*vg.Length(i+1), start+x.wide*(vg.Length(i)+0.5)
		p.write(name, start-6, y+x.tall/2, x.face, text, right, middle)
		if x.upright {
			p.write(name, middleX, ceiling+5, x.face, text, center, baseline)
		} else {
			p.text(name, middleX+3, ceiling+5, x.face, text, left, 45)
		}
		p.confused(x, x.Counts[i], start, y)
	}
}

// confused draws the cells of one true class.
func (p pen) confused(x matrix, row []int64, start, y vg.Length) {
	total, tallest := int64(0), vg.Length(0.56)
	if x.shares {
		tallest = 0.4
	}
	for _, k := range row {
		total += k
	}
	for j, k := range row {
		part := share(int(k), int(total))
		c := paint{cold, part*0.94 + 0.04}
		from := start + x.wide*vg.Length(j)
		p.box(from+0.75, y+0.75, from+x.wide-0.75, y+x.tall-0.75, c)
		count := grouped(int(k))
		at := y + x.tall/2
		if x.shares {
			at = y + x.tall*0.62
			below := percent(part)
			p.write(below, from+x.wide/2, y+x.tall*0.3, regular(sized(below, bodySize, x.wide-4, x.tall*0.26)), c.on(), center, middle)
		} else if k == 0 {
			continue // most of a large matrix
		}
		p.write(count, from+x.wide/2, at, bold(sized(count, 17, x.wide-4, x.tall*tallest)), c.on(), center, middle)
	}
}

// sized is the size at which a text fits into a cell.
func sized(s string, most, width, height vg.Length) vg.Length {
	size := min(most, height)
	if w := bold(size).width(s); w > width {
		size *= width / w
	}
	return size
}

// merged keeps the classes with the most rows, in their order, and adds up the others.
func merged(m metrics.Confusion, most int) metrics.Confusion {
	n := len(m.Labels)
	if n <= most {
		return m
	}
	rows := make([]int64, n)
	for i, r := range m.Counts {
		for _, k := range r {
			rows[i] += k
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(min(1, max(-1, rows[b]-rows[a]))) })
	kept := slices.Clone(order[:most-1])
	slices.Sort(kept)
	to := make([]int, n)
	for i := range to {
		to[i] = most - 1
	}
	out := metrics.Confusion{Counts: make([][]int64, most)}
	for i, c := range kept {
		to[c] = i
		out.Labels = append(out.Labels, m.Labels[c])
	}
	out.Labels = append(out.Labels, fmt.Sprintf("%d others", n-len(kept)))
	for i := range out.Counts {
		out.Counts[i] = make([]int64, most)
	}
	for i, r := range m.Counts {
		for j, k := range r {
			out.Counts[to[i]][to[j]] += k
		}
	}
	return out
}
