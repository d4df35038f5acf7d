package csv

import (
	"bytes"
	"math"
	"strconv"
)

// Formats of numbers.
const (
	plainNumbers     = "plain"     // 1234.5
	thousandsNumbers = "thousands" // 1,234.5
	commaNumbers     = "comma"     // 1.234,5
)

// parseNumber reads a number in a format. ok is false for anything else, whole says that it has no fraction or exponent.
// Infinity in any spelling is a number without a finite value.
func parseNumber(b []byte, format string, scratch []byte) (v float64, whole, ok bool) {
	switch format {
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
			if mantissa < 1<<59 {
				mantissa = mantissa*10 + uint64(c-'0')
			}
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
	// Clinger's fast path: both parts are exact, so one division rounds once (How to Read Floating Point Numbers
	// Accurately, 1990).
	if digits > 15 || fraction > 22 {
		v, _, ok := slowNumber(b, digits)
		return v, fraction < 0, ok
	}
	v = float64(mantissa)
	if fraction > 0 {
		v /= powersOfTen[fraction]
	}
	if b[0] == '-' {
		v = -v
	}
	return v, fraction < 0, true
}

var powersOfTen = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

func slowNumber(b []byte, digits int) (float64, bool, bool) {
	for _, c := range b { // no hexadecimal, no underscores
		if (c < '0' || c > '9') && c != '.' && c != 'e' && c != 'E' && c != '+' && c != '-' {
			return 0, false, false
		}
	}
	v, err := strconv.ParseFloat(string(b), 64)
	return v, false, err == nil && digits > 0
}

func infinity(b []byte, i int) (float64, bool, bool) {
	if bytes.EqualFold(b[i:], []byte("inf")) || bytes.EqualFold(b[i:], []byte("infinity")) {
		return math.Inf(1), false, true
	}
	return 0, false, false
}

// ungroup removes group separators, which must split off three digits each, and makes the decimal mark a point.
func ungroup(b []byte, group, mark byte, scratch []byte) ([]byte, bool) {
	out := scratch[:0]
	sinceGroup, grouped, fraction := 0, false, false
	for i, c := range b {
		switch {
		case c == group:
			if fraction || (grouped && sinceGroup != 3) || (!grouped && (sinceGroup == 0 || sinceGroup > 3)) {
				return nil, false
			}
			grouped, sinceGroup = true, 0
		case c == mark:
			if fraction || (grouped && sinceGroup != 3) {
				return nil, false
			}
			fraction = true
			out = append(out, '.')
		case c >= '0' && c <= '9':
			if !fraction {
				sinceGroup++
			}
			out = append(out, c)
		case (c == '-' || c == '+') && i == 0:
			out = append(out, c)
		default:
			return nil, false
		}
	}
	if grouped && !fraction && sinceGroup != 3 {
		return nil, false
	}
	return out, true
}

// Layouts of dates.
const (
	layoutISO = "ISO"
	layoutMDY = "MDY"
	layoutDMY = "DMY"
)

// dateParts are the numbers of a date as written.
type dateParts struct {
	a, b, c int
	yearIn  int  // 0: the year comes first, 2: last
	dots    bool // separated by dots
	time    bool // a time of day follows
}

// splitDate reads three numbers with one separator, of which the first or the last is a year, and an optional time.
func splitDate(s []byte) (d dateParts, ok bool) {
	if len(s) < 6 || s[0] < '0' || s[0] > '9' {
		return d, false
	}
	var values, lengths [3]int
	var separator byte
	i, n := 0, 0
	for ; i < len(s) && n < 3; i++ {
		c := s[i]
		if c >= '0' && c <= '9' {
			if lengths[n]++; lengths[n] > 4 {
				return d, false
			}
			values[n] = values[n]*10 + int(c-'0')
			continue
		}
		if n == 2 || lengths[n] == 0 {
			break
		}
		if separator == 0 {
			separator = c
		}
		if c != separator || (c != '-' && c != '/' && c != '.') {
			return d, false
		}
		n++
	}
	if n != 2 || lengths[2] == 0 {
		return d, false
	}
	d = dateParts{a: values[0], b: values[1], c: values[2], dots: separator == '.'}
	switch {
	case lengths[0] == 4 && lengths[1] <= 2 && lengths[2] <= 2:
	case lengths[0] <= 2 && lengths[1] <= 2 && lengths[2] == 4:
		d.yearIn = 2
	case lengths[0] <= 2 && lengths[1] <= 2 && lengths[2] == 2 && separator == '/':
		d.yearIn = 2
		d.c += 1900
		if values[2] < 69 { // as POSIX strptime
			d.c += 100
		}
	default:
		return d, false
	}
	if i < len(s) {
		if !isTime(s[i:]) {
			return d, false
		}
		d.time = true
	}
	return d, true
}

// isTime accepts what follows a date: a T or space, hh:mm, and seconds, fractions and zones of the usual forms.
func isTime(s []byte) bool {
	if s[0] != 'T' && s[0] != ' ' {
		return false
	}
	s = bytes.TrimLeft(s, "T ")
	colon := bytes.IndexByte(s, ':')
	if colon < 1 || colon > 2 || len(s) > 40 {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && bytes.IndexByte([]byte(":.+-Z APMapm"), c) < 0 {
			return false
		}
	}
	return true
}

// day returns the days since 1970-01-01 under a layout; ok is false for a day that does not exist.
func (d dateParts) day(layout string) (int32, bool) {
	y, m, dd := d.a, d.b, d.c
	switch {
	case d.yearIn == 0:
		if layout != layoutISO {
			return 0, false
		}
	case layout == layoutMDY:
		y, m, dd = d.c, d.a, d.b
	case layout == layoutDMY:
		y, m, dd = d.c, d.b, d.a
	default:
		return 0, false
	}
	if m < 1 || m > 12 || dd < 1 || dd > daysIn(y, m) || y < 1 {
		return 0, false
	}
	return civilDay(y, m, dd), true
}

func daysIn(y, m int) int {
	switch m {
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// civilDay counts days in the proleptic Gregorian calendar, after Howard Hinnant's days_from_civil.
func civilDay(y, m, d int) int32 {
	if m <= 2 {
		y--
	}
	era := y / 400
	yoe := y - era*400
	doy := (153*((m+9)%12)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int32(era*146097 + doe - 719468)
}

// parseBool reads a truth value; family tells the spellings apart, so that a column sticks to one.
func parseBool(b []byte) (value bool, family int, ok bool) {
	if len(b) > 5 {
		return false, 0, false
	}
	var lower [5]byte
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(b)]) {
	case "true":
		return true, 1, true
	case "false":
		return false, 1, true
	case "yes":
		return true, 2, true
	case "no":
		return false, 2, true
	case "y":
		return true, 4, true
	case "n":
		return false, 4, true
	case "t":
		return true, 8, true
	case "f":
		return false, 8, true
	}
	return false, 0, false
}
