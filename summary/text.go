package summary

import (
	"encoding/json"
	"strconv"
)

// Text is a text of the document that is null while it is not known, such as a digest of what was not stored.
type Text string

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(t))
}

// Count is a number of rows or columns that is null while it is not known; a table has at least one of each.
type Count int

// MarshalJSON implements json.Marshaler.
func (c Count) MarshalJSON() ([]byte, error) {
	if c == 0 {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(c), 10), nil
}
