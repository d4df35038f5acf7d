package hashline

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"slices"
	"sort"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write modules.txt anew")

// listed is a package as `go list` tells it.
type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Module     *struct{ Path string }
}

// list returns the packages that match the patterns, with everything they import.
func list(t *testing.T, patterns ...string) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Imports,Deps,Module"}, patterns...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := map[string]listed{}
	d := json.NewDecoder(bytes.NewReader(out))
	for {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

func below(path string) (string, bool) { return strings.CutPrefix(path, Module+"/") }

func TestModules(t *testing.T) {
	packages := list(t, "./artifact", "./pipeline", "./ml/...", "./stages/...")
	var lines []string
	for path, p := range packages {
		name, ours := below(path)
		if !ours {
			continue
		}
		reached := map[string]bool{}
		for _, d := range p.Deps {
			if m := packages[d].Module; m != nil && m.Path != Module {
				reached[m.Path] = true
			}
		}
		fields := []string{name}
		for m := range reached {
			fields = append(fields, m)
		}
		sort.Strings(fields[1:])
		lines = append(lines, strings.Join(fields, " ")+"\n")
	}
	sort.Strings(lines)
	want := strings.Join(lines, "")
	if *update {
		if err := os.WriteFile("modules.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if Modules != want {
		t.Error("modules.txt is not what `go list -deps` says; run: go test -run TestModules . -update")
	}
}

// layers are the packages from the top down. A package imports only packages of later entries, or of its own entry.
var layers = [][]string{
	{"cmd", "bench", "examples"},
	{"monitor", "report", "compare"},
	{"summary"},
	{"sample"},
	{"stages"},
	{"tasks"},
	{"pipeline"},
	{"artifact"},
	{"ml"},
	{"internal"},
}

// alone are packages that must not reach others, so that a Go program can take the engine without the learning, and the
// learning without the engine.
var alone = map[string][]string{
	"artifact": {"ml", "stages", "pipeline", "tasks"},
	"pipeline": {"ml", "stages", "tasks"},
	"tasks":    {"ml", "stages"},
	"ml":       {"artifact", "pipeline", "tasks", "stages", "sample", "summary", "report", "compare", "monitor"},
	"stages":   {"tasks", "summary", "report", "compare", "monitor"},
}

// importers are the only packages that may import a library directly.
var importers = map[string][]string{
	"github.com/hibiken/asynq":         {"tasks", "monitor", "bench/engine"},
	"github.com/hibiken/asynqmon":      {"monitor"},
	"github.com/redis/go-redis/v9":     {"tasks", "bench/engine"},
	"github.com/alicebob/miniredis/v2": {"tasks"},
	"github.com/minio/minio-go/v7":     {"artifact/s3"},
	"github.com/parquet-go/parquet-go": {"ml/parquet"},
	"github.com/sjwhitworth/golearn":   {"ml/golearn"},
	"gonum.org/v1/plot":                {"ml/chart"},
}

// engine are the packages that a Go program takes without the learning: no library for numbers comes with them.
var engine = []string{"artifact", "pipeline", "tasks"}

var numeric = []string{"gonum.org/", "github.com/sjwhitworth/golearn", "github.com/parquet-go/"}

func layer(name string) int {
	top, _, _ := strings.Cut(name, "/")
	return slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, top) })
}

func TestLayers(t *testing.T) {
	packages := list(t, "./...")
	for path, p := range packages {
		if path == Module && slices.ContainsFunc(p.Imports, func(i string) bool { return strings.Contains(i, ".") }) {
			t.Errorf("the root package imports %v; it holds the sources of all, and may import the standard library alone", p.Imports)
		}
		name, ours := below(path)
		if !ours {
			continue
		}
		from := layer(name)
		if from < 0 {
			t.Errorf("%s is in no layer", name)
			continue
		}
		top, _, _ := strings.Cut(name, "/")
		for _, i := range p.Imports {
			to, ours := below(i)
			if ours && layer(to) < from {
				t.Errorf("%s imports %s, which stands above it", name, to)
			}
			if other, _, _ := strings.Cut(to, "/"); ours && layer(to) == 0 && other != top {
				t.Errorf("%s imports %s, which nothing may", name, to)
			}
			for library, allowed := range importers {
				if (i == library || strings.HasPrefix(i, library+"/")) && !slices.Contains(allowed, name) {
					t.Errorf("%s imports %s, which only %v may", name, i, allowed)
				}
			}
		}
		for _, d := range p.Deps {
			if slices.Contains(engine, top) && slices.ContainsFunc(numeric, func(n string) bool { return strings.HasPrefix(d, n) }) {
				t.Errorf("%s reaches %s", name, d)
			}
			if to, ours := below(d); ours {
				reached, _, _ := strings.Cut(to, "/")
				if slices.Contains(alone[top], reached) {
					t.Errorf("%s reaches %s", name, to)
				}
			}
		}
	}
}
