package artifact

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestSeal(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		json bool // the document is JSON too
	}{
		"object":        {`{"a":1}`, true},
		"indented":      {"{\n \"a\": {}\n}\n", true},
		"empty object":  {"{}\n", false},
		"lines of JSON": {"{\"a\":1}\n{\"b\":2}\n", false},
		"list":          {"[1]", false},
		"text":          {"text", false},
		"nothing":       {"", true},
		"a seal":        {string(seal([]byte(`{"a":1}`))), true},
		"no JSON":       {"a }", false},
	} {
		t.Run(name, func(t *testing.T) {
			document := seal([]byte(c.text))
			if got, ok := unseal(document); !ok || string(got) != c.text {
				t.Fatalf("%q comes back as %q, %v", c.text, got, ok)
			}
			if json.Valid(document) != c.json {
				t.Errorf("%s: valid JSON is %v, want %v", document, !c.json, c.json)
			}
			for i := range document {
				damaged := bytes.Clone(document)
				damaged[i] ^= 1
				if got, ok := unseal(damaged); ok {
					t.Errorf("byte %d flipped gives %q", i, got)
				}
				if _, ok := unseal(document[:i]); ok {
					t.Errorf("cut to %d bytes it passes", i)
				}
			}
		})
	}
}

func FuzzUnseal(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n"))
	f.Add(seal([]byte("{\"a\":1}\n")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if text, ok := unseal(b); ok && !bytes.Equal(seal(text), b) {
			t.Errorf("%q passes for the seal of %q", b, text)
		}
		if text, ok := unseal(seal(b)); !ok || !bytes.Equal(text, b) {
			t.Errorf("%q comes back as %q, %v", b, text, ok)
		}
	})
}
