package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/ml/frame"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/sample"
)

// source is a table on its way into the store.
type source struct {
	name    string
	builtin bool
	head    []byte
	whole   bool // the head is all of it
	rest    io.Reader
	close   func() error
}

// Sizes of the part that is looked at before anything is stored: enough for the header and a few hundred rows, and more
// only for a header that is longer.
const (
	headBytes    = 128 << 10
	maxHeadBytes = csv.MaxRecordBytes + 1<<20
)

// fifoPatience is how long a named pipe may stay silent.
const fifoPatience = 5 * time.Second

func badFile(name, format string, args ...any) *pipeline.Error {
	e := pipeline.BadInput(format, args...)
	e.File = name
	return e
}

// openSource opens a file, - for standard input, or nothing for the data that the program carries.
func (a *app) openSource(ctx context.Context, path string) (*source, error) {
	switch path {
	case "":
		data, err := sample.Superstore()
		if err != nil {
			return nil, err
		}
		return &source{name: sample.Name, builtin: true, head: data, whole: true, close: func() error { return nil }}, nil
	case "-":
		if f, ok := a.in.(*os.File); ok {
			if term.IsTerminal(int(f.Fd())) {
				return nil, badFile("-", "standard input is a terminal").WithHint("give a file, or send a table through a pipe")
			}
		}
		return newSource("-", newCancelReader(ctx, a.in), func() error { return nil })
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, badFile(path, "there is no such file").WithHint("check the path")
	case err != nil:
		return nil, badFile(path, "the file cannot be read: %v", errors.Unwrap(err))
	case info.IsDir():
		return nil, badFile(path, "it is a directory").WithHint("give a file with a table, such as a CSV file")
	case info.Mode()&os.ModeNamedPipe != 0:
		return openFIFO(ctx, path)
	case !info.Mode().IsRegular():
		return nil, badFile(path, "it is no regular file").WithHint("give a file with a table, or - for standard input")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, badFile(path, "the file cannot be read: %v", errors.Unwrap(err))
	}
	s, err := newSource(path, f, f.Close)
	if err != nil {
		_ = f.Close()
	}
	return s, err
}

// openFIFO waits for the first bytes of a named pipe, though not for ever.
func openFIFO(ctx context.Context, path string) (*source, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, badFile(path, "the named pipe cannot be read: %v", errors.Unwrap(err))
	}
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })()
	deadline := time.Now().Add(fifoPatience)
	first := make([]byte, 64<<10)
	for {
		_ = f.SetReadDeadline(deadline)
		n, err := f.Read(first)
		if n > 0 {
			_ = f.SetReadDeadline(time.Time{})
			s, err := newSource(path, io.MultiReader(bytes.NewReader(first[:n]), newCancelReader(ctx, f)), f.Close)
			if err != nil {
				_ = f.Close()
			}
			return s, err
		}
		if ctx.Err() != nil {
			_ = f.Close()
			return nil, context.Cause(ctx)
		}
		if time.Now().After(deadline) || errors.Is(err, os.ErrDeadlineExceeded) {
			_ = f.Close()
			return nil, badFile(path, "the named pipe gave no data for %v", fifoPatience).WithHint("start the program that writes into it")
		}
		select { // nobody has opened the other end yet
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// cancelReader ends a Read when its context does, though the other end of a pipe stays silent.
type cancelReader struct {
	ctx   context.Context
	chunk []byte
	next  chan []byte // what was read last
	err   error       // of the Read that gave it; set before next is sent to
	r     io.Reader
}

func newCancelReader(ctx context.Context, r io.Reader) *cancelReader {
	return &cancelReader{ctx: ctx, chunk: make([]byte, 64<<10), next: make(chan []byte, 1), r: r}
}

func (c *cancelReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil { // a Read may still be waiting
		return 0, context.Cause(c.ctx)
	}
	part := c.chunk[:min(len(p), len(c.chunk))]
	go func() {
		n, err := c.r.Read(part)
		c.err = err
		c.next <- part[:n]
	}()
	select {
	case b := <-c.next:
		return copy(p, b), c.err
	case <-c.ctx.Done():
		return 0, context.Cause(c.ctx)
	}
}

// newSource reads the head. A header that does not end in it is read to its end, up to the limit of a record.
func newSource(name string, r io.Reader, closeIt func() error) (*source, error) {
	s := &source{name: name, rest: r, close: closeIt}
	for limit := headBytes; ; limit = maxHeadBytes {
		part := make([]byte, limit-len(s.head))
		n, err := io.ReadFull(r, part)
		s.head = append(s.head, part[:n]...)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			s.whole = true
			return s, nil
		}
		if err != nil {
			return nil, badFile(name, "reading stopped after %d bytes: %v", len(s.head), err)
		}
		if limit == maxHeadBytes || bytes.IndexByte(s.head, '\n') >= 0 || bytes.IndexByte(s.head, '\r') >= 0 {
			return s, nil
		}
	}
}

// inspect finds columns and types in the head.
func (s *source) inspect(missing []string, types map[string]frame.Type) (*csv.Report, error) {
	head, whole := s.head, s.whole
	if len(head) > headBytes && s.builtin { // its head is enough, as for any file
		head, whole = head[:headBytes], false
	}
	r, err := csv.Inspect(head, whole, csv.Options{File: s.name, Missing: missing, Types: types})
	if e, ok := errors.AsType[*csv.InputError](err); ok {
		return nil, &pipeline.Error{Class: pipeline.ClassBadInput, Message: e.Message, File: s.name, Line: e.Line, Column: e.Column, Hint: e.Hint}
	}
	if err != nil {
		return nil, badFile(s.name, "the table cannot be read: %v", err)
	}
	if len(r.Columns) < 2 {
		return nil, badFile(s.name, "the file has one column").WithHint("a target and a feature need two; check the delimiter of the file")
	}
	return r, nil
}

// put streams the file into the store.
func (s *source) put(ctx context.Context, store *artifact.Store) (artifact.Ref, error) {
	var ref artifact.Ref
	var err error
	if s.whole { // and so shorter than any line that would be refused
		ref, err = store.PutBytes(ctx, s.head, artifact.Durable())
	} else {
		ref, err = store.Put(ctx, &lineGuard{r: newHeadReader(s), file: s.name}, artifact.Durable())
	}
	if err != nil {
		return ref, fmt.Errorf("storing %s: %w", filepath.Base(s.name), err)
	}
	return ref, nil
}

// lineGuard stops at a line that no reading of the file can accept, so that a huge one is not stored first. It counts
// bytes, of which UTF-16 has two where UTF-8 has one; a line between the two limits is left to the reader of the table.
type lineGuard struct {
	r       io.Reader
	file    string
	line    int // line breaks so far
	pending int // bytes since the last one
}

const maxLineBytes = 2*csv.MaxRecordBytes + 4

func (g *lineGuard) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	b := p[:n]
	g.line += bytes.Count(b, []byte{'\n'})
	if at := max(bytes.LastIndexByte(b, '\n'), bytes.LastIndexByte(b, '\r')); at >= 0 {
		g.pending = n - at - 1
	} else {
		g.pending += n
	}
	if g.pending > maxLineBytes {
		e := badFile(g.file, "line %d is longer than %d MB", g.line+1, csv.MaxRecordBytes>>20)
		e.Line = g.line + 1
		return 0, e.WithHint("check the line ends of the file")
	}
	return n, err
}

// newHeadReader reads the whole source, its head first.
func newHeadReader(s *source) io.Reader {
	if s.whole {
		return bytes.NewReader(s.head)
	}
	return io.MultiReader(bytes.NewReader(s.head), s.rest)
}
