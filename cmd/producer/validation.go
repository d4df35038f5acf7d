package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hashline/hashline/summary"
)

// maxCandidates is how many candidates of a search the summary lists, besides the best of each model.
const maxCandidates = 10

// printValidation shows what cross-validation found out.
func printValidation(w io.Writer, runID string, v *summary.Validation) {
	if v.Searched() {
		printSearch(w, runID, v)
		return
	}
	fmt.Fprintf(w, "%d-fold cross-validation on the %d rows to train on, mean ± standard deviation\n", v.Folds, v.Rows)
	table := [][]string{{"model"}}
	for _, f := range v.Figures() {
		table[0] = append(table[0], f.Title)
	}
	for i := range v.Candidates {
		row := []string{plain(v.Candidates[i].Name)}
		for _, f := range v.Figures() {
			row = append(row, v.Candidates[i].Score(f))
		}
		table = append(table, row)
	}
	printTable(w, table, len(table[0]))
}

// printSearch lists the candidates that are ahead, and the best of each model.
func printSearch(w io.Writer, runID string, v *summary.Validation) {
	head := v.Ranking()
	fmt.Fprintf(w, "search: %s by %s, mean ± standard deviation over %d folds of the %d rows to train on\n", counted(len(v.Candidates), "candidate"), head[0].Title, v.Folds, v.Rows)
	table := [][]string{{"", "candidate"}}
	for _, f := range head {
		table[0] = append(table[0], f.Title)
	}
	table[0] = append(table[0], "settings")
	more := 0
	for i := range v.Candidates {
		c := &v.Candidates[i]
		if i >= maxCandidates && !c.Chosen {
			more++
			continue
		}
		rank := strconv.Itoa(c.Rank)
		if c.Chosen {
			rank = "* " + rank
		}
		row := []string{rank, plain(c.Name)}
		for _, f := range head {
			row = append(row, c.Score(f))
		}
		table = append(table, append(row, short(plain(c.Settings()), 100)))
	}
	printTable(w, table, len(table[0])-1)
	note := "* the best of its model, with whose settings it was trained"
	if more > 0 {
		note += fmt.Sprintf("; `producer get %s cv_results/results` has %d more", runID, more)
	}
	fmt.Fprintln(w, note)
}

// printTable aligns the column of names left and figures right; from column text on cells are text, too.
func printTable(w io.Writer, table [][]string, text int) {
	name := 0
	if table[0][0] == "" { // ranks
		name = 1
	}
	widths := make([]int, len(table[0]))
	for _, row := range table {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range table {
		line := ""
		for i, cell := range row {
			gap := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if i == name || i >= text {
				cell += gap
			} else {
				cell = gap + cell
			}
			if i > 0 {
				line += "  "
			}
			line += cell
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}
