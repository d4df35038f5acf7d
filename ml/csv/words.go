package csv

import (
	"encoding/binary"
	"math/bits"
)

// Words of 8 bytes, the first byte lowest, are looked through all bytes at once.
const (
	quotes   = '"' * lowBits
	newlines = '\n' * lowBits
	returns  = '\r' * lowBits
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// every returns the word that has c in every byte.
func every(c byte) uint64 { return uint64(c) * lowBits }

// word returns the 8 bytes of b from i on.
func word(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

// zeros marks the bytes of w that are zero by their highest bit. Bytes above the first one may be marked wrongly. (Mycroft,
// 1987; w^every(c) has a zero where w has c.)
func zeros(w uint64) uint64 { return (w - lowBits) &^ w & highBits }

// firstByte returns the index of the first byte that is marked.
func firstByte(marks uint64) int { return bits.TrailingZeros64(marks) >> 3 }
