package tasks

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fleet keeps workers alive that are killed again and again, as Kubernetes would.
type fleet struct {
	t    *testing.T
	role stormRole
	wait sync.WaitGroup

	mu      sync.Mutex
	random  *rand.Rand
	calm    bool // nobody is killed any more
	over    bool // nobody is started any more
	members []*member
	kills   map[string]int // by point or signal
}

// member is the process that runs in one place of the fleet.
type member struct {
	cmd    *exec.Cmd
	stdin  io.Closer // ends with the test's process, and the member with it
	stderr bytes.Buffer
	signal syscall.Signal // that it was sent to end it
	spared bool           // it must not be harmed now
}

// startFleet keeps n workers alive until end.
func startFleet(t *testing.T, n int, r stormRole, random *rand.Rand) *fleet {
	f := &fleet{t: t, role: r, random: random, members: make([]*member, n), kills: map[string]int{}}
	for place := range n {
		f.wait.Go(func() {
			for f.live(place) {
			}
		})
	}
	t.Cleanup(f.end)
	return f
}

// live runs one process from its start to its end, and reports whether there is to be another.
func (f *fleet) live(place int) bool {
	m, out, err := f.start(place)
	if err != nil {
		f.t.Errorf("starting a worker: %v", err)
		return false
	}
	if m == nil {
		return false
	}
	point := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if p, ok := strings.CutPrefix(lines.Text(), "kill "); ok {
			point = p
		}
		if word := lines.Text(); word == "spare" || word == "fair" {
			f.mu.Lock()
			m.spared = word == "spare"
			f.mu.Unlock()
		}
	}
	_ = m.cmd.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members[place] = nil
	state := m.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case state.Signaled() && state.Signal() == syscall.SIGKILL && point != "":
		f.kills[point]++
	case state.Signaled() && state.Signal() == syscall.SIGKILL && m.signal == syscall.SIGKILL:
		f.kills["SIGKILL"]++
	case state.ExitStatus() == 0 && m.signal == syscall.SIGTERM, state.Signaled() && state.Signal() == syscall.SIGTERM && m.signal == syscall.SIGTERM: // before it listened
		f.kills["SIGTERM"]++
	case state.ExitStatus() == 3: // no Redis or no store at its start
		f.kills["in vain"]++
		f.mu.Unlock()
		time.Sleep(200 * time.Millisecond) // as whoever starts processes again waits a while
		f.mu.Lock()
	default:
		f.t.Errorf("a worker ended by itself: %v\n%s", m.cmd.ProcessState, tail(m.stderr.String()))
	}
	return !f.over
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

func (f *fleet) start(place int) (*member, *os.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return nil, nil, nil
	}
	r := f.role
	if !f.calm {
		r.Point = killPoints[f.random.IntN(len(killPoints))]
		r.After = 2*time.Second + time.Duration(f.random.Int64N(int64(8*time.Second)))
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	m := &member{cmd: exec.Command(os.Args[0])}
	m.cmd.Env = append(os.Environ(), stormVariable+"="+string(text))
	m.cmd.Stdout, m.cmd.Stderr = write, &m.stderr
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	err = m.cmd.Start()
	_ = write.Close()
	f.members[place] = m
	return m, read, err
}

// strike sends some member a signal; one that is stopped goes on after a while, some time before and some time after it
// counts as dead.
func (f *fleet) strike() {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[f.random.IntN(len(f.members))]
	if f.calm || m == nil || m.signal != 0 || m.spared {
		return
	}
	switch s := []syscall.Signal{syscall.SIGKILL, syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGTERM}[f.random.IntN(4)]; s {
	case syscall.SIGSTOP:
		f.kills["SIGSTOP"]++
		_ = m.cmd.Process.Signal(s)
		time.AfterFunc(time.Second+time.Duration(f.random.Int64N(int64(9*time.Second))), func() { _ = m.cmd.Process.Signal(syscall.SIGCONT) })
	default:
		m.signal = s
		_ = m.cmd.Process.Signal(s)
	}
}

// quiet lets the workers live from now on. Those that were sent out to die do so still.
func (f *fleet) quiet() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calm = true
}

// end stops the workers and waits for them.
func (f *fleet) end() {
	f.mu.Lock()
	f.calm, f.over = true, true
	for _, m := range f.members {
		if m != nil {
			m.signal = syscall.SIGTERM
			_ = m.cmd.Process.Signal(syscall.SIGCONT)
			_ = m.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	f.mu.Unlock()
	f.wait.Wait()
}

// killed returns how many workers were killed, by themselves at a point or by a signal at any moment. Those that were stopped
// for a while or told to end are not among them.
func (f *fleet) killed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, what := range append([]string{"SIGKILL"}, killPoints...) {
		n += f.kills[what]
	}
	return n
}

// report lists the kills.
func (f *fleet) report() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(f.kills)) {
		parts = append(parts, fmt.Sprint(what, " ", f.kills[what]))
	}
	return strings.Join(parts, ", ")
}
