package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/pipeline"
)

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe.csv")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		needs.Missing(t, err)
	}
	return path
}

func TestSilentPipe(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	_, stderr, code := call(t, t.TempDir(), "submit", path, "--target", "x")
	if code != 2 || !strings.Contains(stderr, path+": the named pipe gave no data for 5s") {
		t.Errorf("got %d, %s", code, stderr)
	}
}

func TestPipe(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(path, customers(5000), 0o600) }()
	out, stderr, code := call(t, t.TempDir(), "submit", path, "--target", "churned", "--models", "decision_tree", "--json")
	if code != 0 {
		t.Fatal(stderr)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if d := parseDocument(t, out); d.Input.Rows != 5000 || *d.Input.Bytes != int64(len(customers(5000))) {
		t.Errorf("got %+v", d.Input)
	}
}

// endless gives text without a line end for ever, and counts it.
type endless struct {
	head string
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.head)
	e.head = e.head[n:]
	for i := n; i < len(p); i++ {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

// A line of any length ends the command soon, before its first rows or behind them, and leaves nothing in the store.
func TestEndlessLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, head string }{{"header", "a,b"}, {"first row", "a,b\n1,"}, {"later", "a,b\n" + strings.Repeat("1,2\n", 100_000)}, {"in quotes", "a,b\n1,\""}} {
		t.Run(c.name, func(t *testing.T) {
			store := t.TempDir()
			in := &endless{head: c.head}
			var out, stderr bytes.Buffer
			code := run([]string{"submit", "-", "--target", "b", "--json", "--store", store}, in, &out, &stderr)
			d := parseDocument(t, out.String())
			if code != 2 || d.Error.Class != pipeline.ClassBadInput || !strings.Contains(d.Error.Message, "longer than 16 MB") || d.Error.Line != strings.Count(c.head, "\n")+1 {
				t.Errorf("got %d, %+v", code, d.Error)
			}
			if limit := 64 << 20; in.read > limit {
				t.Errorf("read %d bytes, want at most %d", in.read, limit)
			}
			if files, err := filepath.Glob(filepath.Join(store, "tmp", "*")); err != nil || len(files) > 0 {
				t.Errorf("left behind %q, %v", files, err)
			}
			if _, err := os.Stat(filepath.Join(store, "cas")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something was stored: %v", err)
			}
		})
	}
}

func TestLineGuard(t *testing.T) {
	long := strings.Repeat("x", maxLineBytes)
	for _, c := range []struct {
		name, text string
		line       int // of the error; 0: none
	}{
		{"short", "a\nb\n", 0}, {"just long enough", long + "\n" + long, 0}, {"too long", "a\n" + long + long, 2}, {"old line ends", long + "\r" + long, 0},
		{"too long at the end", "a\nb\n" + long + "x", 3}, {"empty", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := io.ReadAll(&lineGuard{r: strings.NewReader(c.text), file: "f"})
			e, _ := errors.AsType[*pipeline.Error](err)
			if c.line == 0 && (err != nil || string(got) != c.text) || c.line > 0 && (e == nil || e.Line != c.line || e.File != "f") {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

// A failing store ends the command with exit code 3; what could not be stored is not there in part.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	store, err := artifact.New(t.Context(), fullDisk{})
	if err == nil {
		t.Fatalf("got a store %v", store)
	}
	if e, code := classify(err); code != 3 || e.Class != pipeline.ClassUnreachable || e.Hint == "" {
		t.Errorf("got %d, %+v", code, e)
	}
}

// fullDisk is a backend that can store nothing.
type fullDisk struct{ artifact.Backend }

func (fullDisk) Open(context.Context, string) (artifact.Object, error) {
	return nil, artifact.ErrNotFound
}

func (fullDisk) Begin(context.Context) (artifact.Upload, error) {
	return nil, errors.Join(artifact.ErrUnreachable, unix.ENOSPC)
}

func TestShellQuote(t *testing.T) {
	for _, c := range []struct{ text, want string }{{"a b", "'a b'"}, {"$(reboot)`id`", "'$(reboot)`id`'"}, {"it's", `'it'\''s'`}, {"", "''"}} {
		if got := csv.ShellQuote(c.text); got != c.want {
			t.Errorf("%q: got %s, want %s", c.text, got, c.want)
		}
	}
}

func TestPlain(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain", "plain"}, {"naïve 日本 €", "naïve 日本 €"}, {"\x1b[31m", `\u001b[31m`}, {"a\tb", "a b"}, {"a\nb\r", `a\nb\u000d`}, {"\u202ex\u2066", `\u202ex\u2066`}, {"\u009b31m", `\u009b31m`},
		{"\x9b", "\ufffd"}, {"\u200b", `\u200b`},
	} {
		if got := plain(c.text); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestSafeName(t *testing.T) {
	for _, c := range []struct{ text, want string }{{"random_forest", "random_forest"}, {"../../etc/passwd", "_.._etc_passwd"}, {"a b:c", "a_b_c"}, {".hidden", "hidden"}, {"\x1b", "_"}} {
		if got := safeName(c.text); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestRecordedArgs(t *testing.T) {
	got := strings.Join(recordedArgs([]string{"submit", "--redis", "redis://:p@h", "x.csv", "--redis=redis://:p@h", "--redis-ca", "/x", "--redis-ca=/y", "--name", "n"}), " ")
	if want := "submit --redis URL x.csv --redis=URL --redis-ca FILE --redis-ca=FILE --name n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLimitsAgree(t *testing.T) {
	if maxLineBytes < 2*csv.MaxRecordBytes {
		t.Errorf("a line of UTF-16 has up to %d bytes", 2*csv.MaxRecordBytes)
	}
}

// A pipe that falls silent in the middle does not keep the command from being interrupted, and nothing of it is stored.
func TestInterruptWhileReading(t *testing.T) {
	t.Parallel()
	path, store := fifo(t), t.TempDir()
	p := start(t, store, "submit", path, "--target", "churned", "--json")
	w, err := os.OpenFile(path, os.O_WRONLY, 0) // returns when the command reads
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write(customers(20_000)); err != nil { // more than the part that is looked at first
		t.Fatal(err)
	}
	p.Signal(os.Interrupt)
	if got := p.Wait(); got != exitInterrupted {
		t.Fatalf("got exit code %d: %s", got, p.Err)
	}
	if d := p.document(); d.Status != "REJECTED" || d.ExitCode != exitInterrupted || d.Error.Class != pipeline.ClassCanceled {
		t.Errorf("got %s, %d, %+v", d.Status, d.ExitCode, d.Error)
	}
	if files, err := filepath.Glob(filepath.Join(store, "tmp", "*")); err != nil || len(files) > 0 {
		t.Errorf("left behind %q, %v", files, err)
	}
}

func TestInterruptBeforeFirstByte(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	p := start(t, t.TempDir(), "submit", path, "--target", "churned")
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	p.Signal(os.Interrupt)
	if got := p.Wait(); got != exitInterrupted || !strings.Contains(p.Err.String(), "producer: interrupted") {
		t.Errorf("got %d, %s", got, p.Err)
	}
}

// A file that the user may not read. Root may read everything, so there the command runs as nobody.
func TestUnreadableFile(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "unreadable") // t.TempDir lies in a folder that nobody else may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "producer")
	for _, err := range []error{os.Chmod(dir, 0o777), os.CopyFS(dir, os.DirFS(filepath.Dir(customerFile(t, 10)))), os.Chmod(filepath.Join(dir, "churn.csv"), 0)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err == nil {
		err = os.WriteFile(program, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "submit", "churn.csv", "--target", "churned", "--store", filepath.Join(dir, "store"))
	cmd.Dir, cmd.Env = dir, []string{asCommand + "=1", "HOME=" + dir}
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(string(out), "producer: churn.csv: the file cannot be read: permission denied") {
		t.Errorf("got %d, %s", code, out)
	}
}
