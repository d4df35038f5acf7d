package needs

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy stands between a test's clients and a server, and cuts their connections when it is told to.
type Proxy struct {
	Addr string // HOST:PORT for the clients

	to   string
	mu   sync.Mutex
	on   map[net.Conn]bool
	over bool
}

// NewProxy starts one before the server at an address. It ends with its test.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), to: to, on: map[net.Conn]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		p.over = true
		p.mu.Unlock()
		p.Cut(func() bool { return true })
		running.Wait()
	})
	return p
}

// serve copies both ways until one end is closed.
func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.enter(client) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	_, _ = io.Copy(server, client)
	_ = server.Close()
	back.Wait()
	p.mu.Lock()
	delete(p.on, client)
	p.mu.Unlock()
}

func (p *Proxy) enter(client net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.on[client] = true
	}
	return !p.over
}

// Cut ends the connections that choose picks, in the middle of what they carry, and returns their number.
func (p *Proxy) Cut(choose func() bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for c := range p.on {
		if choose() {
			_ = c.Close()
			n++
		}
	}
	return n
}
