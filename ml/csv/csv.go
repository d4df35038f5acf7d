// Package csv reads tables of text as they come: any of the usual delimiters, quoting, encodings, line ends and date and
// number formats, with the blemishes of real files.
//
// Read finds the encoding and the type of every column from all of its values and keeps the evidence. It goes over the
// input once, keeping each distinct text of a column once, and again only for columns of very many different numbers.
// What cannot be read is an *InputError that says what, where and what next.
//
//   - Delimiters: comma, semicolon, tab or |, found from the first records, or named by a first line such as sep=;.
//   - Encodings: UTF-8 with or without a byte order mark, UTF-16 with one, else Windows-1252.
//   - Quotes as in RFC 4180, spaces around them aside; a quote inside an unquoted field, and one inside a quoted field
//     that no delimiter follows, is text. Values lose surrounding white space. Blank lines are skipped.
//   - Numbers: 1234.5, 1e-3, 1,234.5 and, where the delimiter or quotes allow it, the decimal comma 1.234,5. Thousands may
//     be grouped by spaces and apostrophes too: 1 234,5 and 1'234.5. All numbers of a column may carry one and the same of
//     % $ € £ ¥, which is left off: 45% is 45. Texts such as inf, and numbers beyond the range of float64, become missing
//     values. A leading zero (007) makes a column text.
//   - Dates: 2016-11-08, 2016/11/08, 11/8/2016 or 8/11/2016 (also with . and -), each with an optional time of day, which
//     is dropped; 11/8/16 and 08.11.16 have years from 1969 to 2068. Which of month and day comes first is decided over the
//     whole column; where both fit, it is the month, except with dots, where it is the day.
//   - Booleans: true/false, yes/no, y/n, t/f in any case.
//   - Missing: the empty text and the texts of MissingTexts.
//   - A row with another number of fields than the header is left out and reported; more than 10 such rows that are also
//     more than 1 % of all stop the reading.
package csv

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hashline/hashline/ml/frame"
)

// Limits. A file beyond one is refused before it takes much memory.
const (
	MaxColumns     = 10_000
	MaxRecordBytes = 16 << 20
)

// MissingTexts are the texts, besides the empty one, that stand for a missing value; they are those of pandas.
var MissingTexts = []string{
	"#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
	"N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
}

// Options say how to read. The zero value finds out everything by itself.
type Options struct {
	Delimiter rune                  // 0: found
	Encoding  string                // "": found; else utf-8, utf-16le, utf-16be or windows-1252
	Missing   []string              // texts that are missing values, besides MissingTexts
	Types     map[string]frame.Type // types of columns by name, instead of the inferred ones
	File      string                // its name in messages
	Cores     int                   // goroutines that may work on it; never changes a result
}

// Source opens the input from its start; Read calls it more than once.
type Source func() (io.ReadCloser, error)

// InputError says what is wrong with the input. Line and Column are 1-based, 0 when they do not apply; Column counts
// fields.
type InputError struct {
	Message string
	File    string
	Line    int
	Column  int
	Hint    string
}

func (e *InputError) Error() string { return e.Message }

// Quote shortens hostile text for a message and makes every control character visible.
func Quote(s string) string {
	const most = 60
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strconv.QuoteToGraphic(s)
}

// ShellQuote makes text fit to be copied into a command line: nothing in it means anything to a shell.
func ShellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Report says how the input was read and why.
type Report struct {
	Encoding    string         `json:"encoding"`
	Delimiter   string         `json:"delimiter"`
	Rows        int            `json:"rows"`
	Columns     []ColumnReport `json:"columns"`
	RaggedCount int            `json:"ragged_count"`
	Ragged      []RaggedRow    `json:"ragged"` // the first maxRaggedKept of them
	Renamed     []string       `json:"renamed"`
	Complete    bool           `json:"complete"` // false when only the head was looked at
}

// RaggedRow is a row that was left out for its number of fields.
type RaggedRow struct {
	Line   int `json:"line"`
	Fields int `json:"fields"`
}

// ColumnReport is what was found about a column.
type ColumnReport struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"`
	Evidence   string   `json:"evidence"`              // why it has that type, one sentence
	DateLayout string   `json:"date_layout,omitempty"` // ISO, MDY or DMY
	Numbers    string   `json:"numbers,omitempty"`     // plain, thousands or comma, and the affix, as in "plain %"
	Missing    int      `json:"missing"`
	Infinite   int      `json:"infinite,omitempty"` // of the missing, those that said infinity or are too large
	Distinct   int      `json:"distinct"`           // of numbers and dates counted up to 65536
	Examples   []string `json:"examples"`
}

// Column returns the report on a column, or nil.
func (r *Report) Column(name string) *ColumnReport {
	for i := range r.Columns {
		if r.Columns[i].Name == name {
			return &r.Columns[i]
		}
	}
	return nil
}

const (
	maxRaggedKept = 100
	maxDistinct   = 1 << 16
	maxExamples   = 3
)

// tooRagged stops the reading when the file is not what it seems to be.
func (r *Report) tooRagged(fields int, file string) error {
	all := r.Rows + r.RaggedCount
	if r.RaggedCount == 0 || (r.Rows > 0 && (r.RaggedCount <= 10 || r.RaggedCount*100 <= all)) {
		return nil
	}
	first := r.Ragged[0]
	return &InputError{
		Message: fmt.Sprintf("%d of %d rows do not have %d fields like the header: %s", r.RaggedCount, all, fields, r.RaggedLines(5)),
		File:    file, Line: first.Line,
		Hint: "check the delimiter and the quotes of the file, or mend those rows",
	}
}

// RaggedLines lists the first ragged rows, up to most of them: "line 7 has 3, line 9 has 2, and 4 more".
func (r *Report) RaggedLines(most int) string {
	var b strings.Builder
	for i, row := range r.Ragged[:min(most, len(r.Ragged))] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "line %d has %d", row.Line, row.Fields)
	}
	if more := r.RaggedCount - most; more > 0 {
		fmt.Fprintf(&b, ", and %d more", more)
	}
	return b.String()
}
