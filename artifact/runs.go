package artifact

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// NewRunID returns an id that sorts by time, to the millisecond, and is short enough to type: date, time of day (UTC), two
// characters for the part of the second and four random ones, as in 20261123-142501-k3f9qz.
func NewRunID(t time.Time) string {
	const letters = "23456789abcdefghjkmnpqrstuvwxyz" // in ascending order
	const n = len(letters)
	var end [6]byte
	_, _ = rand.Read(end[:]) // never fails
	for i, b := range end {
		end[i] = letters[int(b)%n]
	}
	part := t.Nanosecond() / (int(time.Second)/(n*n) + 1)
	end[0], end[1] = letters[part/n], letters[part%n]
	return t.UTC().Format(runTime) + "-" + string(end[:])
}

const runTime = "20060102-150405"

var runID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{8}-[0-9]{6}-[a-z0-9]{6}$`) })

// ValidRunID reports whether id has the form that NewRunID gives. Nothing else is ever made part of a path.
func ValidRunID(id string) bool { return runID().MatchString(id) }

func runName(id, name string) (string, error) {
	if !ValidRunID(id) || name == "" || strings.ContainsAny(name, "/\\") || strings.HasPrefix(name, ".") {
		return "", fmt.Errorf("%q, %q: no document of a run", id, name)
	}
	return runsDir + "/" + id + "/" + name, nil
}

// PutRun stores a document of a run durably, in the place of an older one of the same name.
func (s *Store) PutRun(ctx context.Context, id, name string, b []byte) error {
	path, err := runName(id, name)
	if err != nil {
		return err
	}
	_, err = s.putDocument(ctx, path, b, CommitOptions{Replace: true, Durable: true})
	return err
}

// PutRunView stores a document of a run that can be made again, such as its report, without the cost of a sync.
func (s *Store) PutRunView(ctx context.Context, id, name string, b []byte) error {
	path, err := runName(id, name)
	if err != nil {
		return err
	}
	_, err = s.putDocument(ctx, path, b, CommitOptions{Replace: true})
	return err
}

// Run returns a document of a run, ErrNotFound when there is none, and ErrCorrupt when it is JSON and not what was stored.
func (s *Store) Run(ctx context.Context, id, name string) ([]byte, error) {
	path, err := runName(id, name)
	if err != nil {
		return nil, err
	}
	return s.document(ctx, path)
}

// RunPath returns where a document of a run lies on this machine, or "" when the store is elsewhere.
func (s *Store) RunPath(id, name string) string {
	path, err := runName(id, name)
	d, ok := s.backend.(*dir)
	if err != nil || !ok {
		return ""
	}
	return d.path(path)
}

// RunLocation returns where a document of a run lies, for people to read: a path on this machine, or a URL. It is "" when
// the backend cannot say.
func (s *Store) RunLocation(id, name string) string {
	path, err := runName(id, name)
	l, ok := s.backend.(Locator)
	if err != nil || !ok {
		return ""
	}
	return l.Where(path)
}

const runsDir = "runs"

// Runs returns run ids, newest first, at most limit of them (0: all).
func (s *Store) Runs(ctx context.Context, limit int) ([]string, error) {
	names, err := s.newest(ctx, limit)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !ValidRunID(n) })
	slices.Reverse(names)
	if limit > 0 {
		names = names[:min(limit, len(names))]
	}
	return names, nil
}

// newest returns the names of runs in order, all of them or at least the newest limit. A remote list comes in pages from
// its beginning, where the oldest are. As ids sort by time, a list can begin at a time instead: an hour ago, a day, a month,
// until that is enough.
func (s *Store) newest(ctx context.Context, limit int) ([]string, error) {
	const page = 1000
	l, ok := s.backend.(PartLister)
	if !ok || limit <= 0 || limit > page {
		return s.backend.List(ctx, runsDir)
	}
	names, err := l.ListPart(ctx, runsDir, "", page)
	if err != nil || len(names) < page {
		return names, err
	}
	const day = 24 * time.Hour
	for _, back := range []time.Duration{time.Hour, day, 30 * day} {
		names, err := l.ListPart(ctx, runsDir, time.Now().Add(-back).UTC().Format(runTime), 0)
		if err != nil || len(names) >= limit {
			return names, err
		}
	}
	return s.backend.List(ctx, runsDir)
}

// ErrAmbiguous says that a prefix fits several runs.
var ErrAmbiguous = errors.New("fits several runs")

// ResolveRun returns the one run whose id, or the random end of it, starts with prefix.
func (s *Store) ResolveRun(ctx context.Context, prefix string) (string, error) {
	if ValidRunID(prefix) { // the whole id spares the list of all
		if documents, err := s.backend.List(ctx, runsDir+"/"+prefix); err != nil || len(documents) > 0 {
			return prefix, err
		}
	}
	ids, err := s.Runs(ctx, 0)
	if err != nil {
		return "", err
	}
	var found []string
	for _, id := range ids {
		tail := id[strings.LastIndexByte(id, '-')+1:]
		if prefix != "" && (strings.HasPrefix(id, prefix) || strings.HasPrefix(tail, prefix)) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no run %.40q in %s: %w", prefix, s.location, ErrNotFound)
	case 1:
		return found[0], nil
	}
	const most = 10
	more := ""
	if len(found) > most {
		more = fmt.Sprintf(" and %d more", len(found)-most)
	}
	return "", fmt.Errorf("%.40q %w: %s%s", prefix, ErrAmbiguous, strings.Join(found[:min(most, len(found))], ", "), more)
}
