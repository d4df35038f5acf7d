package csv

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// batch is a run of rows of the same number of fields, in a buffer of its own.
type batch struct {
	buf         []byte // with lookAhead bytes behind the last field
	spans       []span // row by row
	lines       []int  // on which each row begins
	width       int
	ragged      []RaggedRow // rows in between with another number of fields
	raggedCount int
}

func (b *batch) rows() int { return len(b.lines) }

// field returns a value without the white space around it.
func (b *batch) field(row, column int) []byte {
	sp := b.spans[row*b.width+column]
	return trim(b.buf[sp.from:sp.to])
}

// maxSpans bounds the fields of a batch, so that short fields do not make it large.
const maxSpans = 1 << 17

// batch fills b with the rows that the buffer holds, at least one and at most limit; io.EOF says that there are none. Its
// rows depend on the text alone, not on how the text arrives.
func (s *scanner) batch(b *batch, width, limit int) error {
	s.spans, s.doubled = b.spans[:0], s.doubled[:0]
	*b = batch{buf: b.buf, lines: b.lines[:0], width: width, ragged: b.ragged[:0]}
	from := s.start
	var err error
	for len(b.lines) < limit && len(s.spans) < maxSpans {
		mark := len(s.spans)
		var line int
		if line, err = s.take(); err != nil {
			if !errors.Is(err, errMore) || len(b.lines) > 0 {
				break
			}
			if err = s.check(from); err == nil {
				err = s.fill()
			}
			if err != nil {
				break
			}
			from = 0
			continue
		}
		switch n := len(s.spans) - mark; {
		case s.blank(mark):
			s.spans = s.spans[:mark]
		case n != width:
			b.addRagged(line, n)
			s.drop(mark)
		default:
			b.lines = append(b.lines, line)
		}
	}
	if bad := s.check(from); bad != nil {
		return bad
	}
	s.undouble()
	b.spans = s.spans
	if len(b.lines) > 0 {
		s.handOver(b)
		return nil // an error will be met again
	}
	return err
}

// check holds the text from from to start to its encoding.
func (s *scanner) check(from int) error {
	if s.utf8 && !utf8.Valid(s.buf[from:s.start]) {
		return errNotUTF8
	}
	return nil
}

// drop forgets the spans from mark on.
func (s *scanner) drop(mark int) {
	s.spans = s.spans[:mark]
	for len(s.doubled) > 0 && s.doubled[len(s.doubled)-1] >= mark {
		s.doubled = s.doubled[:len(s.doubled)-1]
	}
}

// handOver gives the buffer to the batch and goes on with the batch's old one.
func (s *scanner) handOver(b *batch) {
	rest := s.buf[s.start:s.end]
	spare := b.buf
	if room := max(s.size, len(rest)) + lookAhead; len(spare) < room {
		spare = make([]byte, room)
	}
	s.end = copy(spare, rest)
	s.start = 0
	b.buf, s.buf = s.buf, spare
}

func (b *batch) addRagged(line, fields int) {
	b.raggedCount++
	if len(b.ragged) < maxRaggedKept {
		b.ragged = append(b.ragged, RaggedRow{Line: line, Fields: fields})
	}
}

// scanned is a batch, or why there is none.
type scanned struct {
	batch *batch
	err   error
}

// each calls use with every batch of rows up to the end of the input. With more than one core the next batch is scanned
// meanwhile.
func (s *scanner) each(ctx context.Context, width, cores int, use func(*batch) error) error {
	if cores < 2 {
		return s.eachHere(ctx, width, use)
	}
	full, free, stop := make(chan scanned), make(chan *batch, 2), make(chan struct{})
	free <- &batch{}
	free <- &batch{}
	var done sync.WaitGroup
	defer done.Wait()
	defer close(stop)
	done.Go(func() {
		for b := range free {
			err := s.batch(b, width, maxSpans)
			select {
			case full <- scanned{b, err}:
			case <-stop:
				return
			}
			if err != nil {
				return
			}
		}
	})
	defer close(free)
	for {
		next := <-full
		if err := rowsOf(ctx, next, use); err != nil {
			return atEnd(err)
		}
		free <- next.batch
	}
}

func (s *scanner) eachHere(ctx context.Context, width int, use func(*batch) error) error {
	b := &batch{}
	for {
		err := s.batch(b, width, maxSpans)
		if err := rowsOf(ctx, scanned{b, err}, use); err != nil {
			return atEnd(err)
		}
	}
}

// rowsOf uses a batch. The last one has no rows and an error, but may have ragged rows.
func rowsOf(ctx context.Context, next scanned, use func(*batch) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if next.err != nil && !errors.Is(next.err, io.EOF) {
		return next.err
	}
	if err := use(next.batch); err != nil {
		return err
	}
	return next.err
}

func atEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// parallel calls do with 0 to n-1, on up to cores goroutines, and returns when all are done.
func parallel(cores, n int, do func(int)) {
	if cores = min(cores, n); cores < 2 {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	var done sync.WaitGroup
	for range cores {
		done.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	done.Wait()
}
