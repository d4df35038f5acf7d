package chart

import (
	"image/color"
	"math"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gonum.org/v1/plot/vg"

	"github.com/hashline/hashline/ml/eda"
	"github.com/hashline/hashline/ml/num"
)

func TestNumbersAsText(t *testing.T) {
	for _, c := range []struct{ name, got, want string }{
		{"none of many", percent(0), "0.0 %"}, {"few", percent(0.0001), "<0.1 %"}, {"nearly all", percent(0.9999), ">99.9 %"}, {"all", percent(1), "100.0 %"}, {"half", percent(0.5), "50.0 %"},
		{"small count", grouped(999), "999"}, {"thousand", grouped(1000), "1\u202f000"}, {"million", grouped(1234567), "1\u202f234\u202f567"}, {"negative", grouped(-1234), "−1\u202f234"},
		{"zero", short(0), "0"}, {"fraction", short(0.123456), "0.123"}, {"whole", short(1234), "1234"}, {"large", short(1.5e300), "1.5e300"}, {"tiny", short(-2e-9), "−2e−9"},
		{"seven digits", short(12345678), "1.23e7"}, {"undefined", short(math.NaN()), "–"}, {"infinite", short(math.Inf(1)), "–"},
		{"decimals", decimals(0.1234, 2), "0.12"}, {"no negative zero", decimals(-0.001, 2), "0.00"}, {"negative", decimals(-0.016, 2), "−0.02"}, {"undefined decimals", decimals(math.NaN(), 2), "–"},
		{"compact", compact(9999), "9\u202f999"}, {"compact thousands", compact(12345), "12k"}, {"compact millions", compact(123456789), "123M"},
		{"one", counted(1, "row", "rows"), "1 row"}, {"several", counted(2000, "row", "rows"), "2\u202f000 rows"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"lines", "a\nb\r\tc", "a b  c"}, {"controls", "\x1b[31m\x00", "\uFFFD[31m\uFFFD"}, {"direction", "a\u202eb\u202c", "ab"}, {"joins", "👩\u200d👧", "👩👧"},
		{"broken", "\xff", "\uFFFD"}, {"long", strings.Repeat("é", 30), strings.Repeat("é", 19) + "…"}, {"as it is", "x < y & 'z'", "x < y & 'z'"}, {"wide space", "a\u3000b", "a b"},
	} {
		if got := clean(c.in, 20); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzTextFits(f *testing.F) {
	for _, s := range hostile {
		f.Add(s, 60.0)
	}
	f.Fuzz(func(t *testing.T, s string, width float64) {
		if !(width > 15 && width < 1000) {
			return
		}
		font := regular(bodySize)
		lines := append(wrapped(clean(s, 300), font, vg.Length(width), 3), fitting(s, font, vg.Length(width)))
		for _, l := range lines {
			if font.width(l) > vg.Length(width) && l != "…" {
				t.Errorf("%q is %.1f wide, want at most %.1f", l, font.width(l), width)
			}
			if !utf8.ValidString(l) || strings.ContainsFunc(l, unicode.IsControl) {
				t.Errorf("%q cannot be drawn", l)
			}
		}
		if len(lines) > 4 {
			t.Errorf("%d lines, want at most 3", len(lines)-1)
		}
	})
}

// Widths are those of the font file: Liberation Sans has Arial's, of which "Hamburg" takes 4.113 em
// (H 1479, a 1139, m 1706, b 1139, u 1139, r 682, g 1139 of 2048 units).
func TestWidth(t *testing.T) {
	want := 10.0 * (1479 + 1139 + 1706 + 1139 + 1139 + 682 + 1139) / 2048
	if got := float64(regular(10).width("Hamburg")); math.Abs(got-want) > 1e-9 {
		t.Errorf("got %v points, want %v", got, want)
	}
	if r, b := regular(10).width("Hamburg"), bold(10).width("Hamburg"); b <= r {
		t.Errorf("bold is %v wide, regular %v", b, r)
	}
}

func TestDisplayed(t *testing.T) {
	w := regular(10).font()
	for _, c := range []struct{ name, in, want string }{
		{"left to right", "abc é", "abc é"}, {"right to left", "אבג", "גבא"}, {"mixed", "a אב b", "a בא b"}, {"not in the font", "日本", "□□"},
	} {
		if got := w.visible(c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// Text reads on its ground in both palettes: WCAG 2 wants 4.5 for text, 3 for large text and for graphics.
func TestContrast(t *testing.T) {
	for name, p := range map[string]*[roles]color.NRGBA{"day": &day, "night": &night} {
		for _, r := range []role{text, soft} {
			if got := contrast(p[r], p[paper]); got < 4.5 {
				t.Errorf("%s: text %d has a contrast of %.2f", name, r, got)
			}
		}
		for i, r := range series[:4] {
			if got := contrast(p[r], p[paper]); got < 2.9 {
				t.Errorf("%s: curve %d has a contrast of %.2f", name, i, got)
			}
		}
		for strength := 0.0; strength <= 1; strength += 0.01 {
			for _, r := range []role{warm, cold} {
				c := paint{r, strength}
				if got := contrast(p[c.on()], c.over(p)); got < 3 {
					t.Errorf("%s: text on %d at %.2f has a contrast of %.2f", name, r, strength, got)
				}
			}
		}
	}
}

func TestSimplified(t *testing.T) {
	var points []vg.Point
	rng := num.NewRNG(5)
	for i := range 2000 {
		points = append(points, vg.Point{X: vg.Length(i) / 10, Y: vg.Length(math.Sin(float64(i)/150)*80 + rng.Float64()*0.05)})
	}
	all := append([]vg.Point{}, points...)
	kept := simplified(points, 0.12)
	if len(kept) > len(all)/10 || kept[0] != all[0] || kept[len(kept)-1] != all[len(all)-1] {
		t.Fatalf("%d of %d points are kept, from %v to %v", len(kept), len(all), kept[0], kept[len(kept)-1])
	}
	at := 0
	for _, p := range all {
		for at+2 < len(kept) && kept[at+1].X < p.X {
			at++
		}
		if d := distance(p, kept[at], kept[at+1]); d > 0.12 {
			t.Errorf("a point lies %.3f from the line that is drawn", d)
		}
	}
}

func TestEdges(t *testing.T) {
	for _, c := range []struct {
		name string
		h    eda.Histogram
		want [2]string
	}{
		{"whole numbers", eda.Histogram{Low: -0.5, High: 3.5, Counts: make([]int, 4)}, [2]string{"0", "3"}},
		{"fractions", eda.Histogram{Low: 0.25, High: 3.5, Counts: make([]int, 30)}, [2]string{"0.25", "3.5"}},
		{"what lies beyond", eda.Histogram{Low: 1, High: 2, Counts: make([]int, 30), Below: 1, Above: 2}, [2]string{"≤ 1", "≥ 2"}},
		{"huge", eda.Histogram{Low: -1e300, High: 1e300, Counts: make([]int, 30)}, [2]string{"−1e300", "1e300"}},
	} {
		if got := edges(c.h); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCoordinates(t *testing.T) {
	for v, want := range map[vg.Length]string{0: "0", 1: "1", -1: "-1", 1.5: "1.5", 1.25: "1.25", 1.05: "1.05", 0.004: "0", -0.25: "-0.25", 123456: "123456", 99.999: "100"} {
		if got := string(number(nil, v)); got != want {
			t.Errorf("%v is written %s, want %s", float64(v), got, want)
		}
	}
}
