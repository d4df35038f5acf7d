package needs

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a redis-server of one test's own, on this machine. It ends with its test.
type Server struct {
	Addr string // HOST:PORT
	Dir  string // where it keeps its files
	pass string // what redis-cli needs to get in
	t    testing.TB
	args []string
	port string // the flag that takes the port
	sign string // what it says when it is ready
	cmd  *exec.Cmd
}

// Redis starts a redis-server, without persistence unless further arguments such as "--appendonly", "yes" ask for it.
// HASHLINE_REDIS_SERVER names another program than the one on the path: another version, or Valkey.
func Redis(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, freeAddr, "--port", append([]string{"--save", ""}, args...))
}

// start starts a server at an address that nobody uses.
func start(t testing.TB, free func(testing.TB) string, port string, args []string) *Server {
	t.Helper()
	s := &Server{t: t, Dir: t.TempDir(), port: port, sign: "Ready to accept connections"}
	s.args = append([]string{program(t), "--bind", "127.0.0.1", "--dir", s.Dir}, args...)
	if !s.launch(free) {
		t.Fatal(s.args, "does not start")
	}
	return s
}

func program(t testing.TB) string {
	if other := os.Getenv("HASHLINE_REDIS_SERVER"); other != "" {
		return other
	}
	return Tool(t, "redis-server")
}

func (s *Server) launch(free func(testing.TB) string) bool {
	s.t.Helper()
	s.t.Cleanup(s.Kill)
	for range 5 { // somebody may take the port first
		s.Addr = free(s.t)
		if s.start() {
			return true
		}
	}
	return false
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

// Stop holds the server as if it hung, with its connections open, until Continue or Kill.
func (s *Server) Stop() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Continue lets a server that was stopped go on.
func (s *Server) Continue() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

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
	cmd := exec.Command(s.args[0], append(s.args[1:len(s.args):len(s.args)], s.port, port)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), s.sign) {
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

// CLI runs a command with redis-cli and returns the answer; an error of the server is one.
func (s *Server) CLI(args ...string) (string, error) {
	_, port, _ := net.SplitHostPort(s.Addr)
	cmd := exec.Command(Tool(s.t, "redis-cli"), append([]string{"-p", port, "-e"}, args...)...)
	if s.pass != "" {
		cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+s.pass)
	}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Await repeats a command until its answer holds all the texts.
func (s *Server) Await(texts []string, args ...string) {
	s.t.Helper()
	var answer string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		answer, _ = s.CLI(args...)
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(answer, text) }) {
			return
		}
	}
	s.t.Fatalf("%s: %v does not say %q:\n%s", s.Addr, args, texts, answer)
}

// Socket returns where a server that was started with it listens: "--unixsocket", Socket(t).
func Socket(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis") // a path of a test may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
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
