package onnx

import (
	"fmt"
	"math"

	"github.com/hashline/hashline/ml/feature"
	"github.com/hashline/hashline/ml/frame"
)

// columns declares the raw columns of a recipe as inputs, each rows x 1: numbers and truth values (0 or 1) are doubles, NaN
// where missing; texts are strings, empty where missing; dates are strings such as 2016-11-08, empty where missing.
func (g *graph) columns(r *feature.Recipe) (map[string]frame.Type, error) {
	types := map[string]frame.Type{}
	for _, c := range r.Columns {
		t, err := frame.ParseType(c.Type)
		if err != nil {
			return nil, err
		}
		types[c.Name] = t
		elem := typeString
		if t.Numeric() {
			elem = typeDouble
		}
		g.input(c.Name, elem)
	}
	return types, nil
}

// features returns the value of every feature of a recipe: doubles, or strings of a category.
func (g *graph) features(r *feature.Recipe) (values []string, textual []bool, err error) {
	types, err := g.columns(r)
	if err != nil {
		return nil, nil, err
	}
	dates := map[string]*date{}
	dateOf := func(column string) *date {
		if dates[column] == nil {
			dates[column] = g.date(column)
		}
		return dates[column]
	}
	for _, f := range r.Features {
		var v string
		switch f.Op {
		case feature.OpColumn:
			v = f.Inputs[0]
		case feature.OpRatio:
			v = g.ratio(f.Inputs[0], f.Inputs[1])
		case feature.OpDaysBetween:
			from, to := dateOf(f.Inputs[0]), dateOf(f.Inputs[1])
			v = g.ofDates(from, to, g.binary("Sub", to.days(g), from.days(g)))
		default:
			d := dateOf(f.Inputs[0])
			var part string
			if part, err = d.part(g, f.Op); err != nil {
				return nil, nil, err
			}
			v = g.ofDates(d, d, part)
		}
		values = append(values, v)
		textual = append(textual, f.Op == feature.OpColumn && !types[f.Inputs[0]].Numeric())
	}
	return values, textual, nil
}

// ratio is a / b, missing where b is 0 or the quotient overflows.
func (g *graph) ratio(a, b string) string {
	q := g.binary("Div", a, b)
	bad := g.binary("Or", g.binary("Equal", b, g.number(0)), g.add("IsInf", []string{q}))
	return g.add("Where", []string{bad, g.number(math.NaN()), q})
}

// date is a column of dates, taken apart.
type date struct {
	year, month, day string // whole numbers, 0 where the date is missing
	missing          string // truth values
	since            string // days since 1970-01-01, when they were asked for
}

// date takes texts such as 2016-11-08 apart. Behind and before each are put zeros, so that an empty one has parts too.
func (g *graph) date(column string) *date {
	g.dates = true
	text := g.binary("StringConcat", g.constant(texts("0")), column)
	text = g.binary("StringConcat", text, g.constant(texts("-0-0")))
	parts := g.name()
	counts := g.name()
	var m message
	m.strings(1, []string{text})
	m.strings(2, []string{parts, counts})
	m.string(4, "StringSplit")
	m.bytes(5, attribute{"delimiter", "-"}.message())
	g.nodes = append(g.nodes, m)
	part := func(i int64) string {
		return g.cast(g.add("Gather", []string{parts, g.constant(tensor{elem: typeInt64, dims: []int64{}, raw: int64s([]int64{i}).raw})}, attribute{"axis", int64(2)}), typeInt64)
	}
	d := &date{year: part(0), month: part(1), day: part(2)}
	d.missing = g.binary("Equal", d.day, g.whole(0))
	return d
}

// days is the number of days since 1970-01-01: Hinnant, chrono-Compatible Low-Level Date Algorithms, days_from_civil, for
// years from 1 on.
func (d *date) days(g *graph) string {
	if d.since != "" {
		return d.since
	}
	op := func(op, a string, b int64) string { return g.binary(op, a, g.whole(b)) }
	early := g.binary("LessOrEqual", d.month, g.whole(2))
	y := g.binary("Sub", d.year, g.cast(early, typeInt64))
	month := g.binary("Add", d.month, g.add("Where", []string{early, g.whole(9), g.whole(-3)}))
	era := op("Div", y, 400)
	ofEra := g.binary("Sub", y, op("Mul", era, 400))
	ofYear := g.binary("Add", op("Div", op("Add", op("Mul", month, 153), 2), 5), op("Sub", d.day, 1))
	days := g.binary("Add", op("Mul", ofEra, 365), op("Div", ofEra, 4))
	days = g.binary("Add", g.binary("Sub", days, op("Div", ofEra, 100)), ofYear)
	d.since = op("Sub", g.binary("Add", op("Mul", era, 146097), days), 719468)
	return d.since
}

// part is one of feature.DateParts.
func (d *date) part(g *graph, part string) (string, error) {
	switch part {
	case "year":
		return d.year, nil
	case "quarter":
		return g.binary("Add", g.binary("Div", g.binary("Sub", d.month, g.whole(1)), g.whole(3)), g.whole(1)), nil
	case "month":
		return d.month, nil
	case "weekday": // 1970-01-01 was a Thursday
		return g.binary("Mod", g.binary("Add", d.days(g), g.whole(3)), g.whole(7)), nil
	case "day":
		return d.day, nil
	}
	return "", fmt.Errorf("onnx: there is no operation %.40q", part)
}

// ofDates makes whole numbers doubles, missing where one of two dates is.
func (g *graph) ofDates(a, b *date, v string) string {
	missing := a.missing
	if a != b {
		missing = g.binary("Or", a.missing, b.missing)
	}
	return g.add("Where", []string{missing, g.number(math.NaN()), g.cast(v, typeDouble)})
}
