package leak

import (
	"slices"

	"github.com/hashline/hashline/ml/metrics"
)

// rankedAUC is the area under the ROC curve when the rows of out are ranked by the feature alone. What the ranking needs
// to know is learned on p.
func (p part) rankedAUC(out part) float64 {
	if p.column.Type.Numeric() {
		return p.rankedNumber(out)
	}
	return p.rankedCategory(out)
}

// rankedNumber ranks by the number, up or down, with the missing values at one end or the other: as fits p best.
func (p part) rankedNumber(out part) float64 {
	inScores, outScores := numberScores(p.column.Num), numberScores(out.column.Num)
	return meanOver(p.classes, func(class int) float64 {
		best, at := -1.0, 0
		for way, scores := range inScores {
			if a := classAUC(scores, p.y, class); a > best {
				best, at = a, way
			}
		}
		return classAUC(outScores[at], out.y, class)
	})
}

// numberScores ranks numbers in four ways: up and down, each with the missing values lowest and highest.
func numberScores(v []float64) [4][]float64 {
	sorted := make([]float64, 0, len(v))
	for _, x := range v {
		if x == x {
			sorted = append(sorted, x)
		}
	}
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	var scores [4][]float64
	for way := range scores {
		scores[way] = make([]float64, len(v))
	}
	for i, x := range v {
		rank, _ := slices.BinarySearch(sorted, x)
		up := float64(rank+1) / float64(len(sorted)+1)
		down := float64(len(sorted)-rank) / float64(len(sorted)+1)
		row := [4]float64{up, up, down, down}
		if x != x {
			row = [4]float64{0, 1, 0, 1}
		}
		for way := range scores {
			scores[way][i] = row[way]
		}
	}
	return scores
}

// rankedCategory ranks by the smoothed share of the class in the rows of p that have the level, or no value. What p has
// not met counts as the average.
func (p part) rankedCategory(out part) float64 {
	counts := p.byLevel()
	code := make(map[string]int, len(p.column.Levels))
	for i, l := range p.column.Levels {
		code[l] = i
	}
	return meanOver(p.classes, func(class int) float64 {
		shares, overall := counts.shares(class)
		byLevel := make([]float64, len(out.column.Levels))
		for i, l := range out.column.Levels {
			byLevel[i] = overall
			if c, ok := code[l]; ok {
				byLevel[i] = shares[c]
			}
		}
		scores := make([]float64, len(out.y))
		for i, c := range out.column.Codes {
			scores[i] = shares[len(shares)-1]
			if c >= 0 {
				scores[i] = byLevel[c]
			}
		}
		return classAUC(scores, out.y, class)
	})
}

func classAUC(scores []float64, y []int32, class int) float64 {
	return metrics.AUC(scores, func(i int) bool { return y[i] == int32(class) })
}
