package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Store, text string, o ...PutOption) Ref {
	t.Helper()
	ref, err := s.PutBytes(context.Background(), []byte(text), o...)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func path(s *Store, d Digest) string {
	return filepath.Join(s.Location(), filepath.FromSlash(blobName(d)))
}

// overwrite replaces a blob's bytes behind the store's back.
func overwrite(t *testing.T, s *Store, d Digest, b []byte) {
	t.Helper()
	if err := os.Chmod(path(s, d), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path(s, d), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPutOpen(t *testing.T) {
	ctx := context.Background()
	s := open(t)
	for _, text := range []string{"", "a", strings.Repeat("long ", 100_000)} {
		for _, o := range [][]PutOption{nil, {Durable()}, nil} {
			ref := put(t, s, text, o...)
			if ref.Digest != DigestOf([]byte(text)) || ref.Size != int64(len(text)) {
				t.Errorf("reference %v", ref)
			}
			blob, err := s.Open(ctx, ref)
			if err != nil {
				t.Fatal(err)
			}
			if err := iotest.TestReader(blob, []byte(text)); err != nil {
				t.Error(err)
			}
			if err := errors.Join(blob.Close(), s.Verify(ctx, ref)); err != nil {
				t.Error(err)
			}
		}
	}
	info, err := os.Stat(path(s, DigestOf([]byte("a"))))
	if err != nil || info.Mode().Perm()&0o222 != 0 {
		t.Errorf("a blob can be written to: %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Join(s.Location(), tempDir)); err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

func TestDamageIsNoticedOnce(t *testing.T) {
	ctx := context.Background()
	for name, bytes := range map[string]string{"flipped": "gext", "short": "tex", "long": "text and more", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			ref := put(t, s, "text")
			overwrite(t, s, ref.Digest, []byte(bytes))
			if _, err := s.Open(ctx, ref); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("first reading: %v, want ErrCorrupt", err)
			}
			if _, err := s.ReadAll(ctx, ref); !errors.Is(err, ErrNotFound) {
				t.Errorf("second reading: %v, want ErrNotFound", err)
			}
			put(t, s, "text")
			if b, err := s.ReadAll(ctx, ref); err != nil || string(b) != "text" {
				t.Errorf("after putting it again: %q, %v", b, err)
			}
		})
	}
}

func TestPutReplacesDamage(t *testing.T) {
	for name, o := range map[string][]PutOption{"durable": {Durable()}, "plain": nil} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			ref := put(t, s, "text", o...)
			overwrite(t, s, ref.Digest, []byte("gext"))
			put(t, s, "text", o...)
			if err := s.Verify(context.Background(), ref); err != nil {
				t.Error(err)
			}
		})
	}
}

// What cannot be read is damaged, and replaced like it.
func TestUnreadableBlob(t *testing.T) {
	ctx := context.Background()
	for name, spoil := range map[string]func(file string) error{
		"a folder in its place": func(file string) error { return os.Mkdir(file, 0o755) },
		"a link to itself":      func(file string) error { return os.Symlink(file, file) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			ref := put(t, s, "text")
			if err := errors.Join(os.Remove(path(s, ref.Digest)), spoil(path(s, ref.Digest))); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Open(ctx, ref); !errors.Is(err, ErrCorrupt) {
				t.Errorf("reading: %v, want ErrCorrupt", err)
			}
			put(t, s, "text")
			if err := s.Verify(ctx, ref); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whoever finds damage does not remove the sound blob that another has put in its place meanwhile.
func TestReplacedBlobStays(t *testing.T) {
	ctx := context.Background()
	s := open(t)
	ref := put(t, s, "text")
	overwrite(t, s, ref.Digest, []byte("gext"))
	damaged, err := s.backend.Open(ctx, blobName(ref.Digest))
	if err != nil {
		t.Fatal(err)
	}
	defer damaged.Close()
	put(t, s, "text")
	if err := s.discard(ctx, ref, damaged, ErrCorrupt); !errors.Is(err, ErrCorrupt) {
		t.Errorf("discarding: %v", err)
	}
	if err := s.Verify(ctx, ref); err != nil {
		t.Errorf("the sound blob: %v", err)
	}
}

// A reference that gives a wrong size finds nothing, and the blob stays.
func TestWrongSize(t *testing.T) {
	ctx := context.Background()
	s := open(t)
	ref := put(t, s, "text")
	for _, size := range []int64{-1, 0, 3, 5, inMemory + 1} {
		if err := s.Verify(ctx, Ref{ref.Digest, size}); !errors.Is(err, ErrNotFound) {
			t.Errorf("size %d: %v, want ErrNotFound", size, err)
		}
	}
	if err := s.Verify(ctx, ref); err != nil {
		t.Errorf("the blob itself: %v", err)
	}
}

func TestLargeBlobIsStreamed(t *testing.T) {
	ctx := context.Background()
	s := open(t)
	big := make([]byte, inMemory+1)
	ref, err := s.PutBytes(ctx, big)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := s.Open(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, blob)
	if err := errors.Join(err, blob.Close()); err != nil || n != ref.Size {
		t.Errorf("%d bytes, %v", n, err)
	}
	big[0] = 1
	overwrite(t, s, ref.Digest, big)
	if err := s.Verify(ctx, ref); !errors.Is(err, ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
}

func TestAbortAndCancelLeaveNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := open(t)
	w, err := s.NewWriter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("half")); err != nil || w.Size() != 4 {
		t.Fatal(err)
	}
	w.Abort()
	if _, err := s.Put(ctx, iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a reader that fails: %v", err)
	}
	cancel()
	if _, err := s.PutBytes(ctx, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled put: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(s.Location(), tempDir)); err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

func TestConcurrentPuts(t *testing.T) {
	s := open(t)
	var g sync.WaitGroup
	for i := range 16 {
		g.Go(func() {
			if _, err := s.PutBytes(context.Background(), []byte(fmt.Sprint(i%4))); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	for i := range 4 {
		text := []byte(fmt.Sprint(i))
		if err := s.Verify(context.Background(), Ref{DigestOf(text), 1}); err != nil {
			t.Error(err)
		}
	}
}

func TestStoreIdentity(t *testing.T) {
	ctx := context.Background()
	s := open(t)
	again, err := Open(ctx, "file://"+s.Location())
	if err != nil || again.ID() != s.ID() || s.ID() == "" {
		t.Errorf("id %q, then %q, %v", s.ID(), again.ID(), err)
	}
	if open(t).ID() == s.ID() {
		t.Error("two stores have the same id")
	}
	if s.Replaced(ctx) {
		t.Error("a store that is there counts as replaced")
	}
	if err := os.RemoveAll(s.Location()); err != nil {
		t.Fatal(err)
	}
	if other, err := Open(ctx, s.Location()); err != nil || other.ID() == s.ID() || !s.Replaced(ctx) || other.Replaced(ctx) {
		t.Errorf("the store that was made anew: %v, replaced %v", err, s.Replaced(ctx))
	}
	damaged := open(t).Location()
	id := filepath.Join(damaged, "store-id")
	if err := errors.Join(os.Chmod(id, 0o600), os.WriteFile(id, []byte("0"), 0o600)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, file + "/below", damaged} {
		if _, err := Open(ctx, bad); !errors.Is(err, ErrUnreachable) {
			t.Errorf("store %q: %v, want ErrUnreachable", bad, err)
		}
	}
	for _, bad := range []string{"", "file://", "s3://bucket"} {
		if _, err := Open(ctx, bad); !errors.Is(err, ErrLocation) {
			t.Errorf("store %q: %v, want ErrLocation", bad, err)
		}
		if _, err := OpenExisting(ctx, bad); !errors.Is(err, ErrLocation) {
			t.Errorf("reading store %q: %v, want ErrLocation", bad, err)
		}
	}
}

// Who only reads finds the store that is there, and makes none.
func TestOpenExisting(t *testing.T) {
	ctx := context.Background()
	s := open(t)
	for _, location := range []string{s.Location(), "file://" + s.Location()} {
		if got, err := OpenExisting(ctx, location); err != nil || got.ID() != s.ID() {
			t.Errorf("%s: %v", location, err)
		}
	}
	empty := t.TempDir()
	for _, none := range []string{empty, filepath.Join(empty, "absent")} {
		if _, err := OpenExisting(ctx, none); !errors.Is(err, ErrNoStore) || !strings.Contains(err.Error(), none) {
			t.Errorf("%s: %v, want ErrNoStore", none, err)
		}
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) != 0 {
		t.Errorf("looking for a store left %v, %v", left, err)
	}
}

func TestActions(t *testing.T) {
	ctx := context.Background()
	s := open(t)
	key := ActionKey(DigestOf([]byte("key")))
	if _, err := s.Action(ctx, key); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown action: %v", err)
	}
	result := func(text string) *ActionResult {
		return &ActionResult{Schema: ActionSchema, Kind: "kind", Outputs: []Output{{Name: "out", Class: "result", Ref: Ref{DigestOf([]byte(text)), 1}}}}
	}
	first := result("a")
	if won, err := s.PutAction(ctx, key, first); err != nil || won != first {
		t.Errorf("first: %v, %v", won, err)
	}
	if won, err := s.PutAction(ctx, key, result("a")); err != nil || !won.SameOutputs(first) {
		t.Errorf("the same again: %v, %v", won, err)
	}
	if won, err := s.PutAction(ctx, key, result("b")); err != nil || !won.SameOutputs(first) {
		t.Errorf("a different one: the first must win, got %v, %v", won, err)
	}
	kept, err := filepath.Glob(filepath.Join(s.Location(), filepath.FromSlash(actionName(key))+".differs-*"))
	if err != nil || len(kept) != 1 {
		t.Errorf("the different one is kept as %v, %v", kept, err)
	}
	file := filepath.Join(s.Location(), filepath.FromSlash(actionName(key)))
	sound, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Replace(sound, []byte(`"class":"result"`), []byte(`"class":"resulu"`), 1)
	for name, b := range map[string][]byte{"torn": sound[:len(sound)/2], "empty": nil, "flipped": flipped} {
		if err := errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, b, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Action(ctx, key); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a result that is %s: %v, want ErrCorrupt", name, err)
		}
	}
	if won, err := s.PutAction(ctx, key, result("c")); err != nil || won.SameOutputs(first) {
		t.Errorf("over a torn result: %v, %v", won, err)
	}
	if err := s.ReplaceAction(ctx, key, first); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Action(ctx, key); err != nil || !r.SameOutputs(first) {
		t.Errorf("after a replacement: %v, %v", r, err)
	}
	for i := range 3 * recentKept {
		if _, err := s.PutAction(ctx, ActionKey(DigestOf([]byte(fmt.Sprint(i)))), result("a")); err != nil {
			t.Fatal(err)
		}
	}
	if recent, err := s.RecentActions(ctx, "kind"); err != nil || len(recent) != recentKept {
		t.Errorf("%d recent actions, %v, want %d", len(recent), err, recentKept)
	}
}

func TestRuns(t *testing.T) {
	ctx := context.Background()
	s := open(t)
	ids := []string{"20260101-000000-aaaaaa", "20260101-000001-aabbbb", "20260102-000000-cccccc"}
	for _, id := range ids {
		if err := s.PutRun(ctx, id, "record.json", []byte(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutRun(ctx, ids[0], "record.json", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Run(ctx, ids[0], "record.json"); err != nil || string(b) != "new" {
		t.Errorf("%q, %v", b, err)
	}
	record := s.RunPath(ids[0], "record.json")
	if err := errors.Join(os.Chmod(record, 0o600), os.WriteFile(record, []byte("nev"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Run(ctx, ids[0], "record.json"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged record: %q, %v", b, err)
	}
	if err := errors.Join(os.Remove(record), os.Mkdir(record, 0o755), s.PutRun(ctx, ids[0], "record.json", []byte("new"))); err != nil {
		t.Errorf("over a folder: %v", err)
	}
	if err := s.PutRunView(ctx, ids[0], "report.html", []byte("x")); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(s.RunPath(ids[0], "report.html")); err != nil || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
	for _, bad := range [][2]string{{"../x", "a"}, {ids[0], "../a"}, {ids[0], ""}, {ids[0], ".a"}} {
		if err := s.PutRun(ctx, bad[0], bad[1], nil); err == nil {
			t.Errorf("%v was stored", bad)
		}
		if _, err := s.Run(ctx, bad[0], bad[1]); err == nil || s.RunPath(bad[0], bad[1]) != "" {
			t.Errorf("%v was read", bad)
		}
	}
	if got, err := s.Runs(ctx, 2); err != nil || len(got) != 2 || got[0] != ids[2] {
		t.Errorf("newest two: %v, %v", got, err)
	}
	for prefix, want := range map[string]string{ids[1]: ids[1], "20260102": ids[2], "cc": ids[2], "aab": ids[1]} {
		if got, err := s.ResolveRun(ctx, prefix); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", prefix, got, err, want)
		}
	}
	if _, err := s.ResolveRun(ctx, "aa"); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("an ambiguous prefix: %v", err)
	}
	for _, none := range []string{"zz", ""} {
		if _, err := s.ResolveRun(ctx, none); !errors.Is(err, ErrNotFound) {
			t.Errorf("prefix %q: %v", none, err)
		}
	}
	start, last := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), ""
	for ms := range 2000 {
		id := NewRunID(start.Add(2 * time.Duration(ms) * time.Millisecond))
		if id <= last || !ValidRunID(id) {
			t.Fatalf("%s does not sort behind %s", id, last)
		}
		last = id
	}
	if id := NewRunID(time.Now()); !ValidRunID(id) {
		t.Errorf("%q is no run id", id)
	}
}

func TestLock(t *testing.T) {
	s := open(t)
	release, err := s.Lock(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	if held, err := s.Locked(t.Context(), "run"); err != nil || !held {
		t.Errorf("it is not locked: %v", err)
	}
	if _, err := s.Lock(t.Context(), "run"); !errors.Is(err, errHeld) {
		t.Errorf("locking twice: %v", err)
	}
	release()
	for _, name := range []string{"run", "other"} {
		if held, err := s.Locked(t.Context(), name); err != nil || held {
			t.Errorf("%s is locked still: %v", name, err)
		}
	}
}

func TestDigestText(t *testing.T) {
	d := DigestOf([]byte("x"))
	for _, bad := range []string{"sha256:", "sha256:" + strings.Repeat("g", 64), "sha256:" + strings.ToUpper(d.Hex()), "sha1:" + d.Hex(), d.Hex(), d.String() + "0", " " + d.String()} {
		if _, err := ParseDigest(bad); err == nil {
			t.Errorf("%q was taken for a digest", bad)
		}
		if _, err := ParseActionKey(bad); err == nil {
			t.Errorf("%q was taken for an action key", bad)
		}
	}
	var back struct {
		D Digest
		K ActionKey
		Z Digest
	}
	b, err := json.Marshal(struct {
		D Digest
		K ActionKey
		Z Digest
	}{D: d, K: ActionKey(d)})
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil || back.D != d || back.K != ActionKey(d) || !back.Z.IsZero() || back.K.String() != d.String() || back.K.IsZero() {
		t.Errorf("%s gives %+v, %v", b, back, err)
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add(DigestOf(nil).String())
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDigest(s); err == nil && d.String() != s {
			t.Errorf("%q is printed as %q", s, d)
		}
	})
}

func BenchmarkPut4K(b *testing.B) {
	s, err := Open(context.Background(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	data := bytes.Repeat([]byte("x"), 4096)
	for i := 0; b.Loop(); i++ {
		copy(data, fmt.Sprint(i))
		if _, err := s.PutBytes(context.Background(), data); err != nil {
			b.Fatal(err)
		}
	}
}

// The bytes of an output are read from where they are, and checked wherever that is.
func TestOutputBytes(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	stored, err := s.PutBytes(ctx, []byte("stored"))
	if err != nil {
		t.Fatal(err)
	}
	inline := Output{Ref: Ref{Digest: DigestOf([]byte("inline")), Size: 6}, Inline: []byte("inline")}
	empty := Output{Ref: Ref{Digest: DigestOf(nil)}}
	forged, short, lost := inline, inline, inline
	forged.Inline, short.Size, lost.Inline = []byte("forged"), 5, nil
	for _, store := range []*Store{s, nil} {
		for _, c := range []struct {
			output Output
			want   string
			err    error
		}{{inline, "inline", nil}, {empty, "", nil}, {forged, "", ErrCorrupt}, {short, "", ErrCorrupt}, {lost, "", ErrNotFound}} {
			b, err := store.ReadOutput(ctx, c.output)
			if verified := store.VerifyOutput(ctx, c.output); !errors.Is(err, c.err) || string(b) != c.want || !errors.Is(verified, c.err) {
				t.Errorf("%+v: %q, %v, %v; want %q, %v", c.output, b, err, verified, c.want, c.err)
			}
		}
	}
	if b, err := s.ReadOutput(ctx, Output{Ref: stored}); err != nil || string(b) != "stored" {
		t.Errorf("%q, %v", b, err)
	}
	if !inline.Same(lost) || inline.Same(short) {
		t.Error("which outputs are the same")
	}
}
