// Package chart draws the figures of a run: one theme, colours that the colour-blind can tell apart (Okabe and Ito: Color
// Universal Design, 2008) with dashes and shapes beside them, text that is never cut off at the edge and readable at half
// size, and beneath each picture what it was made of.
//
// A Figure is drawn as SVG or PNG by Render, in the same bytes every time. PNG and the measures of text are gonum/plot's.
// SVG is written here: text keeps its place whatever font the reader has, coordinates have two decimals on every machine,
// and the colours follow the reader's preference for a dark page. Texts from data are shortened and lose control
// characters; in SVG they are escaped.
package chart

import (
	"fmt"
	"io"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Formats of Render.
const (
	SVG = "svg"
	PNG = "png"
)

// Figure is a picture that is ready to be drawn. It is immutable.
type Figure struct {
	title   string // the subject, or what was found
	note    string // one or two lines below it
	caption string // what it was made of, at the foot
	width   vg.Length
	height  vg.Length // of the drawing, without title and caption
	draw    func(pen)
}

// Sizes of figures. A square one is as wide as four of them can be beside each other.
const (
	squareWidth = 330 * vg.Length(1)
	wideWidth   = 700 * vg.Length(1)
)

// Captioned returns the figure with a line at its foot that says what it was made of.
func (f Figure) Captioned(caption string) Figure {
	f.caption = caption
	return f
}

// words are what the figure says: its title and the note below it.
func (f Figure) words() string {
	if f.note == "" {
		return f.title
	}
	return f.title + ": " + f.note
}

// page is where the parts of a figure lie.
type page struct {
	head          []string // lines of the title
	note, caption []string
	height        vg.Length
}

const (
	margin      = 12 * vg.Length(1)
	titleLine   = titleSize * 1.25
	noteLine    = smallSize * 1.35
	captionLine = captionSize * 1.4
)

func (f Figure) page() page {
	room := f.width - 2*margin
	p := page{head: wrapped(clean(f.title, 160), bold(titleSize), room, 2), note: wrapped(clean(f.note, 300), regular(smallSize), room, 3),
		caption: wrapped(clean(f.caption, 300), regular(captionSize), room, 2)}
	p.height = f.height + 2*margin + p.top() + p.foot()
	return p
}

func (p page) top() vg.Length {
	top := titleLine*vg.Length(len(p.head)) + 8
	if len(p.note) > 0 {
		top += noteLine*vg.Length(len(p.note)) + 2
	}
	return top
}

func (p page) foot() vg.Length {
	if len(p.caption) == 0 {
		return 0
	}
	return captionLine*vg.Length(len(p.caption)) + 6
}

// Render draws a figure.
func Render(w io.Writer, f Figure, format string) error {
	page := f.page()
	switch format {
	case SVG:
		s := newSVG(f.width, page.height, f.words())
		f.paint(s, page)
		_, err := w.Write(s.bytes())
		return err
	case PNG:
		r := newRaster(f.width, page.height)
		f.paint(r, page)
		return r.writeTo(w)
	}
	return fmt.Errorf("no pictures in format %.20q: want svg or png", format)
}

func (f Figure) paint(s surface, page page) {
	p := pen{surface: s, Rectangle: vg.Rectangle{Max: vg.Point{X: f.width, Y: page.height}}}
	p.box(0, 0, f.width, page.height, solid(paper))
	p = p.inside(margin, margin, margin, margin)
	y := p.Max.Y
	for _, line := range page.head {
		p.write(line, p.Min.X, y, bold(titleSize), text, left, top)
		y -= titleLine
	}
	y -= 2
	for _, line := range page.note {
		p.write(line, p.Min.X, y, regular(smallSize), soft, left, top)
		y -= noteLine
	}
	for i, line := range page.caption {
		p.write(line, p.Min.X, p.Min.Y+captionLine*vg.Length(len(page.caption)-1-i), regular(captionSize), soft, left, bottom)
	}
	f.draw(p.inside(0, 0, page.foot(), page.top()))
}

// message is a figure that says why there is nothing to draw.
func message(title, note string) Figure {
	return Figure{title: title, note: note, width: squareWidth, height: 8, draw: func(pen) {}}
}

// pen draws on a rectangle of a surface; y grows upwards.
type pen struct {
	surface
	vg.Rectangle
}

func (p pen) box(x0, y0, x1, y1 vg.Length, c paint) {
	p.fill([]vg.Rectangle{{Min: vg.Point{X: x0, Y: y0}, Max: vg.Point{X: x1, Y: y1}}}, c)
}

func (p pen) line(x0, y0, x1, y1, width vg.Length, c paint) {
	p.stroke([]vg.Point{{X: x0, Y: y0}, {X: x1, Y: y1}}, draw.LineStyle{Width: width}, c)
}

// write puts text at a point, which is the given side and height of the text.
func (p pen) write(s string, x, y vg.Length, f face, r role, side side, at height) {
	p.text(s, x, y-f.rise(at), f, r, side, 0)
}

// slanted puts text with its end at a point, rising towards it.
func (p pen) slanted(s string, x, y vg.Length, f face, r role, degrees int) {
	side := right
	if degrees == 90 {
		side = center
	}
	p.text(s, x, y, f, r, side, degrees)
}

// inside returns the pen for the rectangle without its margins.
func (p pen) inside(left, right, bottom, top vg.Length) pen {
	p.Min.X, p.Max.X, p.Min.Y, p.Max.Y = p.Min.X+left, p.Max.X-right, p.Min.Y+bottom, p.Max.Y-top
	return p
}

func (p pen) width() vg.Length  { return p.Max.X - p.Min.X }
func (p pen) height() vg.Length { return p.Max.Y - p.Min.Y }
