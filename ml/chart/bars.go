package chart

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot/vg"

	"github.com/hashline/hashline/ml/eda"
)

// bar is one horizontal bar.
type bar struct {
	label  string
	value  float64 // length, relative to the others
	spread float64 // half the length of the whisker
	note   string
	color  color.Color
}

// bars draws horizontal bars from the top, with their labels left and their notes right of them.
func (p pen) bars(list []bar, size vg.Length) {
	if len(list) == 0 {
		return
	}
	labels, notes := style(size, ink, false), style(size-0.5, soft, false)
	var labelWidth, noteWidth vg.Length
	most := 0.0
	for i := range list {
		list[i].label = fitting(list[i].label, labels, p.width()*0.4)
		labelWidth, noteWidth = max(labelWidth, labels.Width(list[i].label)), max(noteWidth, notes.Width(list[i].note))
		most = max(most, list[i].value+list[i].spread)
	}
	left := p.Min.X + labelWidth + 8
	room := p.Max.X - left - noteWidth - 8
	step := min(p.height()/vg.Length(len(list)), size*2.6)
	for i, b := range list {
		middle := p.Max.Y - step*(vg.Length(i)+0.5)
		length := vg.Length(0)
		if most > 0 {
			length = room * vg.Length(max(0, b.value)/most)
		}
		p.write(b.label, left-8, middle, labels, 1, 0.5)
		p.box(left, middle-step*0.36, left+max(length, 0.6), middle+step*0.36, b.color)
		end := length
		if b.spread > 0 && most > 0 {
			whisker := room * vg.Length(b.spread/most)
			p.line(left+max(0, length-whisker), middle, left+length+whisker, middle, 1.4, ink)
			end += whisker
		}
		p.write(b.note, left+end+6, middle, notes, 0, 0.5)
	}
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func percent(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) + " %" }

// TargetBalance shows the classes and their rows.
func TargetBalance(s *eda.Summary) Figure {
	const most = 20
	return Figure{standardWidth, standardHeight * vg.Length(max(0.6, min(1.2, float64(len(s.Target))/8))), func(p pen) {
		p = p.title("Target balance", fmt.Sprintf("%s rows in %d classes", grouped(s.Rows), len(s.Target)))
		var list []bar
		for i, c := range s.Target[:min(most, len(s.Target))] {
			list = append(list, bar{label: c.Class, value: float64(c.Rows), note: grouped(c.Rows) + "  (" + percent(share(c.Rows, s.Rows)) + ")", color: seriesColor(i)})
		}
		p.bars(list, bodySize)
	}}
}

// Missing shows the columns with missing values.
func Missing(s *eda.Summary) Figure {
	const most = 18
	var list []bar
	for _, c := range s.Columns {
		if c.Missing > 0 {
			v := share(c.Missing, s.Rows)
			list = append(list, bar{label: c.Name, value: v, note: percent(v) + "  (" + grouped(c.Missing) + ")", color: vermillion})
		}
	}
	if len(list) == 0 {
		return message("Missing values", fmt.Sprintf("None of the %d features has a missing value.", len(s.Columns)))
	}
	sortBars(list)
	note := fmt.Sprintf("%d of %d features have missing values", len(list), len(s.Columns))
	if len(list) > most {
		note += fmt.Sprintf("; the %d with most", most)
		list = list[:most]
	}
	return Figure{standardWidth, vg.Length(80 + 26*len(list)), func(p pen) { p.title("Missing values", note).bars(list, bodySize) }}
}

// grouped writes a number with thin spaces between thousands.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// short writes a number for an axis.
func short(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case v == 0:
		return "0"
	case a >= 1e6 || a < 1e-3:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case a >= 100 || v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
