// Package search makes the candidates of a search for good settings: all of a grid, or some drawn at random.
//
// Random candidates find as good settings as a grid of many times their number where few parameters matter (Bergstra and
// Bengio: Random Search for Hyper-Parameter Optimization, 2012).
package search

import (
	"fmt"
	"math"
	"reflect"
	"strconv"

	"github.com/hashline/hashline/ml/num"
)

// Parameter is a parameter and what it may be: one of Values, or where there are none a number from Low to High.
type Parameter struct {
	Name      string
	Values    []any
	Low, High float64
	Log       bool // the logarithm is even, so that each order of magnitude is as likely as the next; Low is above 0
	Int       bool // whole numbers; both ends are as likely as those between
}

// Check refuses what nothing can be drawn from.
func (p Parameter) Check() error {
	if len(p.Values) > 0 {
		return nil
	}
	const limit = 1e15 // whole numbers are exact, and so are their ends
	switch {
	case !(math.Abs(p.Low) <= limit && math.Abs(p.High) <= limit):
		return fmt.Errorf("low and high are %v and %v, want numbers up to %v", p.Low, p.High, float64(limit))
	case !(p.Low < p.High):
		return fmt.Errorf("low is %v and high is %v, want low below high", p.Low, p.High)
	case p.Log && !(p.Low > 0):
		return fmt.Errorf("low is %v, want it above 0 for log", p.Low)
	case p.Int && (p.Low != math.Trunc(p.Low) || p.High != math.Trunc(p.High)):
		return fmt.Errorf("low and high are %v and %v, want whole numbers", p.Low, p.High)
	}
	return nil
}

// Grid returns every combination of the values of parameters, each with a value for each of them in their order; the last
// one changes first. Without parameters there is one combination. There are at most limit, else it is an error.
func Grid(parameters []Parameter, limit int) ([][]any, error) {
	total := 1
	for _, p := range parameters {
		if len(p.Values) == 0 {
			return nil, fmt.Errorf("%s has a distribution, and a grid takes lists of values", p.Name)
		}
		if total > limit/len(p.Values) {
			return nil, &TooManyError{Limit: limit}
		}
		total *= len(p.Values)
	}
	if total > limit {
		return nil, &TooManyError{Limit: limit}
	}
	grid := make([][]any, total)
	for i := range grid {
		row, rest := make([]any, len(parameters)), i
		for j := len(parameters) - 1; j >= 0; j-- {
			values := parameters[j].Values
			row[j] = values[rest%len(values)]
			rest /= len(values)
		}
		grid[i] = row
	}
	return grid, nil
}

// TooManyError says that a grid has more combinations than it may.
type TooManyError struct{ Limit int }

func (e *TooManyError) Error() string {
	return fmt.Sprintf("the grid has more than %d candidates", e.Limit)
}

// Draw returns n different combinations, drawn at random from seed; fewer when there are no more, or when further ones are
// so rare that a hundred draws each give none. The first of them are the same for a larger n.
func Draw(parameters []Parameter, n int, seed uint64) [][]any {
	var drawn [][]any
	seen := map[string][]int{}
	for draw, vain := uint64(0), 0; len(drawn) < n && vain < 100; draw++ {
		rng := num.NewRNG(seed, draw)
		row := make([]any, len(parameters))
		for j, p := range parameters {
			row[j] = p.draw(rng)
		}
		key := fmt.Sprint(row...)
		if again(drawn, seen[key], row) {
			vain++
			continue
		}
		vain, seen[key] = 0, append(seen[key], len(drawn))
		drawn = append(drawn, row)
	}
	return drawn
}

func again(drawn [][]any, same []int, row []any) bool {
	for _, i := range same {
		if reflect.DeepEqual(drawn[i], row) {
			return true
		}
	}
	return false
}

func (p Parameter) draw(rng *num.RNG) any {
	if len(p.Values) > 0 {
		return p.Values[rng.Intn(len(p.Values))]
	}
	low, high := p.Low, p.High
	if p.Int {
		high++
	}
	v := low + float64(rng.Float64()*(high-low))
	if p.Log {
		v = num.Exp(num.Log(low) + float64(rng.Float64()*(num.Log(high)-num.Log(low))))
	}
	if p.Int {
		return int64(max(p.Low, min(p.High, math.Floor(v))))
	}
	// Six figures are enough to search by, and can be read.
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
	return max(p.Low, min(p.High, v))
}
