package csv

// codeList is a growing list of codes, each as narrow as the number of levels allows. It is never copied to grow: a column
// of a long table is large, and there are many.
type codeList struct {
	parts []codePart
	n     int
}

// codePart has codes of one width, plus one: 0 is a missing value.
type codePart struct {
	narrow []uint8
	middle []uint16
	wide   []uint32
}

const (
	minPart = 64
	maxPart = 64 << 10
)

// add adds codes, of which there are so many levels by now.
func (c *codeList) add(codes []int32, levels int) {
	if len(c.parts) == 0 {
		c.parts = append(c.parts, codePart{})
	}
	p := &c.parts[len(c.parts)-1]
	var room bool
	switch {
	case levels < 1<<8:
		room = pack(&p.narrow, codes)
	case levels < 1<<16:
		room = pack(&p.middle, codes)
	default:
		room = pack(&p.wide, codes)
	}
	if room {
		c.n += len(codes)
		return
	}
	next, size := codePart{}, max(len(codes), min(max(minPart, c.n), maxPart))
	switch {
	case levels < 1<<8:
		next.narrow = make([]uint8, 0, size)
	case levels < 1<<16:
		next.middle = make([]uint16, 0, size)
	default:
		next.wide = make([]uint32, 0, size)
	}
	c.parts = append(c.parts, next)
	c.add(codes, levels)
}

// pack appends codes to a part that has room for them.
func pack[C uint8 | uint16 | uint32](part *[]C, codes []int32) bool {
	from := len(*part)
	if cap(*part)-from < len(codes) {
		return false
	}
	to := (*part)[from : from+len(codes)]
	for i := range to {
		to[i] = C(codes[i] + 1)
	}
	*part = (*part)[:from+len(codes)]
	return true
}

// take returns all codes in one list and forgets them.
func (c *codeList) take() []int32 {
	all := make([]int32, c.n)
	rest := all
	for i := range c.parts {
		p := &c.parts[i]
		rest = unpack(unpack(unpack(rest, p.narrow), p.middle), p.wide)
		*p = codePart{}
	}
	*c = codeList{}
	return all
}

// unpack writes codes to the beginning of a list and returns the rest of it.
func unpack[C uint8 | uint16 | uint32](to []int32, codes []C) (rest []int32) {
	for i, code := range codes {
		to[i] = int32(code) - 1
	}
	return to[len(codes):]
}

// spread returns the value of every code, of which the first is that of a missing one, and forgets the codes.
func spread[T any](c *codeList, values []T) []T {
	all := make([]T, c.n)
	rest := all
	for i := range c.parts {
		p := &c.parts[i]
		rest = pick(pick(pick(rest, p.narrow, values), p.middle, values), p.wide, values)
		*p = codePart{}
	}
	*c = codeList{}
	return all
}

// pick writes the values of codes to the beginning of a list and returns the rest of it.
func pick[C uint8 | uint16 | uint32, T any](to []T, codes []C, values []T) (rest []T) {
	for i, code := range codes {
		to[i] = values[code]
	}
	return to[len(codes):]
}
