package artifacttest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
)

func newStore(t *testing.T, b artifact.Backend) *artifact.Store {
	t.Helper()
	s, err := artifact.New(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func storeParts(t *testing.T, b artifact.Backend) {
	s := newStore(t, b)
	for _, n := range []int{0, 1000, 17 << 20} {
		data := noise(3, n)
		for _, o := range [][]artifact.PutOption{nil, {artifact.Durable()}} {
			ref, err := s.Put(t.Context(), bytes.NewReader(data), o...)
			if err != nil || ref.Digest != artifact.DigestOf(data) || ref.Size != int64(n) {
				t.Fatalf("%d bytes: %v, %v", n, ref, err)
			}
			if got, err := s.ReadAll(t.Context(), ref); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes: got %d, %v", n, len(got), err)
			}
		}
	}
	if _, err := s.ReadAll(t.Context(), artifact.Ref{Digest: artifact.DigestOf([]byte("none")), Size: 4}); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("what was never stored: %v", err)
	}
}

// storeIdentity: processes that make one store at once agree on its id.
func storeIdentity(t *testing.T, b artifact.Backend) {
	var ids [8]string
	var g sync.WaitGroup
	for i := range ids {
		g.Go(func() {
			s, err := artifact.New(t.Context(), b)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = s.ID()
		})
	}
	g.Wait()
	if slices.Sort(ids[:]); ids[0] == "" || ids[0] != ids[len(ids)-1] {
		t.Errorf("the ids are %q", ids)
	}
	if s := newStore(t, b); s.ID() != ids[0] || s.Replaced(t.Context()) {
		t.Errorf("later it is %q", s.ID())
	}
}

// storeDamage: bytes that are not those of their digest are noticed once, and stored anew.
func storeDamage(t *testing.T, b artifact.Backend) {
	s := newStore(t, b)
	for _, n := range []int{10, 5 << 20} {
		data := noise(4, n)
		ref, err := s.PutBytes(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		h := ref.Digest.Hex()
		name := "cas/v1/sha256/" + h[:2] + "/" + h
		flipped := bytes.Clone(data)
		flipped[n/2] ^= 1
		for what, damaged := range map[string][]byte{"flipped": flipped, "short": data[:n-1], "empty": nil, "long": append(bytes.Clone(data), 0)} {
			put(t, b, name, string(damaged), artifact.CommitOptions{Replace: true})
			if _, err := s.Open(t.Context(), ref); !errors.Is(err, artifact.ErrCorrupt) {
				t.Errorf("%s: first reading: %v, want ErrCorrupt", what, err)
			}
			if _, err := s.Open(t.Context(), ref); !errors.Is(err, artifact.ErrNotFound) {
				t.Errorf("%s: second reading: %v, want ErrNotFound", what, err)
			}
			put(t, b, name, string(damaged), artifact.CommitOptions{Replace: true})
			if _, err := s.PutBytes(t.Context(), data); err != nil {
				t.Error(err)
			}
			if err := s.Verify(t.Context(), ref); err != nil {
				t.Errorf("%s: after putting it again: %v", what, err)
			}
		}
	}
}

// storeActions: of results that want one key at once the first counts, for everybody.
func storeActions(t *testing.T, b artifact.Backend) {
	s := newStore(t, b)
	key := artifact.ActionKey(artifact.DigestOf([]byte("key")))
	if _, err := s.Action(t.Context(), key); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("an unknown action: %v", err)
	}
	var counted [writers]*artifact.ActionResult
	var g sync.WaitGroup
	for i := range counted {
		g.Go(func() {
			out := artifact.Output{Name: "out", Class: "result", Ref: artifact.Ref{Digest: artifact.DigestOf([]byte{byte(i)}), Size: 1}}
			var err error
			if counted[i], err = s.PutAction(t.Context(), key, &artifact.ActionResult{Schema: artifact.ActionSchema, Kind: "kind", Outputs: []artifact.Output{out}}); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	first, err := s.Action(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range counted {
		if r == nil || !r.SameOutputs(first) {
			t.Errorf("writer %d was told of another result", i)
		}
	}
	if recent, err := s.RecentActions(t.Context(), "kind"); err != nil || len(recent) != 1 {
		t.Errorf("%d recent results, %v", len(recent), err)
	}
}

func storeRuns(t *testing.T, b artifact.Backend) {
	s := newStore(t, b)
	now := time.Now()
	var ids []string
	for i := range 12 {
		id := artifact.NewRunID(now.Add(-time.Duration(i*i) * 24 * time.Hour))
		ids = append(ids, id)
		if err := s.PutRun(t.Context(), id, "record.json", fmt.Appendf(nil, `{"i":%d}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{0, 1, 3, 12, 100} {
		want := ids
		if limit > 0 {
			want = ids[:min(limit, len(ids))]
		}
		if got, err := s.Runs(t.Context(), limit); err != nil || !slices.Equal(got, want) {
			t.Errorf("the newest %d: %v, %v", limit, got, err)
		}
	}
	if text, err := s.Run(t.Context(), ids[3], "record.json"); err != nil || string(text) != `{"i":3}` {
		t.Errorf("got %s, %v", text, err)
	}
	if got, err := s.ResolveRun(t.Context(), ids[5]); err != nil || got != ids[5] {
		t.Errorf("%s is %s, %v", ids[5], got, err)
	}
	if got, err := s.ResolveRun(t.Context(), ids[11][:8]); err != nil || got != ids[11] {
		t.Errorf("%s is %s, %v", ids[11][:8], got, err)
	}
	if _, err := s.ResolveRun(t.Context(), "20000101-000000-aaaaaa"); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("a run that never was: %v", err)
	}
	for _, name := range Hostile {
		if err := s.PutRun(t.Context(), ids[0], name, nil); err == nil {
			t.Errorf("%q was stored", name)
		}
		if err := s.PutRun(t.Context(), name, "record.json", nil); err == nil {
			t.Errorf("run %q was stored", name)
		}
	}
}

func storeLock(t *testing.T, b artifact.Backend) {
	s := newStore(t, b)
	release, err := s.Lock(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.Locked(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	if !held {
		if _, ok := b.(artifact.Ager); ok {
			t.Error("it is not locked")
		}
		t.Skip("this backend locks nothing")
	}
	if _, err := s.Lock(t.Context(), "run"); err == nil {
		t.Error("it was locked twice")
	}
	release()
	for _, name := range []string{"run", "other"} {
		if held, err := s.Locked(t.Context(), name); err != nil || held {
			t.Errorf("%s is locked still: %v", name, err)
		}
	}
}
