// Package split divides the rows of a table into a training and a test part.
//
// Rows are ranked by a keyed hash of their own content and of their number among equal rows, never by their place in the
// table, so that one more row does not move the others. Both parts keep the order of the table.
package split

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/ml/num"
)

// Parts are row numbers, ascending, that together are all rows.
type Parts struct {
	Train, Test []int32
}

// Keys ranks n rows: one number a row, a function of the row's content (over all columns) and of its number among equal
// rows.
func Keys(columns []*frame.Column, n int, seed uint64) []uint64 {
	keys := frame.RowHashes(columns, n, seed)
	occurrence := make(map[uint64]uint64, n)
	for i, h := range keys {
		k := occurrence[h]
		occurrence[h] = k + 1
		if k > 0 {
			keys[i] = num.Scramble(h ^ num.Scramble(k))
		}
	}
	return keys
}

// count is the number of test rows: share x n, rounded up as scikit-learn does.
func count(share float64, n int) (int, error) {
	if !(share > 0 && share < 1) {
		return 0, fmt.Errorf("a test part of %v is not between 0 and 1", share)
	}
	c := int(math.Ceil(float64(share*float64(n)) - 1e-9))
	if c < 1 || c >= n {
		return 0, fmt.Errorf("%d rows cannot be split into a training part and a test part of %v", n, share)
	}
	return c, nil
}

// Stratified gives every class its share of the test part, exactly: the counts are those of largest remainders, the first
// of equal classes before the others. A class of two rows or more has one in each part at least; the only row of a class
// goes to the training part. The test part has its size to the row, unless there are too many classes of few rows.
//
// y holds the classes of the rows, 0 to classes-1, and keys the numbers by which they are ranked, as Keys gives them.
func Stratified(y []int32, classes int, keys []uint64, share float64) (Parts, error) {
	want, err := count(share, len(y))
	if err != nil {
		return Parts{}, err
	}
	members := make([][]int32, classes)
	for i, c := range y {
		members[c] = append(members[c], int32(i))
	}
	sizes := make([]int, classes)
	for c, rows := range members {
		sizes[c] = len(rows)
	}
	test := make([]bool, len(y))
	for c, quota := range quotas(sizes, want, len(y)) {
		rows := members[c]
		slices.SortFunc(rows, func(a, b int32) int { return cmp.Or(cmp.Compare(keys[a], keys[b]), cmp.Compare(a, b)) })
		for _, r := range rows[:quota] {
			test[r] = true
		}
	}
	return parts(test), nil
}

// quotas shares the test rows among the classes in proportion to their sizes: the whole parts first, then, until all are
// given or each class has all but one of its rows, one to the class that is furthest below its share.
func quotas(sizes []int, want, n int) []int {
	quota := make([]int, len(sizes))
	given := 0
	for c, size := range sizes {
		if size >= 2 {
			quota[c] = max(1, min(int(int64(size)*int64(want)/int64(n)), size-1))
			given += quota[c]
		}
	}
	// lacking is n times the part of a row by which a class is below its share.
	lacking := func(c int) int { return sizes[c]*want - quota[c]*n }
	for given != want {
		best := -1
		for c, size := range sizes {
			switch {
			case given < want && quota[c] < size-1:
				if best < 0 || lacking(c) > lacking(best) {
					best = c
				}
			case given > want && quota[c] > 1:
				if best < 0 || lacking(c) < lacking(best) {
					best = c
				}
			}
		}
		if best < 0 {
			break
		}
		if given < want {
			quota[best]++
			given++
		} else {
			quota[best]--
			given--
		}
	}
	return quota
}

// Group keeps rows with the same value of a column together. Groups are taken for the test part in the order of a keyed
// hash of their value as long as they fit. Rows without a value are groups of their own.
func Group(column *frame.Column, keys []uint64, share float64, seed uint64) (Parts, error) {
	n := len(keys)
	want, err := count(share, n)
	if err != nil {
		return Parts{}, err
	}
	hashes, size := groupsOf(column, keys, seed)
	if len(size) < 2 {
		return Parts{}, errors.New("all rows are of one group")
	}
	groups := make([]uint64, 0, len(size))
	for h := range size {
		groups = append(groups, h)
	}
	slices.Sort(groups)
	chosen := make(map[uint64]bool, len(size))
	given := 0
	for _, h := range groups {
		if given+size[h] <= want {
			chosen[h] = true
			given += size[h]
		}
	}
	if given == 0 { // every group is larger than the test part: the smallest one is nearest
		least := groups[0]
		for _, h := range groups {
			if size[h] < size[least] {
				least = h
			}
		}
		chosen[least] = true
	}
	test := make([]bool, n)
	for i, h := range hashes {
		test[i] = chosen[h]
	}
	return parts(test), nil
}

// groupsOf returns the group of each row, and the rows of each group.
func groupsOf(column *frame.Column, keys []uint64, seed uint64) (hashes []uint64, size map[uint64]int) {
	hashes = frame.RowHashes([]*frame.Column{column}, len(keys), seed)
	size = make(map[uint64]int, len(keys))
	for i := range hashes {
		if column.Missing(i) {
			hashes[i] = keys[i]
		}
		size[hashes[i]]++
	}
	return hashes, size
}

// Time takes the latest rows by a date or number for the test part. Rows of one moment stay together, on the side that
// brings the test part nearer to its size; rows without a value go to the training part. Texts that are all numbers, such
// as an identifier that counts seconds, are numbers here.
func Time(column *frame.Column, share float64) (Parts, error) {
	n := column.Len()
	want, err := count(share, n)
	if err != nil {
		return Parts{}, err
	}
	moment, rows, err := inTime(column)
	if err != nil {
		return Parts{}, err
	}
	if len(rows) == 0 || moment(rows[0]) == moment(rows[len(rows)-1]) && len(rows) == n {
		return Parts{}, fmt.Errorf("column %q has less than two moments", column.Name)
	}
	from := max(0, len(rows)-want)
	low, high := from, from
	for low > 0 && moment(rows[low-1]) == moment(rows[from]) {
		low--
	}
	for high < len(rows) && moment(rows[high]) == moment(rows[from]) {
		high++
	}
	if high < len(rows) && (from-low > high-from || low == 0 && len(rows) == n) {
		low = high
	}
	test := make([]bool, n)
	for _, r := range rows[low:] {
		test[r] = true
	}
	return parts(test), nil
}

// inTime returns the rows that have a value, the earliest first, and what places them in time.
func inTime(column *frame.Column) (moment func(row int32) float64, rows []int32, err error) {
	moment, ok := moments(column)
	if !ok {
		return nil, nil, fmt.Errorf("column %q is of type %v: a split by time needs dates or numbers", column.Name, column.Type)
	}
	rows = make([]int32, 0, column.Len())
	for i := range column.Len() {
		if !column.Missing(i) {
			rows = append(rows, int32(i))
		}
	}
	slices.SortStableFunc(rows, func(a, b int32) int { return cmp.Compare(moment(a), moment(b)) })
	return moment, rows, nil
}

// moments returns what places a row that has a value in time.
func moments(column *frame.Column) (func(row int32) float64, bool) {
	switch {
	case column.Type == frame.Date:
		return func(r int32) float64 { return float64(column.Days[r]) }, true
	case column.Type.Numeric():
		return func(r int32) float64 { return column.Num[r] }, true
	}
	byLevel := make([]float64, len(column.Levels))
	for i, text := range column.Levels {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || v != v {
			return nil, false
		}
		byLevel[i] = v
	}
	return func(r int32) float64 { return byLevel[column.Codes[r]] }, true
}

func parts(test []bool) Parts {
	var p Parts
	for i, t := range test {
		if t {
			p.Test = append(p.Test, int32(i))
		} else {
			p.Train = append(p.Train, int32(i))
		}
	}
	return p
}
