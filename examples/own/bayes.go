package main

import (
	"encoding/json"
	"errors"
	"math"

	"github.com/hashline/hashline/ml/dataset"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/model"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/stages"
	"github.com/hashline/hashline/stages/train"
)

// bayes is a naive Bayes classifier: numbers are normal within each class, categories have the shares of their levels.
type bayes struct {
	Prior    []float64  `json:"prior"` // logarithm of each class's share
	Features []evidence `json:"features"`
}

// evidence is what one feature says of each class; a missing value says nothing.
type evidence struct {
	Mean   []float64            `json:"mean,omitempty"`
	SD     []float64            `json:"sd,omitempty"`
	Levels map[string][]float64 `json:"levels,omitempty"` // logarithms of shares; a level that was not seen says nothing
}

// params are those of the training, which stand in the pipeline file.
type params struct {
	Smoothing float64 `json:"smoothing"` // rows of each level that a class has more
}

func (p *params) Validate() error {
	if p.Smoothing <= 0 {
		return errors.New("smoothing is 0 or less, want a positive number")
	}
	return nil
}

func init() {
	model.Register("naive_bayes", func(b []byte, features []string, classes int) (model.Predictor, error) {
		var m bayes
		err := json.Unmarshal(b, &m)
		fits := len(m.Prior) == classes && len(m.Features) == len(features)
		for _, f := range m.Features {
			fits = fits && (len(f.Mean) == 0 || len(f.Mean) == classes) && len(f.SD) == len(f.Mean)
			for _, shares := range f.Levels {
				fits = fits && len(shares) == classes
			}
		}
		if err == nil && !fits {
			err = errors.New("naive_bayes: the file does not fit the features and classes")
		}
		return &m, err
	})
	stages.RegisterModel("naive_bayes", train.New(
		pipeline.Kind{Name: "train_naive_bayes", Doc: "trains naive Bayes", Params: func() any { return &params{Smoothing: 1} }},
		"naive_bayes", "own", func(_ *pipeline.Call, p *params, d *dataset.Dataset, m *model.Model) error {
			if err := train.WantClasses(d, "naive Bayes", "ridge"); err != nil {
				return err
			}
			m.Own = fit(p, d)
			return nil
		}))
}

func fit(p *params, d *dataset.Dataset) *bayes {
	m, counts := &bayes{}, d.Counts()
	for _, n := range counts {
		m.Prior = append(m.Prior, num.Log((float64(n)+p.Smoothing)/float64(len(d.Y))))
	}
	for _, c := range d.Features {
		if c.Type.Numeric() {
			m.Features = append(m.Features, normal(c, d.Y, len(counts)))
			continue
		}
		e := evidence{Levels: map[string][]float64{}}
		for level, name := range c.Levels {
			of := make([]float64, len(counts))
			for i, y := range d.Y {
				if c.Codes[i] == int32(level) {
					of[y]++
				}
			}
			for k, n := range counts {
				of[k] = num.Log((of[k] + p.Smoothing) / (float64(n) + float64(p.Smoothing*float64(len(c.Levels)))))
			}
			e.Levels[name] = of
		}
		m.Features = append(m.Features, e)
	}
	return m
}

// normal returns the mean and the standard deviation of a number in each class.
func normal(c *frame.Column, y []int32, classes int) (e evidence) {
	for k := range classes {
		var values []float64
		for i, v := range c.Num {
			if y[i] == int32(k) && !math.IsNaN(v) {
				values = append(values, v)
			}
		}
		n := math.Max(1, float64(len(values)))
		mean := num.Sum(values) / n
		for i, v := range values {
			values[i] = float64((v - mean) * (v - mean))
		}
		e.Mean, e.SD = append(e.Mean, mean), append(e.SD, math.Sqrt(num.Sum(values)/n)+1e-9)
	}
	return e
}

// Predict implements model.Predictor.
func (m *bayes) Predict(columns []*frame.Column, _ int) ([]float64, error) {
	k, n := len(m.Prior), columns[0].Len()
	proba := make([]float64, 0, n*k)
	for range n {
		proba = append(proba, m.Prior...)
	}
	for f, e := range m.Features {
		c := columns[f]
		for i := range n {
			row := proba[i*k : (i+1)*k]
			if c.Type.Numeric() && len(e.Mean) == k && !c.Missing(i) {
				for j := range row {
					z := (c.Num[i] - e.Mean[j]) / e.SD[j]
					row[j] -= num.Log(e.SD[j]) + float64(z*z)/2
				}
			} else if !c.Type.Numeric() && !c.Missing(i) {
				for j, share := range e.Levels[c.Levels[c.Codes[i]]] {
					row[j] += share
				}
			}
		}
	}
	for i := range n {
		num.Softmax(proba[i*k : (i+1)*k])
	}
	return proba, nil
}
