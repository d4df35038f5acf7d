// Package eda describes a table in numbers: what the plots of an exploratory data analysis draw.
//
// All figures are portable: counts are integers and sums have an order that depends on the number of rows alone. Memory
// is a few copies of one column.
package eda

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// Limits of a summary.
const (
	maxBins        = 30
	maxLevels      = 12
	maxCorrelation = 20      // columns
	maxSorted      = 200_000 // rows, evenly spaced, that quantiles are taken of
)

// Summary describes a table of features and classes, or numbers to predict.
type Summary struct {
	Rows        int          `json:"rows"`
	Target      []ClassCount `json:"target"` // null of numbers
	Columns     []Column     `json:"columns"`
	Correlation Correlation  `json:"correlation"` // numbers to predict come first

	Number *Column `json:"number,omitempty"` // the target, of numbers
}

// ClassCount is a class and its rows.
type ClassCount struct {
	Class string `json:"class"`
	Rows  int    `json:"rows"`
}

// Column describes one column; Numeric or Category is set.
type Column struct {
	Name     string    `json:"name"`
	Type     string    `json:"type"`
	Missing  int       `json:"missing"`
	Numeric  *Numeric  `json:"numeric,omitempty"`
	Category *Category `json:"category,omitempty"`
}

// Numeric describes the values of a number that are not missing. Quantiles interpolate linearly between order statistics
// (type 7 of Hyndman and Fan: Sample Quantiles in Statistical Packages, 1996).
type Numeric struct {
	Count     int       `json:"count"`
	Mean      num.Float `json:"mean"`
	SD        num.Float `json:"sd"` // of the sample
	Min       num.Float `json:"min"`
	Q1        num.Float `json:"q1"`
	Median    num.Float `json:"median"`
	Q3        num.Float `json:"q3"`
	Max       num.Float `json:"max"`
	Histogram Histogram `json:"histogram"`
}

// Histogram counts values by bins of equal width. The first and the last bin also hold what lies beyond the edges, which
// are quantiles when few values lie far out.
type Histogram struct {
	Low    num.Float `json:"low"`
	High   num.Float `json:"high"`
	Counts []int     `json:"counts"`
	Below  int       `json:"below"` // of the first bin's, those under Low
	Above  int       `json:"above"` // of the last bin's, those over High
}

// Category describes the levels of a category, the most frequent first.
type Category struct {
	Distinct int     `json:"distinct"`
	Levels   []Level `json:"levels"`
	Other    int     `json:"other"` // rows of the levels that are not listed
}

// Level is a level, its rows, and their number in each class.
type Level struct {
	Level   string `json:"level"`
	Rows    int    `json:"rows"`
	Classes []int  `json:"classes"` // of a numeric target, all in one
}

// Correlation is Pearson's, between numeric columns, over the rows that have both values.
type Correlation struct {
	Columns []string      `json:"columns"`
	Values  [][]num.Float `json:"values"`
}

// Summarize describes features (each with n rows) and the classes y (n). It is safe to share the columns.
func Summarize(features []*frame.Column, y []int32, classes []string, cores int) *Summary {
	s := &Summary{Rows: len(y), Columns: make([]Column, len(features)), Target: make([]ClassCount, len(classes))}
	for i, c := range classes {
		s.Target[i].Class = c
	}
	for _, c := range y {
		s.Target[c].Rows++
	}
	s.describe(features, y, len(classes), cores)
	s.Correlation = correlate(features, cores)
	return s
}

// SummarizeNumbers describes features (each with n rows) and a numeric target (n). It is safe to share the columns.
func SummarizeNumbers(features []*frame.Column, target *frame.Column, cores int) *Summary {
	s := &Summary{Rows: target.Len(), Columns: make([]Column, len(features))}
	s.describe(features, make([]int32, s.Rows), 1, cores)
	number := describe(target, nil, 1)
	s.Number = &number
	s.Correlation = correlate(append([]*frame.Column{target}, features...), cores)
	return s
}

func (s *Summary) describe(features []*frame.Column, y []int32, classes, cores int) {
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for i, c := range features {
		g.Go(func() error {
			s.Columns[i] = describe(c, y, classes)
			return nil
		})
	}
	_ = g.Wait()
}

func describe(c *frame.Column, y []int32, classes int) Column {
	d := Column{Name: c.Name, Type: c.Type.String()}
	if c.Type.Numeric() {
		d.Numeric, d.Missing = numeric(c)
		return d
	}
	d.Category, d.Missing = category(c, y, classes)
	return d
}

func numeric(c *frame.Column) (*Numeric, int) {
	values := make([]float64, 0, len(c.Num))
	for _, v := range c.Num {
		if v == v {
			values = append(values, v)
		}
	}
	missing := len(c.Num) - len(values)
	n := &Numeric{Count: len(values)}
	if len(values) == 0 {
		nan := num.Float(math.NaN())
		n.Mean, n.SD, n.Min, n.Q1, n.Median, n.Q3, n.Max = nan, nan, nan, nan, nan, nan, nan
		n.Histogram = Histogram{Low: nan, High: nan, Counts: []int{}}
		return n, missing
	}
	least, most := extent(values)
	scaled, scale := tame(values, least, most)
	mean, sd := moments(scaled)
	n.Mean, n.SD = num.Float(math.Ldexp(mean, scale)), num.Float(math.Ldexp(sd, scale))
	n.Min, n.Max = num.Float(least), num.Float(most)
	sorted := ordered(values)
	n.Q1, n.Median, n.Q3 = num.Float(quantile(sorted, 0.25)), num.Float(quantile(sorted, 0.5)), num.Float(quantile(sorted, 0.75))
	n.Histogram = histogram(values, sorted, least, most)
	return n, missing
}

// extent returns the least and the most of some values, none of them NaN.
func extent(values []float64) (least, most float64) {
	least, most = values[0], values[0]
	for _, v := range values {
		if v < least {
			least = v
		}
		if v > most {
			most = v
		}
	}
	return least, most
}

// tame returns the values divided by 2^scale, so that neither their sum nor that of their squares overflows or vanishes.
// Values of usual size come back as they are; scaling by a power of two rounds nothing that matters.
func tame(values []float64, least, most float64) (scaled []float64, scale int) {
	size := max(-least, most)
	_, exponent := math.Frexp(size)
	if size == 0 || exponent > -400 && exponent < 400 {
		return values, 0
	}
	scaled = make([]float64, len(values))
	for i, v := range values {
		scaled[i] = math.Ldexp(v, -exponent)
	}
	return scaled, exponent
}

// moments returns the mean and the standard deviation of the sample.
func moments(values []float64) (mean, sd float64) {
	n := float64(len(values))
	mean = num.Sum(values) / n
	squares := make([]float64, len(values))
	for i, v := range values {
		d := v - mean
		squares[i] = float64(d * d)
	}
	return mean, math.Sqrt(num.Sum(squares) / (n - 1))
}

// ordered returns the values, or an even choice of them, in ascending order.
func ordered(values []float64) []float64 {
	n := min(len(values), maxSorted)
	sorted := make([]float64, n)
	for i := range sorted {
		sorted[i] = values[int(int64(i)*int64(len(values))/int64(n))]
	}
	num.SortFloats(sorted)
	return sorted
}

func quantile(sorted []float64, q float64) float64 {
	at := float64(q * float64(len(sorted)-1))
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	a, b, t := sorted[i], sorted[i+1], at-float64(i)
	if gap := b - a; !math.IsInf(gap, 0) {
		return a + float64(t*gap)
	}
	return float64(a*(1-t)) + float64(b*t)
}

// histogram has a bin for each whole number where they are few, else bins of equal width between the 0.5th and 99.5th
// percentile when these leave out most of the range.
func histogram(values, sorted []float64, least, most float64) Histogram {
	low, high := least, most
	whole := true
	for _, v := range sorted {
		whole = whole && v == math.Trunc(v)
	}
	bins := maxBins
	if whole && most-least < maxBins {
		bins = int(most-least) + 1
		low, high = least-0.5, most+0.5
	} else if a, b := quantile(sorted, 0.005), quantile(sorted, 0.995); b > a && (b-a)*2 < most-least {
		low, high = a, b
	}
	h := Histogram{Low: num.Float(low), High: num.Float(high), Counts: make([]int, bins)}
	shrink := 1.0 // the range itself may be beyond the numbers
	if math.IsInf(high-low, 0) {
		shrink = 0.25
	}
	from := float64(low * shrink)
	width := (float64(high*shrink) - from) / float64(bins)
	for _, v := range values {
		b := 0
		if width > 0 {
			b = int(max(-1, min(float64(bins), (float64(v*shrink)-from)/width)))
		}
		switch {
		case v < low:
			h.Below++
			b = 0
		case v > high:
			h.Above++
			b = bins - 1
		}
		h.Counts[max(0, min(b, bins-1))]++
	}
	return h
}

func category(c *frame.Column, y []int32, classes int) (*Category, int) {
	counts := make([]int, len(c.Levels)*classes)
	missing := 0
	for i, code := range c.Codes {
		if code < 0 {
			missing++
			continue
		}
		counts[int(code)*classes+int(y[i])]++
	}
	var levels []Level
	for l, name := range c.Levels {
		level := Level{Level: name, Classes: counts[l*classes : (l+1)*classes]}
		for _, n := range level.Classes {
			level.Rows += n
		}
		if level.Rows > 0 {
			levels = append(levels, level)
		}
	}
	slices.SortFunc(levels, func(a, b Level) int { return cmp.Or(b.Rows-a.Rows, strings.Compare(a.Level, b.Level)) })
	d := &Category{Distinct: len(levels), Levels: levels[:min(len(levels), maxLevels)]}
	for _, l := range levels[len(d.Levels):] {
		d.Other += l.Rows
	}
	if d.Levels == nil {
		d.Levels = []Level{}
	}
	return d, missing
}

// correlate compares the first numeric columns that vary.
func correlate(features []*frame.Column, cores int) Correlation {
	r := Correlation{Columns: []string{}, Values: [][]num.Float{}}
	var columns []*frame.Column
	for _, c := range features {
		if c.Type.Numeric() && len(columns) < maxCorrelation {
			columns = append(columns, c)
			r.Columns = append(r.Columns, c.Name)
		}
	}
	scores := make([]score, len(columns))
	var g errgroup.Group
	g.SetLimit(max(1, cores))
	for i, c := range columns {
		r.Values = append(r.Values, make([]num.Float, len(columns)))
		g.Go(func() error {
			scores[i] = standardised(c.Num)
			return nil
		})
	}
	_ = g.Wait()
	for i := range columns {
		g.Go(func() error {
			for j := range i + 1 {
				v := num.Float(pearson(scores[i], scores[j]))
				r.Values[i][j], r.Values[j][i] = v, v
			}
			return nil
		})
	}
	_ = g.Wait()
	return r
}

// score is a standardised column.
type score struct {
	z    []float64
	gaps bool // some values are missing
}

// standardised returns values with mean 0 and standard deviation 1, those that are missing NaN; all are when the values do
// not vary.
func standardised(v []float64) score {
	present := make([]float64, 0, len(v))
	for _, x := range v {
		if x == x {
			present = append(present, x)
		}
	}
	s := score{z: make([]float64, len(v)), gaps: len(present) < len(v)}
	mean, sd := math.NaN(), math.NaN()
	scale := 0
	if len(present) > 1 {
		if least, most := extent(present); least < most {
			present, scale = tame(present, least, most)
			mean, sd = moments(present)
		}
	}
	for i, x := range v {
		if scale != 0 {
			x = math.Ldexp(x, -scale)
		}
		s.z[i] = (x - mean) / sd
	}
	return s
}

// pearson returns the correlation of standardised columns over the rows that have both values; NaN when one does not vary
// there. That both columns are near mean 0 and deviation 1 keeps the differences of sums exact enough.
func pearson(a, b score) float64 {
	if !a.gaps && !b.gaps { // they are standardised over the same rows
		return max(-1, min(1, num.Dot(a.z, b.z)/float64(len(a.z)-1)))
	}
	var n, sa, sb, saa, sbb, sab float64
	for i, x := range a.z {
		y := b.z[i]
		if x != x || y != y {
			continue
		}
		n++
		sa += x
		sb += y
		saa += float64(x * x)
		sbb += float64(y * y)
		sab += float64(x * y)
	}
	va, vb := saa-float64(sa*sa)/n, sbb-float64(sb*sb)/n
	if !(va > n*1e-12 && vb > n*1e-12) { // n is none, or what is left is rounding
		return math.NaN()
	}
	return max(-1, min(1, (sab-float64(sa*sb)/n)/math.Sqrt(va)/math.Sqrt(vb)))
}
