package csv

import (
	"bytes"
	"strings"
)

// missingTexts finds the texts that stand for a missing value.
type missingTexts struct {
	texts       map[string]bool
	short       [][]byte // those that a dict has
	longest     int
	first, last [256]bool // bytes that such a text begins and ends with: most values fail here
}

func newMissingTexts(more []string) *missingTexts {
	m := &missingTexts{texts: make(map[string]bool, len(MissingTexts)+len(more)), short: [][]byte{{}}}
	for _, list := range [][]string{MissingTexts, more} {
		for _, t := range list {
			if t = strings.TrimSpace(t); t == "" {
				continue
			}
			if !m.texts[t] && len(t) <= shortText {
				m.short = append(m.short, []byte(t))
			}
			m.texts[t] = true
			m.longest = max(m.longest, len(t))
			m.first[t[0]], m.last[t[len(t)-1]] = true, true
		}
	}
	return m
}

func (m *missingTexts) has(b []byte) bool {
	n := len(b)
	return n == 0 || (n <= m.longest && m.first[b[0]] && m.last[b[n-1]] && m.texts[string(b)])
}

// trim removes white space around a value; most values have none.
func trim(b []byte) []byte {
	if len(b) > 0 && (b[0] <= ' ' || b[len(b)-1] <= ' ' || b[0] >= 0x80 || b[len(b)-1] >= 0x80) {
		return bytes.TrimSpace(b)
	}
	return b
}
