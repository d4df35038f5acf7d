package tasks

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

func TestParsePayload(t *testing.T) {
	good := payload{Schema: payloadSchema, Run: "20260101-000000-abcdef", Stage: "a", Kind: "text", Attempt: 1, Store: "s", Plan: artifact.Ref{Digest: artifact.DigestOf([]byte("x")), Size: 1}}
	edit := func(f func(*payload)) []byte {
		p := good
		f(&p)
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := parsePayload(edit(func(*payload) {})); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"no JSON":       []byte("{"),
		"unknown field": []byte(`{"schema":"hashline.task/2","x":1}`),
		"trailing text": append(edit(func(*payload) {}), " 1"...),
		"schema":        edit(func(p *payload) { p.Schema = "hashline.task/9" }),
		"run":           edit(func(p *payload) { p.Run = "../../etc" }),
		"stage":         edit(func(p *payload) { p.Stage = "a/b" }),
		"attempt":       edit(func(p *payload) { p.Attempt = 0 }),
		"plan":          edit(func(p *payload) { p.Plan = artifact.Ref{} }),
		"too long":      edit(func(p *payload) { p.Store = strings.Repeat("x", maxPayload) }),
		"def":           edit(func(p *payload) { p.Def = "../x" }),
	} {
		if _, err := parsePayload(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParsePayload(f *testing.F) {
	f.Add([]byte(`{"schema":"hashline.task/2","run":"20260101-000000-abcdef","stage":"a","attempt":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePayload(b); err == nil && (!artifact.ValidRunID(p.Run) || !pipeline.ValidStageName(p.Stage)) {
			t.Errorf("accepted %q", b)
		}
	})
}
