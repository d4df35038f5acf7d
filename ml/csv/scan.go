package csv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// scanner splits UTF-8 text into records. The fields of a record are views into its buffer, valid until the next call.
type scanner struct {
	r     io.Reader
	delim byte
	file  string
	limit int // bytes of a record

	buf        []byte
	start, end int // the unread part of buf
	eof        bool
	line       int // of the next record, 1-based
	spans      []span
	record     [][]byte
}

// span is one field in the buffer; a quoted one that holds quotes still has them doubled.
type span struct {
	from, to int
	doubled  bool
}

func newScanner(r io.Reader, delim byte, file string) *scanner {
	return &scanner{r: r, delim: delim, file: file, limit: MaxRecordBytes, buf: make([]byte, 64<<10), line: 1}
}

// next returns the fields of the next record that is not blank and the line on which it begins; io.EOF at the end.
func (s *scanner) next() (fields [][]byte, line int, err error) {
	for {
		n, lines, err := s.parse()
		if errors.Is(err, errMore) {
			if err := s.fill(); err != nil {
				return nil, s.line, err
			}
			continue
		}
		if err != nil {
			return nil, s.line, err
		}
		line = s.line
		blank := len(s.spans) == 1 && s.spans[0].from == s.spans[0].to
		if !blank {
			s.collect()
		}
		s.start += n
		s.line += lines
		if !blank {
			return s.record, line, nil
		}
	}
}

var errMore = errors.New("the record goes on behind the buffer")

// parse finds the record at start: its spans, its length with the line end, and the line ends in it.
func (s *scanner) parse() (length, lines int, err error) {
	b := s.buf[s.start:s.end]
	if len(b) == 0 {
		if s.eof {
			return 0, 0, io.EOF
		}
		return 0, 0, errMore
	}
	s.spans = s.spans[:0]
	i := 0
	for {
		var done bool
		if i, done, err = s.field(b, i, &lines); err != nil {
			return 0, 0, err
		}
		if len(s.spans) > MaxColumns {
			return 0, 0, &InputError{Message: fmt.Sprintf("line %d has more than %d columns", s.line, MaxColumns), File: s.file, Line: s.line,
				Hint: "Hashline reads up to 10,000 columns: select the ones you need first, or check the delimiter"}
		}
		if done {
			return i, lines, nil
		}
	}
}

// field takes the field at i and returns what follows its delimiter; done when it ends the record.
func (s *scanner) field(b []byte, i int, lines *int) (next int, done bool, err error) {
	sp := span{from: s.start + i, to: -1}
	if i < len(b) && b[i] == '"' {
		i, sp, err = s.quoted(b, i, lines)
		if err != nil {
			return 0, false, err
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == s.delim || c == '\n' || c == '\r' {
			break
		}
	}
	if sp.to < 0 {
		sp.to = s.start + i
	}
	if i == len(b) {
		if !s.eof {
			return 0, false, errMore
		}
		s.spans = append(s.spans, sp)
		return i, true, nil
	}
	s.spans = append(s.spans, sp)
	switch b[i] {
	case s.delim:
		return i + 1, false, nil
	case '\r':
		if i+1 == len(b) && !s.eof {
			return 0, false, errMore
		}
		if i+1 < len(b) && b[i+1] == '\n' {
			i++
		}
	}
	*lines++
	return i + 1, true, nil
}

// quoted takes a quoted field up to the quote that ends it. A quote that neither a quote nor a delimiter follows is text.
func (s *scanner) quoted(b []byte, i int, lines *int) (int, span, error) {
	sp := span{from: s.start + i + 1}
	for j := i + 1; ; {
		k := bytes.IndexByte(b[j:], '"')
		if k < 0 {
			if !s.eof {
				return 0, sp, errMore
			}
			return 0, sp, &InputError{Message: fmt.Sprintf("the quote that opens on line %d is never closed", s.line+*lines), File: s.file, Line: s.line + *lines,
				Hint: "close the quote, or double it if it is part of the text"}
		}
		k += j
		if k+1 == len(b) && !s.eof {
			return 0, sp, errMore
		}
		if k+1 < len(b) && b[k+1] == '"' {
			sp.doubled = true
			j = k + 2
			continue
		}
		if k+1 < len(b) && b[k+1] != s.delim && b[k+1] != '\n' && b[k+1] != '\r' {
			j = k + 1
			continue
		}
		sp.to = s.start + k
		*lines += countLines(b[i+1 : k])
		return k + 1, sp, nil
	}
}

func countLines(b []byte) int {
	n := bytes.Count(b, []byte{'\n'})
	if n == 0 {
		return bytes.Count(b, []byte{'\r'})
	}
	return n
}

// collect turns spans into fields; doubled quotes are undone in place, which is safe once the record is complete.
func (s *scanner) collect() {
	s.record = s.record[:0]
	for _, sp := range s.spans {
		f := s.buf[sp.from:sp.to]
		if sp.doubled {
			f = undouble(f)
		}
		s.record = append(s.record, f)
	}
}

func undouble(f []byte) []byte {
	to := 0
	for i := 0; i < len(f); i++ {
		f[to] = f[i]
		to++
		if f[i] == '"' && i+1 < len(f) && f[i+1] == '"' {
			i++
		}
	}
	return f[:to]
}

// fill reads more behind the unread part, moving it to the front and growing the buffer up to the limit.
func (s *scanner) fill() error {
	if s.start > 0 {
		s.end = copy(s.buf, s.buf[s.start:s.end])
		s.start = 0
	}
	if s.end == len(s.buf) {
		if s.end >= s.limit {
			return s.tooLong()
		}
		grown := make([]byte, min(2*len(s.buf), s.limit))
		copy(grown, s.buf[:s.end])
		s.buf = grown
	}
	for {
		n, err := s.r.Read(s.buf[s.end:])
		chunk := s.buf[s.end : s.end+n]
		s.end += n
		if bytes.IndexByte(chunk, 0) >= 0 {
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
		if n > 0 {
			return nil
		}
	}
}

func (s *scanner) tooLong() error {
	e := &InputError{Message: fmt.Sprintf("the record on line %d is longer than %d MB", s.line, s.limit>>20), File: s.file, Line: s.line,
		Hint: "check the line ends of the file"}
	if s.end > 0 && bytes.IndexByte(s.buf[:s.end], '"') >= 0 {
		e.Hint = "check the line ends of the file, and for a quote that is never closed"
	}
	return e
}
