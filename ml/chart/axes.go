package chart

import (
	"math"
	"strconv"

	"gonum.org/v1/plot/vg"
)

// axes map the unit square, or a part of it, onto a rectangle.
type axes struct {
	pen       // the area of the data
	low, high float64
}

// unitAxes draws axes from 0 to 1 with a quiet grid, and leaves room below for what stands under the labels.
func (p pen) unitAxes(x, y string, below vg.Length) axes {
	ticks, titles := regular(smallSize), regular(bodySize)
	a := axes{pen: p.inside(2*bodySize+20, 6, below+2*bodySize+16, 4), low: 0, high: 1}
	for i := range 6 {
		v := float64(i) / 5
		label := strconv.FormatFloat(v, 'g', 1, 64)
		at := a.at(v, v)
		a.line(at.X, a.Min.Y, at.X, a.Max.Y, 0.7, solid(faint))
		a.line(a.Min.X, at.Y, a.Max.X, at.Y, 0.7, solid(faint))
		p.write(label, at.X, a.Min.Y-5, ticks, soft, center, top)
		p.write(label, a.Min.X-5, at.Y, ticks, soft, right, middle)
	}
	p.write(x, (a.Min.X+a.Max.X)/2, a.Min.Y-7-smallSize*1.2, titles, text, center, top)
	p.slanted(y, p.Min.X+bodySize*0.85, (a.Min.Y+a.Max.Y)/2, titles, text, 90)
	return a
}

func (a axes) at(x, y float64) vg.Point {
	scale := func(v float64, low, high vg.Length) vg.Length {
		return low + vg.Length(float64(high-low)*(v-a.low)/(a.high-a.low))
	}
	return vg.Point{X: scale(x, a.Min.X, a.Max.X), Y: scale(y, a.Min.Y, a.Max.Y)}
}

// xy is a point of a curve.
type xy struct{ x, y float64 }

// place puts a curve on the paper, without the points that nobody would miss.
func (a axes) place(points []xy) []vg.Point {
	placed := make([]vg.Point, len(points))
	for i, p := range points {
		placed[i] = a.at(p.x, p.y)
	}
	return simplified(placed, 0.12)
}

// simplified leaves out points so that no one lies further than the tolerance from the line that remains (Douglas and
// Peucker: Algorithms for the reduction of the number of points, 1973).
func simplified(points []vg.Point, tolerance vg.Length) []vg.Point {
	if len(points) < 3 {
		return points
	}
	keep := make([]bool, len(points))
	keep[0], keep[len(points)-1] = true, true
	spans := [][2]int{{0, len(points) - 1}}
	for len(spans) > 0 {
		s := spans[len(spans)-1]
		spans = spans[:len(spans)-1]
		far, at := tolerance, -1
		for i := s[0] + 1; i < s[1]; i++ {
			if d := distance(points[i], points[s[0]], points[s[1]]); d > far {
				far, at = d, i
			}
		}
		if at >= 0 {
			keep[at] = true
			spans = append(spans, [2]int{s[0], at}, [2]int{at, s[1]})
		}
	}
	kept := points[:0]
	for i, k := range keep {
		if k {
			kept = append(kept, points[i])
		}
	}
	return kept
}

// distance of p from the line between a and b.
func distance(p, a, b vg.Point) vg.Length {
	dx, dy, px, py := float64(b.X-a.X), float64(b.Y-a.Y), float64(p.X-a.X), float64(p.Y-a.Y)
	along := float64(dx*dx) + float64(dy*dy)
	t := 0.0
	if along > 0 {
		t = max(0, min(1, (float64(px*dx)+float64(py*dy))/along))
	}
	ex, ey := px-float64(t*dx), py-float64(t*dy)
	return vg.Length(math.Sqrt(float64(ex*ex) + float64(ey*ey)))
}

// entry is a line of a legend.
type entry struct {
	label string
	draw  func(p pen, at vg.Point)
}

const (
	legendStep  = smallSize * 1.5
	legendThumb = 26 * vg.Length(1)
)

// legend lists what is drawn, in one column; it stands below a picture, where it can hide nothing.
func (p pen) legend(list []entry) {
	f := regular(smallSize)
	for i, e := range list {
		y := p.Max.Y - legendStep*(vg.Length(i)+0.5)
		e.draw(p, vg.Point{X: p.Min.X, Y: y})
		p.write(fitting(e.label, f, p.width()-legendThumb-8), p.Min.X+legendThumb+8, y, f, text, left, middle)
	}
}
