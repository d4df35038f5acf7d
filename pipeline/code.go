package pipeline

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashline/hashline/artifact"
)

// Code computes the fingerprints of kinds from the sources that their module embeds in the binary.
//
// The fingerprint of a package is a hash over the tokens of the package and of every package of the module that it
// imports, directly or not, and over path@version of the modules that those reach. Comments and tests do not count;
// //go: directives do, as they change what is compiled. It is the same for `go run`, `go build`, `go install` and a
// vendored build, since nothing comes from version control, build flags or the whole list of dependencies.
//
// Where that cannot be had (a kind without sources, a module behind a local replace, a binary that lists no module
// versions, as a test binary), the fingerprint is the digest of the executable, and its text says "executable:".
type Code struct {
	module  string
	sources fs.FS
	reached map[string][]string // package below the module -> modules outside it, transitively

	mu       sync.Mutex
	packages map[string]*packageCode
	prints   map[string]string
}

type packageCode struct {
	tokens  [sha256.Size]byte
	imports []string // packages of the module, as paths below it
}

// NewCode makes a Code over the sources of a module. modules has a line for each package: its path below the module,
// then the paths of the outside modules that it reaches, all separated by spaces.
func NewCode(module string, sources fs.FS, modules string) *Code {
	c := &Code{module: module, sources: sources, reached: map[string][]string{}, packages: map[string]*packageCode{}, prints: map[string]string{}}
	for line := range strings.Lines(modules) {
		if fields := strings.Fields(line); len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
			c.reached[fields[0]] = fields[1:]
		}
	}
	return c
}

// Fingerprint returns the fingerprint of a package and more, given by their paths below the module.
func (c *Code) Fingerprint(pkg string, more ...string) (string, error) {
	if c == nil || pkg == "" {
		return executable()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	pkgs := append([]string{pkg}, more...)
	name := strings.Join(pkgs, " ")
	if p, ok := c.prints[name]; ok {
		return p, nil
	}
	p, err := c.fingerprint(pkgs)
	if errors.Is(err, errNoVersions) {
		p, err = executable()
	}
	if err != nil {
		return "", fmt.Errorf("fingerprint of %s: %w", name, err)
	}
	c.prints[name] = p
	return p, nil
}

func (c *Code) fingerprint(pkgs []string) (string, error) {
	closure, err := c.closure(pkgs...)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	modules := map[string]bool{}
	for _, p := range closure {
		fmt.Fprintf(h, "package %q %x\n", p, c.packages[p].tokens)
		for _, m := range c.reached[p] {
			modules[m] = true
		}
	}
	if err := writeVersions(h, modules); err != nil {
		return "", err
	}
	return artifact.Digest(h.Sum(nil)).String(), nil
}

// closure returns the packages and those of the module that they import, directly or not, sorted.
func (c *Code) closure(pkgs ...string) ([]string, error) {
	seen := map[string]bool{}
	for _, p := range pkgs {
		seen[p] = true
	}
	todo := slices.Sorted(maps.Keys(seen))
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if err := c.load(p); err != nil {
			return nil, err
		}
		for _, i := range c.packages[p].imports {
			if !seen[i] {
				seen[i] = true
				todo = append(todo, i)
			}
		}
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// load scans a package once.
func (c *Code) load(pkg string) error {
	if c.packages[pkg] != nil {
		return nil
	}
	entries, err := fs.ReadDir(c.sources, pkg) // sorted
	if err != nil {
		return fmt.Errorf("its sources are not embedded: %w", err)
	}
	h := sha256.New()
	var p packageCode
	files := 0
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		src, err := fs.ReadFile(c.sources, path.Join(pkg, e.Name()))
		if err != nil {
			return err
		}
		files++
		fmt.Fprintf(h, "file %q\n", e.Name())
		if err := c.scan(h, &p, src); err != nil {
			return fmt.Errorf("%s/%s: %w", pkg, e.Name(), err)
		}
	}
	if files == 0 {
		return errors.New("its sources are not embedded")
	}
	h.Sum(p.tokens[:0])
	c.packages[pkg] = &p
	return nil
}

// scan hashes the tokens of one file and notes its imports.
func (c *Code) scan(h io.Writer, p *packageCode, src []byte) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", src, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, i := range file.Imports {
		target, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return err
		}
		if below, ok := strings.CutPrefix(target, c.module+"/"); ok {
			p.imports = append(p.imports, below)
		}
	}
	var failed error
	var s scanner.Scanner
	s.Init(set.AddFile("", -1, len(src)), src, func(pos token.Position, msg string) { failed = errors.New(msg) }, scanner.ScanComments)
	buf := make([]byte, 0, len(src))
	for {
		_, tok, lit := s.Scan()
		if tok == token.EOF {
			break
		}
		if tok == token.COMMENT && !strings.HasPrefix(lit, "//go:") {
			continue
		}
		if tok == token.SEMICOLON {
			lit = "" // whether it was written or a line end is no difference
		}
		buf = append(buf, byte(tok))
		buf = append(buf, lit...)
		buf = append(buf, 0)
	}
	_, _ = h.Write(buf)
	return failed
}

var errNoVersions = errors.New("the binary does not tell module versions")

// writeVersions writes path@version of the modules, as linked into this binary.
func writeVersions(h io.Writer, modules map[string]bool) error {
	if len(modules) == 0 {
		return nil
	}
	versions := linked()
	for _, m := range slices.Sorted(maps.Keys(modules)) {
		v, ok := versions[m]
		if !ok {
			return errNoVersions
		}
		fmt.Fprintf(h, "module %q %q\n", m, v)
	}
	return nil
}

// linked returns the versions of the modules in this binary; one behind a local replace has none.
var linked = sync.OnceValue(func() map[string]string {
	versions := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, d := range info.Deps {
		switch {
		case d.Replace == nil:
			versions[d.Path] = d.Version
		case d.Replace.Version != "":
			versions[d.Path] = d.Replace.Path + "@" + d.Replace.Version
		}
	}
	return versions
})

// executable returns the digest of the running binary.
var executable = sync.OnceValues(func() (string, error) {
	name, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding the executable: %w", err)
	}
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("reading the executable: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading the executable: %w", err)
	}
	return "executable:" + artifact.Digest(h.Sum(nil)).String(), nil
})
