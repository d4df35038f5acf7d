package onnx

import (
	"encoding/binary"
	"math"
)

// message is a protobuf message in the making. Fields are written in the order of their numbers, so equal models give
// equal bytes. https://protobuf.dev/programming-guides/encoding
type message []byte

// Wire types.
const (
	wireVarint = 0
	wireBytes  = 2
	wire32     = 5
)

func (m *message) key(field, wire int) { *m = binary.AppendUvarint(*m, uint64(field)<<3|uint64(wire)) }

func (m *message) int(field int, v int64) {
	m.key(field, wireVarint)
	*m = binary.AppendUvarint(*m, uint64(v))
}

func (m *message) bytes(field int, b []byte) {
	m.key(field, wireBytes)
	*m = binary.AppendUvarint(*m, uint64(len(b)))
	*m = append(*m, b...)
}

func (m *message) string(field int, s string) { m.bytes(field, []byte(s)) }

func (m *message) float(field int, v float32) {
	m.key(field, wire32)
	*m = binary.LittleEndian.AppendUint32(*m, math.Float32bits(v))
}

// ints and floats are packed lists: what a proto2 reader takes as well as a value at a time.
func (m *message) ints(field int, list []int64) {
	var b []byte
	for _, v := range list {
		b = binary.AppendUvarint(b, uint64(v))
	}
	m.bytes(field, b)
}

func (m *message) floats(field int, list []float32) {
	b := make([]byte, 0, 4*len(list))
	for _, v := range list {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	m.bytes(field, b)
}

func (m *message) strings(field int, list []string) {
	for _, s := range list {
		m.string(field, s)
	}
}
