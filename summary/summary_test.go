package summary

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
)

func store(t *testing.T) *artifact.Store {
	t.Helper()
	s, err := artifact.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put stores a document and returns the output that it is.
func put(t *testing.T, s *artifact.Store, name, text string) artifact.Output {
	t.Helper()
	ref, err := s.PutBytes(t.Context(), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return artifact.Output{Name: name, Class: string(pipeline.Result), MediaType: "application/json", Ref: ref}
}

// record is a run of which load_data, split_data, a training and its evaluation ended well.
func record(t *testing.T, s *artifact.Store) *pipeline.RunRecord {
	t.Helper()
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.FixedZone("here", 3600))
	done := func(name, kind, cache string, outputs ...artifact.Output) pipeline.StageRecord {
		return pipeline.StageRecord{Name: name, Kind: kind, Status: pipeline.Succeeded, Cache: cache, QueuedS: 1, FetchS: 2, ComputeS: 4, StoreS: 8, Outputs: outputs}
	}
	return &pipeline.RunRecord{Schema: pipeline.RunSchema, RunID: "20261124-080000-abcdef", Status: pipeline.Failed, Mode: "redis", Seed: 7, CreatedAt: at, FinishedAt: at.Add(1500 * time.Millisecond),
		Plan: artifact.Ref{Digest: artifact.DigestOf([]byte("plan"))}, Submission: json.RawMessage(`{"input":{"name":"x.csv","bytes":12},"target":{"expression":"y","chosen_by":"flag"}}`),
		Stages: []pipeline.StageRecord{
			done("load_data", "load_data", "hit", put(t, s, "notes", `{"rows":10,"columns":[{"name":"a"},{"name":"y"}]}`)),
			done("split_data", "split_data", "miss", put(t, s, "info", `{"method":"group","column":"a","test_size":0.3,"train_rows":7,"test_rows":3,"baseline":{"majority":{"class":"u","accuracy":0.6},"stump":null}}`)),
			done("train:tree", "train_decision_tree", "miss", put(t, s, "model", "{}")),
			done("evaluate:tree", "evaluate", "off", put(t, s, "metrics", `{"model":"tree","kind":"decision_tree","engine":"native","metrics":{"accuracy":0.5,"roc_auc":null}}`)),
			{Name: "plot:tree", Kind: "plot_model", Status: pipeline.Failed, Cache: "miss", Attempts: 2},
			{Name: "plot_results", Kind: "plot_results", Status: pipeline.Skipped, SkipReason: "needs plot:tree, which failed"},
			{Name: "eda", Kind: "eda", Status: pipeline.Canceled},
		},
		Error: &pipeline.Error{Class: pipeline.ClassBadInput, Message: "it is bad", Stage: "plot:tree"}}
}

func TestBuild(t *testing.T) {
	s := store(t)
	r := record(t, s)
	d, x, err := Build(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Counts{Stages: 7, Computed: 4, Cached: 1, Failed: 1, Skipped: 1, Canceled: 1}); d.Counts != want {
		t.Errorf("counts: got %+v, want %+v", d.Counts, want)
	}
	if d.Input.Rows != 10 || d.Input.Columns != 2 || *d.Input.Bytes != 12 || d.Input.Name != "x.csv" {
		t.Errorf("input: got %+v", d.Input)
	}
	if d.Split != (Split{"group", "a", 0.3, 7, 3}) {
		t.Errorf("split: got %+v", d.Split)
	}
	if d.WallS != 1.5 || d.CreatedAt.Location() != time.UTC || d.CreatedAt.Hour() != 8 {
		t.Errorf("times: got %v, %v", d.WallS, d.CreatedAt)
	}
	if len(d.Models) != 1 || d.Models[0].Stage != "train:tree" || d.Models[0].ModelDigest != Text(r.Stages[2].Outputs[0].Digest.String()) || d.Models[0].Metrics.Accuracy != 0.5 {
		t.Errorf("models: got %+v", d.Models)
	}
	if d.Baseline.Majority.Class != "u" || d.Baseline.Stump != nil {
		t.Errorf("baseline: got %+v", d.Baseline)
	}
	if d.ExitCode != 2 || d.Error.File != "x.csv" || r.Error.File != "" {
		t.Errorf("error: got exit code %d, %+v, and in the record %+v", d.ExitCode, d.Error, r.Error)
	}
	if q, f, c, st := d.Times(); q != 4 || f != 8 || c != 16 || st != 32 {
		t.Errorf("times: got %v %v %v %v", q, f, c, st)
	}
	if x.Load == nil || x.Preprocess != nil || x.Metrics["tree"] == nil {
		t.Errorf("details: got %+v", x)
	}
}

// What a run needs for its document may be gone or damaged: then there is none, and it is said which.
func TestBuildOfDamagedRun(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(r *pipeline.RunRecord)
		want   string
	}{
		{"an output is gone", func(r *pipeline.RunRecord) { r.Stages[0].Outputs[0].Digest = artifact.DigestOf([]byte("else")) }, "output notes of load_data"},
		{"an output is no JSON", func(r *pipeline.RunRecord) { r.Stages[3].Outputs[0].Ref = r.Plan }, "output metrics of evaluate:tree"},
		{"the submission is no JSON", func(r *pipeline.RunRecord) { r.Submission = json.RawMessage(`{`) }, "submission"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := store(t)
			r := record(t, s)
			plan := put(t, s, "plan", "no JSON")
			r.Plan = plan.Ref
			c.damage(r)
			if _, _, err := Build(t.Context(), s, r); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	s := store(t)
	r := record(t, s)
	r.Stages[0].Outputs[0].Digest = artifact.DigestOf([]byte("else"))
	if _, _, err := Build(t.Context(), s, r); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// A document says null of what is not known, never a zero that looks like a figure.
func TestUnknownIsNull(t *testing.T) {
	b, err := json.Marshal(New())
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"run_id", "mode", "created_at", "finished_at", "input.sha256", "input.bytes", "input.rows", "input.columns", "target.chosen_by", "plan_digest", "result_digest",
		"split.method", "split.test_size", "split.train_rows", "split.test_rows", "baseline.majority", "baseline.stump", "report_path", "out_dir", "error"} {
		at, ok := any(v), true
		for p := range strings.SplitSeq(path, ".") {
			if at, ok = at.(map[string]any)[p]; !ok {
				t.Errorf("there is no %s", path)
			}
		}
		if at != nil {
			t.Errorf("%s: got %v, want null", path, at)
		}
	}
	var back Document
	if err := json.Unmarshal(b, &back); err != nil || back.ResultDigest != "" || back.Input.Rows != 0 || back.Split.TestSize.Defined() {
		t.Errorf("read back: got %+v, %v", back, err)
	}
}

func TestBest(t *testing.T) {
	nan := num.Float(math.NaN())
	for _, c := range []struct {
		name  string
		areas []num.Float
		want  int // -1: none
	}{{"none", nil, -1}, {"largest", []num.Float{0.5, 0.9, 0.7}, 1}, {"first of equals", []num.Float{0.9, 0.9}, 0}, {"undefined first", []num.Float{nan, 0.4}, 1}, {"undefined last", []num.Float{0.4, nan}, 0}, {"all undefined", []num.Float{nan, nan}, 0}} {
		d := New()
		for _, a := range c.areas {
			d.Models = append(d.Models, Model{Metrics: metrics.Metrics{ROCAUC: a}})
		}
		got := -1
		if best := d.Best(); best != nil {
			for i := range d.Models {
				if best == &d.Models[i] {
					got = i
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestFigure(t *testing.T) {
	if got := Figure(0.98765) + " " + Figure(num.Float(math.NaN())); got != "0.9877 –" {
		t.Errorf("got %q", got)
	}
}
