package train

import (
	"encoding/json"
	"testing"

	"github.com/hashline/hashline/ml/tree"
)

func TestMaxFeatures(t *testing.T) {
	for _, c := range []struct {
		json  string
		share float64
		count int    // of 20 features
		same  string // what it is written as
	}{
		{`0.5`, 0.5, 0, `0.5`},
		{`0`, 0, 0, `0`},
		{`1`, 1, 0, `1`},
		{`7`, 0, 7, `7`},
		{`"sqrt"`, 0, 0, `0`},
		{`"log2"`, 0, 4, `"log2"`},
	} {
		var m MaxFeatures
		if err := json.Unmarshal([]byte(c.json), &m); err != nil {
			t.Fatalf("%s: %v", c.json, err)
		}
		var o tree.Options
		m.Set(&o, 20)
		if o.MaxFeatures != c.share || o.SplitFeatures != c.count {
			t.Errorf("%s: share %v, number %d, want %v and %d", c.json, o.MaxFeatures, o.SplitFeatures, c.share, c.count)
		}
		if b, err := json.Marshal(m); err != nil || string(b) != c.same {
			t.Errorf("%s: written as %s, %v", c.json, b, err)
		}
	}
	for _, bad := range []string{`-1`, `1.5`, `"many"`, `40000`, `true`, `[1]`} {
		if json.Unmarshal([]byte(bad), &MaxFeatures{}) == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func TestForestValidates(t *testing.T) {
	good := Forest{Trees: 100, MinSamplesLeaf: 1, MinSamplesSplit: 2, MaxBins: 255, Criterion: "entropy", MaxLeafNodes: 9}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(p *Forest){
		"trees":             func(p *Forest) { p.Trees = 0 },
		"criterion":         func(p *Forest) { p.Criterion = "twoing" },
		"max_depth":         func(p *Forest) { p.MaxDepth = -1 },
		"max_leaf_nodes":    func(p *Forest) { p.MaxLeafNodes = 1 },
		"min_samples_leaf":  func(p *Forest) { p.MinSamplesLeaf = 0 },
		"min_samples_split": func(p *Forest) { p.MinSamplesSplit = 1 },
		"max_bins":          func(p *Forest) { p.MaxBins = 1 },
	} {
		p := good
		change(&p)
		if p.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
