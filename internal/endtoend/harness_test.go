package endtoend

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/process"
	"github.com/hashline/hashline/pipeline"
)

var repeats = flag.Int("repeats", 2, "how often the result digest is computed anew")

// module is the folder of the module's sources.
const module = "../.."

// shared is what the tests of the package have in common: the commands and a store with one finished run.
var shared struct {
	dir   string
	build sync.Once

	baseOnce sync.Once
	base     *document
}

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "endtoend")
	if err != nil {
		panic(err)
	}
	shared.dir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// command returns the path of a command, built from this source tree.
func command(t *testing.T, name string) string {
	t.Helper()
	shared.build.Do(func() { goCommand(t, module, "build", "-o", shared.dir+"/", "./cmd/producer", "./cmd/worker") })
	return filepath.Join(shared.dir, name)
}

// goCommand runs the go command in a folder.
func goCommand(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// running is one of the commands at work.
type running struct {
	*process.Process
	t    *testing.T
	args []string
}

// world is where commands run: a store, and perhaps a Redis, a folder, an environment.
type world struct {
	t      *testing.T
	binary string // instead of the producer that the tests share
	store  string
	redis  string
	dir    string
	env    []string
}

func newWorld(t *testing.T) world { return world{t: t, store: t.TempDir(), dir: t.TempDir()} }

// start runs a program of the world in the background. The test ends it at its end at the latest.
func (w world) start(program string, args ...string) running {
	w.t.Helper()
	args = append(args, "--store", w.store)
	if w.redis != "" {
		args = append(args, "--redis", w.redis)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = w.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "HASHLINE_") })
	cmd.Env = append(cmd.Env, w.env...)
	return running{process.Start(w.t, cmd), w.t, cmd.Args}
}

func (w world) producer(args ...string) running {
	w.t.Helper()
	program := w.binary
	if program == "" {
		program = command(w.t, "producer")
	}
	return w.start(program, args...)
}

// worker starts a worker and returns when it takes stages.
func (w world) worker(concurrency int, args ...string) running {
	w.t.Helper()
	p := w.start(command(w.t, "worker"), append(args, "--concurrency", strconv.Itoa(concurrency))...)
	p.Await("worker started")
	return p
}

// started is the line of standard error that tells the start of a stage.
func started(stage string) string { return `(?m)STEP_START +` + regexp.QuoteMeta(stage) + `$` }

var eventLine = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{3}  ([A-Z_]+) *([a-z:_]*)`)

// stagesOf returns the stages of the events of one type, in their order, told on standard error so far.
func (p running) stagesOf(event string) []string {
	text := p.Err.String()
	var stages []string
	for _, m := range eventLine.FindAllStringSubmatch(text, -1) {
		if m[1] == event {
			stages = append(stages, m[2])
		}
	}
	return stages
}

// answer waits for a `submit --json` and reads what it printed.
func (p running) answer() *document {
	p.t.Helper()
	code := p.Wait()
	var d document
	if err := json.Unmarshal([]byte(p.Out.String()), &d); err != nil {
		text := p.Err.String()
		p.t.Fatalf("%v: exit code %d, %v:\n%s\n%s", p.args, code, err, p.Out.String(), text)
	}
	if code != d.ExitCode {
		p.t.Errorf("exit code %d, and the document says %d", code, d.ExitCode)
	}
	return &d
}

// succeeded is answer for a run that must succeed.
func (p running) succeeded() *document {
	p.t.Helper()
	d := p.answer()
	if d.Status != pipeline.Succeeded || d.ExitCode != 0 || d.Error != nil || d.ResultDigest == "" {
		text := p.Err.String()
		p.t.Fatalf("%v: status %s, exit code %d, error %+v\n%s", p.args, d.Status, d.ExitCode, d.Error, text)
	}
	return d
}

// submitting starts a submission; submit waits for its success.
func (w world) submitting(args ...string) running {
	w.t.Helper()
	return w.producer(append([]string{"submit", "--json"}, args...)...)
}

func (w world) submit(args ...string) *document {
	w.t.Helper()
	return w.submitting(args...).succeeded()
}

// reference is the run of the built-in data in an empty store, once for all tests.
func reference(t *testing.T) *document {
	t.Helper()
	shared.baseOnce.Do(func() { shared.base = world{t: t, store: shared.dir + "/base", dir: shared.dir}.submit() })
	if shared.base == nil {
		t.Fatal("the reference run failed")
	}
	return shared.base
}

// warmWorld is a world whose store has the reference run already.
func warmWorld(t *testing.T) world {
	t.Helper()
	reference(t)
	w := newWorld(t)
	if err := os.CopyFS(w.store, os.DirFS(shared.dir+"/base")); err != nil {
		t.Fatal(err)
	}
	return w
}

// open returns the world's store.
func (w world) open() *artifact.Store {
	w.t.Helper()
	s, err := artifact.Open(context.Background(), w.store)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// record returns the stored record of a run.
func (w world) record(id string) *pipeline.RunRecord {
	w.t.Helper()
	b, err := w.open().Run(context.Background(), id, pipeline.RecordDocument)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := pipeline.ParseRecord(b)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// computed returns the names of the stages whose function was called, sorted.
func computed(d *document) []string {
	names := []string{}
	for _, s := range d.Stages {
		if s.Cache != pipeline.CacheHit {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names
}

// stageOf returns a stage of a document.
func stageOf(t *testing.T, d *document, name string) stage {
	t.Helper()
	for _, s := range d.Stages {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("run %s has no stage %s", d.RunID, name)
	return stage{}
}
