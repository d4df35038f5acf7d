package csv

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

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

// text is input as UTF-8.
type text struct {
	*bufio.Reader
	encoding string
	marked   bool // by a byte order mark
}

// decoded returns r as UTF-8 without byte order mark. Without a mark and without a name it is taken for UTF-8; whoever
// reads on must check.
func decoded(r io.Reader, name, file string) (text, error) {
	b := bufio.NewReaderSize(r, sniffBytes)
	head, err := b.Peek(8)
	if err != nil && !errors.Is(err, io.EOF) {
		return text{}, err
	}
	if err := refuseKnown(head, file); err != nil {
		return text{}, err
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
		return text{}, err
	}
	var e encoding.Encoding
	switch strings.ToLower(name) {
	case "", utf8Name:
		return text{b, utf8Name, skip > 0}, nil
	case lateName:
		return text{bufio.NewReaderSize(&lateText{r: b}, sniffBytes), utf8Name, false}, nil
	case utf16LE:
		e = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case utf16BE:
		e = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case windows:
		e = charmap.Windows1252
	default:
		return text{}, &InputError{Message: fmt.Sprintf("%s is no encoding that can be read", Quote(name)), File: file,
			Hint: "want utf-8, utf-16le, utf-16be or windows-1252"}
	}
	return text{bufio.NewReaderSize(e.NewDecoder().Reader(b), sniffBytes), name, skip > 0}, nil
}

// refuseKnown names the kind of a file that is no text, where its first bytes tell.
func refuseKnown(head []byte, file string) error {
	for _, known := range []struct{ magic, what, hint string }{
		{"PK\x03\x04", "a ZIP archive or an office document", "export the table as CSV, or unpack the archive"},
		{"\x1f\x8b", "compressed with gzip", "unpack it first: gunzip -c FILE | producer submit -"},
		{"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first: zstdcat FILE | producer submit -"},
		{"BZh", "compressed with bzip2", "unpack it first: bzcat FILE | producer submit -"},
		{"\xfd7zXZ\x00", "compressed with xz", "unpack it first: xzcat FILE | producer submit -"},
		{"PAR1", "a Parquet file", "export the table as CSV"},
		{"\xd0\xcf\x11\xe0", "an old office document", "export the table as CSV"},
		{"%PDF-", "a PDF document", "export the table as CSV"},
		{"SQLite ", "an SQLite database", "export the table as CSV"},
	} {
		if bytes.HasPrefix(head, []byte(known.magic)) && (known.magic != "BZh" || (len(head) > 4 && head[4] == '1')) {
			return &InputError{Message: "the file is no table of text: it is " + known.what, File: file, Hint: known.hint}
		}
	}
	return nil
}

// lateName is the encoding of a text that has been ASCII so far.
const lateName = "ascii"

// lateText decides between UTF-8 and Windows-1252 where the first byte beyond ASCII stands.
type lateText struct {
	r       *bufio.Reader
	decided io.Reader
}

func (t *lateText) Read(p []byte) (int, error) {
	if t.decided != nil {
		return t.decided.Read(p)
	}
	head, err := t.r.Peek(sniffBytes)
	if len(head) == 0 {
		return 0, err
	}
	n := 0
	for n < len(head) && head[n] < utf8.RuneSelf {
		n++
	}
	if n > 0 {
		n = copy(p, head[:n])
		_, err := t.r.Discard(n)
		return n, err
	}
	t.decided = t.r
	if !validPrefix(head) {
		t.decided = charmap.Windows1252.NewDecoder().Reader(t.r)
	}
	return t.decided.Read(p)
}

// validPrefix reports whether b is the beginning of a UTF-8 text; its last character may be cut.
func validPrefix(b []byte) bool {
	for cut := range min(utf8.UTFMax, len(b)+1) {
		if utf8.Valid(b[:len(b)-cut]) {
			return cut == 0 || !utf8.FullRune(b[len(b)-cut:])
		}
	}
	return false
}

// delimiters are tried in this order; the first of the best wins.
var delimiters = []byte{',', ';', '\t', '|'}

// findDelimiter picks the delimiter under which the first records agree best on a number of fields above one.
func findDelimiter(head []byte, whole bool, file string) byte {
	best, bestScore := byte(','), 0.0
	for _, d := range delimiters {
		first, agree, records := countFields(head, !whole, d, file)
		if records == 0 { // a header that is longer than the head
			first, agree, records = countFields(head, false, d, file)
		}
		if first < 2 {
			continue
		}
		// How many records agree with the header, then how many columns there are.
		score := float64(agree)/float64(records) + float64(first)/float64(first+1)
		if score > bestScore {
			best, bestScore = d, score
		}
	}
	return best
}

// countFields returns the fields of the first record, and how many of the first records have as many.
func countFields(head []byte, partial bool, delim byte, file string) (first, agree, records int) {
	s := newScanner(bytes.NewReader(head), delim, file)
	s.size, s.limit = len(head)+1, max(len(head)+1, sniffBytes)
	s.partial = partial
	for records < 200 {
		fields, _, err := s.next()
		if err != nil {
			break
		}
		if records == 0 {
			first = len(fields)
		}
		if len(fields) == first {
			agree++
		}
		records++
	}
	return first, agree, records
}

// open starts a scanner over r behind its encoding and with its delimiter, which a first line sep=; names.
func (o *Options) open(r io.Reader) (*scanner, string, error) {
	t, err := decoded(r, o.Encoding, o.File)
	if err != nil {
		return nil, "", err
	}
	if o.Delimiter != 0 && (o.Delimiter > 126 || o.Delimiter < 9 || strings.ContainsRune("\n\r\"", o.Delimiter)) {
		return nil, "", &InputError{Message: fmt.Sprintf("%s cannot be a delimiter", Quote(string(o.Delimiter))), Hint: "want one ASCII character, such as , or ;"}
	}
	delim, line := byte(o.Delimiter), 1
	if named, length := sepLine(t.Reader); length > 0 {
		if _, err := t.Discard(length); err != nil {
			return nil, "", err
		}
		line = 2
		if delim == 0 {
			delim = named
		}
	}
	if delim == 0 {
		head, err := t.Peek(sniffBytes)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, "", err
		}
		delim = findDelimiter(head, err != nil, o.File)
	}
	s := newScanner(t, delim, o.File)
	s.line, s.utf8, s.marked = line, t.encoding == utf8Name, t.marked
	return s, t.encoding, nil
}

// sepLine recognizes the line with which Excel is told the delimiter.
func sepLine(b *bufio.Reader) (delim byte, length int) {
	head, _ := b.Peek(7)
	if len(head) < 6 || !bytes.EqualFold(head[:4], []byte("sep=")) || !bytes.Contains(delimiters, head[4:5]) {
		return 0, 0
	}
	switch {
	case len(head) > 6 && head[5] == '\r' && head[6] == '\n':
		return head[4], 7
	case head[5] == '\n' || head[5] == '\r':
		return head[4], 6
	}
	return 0, 0
}
