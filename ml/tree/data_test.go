package tree

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// generate makes n rows with numbers of few and many values, categories of few and many levels, and missing values, whose
// class depends on all of them and on chance.
func generate(n, classes int, seed uint64) ([]*frame.Column, []int32) {
	rng := num.NewRNG(seed)
	amount := &frame.Column{Name: "amount", Type: frame.Float}
	pieces := &frame.Column{Name: "pieces", Type: frame.Integer}
	express := &frame.Column{Name: "express", Type: frame.Boolean}
	kind := &frame.Column{Name: "kind", Type: frame.Category, Levels: []string{"table", "chair", "paper", "phone"}}
	city := &frame.Column{Name: "city", Type: frame.Category}
	for i := range 300 {
		city.Levels = append(city.Levels, fmt.Sprintf("city %d", i*7919%300))
	}
	var y []int32
	for range n {
		a, p, e, k, c := rng.Float64()*1000, rng.Intn(12), rng.Intn(2), rng.Intn(4), rng.Intn(300)
		score := a/500 + float64(p)/6 + float64(e) + float64(k%3) + float64(c%5)/4 + rng.Float64()*2
		y = append(y, int32(min(classes-1, int(score/8.5*float64(classes)))))
		if rng.Intn(20) == 0 {
			a = math.NaN()
		}
		if rng.Intn(30) == 0 {
			k = -1
		}
		amount.Num = append(amount.Num, a)
		pieces.Num = append(pieces.Num, float64(p))
		express.Num = append(express.Num, float64(e))
		kind.Codes = append(kind.Codes, int32(k))
		city.Codes = append(city.Codes, int32(c))
	}
	return []*frame.Column{amount, pieces, express, kind, city}, y
}

func number(name string, v ...float64) *frame.Column {
	return &frame.Column{Name: name, Type: frame.Float, Num: v}
}

// category makes a column of the given levels; "" is missing.
func category(name string, values ...string) *frame.Column {
	c := &frame.Column{Name: name, Type: frame.Category}
	for _, v := range values {
		code := slices.Index(c.Levels, v)
		switch {
		case v == "":
			code = frame.MissingCode
		case code < 0:
			code = len(c.Levels)
			c.Levels = append(c.Levels, v)
		}
		c.Codes = append(c.Codes, int32(code))
	}
	return c
}

func mustFit(t testing.TB, fit func([]*frame.Column, []int32, int, Options) (*Ensemble, error), columns []*frame.Column, y []int32, classes int, o Options) *Ensemble {
	t.Helper()
	m, err := fit(columns, y, classes, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustPredict(t testing.TB, m *Ensemble, columns ...*frame.Column) []float64 {
	t.Helper()
	p, err := m.Predict(columns, 2)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func bytesOf(t testing.TB, m *Ensemble) []byte {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// digest is of the bits of the numbers.
func digest(v []float64) string {
	h := sha256.New()
	for _, x := range v {
		fmt.Fprintf(h, "%016x", math.Float64bits(x))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// second returns every second element: of two classes the probabilities of the second.
func second(proba []float64) []float64 {
	var p []float64
	for i := 1; i < len(proba); i += 2 {
		p = append(p, proba[i])
	}
	return p
}
