package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestFaults(t *testing.T) {
	const size = 1 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat("x", size))
	}))
	t.Cleanup(server.Close)
	p := Start(t, server.Listener.Addr().String())
	fetch := func(timeout time.Duration) (status int, n int64, err error) {
		client := &http.Client{Timeout: timeout, Transport: &http.Transport{}}
		resp, err := client.Post("http://"+p.Addr, "text/plain", strings.NewReader(strings.Repeat("y", size)))
		if err != nil {
			return 0, 0, err
		}
		defer resp.Body.Close()
		n, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, n, err
	}
	for name, c := range map[string]struct {
		fault   Fault
		timeout time.Duration
		status  int
		ok      bool
	}{
		"none":    {Fault{}, time.Minute, 200, true},
		"delay":   {Fault{Delay: time.Millisecond}, time.Minute, 200, true},
		"silent":  {Fault{Silent: true}, 50 * time.Millisecond, 0, false},
		"status":  {Fault{Status: 503}, time.Minute, 503, false},
		"request": {Fault{CutRequest: size / 2}, time.Minute, 0, false},
		"answer":  {Fault{CutAnswer: size / 2}, time.Minute, 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			p.Set(c.fault)
			status, n, err := fetch(c.timeout)
			if status != c.status || (err == nil && n == size) != c.ok {
				t.Errorf("got status %d, %d bytes, %v", status, n, err)
			}
			if hit := p.Hit() > 0; hit != (c.fault != Fault{}) {
				t.Errorf("hit: %v", hit)
			}
		})
	}
	p.Set(Fault{Status: 500, Times: 1})
	for _, want := range []int{500, 200} {
		if status, _, err := fetch(time.Minute); status != want {
			t.Errorf("got %d, %v, want %d", status, err, want)
		}
	}
}
