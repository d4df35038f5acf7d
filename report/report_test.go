package report_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashline/hashline"
	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/report"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/summary"
)

// hostile are headers and values that would do harm where a page took them for markup.
var hostile = []string{
	"<script>document.title='harm'</script>", `"><img src=x onerror="document.title='harm'">`, "</title></svg><script>document.title='harm'</script>",
	"</style><style>*{display:none}</style>", "<iframe src=https://example.invalid/></iframe>", "{{.Evil}}", "line one\nline two", "\x1b[31mred\x1b[0m",
	"שלום עולם", "a\u202eevil", "😀👩\u200d👧", strings.Repeat("x", 200), "=cmd|calc!A0", "../../etc/passwd", "javascript:alert(1)", "&lt;b&gt;",
}

// number is the name of a numeric column.
const number = `<script>document.title='number'</script>"'&`

// hostileCSV is a table of such headers and values, with enough in it to learn from.
func hostileCSV(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rng := num.NewRNG(3)
	write := func(fields ...string) {
		if err := w.Write(fields); err != nil {
			t.Fatal(err)
		}
	}
	write(append(append([]string{}, hostile...), "<i>target</i>", number)...)
	for range 300 {
		x := rng.Float64()
		var row []string
		for j := range hostile {
			if j%2 == 0 {
				row = append(row, strconv.FormatFloat(x+rng.Float64()*float64(j), 'f', 3, 64))
			} else {
				row = append(row, hostile[int(rng.Float64()*5)+j/4])
			}
		}
		write(append(row, hostile[int(x*3)], strconv.FormatFloat(x*x*1000, 'f', 2, 64))...)
	}
	w.Flush()
	return b.Bytes()
}

// execute runs a plan stage by stage, as workers do, and returns its record.
func execute(t testing.TB, store *artifact.Store, csv []byte, spec *stages.Spec, s summary.Submission) *pipeline.RunRecord {
	t.Helper()
	ctx := t.Context()
	registry, err := pipeline.NewRegistry(pipeline.NewCode(hashline.Module, hashline.Sources, hashline.Modules), stages.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	input, err := store.PutBytes(ctx, csv)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := spec.Build(input)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := store.PutBytes(ctx, text)
	if err != nil {
		t.Fatal(err)
	}
	s.Ref, s.Input.SHA256, s.Input.Bytes = input, summary.Text(input.Digest.String()), &input.Size
	submission, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	r := &pipeline.RunRecord{Schema: pipeline.RunSchema, RunID: "20260101-000000-abcdef", Name: `<b onclick="x">name</b>`, Tags: map[string]string{"<i>k</i>": "'v\""}, Status: pipeline.Succeeded,
		Mode: "embedded", CreatedAt: time.Now().UTC(), Plan: ref, Seed: spec.Seed, Submission: submission, ResultDigest: ref.Digest.String(), Versions: map[string]string{"go": "go1.0"},
		Warnings: []artifact.Warning{{Code: "TEST", Message: hostile[0]}}}
	x := &pipeline.Executor{Store: store, Registry: registry, Worker: "<u>worker</u>", Cores: 1}
	for _, st := range plan.Stages {
		var inputs []pipeline.Input
		for _, n := range st.Needs {
			if n.Artifact != nil {
				inputs = append(inputs, pipeline.Input{Role: n.Role, Ref: *n.Artifact})
				continue
			}
			from, _ := r.Stage(n.Stage)
			o, ok := from.Output(n.Output)
			if !ok {
				t.Fatalf("stage %s has no output %s", n.Stage, n.Output)
			}
			inputs = append(inputs, pipeline.Input{Role: n.Role, Ref: o.Ref})
		}
		started := time.Now()
		out, err := x.Execute(ctx, st, plan.Seed, inputs)
		if err != nil {
			t.Fatalf("stage %s: %v", st.Name, err)
		}
		r.Stages = append(r.Stages, pipeline.StageRecord{Name: st.Name, Kind: st.Kind, Status: pipeline.Succeeded, Cache: out.Cache, MissReason: hostile[1], Attempts: 1, ActionKey: out.ActionKey.String(),
			Code: out.Code, Worker: x.Worker, FetchS: out.FetchS, ComputeS: out.ComputeS, StoreS: out.StoreS, StartedAt: started, FinishedAt: time.Now(), Needs: st.Upstream(), Outputs: out.Outputs, Warnings: out.Warnings})
		r.Warnings = append(r.Warnings, out.Warnings...)
	}
	r.FinishedAt = time.Now().UTC()
	return r
}

// finished is one finished run on hostile data, which the tests share.
type finished struct {
	once   sync.Once
	store  *artifact.Store
	record *pipeline.RunRecord
}

var ofClasses, ofNumbers finished

func run(t testing.TB) (*artifact.Store, *pipeline.RunRecord) {
	t.Helper()
	return ofClasses.run(t, "<i>target</i>", "")
}

func (made *finished) run(t testing.TB, target, task string) (*artifact.Store, *pipeline.RunRecord) {
	t.Helper()
	made.once.Do(func() {
		store, err := artifact.Open(context.Background(), shared)
		if err != nil {
			t.Fatal(err)
		}
		spec := stages.Default()
		spec.Target, spec.Task = target, task
		made.store = store
		made.record = execute(t, store, hostileCSV(t), spec, summary.Submission{Input: summary.Input{Name: "/home/me/<b>file.csv"},
			Target: summary.Target{Expression: spec.Target, ChosenBy: "flag"}, Args: []string{"submit", "/home/me/<b>file.csv", "--target", "it's", "--redis", "redis://:secret@host:1", "--out=here", "--json", "--seed", "7"}})
	})
	if made.record == nil {
		t.Fatal("the run of the tests failed")
	}
	return made.store, made.record
}

func render(t testing.TB, store *artifact.Store, r *pipeline.RunRecord) []byte {
	t.Helper()
	d, x, err := summary.Build(t.Context(), store, r)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := report.Write(t.Context(), &b, store, r, d, x); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReportTellsAll(t *testing.T) {
	store, r := run(t)
	page := string(render(t, store, r))
	wants := []string{r.RunID, "ROC AUC", "baseline: always", "Schema decisions", "How to repeat", r.ResultDigest, r.Plan.Digest.String(), "go1.0",
		"producer submit &#39;/home/me/&lt;b&gt;file.csv&#39; --target &#39;it&#39;\\&#39;&#39;s&#39; --seed 7\n", "prefers-color-scheme"}
	for _, s := range r.Stages {
		wants = append(wants, s.Name, s.ActionKey)
		for _, o := range s.Outputs {
			wants = append(wants, o.Digest.String())
		}
	}
	for _, w := range wants {
		if !strings.Contains(page, w) {
			t.Errorf("the report does not say %q", w)
		}
	}
	for _, w := range []string{"secret", "--redis", "--out", "<script", "<img src=x", "<iframe", "onclick=\"x\"", "<b onclick", "http://", "ZgotmplZ"} {
		if strings.Contains(page, w) {
			t.Errorf("the report says %q", w)
		}
	}
	if len(page) > 2<<20 {
		t.Errorf("the report has %d bytes, want at most 2 MB", len(page))
	}
	if got := strings.Count(page, "data:image/svg+xml"); got != 5+3*4+3 {
		t.Errorf("%d plots, want 20", got)
	}
}

func TestReportOfRegression(t *testing.T) {
	store, r := ofNumbers.run(t, number, stages.Regression)
	page := string(render(t, store, r))
	for _, w := range []string{"least RMSE", "baseline: always ", "baseline: one cut on ", "largest error", "R²", "Target and numbers", "random split", "predicts", "ridge", "decision_tree"} {
		if !strings.Contains(page, w) {
			t.Errorf("the report does not say %q", w)
		}
	}
	for _, w := range []string{"ROC AUC", "accuracy", "the majority", "Precision", "<script", "ZgotmplZ"} {
		if strings.Contains(page, w) {
			t.Errorf("the report says %q", w)
		}
	}
	if got := strings.Count(page, "data:image/svg+xml"); got != plotsOfNumbers {
		t.Errorf("%d plots, want %d", got, plotsOfNumbers)
	}
}

// plotsOfNumbers is the number of plots of a regression: of the exploration, of three models, of their comparison.
const plotsOfNumbers = 5 + 3*3 + 3

func TestReportOfFailure(t *testing.T) {
	store, r := run(t)
	broken := *r
	broken.Status, broken.ResultDigest, broken.Error = pipeline.Failed, "", &pipeline.Error{Class: pipeline.ClassBadInput, Message: "<b>bad</b>", Hint: "try", File: "f", Line: 3, Stage: "load_data"}
	broken.Submission, broken.Tags, broken.Versions = nil, nil, nil
	for n := range len(r.Stages) + 1 {
		t.Run(fmt.Sprint("after ", n, " stages"), func(t *testing.T) {
			broken.Stages = append([]pipeline.StageRecord{}, r.Stages...)
			for i := n; i < len(broken.Stages); i++ {
				broken.Stages[i] = pipeline.StageRecord{Name: r.Stages[i].Name, Status: pipeline.Skipped, Needs: r.Stages[i].Needs, SkipReason: "load_data failed"}
			}
			page := string(render(t, store, &broken))
			for _, w := range []string{"What went wrong", "&lt;b&gt;bad&lt;/b&gt;", "line 3"} {
				if !strings.Contains(page, w) {
					t.Errorf("the report does not say %q", w)
				}
			}
		})
	}
}

// A plot that is gone is named; the report is made all the same.
func TestReportNamesWhatIsLost(t *testing.T) {
	store, r := run(t)
	lost := *r
	lost.Stages = append([]pipeline.StageRecord{}, r.Stages...)
	for i, s := range lost.Stages {
		if s.Name == stages.PlotEDA {
			lost.Stages[i].Outputs = append([]artifact.Output{}, s.Outputs...)
			lost.Stages[i].Outputs[0].Ref = artifact.Ref{Digest: artifact.DigestOf([]byte("gone")), Size: 4}
		}
	}
	if page := string(render(t, store, &lost)); !strings.Contains(page, "plot:eda/target_balance</code>") {
		t.Error("the report does not name the plot that is gone")
	}
}

func BenchmarkWrite(b *testing.B) {
	store, r := run(b)
	d, x, err := summary.Build(b.Context(), store, r)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := report.Write(b.Context(), io.Discard, store, r, d, x); err != nil {
			b.Fatal(err)
		}
	}
}
