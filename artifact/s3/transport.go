package s3

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// slowest is the rate in bytes per second below which a server is given up even though it does something.
const slowest = 64 << 10

// transport bounds every request. The server is given up when nothing moves for the patience, be it that it takes no bytes of
// the request, does not answer, or sends none of its answer; and when all takes longer than at the slowest rate. It also
// keeps the server's clock.
type transport struct {
	http     *http.Transport
	patience time.Duration
	ahead    atomic.Int64 // nanoseconds by which the server's clock is ahead of ours
}

func newTransport(patience time.Duration) *transport {
	dial := &net.Dialer{Timeout: min(patience, 5*time.Second), KeepAlive: 15 * time.Second}
	return &transport{patience: patience, http: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dial.DialContext, TLSHandshakeTimeout: min(patience, 10*time.Second),
		MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		DisableCompression: true, // the bytes are wanted as they are stored
	}}
}

// matchKey is the key of an entity tag in the context of a request that is for the object of that tag alone. The client has
// no option for it where it deletes.
type matchKey struct{}

// RoundTrip sends the request, which the client tries again; all but the one that asks for the bucket's region, which it does
// not and which comes first of all.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || !r.URL.Query().Has("location") {
		return t.once(r)
	}
	for try := 1; ; try++ {
		resp, err := t.once(r)
		if try == tries || err == nil && resp.StatusCode < 500 || r.Context().Err() != nil {
			return resp, err
		}
		if err == nil {
			_ = resp.Body.Close()
		}
		pause(r.Context(), try)
	}
}

func (t *transport) once(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	w := &watch{ctx: ctx, patience: t.patience, cancel: cancel}
	w.silence = time.AfterFunc(w.patience, w.giveUp)
	w.whole = time.AfterFunc(t.limit(r.ContentLength), w.giveUp)
	if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") { // the parts of a large object are put together, which takes a while
		w.patience *= 10
		w.moved()
		w.whole.Reset(2 * w.patience)
	}
	resp, err := t.http.RoundTrip(w.request(r))
	if err != nil {
		err = w.explain(err)
		w.end()
		return nil, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		t.ahead.Store(int64(time.Until(date)))
	}
	w.silence.Stop()
	w.whole.Reset(t.limit(resp.ContentLength))
	resp.Body = &answer{resp.Body, w}
	return resp, nil
}

func (t *transport) limit(bytes int64) time.Duration {
	return t.patience + time.Duration(max(0, bytes)/slowest)*time.Second
}

// now is the time by the server's clock, to the second.
func (t *transport) now() time.Time { return time.Now().Add(time.Duration(t.ahead.Load())) }

// watch ends a request that does not get on.
type watch struct {
	ctx            context.Context
	cancel         context.CancelCauseFunc
	patience       time.Duration
	silence, whole *time.Timer
	body           *sent // nil: the request has none
}

func (w *watch) giveUp() { w.cancel(errSilent) }

func (w *watch) moved() { w.silence.Reset(w.patience) }

func (w *watch) end() {
	if w.body != nil {
		w.body.giveBack()
	}
	w.silence.Stop()
	w.whole.Stop()
	w.cancel(nil)
}

// explain tells a server that was given up from other ends.
func (w *watch) explain(err error) error {
	if context.Cause(w.ctx) == errSilent {
		return errSilent
	}
	return err
}

// request returns the request with what the watch needs.
func (w *watch) request(r *http.Request) *http.Request {
	tag, matches := r.Context().Value(matchKey{}).(string)
	r = r.Clone(w.ctx)
	if matches && r.Method == http.MethodDelete {
		r.Header.Set("If-Match", `"`+tag+`"`)
	}
	if r.Body != nil && r.Body != http.NoBody {
		w.body = &sent{ReadCloser: r.Body, watch: w}
		r.Body, r.GetBody = w.body, nil
	}
	return r
}

// sent is the body of a request: reading it is what the connection does when the server takes bytes. A server may answer before
// it has them all, and the connection then reads on, while the client winds what it reads from back to try again: so the end of
// the request takes the body from the connection.
type sent struct {
	io.ReadCloser
	watch *watch
	mu    sync.Mutex
	over  bool
}

func (s *sent) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return 0, errOver
	}
	s.watch.moved()
	return s.ReadCloser.Read(p)
}

// giveBack returns when nothing reads the body, and nothing will.
func (s *sent) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// answer is the body of a response.
type answer struct {
	io.ReadCloser
	watch *watch
}

func (a *answer) Read(p []byte) (int, error) {
	a.watch.moved()
	n, err := a.ReadCloser.Read(p)
	a.watch.silence.Stop() // what the reader does meanwhile is not the server's fault
	if err != nil && err != io.EOF {
		err = a.watch.explain(err)
	}
	return n, err
}

func (a *answer) Close() error {
	a.watch.end()
	return a.ReadCloser.Close()
}
