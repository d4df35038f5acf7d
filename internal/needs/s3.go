package needs

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Bucket is a bucket on an S3 server (versitygw over a folder) of one test's own. The server ends with its test.
type Bucket struct {
	Endpoint          string // http://HOST:PORT
	Name              string
	AccessKey, Secret string // random

	t    testing.TB
	addr string
	root string // the bucket's folder lies in it
	args []string
	cmd  *exec.Cmd
	gone chan struct{} // closed when the server has ended
}

// S3 starts an S3 server with an empty bucket.
func S3(t testing.TB) *Bucket {
	t.Helper()
	path, err := versitygw()
	if err != nil {
		Missing(t, err)
	}
	b := &Bucket{Name: "bucket", AccessKey: rand.Text(), Secret: rand.Text(), t: t, root: t.TempDir()}
	if err := os.Mkdir(filepath.Join(b.root, b.Name), 0o755); err != nil {
		t.Fatal(err)
	}
	b.args = []string{path, "posix", b.root}
	if unix.Setxattr(b.root, "user.hashline.test", []byte("1"), 0) != nil { // where the file system cannot keep them
		b.args = []string{path, "posix", "--sidecar", t.TempDir(), b.root}
	}
	t.Cleanup(b.Kill)
	for range 5 { // somebody may take the port first
		b.addr = freeAddr(t)
		b.Endpoint = "http://" + b.addr
		if b.start() {
			return b
		}
	}
	t.Fatal("versitygw does not start")
	return nil
}

// versitygw returns the path of the server, which the go command builds once and keeps in its cache.
var versitygw = sync.OnceValues(func() (string, error) {
	main, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	root := filepath.Dir(strings.TrimSpace(string(main)))
	cmd := exec.Command("go", "tool", "-modfile=tools/versitygw/go.mod", "-n", "versitygw")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOARCH=", "GOOS=")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", &buildError{complaint.String()}
	}
	return strings.TrimSpace(string(out)), nil
})

type buildError struct{ complaint string }

func (e *buildError) Error() string {
	return "versitygw cannot be built, which takes the Go module proxy once ('make test' builds it): " + e.complaint
}

// Location returns how the commands name a store in the bucket.
func (b *Bucket) Location(prefix string) string {
	return "s3://" + b.Name + "/" + prefix + "?endpoint=" + b.Endpoint + "&region=us-east-1"
}

// Environment is what a process needs to use the bucket.
func (b *Bucket) Environment() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + b.AccessKey, "AWS_SECRET_ACCESS_KEY=" + b.Secret}
}

// File returns where the server keeps an object, for tests that damage it.
func (b *Bucket) File(key string) string {
	return filepath.Join(b.root, b.Name, filepath.FromSlash(key))
}

// Kill ends the server as a crash would.
func (b *Bucket) Kill() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		<-b.gone
	}
	b.cmd = nil
}

// Restart starts the server again after Kill, at the same address and with what it has stored.
func (b *Bucket) Restart() {
	b.t.Helper()
	if !b.start() {
		b.t.Fatal("versitygw does not start again")
	}
}

// start returns when the server takes connections, or has ended without.
func (b *Bucket) start() bool {
	b.t.Helper()
	cmd := exec.Command(b.args[0], append([]string{"--port", b.addr, "--quiet"}, b.args[1:]...)...)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+b.AccessKey, "ROOT_SECRET_KEY="+b.Secret)
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	ended, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait()
	}()
	for ended.Err() == nil {
		c, err := net.Dial("tcp", b.addr)
		if err == nil {
			_ = c.Close()
			select {
			case <-gone: // it is another program that answers
				return false
			default:
			}
			b.cmd, b.gone = cmd, gone
			return true
		}
		select {
		case <-gone:
			return false
		case <-ended.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	_ = cmd.Process.Kill()
	return false
}
