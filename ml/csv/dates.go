package csv

import "bytes"

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
	case lengths[2] == 2 && (separator == '/' && lengths[0] <= 2 && lengths[1] <= 2 || separator == '.' && lengths[0] == 2 && lengths[1] == 2): // 1.2.13 is a version
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

// isTime accepts what may follow a date: a T or space, hh:mm, seconds and their fraction, AM or PM, and a zone.
func isTime(s []byte) bool {
	if s[0] != 'T' && s[0] != ' ' {
		return false
	}
	s = bytes.TrimLeft(s[1:], " ")
	hour, s, ok := twoDigits(s)
	if !ok || hour > 24 || len(s) == 0 || s[0] != ':' {
		return false
	}
	for range 2 { // minutes and seconds
		if len(s) == 0 || s[0] != ':' {
			break
		}
		var n int
		if n, s, ok = twoDigits(s[1:]); !ok || n > 60 {
			return false
		}
	}
	if len(s) > 1 && (s[0] == '.' || s[0] == ',') {
		if s = bytes.TrimLeft(s[1:], "0123456789"); len(s) > 0 && (s[0] == '.' || s[0] == ',') {
			return false
		}
	}
	s = bytes.TrimLeft(s, " ")
	if len(s) >= 2 && (s[1]|0x20) == 'm' && ((s[0]|0x20) == 'a' || (s[0]|0x20) == 'p') {
		s = bytes.TrimLeft(s[2:], " ")
	}
	return isZone(s)
}

// twoDigits takes a number of one or two digits from the front.
func twoDigits(s []byte) (n int, rest []byte, ok bool) {
	i := 0
	for i < len(s) && i < 2 && s[i]-'0' < 10 {
		n = 10*n + int(s[i]-'0')
		i++
	}
	return n, s[i:], i > 0
}

// isZone accepts nothing, Z, UTC, GMT, and an offset such as +0100, +01 or +01:00, which UTC may follow.
func isZone(s []byte) bool {
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		hour, rest, ok := twoDigits(s[1:])
		if !ok || hour > 14 {
			return false
		}
		rest = bytes.TrimPrefix(rest, []byte(":"))
		if _, after, ok := twoDigits(rest); ok {
			rest = after
		}
		s = bytes.TrimLeft(rest, " ")
	}
	switch string(s) {
	case "", "Z", "z", "UTC", "GMT":
		return true
	}
	return false
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
