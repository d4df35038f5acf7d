package train

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/dataset"
)

func TestClassWeight(t *testing.T) {
	d := &dataset.Dataset{Classes: []string{"no", "yes"}, Y: []int32{0, 0, 0, 1}}
	for _, c := range []struct {
		json string
		want []float64
		same string // what it is written as
	}{
		{`"balanced"`, []float64{4.0 / 6, 2}, `"balanced"`},
		{`{"yes":5}`, []float64{1, 5}, `{"yes":5}`},
		{`null`, nil, `null`},
	} {
		var w ClassWeight
		if err := json.Unmarshal([]byte(c.json), &w); err != nil {
			t.Fatalf("%s: %v", c.json, err)
		}
		if err := w.Check(); err != nil {
			t.Errorf("%s: %v", c.json, err)
		}
		if got, err := w.Weights(d); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: weights %v, %v, want %v", c.json, got, err, c.want)
		}
		if b, err := json.Marshal(w); err != nil || string(b) != c.same {
			t.Errorf("%s: written as %s, %v", c.json, b, err)
		}
	}
	for _, bad := range []string{`"even"`, `5`, `{"yes":"much"}`} {
		if json.Unmarshal([]byte(bad), &ClassWeight{}) == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	for _, bad := range []string{`{"yes":0}`, `{"yes":-1}`, `{"yes":1e7}`} {
		var w ClassWeight
		if err := json.Unmarshal([]byte(bad), &w); err != nil || w.Check() == nil {
			t.Errorf("%s: no error of the check, %v", bad, err)
		}
	}
	w := ClassWeight{of: map[string]float64{"maybe": 2}}
	if _, err := w.Weights(d); err == nil {
		t.Error("a class that the target does not have: no error")
	}
}
