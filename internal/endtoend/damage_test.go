package endtoend

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/pipeline"
)

func (w world) blob(d artifact.Digest) string {
	return filepath.Join(w.store, "cas", "v1", "sha256", d.Hex()[:2], d.Hex())
}

// flip changes one bit in the middle of a file.
func flip(file string) error {
	return rewrite(file, func(b []byte) []byte {
		b[len(b)/2] ^= 1
		return b
	})
}

func rewrite(file string, change func([]byte) []byte) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, change(b), 0o600))
}

// damages are the ways in which a file is spoiled. All but a file that is gone are told as BLOB_CORRUPT.
var damages = map[string]func(file string) error{
	"flipped":   flip,
	"truncated": func(f string) error { return rewrite(f, func(b []byte) []byte { return b[:len(b)-1] }) },
	"emptied":   func(f string) error { return rewrite(f, func([]byte) []byte { return nil }) },
	"longer":    func(f string) error { return rewrite(f, func(b []byte) []byte { return append(b, 0) }) },
	"gone":      os.Remove,
	"unreadable": func(f string) error { // for root too
		return errors.Join(os.Remove(f), os.Mkdir(f, 0o755))
	},
}

// Damage of what stages made is never served: it is told, and computed again with the same bits.
func TestDamagedOutputs(t *testing.T) {
	base := reference(t)
	output := func(stage, name string) func(w world) string {
		return func(w world) string {
			for _, o := range stageOf(w.t, base, stage).Outputs {
				if o.Name == name {
					return w.blob(o.Digest)
				}
			}
			w.t.Fatalf("stage %s has no output %s", stage, name)
			return ""
		}
	}
	for name, c := range map[string]struct {
		stage string
		file  func(w world) string
	}{
		"table":   {"preprocess", output("preprocess", "table")},
		"model":   {"train:random_forest", output("train:random_forest", "model")},
		"metrics": {"evaluate:decision_tree", output("evaluate:decision_tree", "metrics")},
		"plot":    {"plot_results", output("plot_results", "roc")},
		"action result": {"split_data", func(w world) string {
			key, err := artifact.ParseActionKey(stageOf(w.t, base, "split_data").ActionKey)
			if err != nil {
				w.t.Fatal(err)
			}
			return filepath.Join(w.store, "actions", "v1", key.Hex()[:2], key.Hex())
		}},
	} {
		for how, damage := range damages {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				w := warmWorld(t)
				if err := damage(c.file(w)); err != nil {
					t.Fatal(err)
				}
				p := w.submitting()
				d := p.succeeded()
				if d.ResultDigest != base.ResultDigest {
					t.Errorf("result digest %s, want %s", d.ResultDigest, base.ResultDigest)
				}
				if got := computed(d); !slices.Equal(got, []string{c.stage}) {
					t.Errorf("computed %v, want %s", got, c.stage)
				}
				if told := slices.Contains(p.stagesOf(pipeline.BlobCorrupt), c.stage); told != (how != "gone") {
					t.Errorf("damage told: %v; events %v", told, p.stagesOf(pipeline.BlobCorrupt))
				}
				for _, warning := range d.Warnings {
					if warning.Code == pipeline.NonDeterminism {
						t.Errorf("warning %+v", warning)
					}
				}
				if again := w.submit(); again.Counts.Computed != 0 {
					t.Errorf("computed once more: %v", computed(again))
				}
			})
		}
	}
}

// What a run is made of is stored anew by submitting it again.
func TestDamagedInputAndPlanAreReplaced(t *testing.T) {
	base := reference(t)
	input, err := artifact.ParseDigest(base.Input.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := artifact.ParseDigest(base.PlanDigest)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]artifact.Digest{"input": input, "plan": plan} {
		for how, damage := range damages {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				w := warmWorld(t)
				sound, err := os.ReadFile(w.blob(d))
				if err != nil {
					t.Fatal(err)
				}
				if err := damage(w.blob(d)); err != nil {
					t.Fatal(err)
				}
				if d := w.submit(); d.ResultDigest != base.ResultDigest || d.Counts.Computed != 0 {
					t.Errorf("result digest %s, computed %v", d.ResultDigest, computed(d))
				}
				if b, err := os.ReadFile(w.blob(d)); err != nil || !bytes.Equal(b, sound) {
					t.Errorf("it is not replaced: %d bytes, %v", len(b), err)
				}
			})
		}
	}
}

// An input that is damaged when its run starts fails the run, which names it.
func TestDamagedInputOfARun(t *testing.T) {
	for how, damage := range damages {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			w.redis = needs.Redis(t).URL()
			d := w.submitting("--detach").answer()
			if d.Status != "DETACHED" || d.ExitCode != 0 {
				t.Fatalf("status %s, error %+v", d.Status, d.Error)
			}
			input, err := artifact.ParseDigest(reference(t).Input.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(w.blob(input)); err != nil {
				t.Fatal(err)
			}
			w.worker(1)
			events := w.producer("events", d.RunID, "-f")
			if code := events.Wait(); code != 0 {
				t.Errorf("events: exit code %d", code)
			}
			r := w.record(d.RunID)
			if r.Status != pipeline.Failed || r.Error == nil || !strings.Contains(r.Error.Message, input.String()) || !strings.Contains(r.Error.Hint, "submit the same file again") {
				t.Errorf("status %s, error %+v", r.Status, r.Error)
			}
			if told := strings.Contains(events.Out.String(), pipeline.BlobCorrupt); told != (how != "gone") {
				t.Errorf("damage told: %v\n%s", told, events.Out.String())
			}
			if again := w.submit(); again.ResultDigest != reference(t).ResultDigest {
				t.Errorf("result digest of the next submission %s", again.ResultDigest)
			}
		})
	}
}

// Damaged documents of a run are told and never served, and other runs are not touched by them.
func TestDamagedDocuments(t *testing.T) {
	id := reference(t).RunID
	for name, c := range map[string]struct {
		document string
		reads    []string
	}{
		"record": {pipeline.RecordDocument, []string{"show", id}},
		"events": {pipeline.EventsDocument, []string{"events", id}},
	} {
		for _, how := range []string{"flipped", "truncated", "emptied", "unreadable"} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				w := warmWorld(t)
				if err := damages[how](filepath.Join(w.store, "runs", id, c.document)); err != nil {
					t.Fatal(err)
				}
				p := w.producer(c.reads...)
				if code := p.Wait(); code != 1 || p.Out.String() != "" {
					t.Errorf("exit code %d, %s", code, p.Out.String())
				}
				if text := p.Err.String(); !strings.Contains(text, "damaged") {
					t.Errorf("it says %q", text)
				}
				next := w.submit()
				status := w.runsOf()
				if want := map[bool]string{true: "DAMAGED", false: pipeline.Succeeded}[name == "record"]; status[id] != want || status[next.RunID] != pipeline.Succeeded {
					t.Errorf("runs %v, want %s for %s", status, want, id)
				}
			})
		}
	}
}

// A damaged output is not given to anybody who asks for it.
func TestDamagedOutputIsNotGiven(t *testing.T) {
	base := reference(t)
	w := warmWorld(t)
	for _, o := range stageOf(t, base, "train:decision_tree").Outputs {
		if err := flip(w.blob(o.Digest)); err != nil {
			t.Fatal(err)
		}
	}
	p := w.producer("get", base.RunID, "train:decision_tree/model")
	if code := p.Wait(); code != 1 || p.Out.String() != "" {
		t.Errorf("exit code %d, %d bytes", code, len(p.Out.String()))
	}
	if text := p.Err.String(); !strings.Contains(text, "damaged or gone") || !strings.Contains(text, "submit the same file again") {
		t.Errorf("it says %q", text)
	}
}

// Whatever file of the store is flipped, a submission ends with the same bits.
func TestAnyFileIsDamaged(t *testing.T) {
	base := reference(t)
	w := warmWorld(t)
	err := filepath.WalkDir(w.store, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "store-id" {
			return err
		}
		if info, err := e.Info(); err != nil || info.Size() == 0 {
			return err
		}
		return flip(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{base.Counts.Stages, 0} {
		if d := w.submit(); d.ResultDigest != base.ResultDigest || d.Counts.Computed != want {
			t.Errorf("submission %d: result digest %s, %d computed, want %d", i, d.ResultDigest, d.Counts.Computed, want)
		}
	}
}
