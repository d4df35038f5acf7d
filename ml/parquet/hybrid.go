package parquet

import (
	"encoding/binary"
	"math/bits"
)

// The run-length and bit-packing hybrid of Parquet: runs of one value, and groups of eight values packed into as many
// bytes as a value has bits, lowest bit first. Source: parquet-format, Encodings.md, "Run Length Encoding / Bit-Packing Hybrid".

// minRun is the shortest run that is not packed.
const minRun = 8

// bitWidth is the number of bits that the largest value needs, at least one.
func bitWidth(largest int) int { return max(1, bits.Len(uint(max(0, largest)))) }

// appendHybrid encodes values of at most width bits, 1 to 32.
func appendHybrid(b []byte, values []int32, width int) []byte {
	packed := 0 // values in front of i that are not encoded yet, a multiple of eight
	for i := 0; i < len(values); {
		if n := run(values[i:]); n >= minRun {
			b = appendGroups(b, values[i-packed:i], width)
			packed = 0
			b = appendRun(b, values[i], n, width)
			i += n
			continue
		}
		n := min(8, len(values)-i)
		packed += n
		i += n
	}
	return appendGroups(b, values[len(values)-packed:], width)
}

// run returns how many values at the start are equal.
func run(values []int32) int {
	n := 1
	for n < len(values) && values[n] == values[0] {
		n++
	}
	return n
}

func appendRun(b []byte, value int32, n, width int) []byte {
	b = binary.AppendUvarint(b, uint64(n)<<1)
	for v := uint32(value); width > 0; width -= 8 {
		b = append(b, byte(v))
		v >>= 8
	}
	return b
}

// appendGroups packs values behind the number of their groups; the last group is filled up with zeros.
func appendGroups(b []byte, values []int32, width int) []byte {
	if len(values) == 0 {
		return b
	}
	groups := (len(values) + 7) / 8
	b = binary.AppendUvarint(b, uint64(groups)<<1|1)
	end := len(b) + groups*width
	b = appendPacked(b, values, width)
	for len(b) < end {
		b = append(b, 0)
	}
	return b
}

// appendPacked packs values into as few bytes as they need.
func appendPacked(b []byte, values []int32, width int) []byte {
	var word uint64
	filled := 0
	for _, v := range values {
		word |= uint64(uint32(v)) << filled
		filled += width
		for filled >= 8 {
			b = append(b, byte(word))
			word >>= 8
			filled -= 8
		}
	}
	if filled > 0 {
		b = append(b, byte(word))
	}
	return b
}

// decodeHybrid reads as many values as values has; what follows them is left alone.
func decodeHybrid(b []byte, width int, values []int32) error {
	if width < 1 || width > 32 {
		return errDamaged
	}
	for len(values) > 0 {
		head, n := binary.Uvarint(b)
		if n <= 0 || head < 2 {
			return errDamaged
		}
		b = b[n:]
		packed, count := head&1 == 1, head>>1 // of groups, or of equal values
		size := (width + 7) / 8
		if packed {
			if count > uint64(len(b)/width) {
				return errDamaged
			}
			size = int(count) * width
			count *= 8
		}
		if size > len(b) {
			return errDamaged
		}
		now := values[:min(count, uint64(len(values)))]
		if packed {
			unpack(b[:size], width, now)
		} else {
			fill(b[:size], now)
		}
		b, values = b[size:], values[len(now):]
	}
	return nil
}

// fill writes a value of at most four bytes over and over.
func fill(b []byte, values []int32) {
	v := int32(load(b))
	for i := range values {
		values[i] = v
	}
}

// unpack is the inverse of appendPacked.
func unpack(b []byte, width int, values []int32) {
	mask := uint64(1)<<width - 1
	for i := range values {
		bit := i * width
		values[i] = int32(load(b[bit/8:]) >> (bit % 8) & mask)
	}
}

// load reads eight bytes, or those that there are.
func load(b []byte) (word uint64) {
	if len(b) >= 8 {
		return binary.LittleEndian.Uint64(b)
	}
	for i, x := range b {
		word |= uint64(x) << (8 * i)
	}
	return word
}
