package chart

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/bidi"
	gfont "gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"
)

// face is a size of the theme's font.
type face struct {
	size vg.Length
	bold bool
}

func regular(size vg.Length) face { return face{size, false} }
func bold(size vg.Length) face    { return face{size, true} }

// rise is how far a part of the text lies above its baseline.
func (f face) rise(at height) vg.Length {
	switch at {
	case top:
		return f.size * 0.905 // Liberation's ascent
	case middle:
		return f.size * 0.35 // half of its capitals
	case bottom:
		return f.size * -0.212 // its descent
	}
	return 0
}

// fonts finds the two weights, once.
var fonts = sync.OnceValue(func() [2]*weight {
	c := gfont.NewCache(liberation.Collection())
	return [2]*weight{newWeight(c, font.WeightNormal), newWeight(c, font.WeightBold)}
})

// weight is a font with the advances of its common letters in units of the em.
type weight struct {
	gfont.Face
	advances [0x250]uint16
	units    float64
}

func newWeight(c *gfont.Cache, w font.Weight) *weight {
	f := &weight{Face: c.Lookup(gfont.Font{Typeface: "Liberation", Variant: "Sans", Weight: w}, 1)}
	f.units = float64(f.Face.Face.UnitsPerEm())
	var buf sfnt.Buffer
	for r := range f.advances {
		f.advances[r] = f.advance(&buf, rune(r))
	}
	return f
}

// advance is the width of a letter; one that the font lacks is taken to be as wide as it is high, as CJK and emoji are.
func (f *weight) advance(buf *sfnt.Buffer, r rune) uint16 {
	i, err := f.Face.Face.GlyphIndex(buf, r)
	if err != nil || i == 0 {
		return uint16(f.units)
	}
	a, err := f.Face.Face.GlyphAdvance(buf, i, fixed.Int26_6(f.units), font.HintingNone)
	if err != nil {
		return uint16(f.units)
	}
	return uint16(a)
}

// has reports whether the font has every letter, so that the measured width is the true one.
func (f *weight) has(s string) bool {
	var buf sfnt.Buffer
	for _, r := range s {
		if r >= 0x250 {
			if i, err := f.Face.Face.GlyphIndex(&buf, r); err != nil || i == 0 {
				return false
			}
		}
	}
	return true
}

// visible puts boxes where the font lacks a letter, and text that runs from right to left in the order of its looks.
func (f *weight) visible(s string) string {
	var buf sfnt.Buffer
	plain, turned := true, false
	for _, r := range s {
		plain = plain && r < 0x250
		p, _ := bidi.LookupRune(r)
		turned = turned || p.Class() == bidi.R || p.Class() == bidi.AL
	}
	if plain {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if i, err := f.Face.Face.GlyphIndex(&buf, r); err != nil || i == 0 {
			return '□'
		}
		return r
	}, s)
	if turned {
		return displayed(s)
	}
	return s
}

// displayed reorders text for drawing from left to right.
func displayed(s string) string {
	var p bidi.Paragraph
	if _, err := p.SetString(s, bidi.DefaultDirection(bidi.LeftToRight)); err != nil {
		return s
	}
	order, err := p.Order()
	if err != nil {
		return s
	}
	var b strings.Builder
	for i := range order.NumRuns() {
		run := order.Run(i)
		if run.Direction() == bidi.RightToLeft {
			b.WriteString(bidi.ReverseString(run.String()))
		} else {
			b.WriteString(run.String())
		}
	}
	return b.String()
}

func (f face) font() *weight {
	if f.bold {
		return fonts()[1]
	}
	return fonts()[0]
}

// width measures a text of one line, without kerning.
func (f face) width(s string) vg.Length {
	w, sum := f.font(), 0
	var buf sfnt.Buffer
	for _, r := range s {
		if int(r) < len(w.advances) {
			sum += int(w.advances[r])
		} else {
			sum += int(w.advance(&buf, r))
		}
	}
	return f.size * vg.Length(float64(sum)/w.units)
}

// clean makes text from data fit for a picture: one line, no control or invisible characters, at most n runes, and
// something to see.
func clean(s string, n int) string {
	var b strings.Builder
	kept := 0
	for _, r := range s {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || unicode.Is(unicode.Zs, r):
			r = ' '
		case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r): // joins, and what turns the direction of others
			continue
		case !unicode.IsPrint(r):
			r = utf8.RuneError
		}
		if kept == n {
			t := []rune(b.String())
			return string(t[:n-1]) + "…"
		}
		b.WriteRune(r)
		kept++
	}
	return b.String()
}

// fitting shortens text from data to a width.
func fitting(s string, f face, width vg.Length) string {
	if strings.TrimSpace(s) == "" {
		s = "(empty)"
	}
	return shortened(clean(s, 80), f, width)
}

func shortened(s string, f face, width vg.Length) string {
	if f.width(s) <= width {
		return s
	}
	r := []rune(s)
	for n := len(r) - 1; n > 0; n-- {
		if short := strings.TrimRight(string(r[:n]), " ") + "…"; f.width(short) <= width {
			return short
		}
	}
	return "…"
}

// wrapped breaks text at spaces into lines of a width; the last of at most most lines is shortened.
func wrapped(s string, f face, width vg.Length, most int) []string {
	var lines []string
	words := strings.Fields(s)
	for len(words) > 0 {
		n, line := 1, words[0]
		for n < len(words) && f.width(line+" "+words[n]) <= width {
			line += " " + words[n]
			n++
		}
		if len(lines) == most-1 {
			return append(lines, shortened(strings.Join(words, " "), f, width))
		}
		lines, words = append(lines, shortened(line, f, width)), words[n:]
	}
	return lines
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// percent writes a share; one that is neither none nor all does not look so.
func percent(v float64) string {
	switch {
	case v > 0 && v < 0.0005:
		return "<0.1 %"
	case v < 1 && v >= 0.9995:
		return ">99.9 %"
	}
	return strconv.FormatFloat(100*v, 'f', 1, 64) + " %"
}

// grouped writes a number with thin spaces between thousands.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return strings.Replace(s, "-", "−", 1)
}

// counted is a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// short writes a number for an axis.
func short(v float64) string {
	s := ""
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == 0:
		return "0"
	case a >= 1e6 || a < 1e-3:
		s = strings.NewReplacer("e+0", "e", "e-0", "e-", "e+", "e").Replace(strconv.FormatFloat(v, 'g', 3, 64))
	case a >= 100 || v == math.Trunc(v):
		s = strconv.FormatFloat(v, 'f', 0, 64)
	default:
		s = strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strings.ReplaceAll(s, "-", "−")
}

// decimals writes a number with n decimals and no minus before zeros.
func decimals(v float64, n int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	s := strconv.FormatFloat(v, 'f', n, 64)
	if rest, negative := strings.CutPrefix(s, "-"); negative {
		if strings.Trim(rest, "0.") == "" {
			return rest
		}
		return "−" + rest
	}
	return s
}
