// Package chart draws the figures of a run with gonum/plot: one theme, colours that the colour-blind can tell apart (Okabe
// and Ito: Color Universal Design, 2008), text that is never cut off at the edge and readable at half size.
//
// A Figure is drawn as SVG or PNG by Render, in the same bytes every time. Texts from data are shortened and lose control
// characters; in SVG they are escaped.
package chart

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"gonum.org/v1/plot"
	gfont "gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Formats of Render.
const (
	SVG = "svg"
	PNG = "png"
)

// Figure is a picture that is ready to be drawn. It is immutable.
type Figure struct {
	width, height vg.Length
	draw          func(pen)
}

// Sizes of figures.
const (
	standardWidth  = 6.4 * vg.Inch
	standardHeight = 4.6 * vg.Inch
	wideWidth      = 10.4 * vg.Inch
	pngDPI         = 144
)

// The palette.
var (
	white      = color.NRGBA{255, 255, 255, 255}
	ink        = color.NRGBA{27, 31, 36, 255}
	soft       = color.NRGBA{87, 96, 106, 255}
	faint      = color.NRGBA{226, 230, 235, 255}
	blue       = color.NRGBA{0, 114, 178, 255}
	vermillion = color.NRGBA{213, 94, 0, 255}
	series     = []color.NRGBA{blue, {230, 159, 0, 255}, {0, 158, 115, 255}, vermillion, {204, 121, 167, 255}, {86, 180, 233, 255}, ink}
)

func seriesColor(i int) color.NRGBA { return series[i%len(series)] }

// Sizes of text.
const (
	titleSize = 15
	bodySize  = 12.5
	smallSize = 11
)

// family is what a browser takes for the font that text was measured with.
const family = `font-family:'Liberation Sans',Arimo,Helvetica,Arial,sans-serif;`

// Render draws a figure.
func Render(w io.Writer, f Figure, format string) error {
	switch format {
	case SVG:
		c := vgsvg.New(f.width, f.height)
		f.paint(c)
		var b bytes.Buffer
		if _, err := c.WriteTo(&b); err != nil {
			return fmt.Errorf("drawing: %w", err)
		}
		_, err := w.Write(portable(b.Bytes()))
		return err
	case PNG:
		c := vgimg.NewWith(vgimg.UseWH(f.width, f.height), vgimg.UseDPI(pngDPI))
		f.paint(c)
		_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(w)
		return err
	}
	return fmt.Errorf("no pictures in format %.20q: want svg or png", format)
}

func (f Figure) paint(c vg.CanvasSizer) {
	p := pen{draw.New(c)}
	p.box(p.Min.X, p.Min.Y, p.Max.X, p.Max.Y, white)
	f.draw(p)
}

// portable names fonts that browsers have instead of the one that gonum measured with.
func portable(svg []byte) []byte {
	for _, name := range []string{"font-family:Liberation Sans;", "font-family:LiberationSans;", "font-family:LiberationSans-Regular;"} {
		svg = bytes.ReplaceAll(svg, []byte(name), []byte(family))
	}
	return svg
}

var handler = sync.OnceValue(func() text.Handler { return text.Plain{Fonts: gfont.DefaultCache} })

func style(size vg.Length, c color.Color, bold bool) text.Style {
	s := text.Style{Color: c, Font: gfont.Font{Typeface: "Liberation", Variant: "Sans", Size: size}, Handler: handler()}
	if bold {
		s.Font.Weight = font.WeightBold
	}
	return s
}

// pen draws on a rectangle.
type pen struct{ draw.Canvas }

func (p pen) box(x0, y0, x1, y1 vg.Length, c color.Color) {
	p.FillPolygon(c, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
}

func (p pen) line(x0, y0, x1, y1, width vg.Length, c color.Color) {
	p.StrokeLine2(draw.LineStyle{Color: c, Width: width}, x0, y0, x1, y1)
}

// write puts text at a point; right and middle say which part of the text lies there (0 left or bottom, 0.5 the middle,
// 1 right or top).
func (p pen) write(s string, x, y vg.Length, st text.Style, right, middle float64) {
	st.XAlign, st.YAlign = text.XAlignment(-right), text.YAlignment(-middle)
	p.FillText(st, vg.Point{X: x, Y: y}, s)
}

// title writes a title and returns what is left below it.
func (p pen) title(s, note string) pen {
	p.write(clean(s, 70), p.Min.X+14, p.Max.Y-12, style(titleSize, ink, true), 0, 1)
	top := vg.Length(36)
	if note != "" {
		p.write(clean(note, 110), p.Min.X+14, p.Max.Y-33, style(smallSize, soft, false), 0, 1)
		top = 54
	}
	return p.inside(14, 14, 12, top)
}

// inside returns the pen for the rectangle without its margins.
func (p pen) inside(left, right, bottom, top vg.Length) pen {
	return pen{draw.Crop(p.Canvas, left, -right, bottom, -top)}
}

func (p pen) width() vg.Length  { return p.Max.X - p.Min.X }
func (p pen) height() vg.Length { return p.Max.Y - p.Min.Y }

// clean makes text from data fit for a picture: one line, no control characters, at most n runes.
func clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// fitting shortens text to a width.
func fitting(s string, st text.Style, width vg.Length) string {
	s = clean(s, 60)
	if st.Width(s) <= width {
		return s
	}
	r := []rune(s)
	for n := len(r) - 1; n > 1; n-- {
		if short := string(r[:n]) + "…"; st.Width(short) <= width {
			return short
		}
	}
	return "…"
}

// message is a figure that says why there is nothing to draw.
func message(title, s string) Figure {
	return Figure{standardWidth, standardHeight / 2, func(p pen) {
		p = p.title(title, "")
		p.write(s, p.Min.X, p.Max.Y-8, style(bodySize, soft, false), 0, 1)
	}}
}

// axes returns an empty plot in the theme.
func axes(title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = white
	p.Title.Text = title
	p.Title.TextStyle = style(titleSize, ink, true)
	p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = text.XCenter, text.YTop
	p.Title.Padding = 8
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle = style(bodySize, ink, false)
		a.Tick.Label.Font = style(smallSize, soft, false).Font
		a.Tick.Label.Color, a.Tick.Color, a.Color = soft, soft, soft
		a.LineStyle.Color = soft
		a.Label.Padding = 4
		a.Padding = 4
	}
	p.X.Label.Text, p.Y.Label.Text = x, y
	p.X.Label.TextStyle.XAlign, p.X.Label.TextStyle.YAlign = text.XCenter, text.YBottom
	p.Y.Label.TextStyle.XAlign, p.Y.Label.TextStyle.YAlign = text.XCenter, text.YBottom // gonum turns it
	p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = text.XCenter, text.YTop
	p.Y.Tick.Label.XAlign, p.Y.Tick.Label.YAlign = text.XRight, text.YCenter
	p.Legend.TextStyle = style(smallSize, ink, false)
	p.Legend.TextStyle.YAlign = text.YCenter
	p.Legend.ThumbnailWidth = 22
	p.Legend.Padding = 3
	return p
}

// plotted is a figure of one plot, with room for labels that stand out.
func plotted(build func() (*plot.Plot, error)) Figure {
	return Figure{standardWidth, standardHeight, func(p pen) {
		pl, err := build()
		if err != nil {
			p.write(clean(err.Error(), 60), p.Min.X+14, p.Max.Y-12, style(bodySize, vermillion, false), 0, 1)
			return
		}
		pl.Draw(draw.Crop(p.Canvas, 10, -18, 10, -10))
	}}
}
