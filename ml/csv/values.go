package csv

import (
	"bytes"
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Formats of numbers.
const (
	plainNumbers     = "plain"     // 1234.5
	thousandsNumbers = "thousands" // 1,234.5 or 1 234.5 or 1'234.5
	commaNumbers     = "comma"     // 1.234,5 or 1 234,5
)

// scratchBytes is room for rewriting a number.
const scratchBytes = 64

// parseNumber reads a number of a kind with an affix. ok is false for anything else, whole says that it has no fraction
// or exponent. Infinity in any spelling, and what is too large for a float64, is a number without a finite value.
func parseNumber(b []byte, kind, affix string, scratch []byte) (v float64, whole, ok bool) {
	b, has := cutAffix(b, scratch)
	if has != affix {
		return 0, false, false
	}
	return parseBare(b, kind, scratch)
}

func parseBare(b []byte, kind string, scratch []byte) (v float64, whole, ok bool) {
	switch kind {
	case thousandsNumbers:
		b, ok = ungroup(b, ',', '.', scratch)
	case commaNumbers:
		b, ok = ungroup(b, '.', ',', scratch)
	default:
		ok = true
	}
	if !ok || len(b) == 0 {
		return 0, false, false
	}
	return parsePlain(b)
}

// affixes may stand before or behind all numbers of a column.
var affixes = []string{"%", "$", "€", "£", "¥"}

// splitFormat takes the format of a column's numbers apart, as reports have it.
func splitFormat(format string) (kind, affix string) {
	kind, affix, _ = strings.Cut(format, " ")
	if kind == "" {
		kind = plainNumbers
	}
	return kind, affix
}

// cutAffix splits a number into what is a number by itself and its affix: 45%, $5, -$5, 5 €.
func cutAffix(b, scratch []byte) (bare []byte, affix string) {
	if n := len(b); n == 0 || n >= len(scratch) || (numberByte(b[0]) && numberByte(b[n-1]) && (n == 1 || numberByte(b[1]))) {
		return b, ""
	}
	for _, a := range affixes {
		if rest, ok := bytes.CutSuffix(b, []byte(a)); ok {
			return bytes.TrimRight(rest, spaces), a
		}
		sign := 0
		if b[0] == '-' || b[0] == '+' {
			sign = 1
		}
		if rest, ok := bytes.CutPrefix(b[sign:], []byte(a)); ok {
			bare = append(scratch[:0], b[:sign]...)
			return append(bare, bytes.TrimLeft(rest, spaces)...), a
		}
	}
	return b, ""
}

func numberByte(c byte) bool { return c-'0' < 10 || c == '-' || c == '.' || c == '+' || c == ',' }

func parsePlain(b []byte) (v float64, whole, ok bool) {
	i := 0
	if b[0] == '-' || b[0] == '+' {
		i = 1
	}
	if i == len(b) {
		return 0, false, false
	}
	if c := b[i]; (c < '0' || c > '9') && c != '.' {
		return infinity(b, i)
	}
	if b[i] == '0' && i+1 < len(b) && b[i+1] >= '0' && b[i+1] <= '9' {
		return 0, false, false // a code such as 007
	}
	var mantissa uint64
	digits, fraction := 0, -1
	for j := i; j < len(b); j++ {
		switch c := b[j]; {
		case c >= '0' && c <= '9':
			mantissa = mantissa*10 + uint64(c-'0') // exact up to 19 digits
			digits++
			if fraction >= 0 {
				fraction++
			}
		case c == '.' && fraction < 0:
			fraction = 0
		case c == 'e' || c == 'E':
			return slowNumber(b, digits)
		default:
			return 0, false, false
		}
	}
	if digits == 0 {
		return 0, false, false
	}
	switch {
	case digits <= 15 && fraction <= 22:
		// Clinger's fast path: both parts are exact, so one division rounds once (How to Read Floating Point Numbers
		// Accurately, 1990).
		v = float64(mantissa)
		if fraction > 0 {
			v /= powersOfTen[fraction]
		}
	case digits <= 19:
		v = quotient(mantissa, integerPowers[max(fraction, 0)])
	default:
		v, _, ok := slowNumber(b, digits)
		return v, fraction < 0, ok
	}
	if b[0] == '-' {
		v = -v
	}
	return v, fraction < 0, true
}

// quotient returns the float64 nearest to n / d, ties to even. d is not 0.
func quotient(n, d uint64) float64 {
	if n == 0 {
		return 0
	}
	exponent := bits.LeadingZeros64(d) - bits.LeadingZeros64(n)
	n, d = n<<bits.LeadingZeros64(n), d<<bits.LeadingZeros64(d)
	high, low := n, uint64(0)
	if n >= d {
		high, low, exponent = n>>1, n<<63, exponent+1
	}
	q, rest := bits.Div64(high, low, d) // n / d is q * 2**(exponent-64), and q has 64 bits
	mantissa := q >> 11
	if below := q & (1<<11 - 1); below > 1<<10 || (below == 1<<10 && (rest > 0 || mantissa&1 == 1)) {
		mantissa++
	}
	return float64(mantissa) * math.Float64frombits(uint64(exponent-64+11+1023)<<52)
}

// integerPowers are those of ten that a uint64 holds.
var integerPowers = func() (powers [20]uint64) {
	p := uint64(1)
	for i := range powers {
		powers[i] = p
		p *= 10
	}
	return powers
}()

var powersOfTen = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

func slowNumber(b []byte, digits int) (float64, bool, bool) {
	for _, c := range b { // no hexadecimal, no underscores
		if (c < '0' || c > '9') && c != '.' && c != 'e' && c != 'E' && c != '+' && c != '-' {
			return 0, false, false
		}
	}
	v, err := strconv.ParseFloat(string(b), 64)
	return v, false, (err == nil || errors.Is(err, strconv.ErrRange)) && digits > 0
}

func infinity(b []byte, i int) (float64, bool, bool) {
	if bytes.EqualFold(b[i:], []byte("inf")) || bytes.EqualFold(b[i:], []byte("infinity")) {
		return math.Inf(1), false, true
	}
	return 0, false, false
}

// ungroup removes group separators, which must be alike and split off three digits each, and makes the decimal mark a
// point. Numbers may be grouped by spaces and apostrophes too.
func ungroup(b []byte, group, mark byte, scratch []byte) ([]byte, bool) {
	out := scratch[:0]
	sinceGroup, fraction := 0, false
	var grouped byte // the separator seen, or 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == mark:
			if fraction || (grouped != 0 && sinceGroup != 3) {
				return nil, false
			}
			fraction = true
			out = append(out, '.')
		case c-'0' < 10:
			if !fraction {
				sinceGroup++
			}
			out = append(out, c)
		case (c == '-' || c == '+') && i == 0:
			out = append(out, c)
		default:
			separator, width := separatorAt(b[i:], group)
			if width == 0 || fraction || (grouped != 0 && (grouped != separator || sinceGroup != 3)) || sinceGroup == 0 || sinceGroup > 3 {
				return nil, false
			}
			grouped, sinceGroup = separator, 0
			i += width - 1
		}
	}
	if grouped != 0 && !fraction && sinceGroup != 3 {
		return nil, false
	}
	return out, true
}

// spaces are the blank, the no-break space, its narrow form and the thin space.
const spaces = " \u00a0\u202f\u2009"

// separatorAt returns the separator of groups that b begins with, and its bytes; none is 0 bytes. Spaces are alike, and so
// are apostrophes.
func separatorAt(b []byte, group byte) (separator byte, width int) {
	switch r, n := utf8.DecodeRune(b); {
	case r == rune(group):
		return group, n
	case strings.ContainsRune(spaces, r):
		return ' ', n
	case r == '\'' || r == '’':
		return '\'', n
	}
	return 0, 0
}
