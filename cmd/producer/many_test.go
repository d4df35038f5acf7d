package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// manyRuns makes a store in which a real run was made again and again, a minute apart, and returns the last one's id.
func manyRuns(b *testing.B, n int) (store, last string) {
	b.Helper()
	ctx := context.Background()
	store = b.TempDir()
	var out, complaints bytes.Buffer
	if code := run([]string{"submit", "--models", "decision_tree", "--json", "--store", store}, bytes.NewReader(nil), &out, &complaints); code != 0 {
		b.Fatal(complaints.String())
	}
	var d struct {
		RunID string `json:"run_id"`
	}
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		b.Fatal(err)
	}
	s, err := artifact.Open(ctx, store)
	if err != nil {
		b.Fatal(err)
	}
	documents := map[string][]byte{}
	for _, name := range []string{pipeline.StartedDocument, pipeline.RecordDocument, pipeline.EventsDocument} {
		if documents[name], err = s.Run(ctx, d.RunID, name); err != nil {
			b.Fatal(err)
		}
	}
	start := time.Now()
	for i := range n - 1 {
		last = artifact.NewRunID(start.Add(time.Duration(i+1) * time.Minute))
		for name, text := range documents {
			if err := s.PutRunView(ctx, last, name, bytes.ReplaceAll(text, []byte(d.RunID), []byte(last))); err != nil {
				b.Fatal(err)
			}
		}
	}
	return store, last
}

// BenchmarkCommands is what commands take that look into a store of 10,000 runs; the time of the process' start is not in it.
func BenchmarkCommands(b *testing.B) {
	store, last := manyRuns(b, 10_000)
	for _, args := range [][]string{{"runs"}, {"runs", "--json"}, {"show", last}, {"show", last[len(last)-6:]}, {"events", last}, {"runs", "-n", "0"}} {
		b.Run(args[0]+map[bool]string{true: " " + args[len(args)-1]}[len(args) > 1], func(b *testing.B) {
			for b.Loop() {
				var complaints bytes.Buffer
				if code := run(append(args, "--store", store), bytes.NewReader(nil), io.Discard, &complaints); code != 0 {
					b.Fatal(complaints.String())
				}
			}
		})
	}
}
