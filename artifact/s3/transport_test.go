package s3

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A server that answers before it has the whole body leaves the connection reading it. The client winds the body back as soon as it
// has closed the answer: from then on the connection gets nothing of it.
func TestBodyIsGivenBackWithTheAnswer(t *testing.T) {
	const text = "some bytes"
	body := strings.NewReader(text)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://server/", body)
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{ctx: t.Context(), cancel: func(error) {}, patience: time.Minute}
	w.silence, w.whole = time.AfterFunc(time.Hour, w.giveUp), time.AfterFunc(time.Hour, w.giveUp)
	sending := w.request(r).Body
	if _, err := io.ReadFull(sending, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if err := (&answer{io.NopCloser(strings.NewReader("")), w}).Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := sending.Read(make([]byte, 4)); n != 0 || !errors.Is(err, errOver) || body.Len() != len(text)-4 {
		t.Errorf("read %d bytes, %v, %d left", n, err, body.Len())
	}
}
