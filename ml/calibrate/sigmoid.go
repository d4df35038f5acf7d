package calibrate

import (
	"math"

	"github.com/hashline/hashline/ml/num"
)

// fitSigmoid finds A and B that minimise the log loss of 1/(1+e^(A s + B)), s being the log odds, against Platt's smoothed
// targets: Newton's method with step halving, as in Lin, Lin and Weng: A Note on Platt's Probabilistic Outputs for Support
// Vector Machines, 2007.
func fitSigmoid(p []float64, is []bool) Curve {
	s := make([]float64, len(p))
	positives := 0
	for i, v := range p {
		s[i] = logOdds(v)
		if is[i] {
			positives++
		}
	}
	n := len(p)
	high, low := float64(positives+1)/float64(positives+2), 1/float64(n-positives+2)
	target := make([]float64, n)
	for i := range target {
		target[i] = low
		if is[i] {
			target[i] = high
		}
	}
	a, b := 0.0, num.Log(float64(n-positives+1)/float64(positives+1))
	loss := sigmoidLoss(s, target, a, b)
	for range 100 {
		ga, gb, haa, hab, hbb := sigmoidSlopes(s, target, a, b)
		if math.Abs(ga) < 1e-10*float64(n) && math.Abs(gb) < 1e-10*float64(n) {
			break
		}
		det := float64(haa*hbb) - float64(hab*hab)
		da := -(float64(hbb*ga) - float64(hab*gb)) / det
		db := -(float64(haa*gb) - float64(hab*ga)) / det
		slope := float64(ga*da) + float64(gb*db)
		t, moved := 1.0, false
		for ; t >= 1e-10; t /= 2 {
			na, nb := a+float64(t*da), b+float64(t*db)
			if next := sigmoidLoss(s, target, na, nb); next < loss+float64(float64(1e-4*t)*slope) {
				a, b, loss, moved = na, nb, next, true
				break
			}
		}
		if !moved {
			break
		}
	}
	return Curve{A: num.Float(a), B: num.Float(b)}
}

// sigmoidLoss is the sum of log(1+e^f) - (1-t) f for f = a s + b: of the probability of the other class.
func sigmoidLoss(s, target []float64, a, b float64) float64 {
	rows := make([]float64, len(s))
	for i, v := range s {
		f := float64(a*v) + b
		_, l := num.Logistic(f)
		rows[i] = l - float64((1-target[i])*f)
	}
	return num.Sum(rows)
}

// sigmoidSlopes returns gradient and Hessian, the latter with a little on its diagonal so that it can be solved.
func sigmoidSlopes(s, target []float64, a, b float64) (ga, gb, haa, hab, hbb float64) {
	rows := make([][5]float64, len(s))
	for i, v := range s {
		p, _ := num.Logistic(-(float64(a*v) + b))
		d := target[i] - p
		w := float64(p * (1 - p))
		rows[i] = [5]float64{float64(v * d), d, float64(float64(v*v) * w), float64(v * w), w}
	}
	var sums [5]float64
	column := make([]float64, len(s))
	for k := range sums {
		for i := range rows {
			column[i] = rows[i][k]
		}
		sums[k] = num.Sum(column)
	}
	return sums[0], sums[1], sums[2] + 1e-12, sums[3], sums[4] + 1e-12
}
