package metrics

import (
	"math"

	"github.com/hashline/hashline/ml/num"
)

// MaxPoints is the largest number of points of a stored curve.
const MaxPoints = 512

// Curves holds what the plots of one model draw: for two classes one entry, of the second class; else one per class.
type Curves struct {
	Rows    int           `json:"rows"`
	Classes []ClassCurves `json:"classes"`
}

// ClassCurves are the curves of one class against the rest. Every curve runs from the highest threshold down.
type ClassCurves struct {
	Class            string           `json:"class"`
	Positives        int64            `json:"positives"`
	Negatives        int64            `json:"negatives"`
	ROCAUC           num.Float        `json:"roc_auc"`
	AveragePrecision num.Float        `json:"average_precision"`
	ROC              []ROCPoint       `json:"roc"`
	PrecisionRecall  []PRPoint        `json:"precision_recall"`
	Calibration      []CalibrationBin `json:"calibration"`
}

// ROCPoint is one threshold: rows with at least that probability are taken for the class. The first point, which takes
// none, has the threshold null.
type ROCPoint struct {
	Threshold num.Float `json:"threshold"`
	FPR       num.Float `json:"fpr"` // false positives / negatives
	TPR       num.Float `json:"tpr"` // true positives / positives
}

// PRPoint is one threshold of the precision-recall curve.
type PRPoint struct {
	Threshold num.Float `json:"threshold"`
	Recall    num.Float `json:"recall"`
	Precision num.Float `json:"precision"`
}

// CalibrationBin is one tenth of [0, 1]: the rows whose probability lies in it. Empty bins are left out.
type CalibrationBin struct {
	Low       num.Float `json:"low"`
	High      num.Float `json:"high"`
	Rows      int64     `json:"rows"`
	Predicted num.Float `json:"mean_predicted"`
	Observed  num.Float `json:"observed_share"`
}

// ranking is the scores of rows, each packed with its label: the bits of a float64 in [0, 1] order like the number and
// leave the lowest bit free after a shift.
type ranking []uint64

func (s ranking) add(score float64, positive bool) ranking {
	key := math.Float64bits(score+0) << 1 // -0 becomes 0
	if positive {
		key |= 1
	}
	return append(s, key)
}

func (s ranking) sort() { num.SortUint64s(s) }

func (s ranking) score(i int) float64 { return math.Float64frombits(s[i] >> 1) }

// groups calls f for every distinct score, highest first, with the numbers of positives and negatives at or above it.
func (s ranking) groups(f func(score float64, tp, fp int64)) {
	var tp, fp int64
	for i := len(s) - 1; i >= 0; i-- {
		if s[i]&1 == 1 {
			tp++
		} else {
			fp++
		}
		if i == 0 || s[i-1]>>1 != s[i]>>1 {
			f(s.score(i), tp, fp)
		}
	}
}

// AUC returns the area under the ROC curve of scores in [0, 1], one for each row of y: the probability that a random row of
// the class has a higher score than a random one of another, ties counting half (Mann and Whitney). NaN when y has no row of
// the class, or only such.
func AUC(scores []float64, y []int32, class int) float64 {
	s := make(ranking, 0, len(scores))
	for i, score := range scores {
		s = s.add(score, y[i] == int32(class))
	}
	s.sort()
	return s.auc()
}

// MeanOver is the value of the second of two classes, or the unweighted mean over the classes for which there is one (is
// not NaN); NaN when there is none.
func MeanOver(classes int, of func(class int) float64) float64 {
	if classes == 2 {
		return of(1)
	}
	sum, n := 0.0, 0
	for c := range classes {
		if v := of(c); !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	return sum / float64(n)
}

// auc counts in integers: twice the number of ordered pairs, plus ties.
func (s ranking) auc() float64 {
	var twice uint64
	var tp, fp int64
	s.groups(func(_ float64, t, f int64) {
		twice += uint64(f-fp) * uint64(tp+t)
		tp, fp = t, f
	})
	if tp == 0 || fp == 0 {
		return math.NaN()
	}
	return float64(twice) / float64(2*uint64(tp)*uint64(fp))
}

// averagePrecision is the sum of precision times the step in recall.
func (s ranking) averagePrecision() float64 {
	sum := 0.0
	var before, positives int64
	s.groups(func(_ float64, tp, fp int64) {
		sum += float64(float64(tp-before) * (float64(tp) / float64(tp+fp)))
		before, positives = tp, tp
	})
	return sum / float64(positives) // 0/0 is NaN
}

type point struct {
	score  float64
	tp, fp int64
}

func (s ranking) curves(class string) ClassCurves {
	points := []point{{score: math.NaN()}}
	s.groups(func(score float64, tp, fp int64) { points = append(points, point{score, tp, fp}) })
	last := points[len(points)-1]
	c := ClassCurves{Class: class, Positives: last.tp, Negatives: last.fp, ROCAUC: num.Float(s.auc()), AveragePrecision: num.Float(s.averagePrecision()),
		Calibration: s.calibration()}
	for _, p := range thin(corners(points)) {
		c.ROC = append(c.ROC, ROCPoint{num.Float(p.score), share(p.fp, last.fp), share(p.tp, last.tp)})
	}
	for _, p := range thin(points[1:]) {
		c.PrecisionRecall = append(c.PrecisionRecall, PRPoint{num.Float(p.score), share(p.tp, last.tp), share(p.tp, p.tp+p.fp)})
	}
	return c
}

// corners leaves out points in the middle of straight lines, which the ROC curve does not need.
func corners(points []point) []point {
	var kept []point
	for i, p := range points {
		if i > 0 && i+1 < len(points) {
			a, b := points[i-1], points[i+1]
			if (p.tp-a.tp)*(b.fp-p.fp) == (b.tp-p.tp)*(p.fp-a.fp) {
				continue
			}
		}
		kept = append(kept, p)
	}
	return kept
}

// thin keeps at most MaxPoints points, evenly spaced by rank, with the first and the last.
func thin(points []point) []point {
	if len(points) <= MaxPoints {
		return points
	}
	kept := make([]point, MaxPoints)
	for i := range kept {
		kept[i] = points[i*(len(points)-1)/(MaxPoints-1)]
	}
	return kept
}

const calibrationBins = 10

func (s ranking) calibration() []CalibrationBin {
	var bins []CalibrationBin
	for from := 0; from < len(s); {
		b := min(int(float64(s.score(from)*calibrationBins)), calibrationBins-1)
		to, positives := from, int64(0)
		var scores []float64
		for to < len(s) && min(int(float64(s.score(to)*calibrationBins)), calibrationBins-1) == b {
			scores = append(scores, s.score(to))
			positives += int64(s[to] & 1)
			to++
		}
		rows := int64(to - from)
		bins = append(bins, CalibrationBin{Low: num.Float(float64(b) / calibrationBins), High: num.Float(float64(b+1) / calibrationBins), Rows: rows,
			Predicted: num.Float(num.Sum(scores) / float64(rows)), Observed: share(positives, rows)})
		from = to
	}
	return bins
}
