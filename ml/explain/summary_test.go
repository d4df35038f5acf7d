package explain

import (
	"math"
	"testing"

	"github.com/hashline/hashline/ml/frame"
)

func TestContributions(t *testing.T) {
	nan := math.NaN()
	columns := []*frame.Column{{Name: "a", Type: frame.Float, Num: []float64{5, 1, nan, 5}}, {Name: "b", Type: frame.Category, Codes: []int32{0, 0, -1, 0}, Levels: []string{"x"}}}
	v := &Values{Features: []string{"a", "b"}, Outputs: 2, Base: []float64{0, 0}, Values: []float64{0, 1, 0, 3, 0, -1, 0, -3, 0, 0, 0, 2, 0, 2, 0, 0}} // of 4 rows
	got := Contributions(v, columns, 1)
	if len(got) != 2 || got[0].Feature != "b" || got[0].Mean != 2 || got[1].Feature != "a" || got[1].Mean != 1 {
		t.Fatalf("%+v", got)
	}
	want := []float64{0.75, 0, nan, 0.75} // the two that are alike share their ranks
	for i, p := range got[1].Points {
		if r := float64(p.Rank); r != want[i] && !(math.IsNaN(r) && math.IsNaN(want[i])) {
			t.Errorf("rank of row %d is %v, want %v", i, r, want[i])
		}
		if p.Rank.Defined() && got[0].Points[i].Rank.Defined() {
			t.Error("a category has a rank")
		}
	}
	if s := got[1].Points[1].SHAP; s != -1 {
		t.Errorf("SHAP %v", s)
	}
}
