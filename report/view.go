package report

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/eda"
	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/stages/evaluate"
	"github.com/hashline/hashline/summary"
)

// view is what the page shows.
type view struct {
	*summary.Document
	*summary.Details
	Record *pipeline.RunRecord

	Policy   string
	Style    template.CSS
	Best     *summary.Model
	Results  []picture
	Folds    []picture // of cross-validation
	Why      []picture // explanations
	Learning []picture
	PerModel []judged
	Explored []picture
	Numbers  []eda.Column
	Classes  []class
	Columns  []column
	Features []feature.Feature
	Graph    template.HTML
	Timeline template.HTML
	Repeat   string
	Lost     []string // outputs that could not be read
	svgs     [][]byte // of all pictures

	MoreColumns, MoreFeatures     int
	Queued, Fetch, Compute, Store float64
}

// judged is one model.
type judged struct {
	Model    string
	Pictures []picture
	Metrics  *evaluate.Metrics
}

// class is one class of the target.
type class struct {
	Class       string
	Rows        int
	Share       float64
	Train, Test int
}

// column is one column of the file.
type column struct {
	Name, Type, Evidence, Use, Reason string
	Missing                           int
	Distinct                          string
}

// maxListed bounds the lists of columns and features; a file may have ten thousand.
const maxListed = 400

func newView(ctx context.Context, store *artifact.Store, r *pipeline.RunRecord, d *summary.Document, x *summary.Details) *view {
	v := &view{Document: d, Details: x, Record: r, Policy: policy(), Style: template.CSS(style), Best: d.Best(), Graph: graph(d), Timeline: timeline(d), Repeat: repeat(r, d)}
	if v.Details == nil {
		v.Details = &summary.Details{}
	}
	v.Queued, v.Fetch, v.Compute, v.Store = d.Times()
	v.pictures(ctx, store)
	v.numbers(ctx, store)
	v.classes()
	v.columns()
	return v
}

// picture is one plot.
type picture struct {
	Alt           string
	Number        int // among all
	Width, Height string
	Class         string // how much room it needs
}

func (v *view) pictures(ctx context.Context, store *artifact.Store) {
	for i := range v.Record.Stages {
		s := &v.Record.Stages[i]
		var found []picture
		for _, o := range s.Outputs {
			if o.MediaType != "image/svg+xml" {
				continue
			}
			b, err := store.ReadOutput(ctx, o)
			if err != nil {
				v.Lost = append(v.Lost, s.Name+"/"+o.Name)
				continue
			}
			found = append(found, newPicture(o.Name, len(v.svgs), b))
			v.svgs = append(v.svgs, b)
		}
		model, ofModel := strings.CutPrefix(s.Name, stages.PlotPrefix)
		switch {
		case len(found) == 0:
		case s.Name == stages.PlotEDA:
			v.Explored = found
		case s.Name == stages.PlotResults:
			v.Results = found
		case s.Name == stages.PlotCV:
			v.Folds = found
		case s.Name == stages.PlotLearning:
			v.Learning = found
		case s.Name == stages.PlotExplain:
			v.Why = found
		case ofModel:
			v.PerModel = append(v.PerModel, judged{model, found, v.Details.Metrics[model]})
		}
	}
}

// newPicture describes an image of SVG, which can run no scripts and reach no network whatever is in it. What it shows is
// said in its title.
func newPicture(name string, number int, svg []byte) picture {
	p := picture{Alt: name, Number: number}
	if title, ok := between(svg, "<title>", "</title>"); ok {
		p.Alt = html.UnescapeString(title)
	}
	box, _ := between(svg, `viewBox="0 0 `, `"`)
	w, h, _ := strings.Cut(box, " ")
	width, errW := strconv.ParseFloat(w, 64)
	height, errH := strconv.ParseFloat(h, 64)
	if errW != nil || errH != nil {
		return p
	}
	p.Width, p.Height = strconv.Itoa(int(width)), strconv.Itoa(int(height))
	switch {
	case width > 640:
		p.Class = "wide"
	case width > 340:
		p.Class = "half"
	}
	return p
}

func between(b []byte, from, to string) (string, bool) {
	_, rest, found := bytes.Cut(b, []byte(from))
	inside, _, ended := bytes.Cut(rest, []byte(to))
	return string(inside), found && ended
}

// numbers reads what the exploration found out about a numeric target and numeric features.
func (v *view) numbers(ctx context.Context, store *artifact.Store) {
	s, ok := v.Record.Stage(stages.EDA)
	if !ok {
		return
	}
	o, ok := s.Output("summary")
	if !ok {
		return
	}
	var found eda.Summary
	b, err := store.ReadOutput(ctx, o)
	if err != nil || json.Unmarshal(b, &found) != nil {
		v.Lost = append(v.Lost, s.Name+"/"+o.Name)
		return
	}
	if found.Number != nil {
		v.Numbers = append(v.Numbers, *found.Number)
	}
	for _, c := range found.Columns {
		if c.Numeric != nil && len(v.Numbers) < maxListed {
			v.Numbers = append(v.Numbers, c)
		}
	}
}

func (v *view) classes() {
	if v.Preprocess == nil {
		return
	}
	for _, c := range v.Preprocess.Target.Classes {
		k := class{Class: c.Class, Rows: c.Rows, Share: float64(c.Rows) / float64(max(1, v.Preprocess.RowsOut))}
		if v.Info != nil {
			for _, i := range v.Info.Classes {
				if i.Class == c.Class {
					k.Train, k.Test = i.Train, i.Test
				}
			}
		}
		v.Classes = append(v.Classes, k)
	}
}

// columns joins what the two stages that look at columns say of each.
func (v *view) columns() {
	decisions := map[string]feature.Decision{}
	if v.Preprocess != nil {
		for _, d := range v.Preprocess.Columns {
			decisions[d.Column] = d
		}
		shown := min(len(v.Preprocess.Features), maxListed)
		v.Features, v.MoreFeatures = v.Preprocess.Features[:shown], len(v.Preprocess.Features)-shown
	}
	if v.Load == nil {
		return
	}
	shown := min(len(v.Load.Columns), maxListed)
	v.MoreColumns = len(v.Load.Columns) - shown
	for _, c := range v.Load.Columns[:shown] {
		d := decisions[c.Name]
		v.Columns = append(v.Columns, column{c.Name, c.Type, c.Evidence, strings.ReplaceAll(d.Use, "_", " "), d.Reason, c.Missing, grouped(c.Distinct)})
	}
}

// Searched reports whether settings were searched.
func (v *view) Searched() bool { return v.Validation != nil && v.Validation.Searched() }

// maxCandidates bounds the list of candidates of a search, besides the best of each model.
const maxCandidates = 50

// Listed are the candidates that are ahead, and the best of each model.
func (v *view) Listed() []*summary.Candidate {
	var list []*summary.Candidate
	for i := range v.Validation.Candidates {
		if c := &v.Validation.Candidates[i]; i < maxCandidates || c.Chosen {
			list = append(list, c)
		}
	}
	return list
}

// MoreCandidates is the number of those that are not listed.
func (v *view) MoreCandidates() int { return len(v.Validation.Candidates) - len(v.Listed()) }

// File is the input's name without its folders.
func (v *view) File() string {
	if v.Input.Name == "" || v.Input.Name == "-" {
		return "standard input"
	}
	return filepath.Base(v.Input.Name)
}

// IsRegression reports whether the target is a number.
func (v *view) IsRegression() bool { return v.Target.Task == stages.Regression }

// When formats a moment.
func (v *view) When(t *time.Time) string { return when(t) }

// Chosen says who chose the target.
func (v *view) Chosen() string {
	return map[string]string{"flag": "given with --target", "file": "from the pipeline file", "default": "the default for this data"}[string(v.Target.ChosenBy)]
}

// RaggedLines are the first lines that were left out.
func (v *view) RaggedLines() string {
	const most = 5
	if v.Load == nil {
		return ""
	}
	var lines []string
	for _, r := range v.Load.Ragged[:min(most, len(v.Load.Ragged))] {
		lines = append(lines, strconv.Itoa(r.Line))
	}
	if more := v.Load.RaggedCount - len(lines); more > 0 && len(lines) > 0 {
		lines = append(lines, fmt.Sprintf("%d more", more))
	}
	return strings.Join(lines, ", ")
}

// elsewhere are the flags of a submission that do not change its result, and whether they have a value: where things lie
// and how they are shown is another matter on another machine, and an address may hold a password.
var elsewhere = map[string]bool{"--redis": true, "--store": true, "--out": true, "--name": true, "--tag": true, "--queue": true,
	"--png": false, "--json": false, "--quiet": false, "-q": false, "--detach": false}

// repeat is the command line that gives the same result digest, and the one that checks it.
func repeat(r *pipeline.RunRecord, d *summary.Document) string {
	var s summary.Submission
	if len(r.Submission) > 0 {
		_ = json.Unmarshal(r.Submission, &s) // without it the command is what the document says
	}
	args := portable(s.Args)
	if !slices.Contains(args, "submit") {
		args = []string{"submit"}
		if !d.Input.BuiltinSample {
			args = append(args, d.Input.Name)
		}
		args = append(args, "--seed", strconv.FormatUint(d.Seed, 10), "--target", d.Target.Expression)
	}
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = shellQuote(a)
	}
	return "producer " + strings.Join(quoted, " ") + "\nproducer diff " + r.RunID + " OTHER_RUN"
}

// portable leaves out the flags that do not change a result.
func portable(args []string) []string {
	var kept []string
	for i := 0; i < len(args); i++ {
		name, _, joined := strings.Cut(args[i], "=")
		valued, known := elsewhere[name]
		switch {
		case !known:
			kept = append(kept, args[i])
		case valued && !joined:
			i++
		}
	}
	return kept
}

// shellQuote writes an argument so that a POSIX shell gives it back.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@%+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return csv.ShellQuote(s)
}
