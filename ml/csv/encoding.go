package csv

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// Encodings, by the names that reports use.
const (
	utf8Name   = "utf-8"
	utf16LE    = "utf-16le"
	utf16BE    = "utf-16be"
	windows    = "windows-1252"
	sniffBytes = 64 << 10
)

// decoded returns r as UTF-8 without byte order mark, and the name of its encoding. Without a mark and without a name it
// is taken for UTF-8; whoever reads on must check.
func decoded(r io.Reader, name, file string) (io.Reader, string, error) {
	b := bufio.NewReaderSize(r, sniffBytes)
	head, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	skip := 0
	switch {
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}) && (name == "" || name == utf8Name):
		name, skip = utf8Name, 3
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}) && (name == "" || name == utf16LE):
		name, skip = utf16LE, 2
	case bytes.HasPrefix(head, []byte{0xFE, 0xFF}) && (name == "" || name == utf16BE):
		name, skip = utf16BE, 2
	}
	if _, err := b.Discard(skip); err != nil {
		return nil, "", err
	}
	var e encoding.Encoding
	switch strings.ToLower(name) {
	case "", utf8Name:
		return b, utf8Name, nil
	case utf16LE:
		e = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case utf16BE:
		e = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case windows:
		e = charmap.Windows1252
	default:
		return nil, "", &InputError{Message: fmt.Sprintf("%s is no encoding that can be read", Quote(name)), File: file,
			Hint: "want utf-8, utf-16le, utf-16be or windows-1252"}
	}
	return e.NewDecoder().Reader(b), name, nil
}

// delimiters are tried in this order; the first of the best wins.
var delimiters = []byte{',', ';', '\t', '|'}

// findDelimiter picks the delimiter under which the first records agree best on a number of fields above one.
func findDelimiter(head []byte, whole bool, file string) byte {
	best, bestScore := byte(','), 0.0
	for _, d := range delimiters {
		s := newScanner(bytes.NewReader(head), d, file)
		s.limit = max(len(head)+1, sniffBytes)
		counts := map[int]int{}
		records, first := 0, 0
		for records < 200 {
			fields, _, err := s.next()
			if err != nil || (!whole && s.start == s.end) { // the last record of a cut head may be partial
				break
			}
			if records == 0 {
				first = len(fields)
			}
			counts[len(fields)]++
			records++
		}
		if first < 2 {
			continue
		}
		// How many records agree with the header, then how many columns there are.
		score := float64(counts[first])/float64(records) + float64(first)/float64(first+1)
		if score > bestScore {
			best, bestScore = d, score
		}
	}
	return best
}
