package linear

import (
	"math"

	"github.com/hashline/hashline/ml/num"
)

// losses turns the scores of a block of rows into what a pass needs of them. Scores, slopes and curvatures are lists of a
// block's rows for each function, or for each pair of functions.
type losses interface {
	// functions is the number k of linear functions.
	functions() int
	// constant reports whether the curvatures do not depend on the scores.
	constant() bool
	// block returns the summed loss of the rows from on, one for each score, and overwrites the scores by their slopes. It
	// fills in the curvatures unless they are nil.
	block(from int, scores, curvatures [][]float64) float64
	// thin returns the losses of every stride-th row.
	thin(stride int) losses
}

// logarithms adds logarithms of factors from 1 up, a block's at once: the logarithm of their product is the sum. Factors
// near 1 would lose what they have above it, and go by their series.
type logarithms struct {
	product float64
	near    float64
}

// add adds log(1+e), e >= 0.
func (l *logarithms) add(e float64) {
	if e < 0x1p-16 {
		l.near += e - float64(0.5*float64(e*e)) // the next term is below the rounding of the sum
		return
	}
	l.product *= 1 + e
}

func (l *logarithms) sum() float64 { return num.Log(l.product) + l.near }

// logistic is the log loss of two classes, in classes' weights: log(1+e^s) - y s.
type logistic struct {
	y      []int32
	weight []float64
}

func (l *logistic) functions() int { return 1 }
func (l *logistic) constant() bool { return false }

func (l *logistic) thin(stride int) losses {
	return &logistic{everyNth(l.y, stride), l.weight}
}

// Slopes and curvatures are written so that neither overflows nor cancels: with e = e^-|s| the probabilities are 1/(1+e)
// and e/(1+e).
func (l *logistic) block(from int, scores, curvatures [][]float64) float64 {
	logs := [2]logarithms{{product: 1}, {product: 1}}
	var linear [2]float64
	s := scores[0]
	for i, class := range l.y[from : from+len(s)] {
		v, weight := s[i], l.weight[class]
		e := num.Exp(-math.Abs(v))
		large := 1 / (1 + e)
		small := float64(e * large)
		logs[class].add(e)
		// The probability of the class that the row is not of.
		wrong := small
		if (v > 0) != (class == 1) {
			wrong = large
			linear[class] += math.Abs(v)
		}
		s[i] = float64(weight * wrong)
		if class == 1 {
			s[i] = -s[i]
		}
		if curvatures != nil {
			curvatures[0][i] = float64(weight * float64(small*large))
		}
	}
	return float64(l.weight[0]*(logs[0].sum()+linear[0])) + float64(l.weight[1]*(logs[1].sum()+linear[1]))
}

// softmax is the log loss of more than two classes: log(sum of e^score) - own score.
type softmax struct {
	y       []int32
	weight  []float64
	classes int
}

func (l *softmax) functions() int { return l.classes }
func (l *softmax) constant() bool { return false }

func (l *softmax) thin(stride int) losses {
	return &softmax{everyNth(l.y, stride), l.weight, l.classes}
}

func (l *softmax) block(from int, scores, curvatures [][]float64) float64 {
	total := 0.0
	p := make([]float64, l.classes)
	for i, class := range l.y[from : from+len(scores[0])] {
		weight := l.weight[class]
		own := int(class)
		for a := range p {
			p[a] = scores[a][i]
		}
		loss, wrong := shares(p, own)
		total += float64(weight * loss)
		for a, v := range p {
			scores[a][i] = float64(weight * v)
		}
		scores[own][i] = -float64(weight * wrong)
		if curvatures != nil {
			pairs(p, own, wrong, weight, i, curvatures)
		}
	}
	return total
}

// shares replaces scores by probabilities. It returns the log loss of a row of class own, and the probability of all
// other classes together.
func shares(scores []float64, own int) (loss, wrong float64) {
	top := 0
	for a, v := range scores {
		if v > scores[top] {
			top = a
		}
	}
	ahead, highest := scores[top]-scores[own], scores[top]
	others := 0.0 // e^score of all but the top, which is 1
	for a, v := range scores {
		scores[a] = 1
		if a != top {
			scores[a] = num.Exp(v - highest)
			others += scores[a]
		}
	}
	for a := range scores {
		scores[a] /= 1 + others
	}
	for a, p := range scores {
		if a != own {
			wrong += p
		}
	}
	return num.Log1p(others) + ahead, wrong
}

// pairs fills in the curvatures of a row: p_a (1 - p_a) and -p_a p_b.
func pairs(p []float64, own int, wrong, weight float64, i int, curvatures [][]float64) {
	at := 0
	for a, pa := range p {
		wa := float64(weight * pa)
		for _, pb := range p[:a] {
			curvatures[at][i] = -float64(wa * pb)
			at++
		}
		rest := 1 - pa
		if a == own {
			rest = wrong
		}
		curvatures[at][i] = float64(wa * rest)
		at++
	}
}

// squares is half the squared error of numbers.
type squares struct{ y []float64 }

func (l *squares) functions() int { return 1 }
func (l *squares) constant() bool { return true }

func (l *squares) thin(stride int) losses { return &squares{everyNth(l.y, stride)} }

func (l *squares) block(from int, scores, curvatures [][]float64) float64 {
	total := 0.0
	for i, v := range scores[0] {
		residual := v - l.y[from+i]
		scores[0][i] = residual
		total += float64(residual * residual)
		if curvatures != nil {
			curvatures[0][i] = 1
		}
	}
	return total / 2
}

func everyNth[T any](v []T, stride int) []T {
	taken := make([]T, 0, (len(v)+stride-1)/stride)
	for i := 0; i < len(v); i += stride {
		taken = append(taken, v[i])
	}
	return taken
}
