package needs

import (
	"bufio"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// Server is a redis-server of one test's own, on this machine. It ends with its test.
type Server struct {
	Addr string // HOST:PORT
	t    testing.TB
	args []string
	cmd  *exec.Cmd
}

// Redis starts a redis-server, without persistence unless further arguments such as "--appendonly", "yes" ask for it.
func Redis(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, args: append([]string{Tool(t, "redis-server"), "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()}, args...)}
	t.Cleanup(s.Kill)
	for range 5 { // somebody may take the port first
		s.Addr = freeAddr(t)
		if s.start() {
			return s
		}
	}
	t.Fatal("redis-server does not start")
	return nil
}

// URL returns how the commands name the server's first database.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
	s.cmd = nil
}

// Restart starts the server again after Kill, at the same address and with what it keeps on disk.
func (s *Server) Restart() {
	s.t.Helper()
	if !s.start() {
		s.t.Fatal("redis-server does not start again")
	}
}

// start returns when the server takes connections, or has ended without.
func (s *Server) start() bool {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.Addr)
	cmd := exec.Command(s.args[0], append(s.args[1:len(s.args):len(s.args)], "--port", port)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			go func() {
				for lines.Scan() { // else it stops when the pipe is full
				}
			}()
			s.cmd = cmd
			return true
		}
	}
	_ = cmd.Wait()
	return false
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
