package chart

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// family is Liberation Sans and fonts of the same widths.
const family = "Liberation Sans,Arimo,Helvetica,Arial,sans-serif"

// svg writes a picture as markup. Colours are attributes, which every program understands, with a class beside them that
// a style sheet redefines for dark pages.
type svg struct {
	body          []byte
	title         string
	width, height vg.Length
	fills, lines  [roles]bool // those that are used
}

func newSVG(w, h vg.Length, title string) *svg {
	return &svg{width: w, height: h, title: title, body: make([]byte, 0, 8<<10)}
}

// bytes returns the whole document.
func (s *svg) bytes() []byte {
	w, h := string(number(nil, s.width)), string(number(nil, s.height))
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" width="` + w + `pt" height="` + h + `pt" viewBox="0 0 ` + w + ` ` + h + `" role="img" font-family="` + family + `"><title>`)
	b.WriteString(escape.Replace(clean(s.title, 400)) + `</title><style>@media (prefers-color-scheme:dark){`)
	for r := range roles {
		if day[r] == night[r] {
			continue
		}
		if s.fills[r] {
			b.WriteString(`.f` + strconv.Itoa(int(r)) + `{fill:` + hex(night[r]) + `}`)
		}
		if s.lines[r] {
			b.WriteString(`.s` + strconv.Itoa(int(r)) + `{stroke:` + hex(night[r]) + `}`)
		}
	}
	b.WriteString("}</style>\n")
	return append(append([]byte(b.String()), s.body...), "</svg>\n"...)
}

func (s *svg) put(parts ...string) {
	for _, p := range parts {
		s.body = append(s.body, p...)
	}
}

// escape is for text between tags; clean has left no character that XML forbids.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

func hex(c interface{ RGBA() (r, g, b, a uint32) }) string {
	r, g, b, _ := c.RGBA()
	const digits = "0123456789abcdef"
	h := []byte{'#', 0, 0, 0, 0, 0, 0}
	for i, v := range []uint32{r, g, b} {
		h[1+2*i], h[2+2*i] = digits[v>>12&15], digits[v>>8&15]
	}
	return string(h)
}

// number appends a coordinate with at most two decimals.
func number(b []byte, v vg.Length) []byte {
	n := int64(math.Round(float64(v) * 100))
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendInt(b, n/100, 10)
	if n%100 == 0 {
		return b
	}
	b = append(b, '.', byte('0'+n/10%10))
	if n%10 != 0 {
		b = append(b, byte('0'+n%10))
	}
	return b
}

func (s *svg) number(v vg.Length) { s.body = number(s.body, v) }

// to writes a command of a path and its point.
func (s *svg) to(command byte, p vg.Point) {
	s.body = append(s.body, command)
	s.number(p.X)
	s.body = append(s.body, ' ')
	s.number(s.height - p.Y)
}

func (s *svg) fillWith(c paint) {
	s.fills[c.role] = true
	s.put(` class="f`, strconv.Itoa(int(c.role)), `" fill="`, hex(day[c.role]), `"`)
	if c.strength < 1 {
		s.put(` fill-opacity="`, strconv.FormatFloat(max(0, c.strength), 'f', 3, 64), `"`)
	}
}

func (s *svg) fill(boxes []vg.Rectangle, c paint) {
	s.put(`<path`)
	s.fillWith(c)
	s.put(` shape-rendering="crispEdges" d="`) // neighbours meet without a seam
	for _, b := range boxes {
		s.to('M', b.Min)
		s.put("H")
		s.number(b.Max.X)
		s.put("V")
		s.number(s.height - b.Max.Y)
		s.put("H")
		s.number(b.Min.X)
		s.put("z")
	}
	s.put("\"/>\n")
}

func (s *svg) strokeWith(c paint, width vg.Length) {
	s.lines[c.role] = true
	s.put(` class="s`, strconv.Itoa(int(c.role)), `" fill="none" stroke="`, hex(day[c.role]), `" stroke-width="`)
	s.number(width)
	s.put(`"`)
}

func (s *svg) stroke(points []vg.Point, style draw.LineStyle, c paint) {
	s.put(`<path`)
	s.strokeWith(c, style.Width)
	if len(style.Dashes) > 0 {
		s.put(` stroke-dasharray="`)
		for i, d := range style.Dashes {
			if i > 0 {
				s.put(" ")
			}
			s.number(d)
		}
		s.put(`"`)
	}
	if len(points) > 2 {
		s.put(` stroke-linejoin="round"`)
	}
	s.put(` d="`)
	for i, p := range points {
		if i == 0 {
			s.to('M', p)
		} else {
			s.to('L', p)
		}
	}
	s.put("\"/>\n")
}

func (s *svg) mark(at vg.Point, radius vg.Length, shape shape, c paint) {
	if corners := shape.corners(float64(radius)); corners != nil {
		s.put(`<path`)
		s.fillWith(c)
		s.put(` d="`)
		for i, p := range corners {
			if i == 0 {
				s.to('M', p.Add(at))
			} else {
				s.to('L', p.Add(at))
			}
		}
		s.put("z\"/>\n")
		return
	}
	s.put(`<circle`)
	if shape == ring {
		s.strokeWith(c, 1.4)
	} else {
		s.fillWith(c)
	}
	s.put(` cx="`)
	s.number(at.X)
	s.put(`" cy="`)
	s.number(s.height - at.Y)
	s.put(`" r="`)
	s.number(radius)
	s.put("\"/>\n")
}

var anchors = [...]string{left: "", center: ` text-anchor="middle"`, right: ` text-anchor="end"`}

func (s *svg) text(text string, x, baseline vg.Length, f face, r role, side side, degrees int) {
	s.put(`<text`)
	s.fillWith(solid(r))
	s.put(` x="`)
	s.number(x)
	s.put(`" y="`)
	s.number(s.height - baseline)
	s.put(`" font-size="`)
	s.number(f.size)
	s.put(`"`, anchors[side])
	if f.bold {
		s.put(` font-weight="700"`)
	}
	if degrees != 0 {
		s.put(` transform="rotate(-`, strconv.Itoa(degrees), ` `)
		s.number(x)
		s.put(` `)
		s.number(s.height - baseline)
		s.put(`)"`)
	}
	if len(text) > 1 && f.font().has(text) { // a reader whose font is wider gets the text squeezed, not cut off
		s.put(` textLength="`)
		s.number(f.width(text))
		s.put(`" lengthAdjust="spacingAndGlyphs"`)
	}
	s.put(`>`, escape.Replace(text), "</text>\n")
}
