package tree

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/ml/frame"
)

func TestSaveAndLoad(t *testing.T) {
	for _, classes := range []int{2, 4} {
		columns, y := generate(800, classes, 1)
		m := mustFit(t, FitForest, columns, y, classes, Options{Trees: 8, Seed: 3, MinSamplesLeaf: 2})
		first := bytesOf(t, m)
		var loaded Ensemble
		if err := json.Unmarshal(first, &loaded); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bytesOf(t, &loaded), first) {
			t.Errorf("%d classes: the model has other bytes after loading", classes)
		}
		if got, want := mustPredict(t, &loaded, columns...), mustPredict(t, m, columns...); !slices.Equal(got, want) {
			t.Errorf("%d classes: other predictions after loading", classes)
		}
		if loaded.Trees() != 8 || loaded.Nodes() != m.Nodes() || loaded.Classes() != classes {
			t.Errorf("%d classes: %d trees, %d nodes, %d classes after loading", classes, loaded.Trees(), loaded.Nodes(), loaded.Classes())
		}
	}
}

// small is a valid document: one split by x, leaves of 1/4 and 1.
func small() map[string]any {
	b64 := base64.StdEncoding.EncodeToString
	return map[string]any{
		"classes":  2,
		"features": []any{map[string]any{"name": "x", "type": "float", "edges": []float64{1.5}}},
		"trees":    1,
		"column":   b64([]byte{0, 0, 255, 255, 255, 255}),
		"cut":      b64([]byte{0, 0}),
		"value":    b64([]byte{0, 0, 0, 0x20, 0, 0, 0, 0x80}),
	}
}

func TestLoadByHand(t *testing.T) {
	b, err := json.Marshal(small())
	if err != nil {
		t.Fatal(err)
	}
	var m Ensemble
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if got, want := second(mustPredict(t, &m, number("x", 1, 2))), []float64{0.25, 1}; !slices.Equal(got, want) {
		t.Errorf("predictions %v, want %v", got, want)
	}
}

func TestLoadRefuses(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	feature := func(f map[string]any) func(d map[string]any) {
		return func(d map[string]any) { d["features"] = []any{f} }
	}
	for name, change := range map[string]func(d map[string]any){
		"no classes":         func(d map[string]any) { d["classes"] = 0 },
		"too many classes":   func(d map[string]any) { d["classes"] = 1 << 30 },
		"no features":        func(d map[string]any) { d["features"] = []any{} },
		"no trees":           func(d map[string]any) { d["trees"] = 0 },
		"trees of nothing":   func(d map[string]any) { d["trees"] = 2 },
		"no nodes":           func(d map[string]any) { d["column"] = "" },
		"half a node":        func(d map[string]any) { d["column"] = b64([]byte{0, 0, 255, 255, 255, 255, 0}) },
		"a tree without end": func(d map[string]any) { d["column"] = b64([]byte{255, 255, 0, 0, 255, 255}) },
		"no such feature":    func(d map[string]any) { d["column"] = b64([]byte{2, 0, 255, 255, 255, 255}) },
		"no cut":             func(d map[string]any) { d["cut"] = "" },
		"cut of a leaf":      func(d map[string]any) { d["cut"] = b64([]byte{255, 255}) },
		"one value too few":  func(d map[string]any) { d["value"] = b64([]byte{0, 0, 0, 0}) },
		"share above 1":      func(d map[string]any) { d["value"] = b64([]byte{0, 0, 0, 0x20, 0, 0, 0, 0xff}) },
		"no base64":          func(d map[string]any) { d["value"] = "?" },
		"edges not sorted":   feature(map[string]any{"name": "x", "type": "float", "edges": []float64{2, 1}}),
		"unknown type":       feature(map[string]any{"name": "x", "type": "complex"}),
		"type date":          feature(map[string]any{"name": "x", "type": "date"}),
		"levels of a number": feature(map[string]any{"name": "x", "type": "float", "levels": []string{"a"}, "bins": []int{1}}),
		"levels not sorted":  feature(map[string]any{"name": "x", "type": "category", "levels": []string{"b", "a"}, "bins": []int{0, 1}}),
		"bins missing":       feature(map[string]any{"name": "x", "type": "category", "levels": []string{"a", "b"}, "bins": []int{0}}),
		"bins too large":     feature(map[string]any{"name": "x", "type": "category", "levels": []string{"a"}, "bins": []int{65535}}),
		"edges of category":  feature(map[string]any{"name": "x", "type": "category", "edges": []float64{1}}),
	} {
		d := small()
		change(d)
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var m Ensemble
		if err := json.Unmarshal(b, &m); err == nil || !strings.HasPrefix(err.Error(), "tree model: ") {
			t.Errorf("%s: error %v, want one of the tree model", name, err)
		}
	}
}

// FuzzLoad: whatever a file holds, loading it gives an error or a model that predicts and saves to the same bytes.
func FuzzLoad(f *testing.F) {
	b, err := json.Marshal(small())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	columns, y := generate(60, 3, 1)
	f.Add(bytesOf(f, mustFit(f, FitForest, columns, y, 3, Options{Trees: 2})))
	f.Add([]byte(`{"classes":2,"features":null,"trees":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Ensemble
		if json.Unmarshal(b, &m) != nil {
			return
		}
		var columns []*frame.Column
		for _, f := range m.features {
			c := &frame.Column{Name: f.Name, Type: f.Type}
			if f.Type.Numeric() {
				c.Num = []float64{-1e308, 1.6, 1e308}
			} else {
				c.Levels, c.Codes = append([]string{"never seen"}, f.Levels...), []int32{0, -1, int32(len(f.Levels))}
			}
			columns = append(columns, c)
		}
		p, err := m.Predict(columns, 1)
		if err != nil {
			t.Fatalf("a loaded model does not predict: %v", err)
		}
		for _, v := range p {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("a probability of %v", v)
			}
		}
		first := bytesOf(t, &m)
		var again Ensemble
		if err := json.Unmarshal(first, &again); err != nil {
			t.Fatalf("a saved model does not load: %v", err)
		}
		if !bytes.Equal(bytesOf(t, &again), first) {
			t.Fatal("a model saves to other bytes after loading")
		}
	})
}
