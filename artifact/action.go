package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ActionResult says what an action made. It is a claim, which only running the action again can check.
type ActionResult struct {
	Schema     string      `json:"schema"`
	Kind       string      `json:"kind"`
	Components []Component `json:"components"` // what the key was made of, so that a miss can name what differs
	Outputs    []Output    `json:"outputs"`
	Warnings   []Warning   `json:"warnings,omitempty"`
	Code       string      `json:"code"`
	Worker     string      `json:"worker"`
	CreatedAt  time.Time   `json:"created_at"`
	ComputeS   float64     `json:"compute_s"`
}

// ActionSchema is the schema of ActionResult.
const ActionSchema = "hashline.action/1"

// Component is one labelled part of an action key.
type Component struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// Output is one named artifact that an action made.
type Output struct {
	Name      string `json:"name"`
	Class     string `json:"class"`
	MediaType string `json:"media_type"`
	Ref
	Inline []byte `json:"inline,omitempty"` // its bytes, when they are here and not in the store
}

// inline reports whether the bytes are with the output, or are none, which JSON leaves out.
func (o Output) inline() bool { return len(o.Inline) > 0 || o.Size == 0 && o.Digest == DigestOf(nil) }

// Same reports whether two outputs are the same artifact under the same name, wherever their bytes are.
func (o Output) Same(p Output) bool {
	return o.Name == p.Name && o.Class == p.Class && o.MediaType == p.MediaType && o.Ref == p.Ref
}

// Warning is a finding that does not stop a run. It is kept with the result, so that a cache hit repeats it.
type Warning struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Column  string `json:"column"`
}

// SameOutputs reports whether two results name the same artifacts.
func (r *ActionResult) SameOutputs(o *ActionResult) bool {
	return slices.EqualFunc(r.Outputs, o.Outputs, Output.Same)
}

func actionName(k ActionKey) string {
	h := k.Hex()
	return "actions/v1/" + h[:2] + "/" + h
}

// PutAction stores a result and returns the one that counts: the first of its key. A later one with other outputs is
// kept beside it under its own digest, and the caller sees that it did not win.
func (s *Store) PutAction(ctx context.Context, key ActionKey, r *ActionResult) (*ActionResult, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("action result: %w", err)
	}
	created, err := s.putDocument(ctx, actionName(key), b, CommitOptions{})
	if err != nil {
		return nil, err
	}
	if created {
		return r, s.remember(ctx, r.Kind, key)
	}
	first, err := s.Action(ctx, key)
	if errors.Is(err, ErrCorrupt) {
		return r, s.ReplaceAction(ctx, key, r)
	}
	if err != nil {
		return nil, err
	}
	if !first.SameOutputs(r) {
		_, err = s.putDocument(ctx, actionName(key)+".differs-"+DigestOf(b).Hex()[:16], b, CommitOptions{})
	}
	return first, err
}

// ReplaceAction puts a result in the place of the one that counts, whose outputs are gone for good.
func (s *Store) ReplaceAction(ctx context.Context, key ActionKey, r *ActionResult) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("action result: %w", err)
	}
	_, err = s.putDocument(ctx, actionName(key), b, CommitOptions{Replace: true})
	return err
}

// Action returns the result of a key, ErrNotFound when there is none and ErrCorrupt when it cannot be read.
func (s *Store) Action(ctx context.Context, key ActionKey) (*ActionResult, error) {
	b, err := s.document(ctx, actionName(key))
	if err != nil {
		return nil, err
	}
	var r ActionResult
	if err := json.Unmarshal(b, &r); err != nil || r.Schema != ActionSchema {
		return nil, fmt.Errorf("action result %s: %w", key, ErrCorrupt)
	}
	return &r, nil
}

// recentKept bounds how many results of a kind are looked at to explain a miss.
const recentKept = 16

func recentDir(kind string) string { return "recent/v1/" + kind }

// remember notes a result under its kind, newest last, and forgets old notes.
func (s *Store) remember(ctx context.Context, kind string, key ActionKey) error {
	name := fmt.Sprintf("%s/%020d-%s", recentDir(kind), time.Now().UnixNano(), key.Hex())
	if _, err := s.putDocument(ctx, name, nil, CommitOptions{}); err != nil {
		return err
	}
	names, err := s.backend.List(ctx, recentDir(kind))
	if err != nil {
		return err
	}
	for _, old := range names[:max(0, len(names)-2*recentKept)] {
		if err := s.backend.Delete(ctx, recentDir(kind)+"/"+old, nil); err != nil {
			return err
		}
	}
	return nil
}

// RecentActions returns the newest results of a kind, newest first, at most recentKept of them.
func (s *Store) RecentActions(ctx context.Context, kind string) ([]*ActionResult, error) {
	names, err := s.backend.List(ctx, recentDir(kind))
	if err != nil {
		return nil, err
	}
	slices.Reverse(names)
	var results []*ActionResult
	for _, name := range names[:min(len(names), recentKept)] {
		_, hex, _ := strings.Cut(name, "-")
		key, err := ParseActionKey(digestPrefix + hex)
		if err != nil {
			continue // no name of ours
		}
		if r, err := s.Action(ctx, key); err == nil {
			results = append(results, r)
		}
	}
	return results, nil
}
