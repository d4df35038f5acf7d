package csv

import (
	"bytes"
	"math"

	"github.com/hashline/hashline/ml/frame"
)

// column collects the values of one column as codes of its distinct texts, and what they can be. A kind of value is
// struck out by the first text that does not fit, which is kept as evidence.
//
// A column of numbers or dates with more than maxDistinct texts is not worth coding: it keeps only what its values can
// be, and is converted in a second pass.
type column struct {
	name    string
	wanted  string // the type that was asked for, or nothing
	missing int
	values  int // not missing

	dict  *dict // nil when the column waits for a second pass
	codes codeList

	plain, thousands, comma format
	affix                   string // of numbers: what all of them begin or end with
	hasComma                bool   // some number has one
	mdy, dmy, iso           format
	boolean                 format
	booleans                int // families seen

	increases bool // every integer is one more than the one before
	last      float64
	big       bool // an integer from 2**53 on
	dots      bool
	times     bool

	examples []string
	observed int // texts that were looked at: each once while there is a dict
	codeLike int // of them, those with a digit and no space
	spaced   int // of them, those with a space
	length   int // of them together, in bytes
}

// format is one way to read a column: out of the question from the first value that does not fit.
type format struct {
	out      bool
	line     int
	at       int // texts that were looked at before
	example  string
	fraction bool // numbers: some have a fraction
}

func (f *format) strike(b []byte, line, at int) {
	f.out, f.line, f.at, f.example = true, line, at, Quote(string(b))
}

func newColumn(name string, missing *missingTexts) column {
	return column{name: name, dict: newDict(missing.short), increases: true}
}

// distinct returns the number of distinct values, or maxDistinct for more that were not counted.
func (c *column) distinct() int {
	if c.dict == nil {
		return maxDistinct
	}
	return len(c.dict.levels)
}

// addBatch adds the values that a batch has in column i.
func (c *column) addBatch(b *batch, i int, missing *missingTexts) {
	var scratch [scratchBytes]byte
	row := 0
	if c.dict != nil {
		row = c.addCodes(b, i, missing, scratch[:])
	}
	for ; row < b.rows(); row++ {
		if f := b.field(row, i); missing.has(f) {
			c.missing++
		} else {
			c.values++
			c.observe(f, b.lines[row], scratch[:])
		}
	}
}

// addCodes adds the values up to the first that gives up the dict, and returns the row behind it.
func (c *column) addCodes(b *batch, i int, missing *missingTexts, scratch []byte) (next int) {
	known := len(c.dict.levels)
	absent, gaveUp := 0, false
	w := lookUpsPool.Get().(*lookUps)
	defer lookUpsPool.Put(w)
	for next < b.rows() && !gaveUp {
		from := next
		codes := w.codes[:min(blockRows, b.rows()-from)]
		next += len(codes)
		for _, k := range c.dict.lookUp(b, i, from, codes, w) {
			row := from + int(k)
			f := b.field(row, i)
			code, found := c.dict.find(f)
			switch {
			case found:
			case missing.has(f):
				code = frame.MissingCode
			default:
				code = c.dict.add(f)
				c.observe(f, b.lines[row], scratch)
				gaveUp = int(code) >= maxDistinct && c.mayBeCounted()
			}
			codes[k] = code
			if gaveUp {
				next = row + 1
				codes = codes[:k+1]
				break
			}
		}
		for _, code := range codes {
			absent -= int(code >> 31) // the codes of missing values are negative
		}
		c.codes.add(codes, len(c.dict.levels))
	}
	values, added := next-absent, len(c.dict.levels)-known
	c.missing, c.values = c.missing+absent, c.values+values
	c.increases = c.increases && added == values // none was repeated
	if gaveUp {
		c.dict, c.codes = nil, codeList{}
	}
	return next
}

// mayBeCounted reports whether the column can still turn out to hold numbers or dates.
func (c *column) mayBeCounted() bool {
	if c.wanted != "" {
		t, err := frame.ParseType(c.wanted)
		return err == nil && !t.Textual()
	}
	return !c.plain.out || !c.thousands.out || !c.comma.out || !c.iso.out || !c.mdy.out || !c.dmy.out
}

// observe looks at a text.
func (c *column) observe(b []byte, line int, scratch []byte) {
	if len(c.examples) < maxExamples && c.dict != nil {
		c.examples = append(c.examples, shorten(string(b)))
	}
	c.observeNumber(b, line, scratch)
	c.observeDate(b, line)
	if !c.boolean.out {
		if _, family, ok := parseBool(b); ok {
			c.booleans |= family
		} else {
			c.boolean.strike(b, line, c.observed)
		}
	}
	c.observeText(b)
	c.observed++
}

func (c *column) observeText(b []byte) {
	space, digit := false, false
	for _, x := range b {
		space = space || x == ' '
		digit = digit || x-'0' < 10
	}
	switch {
	case space:
		c.spaced++
	case digit:
		c.codeLike++
	}
	c.length += len(b)
}

func (c *column) observeNumber(b []byte, line int, scratch []byte) {
	if c.plain.out && c.thousands.out && c.comma.out {
		return
	}
	bare, affix := cutAffix(b, scratch)
	if c.observed == 0 {
		c.affix = affix
	}
	fits, known := affix == c.affix, false
	var v float64
	var whole, ok bool
	for _, f := range [...]struct {
		format *format
		name   string
	}{{&c.plain, plainNumbers}, {&c.thousands, thousandsNumbers}, {&c.comma, commaNumbers}} {
		if f.format.out {
			continue
		}
		if f.name != thousandsNumbers || c.plain.out || hasLetter(bare) {
			v, whole, ok = parseBare(bare, f.name, scratch)
		} // else it has no groups and is what the plain number is
		if !ok || !fits {
			f.format.strike(b, line, c.observed)
			continue
		}
		f.format.fraction = f.format.fraction || !whole
		c.big = c.big || (whole && math.Abs(v) >= 1<<53)
		if !known { // by the first format that is left
			known = true
			c.increases = c.increases && whole && (c.observed == 0 || v == c.last+1)
			c.last = v
		}
	}
	if c.plain.out && !c.hasComma {
		c.hasComma = bytes.IndexByte(b, ',') >= 0
	}
}

func hasLetter(b []byte) bool {
	for _, x := range b {
		if x > '9' {
			return true
		}
	}
	return false
}

func (c *column) observeDate(b []byte, line int) {
	if c.iso.out && c.mdy.out && c.dmy.out {
		return
	}
	d, ok := splitDate(b)
	for _, f := range [...]struct {
		format *format
		layout string
	}{{&c.iso, layoutISO}, {&c.mdy, layoutMDY}, {&c.dmy, layoutDMY}} {
		if f.format.out {
			continue
		}
		if fits := ok; fits {
			if _, fits = d.day(f.layout); fits {
				continue
			}
		}
		f.format.strike(b, line, c.observed)
	}
	c.dots = c.dots || d.dots
	c.times = c.times || d.time
}

func shorten(s string) string {
	if runes := []rune(s); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return s
}
