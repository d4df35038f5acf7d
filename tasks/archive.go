package tasks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// The stream of a run is kept short: beyond longEvents its older part moves to the store, keepEvents stay.
const (
	longEvents = 4000
	keepEvents = 1000
)

// archive moves the older events of a run to the store, in a document of its own, and takes them off the stream. One
// worker at a time does it for a run. Dying in between is harmless: the same document is written again.
func (c *core) archive(ctx context.Context, run string, length int64) error {
	stream := c.keys(run).name("events")
	n := length - keepEvents
	messages, err := c.redis.XRangeN(ctx, stream, "-", "+", n).Result()
	if err != nil || len(messages) == 0 {
		return err
	}
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for _, m := range messages {
		if err := lines.Encode(parseEvent(run, m)); err != nil {
			return err
		}
	}
	name := "events-" + messages[0].ID + ".jsonl"
	if err := c.store.PutRun(ctx, run, name, b.Bytes()); err != nil {
		return err
	}
	chunks, err := c.chunks(ctx, run)
	if err != nil {
		return err
	}
	if len(chunks) == 0 || chunks[len(chunks)-1] != name {
		chunks = append(chunks, name)
	}
	last := messages[len(messages)-1].ID
	if err := c.redis.HSet(ctx, c.keys(run).name("meta"), "chunks", strings.Join(chunks, ","), "trimmed", last).Err(); err != nil {
		return err
	}
	return c.redis.XTrimMinID(ctx, stream, after(last)).Err()
}

// chunks returns the documents that hold the older events of a run.
func (c *core) chunks(ctx context.Context, run string) ([]string, error) {
	text, err := c.redis.HGet(ctx, c.keys(run).name("meta"), "chunks").Result()
	if errors.Is(err, redis.Nil) || err == nil && text == "" {
		return nil, nil
	}
	if err != nil {
		return nil, &unread{err}
	}
	return slices.DeleteFunc(strings.Split(text, ","), func(name string) bool { return !chunkName().MatchString(name) }), nil
}

// chunkName is what a chunk may be called: a name out of Redis becomes part of a path.
var chunkName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^events-[0-9]{1,20}-[0-9]{1,20}\.jsonl$`) })

// unread is what Redis answered instead of the list of chunks.
type unread struct{ error }

func (e *unread) Unwrap() error { return e.error }

// archived calls fn for the events behind one that are no longer in the stream, and returns the id of the last.
func (c *core) archived(ctx context.Context, run, last string, fn func(pipeline.Event) error) (string, error) {
	chunks, err := c.chunks(ctx, run)
	if err != nil || c.store == nil {
		return last, err
	}
	for _, name := range chunks {
		b, err := c.store.Run(ctx, run, name)
		if errors.Is(err, artifact.ErrNotFound) {
			return last, fmt.Errorf("events of run %s: %w", run, err)
		}
		if err != nil {
			return last, err
		}
		err = eachEvent(b, func(e pipeline.Event) error {
			if !later(e.ID, last) {
				return nil
			}
			last = e.ID
			return fn(e)
		})
		if err != nil {
			return last, err
		}
	}
	return last, nil
}

// eachEvent reads stored events.
func eachEvent(b []byte, fn func(pipeline.Event) error) error {
	for line := range bytes.Lines(b) {
		var e pipeline.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("a stored event: %w", err)
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

// streamID is the id of an entry of a stream: a millisecond and a number.
func streamID(id string) (ms, n uint64) {
	left, right, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(left, 10, 64)
	n, _ = strconv.ParseUint(right, 10, 64)
	return ms, n
}

// later reports whether an entry comes behind another; everything comes behind "".
func later(id, than string) bool {
	if than == "" {
		return true
	}
	ms, n := streamID(id)
	thanMS, thanN := streamID(than)
	return ms > thanMS || ms == thanMS && n > thanN
}

// after returns the first id behind one.
func after(id string) string {
	ms, n := streamID(id)
	return strconv.FormatUint(ms, 10) + "-" + strconv.FormatUint(n+1, 10)
}
