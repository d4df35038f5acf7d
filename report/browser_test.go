package report_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
)

// diary is what a browser tab does that a report must not.
type diary struct {
	mu       sync.Mutex
	console  []string
	requests []string
}

func (d *diary) note(ev any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		d.console = append(d.console, fmt.Sprint("console ", ev.Type))
	case *runtime.EventExceptionThrown:
		d.console = append(d.console, "exception "+ev.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		d.console = append(d.console, "log "+ev.Entry.Text)
	case *page.EventJavascriptDialogOpening:
		d.console = append(d.console, "dialog "+ev.Message)
	case *network.EventRequestWillBeSent:
		d.requests = append(d.requests, ev.Request.URL)
	}
}

// browser starts a browser for the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	program := needs.Tool(t, "chromium", "chromium-browser", "google-chrome")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// seen is what the test reads in the page.
type seen struct {
	Title     string
	Scripts   int
	Handlers  int
	NoAlt     int
	Unseen    []string // alternative texts of images of no size
	Images    int
	Overflow  int      // pixels that the page is wider than its window
	Cut       []string // alternative texts of images that are wider than their frame, which a phone may scroll
	Paper     string
	NoScope   int
	NoLabel   int
	Skipped   []string // headings that skip a level
	Unlinked  []string // links within the page to nowhere
	Doubled   []string // identifiers that occur twice
	FontSize  float64
	Published bool // the style sheet was let in
	Plot      int  // red in a corner of the first plot
}

const look = `(() => {
  const all = s => [...document.querySelectorAll(s)];
  const ids = all('[id]').map(e => e.id);
  let before = 0;
  const canvas = document.createElement('canvas').getContext('2d');
  canvas.drawImage(document.querySelector('img'), 0, 0);
  return {
    Title: document.title,
    Scripts: all('script, iframe, object, embed, link[rel=stylesheet], form').length,
    Handlers: all('*').filter(e => [...e.attributes].some(a => a.name.startsWith('on') || a.value.trim().toLowerCase().startsWith('javascript:'))).length,
    NoAlt: all('img').filter(i => !i.alt.trim()).length,
    Unseen: all('img').filter(i => !i.complete || !i.naturalWidth || i.getBoundingClientRect().width < 200 || i.getBoundingClientRect().height < 30).map(i => i.alt),
    Images: all('img').length,
    Overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    Cut: innerWidth < 700 ? [] : all('figure').filter(f => f.scrollWidth > f.clientWidth).map(f => f.querySelector('img').alt),
    Paper: getComputedStyle(document.body).backgroundColor,
    NoScope: all('th:not([scope])').length,
    NoLabel: all('section:not([aria-labelledby]), nav:not([aria-label]), [role=region]:not([aria-label]), [role=img]:not([aria-label])').length,
    Skipped: all('h1,h2,h3,h4').filter(h => { const l = +h.tagName[1], bad = l > before + 1 && before > 0; before = l; return bad; }).map(h => h.textContent),
    Unlinked: all('a[href^="#"]').map(a => a.getAttribute('href').slice(1)).filter(id => !ids.includes(id)),
    Doubled: ids.filter((id, i) => ids.indexOf(id) !== i),
    FontSize: parseFloat(getComputedStyle(document.querySelector('table')).fontSize),
    Published: getComputedStyle(document.querySelector('.cards')).display === 'flex',
    Plot: canvas.getImageData(3, 3, 1, 1).data[0],
  };
})()`

// TestReportInBrowser opens the report of a real run on hostile data, light and dark, on a phone and on a large screen.
func TestReportInBrowser(t *testing.T) {
	store, r := run(t)
	address := saved(t, store, r)
	ctx := browser(t)
	papers := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{400, 768, 1024, 1200, 1400, 2560} {
			t.Run(fmt.Sprint(scheme, " ", width), func(t *testing.T) {
				s := open(t, ctx, address, scheme, width)
				s.check(t, 20)
				papers[s.Paper] = true
				if want := map[string]int{"light": 0xff, "dark": 0x1a}[scheme]; s.Plot != want {
					t.Errorf("the ground of the plots has %d parts of red, want %d", s.Plot, want)
				}
			})
		}
	}
	if len(papers) != 2 {
		t.Errorf("the page has the backgrounds %v, want one for light and one for dark", papers)
	}
}

// The report of a regression passes on a phone and on a large dark screen.
func TestReportOfRegressionInBrowser(t *testing.T) {
	store, r := ofNumbers.run(t, number, stages.Regression)
	address := saved(t, store, r)
	ctx := browser(t)
	for scheme, width := range map[string]int64{"light": 400, "dark": 1400} {
		s := open(t, ctx, address, scheme, width)
		s.check(t, plotsOfNumbers)
	}
}

// saved writes the report of a run and returns its address.
func saved(t *testing.T, store *artifact.Store, r *pipeline.RunRecord) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, render(t, store, r), 0o600); err != nil {
		t.Fatal(err)
	}
	return (&url.URL{Scheme: "file", Path: file}).String()
}

// open looks at a page in a tab of its own, and wants it to be quiet.
func open(t *testing.T, ctx context.Context, address, scheme string, width int64) seen {
	t.Helper()
	tab, cancel := chromedp.NewContext(ctx)
	defer cancel()
	var d diary
	if err := chromedp.Listen(tab, d.note); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(tab, chromedp.EmulateViewport(width, 1000), prefer(scheme), chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	s, err := chromedp.Run(tab, chromedp.Evaluate[seen](look))
	if err != nil {
		t.Fatal(err)
	}
	d.check(t, address)
	return s
}

func prefer(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
}

func (s seen) check(t *testing.T, images int) {
	t.Helper()
	for name, n := range map[string]int{"scripts and frames": s.Scripts, "event handlers": s.Handlers, "images without a text": s.NoAlt, "pixels too wide": s.Overflow,
		"header cells without a scope": s.NoScope, "regions without a name": s.NoLabel} {
		if n != 0 {
			t.Errorf("%d %s", n, name)
		}
	}
	for name, list := range map[string][]string{"images of no size": s.Unseen, "images that are cut off": s.Cut, "headings that skip a level": s.Skipped, "links to nowhere": s.Unlinked, "identifiers that occur twice": s.Doubled} {
		if len(list) > 0 {
			t.Errorf("%s: %q", name, list)
		}
	}
	if s.Images != images || !s.Published || s.FontSize < 12 {
		t.Errorf("%d images, style sheet %v, tables of %v px; want %d images, a style, at least 12 px", s.Images, s.Published, s.FontSize, images)
	}
	if !strings.HasPrefix(s.Title, "<b>file.csv") {
		t.Errorf("the title is %q: a script ran, or the name was taken for markup", s.Title)
	}
}

// check wants silence, and no request but for the page itself.
func (d *diary) check(t *testing.T, address string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.console) > 0 {
		t.Errorf("the browser says %q", d.console)
	}
	asked := false
	for _, r := range d.requests {
		asked = asked || r == address
		if r != address && !strings.HasPrefix(r, "data:") {
			t.Errorf("the page asks for %.100s", r)
		}
	}
	if !asked {
		t.Errorf("the diary has no request for the page, so it would have missed others: %q", d.requests)
	}
}
