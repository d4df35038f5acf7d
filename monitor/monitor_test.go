package monitor_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/monitor"
	"github.com/hashline/hashline/tasks"
)

// serve answers one request with the pages over a Redis of its own.
func serve(t *testing.T) func(method, host, path string) *http.Response {
	t.Helper()
	conn, err := tasks.StartEmbedded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return over(t, conn)
}

func over(t *testing.T, conn *tasks.Conn) func(method, host, path string) *http.Response {
	t.Helper()
	h, closeHandler := monitor.Handler(conn.AsynqOptions())
	t.Cleanup(func() {
		if err := closeHandler(); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
	})
	return func(method, host, path string) *http.Response {
		r := httptest.NewRequest(method, "http://"+host+path, strings.NewReader("{}"))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
}

func TestSentinelAndCluster(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) string{
		"sentinel": func(t *testing.T) string { return needs.RedisSentinel(t).URL() },
		"cluster":  func(t *testing.T) string { return needs.RedisCluster(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := tasks.Dial(t.Context(), start(t))
			if err != nil {
				t.Fatal(err)
			}
			get := over(t, conn)
			for _, path := range []string{"/", "/api/queues", "/api/servers", "/api/redis_info"} {
				if r := get(http.MethodGet, "127.0.0.1", path); r.StatusCode != http.StatusOK {
					b, _ := io.ReadAll(r.Body)
					t.Errorf("%s: got %d, %s", path, r.StatusCode, b)
				}
			}
		})
	}
}

func TestHostHeader(t *testing.T) {
	get := serve(t)
	for _, c := range []struct {
		host string
		want int
	}{
		{"127.0.0.1:8383", http.StatusOK}, {"127.0.0.1", http.StatusOK}, {"localhost:8383", http.StatusOK}, {"LOCALHOST", http.StatusOK}, {"[::1]:8383", http.StatusOK}, {"127.9.9.9:1", http.StatusOK},
		{"example.com", http.StatusForbidden}, {"example.com:8383", http.StatusForbidden}, {"127.0.0.1.example.com", http.StatusForbidden}, {"localhost.example.com:80", http.StatusForbidden},
		{"192.168.0.1:8383", http.StatusForbidden}, {"0.0.0.0:8383", http.StatusForbidden}, {"", http.StatusForbidden}, {"2130706433", http.StatusForbidden},
	} {
		for _, path := range []string{"/", "/api/queues"} {
			if got := get(http.MethodGet, c.host, path).StatusCode; got != c.want {
				t.Errorf("host %q, %s: got %d, want %d", c.host, path, got, c.want)
			}
		}
	}
}

func TestNothingCanBeChanged(t *testing.T) {
	get := serve(t)
	for _, c := range []struct{ method, path string }{
		{http.MethodPost, "/api/queues/hashline:pause"}, {http.MethodPost, "/api/queues/hashline:resume"}, {http.MethodDelete, "/api/queues/hashline"},
		{http.MethodPost, "/api/queues/hashline/active_tasks/x:cancel"}, {http.MethodDelete, "/api/queues/hashline/pending_tasks/x"},
		{http.MethodPost, "/api/queues/hashline/archived_tasks:run_all"}, {http.MethodPut, "/"}, {http.MethodPatch, "/"}, {http.MethodOptions, "/"}, {"PURGE", "/"},
	} {
		if got := get(c.method, "localhost", c.path).StatusCode; got != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: got %d, want %d", c.method, c.path, got, http.StatusMethodNotAllowed)
		}
	}
}

func TestHeaders(t *testing.T) {
	r := serve(t)(http.MethodGet, "localhost", "/")
	body, err := io.ReadAll(r.Body)
	if err != nil || !strings.Contains(string(body), "<html") {
		t.Fatalf("got %.200q, %v", body, err)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	policy := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
}
