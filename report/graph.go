package report

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/summary"
)

// Measures of the drawings, in pixels.
const (
	boxHeight = 40
	gapX      = 34
	gapY      = 12
	margin    = 2
	letter    = 7.3 // width of one in the font of the drawings
	longest   = 30  // letters of a name
)

// box is where a stage lies.
type box struct{ x, y, width int }

// graph draws the plan as SVG: a column for each distance from the first stage, a box for each stage with its time.
func graph(d *summary.Document) template.HTML {
	stages := gathered(d.Stages, maxReturned)
	boxes, width, height := layout(stages)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="drawing" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="Graph of %d stages; the table of times lists them.">`, width, height, width, height, len(d.Stages))
	ancestors := ancestors(stages)
	for _, s := range stages {
		to := boxes[s.Name]
		for _, n := range s.Needs {
			if from, ok := boxes[n]; ok && !implied(n, s.Needs, ancestors) {
				x1, y1, x2, y2 := from.x+from.width, from.y+boxHeight/2, to.x, to.y+boxHeight/2
				fmt.Fprintf(&b, `<path class="edge" d="M%d %dC%d %d %d %d %d %d"/>`, x1, y1, x1+gapX/2, y1, x2-gapX/2, y2, x2, y2)
			}
		}
	}
	for _, s := range stages {
		at := boxes[s.Name]
		fmt.Fprintf(&b, `<g class="%s"><rect class="box" x="%d" y="%d" width="%d" height="%d" rx="6"/><text x="%d" y="%d">%s</text><text class="note" x="%d" y="%d">%s</text></g>`,
			look(s), at.x, at.y, at.width, boxHeight, at.x+10, at.y+17, name(s), at.x+10, at.y+32, template.HTMLEscapeString(outcome(s)))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// Stages that one stage returned are drawn as one where they are more: in the graph, and as rows of the timeline.
const (
	maxReturned = 6
	maxRows     = 40
)

// gathered returns the stages with those that one stage returned made one, where they are more than most. It takes their
// times together, and the first status that is not a success.
func gathered(stages []summary.Stage, most int) []summary.Stage {
	count := map[string]int{}
	for _, s := range stages {
		count[s.ExpandedBy]++
	}
	inside := func(s summary.Stage) bool { return s.ExpandedBy != "" && count[s.ExpandedBy] > most }
	if !slices.ContainsFunc(stages, inside) {
		return stages
	}
	groupOf := map[string]string{}
	for _, s := range stages {
		if inside(s) {
			groupOf[s.Name] = fmt.Sprintf("%s: %d stages", s.ExpandedBy, count[s.ExpandedBy])
		}
	}
	var list []summary.Stage
	at := map[string]int{}
	for _, s := range stages {
		s.Needs = renamed(s.Needs, groupOf)
		name := groupOf[s.Name]
		i, begun := at[name]
		switch {
		case name == "":
			list = append(list, s)
		case !begun:
			at[name] = len(list)
			s.Name = name
			list = append(list, s)
		default:
			join(&list[i], s)
		}
	}
	return list
}

// join adds a stage to a group.
func join(group *summary.Stage, s summary.Stage) {
	group.FetchS, group.ComputeS, group.StoreS = group.FetchS+s.FetchS, group.ComputeS+s.ComputeS, group.StoreS+s.StoreS
	if group.Status == pipeline.Succeeded {
		group.Status = s.Status
	}
	if group.Cache == "hit" {
		group.Cache = s.Cache
	}
	group.Needs = append(group.Needs, slices.DeleteFunc(s.Needs, func(n string) bool { return n == group.Name || slices.Contains(group.Needs, n) })...)
	if s.StartedAt != nil && (group.StartedAt == nil || s.StartedAt.Before(*group.StartedAt)) {
		group.StartedAt, group.QueuedS = s.StartedAt, s.QueuedS
	}
	if s.FinishedAt != nil && (group.FinishedAt == nil || s.FinishedAt.After(*group.FinishedAt)) {
		group.FinishedAt = s.FinishedAt
	}
}

// renamed replaces what is in a group by the group, each name once.
func renamed(needs []string, groupOf map[string]string) []string {
	var list []string
	for _, n := range needs {
		if g := groupOf[n]; g != "" {
			n = g
		}
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// look is the class of a stage's drawing.
func look(s summary.Stage) string {
	if s.Status == pipeline.Succeeded && s.Cache == "hit" {
		return "hit"
	}
	for status, class := range map[string]string{pipeline.Succeeded: "miss", pipeline.Failed: "failed", pipeline.Skipped: "skipped", pipeline.Canceled: "canceled"} {
		if s.Status == status {
			return class
		}
	}
	return "pending"
}

func outcome(s summary.Stage) string {
	if s.Status != pipeline.Succeeded {
		return strings.ToLower(s.Status)
	}
	note := seconds(s.FetchS + s.ComputeS + s.StoreS)
	if s.Cache == "hit" {
		note += ", cached"
	}
	return note
}

// name is a stage's name as markup.
func name(s summary.Stage) string { return template.HTMLEscapeString(shortName(s.Name)) }

func shortName(s string) string {
	if r := []rune(s); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return s
}

// layout places every stage one column right of the last stage that it needs, however the stages are ordered.
func layout(stages []summary.Stage) (boxes map[string]box, width, height int) {
	depth := depths(stages)
	widths, filled := map[int]int{}, map[int]int{}
	columns := 0
	for _, s := range stages {
		c := depth[s.Name]
		widths[c] = max(widths[c], int(letter*float64(max(len([]rune(shortName(s.Name))), len(outcome(s)))))+20)
		filled[c]++
		columns = max(columns, c+1)
	}
	rows := 0
	lefts := make([]int, columns+1)
	for c := range columns {
		rows = max(rows, filled[c])
		lefts[c+1] = lefts[c] + widths[c] + gapX
	}
	height = rows*(boxHeight+gapY) - gapY + 2*margin
	boxes, placed := map[string]box{}, map[int]int{}
	for _, s := range stages {
		c := depth[s.Name]
		top := (height - filled[c]*(boxHeight+gapY) + gapY) / 2 // columns are centred on each other
		boxes[s.Name] = box{margin + lefts[c], top + placed[c]*(boxHeight+gapY), widths[c]}
		placed[c]++
	}
	return boxes, lefts[columns] - gapX + 2*margin, height
}

// depths are the lengths of the longest ways to the stages. A record that goes in circles, which no plan does, ends too.
func depths(stages []summary.Stage) map[string]int {
	depth := map[string]int{}
	for range stages {
		changed := false
		for _, s := range stages {
			for _, n := range s.Needs {
				if d := depth[n] + 1; d > depth[s.Name] && d < len(stages) {
					depth[s.Name], changed = d, true
				}
			}
		}
		if !changed {
			break
		}
	}
	return depth
}

// ancestors are the stages that each stage needs, directly or not.
func ancestors(stages []summary.Stage) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for changed := true; changed; {
		changed = false
		for _, s := range stages {
			before := all[s.Name]
			if before == nil {
				before = map[string]bool{}
				all[s.Name] = before
			}
			count := len(before)
			for _, n := range s.Needs {
				before[n] = true
				maps.Copy(before, all[n])
			}
			changed = changed || len(before) > count
		}
	}
	return all
}

// implied reports whether a need is met anyway by the time that another one is; its line would only cross others.
func implied(need string, needs []string, ancestors map[string]map[string]bool) bool {
	return slices.ContainsFunc(needs, func(other string) bool { return other != need && ancestors[other][need] && !ancestors[need][other] })
}

const (
	rowHeight = 22
	barsWidth = 620
)

// timeline draws when each stage waited and ran, on an axis from the run's creation; nothing when none did.
func timeline(d *summary.Document) template.HTML {
	if d.CreatedAt == nil {
		return ""
	}
	end, names := 0.0, 0
	var ran []summary.Stage
	for _, s := range gathered(d.Stages, maxRows) {
		if s.StartedAt != nil && s.FinishedAt != nil {
			ran = append(ran, s)
			end, names = max(end, s.FinishedAt.Sub(*d.CreatedAt).Seconds()), max(names, len([]rune(shortName(s.Name))))
		}
	}
	if len(ran) == 0 || end <= 0 {
		return ""
	}
	start := int(letter*float64(names)) + 14
	scale := func(s float64) float64 { return float64(start) + barsWidth*max(0, min(1, s/end)) }
	height := rowHeight*len(ran) + 22
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="drawing" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="Timeline of the stages over %s; the table of times has the figures.">`, start+barsWidth+80, height, start+barsWidth+80, height, seconds(end))
	step := tick(end)
	for i := 0; step*float64(i) <= end; i++ {
		x := scale(step * float64(i))
		fmt.Fprintf(&b, `<path class="tick" d="M%.1f 0V%d"/><text class="note" x="%.1f" y="%d" text-anchor="middle">%s</text>`, x, height-18, x, height-4, clock(step*float64(i)))
	}
	for i, s := range ran {
		b.WriteString(row(s, *d.CreatedAt, rowHeight*i, start, scale))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// row draws one stage of the timeline.
func row(s summary.Stage, created time.Time, y, start int, scale func(float64) float64) string {
	from, to := s.StartedAt.Sub(created).Seconds(), s.FinishedAt.Sub(created).Seconds()
	waited := scale(from - s.QueuedS)
	class := "work"
	switch {
	case s.Status == pipeline.Failed || s.Status == pipeline.Canceled:
		class = "broken"
	case s.Cache == "hit":
		class = "cached"
	}
	return fmt.Sprintf(`<text x="%d" y="%d" text-anchor="end">%s</text><rect class="wait" x="%.1f" y="%d" width="%.1f" height="5"/><rect class="%s" x="%.1f" y="%d" width="%.1f" height="13" rx="2"/><text class="note" x="%.1f" y="%d">%s</text>`,
		start-10, y+14, name(s), waited, y+8, scale(from)-waited, class, scale(from), y+4, max(1, scale(to)-scale(from)), scale(to)+6, y+14, seconds(to-from))
}

// tick is a round number of seconds that an axis has four to ten of.
func tick(end float64) float64 {
	step := 1e-6
	for {
		for _, f := range []float64{1, 2, 5} {
			if end/(step*f) <= 8 {
				return step * f
			}
		}
		step *= 10
	}
}

// clock writes a round number of seconds.
func clock(s float64) string {
	switch {
	case s == 0:
		return "0"
	case s < 0.9995:
		return fmt.Sprintf("%.3g ms", s*1000)
	}
	return fmt.Sprintf("%.3g s", s)
}
