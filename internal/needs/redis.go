package needs

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// Redis starts a redis-server on this machine for one test, without persistence, with further arguments such as
// "--requirepass", and returns its address as HOST:PORT. The test ends with it.
func Redis(t testing.TB, args ...string) string {
	t.Helper()
	program := Tool(t, "redis-server")
	for range 5 { // somebody may take the port first
		if addr, ok := startRedis(t, program, args); ok {
			return addr
		}
	}
	t.Fatal("redis-server does not start")
	return ""
}

func startRedis(t testing.TB, program string, args []string) (addr string, ok bool) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	cmd := exec.Command(program, append([]string{"--bind", "127.0.0.1", "--port", fmt.Sprint(port), "--save", "", "--dir", t.TempDir()}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			go func() {
				for lines.Scan() { // else it stops when the pipe is full
				}
			}()
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
			return addr, true
		}
	}
	_ = cmd.Wait()
	return "", false
}
