// Package artifacttest has the suite that every artifact.Backend passes.
package artifacttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/hashline/hashline/artifact"
)

// Conformance runs the suite. open returns an empty Backend at each call; what it holds is of no use after its test.
func Conformance(t *testing.T, open func(t *testing.T) artifact.Backend) {
	for name, test := range map[string]func(*testing.T, artifact.Backend){
		"sizes": sizes, "nothing there": nothingThere, "first stays": firstStays, "replace": replace, "durable": durable,
		"many writers": manyWriters, "many replacers": manyReplacers, "large": large, "abort": abort, "canceled": canceled,
		"open object stays": openObjectStays, "delete": deleting, "delete only": deleteOnly, "list": list, "list part": listPart,
		"hostile names": hostileNames, "location": location,
		"store": storeParts, "store identity": storeIdentity, "store damage": storeDamage, "store actions": storeActions,
		"store runs": storeRuns, "store lock": storeLock,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Put stores an object and returns whether it took the name.
func Put(ctx context.Context, b artifact.Backend, name string, data []byte, o artifact.CommitOptions) (bool, error) {
	u, err := b.Begin(ctx)
	if err != nil {
		return false, err
	}
	if _, err := u.Write(data); err != nil {
		u.Abort()
		return false, err
	}
	return u.Commit(ctx, name, o)
}

// Get returns the bytes of an object.
func Get(ctx context.Context, b artifact.Backend, name string) ([]byte, error) {
	o, err := b.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return io.ReadAll(o)
}

func put(t *testing.T, b artifact.Backend, name, text string, o artifact.CommitOptions) bool {
	t.Helper()
	created, err := Put(t.Context(), b, name, []byte(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func want(t *testing.T, b artifact.Backend, name, text string) {
	t.Helper()
	if got, err := Get(t.Context(), b, name); err != nil || string(got) != text {
		t.Errorf("%s: got %.40q, %v, want %.40q", name, got, err, text)
	}
}

func wantNone(t *testing.T, b artifact.Backend, name string) {
	t.Helper()
	if got, err := Get(t.Context(), b, name); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("%s: got %.40q, %v, want ErrNotFound", name, got, err)
	}
}

// noise returns bytes that no layer can make smaller.
func noise(seed uint64, n int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

func sizes(t *testing.T, b artifact.Backend) {
	for _, n := range []int{0, 1, 4096, 1<<20 + 1, 4<<20 - 1, 4 << 20, 4<<20 + 1} {
		name, data := fmt.Sprintf("sizes/of-%d", n), noise(1, n)
		if created := put(t, b, name, string(data), artifact.CommitOptions{}); !created {
			t.Errorf("%d bytes: not created", n)
		}
		o, err := b.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(o)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: got %d, %v", n, len(got), err)
		}
		if _, err := o.Seek(0, io.SeekStart); err != nil {
			t.Error(err)
		}
		if n < 1<<20 {
			if err := iotest.TestReader(o, data); err != nil {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}
}

func nothingThere(t *testing.T, b artifact.Backend) {
	wantNone(t, b, "none")
	wantNone(t, b, "no/such/folder")
	put(t, b, "folder/name", "x", artifact.CommitOptions{})
	wantNone(t, b, "folder/other")
	wantNone(t, b, "fold")
	if names, err := b.List(t.Context(), "none"); err != nil || len(names) != 0 {
		t.Errorf("a list of nothing: %v, %v", names, err)
	}
	if err := b.Delete(t.Context(), "none/at-all", nil); err != nil {
		t.Errorf("deleting nothing: %v", err)
	}
}

func firstStays(t *testing.T, b artifact.Backend) {
	if !put(t, b, "a/name", "first", artifact.CommitOptions{}) {
		t.Error("the first was not created")
	}
	for _, text := range []string{"second", "first"} {
		if put(t, b, "a/name", text, artifact.CommitOptions{}) {
			t.Errorf("%q took the name of the first", text)
		}
	}
	want(t, b, "a/name", "first")
}

func replace(t *testing.T, b artifact.Backend) {
	for _, text := range []string{"first", "second, which is longer", "", "third"} {
		if !put(t, b, "a/name", text, artifact.CommitOptions{Replace: true}) {
			t.Errorf("%q was not stored", text)
		}
		want(t, b, "a/name", text)
	}
}

func durable(t *testing.T, b artifact.Backend) {
	put(t, b, "deep/er/name", "x", artifact.CommitOptions{Durable: true})
	put(t, b, "deep/er/name", "y", artifact.CommitOptions{Durable: true, Replace: true})
	put(t, b, "plain", "z", artifact.CommitOptions{})
	if err := errors.Join(b.Sync(t.Context(), "plain"), b.Sync(t.Context(), "deep/er/name")); err != nil {
		t.Error(err)
	}
	want(t, b, "deep/er/name", "y")
	want(t, b, "plain", "z")
}

const writers = 16

// manyWriters: of objects that want one name at once, one gets it, and everybody learns which.
func manyWriters(t *testing.T, b artifact.Backend) {
	for round := range 4 {
		name := fmt.Sprintf("race/%d", round)
		var winners [writers]bool
		var g sync.WaitGroup
		start := make(chan struct{})
		for i := range writers {
			g.Go(func() {
				u, err := b.Begin(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := fmt.Fprint(u, i); err != nil {
					t.Error(err)
				}
				<-start
				if winners[i], err = u.Commit(t.Context(), name, artifact.CommitOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		g.Wait()
		won := slices.Index(winners[:], true)
		if won < 0 || slices.Contains(winners[won+1:], true) {
			t.Fatalf("the winners are %v, want one", winners)
		}
		want(t, b, name, fmt.Sprint(won))
	}
}

// manyReplacers: an object is whole whenever it is read, also while it is replaced.
func manyReplacers(t *testing.T, b artifact.Backend) {
	text := func(i int) string { return strings.Repeat(fmt.Sprintf("%02d,", i), 10_000) }
	put(t, b, "name", text(0), artifact.CommitOptions{})
	var g sync.WaitGroup
	for i := range writers {
		g.Go(func() {
			if _, err := Put(t.Context(), b, "name", []byte(text(i)), artifact.CommitOptions{Replace: true}); err != nil {
				t.Error(err)
			}
			got, err := Get(t.Context(), b, "name")
			if err != nil || len(got) != len(text(0)) || string(got) != strings.Repeat(string(got[:3]), 10_000) {
				t.Errorf("a mixture was read: %d bytes, %v", len(got), err)
			}
		})
	}
	g.Wait()
}

// large: objects that are sent in parts obey the same rules.
func large(t *testing.T, b artifact.Backend) {
	const size = 37<<20 + 11
	var data [3][]byte
	var created [3]bool
	var g sync.WaitGroup
	for i := range data {
		data[i] = noise(uint64(i), size)
		g.Go(func() {
			u, err := b.Begin(t.Context())
			if err == nil {
				_, err = io.CopyBuffer(struct{ io.Writer }{u}, struct{ io.Reader }{bytes.NewReader(data[i])}, make([]byte, 100_003))
			}
			if err == nil {
				created[i], err = u.Commit(t.Context(), "large", artifact.CommitOptions{})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	won := slices.Index(created[:], true)
	if won < 0 || slices.Contains(created[won+1:], true) {
		t.Fatalf("the winners are %v, want one", created)
	}
	o, err := b.Open(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, data[won]) {
		t.Errorf("it comes back as %d bytes, %v", len(got), err)
	}
	part := make([]byte, 5000)
	if _, err := o.ReadAt(part, 20<<20); err != nil || !bytes.Equal(part, data[won][20<<20:20<<20+5000]) {
		t.Errorf("a part of it: %v", err)
	}
	other := (won + 1) % len(data)
	if created, err := Put(t.Context(), b, "large", data[other], artifact.CommitOptions{Replace: true}); err != nil || !created {
		t.Errorf("replacing: %v, %v", created, err)
	}
	if got, err := Get(t.Context(), b, "large"); err != nil || !bytes.Equal(got, data[other]) {
		t.Errorf("the replacement comes back as %d bytes, %v", len(got), err)
	}
}

func abort(t *testing.T, b artifact.Backend) {
	for _, n := range []int{0, 100, 20 << 20} {
		u, err := b.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(make([]byte, n)); err != nil {
			t.Error(err)
		}
		u.Abort()
	}
	if names, err := b.List(t.Context(), "cas"); err != nil || len(names) != 0 {
		t.Errorf("left: %v, %v", names, err)
	}
}

// canceled: an upload that is interrupted leaves nothing under its name, and the name is free for another.
func canceled(t *testing.T, b artifact.Backend) {
	for _, n := range []int{10, 40 << 20} {
		name := fmt.Sprintf("interrupted/%d", n)
		ctx, cancel := context.WithCancel(t.Context())
		u, err := b.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(make([]byte, n)); err != nil {
			t.Error(err)
		}
		cancel()
		created, err := u.Commit(ctx, name, artifact.CommitOptions{})
		if err == nil { // a backend need not notice; then it stored the whole
			if got, err := Get(t.Context(), b, name); !created || err != nil || len(got) != n {
				t.Errorf("%d bytes: %d were stored, %v", n, len(got), err)
			}
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d bytes: %v", n, err)
		}
		wantNone(t, b, name)
		if !put(t, b, name, "another", artifact.CommitOptions{}) {
			t.Error("the name is not free")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b.Delete(ctx, "interrupted/10", nil) == nil { // or it did as it was told
		wantNone(t, b, "interrupted/10")
	}
}

// openObjectStays: what is open keeps its bytes, whatever becomes of the name.
func openObjectStays(t *testing.T, b artifact.Backend) {
	for _, n := range []int{100, 5 << 20} {
		name, was := fmt.Sprintf("name-%d", n), noise(1, n)
		put(t, b, name, string(was), artifact.CommitOptions{})
		o, err := b.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		put(t, b, name, string(noise(2, n)), artifact.CommitOptions{Replace: true})
		if err := b.Delete(t.Context(), name, nil); err != nil {
			t.Error(err)
		}
		if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, was) {
			t.Errorf("%d bytes changed while they were open: %v", n, err)
		}
		_ = o.Close()
	}
}

func deleting(t *testing.T, b artifact.Backend) {
	put(t, b, "a/1", "x", artifact.CommitOptions{})
	put(t, b, "a/2", "y", artifact.CommitOptions{})
	for range 2 {
		if err := b.Delete(t.Context(), "a/1", nil); err != nil {
			t.Error(err)
		}
	}
	wantNone(t, b, "a/1")
	want(t, b, "a/2", "y")
	if !put(t, b, "a/1", "new", artifact.CommitOptions{}) {
		t.Error("the name is not free again")
	}
	want(t, b, "a/1", "new")
}

func deleteOnly(t *testing.T, b artifact.Backend) {
	put(t, b, "name", "damaged", artifact.CommitOptions{})
	was, err := b.Open(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	defer was.Close()
	put(t, b, "name", "sound", artifact.CommitOptions{Replace: true})
	if err := b.Delete(t.Context(), "name", was); err != nil {
		t.Error(err)
	}
	want(t, b, "name", "sound")
	now, err := b.Open(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	if err := b.Delete(t.Context(), "name", now); err != nil {
		t.Error(err)
	}
	wantNone(t, b, "name")
	if err := b.Delete(t.Context(), "name", now); err != nil {
		t.Errorf("what is gone already: %v", err)
	}
}

// fill stores n objects in a folder, each in a folder of its own if deep, and returns the names in the folder.
func fill(t *testing.T, b artifact.Backend, folder string, n int, deep bool) []string {
	t.Helper()
	names := make([]string, n)
	var g sync.WaitGroup
	limit := make(chan struct{}, 32)
	for i := range names {
		names[i] = fmt.Sprintf("%06d-x", i)
		limit <- struct{}{}
		g.Go(func() {
			defer func() { <-limit }()
			name := folder + "/" + names[i]
			if deep {
				name += "/document.json"
			}
			if _, err := Put(t.Context(), b, name, nil, artifact.CommitOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	return names
}

func list(t *testing.T, b artifact.Backend) {
	for folder, deep := range map[string]bool{"flat": false, "deep/er": true} {
		names := fill(t, b, folder, 1050, deep)
		got, err := b.List(t.Context(), folder)
		if err != nil || !slices.Equal(got, names) {
			t.Errorf("%s: got %d names, %v, want %d in order", folder, len(got), err, len(names))
		}
	}
	if got, err := b.List(t.Context(), "deep"); err != nil || !slices.Equal(got, []string{"er"}) {
		t.Errorf("the folder of a folder: %v, %v", got, err)
	}
	if got, err := b.List(t.Context(), "fla"); err != nil || len(got) != 0 {
		t.Errorf("the beginning of a folder's name: %v, %v", got, err)
	}
}

func listPart(t *testing.T, b artifact.Backend) {
	l, ok := b.(artifact.PartLister)
	if !ok {
		t.Skip("this backend lists the whole alone")
	}
	names := fill(t, b, "runs", 1050, true)
	for _, c := range []struct {
		after string
		most  int
		want  []string
	}{
		{"", 1000, names[:1000]}, {"", 0, names}, {"", 7, names[:7]}, {"000003-x", 2, names[4:6]}, {"000003", 2, names[3:5]},
		{"001040", 0, names[1040:]}, {"001040", 50, names[1040:]}, {"zzz", 0, nil},
	} {
		if got, err := l.ListPart(t.Context(), "runs", c.after, c.most); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%d names after %q: got %d, %v, want %d", c.most, c.after, len(got), err, len(c.want))
		}
	}
}

// Hostile are names that no backend may take.
var Hostile = []string{"", ".", "..", "/", "/etc/passwd", "../outside", "a/../../outside", "a/..", "a//b", "a/", "./a", "a/./b", `a\b`, `..\outside`, "a\x00b", "a\nb", "ä"}

func hostileNames(t *testing.T, b artifact.Backend) {
	put(t, b, "a/b", "x", artifact.CommitOptions{})
	for _, name := range Hostile {
		if created, err := Put(t.Context(), b, name, []byte("hostile"), artifact.CommitOptions{Replace: true}); err == nil || created {
			t.Errorf("%q was stored", name)
		}
		if got, err := Get(t.Context(), b, name); err == nil || errors.Is(err, artifact.ErrUnreachable) {
			t.Errorf("%q was read: %q, %v", name, got, err)
		}
		if err := b.Delete(t.Context(), name, nil); err == nil {
			t.Errorf("%q was deleted", name)
		}
		if err := b.Sync(t.Context(), name); err == nil {
			t.Errorf("%q was synced", name)
		}
		if names, err := b.List(t.Context(), name); err == nil {
			t.Errorf("%q was listed: %v", name, names)
		}
	}
	want(t, b, "a/b", "x")
}

func location(t *testing.T, b artifact.Backend) {
	l, ok := b.(artifact.Locator)
	if !ok {
		t.Skip("this backend does not say where it lies")
	}
	put(t, b, "a/b", "x", artifact.CommitOptions{})
	if l.Location() == "" || !strings.HasSuffix(l.Where("a/b"), "/a/b") {
		t.Errorf("it lies at %q, an object at %q", l.Location(), l.Where("a/b"))
	}
}
