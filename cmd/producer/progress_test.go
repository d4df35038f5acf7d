package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hashline/hashline/internal/needs"
	"github.com/hashline/hashline/ml/num"
	"github.com/hashline/hashline/pipeline"
)

// terminal opens a pseudo terminal of a size: what the command writes to tty, the test reads from screen.
func terminal(t *testing.T, columns, rows uint16) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		needs.Missing(t, err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	}
	if err != nil {
		needs.Missing(t, err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		needs.Missing(t, err)
	}
	return screen, tty
}

// onTerminal runs a submission whose standard error is a terminal and returns what was drawn on it.
func onTerminal(t *testing.T, columns, rows uint16, env ...string) string {
	t.Helper()
	screen, tty := terminal(t, columns, rows)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "submit", customerFile(t, 100), "--target", "churned", "--store", t.TempDir())
	cmd.Env = append(append(os.Environ(), asCommand+"=1", "TERM=xterm", "NO_COLOR="), env...)
	cmd.Stderr = tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = tty.Close()
	var drawn bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, 4096)
		for {
			n, err := screen.Read(b) // an error when the other end is closed
			_, _ = drawn.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	<-read
	return drawn.String()
}

var escape = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)

// shown replays what was drawn and returns the lines that stay on the screen.
func shown(t *testing.T, drawn string) []string {
	t.Helper()
	var lines []string
	for drawn != "" {
		if m := regexp.MustCompile(`^\x1b\[([0-9]+)A\x1b\[J`).FindStringSubmatch(drawn); m != nil {
			var up int
			_, _ = fmt.Sscan(m[1], &up)
			if up > len(lines) {
				t.Fatalf("it goes up %d lines of %d", up, len(lines))
			}
			lines, drawn = lines[:len(lines)-up], drawn[len(m[0]):]
			continue
		}
		line, rest, _ := strings.Cut(drawn, "\r\n")
		lines, drawn = append(lines, escape.ReplaceAllString(line, "")), rest
	}
	return lines
}

func TestProgressTable(t *testing.T) {
	t.Parallel()
	drawn := onTerminal(t, 100, 40)
	if !strings.Contains(drawn, "\x1b[32m") {
		t.Error("it has no colours")
	}
	lines := shown(t, drawn)
	if len(lines) != 16 { // which run, then a line for each stage
		t.Fatalf("got %d lines: %q", len(lines), lines)
	}
	for _, line := range lines[1:] {
		if !regexp.MustCompile(`^✓ [a-z_:]+ +done +[0-9.]+ s`).MatchString(line) {
			t.Errorf("got %q", line)
		}
	}
}

func TestProgressOnOtherTerminals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		columns, rows uint16
		env           string
		table, colors bool
	}{
		{"no colours", 100, 40, "NO_COLOR=1", true, false},
		{"dumb", 100, 40, "TERM=dumb", false, false},
		{"narrow", 40, 40, "", true, true},
		{"low", 100, 10, "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			drawn := onTerminal(t, c.columns, c.rows, c.env)
			if got := strings.Contains(drawn, "\x1b["); got != c.table {
				t.Errorf("table: got %v, want %v", got, c.table)
			}
			if got := regexp.MustCompile(`\x1b\[[0-9]+m`).MatchString(drawn); got != c.colors {
				t.Errorf("colours: got %v, want %v", got, c.colors)
			}
			if got := strings.Contains(drawn, "RUN_SUCCESS"); got == c.table {
				t.Errorf("events as lines: got %v", got)
			}
			for _, line := range shown(t, drawn) {
				if c.table && len([]rune(line)) >= int(c.columns) && !strings.HasPrefix(line, "run ") {
					t.Errorf("%q is wider than the terminal", line)
				}
			}
		})
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{{"abc", 5, "abc"}, {"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"日本語", 4, "日本"}, {"日本語", 5, "日本"}, {"", 0, ""}, {"a", 0, ""}} {
		if got := clip(c.text, c.columns); got != c.want {
			t.Errorf("%q in %d columns: got %q, want %q", c.text, c.columns, got, c.want)
		}
	}
}

func TestEventLine(t *testing.T) {
	e := pipeline.Event{Time: time.Date(2026, 11, 24, 9, 0, 0, 5e6, time.Local), Type: pipeline.StepFailure, Stage: "load_data", Attempt: 2, Message: "bad \x1b[31m\nproducer: forged"}
	if got, want := eventLine(e), `09:00:00.005  STEP_FAILURE             load_data                      attempt 2 bad \u001b[31m\nproducer: forged`; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A column is as wide as its widest figure.
func TestFiguresStandInColumns(t *testing.T) {
	table := figureTable{heads: []string{"RMSE", "R²"}, inUnits: 1}
	table.row("ridge", num.Float(0.0043381), num.Float(1))
	table.row("tree", num.Float(0.41278), num.Float(0.9932))
	var out strings.Builder
	table.print(&out)
	want := "model      RMSE      R²\nridge  0.004338  1.0000\ntree     0.4128  0.9932\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
