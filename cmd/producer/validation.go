package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/hashline/hashline/summary"
)

// printValidation shows what cross-validation found out.
func printValidation(w io.Writer, v *summary.Validation) {
	figures := v.Figures()
	fmt.Fprintf(w, "%d-fold cross-validation on the %d rows to train on, mean ± standard deviation", v.Folds, v.Rows)
	heads := []string{"model"}
	for _, f := range figures {
		heads = append(heads, f.Title)
	}
	fmt.Fprintln(w)
	table := [][]string{heads}
	for i := range v.Candidates {
		c := &v.Candidates[i]
		row := []string{plain(c.Name)}
		for _, f := range figures {
			row = append(row, c.Score(f))
		}
		table = append(table, row)
	}
	widths := make([]int, len(heads))
	for _, row := range table {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range table {
		line := row[0] + strings.Repeat(" ", widths[0]-len([]rune(row[0])))
		for i, cell := range row[1:] {
			line += strings.Repeat(" ", 2+widths[i+1]-len([]rune(cell))) + cell
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}
