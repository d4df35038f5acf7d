package feature

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/ml/frame"
)

// columns are two rows of every type, and columns of one value.
func columns() []*frame.Column {
	text := func(name string, t frame.Type, levels ...string) *frame.Column {
		return &frame.Column{Name: name, Type: t, Codes: []int32{0, int32(len(levels) - 1)}, Levels: levels}
	}
	return []*frame.Column{
		{Name: "int", Type: frame.Integer, Num: []float64{6, 4}},
		{Name: "float", Type: frame.Float, Num: []float64{1.5, 0}},
		{Name: "bool", Type: frame.Boolean, Num: []float64{0, 1}},
		{Name: "ordered", Type: frame.Date, Days: []int32{16801, 17166}}, // 2016-01-01, 2016-12-31
		{Name: "shipped", Type: frame.Date, Days: []int32{16811, frame.MissingDay}},
		{Name: "printed", Type: frame.Date, Days: []int32{1, 2}},
		text("cat", frame.Category, "a", "b"),
		text("id", frame.Identifier, "x1", "x2"),
		text("prose", frame.Text, "long", "longer"),
		{Name: "one", Type: frame.Integer, Num: []float64{1, 1}},
		text("target", frame.Category, "yes", "no"),
	}
}

func featureNames(r *Recipe) string {
	var names []string
	for _, f := range r.Features {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

func TestChoose(t *testing.T) {
	parts := func(c string) string {
		return c + ".year, " + c + ".quarter, " + c + ".month, " + c + ".weekday, " + c + ".day"
	}
	tests := []struct {
		name   string
		choice Choice
		want   string
	}{
		{"by type", Choice{}, "int, float, bool, cat, " + parts("ordered") + ", " + parts("printed") + ", days from ordered to printed"},
		{"named", Choice{Columns: []string{"cat", "int"}}, "int, cat"},
		{"a named identifier and a named constant", Choice{Columns: []string{"id", "one"}}, "id, one"},
		{"a named date", Choice{Columns: []string{"int", "shipped"}}, "int, " + parts("shipped")},
		{"included", Choice{Columns: []string{"int"}, Include: []string{"prose", "shipped"}}, "int, prose, " + parts("shipped")},
		{"included beside the rules", Choice{Include: []string{"id"}, Exclude: []string{"ordered", "printed", "shipped"}}, "int, float, bool, cat, id"},
		{"an included constant date", Choice{Columns: []string{"int"}, Include: []string{"shipped"}, Dates: []Parts{{"shipped", []string{"day"}}}}, "int, shipped.day"},
		{"some parts", Choice{Dates: []Parts{{"ordered", []string{"year", "day"}}}, DaysBetween: []Between{{"lead", "ordered", "shipped"}}}, "int, float, bool, cat, ordered.year, ordered.day, lead"},
		{"all parts of a named date", Choice{Columns: []string{"int"}, Dates: []Parts{{Column: "ordered"}}}, "int, " + parts("ordered")},
		{"days without a name", Choice{Columns: []string{"int"}, DaysBetween: []Between{{"", "ordered", "shipped"}}}, "int, days from ordered to shipped"},
		{"ratio", Choice{Columns: []string{"cat"}, Ratios: []Ratio{{"", "int", "float"}}}, "cat, int / float"},
		{"exclusion before all", Choice{Columns: []string{"int", "cat"}, Include: []string{"id"}, Exclude: []string{"int", "id", "ordered"}, Dates: []Parts{{Column: "ordered"}},
			DaysBetween: []Between{{"", "ordered", "shipped"}}, Ratios: []Ratio{{"", "float", "int"}, {"r", "float", "one"}}}, "cat, r"},
		{"names that collide", Choice{Columns: []string{"int"}, Ratios: []Ratio{{"int", "int", "float"}, {"int", "float", "int"}}}, "int, int_2, int_3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := columns()
			for i, c := range all {
				if !tt.choice.Needs(c.Name, c.Type) { // its values must not matter
					all[i] = &frame.Column{Name: c.Name, Type: c.Type}
				}
			}
			r, decisions, err := Choose(all, "target", tt.choice)
			if err != nil {
				t.Fatal(err)
			}
			if got := featureNames(r); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			decided := map[string]bool{}
			for _, d := range decisions {
				if decided[d.Column] || d.Reason == "" {
					t.Errorf("decision %+v", d)
				}
				decided[d.Column] = true
				used := slices.ContainsFunc(r.Features, func(f Feature) bool { return slices.Contains(f.Inputs, d.Column) })
				if used != (d.Use == "feature") {
					t.Errorf("%s is decided to be %s, used: %v", d.Column, d.Use, used)
				}
			}
			if len(decided) != len(all)-1 || decided["target"] {
				t.Errorf("%d decisions", len(decided))
			}
			for _, f := range r.Features {
				if slices.Contains(f.Inputs, "target") {
					t.Errorf("feature %s is made from the target", f.Name)
				}
			}
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := ParseRecipe(b); err != nil || featureNames(back) != featureNames(r) {
				t.Errorf("the recipe does not read back: %v", err)
			}
			if _, err := r.Apply(&frame.Frame{Rows: 2, Columns: columns()}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestChooseReasons(t *testing.T) {
	_, decisions, err := Choose(columns(), "target", Choice{Exclude: []string{"bool"}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range decisions {
		got[d.Column] = d.Use + ": " + d.Reason
	}
	for column, want := range map[string]string{"id": "left_out: identifiers", "prose": "left_out: free text", "one": "left_out: it has less than two", "shipped": "left_out: it has less than two",
		"bool": "left_out: it was excluded", "ordered": "feature: it gives parts", "cat": "feature: its type is category"} {
		if !strings.HasPrefix(got[column], want) {
			t.Errorf("%s: %s, want %s", column, got[column], want)
		}
	}
}

func TestChooseErrors(t *testing.T) {
	tests := []struct {
		name          string
		choice        Choice
		message, hint string
	}{
		{"unknown column", Choice{Columns: []string{"flaot"}}, `there is no column "flaot"`, `did you mean "float"?`},
		{"unknown inclusion", Choice{Include: []string{"nothing"}}, `there is no column "nothing"`, "the columns are"},
		{"unknown exclusion", Choice{Exclude: []string{"boool"}}, `there is no column "boool"`, `"bool"`},
		{"unknown date", Choice{Dates: []Parts{{Column: "order"}}}, `there is no column "order"`, "ordered"},
		{"unknown end", Choice{DaysBetween: []Between{{"", "ordered", "ship"}}}, `there is no column "ship"`, ""},
		{"unknown denominator", Choice{Ratios: []Ratio{{"", "int", "flat"}}}, `there is no column "flat"`, ""},
		{"target named", Choice{Columns: []string{"target"}}, `the target's own column "target" cannot be a feature`, "leave it out"},
		{"target included", Choice{Include: []string{"target"}}, "cannot be a feature", "leave it out"},
		{"target in a ratio", Choice{Ratios: []Ratio{{"", "int", "target"}}}, "cannot be a feature", "leave it out"},
		{"target in a date", Choice{Dates: []Parts{{Column: "target"}}}, "cannot be a feature", "leave it out"},
		{"target in days", Choice{DaysBetween: []Between{{"", "ordered", "target"}}}, "cannot be a feature", "leave it out"},
		{"part of a number", Choice{Dates: []Parts{{Column: "int"}}}, `year of the column "int", which is of type integer`, "pipeline file"},
		{"days between numbers", Choice{DaysBetween: []Between{{"", "int", "float"}}}, "which is of type integer", "pipeline file"},
		{"ratio of dates", Choice{Ratios: []Ratio{{"", "ordered", "int"}}}, "which is of type date", "pipeline file"},
		{"unknown part", Choice{Dates: []Parts{{"ordered", []string{"hour"}}}}, `a date has no part "hour"`, "weekday"},
		{"nothing left", Choice{Columns: []string{"int"}, Exclude: []string{"int"}}, `no column can be a feature: "int" is of type integer: it was excluded; "float" is of type float: the pipeline's`, "--include"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Choose(columns(), "target", tt.choice)
			if e := input(t, err); !strings.Contains(e.Message, tt.message) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("%q with %q, want %q with %q", e.Message, e.Hint, tt.message, tt.hint)
			}
		})
	}
	if _, _, err := Choose(columns(), "target", Choice{Exclude: []string{"target"}}); err != nil {
		t.Errorf("excluding the target: %v", err)
	}
}

func TestApply(t *testing.T) {
	r, _, err := Choose(columns(), "target", Choice{Columns: []string{"cat"}, Include: []string{"id", "ordered"}, DaysBetween: []Between{{"lead", "ordered", "shipped"}}, Ratios: []Ratio{{"r", "int", "float"}}})
	if err != nil {
		t.Fatal(err)
	}
	features, err := r.Apply(&frame.Frame{Rows: 2, Columns: columns()})
	if err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	want := map[string][]float64{ // 2016-01-01 was a Friday, 2016-12-31 a Saturday
		"ordered.year": {2016, 2016}, "ordered.quarter": {1, 4}, "ordered.month": {1, 12}, "ordered.weekday": {4, 5}, "ordered.day": {1, 31},
		"lead": {10, nan}, "r": {4, nan},
	}
	for _, c := range features {
		w, ok := want[c.Name]
		if !ok {
			if c.Type != frame.Category {
				t.Errorf("%s is of type %v", c.Name, c.Type)
			}
			continue
		}
		delete(want, c.Name)
		for i := range w {
			if c.Num[i] != w[i] && !(math.IsNaN(c.Num[i]) && math.IsNaN(w[i])) {
				t.Errorf("%s: %v, want %v", c.Name, c.Num, w)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("absent: %v", want)
	}
}

func TestDateParts(t *testing.T) {
	// Far apart, so that no table holds them all; each is a day, year, quarter, month, weekday and day of the month, after
	// Python's datetime.
	for _, tt := range [][6]int32{{-719162, 1, 1, 1, 0, 1}, {-1, 1969, 4, 12, 2, 31}, {0, 1970, 1, 1, 3, 1}, {16860, 2016, 1, 2, 0, 29}, {2932896, 9999, 4, 12, 4, 31}} {
		for _, days := range [][]int32{{tt[0]}, {tt[0], frame.MissingDay, -719162, 2932896}} {
			for i, part := range DateParts {
				v := datePart(part, days)
				if v[0] != float64(tt[i+1]) {
					t.Errorf("%s of day %d is %v, want %d", part, tt[0], v[0], tt[i+1])
				}
				if len(v) > 1 && !math.IsNaN(v[1]) {
					t.Errorf("%s of a missing day is %v", part, v[1])
				}
			}
		}
	}
	if v := datePart("year", []int32{frame.MissingDay}); !math.IsNaN(v[0]) {
		t.Errorf("the year of nothing but missing days is %v", v[0])
	}
}

func TestApplyErrors(t *testing.T) {
	r := &Recipe{Schema: RecipeSchema, Columns: []Source{{"int", "integer"}}, Features: []Feature{{"int", OpColumn, []string{"int"}}}}
	if _, err := r.Apply(&frame.Frame{}); err == nil || !strings.Contains(err.Error(), `no column "int"`) {
		t.Errorf("error %v", err)
	}
	other := &frame.Frame{Columns: []*frame.Column{{Name: "int", Type: frame.Category}}}
	if _, err := r.Apply(other); err == nil || !strings.Contains(err.Error(), "is of type category, want integer") {
		t.Errorf("error %v", err)
	}
	wider := &frame.Frame{Columns: []*frame.Column{{Name: "int", Type: frame.Float}}}
	if _, err := r.Apply(wider); err != nil {
		t.Errorf("a float for an integer: %v", err)
	}
}

func TestParseRecipeErrors(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":            "{",
		"another schema":     `{"schema":"hashline.recipe/2"}`,
		"unknown type":       `{"schema":"hashline.recipe/1","columns":[{"name":"a","type":"shape"}]}`,
		"unknown operation":  `{"schema":"hashline.recipe/1","columns":[{"name":"a","type":"float"}],"features":[{"name":"f","op":"log","inputs":["a"]}]}`,
		"too many inputs":    `{"schema":"hashline.recipe/1","columns":[{"name":"a","type":"float"}],"features":[{"name":"f","op":"column","inputs":["a","a"]}]}`,
		"no inputs":          `{"schema":"hashline.recipe/1","columns":[{"name":"a","type":"float"}],"features":[{"name":"f","op":"ratio"}]}`,
		"unknown input":      `{"schema":"hashline.recipe/1","features":[{"name":"f","op":"column","inputs":["a"]}]}`,
		"input of that type": `{"schema":"hashline.recipe/1","columns":[{"name":"a","type":"float"}],"features":[{"name":"f","op":"day","inputs":["a"]}]}`,
		"date as it is":      `{"schema":"hashline.recipe/1","columns":[{"name":"a","type":"date"}],"features":[{"name":"f","op":"column","inputs":["a"]}]}`,
		"two of a name":      `{"schema":"hashline.recipe/1","columns":[{"name":"a","type":"float"}],"features":[{"name":"f","op":"column","inputs":["a"]},{"name":"f","op":"column","inputs":["a"]}]}`,
	} {
		if _, err := ParseRecipe([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
