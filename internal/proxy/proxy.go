// Package proxy puts a TCP proxy with faults between a test and a server: delays, silence, cut connections and, for
// servers that speak HTTP, answers with an error.
package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Fault is what happens to connections. The zero Fault passes everything on.
type Fault struct {
	Delay      time.Duration // before every piece of an answer
	Silent     bool          // takes what is sent and answers nothing
	Status     int           // answers one request on each connection with this HTTP status, instead of the server
	CutRequest int64         // cuts the connection after so many bytes to the server; 0: never
	CutAnswer  int64         // cuts the connection after so many bytes from the server; 0: never
	Times      int           // number of connections that it happens to; 0: all
}

// Proxy is a proxy at work. It ends with its test.
type Proxy struct {
	Addr string // HOST:PORT

	target   string
	listener net.Listener
	done     sync.WaitGroup

	mu    sync.Mutex
	fault Fault
	hit   int
	open  map[net.Conn]bool
}

// Start starts a proxy before the server at target, HOST:PORT.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, listener: l, open: map[net.Conn]bool{}}
	var accepting sync.WaitGroup
	accepting.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		accepting.Wait()
		p.Set(Fault{})
		p.done.Wait()
	})
	return p
}

// Set ends the connections that are open, and does f to those that follow.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.hit = f, 0
	for c := range p.open {
		_ = c.Close()
	}
}

// Hit returns the number of connections that the fault has happened to.
func (p *Proxy) Hit() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hit
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		f := p.begin(c)
		p.done.Go(func() {
			defer p.end(c)
			p.serve(c, f)
		})
	}
}

// begin notes a connection and returns what happens to it.
func (p *Proxy) begin(c net.Conn) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[c] = true
	if p.fault == (Fault{}) || p.fault.Times > 0 && p.hit == p.fault.Times {
		return Fault{}
	}
	p.hit++
	return p.fault
}

func (p *Proxy) end(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
	_ = c.Close()
}

func (p *Proxy) serve(client net.Conn, f Fault) {
	switch {
	case f.Silent:
		_, _ = io.Copy(io.Discard, client)
		return
	case f.Status != 0:
		answer(client, f.Status)
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	var both sync.WaitGroup
	stop := func() { _ = client.Close(); _ = server.Close() }
	both.Go(func() { defer stop(); pass(server, client, 0, f.CutRequest) })
	both.Go(func() { defer stop(); pass(client, server, f.Delay, f.CutAnswer) })
	both.Wait()
}

// answer reads a whole request and answers with the status.
func answer(c net.Conn, status int) {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, http.StatusText(status))
}

var errCut = errors.New("cut")

// pass copies until either side ends, or cut bytes have passed.
func pass(to io.Writer, from io.Reader, delay time.Duration, cut int64) {
	if cut > 0 {
		from = io.MultiReader(io.LimitReader(from, cut), broken{})
	}
	if delay > 0 {
		from = slow{from, delay}
	}
	_, _ = io.Copy(to, from)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errCut }

type slow struct {
	io.Reader
	delay time.Duration
}

func (s slow) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	time.Sleep(s.delay)
	return n, err
}
