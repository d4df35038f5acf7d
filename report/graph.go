package report

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/hashline/hashline/summary"
)

// Measures of the drawn plan, in pixels.
const (
	boxWidth  = 172
	boxHeight = 40
	gapX      = 46
	gapY      = 14
	margin    = 8
)

type box struct {
	stage summary.Stage
	x, y  int
}

// graph draws the plan as SVG: a column for each distance from the first stage, a box for each stage with its time.
func graph(d *summary.Document) template.HTML {
	boxes, columns, rows := layout(d.Stages)
	var b strings.Builder
	width, height := margin*2+columns*(boxWidth+gapX)-gapX, margin*2+rows*(boxHeight+gapY)-gapY
	fmt.Fprintf(&b, `<svg class="graph" viewBox="0 0 %d %d" width="%d" role="img" aria-label="the stages and what they need">`, width, height, width)
	for _, s := range d.Stages {
		to := boxes[s.Name]
		for _, n := range s.Needs {
			from, ok := boxes[n]
			if !ok {
				continue
			}
			x1, y1, x2, y2 := from.x+boxWidth, from.y+boxHeight/2, to.x, to.y+boxHeight/2
			fmt.Fprintf(&b, `<path d="M%d %dC%d %d %d %d %d %d"/>`, x1, y1, x1+gapX/2, y1, x2-gapX/2, y2, x2, y2)
		}
	}
	for _, s := range d.Stages {
		at := boxes[s.Name]
		note := strings.ToLower(s.Status)
		if s.Status == "SUCCEEDED" {
			note = seconds(s.FetchS + s.ComputeS + s.StoreS)
			if s.Cache == "hit" {
				note += ", cached"
			}
		}
		fmt.Fprintf(&b, `<g class="%s"><rect x="%d" y="%d" width="%d" height="%d" rx="6"/><text x="%d" y="%d">%s</text><text class="note" x="%d" y="%d">%s</text></g>`,
			template.HTMLEscapeString(strings.ToLower(s.Status)+" "+string(s.Cache)), at.x, at.y, boxWidth, boxHeight, at.x+10, at.y+17, template.HTMLEscapeString(s.Name), at.x+10, at.y+32, note)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// layout places every stage one column right of the last stage that it needs.
func layout(stages []summary.Stage) (boxes map[string]box, columns, rows int) {
	boxes = map[string]box{}
	depth, filled := map[string]int{}, map[int]int{}
	for _, s := range stages {
		for _, n := range s.Needs {
			depth[s.Name] = max(depth[s.Name], depth[n]+1)
		}
		column := depth[s.Name]
		boxes[s.Name] = box{s, margin + column*(boxWidth+gapX), margin + filled[column]*(boxHeight+gapY)}
		filled[column]++
		columns, rows = max(columns, column+1), max(rows, filled[column])
	}
	return boxes, columns, rows
}
