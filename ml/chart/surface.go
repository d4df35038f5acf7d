package chart

import (
	"io"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// surface is what figures are drawn on.
type surface interface {
	fill(boxes []vg.Rectangle, c paint)
	stroke(points []vg.Point, style draw.LineStyle, c paint)
	mark(at vg.Point, radius vg.Length, shape shape, c paint)
	text(s string, x, baseline vg.Length, f face, r role, side side, degrees int)
}

// shape is the outline of a mark. Marks of models differ in it, so that they can be told apart without colour.
type shape uint8

const (
	circle shape = iota
	square
	triangle
	diamond
	ring
	shapes
)

// corners of a shape around the origin, nil for round ones. Their areas look alike.
func (s shape) corners(r float64) []vg.Point {
	turn := func(n int, first, r float64) []vg.Point {
		points := make([]vg.Point, n)
		for i := range points {
			a := first + float64(2*math.Pi*float64(i)/float64(n))
			points[i] = vg.Point{X: vg.Length(r * math.Cos(a)), Y: vg.Length(r * math.Sin(a))}
		}
		return points
	}
	switch s {
	case square:
		return turn(4, math.Pi/4, r*1.25)
	case triangle:
		return turn(3, math.Pi/2, r*1.35)
	case diamond:
		return turn(4, math.Pi/2, r*1.3)
	}
	return nil
}

const pngDPI = 144

// raster draws with gonum/plot.
type raster struct {
	draw.Canvas
	image *vgimg.Canvas
}

func newRaster(w, h vg.Length) *raster {
	c := vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(pngDPI))
	return &raster{draw.New(c), c}
}

func (r *raster) writeTo(w io.Writer) error {
	_, err := vgimg.PngCanvas{Canvas: r.image}.WriteTo(w)
	return err
}

func (r *raster) fill(boxes []vg.Rectangle, c paint) {
	snap := func(v vg.Length) vg.Length { return vg.Length(math.Round(float64(v)*pngDPI/72) * 72 / pngDPI) }
	for _, b := range boxes { // on whole pixels, so that neighbours meet without a seam
		b.Min, b.Max = vg.Point{X: snap(b.Min.X), Y: snap(b.Min.Y)}, vg.Point{X: snap(b.Max.X), Y: snap(b.Max.Y)}
		r.FillPolygon(c.over(&day), []vg.Point{b.Min, {X: b.Max.X, Y: b.Min.Y}, b.Max, {X: b.Min.X, Y: b.Max.Y}})
	}
}

func (r *raster) stroke(points []vg.Point, style draw.LineStyle, c paint) {
	style.Color = c.over(&day)
	r.StrokeLines(style, points)
}

func (r *raster) mark(at vg.Point, radius vg.Length, s shape, c paint) {
	colour := c.over(&day)
	if corners := s.corners(float64(radius)); corners != nil {
		for i := range corners {
			corners[i] = corners[i].Add(at)
		}
		r.FillPolygon(colour, corners)
		return
	}
	style := draw.GlyphStyle{Color: colour, Radius: radius, Shape: draw.CircleGlyph{}}
	if s == ring {
		style.Shape = draw.RingGlyph{}
	}
	r.DrawGlyph(style, at)
}

func (r *raster) text(s string, x, baseline vg.Length, f face, role role, side side, degrees int) {
	w := f.font()
	drawn := w.Face
	drawn.Font.Size = f.size
	s = w.visible(s)
	r.SetColor(day[role])
	offset := f.width(s) * vg.Length(side) / 2
	r.Push()
	r.Translate(vg.Point{X: x, Y: baseline})
	r.Rotate(float64(degrees) * math.Pi / 180)
	r.FillString(drawn, vg.Point{X: -offset}, s)
	r.Pop()
}
