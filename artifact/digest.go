package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Digest is the SHA-256 of an artifact's bytes. Its text form is "sha256:" and 64 lower-case hexadecimal digits.
type Digest [sha256.Size]byte

// ActionKey is the SHA-256 of an action's description. It prints like a Digest but names no bytes, hence a type of its own.
type ActionKey [sha256.Size]byte

const digestPrefix = "sha256:"

// DigestOf returns the digest of b.
func DigestOf(b []byte) Digest { return sha256.Sum256(b) }

// ParseDigest reads the text form of a digest and refuses every other spelling.
func ParseDigest(s string) (Digest, error) {
	d, err := parse(s)
	return Digest(d), err
}

// ParseActionKey reads the text form of an action key and refuses every other spelling.
func ParseActionKey(s string) (ActionKey, error) {
	d, err := parse(s)
	return ActionKey(d), err
}

func parse(s string) (d [sha256.Size]byte, err error) {
	text, ok := strings.CutPrefix(s, digestPrefix)
	if !ok || len(text) != 2*sha256.Size || strings.ToLower(text) != text {
		return d, fmt.Errorf("%.80q is no digest: want sha256: and 64 lower-case hexadecimal digits", s)
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("%.80q is no digest: %w", s, err)
	}
	return d, nil
}

// String returns the text form.
func (d Digest) String() string { return digestPrefix + d.Hex() }

// Hex returns the 64 hexadecimal digits alone, as file names use them.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText gives the text form, and nothing for the zero digest.
func (d Digest) MarshalText() ([]byte, error) { return marshal(d) }

// UnmarshalText is the strict inverse of MarshalText.
func (d *Digest) UnmarshalText(b []byte) error { return unmarshal((*[sha256.Size]byte)(d), b) }

// String returns the text form.
func (k ActionKey) String() string { return Digest(k).String() }

// Hex returns the 64 hexadecimal digits alone.
func (k ActionKey) Hex() string { return Digest(k).Hex() }

// IsZero reports whether k was never set.
func (k ActionKey) IsZero() bool { return k == ActionKey{} }

// MarshalText gives the text form, and nothing for the zero key.
func (k ActionKey) MarshalText() ([]byte, error) { return marshal(k) }

// UnmarshalText is the strict inverse of MarshalText.
func (k *ActionKey) UnmarshalText(b []byte) error { return unmarshal((*[sha256.Size]byte)(k), b) }

func marshal(d [sha256.Size]byte) ([]byte, error) {
	if d == [sha256.Size]byte{} {
		return nil, nil
	}
	return []byte(Digest(d).String()), nil
}

func unmarshal(d *[sha256.Size]byte, b []byte) error {
	if len(b) == 0 {
		*d = [sha256.Size]byte{}
		return nil
	}
	parsed, err := parse(string(b))
	if err == nil {
		*d = parsed
	}
	return err
}

// Ref names a blob: its digest and its size in bytes.
type Ref struct {
	Digest Digest `json:"digest"`
	Size   int64  `json:"bytes"`
}

// IsZero reports whether r names nothing.
func (r Ref) IsZero() bool { return r.Digest.IsZero() }
