package artifact

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// A document has a name of its own, which says nothing of its bytes, and a flipped bit in JSON is mostly JSON still. So a
// document ends with a seal, the digest of its text: as the last member of a JSON object, which stays one, or as a line
// behind any other text. Reading takes the seal off.

const blank = " \t\r\n"

// sealMark is the member without what separates it from the text.
func sealMark(text []byte) string { return `"seal":"` + DigestOf(text).String() + `"}` }

// sealLength is the length of a comma or brace and the mark.
var sealLength = 1 + len(sealMark(nil))

// seal returns the document of a text.
func seal(text []byte) []byte {
	body := bytes.TrimRight(text, blank)
	inner, object := bytes.CutSuffix(body, []byte("}"))
	if before := bytes.TrimRight(inner, blank); object && len(before) > 0 && before[len(before)-1] != '{' {
		return slices.Concat(inner, []byte(","+sealMark(text)), text[len(body):])
	}
	return slices.Concat(text, []byte("\n{"+sealMark(text)+"\n"))
}

// unseal returns the text of a document, or false when it is not what was sealed.
func unseal(document []byte) (text []byte, ok bool) {
	body := bytes.TrimRight(document, blank)
	at := len(body) - sealLength
	switch {
	case at > 0 && body[at] == ',':
		text = slices.Concat(body[:at], []byte("}"), document[len(body):])
	case at > 0 && body[at] == '{':
		text = body[:at-1]
	default:
		return nil, false
	}
	return text, bytes.Equal(seal(text), document)
}

// sealed reports whether documents of that name carry a seal. Others are for other programs to read as they are.
func sealed(name string) bool {
	return strings.HasPrefix(name, "actions/") || strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".jsonl")
}

// errBroken says that a document is not what was stored.
func errBroken(name string) error { return fmt.Errorf("%s: %w", name, ErrCorrupt) }
