package csv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// scanner splits UTF-8 text into records. The fields of a record are spans of its buffer.
type scanner struct {
	r       io.Reader
	delim   byte
	delims  uint64    // the delimiter in every byte
	stops   [256]bool // bytes that end an unquoted field
	file    string
	size    int  // bytes of a buffer, unless a record is longer
	limit   int  // bytes of a record
	partial bool // r is the head of a table: a record that ends with it may go on, and is none
	utf8    bool // the text must be UTF-8
	marked  bool // a byte order mark says so

	buf        []byte // whose last lookAhead bytes are no text
	start, end int    // the unread part of buf
	eof        bool
	line       int // of the next record, 1-based
	spans      []span
	doubled    []int // fields, by index in spans, whose quotes are still doubled
	record     [][]byte
}

// span is one field in the buffer.
type span struct{ from, to uint32 }

// bufferBytes is what a scanner reads at once.
const bufferBytes = 256 << 10

// shortQuoted is how far the end of a quoted field is looked for word by word; bytes.IndexByte is faster behind it.
const shortQuoted = 32

// lookAhead is the bytes behind a text that may be looked at, whatever they are: text is read by words of 8 bytes.
const lookAhead = 16

func newScanner(r io.Reader, delim byte, file string) *scanner {
	s := &scanner{r: r, delim: delim, delims: every(delim), file: file, size: bufferBytes, limit: MaxRecordBytes, line: 1}
	s.stops[delim], s.stops['\n'], s.stops['\r'] = true, true, true
	return s
}

var (
	errMore    = errors.New("the record goes on behind the buffer")
	errNotUTF8 = errors.New("the text is not UTF-8")
)

// next returns the fields of the next record that is not blank and the line on which it begins, or io.EOF. The fields
// are valid until the next call.
func (s *scanner) next() (fields [][]byte, line int, err error) {
	for {
		s.spans, s.doubled = s.spans[:0], s.doubled[:0]
		from := s.start
		line, err := s.take()
		if errors.Is(err, errMore) {
			if err := s.fill(); err != nil {
				return nil, s.line, err
			}
			continue
		}
		if err != nil {
			return nil, s.line, err
		}
		if s.blank(0) {
			continue
		}
		if s.utf8 && !utf8.Valid(s.buf[from:s.start]) {
			return nil, line, errNotUTF8
		}
		s.undouble()
		s.record = s.record[:0]
		for _, sp := range s.spans {
			s.record = append(s.record, s.buf[sp.from:sp.to])
		}
		return s.record, line, nil
	}
}

// blank reports whether the spans from mark on are an empty line.
func (s *scanner) blank(mark int) bool {
	return len(s.spans) == mark+1 && s.spans[mark].from == s.spans[mark].to
}

// take appends the spans of the record at start, moves behind it and returns its line. Without a whole record in the
// buffer it changes nothing and returns errMore.
func (s *scanner) take() (line int, err error) {
	spans, doubled := len(s.spans), len(s.doubled)
	n, err := s.parse(s.buf[s.start:s.end])
	if err != nil {
		s.spans, s.doubled = s.spans[:spans], s.doubled[:doubled]
		return 0, err
	}
	line = s.line
	s.line += countLines(s.buf[s.start : s.start+n])
	s.start += n
	return line, nil
}

// parse appends the spans of the record that b begins with and returns its length with the line end. lookAhead bytes lie
// behind b.
func (s *scanner) parse(b []byte) (int, error) {
	if len(b) == 0 {
		if s.eof {
			return 0, io.EOF
		}
		return 0, errMore
	}
	ahead, base, spans := b[:len(b)+lookAhead], uint32(s.start), s.spans
	most := len(spans) + MaxColumns
	delim, delims := s.delim, s.delims
	for i := 0; ; {
		from, to, next := i, -1, 0
		switch ahead[i] {
		case ' ':
		case '"': // often short, without a quote inside
			for j, end := i+1, min(i+shortQuoted, len(b)); j < end; j += 8 {
				if quote := zeros(word(ahead, j) ^ quotes); quote != 0 {
					if j += firstByte(quote); j+1 < len(b) && s.stops[ahead[j+1]] {
						from, to, next = i+1, j, j+1
					}
					break
				}
			}
		default:
			for to = i; to < len(b); to += 8 {
				w := word(ahead, to)
				if stop := zeros(w^delims) | zeros(w^newlines) | zeros(w^returns); stop != 0 {
					to += firstByte(stop)
					break
				}
			}
			to = min(to, len(b))
			next = to
		}
		if to < 0 {
			s.spans = spans
			var err error
			if from, to, next, err = s.field(b, i); err != nil {
				return 0, err
			}
		}
		spans = append(spans, span{base + uint32(from), base + uint32(to)})
		if next < len(b) && b[next] == delim && len(spans) <= most {
			i = next + 1
			continue
		}
		s.spans = spans
		if len(spans) > most {
			return 0, &InputError{Message: fmt.Sprintf("line %d has more than %d columns", s.line, MaxColumns), File: s.file, Line: s.line,
				Hint: "Hashline reads up to 10,000 columns: select the ones you need first, or check the delimiter"}
		}
		return s.lineEnd(b, next)
	}
}

// field returns where the field at i, which may be quoted, begins and ends, and what follows it.
func (s *scanner) field(b []byte, i int) (from, to, next int, err error) {
	if at := s.opening(b, i); at >= 0 {
		to, next, err = s.quoted(b, at)
		return at + 1, to, next, err
	}
	for to = i; to < len(b) && !s.stops[b[to]]; {
		to++
	}
	return i, to, to, nil
}

// lineEnd returns what follows the line end at i, which is the end of b at the end of the input.
func (s *scanner) lineEnd(b []byte, i int) (int, error) {
	switch {
	case i == len(b) && !s.eof:
		return 0, errMore
	case i == len(b) && s.partial:
		return 0, io.EOF
	case i == len(b):
		return i, nil
	case b[i] == '\r' && i+1 == len(b) && !s.eof:
		return 0, errMore
	case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
		return i + 2, nil
	}
	return i + 1, nil
}

// opening returns where the quote of a quoted field at i stands, behind spaces at most, or -1.
func (s *scanner) opening(b []byte, i int) int {
	for i < len(b) && b[i] == ' ' && s.delim != ' ' {
		i++
	}
	if i < len(b) && b[i] == '"' {
		return i
	}
	return -1
}

// quoted returns where the quoted field that opens at i ends, and what follows its closing quote. A quote closes the
// field when a delimiter or a line end follows, behind spaces at most; two quotes are one in the text, and any other is
// text.
func (s *scanner) quoted(b []byte, i int) (end, next int, err error) {
	doubled := false
	for j := i + 1; ; {
		k := bytes.IndexByte(b[j:], '"')
		if k < 0 {
			return 0, 0, s.unclosed(b[:i])
		}
		k += j
		after := k + 1
		if after < len(b) && b[after] == '"' {
			doubled = true
			j = after + 1
			continue
		}
		for after < len(b) && b[after] == ' ' && s.delim != ' ' {
			after++
		}
		if after == len(b) && !s.eof {
			return 0, 0, errMore
		}
		if after < len(b) && !s.stops[b[after]] {
			j = k + 1
			continue
		}
		if doubled {
			s.doubled = append(s.doubled, len(s.spans))
		}
		return k, after, nil
	}
}

// unclosed says what a quote without its end means: before is the record up to the quote.
func (s *scanner) unclosed(before []byte) error {
	switch {
	case !s.eof:
		return errMore
	case s.partial:
		return io.EOF
	}
	line := s.line + countLines(before)
	return &InputError{Message: fmt.Sprintf("the quote that opens on line %d is never closed", line), File: s.file, Line: line,
		Hint: "close the quote, or double it if it is part of the text"}
}

// countLines counts line ends: those of Unix and Windows, or without any those of old Macs.
func countLines(b []byte) int {
	if n := bytes.Count(b, []byte{'\n'}); n > 0 {
		return n
	}
	return bytes.Count(b, []byte{'\r'})
}

// undouble makes one quote of two in the fields that have them, in place.
func (s *scanner) undouble() {
	for _, i := range s.doubled {
		sp := &s.spans[i]
		f := s.buf[sp.from:sp.to]
		to := 0
		for j := 0; j < len(f); j++ {
			f[to] = f[j]
			to++
			if f[j] == '"' && j+1 < len(f) && f[j+1] == '"' {
				j++
			}
		}
		sp.to = sp.from + uint32(to)
	}
	s.doubled = s.doubled[:0]
}

// fill reads until the buffer is full or the input ends, behind the unread part, which it moves to the front; a record
// that fills the buffer makes it grow, up to the limit.
func (s *scanner) fill() error {
	if s.start > 0 {
		s.end = copy(s.buf, s.buf[s.start:s.end])
		s.start = 0
	}
	room := max(0, len(s.buf)-lookAhead)
	if s.end == room {
		if s.end >= s.limit {
			return s.tooLong()
		}
		room = min(max(s.size, 4*room), s.limit)
		grown := make([]byte, room+lookAhead)
		copy(grown, s.buf[:s.end])
		s.buf = grown
	}
	for s.end < room {
		n, err := s.r.Read(s.buf[s.end:room])
		fresh := s.buf[s.end : s.end+n]
		s.end += n
		if bytes.IndexByte(fresh, 0) >= 0 {
			return &InputError{Message: "the file is not text: it has zero bytes", File: s.file,
				Hint: "export it as CSV; UTF-16 text needs a byte order mark"}
		}
		if errors.Is(err, io.EOF) {
			s.eof = true
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) tooLong() error {
	e := &InputError{Message: fmt.Sprintf("the record on line %d is longer than %d MB", s.line, s.limit>>20), File: s.file, Line: s.line,
		Hint: "check the line ends of the file"}
	if at := s.openQuote(s.buf[:s.end]); at >= 0 {
		e.Line += countLines(s.buf[:at])
		e.Message = fmt.Sprintf("the quote that opens on line %d is not closed within %d MB", e.Line, s.limit>>20)
		e.Hint = "close the quote, or double it if it is part of the text"
	}
	return e
}

// openQuote returns where the quoted field stands that b, the part of a record, ends in, or -1.
func (s *scanner) openQuote(b []byte) int {
	for i := 0; i < len(b); {
		if at := s.opening(b, i); at >= 0 {
			_, next, err := s.quoted(b, at)
			if err != nil {
				return at
			}
			i = next
		}
		for i < len(b) && !s.stops[b[i]] {
			i++
		}
		i++
	}
	return -1
}
