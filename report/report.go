// Package report renders one run as a self-contained HTML page: no scripts, no network, readable in the dark, on a phone
// and on paper. Everything that comes from data is escaped by html/template; pictures are images, not markup; the page's
// own policy lets the browser run nothing and load nothing.
package report

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/summary"
)

//go:embed report.html
var page string

//go:embed report.css
var style string

// policy allows this page's style sheet and pictures, and nothing else.
var policy = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
})

// parsed is the template. Parsing it, and finding out how each place of it is escaped, takes milliseconds, so that waits
// for the first report.
var parsed = sync.OnceValue(func() *template.Template {
	t := template.Must(template.New("report").Funcs(template.FuncMap{
		"figure":  func(f num.Float) string { return summary.Figure(f) },
		"value":   value,
		"seconds": seconds,
		"bytes":   size,
		"grouped": grouped,
		"rows":    rows,
		"percent": func(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) },
	}).Parse(page))
	_ = t.Execute(io.Discard, nil) // fails for want of a view, after the escaping is settled
	return t
})

// Prepare does what can be done before there is a run, so that a command can do it while it waits for one. It is safe
// to call at any time.
func Prepare() { parsed() }

// Write renders the report of a run. What the store has lost is named in the report, and no error.
func Write(ctx context.Context, w io.Writer, store *artifact.Store, r *pipeline.RunRecord, d *summary.Document, x *summary.Details) error {
	v := newView(ctx, store, r, d, x)
	var b bytes.Buffer
	b.Grow(256 << 10)
	if err := parsed().Execute(&b, v); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return v.fill(w, b.Bytes())
}

// place is what the template leaves for picture N: its number and a quote follow. Data cannot forge it, as the template
// escapes the quotes of data.
const place = `src="#picture-`

// fill puts the pictures into their places. The template would look at every byte of them for nothing.
func (v *view) fill(w io.Writer, page []byte) error {
	for {
		before, rest, found := bytes.Cut(page, []byte(place))
		if _, err := w.Write(before); err != nil || !found {
			return err
		}
		number, after, _ := bytes.Cut(rest, []byte(`"`))
		i, err := strconv.Atoi(string(number))
		if err != nil || i >= len(v.svgs) {
			return fmt.Errorf("report: there is no picture %.20q", number)
		}
		if _, err := io.WriteString(w, `src="data:image/svg+xml;base64,`+base64.StdEncoding.EncodeToString(v.svgs[i])+`"`); err != nil {
			return err
		}
		page = after
	}
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
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 10<<10:
		return fmt.Sprintf("%d kB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// grouped writes a whole number of any type with thin spaces between thousands.
func grouped(n any) string {
	s := fmt.Sprint(n)
	if n == summary.Count(0) { // not known
		return "–"
	}
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// rows is a count of rows with its noun.
func rows(n any) string {
	s := grouped(n)
	if s == "1" {
		return s + " row"
	}
	return s + " rows"
}

// value writes a number of unknown size in few letters.
func value(f num.Float) string {
	if !f.Defined() {
		return "–"
	}
	v := float64(f)
	if a := math.Abs(v); a >= 1e4 && a < 1e12 {
		return strings.Replace(grouped(int(math.Round(v))), "-", "−", 1)
	}
	return strings.ReplaceAll(fmt.Sprintf("%.4g", v), "-", "−")
}

// when formats a moment.
func when(t *time.Time) string {
	if t == nil {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
