package linear

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// PredictPermuted agrees with Predict of permuted columns to within the rounding of a sum.
func TestPredictPermuted(t *testing.T) {
	for _, classes := range []int{2, 3} {
		columns, y := generate(500, classes, "newton")
		m := mustFit(t, columns, y, classes, Options{})
		permutations := make([][]int32, 3)
		for r := range permutations {
			permutations[r] = make([]int32, len(y))
			num.NewRNG(1, uint64(r)).Perm(permutations[r])
		}
		var mu sync.Mutex
		calls := 0
		err := m.PredictPermuted(columns, permutations, 3, func(f, r int, proba []float64) {
			mu.Lock()
			defer mu.Unlock()
			calls++
			permuted := slices.Clone(columns)
			permuted[f] = columns[f].Take(permutations[r])
			want := mustPredict(t, m, permuted...)
			if !slices.EqualFunc(proba, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }) {
				t.Errorf("%d classes: feature %d, permutation %d: other predictions", classes, f, r)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if calls != len(columns)*3 {
			t.Errorf("%d classes: %d calls, want %d", classes, calls, len(columns)*3)
		}
	}
}

func TestPredictRefuses(t *testing.T) {
	m := mustFit(t, []*frame.Column{floats("x", 1, 2)}, []int32{0, 1}, 2, Options{})
	for name, columns := range map[string][]*frame.Column{
		"none":     nil,
		"name":     {floats("z", 1)},
		"type":     {{Name: "x", Type: frame.Category, Codes: []int32{0}, Levels: []string{"a"}}},
		"too many": {floats("x", 1), floats("y", 1)},
	} {
		if _, err := m.Predict(columns, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := m.PredictPermuted(columns, nil, 1, nil); err == nil {
			t.Errorf("%s: no error of PredictPermuted", name)
		}
	}
	if p, err := m.Predict([]*frame.Column{floats("x")}, 1); err != nil || len(p) != 0 {
		t.Errorf("no rows: %v, %v, want nothing", p, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	const good = `{"classes":2,"terms":[{"name":"x","type":"float","unit":1,"mean":0,"scale":1}],"weights":[1,0]}`
	var m Model
	if err := json.Unmarshal([]byte(good), &m); err != nil {
		t.Fatal(err)
	}
	if got, want := mustPredict(t, &m, floats("x", 0))[1], 0.5; got != want {
		t.Errorf("probability %v, want %v", got, want)
	}
	for name, change := range map[string][2]string{
		"classes":           {`"classes":2`, `"classes":1`},
		"huge classes":      {`"classes":2`, `"classes":9223372036854775807`},
		"no terms":          {`"terms":[`, `"terms":[],"x":[`},
		"weights missing":   {`[1,0]`, `[1]`},
		"weight too large":  {`[1,0]`, `[1e300,0]`},
		"scale 0":           {`"scale":1`, `"scale":0`},
		"unit below 0":      {`"unit":1`, `"unit":-1`},
		"unknown type":      {`"float"`, `"complex"`},
		"date":              {`"float"`, `"date"`},
		"levels not sorted": {`"type":"float"`, `"type":"category","levels":["b","a"]`},
	} {
		b := strings.Replace(good, change[0], change[1], 1)
		if err := json.Unmarshal([]byte(b), &m); err == nil || !strings.HasPrefix(err.Error(), "linear model: ") {
			t.Errorf("%s: error %v, want one of the linear model", name, err)
		}
	}
}

// FuzzLoad: whatever a file holds, loading it gives an error or a model that predicts and saves to the same bytes.
func FuzzLoad(f *testing.F) {
	for _, classes := range []int{2, 3} {
		columns, y := generate(100, classes, "newton")
		b, err := json.Marshal(mustFit(f, columns, y, classes, Options{}))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"classes":0,"terms":[{"name":"x","type":"float","unit":1,"scale":1}],"weights":[1e200,1]}`))
	f.Add([]byte(`{"classes":2,"terms":[{"name":"x","type":"category","levels":["a","b"]}],"weights":[1,2,3,4]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Model
		if json.Unmarshal(b, &m) != nil {
			return
		}
		var columns []*frame.Column
		for _, f := range m.Terms {
			c := &frame.Column{Name: f.Name, Type: f.Type}
			if f.Type.Numeric() {
				c.Num = []float64{-1e308, math.NaN(), 1e308}
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
			if !(v >= 0 && v <= 1) && m.Classes > 0 || math.IsNaN(v) {
				t.Fatalf("a probability of %v", v)
			}
		}
		first, err := json.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		var again Model
		if err := json.Unmarshal(first, &again); err != nil {
			t.Fatalf("a saved model does not load: %v", err)
		}
		if second, err := json.Marshal(&again); err != nil || !bytes.Equal(second, first) {
			t.Fatalf("a model saves to other bytes after loading, %v", err)
		}
	})
}
