// Package report renders one run as a self-contained HTML page: no scripts, no network, readable in the dark and on
// paper. Everything that comes from data is escaped by html/template; pictures are images, not markup.
package report

import (
	"context"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/summary"
)

//go:embed report.html
var page string

// parsed is the template; parsing takes a millisecond, so it waits for the first report.
var parsed = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report").Funcs(template.FuncMap{
		"figure":  func(f num.Float) string { return summary.Figure(f) },
		"seconds": seconds,
		"bytes":   size,
		"short":   short,
		"percent": func(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) },
		"share": func(part, whole int) float64 {
			if whole == 0 {
				return 0
			}
			return float64(part) / float64(whole)
		},
	}).Parse(page))
})

// picture is one plot.
type picture struct {
	Title string
	URL   template.URL
	Wide  bool
}

// view is what the page shows.
type view struct {
	*summary.Document
	*summary.Details
	Record   *pipeline.RunRecord
	Best     *summary.Model
	Data     []picture
	Results  []picture
	PerModel []modelPictures
	Graph    template.HTML
	Plan     string
	Repeat   string
	Queued   float64
	Fetch    float64
	Compute  float64
	Store    float64
	Missing  []string // plots that could not be read
}

type modelPictures struct {
	Model    string
	Pictures []picture
}

// Write renders the report of a run.
func Write(ctx context.Context, w io.Writer, store *artifact.Store, r *pipeline.RunRecord, d *summary.Document, x *summary.Details) error {
	v := view{Document: d, Details: x, Record: r, Best: d.Best(), Graph: graph(d)}
	v.Queued, v.Fetch, v.Compute, v.Store = d.Times()
	v.Repeat = repeat(r)
	v.pictures(ctx, store)
	if err := parsed().Execute(w, v); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// titles of plots by output.
var titles = map[string]string{
	"target_balance": "Target", "missing": "Missing values", "histograms": "Numbers", "categories": "Categories", "correlation": "Correlation",
	"confusion": "Confusion", "roc": "ROC", "precision_recall": "Precision and recall", "calibration": "Calibration",
	"metrics": "Metrics", "importance": "Permutation importance",
}

func (v *view) pictures(ctx context.Context, store *artifact.Store) {
	for _, s := range v.Record.Stages {
		var found []picture
		for _, o := range s.Outputs {
			if o.MediaType != "image/svg+xml" {
				continue
			}
			b, err := store.ReadAll(ctx, o.Ref)
			if err != nil {
				v.Missing = append(v.Missing, s.Name+"/"+o.Name)
				continue
			}
			title := titles[o.Name]
			if title == "" {
				title = o.Name
			}
			// An image cannot run scripts or reach the network, whatever is in it.
			url := template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(b))
			found = append(found, picture{Title: title, URL: url, Wide: o.Name == "histograms" || o.Name == "categories"})
		}
		switch {
		case len(found) == 0:
		case s.Name == stages.PlotEDA:
			v.Data = found
		case s.Name == stages.PlotResults:
			v.Results = found
		default:
			v.PerModel = append(v.PerModel, modelPictures{strings.TrimPrefix(s.Name, stages.PlotPrefix), found})
		}
	}
}

// repeat is the command line that gives the same result digest.
func repeat(r *pipeline.RunRecord) string {
	return "producer diff " + r.RunID + " OTHER_RUN"
}

func seconds(s float64) string {
	switch {
	case s >= 100:
		return fmt.Sprintf("%.0f s", s)
	case s >= 1:
		return fmt.Sprintf("%.1f s", s)
	case s >= 0.0995:
		return fmt.Sprintf("%.0f ms", s*1000)
	}
	return fmt.Sprintf("%.1f ms", s*1000)
}

func size(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d kB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// short is a digest as people compare them.
func short(digest any) string {
	s := strings.TrimPrefix(fmt.Sprint(digest), "sha256:")
	return s[:min(12, len(s))]
}

// When formats a moment.
func (v view) When(t *time.Time) string {
	if t == nil {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// File is the input's name without its folders.
func (v view) File() string { return filepath.Base(v.Input.Name) }

// ModelsOf returns a model's document.
func (v view) StageTime(s summary.Stage) float64 { return s.FetchS + s.ComputeS + s.StoreS }
