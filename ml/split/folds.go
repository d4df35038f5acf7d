package split

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/hashline/hashline/ml/frame"
)

// MaxFolds bounds the number of folds.
const MaxFolds = 100

// Folds divides the rows for k-fold cross-validation, k from 2 to MaxFolds: it returns the fold of each row, 0 to k-1. Each
// class is shared out evenly, so that its rows in two folds differ by at most one, and so do the folds as a whole. A class
// of fewer than k rows is absent from some folds. y holds the classes of the rows, 0 to classes-1; nil stands for rows of
// one kind, as for a numeric target. keys rank the rows, as Keys gives them: a fold has rows of neighbouring ranks, so that
// one more row of the table moves few others. The cost is n log n.
func Folds(y []int32, classes int, keys []uint64, k int) ([]int32, error) {
	n := len(keys)
	if err := checkFolds(k, n, "rows"); err != nil {
		return nil, err
	}
	if y == nil {
		y, classes = make([]int32, n), 1
	}
	members := make([][]int32, classes)
	for i, c := range y {
		members[c] = append(members[c], int32(i))
	}
	folds := make([]int32, n)
	first := 0 // the fold that is the next to get one row more than others
	for _, rows := range members {
		slices.SortFunc(rows, func(a, b int32) int { return cmp.Or(cmp.Compare(keys[a], keys[b]), cmp.Compare(a, b)) })
		at, more := 0, len(rows)%k
		for f := range k {
			size := len(rows) / k
			if (f-first+k)%k < more {
				size++
			}
			for _, r := range rows[at : at+size] {
				folds[r] = int32(f)
			}
			at += size
		}
		first = (first + more) % k
	}
	return folds, nil
}

func checkFolds(k, n int, what string) error {
	if k < 2 || k > MaxFolds {
		return fmt.Errorf("%d folds, want 2 to %d", k, MaxFolds)
	}
	if n < k {
		return fmt.Errorf("%d %s cannot be divided into %d folds", n, what, k)
	}
	return nil
}

// GroupFolds keeps rows with the same value of a column in one fold: the largest group first, each goes to the fold with
// the fewest rows, the first of equals. Groups of one size go in the order of a keyed hash of their value. Rows without a
// value are groups of their own.
func GroupFolds(column *frame.Column, keys []uint64, k int, seed uint64) ([]int32, error) {
	hashes, size := groupsOf(column, keys, seed)
	if err := checkFolds(k, len(size), "groups"); err != nil {
		return nil, err
	}
	groups := make([]uint64, 0, len(size))
	for h := range size {
		groups = append(groups, h)
	}
	slices.SortFunc(groups, func(a, b uint64) int { return cmp.Or(cmp.Compare(size[b], size[a]), cmp.Compare(a, b)) })
	rows := make([]int, k)
	fold := make(map[uint64]int32, len(groups))
	for _, h := range groups {
		least := 0
		for f := range rows {
			if rows[f] < rows[least] {
				least = f
			}
		}
		fold[h] = int32(least)
		rows[least] += size[h]
	}
	folds := make([]int32, len(keys))
	for i, h := range hashes {
		folds[i] = fold[h]
	}
	return folds, nil
}

// Past is the fold of rows that are only ever trained on: see TimeFolds.
const Past = -1

// TimeFolds cuts the rows into k+1 spans of time of about as many rows. The first is Past, the others are the folds 0 to k-1
// in order, each to be tested on what was learned from all rows before it. Rows of one moment stay together; rows without
// a value are Past.
func TimeFolds(column *frame.Column, k int) ([]int32, error) {
	moment, rows, err := inTime(column)
	if err != nil {
		return nil, err
	}
	if err := checkFolds(k, column.Len(), "rows"); err != nil {
		return nil, err
	}
	folds := make([]int32, column.Len())
	for i := range folds {
		folds[i] = Past
	}
	seen, n := make([]bool, k), len(rows)
	for from := 0; from < n; {
		to := from
		for to < n && moment(rows[to]) == moment(rows[from]) {
			to++
		}
		f := int32((from+(to-from)/2)*(k+1)/n) - 1 // where the middle of its rows lies
		for _, r := range rows[from:to] {
			folds[r] = f
		}
		if f >= 0 {
			seen[f] = true
		}
		from = to
	}
	if slices.Contains(seen, false) || !slices.Contains(folds, Past) {
		return nil, errors.New("there are too few moments for so many folds of about the same size")
	}
	return folds, nil
}

// Fold returns the rows that a model for fold f is trained and tested on. With past it is trained on rows of earlier folds
// alone, as time wants it.
func Fold(folds []int32, f int, past bool) Parts {
	var p Parts
	for i, of := range folds {
		switch {
		case int(of) == f:
			p.Test = append(p.Test, int32(i))
		case !past || int(of) < f:
			p.Train = append(p.Train, int32(i))
		}
	}
	return p
}
