package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"

	"github.com/hashline/hashline/ml/eda"
	"github.com/hashline/hashline/ml/explain"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/importance"
	"github.com/hashline/hashline/ml/learning"
	"github.com/hashline/hashline/ml/metrics"
	"github.com/hashline/hashline/ml/num"
)

// hostile are texts that a table may have for names and values.
var hostile = []string{
	"<script>alert(1)</script>", `"><img src=x onerror=alert(2)>`, "</title></svg><script>alert(3)</script>", "line one\nline two\r\tthree", "\x1b[31mred\x1b[0m\x00",
	"שלום עולם מה שלומך", "مرحبا بالعالم", "a\u202eevil\u202c", "😀👩\u200d👩\u200d👧 emoji", "日本語の列の名前です", strings.Repeat("x", 200), strings.Repeat("many words ", 30), "", "   ",
	"]]>&amp;&#0;", "{{.Evil}}", "\xff\xfe broken UTF-8", "=cmd|calc!A0", "../../etc/passwd", "W" + strings.Repeat("\u0301", 50),
}

// name gives the i-th name: a plain one, or a hostile one with a number so that no two are alike.
type naming func(i int) string

func plain(i int) string { return fmt.Sprintf("feature %d", i) }
func evil(i int) string {
	if i < len(hostile) {
		return hostile[i]
	}
	return fmt.Sprintf("%s %d", hostile[i%len(hostile)], i)
}

// table describes a made-up table of n rows: numbers of many sizes, categories, gaps.
func table(n, columns, classes int, name naming) *eda.Summary {
	rng := num.NewRNG(7)
	y := make([]int32, n)
	names := make([]string, classes)
	for i := range names {
		names[i] = name(i)
	}
	for i := range y {
		y[i] = int32(rng.Float64() * rng.Float64() * float64(classes))
	}
	scales := []float64{1, 1e300, 1e-300, 1e6, 0, 1e9, -1}
	var features []*frame.Column
	for j := range columns {
		c := &frame.Column{Name: name(j), Type: frame.Float}
		switch j % 3 {
		case 0, 1:
			for range n {
				v := (rng.Float64() - 0.5) * scales[j%len(scales)]
				if j%4 == 1 && rng.Float64() < 0.3 || j == 12 {
					v = math.NaN()
				}
				c.Num = append(c.Num, v)
			}
		default:
			c.Type = frame.Category
			for l := range 3 + 40*(j%2) {
				c.Levels = append(c.Levels, name(l))
			}
			for range n {
				c.Codes = append(c.Codes, int32(rng.Float64()*float64(len(c.Levels)+1))-1)
			}
		}
		features = append(features, c)
	}
	return eda.Summarize(features, y, names, 2)
}

// judged evaluates made-up probabilities of n rows.
func judged(t testing.TB, n, classes int, name naming) (*metrics.Evaluation, *metrics.Curves) {
	t.Helper()
	rng := num.NewRNG(11)
	names := make([]string, classes)
	for i := range names {
		names[i] = name(i)
	}
	y := make([]int32, n)
	proba := make([]float64, n*classes)
	for i := range y {
		y[i] = int32(min(float64(classes-1), rng.Float64()*rng.Float64()*float64(classes)))
		row, sum := proba[i*classes:(i+1)*classes], 0.0
		for c := range row {
			row[c] = rng.Float64()
			if int32(c) == y[i] {
				row[c] += rng.Float64() * float64(classes)
			}
			sum += row[c]
		}
		for c := range row {
			row[c] /= sum
		}
	}
	e, c, err := metrics.Evaluate(proba, y, names)
	if err != nil {
		t.Fatal(err)
	}
	return e, c
}

// judgedNumbers evaluates made-up predictions of n rows of some size.
func judgedNumbers(t testing.TB, n int, size float64) (*metrics.Regression, *metrics.ErrorCurves) {
	t.Helper()
	rng := num.NewRNG(13)
	actual, predicted := make([]float64, n), make([]float64, n)
	for i := range actual {
		actual[i] = size * math.Exp(4*rng.Float64())
		if i%150 == 7 { // a few lie far out
			actual[i] *= 100
		}
		predicted[i] = actual[i]*(0.5+rng.Float64()) - size
	}
	r, c, err := metrics.EvaluateRegression(predicted, actual)
	if err != nil {
		t.Fatal(err)
	}
	return r, c
}

func report(features int, name naming) *importance.Report {
	r := &importance.Report{Metric: "roc_auc", Repeats: 5, Rows: 100}
	for i := range features {
		r.Features = append(r.Features, importance.Feature{Name: name(i), Mean: num.Float(0.3/float64(i+1) - 0.01), SD: num.Float(0.02)})
	}
	if features > 3 {
		r.Features[3].Mean, r.Features[3].SD = num.Float(math.NaN()), num.Float(math.NaN())
	}
	return r
}

func contributions(features int, name naming) []explain.Contribution {
	rng := num.NewRNG(4)
	var list []explain.Contribution
	for f := range features {
		c := explain.Contribution{Feature: name(f), Mean: num.Float(1 / float64(f+3))}
		for i := range 150 {
			p := explain.Point{SHAP: num.Float((rng.Float64() - 0.3) / float64(f+1)), Rank: num.Float(rng.Float64())}
			if i%9 == 0 {
				p.Rank = num.Float(math.NaN())
			}
			c.Points = append(c.Points, p)
		}
		list = append(list, c)
	}
	return list
}

func dependences(features int, name naming) []explain.Dependence {
	var list []explain.Dependence
	for f := range min(6, features) {
		d := explain.Dependence{Feature: name(f), Rows: 2000}
		for i := range 12 {
			if f%2 == 0 {
				d.Levels = append(d.Levels, name(i))
			} else {
				d.Numbers = append(d.Numbers, float64(i*i)-3.25)
			}
			d.Means = append(d.Means, []float64{0, -2.5 + float64((i*7+f)%12)})
		}
		list = append(list, d)
	}
	return list
}

// figures draws every kind of figure of one made-up run.
func figures(t testing.TB, rows, columns, classes, models int, name naming) map[string]Figure {
	t.Helper()
	s := table(rows, columns, classes, name)
	e, c := judged(t, rows, classes, name)
	var curves []ModelCurves
	var all []ModelMetrics
	var drops []ModelImportance
	var candidates []Validated
	for i := range models {
		candidates = append(candidates, Validated{name(i), num.Float(0.9), num.Float(0.01 * float64(i)), []num.Float{0.9, num.Float(0.9 + 0.02*float64(i)), num.Float(math.NaN())}})
		curves, all = append(curves, ModelCurves{name(i), c}), append(all, ModelMetrics{Model: name(i), Metrics: e.Metrics})
		drops = append(drops, ModelImportance{name(i), report(columns, name)})
	}
	all = append(all, ModelMetrics{Model: "baseline: always " + name(0), Metrics: metrics.Metrics{Accuracy: 0.3, ROCAUC: num.Float(math.NaN())}, Baseline: true},
		ModelMetrics{Model: "baseline: stump on " + name(1), Metrics: metrics.Metrics{Accuracy: 0.5}, Baseline: true})
	r, errs := judgedNumbers(t, rows, []float64{1, 1e-9, 1e6}[columns%3])
	var numbers []ModelRegression
	var errors []ModelErrors
	for i := range models {
		numbers, errors = append(numbers, ModelRegression{Model: name(i), Metrics: *r}), append(errors, ModelErrors{name(i), errs})
	}
	mean := *r
	mean.RMSE, mean.MaxError = 2*mean.RMSE, mean.MaxError/5
	numbers = append(numbers, ModelRegression{Model: "baseline: always the mean", Metrics: mean, Baseline: true}, ModelRegression{Model: "baseline: one cut on " + name(1), Metrics: *r, Baseline: true})
	target := eda.SummarizeNumbers(nil, &frame.Column{Name: name(0), Type: frame.Float, Num: []float64{1, 2, 3, 4, 50}}, 1)
	points := []learning.Point{{Rows: rows / 2, Train: 1, TrainSD: 0, Test: 0.7, TestSD: num.Float(math.NaN())}, {Rows: rows, Train: 0.95, TrainSD: 0.01, Test: 0.8, TestSD: 0.05}}
	list := map[string]Figure{
		"predicted": Predicted(name(0), errs, r.R2), "residuals": ResidualsByPrediction(name(0), errs, r.RMSE), "distribution": ResidualHistogram(name(0), errs, r.MAE),
		"errors_of_models": ErrorsOfModels(errors), "regression_metrics": RegressionMetrics(numbers, mean), "target_numbers": TargetBalance(target),
		"target": TargetBalance(s), "missing": Missing(s), "histograms": Histograms(s), "categories": Categories(s), "correlation": Correlation(s),
		"confusion": Confusion(name(0), e.Confusion), "roc": ROC(name(0), c), "precision_recall": PrecisionRecall(name(0), c), "calibration": Calibration(name(0), "isotonic", c, e.Metrics.Brier),
		"roc_of_models": ROCOfModels(curves), "metrics": Metrics(all), "importance": Importance(drops),
		"learning": Learning(metrics.Figures[5], 3, []Learned{{name(0), points}, {name(1), points[:1]}}),
		"shap":     SHAP(name(0), "the probability of "+name(1), rows, contributions(columns, name)), "dependence": Dependence(name(0), "the prediction", 1, dependences(columns, name)),
		"cross_validation": CrossValidation(metrics.Figures[7], 3, candidates),
	}
	for k, f := range list {
		list[k] = f.Captioned("n = 9994 test rows (20 %), group split by " + name(0) + ", seed 18446744073709551615, data 0123456789ab")
	}
	return list
}

func render(t testing.TB, f Figure, format string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Render(&b, f, format); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// element is what the test looks at in the markup.
type element struct {
	name string
	attr map[string]string
	text string
}

// parse reads SVG strictly and returns its elements.
func parse(t *testing.T, svg []byte) []element {
	t.Helper()
	var list []element
	var open []int
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attr: map[string]string{}}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			open, list = append(open, len(list)), append(list, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				list[open[len(open)-1]].text += string(token)
			}
		}
	}
}

func (e element) number(t *testing.T, name string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(e.attr[name], 64)
	if err != nil {
		t.Fatalf("<%s %s=%q>: no number", e.name, name, e.attr[name])
	}
	return v
}

// textBox is where a text lies, y growing downwards; slanted texts lie in the box around them.
func (e element) textBox(t *testing.T) (box vg.Rectangle, slanted bool) {
	t.Helper()
	f := face{size: vg.Length(e.number(t, "font-size")), bold: e.attr["font-weight"] == "700"}
	x, y, w := vg.Length(e.number(t, "x")), vg.Length(e.number(t, "y")), f.width(e.text)
	from := map[string]vg.Length{"": 0, "middle": -w / 2, "end": -w}[e.attr["text-anchor"]]
	corners := []vg.Point{{X: from, Y: -f.size * 0.73}, {X: from + w, Y: -f.size * 0.73}, {X: from, Y: f.size * 0.2}, {X: from + w, Y: f.size * 0.2}}
	angle := 0.0
	if r, ok := strings.CutPrefix(e.attr["transform"], "rotate(-"); ok {
		degrees, _, _ := strings.Cut(r, " ")
		v, err := strconv.Atoi(degrees)
		if err != nil {
			t.Fatalf("transform %q", e.attr["transform"])
		}
		angle, slanted = -float64(v)*math.Pi/180, true
	}
	box = vg.Rectangle{Min: vg.Point{X: math.MaxInt32, Y: math.MaxInt32}, Max: vg.Point{X: -math.MaxInt32, Y: -math.MaxInt32}}
	for _, c := range corners {
		sin, cos := vg.Length(math.Sin(angle)), vg.Length(math.Cos(angle))
		px, py := x+c.X*cos-c.Y*sin, y+c.X*sin+c.Y*cos
		box.Min.X, box.Min.Y, box.Max.X, box.Max.Y = min(box.Min.X, px), min(box.Min.Y, py), max(box.Max.X, px), max(box.Max.Y, py)
	}
	return box, slanted
}

// checkTexts wants every text within the picture, and no two upright ones over each other.
func checkTexts(t *testing.T, list []element) {
	t.Helper()
	width, height := list[0].viewBox(t)
	type placed struct {
		text string
		box  vg.Rectangle
	}
	var upright []placed
	for _, e := range list {
		if e.name != "text" {
			continue
		}
		box, slanted := e.textBox(t)
		const slack = 0.6
		if box.Min.X < -slack || box.Min.Y < -slack || box.Max.X > width+slack || box.Max.Y > height+slack {
			t.Errorf("%.40q lies at %.1f, %.1f to %.1f, %.1f, outside of %.1f x %.1f", e.text, box.Min.X, box.Min.Y, box.Max.X, box.Max.Y, width, height)
		}
		if slanted {
			continue
		}
		for _, p := range upright {
			w, h := min(box.Max.X, p.box.Max.X)-max(box.Min.X, p.box.Min.X), min(box.Max.Y, p.box.Max.Y)-max(box.Min.Y, p.box.Min.Y)
			if w > 1 && h > 1.5 {
				t.Errorf("%.40q and %.40q lie over each other", p.text, e.text)
			}
		}
		upright = append(upright, placed{e.text, box})
	}
}

func (e element) viewBox(t *testing.T) (w, h vg.Length) {
	t.Helper()
	if _, err := fmt.Sscanf(e.attr["viewBox"], "0 0 %g %g", &w, &h); err != nil {
		t.Fatalf("viewBox %q: %v", e.attr["viewBox"], err)
	}
	return w, h
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		name                           string
		rows, columns, classes, models int
		naming                         naming
	}{
		{"usual", 600, 16, 2, 3, plain},
		{"hostile", 600, 20, 4, 3, evil},
		{"hostile binary", 300, 20, 2, 2, evil},
		{"wide", 400, 90, 12, 9, evil},
		{"twenty classes", 500, 12, 20, 1, evil},
		{"a hundred classes", 900, 3, 100, 4, evil},
		{"one feature", 50, 1, 2, 1, plain},
		{"two rows", 2, 4, 2, 3, plain},
		{"no feature", 30, 0, 2, 1, plain},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, f := range figures(t, c.rows, c.columns, c.classes, c.models, c.naming) {
				t.Run(name, func(t *testing.T) { checkFigure(t, f) })
			}
		})
	}
}

// allowed are the elements of a picture; none of them runs or loads anything.
var allowed = []string{"svg", "title", "style", "path", "circle", "text"}

func checkFigure(t *testing.T, f Figure) {
	t.Helper()
	svg := render(t, f, SVG)
	if again := render(t, f, SVG); !bytes.Equal(svg, again) {
		t.Error("another drawing has other bytes")
	}
	list := parse(t, svg)
	for _, e := range list {
		if !slices.Contains(allowed, e.name) {
			t.Errorf("there is an element %s", e.name)
		}
		for a := range e.attr {
			if strings.HasPrefix(strings.ToLower(a), "on") || a == "href" || a == "style" {
				t.Errorf("element %s has an attribute %s", e.name, a)
			}
		}
		if e.name == "path" && strings.ContainsAny(e.attr["d"], "NaInf") {
			t.Errorf("a path goes to no number: %.60s", e.attr["d"])
		}
	}
	if list[1].name != "title" || strings.TrimSpace(list[1].text) == "" {
		t.Errorf("the picture does not say what it shows: %+v", list[1])
	}
	checkTexts(t, list)
	w, h := list[0].viewBox(t)
	if w < 100 || h < 30 {
		t.Errorf("the picture has %.1f x %.1f points", w, h)
	}
}

func TestPNGRepeats(t *testing.T) {
	list := figures(t, 200, 6, 3, 1, evil)
	for _, name := range []string{"confusion", "calibration", "categories", "metrics", "predicted"} { // between them they have all that can be drawn
		f := list[name]
		a := render(t, f, PNG)
		if name == "calibration" && !bytes.Equal(a, render(t, f, PNG)) {
			t.Errorf("%s: another drawing has other bytes", name)
		}
		picture, err := png.Decode(bytes.NewReader(a))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		w, h := parse(t, render(t, f, SVG))[0].viewBox(t)
		size := picture.Bounds().Size()
		if math.Abs(float64(size.X)-float64(2*w)) > 1.01 || math.Abs(float64(size.Y)-float64(2*h)) > 1.01 {
			t.Errorf("%s has %v pixels, want twice %.1f x %.1f", name, size, w, h)
		}
		colours := map[any]bool{}
		for y := 0; y < size.Y; y += 3 {
			for x := 0; x < size.X; x += 3 {
				colours[picture.At(x, y)] = true
			}
		}
		if len(colours) < 4 {
			t.Errorf("%s has %d colours: it is empty", name, len(colours))
		}
	}
}

// A picture says what it shows, of whatever size the figures are.
func TestContents(t *testing.T) {
	e, c := judged(t, 600, 2, plain)
	texts := func(f Figure) string { return string(render(t, f, SVG)) }
	s := table(600, 9, 2, plain)
	r, errs := judgedNumbers(t, 900, 10)
	for _, c := range []struct {
		name  string
		got   string
		wants []string
	}{
		{"ROC", texts(ROC("forest", c)), []string{"ROC: forest", "AUC " + decimals(float64(e.Metrics.ROCAUC), 3), "true positive rate", "false positive rate", "chance"}},
		{"precision and recall", texts(PrecisionRecall("m", c)), []string{"average precision " + decimals(float64(e.Metrics.AveragePrecision), 3), "base rate " + decimals(share(e.PerClass[1].Rows, e.Rows), 3)}},
		{"calibration", texts(Calibration("m", "", c, e.Metrics.Brier)), []string{"Brier score " + decimals(float64(e.Metrics.Brier), 4), "perfect"}},
		{"confusion", texts(Confusion("m", e.Confusion)), []string{">" + grouped(int(e.Confusion.Counts[0][1])) + "<", "predicted", ">true<", "%"}},
		{"caption", texts(ROC("m", c).Captioned("n = 3, seed 4")), []string{"n = 3, seed 4"}},
		{"target", texts(TargetBalance(s)), []string{"600 rows in 2 classes", grouped(s.Target[0].Rows)}},
		{"correlation", texts(Correlation(s)), []string{"−1", "Pearson"}},
		{"nothing missing", texts(Missing(table(10, 1, 2, plain))), []string{"No missing values"}},
		{"many classes are merged", texts(Confusion("m", metrics.Confusion{Labels: make([]string, 60), Counts: square60()})), []string{"37 others"}},
		{"predicted", texts(Predicted("forest", errs, r.R2)), []string{"R² " + decimals(float64(r.R2), 3), ">actual<", ">predicted<", "500 of the test rows", "stand at the edge"}},
		{"residuals", texts(ResidualsByPrediction("forest", errs, r.RMSE)), []string{"RMSE " + short(float64(r.RMSE)), ">residual<", "−"}},
		{"distribution", texts(ResidualHistogram("forest", errs, r.MAE)), []string{"mean distance " + short(float64(r.MAE)), "test rows"}},
		{"errors of models", texts(ErrorsOfModels([]ModelErrors{{"forest", errs}})), []string{"forest  " + short(float64(errs.Quantiles[50])), "share of the rows"}},
		{"metrics of numbers", texts(RegressionMetrics([]ModelRegression{{"forest", *r, false}}, metrics.Regression{RMSE: r.RMSE * 2, MAE: r.MAE, MedianAbsolute: r.MedianAbsolute / 9, MaxError: r.MaxError})), []string{"above 2 stands there", "largest error", "2.0"}},
		{"importance to numbers", texts(Importance([]ModelImportance{{"m", &importance.Report{Metric: "r2", Repeats: 2, Features: []importance.Feature{{Name: "x", Mean: 0.5}}}}})), []string{"drop in R²"}},
		{"target numbers", texts(TargetBalance(eda.SummarizeNumbers(nil, &frame.Column{Name: "price", Type: frame.Float, Num: []float64{1, 2, 6}}, 1))), []string{"Target: median 2", "3 rows, from 1 to 6, mean 3", ">price<"}},
		{"dark pages", texts(ROC("m", c)), []string{"prefers-color-scheme:dark"}},
	} {
		for _, want := range c.wants {
			if !strings.Contains(c.got, want) {
				t.Errorf("%s: the picture does not say %q", c.name, want)
			}
		}
	}
}

func square60() [][]int64 {
	m := make([][]int64, 60)
	for i := range m {
		m[i] = make([]int64, 60)
		m[i][i] = int64(i)
	}
	return m
}

func TestUndefined(t *testing.T) {
	of := func(predicted, actual []float64) *metrics.ErrorCurves {
		_, c, err := metrics.EvaluateRegression(predicted, actual)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	right, huge, tiny := of([]float64{3}, []float64{3}), of([]float64{1.7e308, -1.7e308}, []float64{-1.7e308, 1.7e308}), of([]float64{5e-324, 0}, []float64{0, 1e-320})
	one := &metrics.Curves{Rows: 3, Classes: []metrics.ClassCurves{{Class: "a", Positives: 3, ROCAUC: num.Float(math.NaN())}}}
	for name, f := range map[string]Figure{
		"ROC of one class": ROC("m", one), "ROC of models of one class": ROCOfModels([]ModelCurves{{"m", one}}), "no model": Metrics(nil), "no importance": Importance(nil),
		"PR of one class": PrecisionRecall("m", one), "calibration of nothing": Calibration("m", "", one, num.Float(math.NaN())), "no curves": ROC("m", &metrics.Curves{}),
		"an empty table": TargetBalance(&eda.Summary{}), "no correlation": Correlation(&eda.Summary{}), "an empty matrix": Confusion("m", metrics.Confusion{}),
		"no curve to learn from": Learning(metrics.Figures[0], 1, nil), "an undefined curve": Learning(metrics.Figures[0], 1, []Learned{{"m", []learning.Point{{Rows: 3, Train: num.Float(math.NaN()), Test: num.Float(math.NaN())}}}}),
		"nothing explained": SHAP("", "the prediction", 0, nil), "no dependence": Dependence("", "the prediction", 0, nil),
		"one value":    Dependence("m", "the prediction", 0, []explain.Dependence{{Feature: "x", Numbers: []float64{3}, Rows: 1, Means: [][]float64{{0.5}}}}),
		"values of 0":  SHAP("m", "the prediction", 1, []explain.Contribution{{Feature: "x", Points: []explain.Point{{SHAP: 0, Rank: 0}}}}),
		"no candidate": CrossValidation(metrics.Figures[0], 5, nil), "undefined scores": CrossValidation(metrics.Figures[0], 1, []Validated{{"m", num.Float(math.NaN()), num.Float(math.NaN()), []num.Float{num.Float(math.NaN())}}}),
		"equal scores":      CrossValidation(metrics.Figures[0], 2, []Validated{{"m", 1, 0, []num.Float{1, 1}}}),
		"undefined metrics": Metrics([]ModelMetrics{{Model: "m", Metrics: undefined()}}),

		"no model of numbers": RegressionMetrics(nil, metrics.Regression{}), "a mean without error": RegressionMetrics([]ModelRegression{{Model: "m"}}, metrics.Regression{}),
		"no errors of models": ErrorsOfModels(nil), "errors of nothing": ErrorsOfModels([]ModelErrors{{"m", &metrics.ErrorCurves{}}}),
		"right of models": ErrorsOfModels([]ModelErrors{{"m", right}}), "nothing predicted": Predicted("m", &metrics.ErrorCurves{}, num.Float(math.NaN())),
		"one right": Predicted("m", right, 1), "residuals of one": ResidualsByPrediction("m", right, 0), "no residuals": ResidualHistogram("m", right, 0), "residuals of nothing": ResidualsByPrediction("m", &metrics.ErrorCurves{}, 0),
		"huge predicted": Predicted("m", huge, 0), "huge residuals": ResidualsByPrediction("m", huge, 0), "huge distribution": ResidualHistogram("m", huge, 0), "huge errors": ErrorsOfModels([]ModelErrors{{"m", huge}}),
		"tiny predicted": Predicted("m", tiny, 0), "tiny residuals": ResidualsByPrediction("m", tiny, 0), "tiny distribution": ResidualHistogram("m", tiny, 0), "tiny errors": ErrorsOfModels([]ModelErrors{{"m", tiny}}),
		"target without values": TargetBalance(eda.SummarizeNumbers(nil, &frame.Column{Name: "y", Type: frame.Float}, 1)),
	} {
		t.Run(name, func(t *testing.T) { checkFigure(t, f) })
	}
}

func undefined() metrics.Metrics {
	n := num.Float(math.NaN())
	return metrics.Metrics{Accuracy: n, BalancedAccuracy: n, Precision: n, Recall: n, F1: n, ROCAUC: n, AveragePrecision: n}
}

func TestRenderFormat(t *testing.T) {
	if err := Render(io.Discard, message("a", "b"), "pdf"); err == nil || !strings.Contains(err.Error(), `"pdf"`) {
		t.Errorf("got %v, want an error that names the format", err)
	}
}

func BenchmarkFigures(b *testing.B) {
	list := figures(b, 9994, 16, 2, 3, plain)
	for _, format := range []string{SVG, PNG} {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			b.Run(format+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for range b.N {
					if err := Render(io.Discard, list[name], format); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
