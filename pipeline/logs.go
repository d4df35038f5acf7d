package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// MaxLogs bounds what is kept of what one attempt logs, in bytes.
const MaxLogs = 1 << 20

// logsCut is the last line of logs that were more.
const logsCut = "... more was logged; no more than 1 MiB of an attempt is kept\n"

// logCapture hands on what a stage logs, and keeps it as text.
type logCapture struct {
	next *slog.Logger

	mu   sync.Mutex // a stage may log from many goroutines, and from some that outlive it
	text []byte
	full bool
}

func newLogCapture(next *slog.Logger) *logCapture {
	if next == nil {
		next = slog.New(slog.DiscardHandler)
	}
	return &logCapture{next: next}
}

// logger returns the logger for the stage.
func (l *logCapture) logger() *slog.Logger {
	return slog.New(teeHandler{l.next.Handler(), slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})})
}

// Write keeps one line, unless the text would be too long.
func (l *logCapture) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.full:
	case len(l.text)+len(p) > MaxLogs-len(logsCut):
		l.text, l.full = append(l.text, logsCut...), true
	default:
		l.text = append(l.text, p...)
	}
	return len(p), nil
}

// take ends the capture and returns its text.
func (l *logCapture) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = true
	return l.text
}

// teeHandler hands records to both handlers. What next leaves out is kept all the same, from level info on.
type teeHandler struct{ next, kept slog.Handler }

func (t teeHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || t.next.Enabled(ctx, level)
}

func (t teeHandler) Handle(ctx context.Context, r slog.Record) error {
	err := t.kept.Handle(ctx, r)
	if t.next.Enabled(ctx, r.Level) {
		err = errors.Join(err, t.next.Handle(ctx, r))
	}
	return err
}

func (t teeHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return teeHandler{t.next.WithAttrs(attrs), t.kept.WithAttrs(attrs)}
}

func (t teeHandler) WithGroup(name string) slog.Handler {
	return teeHandler{t.next.WithGroup(name), t.kept.WithGroup(name)}
}

// lateLogs is how long storing logs may take once the attempt's context has ended: whoever waits for the slot does not
// wait for them.
const lateLogs = 500 * time.Millisecond

// keepLogs stores what the stage logged. That it cannot is no fault of the stage.
func (x *Executor) keepLogs(ctx context.Context, l *logCapture, out *Outcome) {
	text := l.take()
	if len(text) == 0 || x.Store == nil {
		return
	}
	start := time.Now()
	defer func() { out.StoreS += time.Since(start).Seconds() }()
	if ctx.Err() != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lateLogs)
		defer cancel()
		ctx = late
	}
	ref, err := x.Store.PutBytes(ctx, text)
	if err != nil {
		l.next.Warn("storing the log of a stage", "error", err)
		return
	}
	out.Logs = &ref
	x.emit(LogsCaptured, strconv.Itoa(len(text))+" bytes", map[string]string{"logs": ref.Digest.String()})
}
