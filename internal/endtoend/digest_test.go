package endtoend

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashline/hashline/internal/needs"
)

// The result digest is the same wherever, however and by how many a run is computed, each time from an empty store.
func TestResultDigest(t *testing.T) {
	want := reference(t).ResultDigest
	check := func(name string, run func(w world) *document) {
		t.Run(name, func(t *testing.T) {
			d := run(newWorld(t))
			if d.ResultDigest != want {
				t.Errorf("result digest %s, want %s", d.ResultDigest, want)
			}
			if d.Counts.Computed != d.Counts.Stages {
				t.Errorf("%d of %d stages were computed", d.Counts.Computed, d.Counts.Stages)
			}
		})
	}
	for i := range *repeats {
		check(fmt.Sprint("repeat ", i+1), func(w world) *document { return w.submit() })
	}
	for _, env := range [][]string{
		{"GOMAXPROCS=1"}, {"GOMAXPROCS=2"}, {"GOMAXPROCS=7"}, {"TZ=Asia/Kolkata", "LC_ALL=tr_TR.UTF-8", "LANG=tr_TR.UTF-8"}, {"TZ=America/St_Johns", "LC_ALL=C"},
	} {
		check(strings.Join(env, " "), func(w world) *document {
			w.env = env
			return w.submit()
		})
	}
	check("relative store", func(w world) *document {
		w.store = "st ore"
		return w.submit()
	})
	for _, workers := range []int{1, 2, 4} {
		check(fmt.Sprint(workers, " workers"), func(w world) *document {
			w.redis = needs.Redis(w.t).URL()
			for range workers {
				w.worker(1)
			}
			d := w.submit()
			if d.Mode != "redis" {
				w.t.Errorf("mode %s", d.Mode)
			}
			return d
		})
	}
}

// The README shows what the first command prints. The bits are the same on every machine, so its digest is everybody's.
func TestReadmeShowsTheResult(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := reference(t).ResultDigest; !strings.Contains(string(b), "result  "+want) {
		t.Errorf("README.md does not show the result digest %s: put what `producer submit` prints now into it", want)
	}
}

// keys tells everything of a run by which the cache knows its stages.
func keys(d *document) map[string]string {
	all := map[string]string{}
	for _, s := range d.Stages {
		all[s.Name] = s.Code + " " + s.ActionKey
	}
	return all
}

// However the commands are built, they know the stages by the same fingerprints and keys, so that they share a cache.
func TestBuildsShareTheCache(t *testing.T) {
	want := keys(reference(t))
	for name, w := range want {
		if strings.HasPrefix(w, "executable:") {
			t.Errorf("stage %s is known by its executable", name)
		}
	}
	dir := t.TempDir()
	check := func(name string, submit func(t *testing.T) *document) {
		t.Run(name, func(t *testing.T) {
			d := submit(t)
			if got := keys(d); !maps.Equal(got, want) {
				t.Errorf("keys %v\nwant %v", got, want)
			}
			if d.Counts.Computed != 0 || d.ResultDigest != reference(t).ResultDigest {
				t.Errorf("%d stages computed, result digest %s", d.Counts.Computed, d.ResultDigest)
			}
		})
	}
	with := func(binary string) func(t *testing.T) *document {
		return func(t *testing.T) *document {
			w := warmWorld(t)
			w.binary = binary
			return w.submit()
		}
	}
	check("worker", func(t *testing.T) *document {
		w := warmWorld(t)
		w.redis = needs.Redis(t).URL()
		w.worker(2)
		return w.submit()
	})
	check("go run", func(t *testing.T) *document {
		w := warmWorld(t)
		w.binary, w.dir, w.env = "go", module, []string{"CGO_ENABLED=0"}
		return w.producer("run", "./cmd/producer", "submit", "--json").succeeded()
	})
	check("go install", func(t *testing.T) *document {
		t.Setenv("GOBIN", dir+"/installed")
		goCommand(t, module, "install", "./cmd/producer")
		return with(dir + "/installed/producer")(t)
	})
	check("go build -trimpath", func(t *testing.T) *document {
		goCommand(t, module, "build", "-trimpath", "-ldflags=-s -w", "-o", dir+"/trimmed", "./cmd/producer")
		return with(dir + "/trimmed")(t)
	})
	check("vendored", func(t *testing.T) *document {
		copyModule(t, dir+"/copy")
		goCommand(t, dir+"/copy", "mod", "vendor")
		goCommand(t, dir+"/copy", "build", "-mod=vendor", "-trimpath", "-o", dir+"/vendored", "./cmd/producer")
		return with(dir + "/vendored")(t)
	})
}

// copyModule copies what the commands are built from.
func copyModule(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir(module, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(module, path)
		if err != nil {
			return err
		}
		if e.IsDir() && slices.Contains([]string{".git", ".ci", "bench", "bin", "deploy", "tools", "vendor", "testdata"}, e.Name()) {
			return filepath.SkipDir
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, below), 0o755)
		}
		if !e.Type().IsRegular() || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, below), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
