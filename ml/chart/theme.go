package chart

import (
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// role is what a colour is for; a palette says which it is.
type role uint8

const (
	paper role = iota
	text
	soft  // text and lines of less weight
	faint // lines behind the data
	light // text on a strong fill
	warm  // fills of a heat map, strong enough for light text in both palettes
	cold
	blue
	vermillion
	green
	purple
	orange
	sky
	roles
)

// palettes for a light and a dark page.
var (
	day = [roles]color.NRGBA{paper: rgb(0xffffff), text: rgb(0x1b1f24), soft: rgb(0x57606a), faint: rgb(0xe2e6eb), light: rgb(0xffffff), warm: rgb(0xc04f00), cold: rgb(0x0072b2),
		blue: rgb(0x0072b2), vermillion: rgb(0xd55e00), green: rgb(0x009e73), purple: rgb(0xbf6798), orange: rgb(0xe69f00), sky: rgb(0x56b4e9)}
	night = [roles]color.NRGBA{paper: rgb(0x1a1e24), text: rgb(0xe6e9ed), soft: rgb(0xa3adb8), faint: rgb(0x343b44), light: rgb(0xffffff), warm: rgb(0xc04f00), cold: rgb(0x0072b2),
		blue: rgb(0x3f97db), vermillion: rgb(0xf0763a), green: rgb(0x1db889), purple: rgb(0xd992bb), orange: rgb(0xf0b429), sky: rgb(0x9ad7f7)}
)

func rgb(v uint32) color.NRGBA {
	return color.NRGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 255}
}

// series are the colours of curves in their order: those that stand out most on white come first.
var series = []role{blue, vermillion, green, purple, orange, sky, text}

// maxCurves is the number of curves that one picture can hold apart.
const maxCurves = 7

func seriesColor(i int) role { return series[i%len(series)] }

// dashes tell curves apart without colour.
var dashes = [maxCurves][]vg.Length{nil, {7, 2.5}, {2, 2}, {8, 2.5, 2, 2.5}, {4, 2}, {10, 3}, {1, 2.5}}

// lineStyle is how curve i is drawn.
func lineStyle(i int) draw.LineStyle {
	return draw.LineStyle{Width: 1.8, Dashes: dashes[i%maxCurves]}
}

// dashed is the line that curves are compared with.
var dashed = draw.LineStyle{Width: 1, Dashes: []vg.Length{3, 3}}

// paint is a colour, or as much of it as strength says over the paper.
type paint struct {
	role     role
	strength float64 // 0 to 1
}

func solid(r role) paint { return paint{r, 1} }

// over returns the colour that the paint gives on a palette's paper.
func (c paint) over(p *[roles]color.NRGBA) color.NRGBA {
	if c.strength >= 1 {
		return p[c.role]
	}
	return mix(p[paper], p[c.role], c.strength)
}

func mix(a, b color.NRGBA, t float64) color.NRGBA {
	t = max(0, min(1, t))
	m := func(x, y uint8) uint8 { return uint8(float64(float64(x)*(1-t)) + float64(float64(y)*t) + 0.5) }
	return color.NRGBA{m(a.R, b.R), m(a.G, b.G), m(a.B, b.B), 255}
}

// on returns the role of text that can be read on a fill of warm or cold.
func (c paint) on() role {
	back := c.over(&day)
	if on := contrast(day[light], back); on >= 4 || on > contrast(day[text], back) {
		return light
	}
	return text
}

// contrast is the ratio of WCAG 2, with the square for its exponent of 2.2.
func contrast(a, b color.NRGBA) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(c color.NRGBA) float64 {
	part := func(v uint8, weight float64) float64 { x := float64(v) / 255; return float64(float64(x*x) * weight) }
	return part(c.R, 0.2126) + part(c.G, 0.7152) + part(c.B, 0.0722)
}

// Sizes of text.
const (
	titleSize   = 14
	bodySize    = 12
	smallSize   = 10.5
	captionSize = 9
)

// side is the part of a text that lies at its point.
type side uint8

const (
	left side = iota
	center
	right
)

// height is the part of a text that lies at its point.
type height uint8

const (
	baseline height = iota
	bottom
	middle
	top
)
